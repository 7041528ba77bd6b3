"""A statement of a run: what it read, found and could not use, with totals that add up, bound to the audit log.

A folder: ``statement.json`` (head, totals, checks, seal), ``statement.txt`` (the same for people), and the lists that
the totals count, one JSON object a line: ``found.jsonl``, ``skipped.jsonl``. The seal is the SHA-256 of the canonical
JSON (RFC 8785 as far as text and whole numbers go: sorted keys, no spaces, UTF-8) of all else in statement.json, which
names the SHA-256 of the other files and the audit log's head; with a key it is signed too (Ed25519, RFC 8032).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import imgmatch
from imgmatch.errors import UsageError
from imgmatch.evidence.stated import HASHES
from imgmatch.given import load
from imgmatch.locator import readable
from indexer.care.seal import digest_of, sealed, signature_faults
from indexer.case.account import account
from indexer.case.audit import AuditLog
from indexer.case.case import Case
from indexer.case.chain import Head
from indexer.case.ending import state_of
from indexer.case.signing import private_key
from indexer.case.use import Use
from indexer.catalogue.clock import now_utc
from indexer.out.atomic import whole_folder
from indexer.out.report.html import plain

KIND = "imgmatch statement of a run"
ERASURE = "imgmatch certificate of erasure"
DESTRUCTION = "imgmatch certificate of destruction"
_TEXTS = {KIND: "statement.txt", ERASURE: "certificate.txt", DESTRUCTION: "certificate.txt"}
FORMAT = 1
_MOST_BYTES = 64 << 20
_LISTS = ("found", "skipped", "ignored")


def write_statement(case: Case, run_id: int, folder: Path, key: Path | None = None) -> dict[str, Any]:
    """Write the statement of an ingest into a new folder; returns what statement.json holds.

    ``adds_up`` is False where a total is not that of the lists; ``checks`` says which and why. The statement is
    recorded in the audit log with its SHA-256. Raises UsageError when there is no such run or it is no ingest of this
    case, the folder exists or can't be written, or the key can't be used; nothing half-written stays.
    """
    arguments = {"folder": str(folder.absolute()), "signed": key is not None}
    signer = None if key is None else private_key(key)
    # Recorded before the folder gets its name.
    with whole_folder(folder) as draft, case.use("statement", arguments=arguments, subject={"run_id": run_id}) as use:
        return _write(use, case.log, run_id, draft, signer)


def _write(use: Use, log: AuditLog, run_id: int, draft: Path, signer: Any) -> dict[str, Any]:
    run = use.catalogue.runs.by_id(run_id)
    if run is None:
        raise UsageError(f"run {run_id}: not in {use.path}; imgmatch status names the last, imgmatch audit show all")
    if run["command"] != "ingest":
        what = (
            "state it in the case that it came from"
            if run["command"].startswith("merged")
            else "only an ingest has one"
        )
        raise UsageError(f"run {run_id}: was a {run['command']}, not an ingest of this case; {what}")
    totals, lists = _write_lists(use, run_id, draft)
    told = state_of(use.path, run)
    run = {**run, "state": told.state, "why": told.why}
    checks = _checks(log, run, totals)
    head = log.head()
    body: dict[str, Any] = {
        "statement": KIND,
        "format": FORMAT,
        "case": {**use.catalogue.meta.all(), "path": plain(str(use.path.absolute()))},
        "run": run,
        "models": _models(log, run_id),
        "images": [row.record() for row in use.catalogue.containers.of_run(run_id)],
        "relocations": [
            {**made._asdict(), "old": readable(made.old), "new": readable(made.new)}
            for made in use.catalogue.relocations.all()
        ],
        "totals": totals,
        "checks": checks,
        "adds_up": all(check["holds"] for check in checks),
        "lists": lists,
        "audit": {"entry": head.entry, "sha256": head.sha256},
        "made_utc": now_utc(),
        "made_by": f"imgmatch {imgmatch.__version__}",
        "made_under_account": account(),
        "run_under": _run_under(log, run_id),
    }
    text = _text(body).encode("utf-8", "backslashreplace")
    body["text_sha256"] = hashlib.sha256(text).hexdigest()
    made = {**body, "seal": sealed(body, signer)}
    (draft / "statement.txt").write_bytes(text)
    (draft / "statement.json").write_text(json.dumps(made, indent=2, sort_keys=True) + "\n", encoding="ascii")
    use.entry.details = {"statement_sha256": made["seal"]["sha256"], "adds_up": body["adds_up"]}
    use.entry.subject = {"run_id": run_id, "head": str(head)}
    use.entry.counts = {name: value for name, value in totals.items() if value is not None}
    return made


def check_statement(file: Path, case: Case | None = None, public_key: Path | None = None) -> dict[str, Any]:
    """Verify a statement.json, and the files beside it that it names: ``faults``, ``sha256``, ``public_key``.

    With ``case``: its audit log must be whole, go through the head that is named, and have recorded the statement. With
    ``public_key``: it must be signed with the key that belongs to it. Raises UsageError on a file that is none.
    """
    try:
        made = load(file, _MOST_BYTES)
        seal = made.pop("seal")
        if made["statement"] not in _TEXTS or made["format"] != FORMAT:
            raise ValueError("not a statement that this version knows")
        digest, lists, audit = str(seal["sha256"]), dict(made["lists"]), made["audit"]
        head = Head(int(audit["entry"]), str(audit["sha256"]))
        text_sha256 = str(made["text_sha256"])
    except OSError as error:
        raise UsageError(f"{file}: can't be read ({error.strerror}); give a statement.json") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{file}: is no statement of a run ({error}); give a statement.json") from error
    faults = []
    if digest_of(made) != digest:
        faults.append(f"{file.name} is not as it was made")
    files = {f"{name}.jsonl": str(entry.get("sha256")) for name, entry in lists.items() if name in _LISTS}
    for name, right in {**files, _TEXTS[made["statement"]]: text_sha256}.items():
        try:
            with (file.parent / name).open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != right:
                    faults.append(f"{name} is not as it was made")
        except OSError as error:
            faults.append(f"{name} can't be read ({error.strerror})")
    faults += signature_faults(made, seal, public_key)
    if case is not None:
        faults += _log_faults(case, head, digest)
    return {"sha256": digest, "public_key": seal.get("public_key"), "adds_up": made.get("adds_up"), "faults": faults}


def _write_lists(use: Use, run_id: int, draft: Path) -> tuple[dict[str, int], dict[str, Any]]:
    """Write what the run found, skipped and ignored, a line at a time; returns totals and the files' digests."""
    names = ("places_first_seen", "files_read", "files_skipped", "files_ignored", "label_rows_skipped", "read_bytes")
    totals = dict.fromkeys(names, 0)

    def found() -> Iterable[dict[str, Any]]:
        for row in use.catalogue.runs.found(run_id):
            totals["places_first_seen"] += row["first_seen_by_this_run"]
            totals["files_read"] += row["times_read"]
            totals["read_bytes"] += row["times_read"] * row["size_bytes"]
            yield row

    def skipped() -> Iterable[dict[str, Any]]:
        for row in use.catalogue.runs.skipped(run_id):
            rows_of = row["stage"] in ("labels", "manifest")
            totals["label_rows_skipped" if rows_of else "files_skipped"] += not row["beside"]
            totals["read_bytes"] += row["size_bytes"] or 0 if row["sha256"] else 0
            yield row

    def ignored() -> Iterable[dict[str, Any]]:
        for row in use.catalogue.runs.ignored(run_id):
            totals["files_ignored"] += 1
            totals["read_bytes"] += row["size_bytes"]
            yield row

    rows = zip(_LISTS, (found(), skipped(), ignored()), strict=True)
    return totals, {name: _write_list(draft / f"{name}.jsonl", listed) for name, listed in rows}


def _write_list(path: Path, rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    sha256, count = hashlib.sha256(), 0
    with path.open("wb") as file:
        for row in rows:
            line = json.dumps(row, sort_keys=True).encode("ascii") + b"\n"
            sha256.update(line)
            file.write(line)
            count += 1
    return {"file": path.name, "rows": count, "sha256": sha256.hexdigest()}


def _checks(log: AuditLog, run: dict[str, Any], totals: dict[str, int]) -> list[dict[str, Any]]:
    """Each sum that must hold, with both sides: what the run counted, and what the lists hold."""
    counts = run["counts"]
    if counts is None:
        why = f"the run is {run['state']} ({run['why']}): it has no totals, and the lists hold what it had committed"
        return [{"what": "the run is finished", "counted": None, "listed": None, "holds": False, "why": why}]
    removed = "since then items or sources were deleted from the case or relocated, or a place was met under two names"
    logged = next((e for e in log.entries(action="ingest") if e.get("run_id") == run["run_id"]), None)
    # Older versions have no such counts.
    left_out, unread, kept_out = (counts.get(what, 0) for what in ("ignored", "unread", "kept_out"))
    only = run["arguments"].get("only_pictures")
    passed = counts.get("not_pictures", 0) if only else 0
    sums = [
        ("files met = new items + known content + ignored + unchanged + unusable + unread + kept out"
         + (" + no pictures" if only else ""), counts["files"],
         counts["new_items"] + counts["known"] + left_out + counts["unchanged"] + counts["unusable"] + unread
         + kept_out + passed,
         "the run was broken off by an error: files in hand then are in none of them"),
        ("files read (new items + known content) = readings listed",
         counts["new_items"] + counts["known"], totals["files_read"], removed),
        ("places first seen = places listed", counts["new_sightings"], totals["places_first_seen"], removed),
        ("unusable files = files listed as skipped", counts["unusable"], totals["files_skipped"], removed),
        ("ignored files = files listed as ignored", left_out, totals["files_ignored"], removed),
        ("bytes read = bytes of what is listed", counts["read_bytes"], totals["read_bytes"], removed),
        ("totals in the audit log = totals in the catalogue", counts, logged and logged["counts"],
         "the log has no such entry, or another"),
    ]  # fmt: skip
    return [
        {"what": what, "counted": one, "listed": other, "holds": one == other, "why": None if one == other else why}
        for what, one, other, why in sums
    ]


def _models(log: AuditLog, run_id: int) -> list[dict[str, str]]:
    """The model that the run used, as the audit log says it."""
    started = (e for e in log.entries(action="ingest_started") if e.get("run_id") == run_id)
    return [{"name": e["model"], "weights_sha256": e["weights_sha256"]} for e in started if e.get("model")]


def _run_under(log: AuditLog, run_id: int) -> dict[str, str]:
    """The account that the run was started under, and what that called itself, as the audit log says it."""
    started = next((e for e in log.entries(action="ingest_started") if e.get("run_id") == run_id), {})
    names = {"actor": "account", "declared": "declared_name"}
    return {to: str(started[name]) for name, to in names.items() if name in started}


def _text(body: dict[str, Any]) -> str:
    run, counts, totals = body["run"], body["run"]["counts"] or {}, body["totals"]
    lines = [
        "STATEMENT OF A RUN OF IMGMATCH",
        "",
        *(f"{name:<14}{plain(value)}" for name, value in body["case"].items()),
        "",
        f"Run {run['run_id']}: {run['command']} by imgmatch {run['version']} ({run['runtime']})",
        *(f"Model         {model['name']}, weights SHA-256 {model['weights_sha256']}" for model in body["models"]),
        *(f"{name.replace('_', ' '):<14}{plain(value)}" for name, value in body["run_under"].items()),
        f"Started       {run['started_utc']}",
        f"Finished      {run['finished_utc'] or 'not finished'}",
        f"State         {run['state']}" + (f" ({plain(run['why'])})" if run["why"] else ""),
        "Sources read:",
        *(f"  {plain(path)}" for path in run["arguments"].get("paths", ())),
        *_images(body["images"]),
        *(
            f"Relocated     {plain(made['old'])} -> {plain(made['new'])} on {made['moved_utc']}"
            + (f", taken back on {made['undone_utc']}" if made["undone_utc"] else "")
            for made in body["relocations"]
        ),
        f"Arguments     {plain(json.dumps({k: v for k, v in run['arguments'].items() if k != 'paths'}))}",
        "",
        "Counted by the run:",
        *(f"  {name.replace('_', ' '):<24}{int(value):>16,}" for name, value in counts.items()),
        "",
        "Listed:",
        *(f"  {name.replace('_', ' '):<24}{value:>16,}" for name, value in totals.items()),
        *(
            f"  {entry['file']:<24}{entry['rows']:>16,} rows, SHA-256 {entry['sha256']}"
            for entry in body["lists"].values()
        ),
        "",
        "Do the totals add up?",
        *(
            f"  {'yes' if check['holds'] else 'NO ':<5}{check['what']}"
            + ("" if check["holds"] else f": {check['counted']} and {check['listed']}; {check['why']}")
            for check in body["checks"]
        ),
        "",
        "ADDS UP" if body["adds_up"] else "DOES NOT ADD UP: see above",
        "",
        f"Audit log: entry {body['audit']['entry']}, SHA-256 {body['audit']['sha256']}",
        f"Made {body['made_utc']} by {body['made_by']}, run by the account {plain(body['made_under_account'])}.",
        "statement.json holds the same and its seal; check it with:",
        "  imgmatch audit verify-statement statement.json --case CASE",
        "",
    ]
    return "\n".join(lines)


def _images(images: list[dict[str, Any]]) -> list[str]:
    """What the disk images of the run say of themselves."""
    lines = ["Disk images met first by this run:"] if images else []
    for image in images:
        lines.append(f"  {plain(image['place'])}: {image['kind']}, a disk of {image['disk_bytes']:,} bytes")
        lines += [f"    {name:<22}{plain(value)}" for name, value in image["facts"].items()]
        lines += [f"    {HASHES[name] + ' stored':<22}{value}" for name, value in image["hashes"].items()]
        lines += [f"    {HASHES[name] + ' made here':<22}{value}" for name, value in image["made"].items()]
        lines.append(f"    {'all its bytes':<22}{plain(image['verified'])}")
    return lines


def _log_faults(case: Case, head: Head, digest: str) -> list[str]:
    faults = case.log.verify([head]).faults
    made = ("statement", "certificate")
    if not any(entry["action"] in made and entry.get("statement_sha256") == digest for entry in case.log.entries()):
        faults.append(f"the audit log of {case.path} has no record of this statement")
    return faults
