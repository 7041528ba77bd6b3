"""Project VIC's exchange files (VICS JSON, data models 1.x and 2.x): known media by hash, read a record at a time.

The models are not published as a schema; the layout here is what exporters write. ``value`` holds media (``#Media``) or
cases with their ``Media`` (``#Cases``); ``odata.metadata`` (1.x) or ``@odata.context`` (2.x) names the model. Writers
differ: flags as booleans or as "true" and "false", ``Series`` and ``Tags`` as text, lists or objects, UTF-8 or UTF-16
with a mark or without, fields in upper or lower case; nothing of that is a fault.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgmatch.errors import UsageError
from imgmatch.given import Guard, Recoded
from imgmatch.optional import require
from indexer.intake.known.digests import meant, read_digest

MAX_RECORD_BYTES = 32 << 20
"""A media record and what stands before it may be so long: memory stays bounded whatever a file holds."""
_MAX_HEADER_EVENTS = 200_000
_MAX_HEADER_LENGTH = 16 << 20
_CHUNK_BYTES = 1 << 16
_VERSION = re.compile(r"DataModels/(\d+)\.(\d+)\.xml")
_LENGTHS = {"md5": 16, "sha1": 20}
_OF_CASES = {"caseid", "casenumber", "media", "casemetadata"}
_TAG_ENDS = re.compile(r"[,;|]")


@dataclass(frozen=True, slots=True)
class Media:
    """One known file. Hashes are lower-case hexadecimal, at least one of them is set; ``photodna`` is as it stands in
    the file, never computed; ``record`` is the whole record with every field, known or not. ``number`` counts the
    file's records from 1.
    """

    number: int
    md5: str | None
    sha1: str | None
    category: int | None
    series: str | None
    tags: tuple[str, ...]
    photodna: str | None
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """A field of a record that can't be what it must be; ``message`` names the field and its value."""

    number: int
    field: str
    message: str


class VicsFile:
    """A VICS file: iterate over it for ``Media`` and ``Fault``, in the order of the file, in memory that does not grow.

    ``version`` (such as "2.0") is known from the start, ``header`` (all that stands outside media records) and
    ``sha256`` once the iteration has ended. A record without a usable hash gives only a Fault; one with another wrong
    field gives a Fault and itself. Raises UsageError, naming file, line, byte and field, where it is no VICS file or no
    JSON.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._ijson: Any = require("ijson", "exchange")
        self.header: dict[str, Any] = {}
        self.sha256 = ""
        self.bytes_read = 0
        try:
            self.version, self._media_at = self._layout()
        except OSError as error:
            raise UsageError(f"{self.path}: can't be read ({error.strerror}); give a readable VICS file") from error

    def __iter__(self) -> Iterator[Media | Fault]:
        """Read the file once, from its beginning."""
        try:
            yield from self._records()
        except OSError as error:
            raise UsageError(f"{self.path}: can't be read ({error.strerror}); check the disk") from error

    def lines(self, numbers: Collection[int]) -> dict[int, int]:
        """The line in which each of some records ends; reads the file again, up to the last of them, line by line."""
        found = self._ijson.sendable_list()
        parser = self._ijson.items_coro(found, self._media_at, use_float=True)
        lines: dict[int, int] = {}
        number, line = 0, 1
        for _, chunk in self._chunks():
            *ended, rest = chunk.split(b"\n")
            for piece in (*(part + b"\n" for part in ended), rest):
                parser.send(piece)
                for _ in range(len(found)):
                    number += 1
                    if number in numbers:
                        lines[number] = line
                found.clear()
                line += piece.endswith(b"\n")
            if len(lines) == len(numbers):
                break
        return lines

    def _layout(self) -> tuple[str, str]:
        """Data model, and where media stand, in the letters of this file: as soon as the first events tell."""
        events = self._ijson.sendable_list()
        parser = self._ijson.parse_coro(events)
        context = None
        version = ""
        list_at = ""
        of_case = False
        for first_byte, chunk in self._guarded(guard := Guard()):
            self._send(parser, chunk, first_byte)
            for prefix, event, value in events:
                place = prefix.lower()
                if place in ("odata.metadata", "@odata.context") and event == "string":
                    context = value
                elif place == "value" and event == "start_array":
                    version, list_at = self._version(context), f"{prefix}.item"
                    of_case = "#case" in str(context).lower()
                elif place == "value.item.media" and event == "start_array" and version:
                    return version, f"{prefix}.item"
                elif place == "value.item" and event == "map_key" and value.lower() in _OF_CASES:
                    of_case = True
                elif place == "value.item" and event == "end_map" and version:
                    if not of_case:
                        return version, list_at
                    guard.values = 0  # a case without media: those of the next, perhaps
                elif place == "value" and event == "end_array" and version:
                    return version, f"{list_at}.Media.item" if of_case else list_at
            events.clear()
            if first_byte > MAX_RECORD_BYTES:
                break
        if not version:
            raise UsageError(
                f"{self.path}: no VICS file: it has no list under the field 'value'; give VICS JSON 1.3 or 2.0"
            )
        return version, f"{list_at}.Media.item" if of_case else list_at

    def _version(self, context: str | None) -> str:
        found = _VERSION.search(context or "")
        if found is None:
            raise UsageError(
                f"{self.path}: no VICS file: neither 'odata.metadata' nor '@odata.context' before the field 'value' "
                "names a Project VIC data model; give VICS JSON 1.3 or 2.0"
            )
        if int(found[1]) not in (1, 2):
            raise UsageError(f"{self.path}: VICS {found[1]}.{found[2]} is not known here; export it as 1.3 or 2.0")
        return f"{found[1]}.{found[2]}"

    def _records(self) -> Iterator[Media | Fault]:
        found = self._ijson.sendable_list()
        header = _Header(self._ijson.ObjectBuilder(), self._media_at.removesuffix(".item"), self.path)
        parsers = (
            self._ijson.parse_coro(header, use_float=True),
            self._ijson.items_coro(found, self._media_at, use_float=True),
        )
        number = 0
        since = 0
        for first_byte, chunk in self._guarded(guard := Guard()):
            for parser in parsers:
                self._send(parser, chunk, first_byte)
            for record in found:
                number += 1
                yield from _media(record, number)
            since = 0 if found else since + len(chunk)
            guard.values = 0 if found else guard.values
            if since > MAX_RECORD_BYTES:
                raise UsageError(
                    f"{self.path}, byte {first_byte:,}: no media record ends within {MAX_RECORD_BYTES >> 20} MiB; "
                    "this is no usable VICS file"
                )
            found.clear()
        try:
            for parser in parsers:
                parser.close()
        except self._ijson.JSONError as error:
            line = 1 + sum(chunk.count(b"\n") for _, chunk in self._chunks())
            raise UsageError(
                f"{self.path}, line {line} (byte {self.bytes_read:,}): the file ends in the middle{header.after()}; "
                "get it again, whole"
            ) from error
        self.header = header.built.value

    def _guarded(self, guard: Guard) -> Iterator[tuple[int, bytes]]:
        """The file in pieces, as far as there is nothing in them that a parser is not to see."""
        for first_byte, chunk in self._chunks():
            try:
                guard.feed(chunk)
            except ValueError as error:
                raise UsageError(f"{self.path}, from byte {first_byte:,} on: {error}; get the file again") from error
            yield first_byte, chunk

    def _send(self, parser: Any, chunk: bytes, first_byte: int) -> None:
        try:
            parser.send(chunk)
        except (self._ijson.JSONError, StopIteration, ValueError, ArithmeticError) as error:
            why = str(error).splitlines()[0].strip() if str(error).strip() else "something follows the end"
            line, place, after = self._place(first_byte)
            raise UsageError(
                f"{self.path}, line {line} (byte {place:,}){after}: not valid JSON ({why}); get the file again"
            ) from error

    def _place(self, first_byte: int) -> tuple[int, int, str]:
        """The line and byte at which a file stops to be JSON, and after which field: reads it again, the last chunk
        byte by byte.
        """
        last = _Last()
        parser = self._ijson.parse_coro(last)
        line, place = 1, first_byte
        try:
            for start, chunk in self._chunks():
                if start < first_byte:
                    parser.send(chunk)
                    line += chunk.count(b"\n")
                    continue
                for offset in range(len(chunk)):
                    place = start + offset
                    parser.send(chunk[offset : offset + 1])
                    line += chunk[offset] == 0x0A
                break
        except (self._ijson.JSONError, StopIteration, ValueError, ArithmeticError):
            pass
        return line, place, last.after()

    def _chunks(self) -> Iterator[tuple[int, bytes]]:
        """The file in pieces: the first byte's place, and UTF-8 without a mark, whatever letters the file is in."""
        digest = hashlib.sha256()
        self.bytes_read = 0
        recoded = Recoded()
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                first_byte = self.bytes_read
                self.bytes_read += len(chunk)
                if chunk := recoded(chunk):
                    yield first_byte, chunk
        self.sha256 = digest.hexdigest()


class _Last:
    """Remembers the field that was read last."""

    _last = ""

    def send(self, happened: tuple[str, str, Any]) -> None:
        self._last = happened[0]

    def after(self) -> str:
        """Where reading had come, for a message."""
        name = self._last.replace(".item", "")
        return f", after the field {name!r}" if name else ""


class _Header(_Last):
    """Collects what stands outside the media records."""

    def __init__(self, built: Any, media: str, path: Path) -> None:
        self.built = built
        self._media = media
        self._below = f"{media}."
        self._parent, _, self._key = media.rpartition(".")
        self._path = path
        self._count = self._length = 0

    def send(self, happened: tuple[str, str, Any]) -> None:
        prefix, event, value = happened
        self._last = prefix
        if prefix.startswith(self._media) and (prefix == self._media or prefix.startswith(self._below)):
            return
        if event == "map_key" and value == self._key and prefix == self._parent:
            return
        self._count += 1
        self._length += len(value) if isinstance(value, str) else 0
        if self._count > _MAX_HEADER_EVENTS or self._length > _MAX_HEADER_LENGTH:
            raise UsageError(f"{self._path}: holds more beside its media than a VICS file does (at field {prefix!r})")
        self.built.event(event, value)


def _media(record: Any, number: int) -> Iterator[Media | Fault]:
    if not isinstance(record, dict):
        yield Fault(number, "", "is no object with fields; the record was left out")
        return
    fields = {name.lower(): value for name, value in record.items()}
    hashes, photodna, faults = _hashes(fields)
    kept = bool(hashes)
    if not kept and not faults:
        faults["MD5"] = "field MD5: no hash, and none under SHA1"
    for name, message in faults.items():
        yield Fault(number, name, message if kept else f"{message}; the record was left out")
    if not kept:
        return
    category: int | None = None
    given = fields.get("category")
    if given is not None and given != "":
        try:
            category = int(given) if not isinstance(given, bool) else -1
        except (TypeError, ValueError, OverflowError):
            category = -1
        if not 0 <= category < 2**31:
            yield Fault(number, "Category", f"field Category: {_short(given)} is no category")
            category = None
    yield Media(
        number,
        hashes.get("md5"),
        hashes.get("sha1"),
        category,
        _text(fields.get("series")),
        tags(fields.get("tags")),
        photodna,
        record,
    )


def _hashes(fields: dict[str, Any]) -> tuple[dict[str, str], str | None, dict[str, str]]:
    """Hashes by name, PhotoDNA, and what is wrong by field. What writers put in place of a hash (zeros, the hash of an
    empty file beside one of another) is none.
    """
    photodna = _text(fields.get("photodna"))
    others = {name: fields.get(name) for name in _LENGTHS}
    faults: dict[str, str] = {}
    more = fields.get("alternativehashes")
    if not isinstance(more, list | dict | None):
        faults["AlternativeHashes"] = f"field AlternativeHashes: {_short(more)} is no list"
    for other in more if isinstance(more, list) else (more,):
        if isinstance(other, dict):
            named = {name.lower(): value for name, value in other.items()}
            name = "".join(filter(str.isalnum, str(named.get("hashname")))).lower()
            if name == "photodna":
                photodna = photodna or _text(named.get("hashvalue"))
            elif name in others and (not others[name] or not meant([read_digest(str(others[name]))])):
                others[name] = named.get("hashvalue")
    read: dict[str, bytes] = {}
    for name, value in others.items():
        digest = read_digest(value) if isinstance(value, str) else None
        if digest is not None and len(digest) == _LENGTHS[name]:
            read[name] = digest
        elif value is not None and value != "":
            faults[name.upper()] = f"field {name.upper()}: {_short(value)} is no hash"
    good = meant(read.values())
    if read and not good:
        name = next(iter(read)).upper()
        faults[name] = f"field {name}: {_short(others[name.lower()])} stands in place of a hash"
    return {name: digest.hex() for name, digest in read.items() if digest in good}, photodna, faults


def tags(value: Any) -> tuple[str, ...]:
    """Tags of a record, which writers give as text with commas, semicolons or bars, as a list, or as objects."""
    parts = value if isinstance(value, list) else _TAG_ENDS.split(_text(value) or "")
    return tuple(dict.fromkeys(text for part in parts if (text := _text(part))))


def _text(value: Any) -> str | None:
    """A field that is text with some writers, a number, an object or a list with others."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, dict):
        named = (value.get(name) for name in ("Name", "SeriesName", "TagName", "Title", "Value"))
        return next((text for part in named if (text := _text(part))), None)
    if isinstance(value, list):
        return "; ".join(text for part in value if (text := _text(part))) or None
    return str(value).strip() or None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
