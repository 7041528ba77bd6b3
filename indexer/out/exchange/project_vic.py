"""Project VIC files into a case and out of it (indexer.out.exchange.vics_file reads them)."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imgmatch
from imgmatch import times
from imgmatch.errors import UsageError
from imgmatch.locator import Locator
from imgmatch.types import Issue, Sighting
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.catalogue import ItemRow
from indexer.catalogue.clock import now_utc
from indexer.catalogue.decisions import WITHDRAWN
from indexer.index.protocol import Progress
from indexer.out.atomic import whole_file
from indexer.out.exchange.snapshot import item_batches, require_items
from indexer.out.exchange.vics_file import Fault, Media, VicsFile, tags
from indexer.out.places import file_name, file_path, mime_type
from indexer.out.released import hand_out

VERSIONS = ("2.0", "1.3")
MAX_ISSUES = 1000
"""So many faults of a file are recorded as issues; all are counted."""
_BATCH = 4096
_CONTEXTS = {
    "2.0": ("@odata.context", "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/Default/$metadata#Cases"),
    "1.3": ("odata.metadata", "http://github.com/ICMEC/ProjectVic/DataModels/1.3.xml#Cases"),
}


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did. ``items`` counts pictures of the case that the file knows; ``faults`` fields or records that
    could not be used, each an issue of the case (up to 1,000).
    """

    version: str
    media: int
    items: int
    faults: int
    sha256: str


def import_vics(case: Case, path: str | os.PathLike[str], *, progress: Progress | None = None) -> Imported:
    """Add the known media of a VICS file to a case, all of them or, on any error, none.

    Pictures with one of its hashes are labelled ``vics_category``, ``vics_series`` and ``vics_tags`` at once, those
    that are ingested later as they come. Records are kept whole. Raises UsageError when the file is none, is damaged,
    or has been imported.
    """
    source = VicsFile(path)
    place = Locator.file(path)
    total = source.path.stat().st_size
    now = now_utc()
    arguments, subject = {"format": "vics", "version": source.version}, {"path": str(place)}
    media = faults = 0
    named: list[Fault] = []
    with case.writing(), case.change("import", arguments=arguments, subject=subject) as change:
        writer = change.writer
        run_id = writer.runs.start("import", imgmatch.__version__, "", {"format": "vics", "path": str(place)}, now)
        file_id = writer.vics.add_file(source.path.name, source.version, run_id, now)
        for batch in _batches(source):
            rows = []
            for found in batch:
                try:
                    if isinstance(found, Media):
                        rows.append(_row(found))
                        continue
                except RecursionError:
                    found = Fault(found.number, "", "nested too deeply; the record was left out")
                faults += 1
                if len(named) < MAX_ISSUES:
                    named.append(found)
            writer.vics.add_media(file_id, rows)
            media += len(rows)
            if progress:
                progress("bytes", source.bytes_read, total)
        digest, header = source.sha256, source.header
        if writer.vics.has_file(digest):
            raise UsageError(f"{path}: this very file has been imported into {case.path} already; nothing was done")
        lines = source.lines({fault.number for fault in named}) if named else {}
        for fault in named:
            at = Locator("record", f"{fault.number} {fault.field}".strip(), place)
            told = f"media record {fault.number}, ending in line {lines.get(fault.number)}: {fault.message}"
            writer.issues.add(Issue(at, "import", "bad_record", told), now, run_id)
        items = writer.vics.finish_file(file_id, digest, header, media)
        done = Imported(source.version, media, items, faults, digest)
        counts = {"media": media, "items": items, "faults": faults}
        writer.runs.finish(run_id, counts, now_utc())
        change.entry.subject, change.entry.counts = {**subject, "sha256": done.sha256}, counts
    return done


def _batches(source: VicsFile) -> Iterator[list[Media | Fault]]:
    records = iter(source)
    while batch := list(itertools.islice(records, _BATCH)):
        yield batch


def _row(media: Media) -> tuple[Any, ...]:
    return (
        media.number,
        bytes.fromhex(media.md5) if media.md5 else None,
        bytes.fromhex(media.sha1) if media.sha1 else None,
        media.category,
        media.series,
        ", ".join(media.tags) or None,
        json.dumps(media.record, ensure_ascii=False, separators=(",", ":")),
    )


def export_vics(
    case: Case,
    target: str | os.PathLike[str],
    *,
    version: str = "2.0",
    all_known: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the case as a VICS file: a Media record an item, with its hashes, paths, labels and decisions.

    What imported files say of an item is kept, with every field; the newest file stands where two disagree.
    ``all_known`` adds the records of media that the case holds no picture of, and the imported case's own fields.
    Streamed: memory does not grow with the case. Returns how many records were written, and of what. Raises UsageError
    where the file exists or can't be written.
    """
    if version not in _CONTEXTS:
        raise UsageError(f"{version!r} is no version that is written; give {' or '.join(VERSIONS)}")
    path = Path(target)
    counts = {"media": 0, "items": 0, "known_only": 0}
    arguments = {"format": "vics", "version": version, "all_known": all_known}
    recorded = case.use("export", arguments=arguments, subject={"file": str(path.absolute())}, ends="exported")
    with whole_file(path) as file, recorded as use, use.catalogue.snapshot():
        if not (all_known and use.catalogue.vics.files()):
            require_items(case)
        comments = _comments(use)
        field, context = _CONTEXTS[version]
        head = json.dumps({field: context, "value": [_about(use, all_known)]}, ensure_ascii=False, indent=1)
        # The case's object is left open for its media, the last of its fields.
        file.write(_encoded(head[: head.rindex("}\n ]")].rstrip() + ',\n   "Media": ['))
        # Numbers of several files may be the same: then all are given anew.
        one_file = len(use.catalogue.vics.files()) == 1
        media_id = use.catalogue.vics.highest_id() if one_file else 0
        for record, known in _records(use, comments, all_known, progress):
            if not one_file or not isinstance(record.get("MediaID"), int):
                media_id += 1
                record["MediaID"] = media_id
            text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
            file.write(_encoded((",\n" if counts["media"] else "\n") + text))
            counts["media"] += 1
            counts["known_only" if known else "items"] += 1
        file.write(b"\n]\n}]\n}\n")
        use.entry.counts = counts
        hand_out(use, "vics", path, file)
    return counts


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _about(use: Use, all_known: bool) -> dict[str, Any]:
    """The fields of the case itself; with ``all_known`` those that an imported file's case had stand."""
    meta = use.catalogue.meta.all()
    about: dict[str, Any] = {"CaseID": meta["case_id"]}
    if meta.get("examiner"):
        about["ContactName"] = meta["examiner"]
    if all_known:
        for row in use.catalogue.vics.files():
            cases = next((value for name, value in row.header.items() if name.lower() == "value"), None)
            for had in cases if isinstance(cases, list) else ():
                about.update(had if isinstance(had, dict) else {})
    about["SourceApplicationName"] = "imgmatch"
    about["SourceApplicationVersion"] = imgmatch.__version__
    return about


def _comments(use: Use) -> dict[str, list[str]]:
    """What examiners decided, by content: few, as people made them."""
    found: dict[str, list[str]] = {}
    standing = use.catalogue.decisions.newest()
    for row in use.catalogue.decisions.all():
        stood = "" if row.decision_id in standing or row.verdict == WITHDRAWN else ", does not stand"
        for own, other in ((row.query_sha256, row.item_sha256), (row.item_sha256, row.query_sha256)):
            note = f" ({row.note})" if row.note else ""
            who = f"{row.examiner or 'nobody named'} (account {row.account})"
            said = f"{row.verdict} as a match of SHA-256 {other} by {who}, {row.decided_utc}{stood}"
            found.setdefault(own, []).append(said + note)
    return found


def _records(
    use: Use, comments: dict[str, list[str]], all_known: bool, progress: Progress | None
) -> Iterator[tuple[dict[str, Any], bool]]:
    """Media records in the order of items, then those that only imported files know; and whether it is such a one."""
    for items in item_batches(use, progress):
        seen = use.catalogue.sightings.of(items)
        labels = use.catalogue.labels.of(items)
        known = use.catalogue.vics.records(list(items))
        for item_id, item in items.items():
            said = comments.get(item.sha256, [])
            yield _media(item, seen[item_id], labels[item_id], known.get(item_id, []), said), False
    if all_known:
        for record in use.catalogue.vics.unseen():
            yield record, True


def _media(
    item: ItemRow,
    seen: Sequence[Sighting],
    labels: Mapping[str, Sequence[str]],
    known: Sequence[dict[str, Any]],
    comments: Sequence[str],
) -> dict[str, Any]:
    record: dict[str, Any] = {"MediaID": None}
    files: list[Any] = []
    for imported in known:
        record.update(imported)
        had = imported.get("MediaFiles")
        files += [one for one in had if one not in files] if isinstance(had, list) else []
    record.setdefault("Category", 0)
    # The same hash in other letters is left as it stands.
    for name, value in (("MD5", item.md5), ("SHA1", item.sha1)):
        if value and str(record.get(name, "")).lower() != value:
            record[name] = value.upper()
    record["MediaSize"] = item.size_bytes
    record["MimeType"] = record.get("MimeType") or mime_type(item.format)
    new = [
        value if name == "label" else f"{name}={value}"
        for name, values in labels.items()
        if not name.startswith("vics_")
        for value in values
    ]
    new = [tag for tag in new if tag not in tags(record.get("Tags"))]
    if new:
        had = record.get("Tags")
        record["Tags"] = [*had, *new] if isinstance(had, list) else ", ".join([*([str(had)] if had else []), *new])
    said = str(record.get("Comments") or "")
    partly = [f"partly read: {item.partial}"] if item.partial else []
    more = [one for one in (*partly, *comments) if one not in said]
    if more:
        record["Comments"] = "; ".join([*([said] if said else []), *more])
    paths = {str(one.get("FilePath")) for one in files if isinstance(one, dict)}
    files += [file for sighting in seen if (file := _file(item, sighting))["FilePath"] not in paths]
    record["MediaFiles"] = files
    return record


def _file(item: ItemRow, sighting: Sighting) -> dict[str, Any]:
    file: dict[str, Any] = {
        "MD5": item.md5.upper(),
        "FileName": file_name(sighting.locator),
        "FilePath": file_path(sighting.locator),
    }
    if times.is_utc(sighting.modified_utc):  # its times have a zone
        file["Written"] = sighting.modified_utc
    if sighting.locator.kind == "carved":
        file["Unallocated"] = True
    if sighting.locator.deleted:
        file["Deleted"] = True
    return file
