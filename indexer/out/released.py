"""What leaves a case: noted by the bytes that are handed out, so that a file that turns up elsewhere can be traced."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO, Any

from imgmatch.errors import UsageError
from indexer.case.case import Case
from indexer.case.handed import handed_out
from indexer.case.use import Use


def hand_out(use: Use, what: str, target: str | os.PathLike[str], made: IO[bytes] | Path) -> None:
    """Note that ``made``, a file that is complete, or a folder of such, will leave as ``target``: with the end of the
    use, in one transaction with its entry.
    """
    use.handed_out = handed_out(what, target, made)


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
