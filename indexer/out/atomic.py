"""Results that appear under their name only when they are complete: written beside, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from imgmatch.errors import UsageError


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes ``target`` when the block ends without error and is removed when it doesn't.

    Only its owner may enter it. Raises UsageError when ``target`` exists and is not an empty folder, or when the disk
    or the rights don't allow it.
    """
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError(f"{target}: exists already; nothing is overwritten, give a new folder")
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.absolute().parent))
        try:
            yield draft
            if target.is_dir():
                target.rmdir()
            os.rename(draft, target)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    except OSError as error:
        raise UsageError(
            f"{target}: can't be written ({error.strerror}); check disk space and rights, or choose another place"
        ) from error


@contextmanager
def whole_file(target: Path, *, replace: bool = False) -> Iterator[BinaryIO]:
    """A binary file to write, which becomes ``target``, on disk, when the block ends without error and is removed when
    it doesn't. Only its owner may read it.

    Raises UsageError when ``target`` exists (unless it is to be replaced), or when the disk or the rights don't allow
    it.
    """
    try:
        if not replace and os.path.lexists(target):
            raise UsageError(f"{target}: exists already; nothing is overwritten, give a new file")
        descriptor, draft = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.absolute().parent)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, target)
        except BaseException:
            os.unlink(draft)
            raise
    except OSError as error:
        raise UsageError(
            f"{target}: can't be written ({error.strerror}); check disk space and rights, or choose another place"
        ) from error
