"""Makes the manual pages as a wheel is built: from the commands, so that they say what ``--help`` says."""

import sys
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualPages(BuildHookInterface):  # type: ignore[misc]
    """Puts imgmatch.1 and a page for each command into share/man/man1."""

    def initialize(self, version: str, build_data: dict) -> None:  # type: ignore[type-arg]
        """Write them beside nothing of the source, and have them taken along."""
        sys.path.insert(0, self.root)
        try:
            from cli.manual import write
        finally:
            sys.path.remove(self.root)
        self._folder = tempfile.TemporaryDirectory(prefix="imgmatch-man-")
        for page in write(Path(self._folder.name)):
            build_data["shared_data"][str(page)] = f"share/man/man1/{page.name}"

    def finalize(self, version: str, build_data: dict, artifact_path: str) -> None:  # type: ignore[type-arg]
        """Remove what was written."""
        self._folder.cleanup()
