"""Destroying a case: its keys end first, then its files; a certificate says what there was and what is left.

A marker in the folder (``destroyed.json``) is the one step: from then on the case can't be opened, whatever of it is
still there, and the same command, run again, ends what was cut off and writes the certificate.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imgmatch
from imgmatch.errors import CaseError, UsageError
from imgmatch.given import loads
from imgmatch.vault import ring as rings
from imgmatch.vault.unlock import TRIES
from indexer.care.seal import sealed
from indexer.care.statement import DESTRUCTION, FORMAT
from indexer.case.account import account
from indexer.case.case import Case
from indexer.case.ending import LOCK as RUN_LOCK
from indexer.case.ending import RESERVE
from indexer.case.place import DESTROYED, LOCK, ROOMS, plain, wipe_all
from indexer.case.signing import private_key
from indexer.catalogue.clock import now_utc
from indexer.index.build import building
from indexer.index.disk import sync_folder, whole, wipe
from indexer.out.atomic import refuse_existing, whole_folder
from indexer.out.report.html import plain as words

_KEYS = (rings.NAME, f"{rings.NAME}.new")
_OWN = (TRIES, RUN_LOCK, RESERVE, LOCK, "build.lock", "remote.lock")
_MOST_BYTES = 1 << 20


def begin(case: Case, reason: str) -> dict[str, Any]:
    """Record that a case is destroyed, close it, and mark its folder: nobody opens it from then on. Returns what the
    certificate is to say; the marker of an encrypted case has no text of that, and so no disk has. Raises CaseError
    where a writer or a build is at work, and UsageError without a reason.
    """
    reason = " ".join(reason.split())
    if not reason:
        raise UsageError("--reason is empty; say it in words: it stands in the certificate")
    with building(case.path), case.writing():
        with case.use("destroy", arguments={"reason": reason}) as use:
            counts = {name: use.catalogue.counts()[name] for name in ("items", "sightings", "issues", "vectors")}
            meta = use.catalogue.meta.all()
            use.entry.subject = {"case_id": meta["case_id"]}
            use.entry.counts = counts
        case.sign()
        head = case.log.head()
        about = {name: words(meta[name]) for name in ("case_id", "purpose", "authority", "examiner") if name in meta}
        told: dict[str, Any] = {
            "case": {**about, "path": words(str(case.path.absolute()))},
            "reason": reason,
            "encrypted": case.place.ring is not None,
            "counts": counts,
            "audit": {"entry": head.entry, "sha256": head.sha256},
            "destroyed_utc": now_utc(),
            "destroyed_under_account": account(),
        }
        case.close()
        kept = {"case": {"case_id": meta["case_id"]}, "reason": "", "destroyed_under_account": ""}
        _write(case.path / DESTROYED, {**told, **kept} if told["encrypted"] else told)
    return told


def finish(
    folder: Path, certificate: Path, key: Path | None = None, told: dict[str, Any] | None = None, reason: str = ""
) -> dict[str, Any]:
    """End the keys of a case that ``begin`` has marked, then its files, and write its certificate into a new folder;
    returns it, and nothing where it was written before a kill that left the marker alone. What lies in the folder and
    is none of the case stays, and is named. Run again after a kill, it goes on: without what ``begin`` had ``told``,
    for a ``reason`` that is said again where none is kept.
    """
    marker = folder / DESTROYED
    if not marker.is_file():
        raise UsageError(f"{folder}: no case that is being destroyed")
    if not marker.read_bytes().strip(b"\0"):  # cut off as this was wiped, behind the certificate
        return _ended(folder, {})
    told = told or _read(marker)
    if not told["reason"]:
        again = " ".join(reason.split()) or "(said before a kill, and not kept)"
        told = {**told, "reason": again, "destroyed_under_account": account()}
    signer = None if key is None else private_key(key)
    refuse_existing(certificate)
    if folder.absolute() in certificate.absolute().parents:
        raise UsageError(f"{certificate}: lies in the case that is destroyed; choose another place")
    try:
        wipe_all([folder / name for name in _KEYS if (folder / name).exists()])
        sync_folder(folder)
        wipe_all([*plain(folder), *sorted(folder.glob(f"{ROOMS}*"))])
        wipe_all([folder / name for name in _OWN if (folder / name).exists()])
    except OSError as error:
        raise CaseError(f"{folder}: not all could be removed ({error.strerror}); run it again") from error
    left = sorted(path.name for path in folder.iterdir() if path != marker)
    body = {
        "statement": DESTRUCTION,
        "format": FORMAT,
        **told,
        "files_left": [words(name) for name in left],
        "lists": {},
        "made_utc": now_utc(),
        "made_by": f"imgmatch {imgmatch.__version__}",
        "made_under_account": account(),
    }
    text = _text(body).encode("utf-8", "backslashreplace")
    body["text_sha256"] = hashlib.sha256(text).hexdigest()
    made = {**body, "seal": sealed(body, signer)}
    with whole_folder(certificate) as draft:
        (draft / "certificate.txt").write_bytes(text)
        (draft / "certificate.json").write_text(json.dumps(made, indent=2, sort_keys=True) + "\n", encoding="ascii")
    return _ended(folder, made)


def _ended(folder: Path, made: dict[str, Any]) -> dict[str, Any]:
    """The last of it: the marker goes, and the folder where nothing else is in it."""
    wipe(folder / DESTROYED)
    if not any(folder.iterdir()):
        folder.rmdir()
    return made


def is_begun(folder: Path) -> bool:
    """Was the case in a folder marked as destroyed, and not all of it ended yet?"""
    return (folder / DESTROYED).is_file()


def _write(path: Path, told: dict[str, Any]) -> None:
    draft = path.with_name(f"{path.name}.new")
    try:
        with whole(draft, None, DESTROYED) as file:
            file.write(json.dumps(told, sort_keys=True).encode("ascii"))
        os.replace(draft, path)
        sync_folder(path.parent)
    except OSError as error:
        raise CaseError(f"{path}: can't be written ({error.strerror}); nothing was destroyed") from error


def _read(marker: Path) -> dict[str, Any]:
    try:
        with marker.open("rb") as file:
            told = loads(file.read(_MOST_BYTES))
        names = ("case", "reason", "encrypted", "counts", "audit", "destroyed_utc", "destroyed_under_account")
        return {name: told[name] for name in names}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CaseError(f"{marker}: can't be read as imgmatch writes it; remove the folder yourself") from error


def _text(body: dict[str, Any]) -> str:
    left: Sequence[str] = body["files_left"]
    lines = [
        "CERTIFICATE OF DESTRUCTION",
        "",
        *(f"{name:<14}{words(value)}" for name, value in body["case"].items()),
        f"Reason        {words(body['reason'])}",
        f"Destroyed     {body['destroyed_utc']} under the account {words(body['destroyed_under_account'])}",
        "",
        *(f"  {name:<14}{value:>16,}" for name, value in body["counts"].items()),
        "",
        "Its keys were overwritten and removed first: no copy of what they sealed can be read again,\n"
        "wherever it lies, unless somebody kept a copy of vault.json too, and can open it."
        if body["encrypted"]
        else "It was not encrypted: what its disk keeps of overwritten files, copies and backups can still be read.",
        "Then catalogue, vectors, indexes, audit log and locks were overwritten and removed. A disk may keep copies of",
        "its own of what was overwritten. Evidence, reports and exports are no part of a case.",
        *(
            ["These files in its folder were none of the case, and stay:", *(f"  {name}" for name in left)]
            if left
            else []
        ),
        "",
        f"The head of its audit log was {body['audit']['entry']}:{body['audit']['sha256']}.",
        f"Made {body['made_utc']} by {body['made_by']}, run by the account {words(body['made_under_account'])}.",
        "certificate.json holds the same and its seal; check it with: imgmatch audit verify-statement certificate.json",
        "",
    ]
    return "\n".join(lines)
