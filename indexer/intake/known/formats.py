"""Hash lists as they come: which format a file has, by its content, and its entries one by one.

Whatever its size, a list is read as a stream. A line that holds no hash is given back as malformed, never dropped.
"""

from __future__ import annotations

import csv
import enum
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from imgmatch.errors import UsageError
from imgmatch.given import Recoded, delimiter_of, legible, separator_in
from imgmatch.picture.pdq import BITS
from indexer.catalogue.rds import is_database, rds_hashes
from indexer.intake.known.columns import CATEGORY, DIGESTS, PDQ, QUALITY, cells_of, named
from indexer.intake.known.digests import digest_in, read_digest, strongest
from indexer.intake.known.vics import vics_media
from indexer.intake.tablefile import open_table

_MOST_CATEGORY = 64
_MOST_LINE = 65_536
_HEAD_BYTES = 65_536
# As pdq-photo-hasher writes: hash, quality, name. Hashes alone can't be told from SHA-256.
_PDQ_LINE = re.compile(r"[0-9a-fA-F]{64}\s*[,;\t]\s*(?:100|\d{1,2})\s*(?:[,;\t]|\Z)")
# As python-threatexchange writes: the kind of each hash before it.
_PDQ_PREFIX = re.compile(r"pdq\s+(?=[0-9a-fA-F]{64}\b)")
_HASHDEEP = "%%%%"
# Above the digests in what certutil and Get-FileHash write.
_PREAMBLE = ("MD5 ", "SHA1 ", "SHA256 ", "Algorithm ", "---")
_NSRL = re.compile(r'"?SHA-1"?,"?MD5"?,"?CRC32"?', re.IGNORECASE)


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
    if Recoded()(head).lstrip()[:1] in (b"{", b"["):
        return ListFormat.vics
    with open_table(path) as (file, _):
        said, lines = _delimiter(_lines(file))
        for _, line in lines:
            columns = named(line, said)
            if (
                _PDQ_PREFIX.match(line)
                or _PDQ_LINE.match(line)
                or PDQ in columns
                or {"hash", QUALITY} <= columns.keys()
            ):
                return ListFormat.pdq
            if columns.keys() & {*DIGESTS}:
                return ListFormat.nsrl if _NSRL.match(line) else ListFormat.csv
            if digest_in(line) is not None:
                return ListFormat.text
            if not line.startswith(_PREAMBLE):
                break
    raise UsageError(
        f"{path}: not a list of hashes that is known: its first line is neither a hash nor names a column md5, sha1 or "
        "sha256; give text, CSV, NSRL RDS or VICS JSON"
    )


def pdq_entries(path: Path) -> Iterator[PdqEntry | Malformed]:
    """Every entry of a PDQ list, in its order: hexadecimal hashes, alone or after the word pdq; or a CSV with quality
    and name after each, or with a header that names its columns (pdq or hash, quality, category).
    """
    columns: dict[str, list[int]] | None = None
    with open_table(path) as (file, unread):
        said, lines = _delimiter(_lines(file))
        for number, text in lines:
            line = _PDQ_PREFIX.sub("", text)
            try:
                cells = [cell.strip() for cell in cells_of(line, said)]
            except csv.Error as error:
                yield Malformed(f"line {number}", str(error))
                continue
            if columns is None:
                columns = named(line, said)
                if read_digest(cells[0]) is None:
                    continue
                columns = {"hash": [0], QUALITY: [1]}
            place = next((columns[name][0] for name in (PDQ, "hash") if name in columns), 0)
            hash = read_digest(cells[place]) if place < len(cells) else None
            if hash is None or len(hash) != BITS // 8:
                yield Malformed(f"line {number}", _shown(line))
                continue
            quality = _first(cells, columns.get(QUALITY, ()))
            category = _category(_first(cells, columns.get(CATEGORY, ())))
            yield PdqEntry(hash, int(quality) if re.fullmatch(r"100|\d{1,2}", quality) else None, category)
        yield from _unread(unread)


def entries(path: Path, format: ListFormat) -> Iterator[Entry | Malformed]:
    """Every entry of a list, in its order. Raises UsageError when the file as a whole is damaged."""
    if format is ListFormat.rds3:
        for number, (digests, category) in enumerate(rds_hashes(path), start=1):
            yield _entry(digests.values(), category, f"row {number}")
    elif format is ListFormat.vics:
        for number, (hashes, category) in enumerate(vics_media(path), start=1):
            yield _entry(hashes, category, f"entry {number}")
    else:
        with open_table(path) as (file, unread):
            yield from (_texts if format is ListFormat.text else _table)(_lines(file))
            yield from _unread(unread)


def _unread(sheets: Iterable[str]) -> Iterator[Malformed]:
    for sheet in sheets:
        yield Malformed(f"sheet {sheet!r}", "not read: only the first that holds something is")


def _lines(file: TextIO) -> Iterator[tuple[int, str]]:
    """Numbered lines without white space around them; not the empty ones, nor comments (#). A line that is too long to
    be one comes in pieces of one number.
    """
    number = 1
    while line := file.readline(_MOST_LINE):
        text = line.strip()
        if text and not text.startswith("#"):
            yield number, text
        number += line.endswith(("\n", "\r"))


def _delimiter(lines: Iterator[tuple[int, str]]) -> tuple[str | None, Iterator[tuple[int, str]]]:
    """What parts the cells, where the first line says so, and the lines of the list itself: what hashdeep and Windows's
    programs write above it is passed over.
    """
    for number, line in lines:
        if (said := separator_in(line)) is not None:
            return said, lines
        if (bare := line.removeprefix(_HASHDEEP).strip()) and not bare.upper().startswith("HASHDEEP-"):
            return None, chain([(number, bare)], lines)
    return None, lines


def _texts(lines: Iterator[tuple[int, str]]) -> Iterator[Entry | Malformed]:
    for number, line in _delimiter(lines)[1]:
        digest = digest_in(line)
        yield _entry([digest], None, f"line {number}", line)


def _table(lines: Iterator[tuple[int, str]]) -> Iterator[Entry | Malformed]:
    said, lines = _delimiter(lines)
    _, header = next(lines)
    delimiter = said or delimiter_of(header)
    columns = named(header, delimiter)
    places = [place for name in DIGESTS for place in columns.get(name, ())]
    for number, line in lines:
        # A line at a time: a quote that is never closed costs its line, not the rest of the list.
        try:
            cells = cells_of(line, delimiter)
        except csv.Error as error:
            yield Malformed(f"line {number}", str(error))
            continue
        given = [cells[place] for place in places if place < len(cells)]
        yield _entry(given, _first(cells, columns.get(CATEGORY, ())), f"line {number}")


def _first(cells: Sequence[str], places: Iterable[int]) -> str:
    """The first cell in one of some places that holds something."""
    return next((cell for place in places if place < len(cells) and (cell := cells[place].strip())), "")


def _entry(given: Iterable[Any], category: Any, where: str, line: str | None = None) -> Entry | Malformed:
    told = [value for value in given if value is not None and value != ""]
    digest = strongest(value if isinstance(value, bytes) else read_digest(str(value)) for value in told)
    if digest is not None:
        return Entry(digest, _category(category))
    return Malformed(where, _shown(" ".join(map(_as_text, told)) if line is None else line))


def _category(said: Any) -> str | None:
    return None if said is None else legible(str(said)).strip()[:_MOST_CATEGORY] or None


def _as_text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _shown(text: str) -> str:
    return f"no hash: {legible(text)[:40]!r}" if text else "no hash"
