"""Makes manual pages and shell completion as a wheel is built, from the commands: they say what ``--help`` says."""

import sys
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BesideTheCode(BuildHookInterface):  # type: ignore[misc]
    """Puts imgmatch.1 and a page for each command into share/man/man1, and where bash, zsh and fish look."""

    def initialize(self, version: str, build_data: dict) -> None:  # type: ignore[type-arg]
        """Write them beside nothing of the source, and have them taken along."""
        sys.path.insert(0, self.root)
        try:
            from cli import completion, manual
        finally:
            sys.path.remove(self.root)
        self._folder = tempfile.TemporaryDirectory(prefix="imgmatch-share-")
        folder = Path(self._folder.name)
        for file in (*manual.write(folder / "share" / "man" / "man1"), *completion.write(folder)):
            build_data["shared_data"][str(file)] = file.relative_to(folder).as_posix()

    def finalize(self, version: str, build_data: dict, artifact_path: str) -> None:  # type: ignore[type-arg]
        """Remove what was written."""
        self._folder.cleanup()
