"""Hash lists as they come: which format a file has, by its content, and its entries one by one.

Whatever its size, a list is read as a stream. A line that holds no hash is given back as malformed, never dropped.
"""

from __future__ import annotations

import codecs
import csv
import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from imgmatch.errors import UsageError
from imgmatch.given import Guarded
from imgmatch.optional import require
from imgmatch.picture.pdq import BITS
from indexer.catalogue.rds import is_database, rds_hashes

DIGEST_BYTES = {"md5": 16, "sha1": 20, "sha256": 32}
_STRONGEST_FIRST = ("sha256", "sha1", "md5")
_CATEGORY_COLUMNS = ("category", "vicscategory", "classification")
_MOST_CATEGORY = 64
_MOST_LINE = 65_536
_HEAD_BYTES = 65_536
_BSD_SUM = re.compile(r"(?:MD5|SHA1|SHA256|SHA2-256) ?\(.*\) ?= ?([0-9a-fA-F]+)\Z")
# Objects of a VICS file that describe a picture or film; what lies deeper (its copies) bears the same hashes.
_PDQ_COLUMNS = {"pdq", "pdqhash", "pdqhex"}
# As pdq-photo-hasher writes: hash, quality, name. Hashes alone can't be told from SHA-256.
_PDQ_LINE = re.compile(r"[0-9a-fA-F]{64}\s*[,;\t]\s*(?:100|\d{1,2})\s*(?:[,;\t]|\Z)")
# As python-threatexchange writes: the kind of each hash before it.
_PDQ_PREFIX = re.compile(r"pdq\s+(?=[0-9a-fA-F]{64}\b)")
_VICS_MEDIA = {"value.item", "value.item.Media.item", "Media.item", "item"}


class ListFormat(enum.StrEnum):
    """What kinds of list are read."""

    text = "text"
    csv = "csv"
    nsrl = "nsrl"
    rds3 = "rds3"
    vics = "vics"
    pdq = "pdq"


@dataclass(frozen=True, slots=True)
class Entry:
    """One listed content: its digest (16 bytes: MD5, 20: SHA-1, 32: SHA-256), the strongest that the list gives."""

    digest: bytes
    category: str | None = None


@dataclass(frozen=True, slots=True)
class PdqEntry:
    """One listed picture: its PDQ hash, 32 bytes, and the quality 0..100 where the list gives it."""

    hash: bytes
    quality: int | None = None
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """A part of a list that holds no hash: where, and what stands there."""

    where: str
    reason: str


def recognise(path: Path) -> ListFormat:
    """The format of a list, by its content. Raises UsageError when it is none that is known."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); give an existing hash list") from error
    if is_database(head):
        return ListFormat.rds3
    if head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"["):
        return ListFormat.vics
    for _, line in _lines(path):
        columns = _columns(line)
        says_so = _PDQ_PREFIX.match(line) or _PDQ_LINE.match(line)
        if says_so or columns.keys() & _PDQ_COLUMNS or {"hash", "quality"} <= columns.keys():
            return ListFormat.pdq
        if columns.keys() & {*DIGEST_BYTES, "hash"}:
            return ListFormat.nsrl if {"sha1", "crc32", "filename"} <= columns.keys() else ListFormat.csv
        if _digest_of(line) is not None:
            return ListFormat.text
        break
    raise UsageError(
        f"{path}: not a list of hashes that is known: its first line is neither a hash nor names a column md5, sha1 or "
        "sha256; give text, CSV, NSRL RDS or VICS JSON"
    )


def pdq_entries(path: Path) -> Iterator[PdqEntry | Malformed]:
    """Every entry of a PDQ list, in its order: hexadecimal hashes, alone or after the word pdq; or a CSV with quality
    and name after each, or with a header that names its columns (pdq or hash, quality, category).
    """
    columns: dict[str, int] | None = None
    for number, text in _lines(path):
        line = _PDQ_PREFIX.sub("", text)
        try:
            cells = [cell.strip() for cell in next(csv.reader((line,), delimiter=_delimiter(line)))]
        except csv.Error as error:
            yield Malformed(f"line {number}", str(error))
            continue
        if columns is None:
            columns = _columns(line)
            if read_hex(cells[0]) is None:
                continue
            columns = {"hash": 0, "quality": 1}
        place = next((columns[name] for name in (*_PDQ_COLUMNS, "hash") if name in columns), 0)
        hash = read_hex(cells[place]) if place < len(cells) else None
        if hash is None or len(hash) != BITS // 8:
            yield Malformed(f"line {number}", _shown(line))
            continue
        named = {name: cells[at] for name, at in columns.items() if at < len(cells)}
        quality = named.get("quality", "")
        category = next((named[name] for name in _CATEGORY_COLUMNS if named.get(name)), None)
        yield PdqEntry(hash, int(quality) if re.fullmatch(r"100|\d{1,2}", quality) else None, category)


def entries(path: Path, format: ListFormat) -> Iterator[Entry | Malformed]:
    """Every entry of a list, in its order. Raises UsageError when the file as a whole is damaged."""
    if format is ListFormat.rds3:
        for number, (digests, category) in enumerate(rds_hashes(path), start=1):
            yield _strongest(digests, category, f"row {number}")
    elif format is ListFormat.vics:
        yield from _vics(path)
    elif format is ListFormat.text:
        for number, line in _lines(path):
            digest = _digest_of(line)
            yield Malformed(f"line {number}", _shown(line)) if digest is None else Entry(digest)
    else:
        yield from _csv(path)


def read_hex(text: str) -> bytes | None:
    """A digest written as hexadecimal digits; None when it is none of MD5, SHA-1 and SHA-256."""
    if len(text) not in (32, 40, 64):
        return None
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        return None
    return digest if len(digest) * 2 == len(text) else None


def _digest_of(line: str) -> bytes | None:
    """The hash of a text line: alone, before a file name (``md5sum``, a CSV without header) or after it (BSD)."""
    digest = read_hex(line)
    if digest is None:
        bsd = _BSD_SUM.match(line)
        word = bsd[1] if bsd else re.split(r"[\s,;*]", line.removeprefix("\\"), maxsplit=1)[0].strip('"')
        digest = read_hex(word)
    return digest


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines without white space around them; not the empty ones, nor comments (#). UTF-8, or UTF-16 by its
    mark. A line that is too long to be one comes in pieces of one number.
    """
    with path.open("rb") as binary:
        wide = binary.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    encoding, errors = ("utf-16", "replace") if wide else ("utf-8-sig", "surrogateescape")
    with path.open(encoding=encoding, errors=errors) as file:
        yield from _numbered(file)


def _numbered(file: TextIO) -> Iterator[tuple[int, str]]:
    number = 1
    while line := file.readline(_MOST_LINE):
        text = line.strip()
        if text and not text.startswith("#"):
            yield number, text
        number += line.endswith("\n")


def _csv(path: Path) -> Iterator[Entry | Malformed]:
    lines = _lines(path)
    _, header = next(lines)
    delimiter = _delimiter(header)
    columns = _columns(header)
    category = next((columns[name] for name in _CATEGORY_COLUMNS if name in columns), None)
    places = {name: columns[name] for name in (*_STRONGEST_FIRST, "hash") if name in columns}
    for number, line in lines:
        # A line at a time: a quote that is never closed costs its line, not the rest of the list.
        try:
            cells = next(csv.reader((line,), delimiter=delimiter))
        except csv.Error as error:
            yield Malformed(f"line {number}", str(error))
            continue
        given = {name: cells[place] for name, place in places.items() if place < len(cells)}
        named = cells[category] if category is not None and category < len(cells) else None
        yield _strongest(given, named, f"line {number}")


def _columns(header: str) -> dict[str, int]:
    """Names of columns, without case, spaces, hyphens and underscores, to their places."""
    cells = next(csv.reader((header,), delimiter=_delimiter(header)))
    return {re.sub(r"[\s_-]", "", cell).lower(): place for place, cell in reversed(list(enumerate(cells)))}


def _delimiter(header: str) -> str:
    return max((",", ";", "\t"), key=header.count)


def _strongest(given: Mapping[str, Any], category: Any, where: str) -> Entry | Malformed:
    """The strongest digest of an entry: a file is known by it even where an MD5 was made to collide."""
    for value in given.values():
        digest = value if isinstance(value, bytes) else read_hex(str(value or "").strip())
        if digest is not None and len(digest) in DIGEST_BYTES.values():
            named = None if category is None else str(category).strip()[:_MOST_CATEGORY]
            return Entry(digest, named or None)
    return Malformed(where, _shown(" ".join(str(value) for value in given.values() if value)))


def _vics(path: Path) -> Iterator[Entry | Malformed]:
    """Hashes and categories of a Project VIC file: any version's list of media, alone or within cases."""
    ijson = require("ijson", "exchange")
    count = 0
    found: dict[str, Any] = {}
    try:
        with path.open("rb") as file:
            if file.read(3) != codecs.BOM_UTF8:
                file.seek(0)
            guarded = Guarded(file)
            for prefix, event, value in ijson.parse(guarded, use_float=True):
                if event in ("string", "number"):
                    container, _, key = prefix.rpartition(".")
                    if container in _VICS_MEDIA and key.lower() in ("md5", "sha1", "category", "mediaid"):
                        found[key.lower()] = value
                elif event == "end_map" and prefix in _VICS_MEDIA:
                    guarded.guard.values = 0
                    if not found:
                        continue
                    count += 1
                    given = {name: found.get(name) for name in ("sha1", "md5")}
                    yield _strongest(given, found.get("category"), f"entry {count}")
                    found = {}
    except (ijson.JSONError, UnicodeDecodeError, ValueError) as error:
        what = " ".join(str(error).split())[:120]
        raise UsageError(f"{path}: damaged JSON after {count:,} entries ({what}); get the list again") from error


def _shown(text: str) -> str:
    return f"no hash: {text[:40]!r}" if text else "no hash"
