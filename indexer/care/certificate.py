"""A certificate of erasure: which contents were taken out of a case, by whom, when, why, and what was looked at.

Names no place and shows no picture: contents stand in it by their hashes alone.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import imgmatch
from imgmatch.errors import UsageError
from indexer.care.erasure import left
from indexer.care.seal import sealed
from indexer.care.statement import ERASURE, FORMAT
from indexer.case.account import account
from indexer.case.case import Case
from indexer.case.signing import private_key
from indexer.case.terms import KEYS
from indexer.case.use import Use
from indexer.catalogue.clock import now_utc
from indexer.out.atomic import whole_folder
from indexer.out.report.html import plain

COUNTS = {
    "items": "contents erased",
    "unknown": "contents kept out that were not in the case",
    "vectors": "vectors removed",
    "sightings": "places forgotten",
    "issues": "issues forgotten",
    "decisions": "decisions forgotten",
    "records": "records of imported files forgotten",
    "kept": "contents that stay, seen elsewhere too",
    "rows_removed": "rows of segments overwritten by new ones",
    "files_looked_at": "files of the case looked at, byte by byte",
    "bytes_looked_at": "bytes looked at",
}
WORDS = {
    **COUNTS,
    "erasures": "erasures whose traces were cleared",
    "log_entries_redacted": "log entries that texts were taken out of",
    "log_entries": "log entries that still say something of it",
}
"""What is counted of an erasure, for a person."""


def write_certificate(case: Case, erasure_id: int, folder: Path, key: Path | None = None) -> dict[str, Any]:
    """Write certificate.json and certificate.txt of an erasure into a new folder; returns what the first holds.

    The case is looked at again, to the last byte, before: ``nothing_left`` says what came of it. Recorded in the audit
    log with its SHA-256; with ``key`` it is signed. Raises UsageError when there is no such erasure, or the folder
    exists or can't be written.
    """
    signer = None if key is None else private_key(key)
    arguments = {"folder": str(folder.absolute()), "signed": key is not None}
    subject = {"erasure": erasure_id}
    with whole_folder(folder) as draft, case.use("certificate", arguments=arguments, subject=subject) as use:
        body = _body(use, erasure_id, case)
        text = _text(body).encode("utf-8", "backslashreplace")
        body["text_sha256"] = hashlib.sha256(text).hexdigest()
        made = {**body, "seal": sealed(body, signer)}
        (draft / "certificate.txt").write_bytes(text)
        (draft / "certificate.json").write_text(json.dumps(made, indent=2, sort_keys=True) + "\n", encoding="ascii")
        use.entry.details = {"statement_sha256": made["seal"]["sha256"], "nothing_left": body["nothing_left"]}
        use.entry.counts = {"contents": len(body["contents"])}
    return made


def _body(use: Use, erasure_id: int, case: Case) -> dict[str, Any]:
    row = next((row for row in use.catalogue.erasures.all() if row.erasure_id == erasure_id), None)
    if row is None:
        raise UsageError(f"erasure {erasure_id}: not in {use.path}; imgmatch erasures {use.path} lists them")
    faults = list(left(use))
    head = case.log.head()
    entry = next((e for e in case.log.entries(action="delete") if e.get("erasure") == erasure_id), {})
    meta = use.catalogue.meta.all()
    return {
        "statement": ERASURE,
        "format": FORMAT,
        "case": {name: plain(meta[name]) for name in ("case_id", *KEYS) if name in meta},
        "erasure": erasure_id,
        "reason": row.reason,
        "erased_utc": row.erased_utc,
        "erased_under_account": row.account,
        "cleared_utc": row.finished_utc,
        "counts": {name: row.told[name] for name in COUNTS if name in row.told},
        "contents": use.catalogue.erasures.contents(erasure_id),
        "nothing_left": not faults,
        "left": faults,
        "log_entries_redacted": row.told.get("log_entries_redacted", []),
        "log_entries_that_say_something": row.told.get("log_entries", []),
        "log_entry": entry.get("entry"),
        "audit": {"entry": head.entry, "sha256": head.sha256},
        "lists": {},
        "made_utc": now_utc(),
        "made_by": f"imgmatch {imgmatch.__version__}",
        "made_under_account": account(),
    }


def _text(body: dict[str, Any]) -> str:
    entries, gone = body["log_entries_that_say_something"], body["log_entries_redacted"]
    lines = [
        "CERTIFICATE OF ERASURE",
        "",
        *(f"{name:<14}{plain(value)}" for name, value in body["case"].items()),
        f"Erasure       {body['erasure']}",
        f"Reason        {plain(body['reason']) or 'none was given'}",
        f"Erased        {body['erased_utc']} under the account {plain(body['erased_under_account'])}",
        f"Cleared       {body['cleared_utc'] or 'NOT YET'}",
        "",
        *(f"  {COUNTS[name]:<46}{value:>16,}" for name, value in body["counts"].items()),
        "",
        "NOTHING IS LEFT of it in the files of the case, looked at byte by byte:"
        if body["nothing_left"]
        else "SOMETHING IS LEFT:",
        *(f"  {plain(fault)}" for fault in body["left"]),
        "  places, vectors, metadata, hashes of pictures and notes of what was erased were looked for in each file of",
        "  the case's folder. What a disk keeps of files that were removed, copies and backups of the case, and the",
        "  evidence itself are not part of it.",
        "The audit log keeps hashes"
        + (f"; but entries of an older version say something of it: {_listed(entries)}." if entries else " alone."),
        *([f"Texts were taken out of its entries {_listed(gone)}; its chain holds."] if gone else []),
        "",
        "These contents stay out of the case until they are readmitted (SHA-256, SHA-1, MD5):",
        *(
            f"  {c['sha256']} {c['sha1'] or '-'} {c['md5'] or '-'}"
            + (f" readmitted {c['readmitted_utc']}" if c["readmitted_utc"] else "")
            for c in body["contents"]
        ),
        "",
        f"Recorded as entry {body['log_entry']} of the audit log, whose head is {body['audit']['entry']}:"
        f"{body['audit']['sha256']}.",
        f"Made {body['made_utc']} by {body['made_by']}, run by the account {plain(body['made_under_account'])}.",
        "certificate.json holds the same and its seal; check it with:",
        "  imgmatch audit verify-statement certificate.json --case CASE",
        "",
    ]
    return "\n".join(lines)


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
