"""What leaves a case: noted by the bytes that are handed out, so that a file that turns up elsewhere can be traced."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from imgmatch.errors import UsageError
from imgmatch.locator import readable
from indexer.case.case import Case
from indexer.case.use import HandedOut, Use
from indexer.catalogue import ReleasedFile


def hand_out(use: Use, what: str, target: str | os.PathLike[str], made: IO[bytes] | Path) -> None:
    """Note that ``made``, a file that is complete, or a folder of such, will leave as ``target``: with the end of the
    use, in one transaction with its entry.
    """
    use.handed_out = handed_out(what, target, made)


def handed_out(what: str, target: str | os.PathLike[str], made: IO[bytes] | Path) -> HandedOut:
    """The same, for each of several uses that make one thing."""
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


def releases(case: Case, sha256: str | None = None) -> list[dict[str, Any]]:
    """What has left a case, oldest first; with ``sha256`` the releases that such a file was part of. Recorded."""
    with case.use("releases", arguments={"sha256": sha256} if sha256 else {}) as use:
        rows = []
        for row in use.catalogue.releases.all(sha256):
            files = use.catalogue.releases.files(row.release_id)
            met = [file for file in files if sha256 in (None, file.sha256)]
            rows.append(
                {
                    **row._asdict(),
                    "files": len(files),
                    "sha256": met[0].sha256 if len(met) == 1 else None,
                    "listed": [file._asdict() for file in met],
                }
            )
        use.entry.counts = {"releases": len(rows)}
    return rows


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file that somebody holds. Raises UsageError where it can't be read."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(
            f"{file}: can't be read ({error.strerror}); give a file that may have left the case"
        ) from error


def _opened(file: Path) -> Iterator[IO[bytes]]:
    with file.open("rb") as opened:
        yield opened


def _file(name: str, file: IO[bytes]) -> ReleasedFile:
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    return ReleasedFile(readable(name), digest, file.seek(0, os.SEEK_END))
