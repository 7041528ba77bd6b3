"""PDQ hashes of a case as python-threatexchange reads them: one ``pdq HASH`` a line (its ``local_file`` exchange and
``tx match photo --hashes``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from imgmatch.errors import UsageError
from imgmatch.picture.pdq import LEAST_QUALITY
from indexer.case.case import Case
from indexer.out.atomic import whole_file
from indexer.out.released import hand_out

_HEX = re.compile(r"[0-9a-f]{64}\Z")


def export_pdq(
    case: Case, target: str | os.PathLike[str], rows: Iterable[tuple[str, str, int]] | None = None
) -> tuple[int, int]:
    """Write the hashes of ``rows`` (SHA-256 of the content, PDQ as 64 hexadecimal digits, quality 0..100; default:
    those of the case), each once as they come; returns how many were written and how many were left out as too poor.
    Recorded in the audit log.

    Raises UsageError on a hash that is none, and where the file exists or can't be written.
    """
    path = Path(target)
    arguments, subject = {"format": "pdq"}, {"file": str(path.absolute())}
    written: set[bytes] = set()
    poor = 0
    with whole_file(path) as file, case.use("export", arguments=arguments, subject=subject, ends="exported") as use:
        for sha256, text, quality in use.catalogue.facts.pdq_table() if rows is None else rows:
            if not _HEX.match(text):
                raise UsageError(f"{case.path}: {text!r}, of the content {sha256}, is no PDQ hash")
            if quality < LEAST_QUALITY:
                poor += 1
                continue
            if (key := bytes.fromhex(text)) not in written:
                written.add(key)
                file.write(f"pdq {text}\n".encode("ascii"))
        use.entry.counts = {"hashes": len(written), "poor": poor}
        hand_out(use, "pdq", path, file)
    return len(written), poor
