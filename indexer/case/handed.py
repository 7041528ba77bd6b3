"""What leaves a case, by the bytes that are handed out: a file that turns up elsewhere can be traced by them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from imgmatch.locator import readable
from indexer.case.use import HandedOut
from indexer.catalogue import ReleasedFile


def handed_out(what: str, target: str | os.PathLike[str], made: IO[bytes] | Path) -> HandedOut:
    """That ``made``, a file that is complete, or a folder of such, leaves as ``target``, in some format."""
    path = os.path.abspath(target)
    if isinstance(made, Path):
        files = [
            _file(file.relative_to(made).as_posix(), opened)
            for file in sorted(made.rglob("*"))
            if file.is_file()
            for opened in _opened(file)
        ]
    else:
        made.flush()
        files = [_file(os.path.basename(path), made)]
    return HandedOut(what, readable(path), files)


def _opened(file: Path) -> Iterator[IO[bytes]]:
    with file.open("rb") as opened:
        yield opened


def _file(name: str, file: IO[bytes]) -> ReleasedFile:
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    return ReleasedFile(readable(name), digest, file.seek(0, os.SEEK_END))
