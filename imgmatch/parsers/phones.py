"""What extractions and backups of phones say of the files in them: where each lay on the phone.

Cellebrite's report.xml (of a UFDR), and Manifest.db or Manifest.mbdb of a backup by iTunes or Finder. Nothing of them
is a picture: records come in pieces of kind ``index``, a line each, its fields parted by NUL: ``FIELDS``.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import struct
from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO
from xml.parsers import expat

from imgmatch import times
from imgmatch.errors import EvidenceError
from imgmatch.parsers import plist, sqlite
from imgmatch.parsers.pieces import Clock, Piece, Settings
from imgmatch.streams import one_line

FIELDS = ("local", "path", "deleted", "modified", "md5", "sha1", "sha256")
_BATCH = 2_000
_LONGEST_VALUE = 1 << 16
_BLOCK_BYTES = 1 << 20
_HASH = re.compile(r"[0-9a-f]+\Z")
_MBDB = b"mbdb"
_FILE_MODE, _MODES = 0x8000, 0xF000


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece]:
    """The records. Raises EvidenceError of kind ``broken_document``, after what came before."""
    head = stream.read(16)
    stream.seek(0)
    clock = Clock(settings)
    if head.startswith(_MBDB):
        found = _mbdb(stream.read())
    elif head.startswith(sqlite.MAGIC):
        found = _manifest(stream)
    else:
        found = _report(stream)
    lines: list[str] = []
    try:
        for record in found:
            clock.check()
            lines.append("\0".join(re.sub("[\n\0]", "\ufffd", record.get(name, "")) for name in FIELDS))
            if len(lines) >= _BATCH:
                yield _piece(lines)
                lines = []
    except (ValueError, LookupError, struct.error, expat.ExpatError) as error:
        if lines:
            yield _piece(lines)
        raise EvidenceError(
            "broken_document", f"what lay where on the phone can't be read: {one_line(error)}"
        ) from error
    if lines:
        yield _piece(lines)


def _piece(lines: list[str]) -> Piece:
    return Piece("index", "index", "\n".join(lines).encode("utf-8", "surrogatepass"))


class _Report:
    """Reads report.xml as it comes: only what is in hand is held. Entities are refused."""

    def __init__(self) -> None:
        self.done: list[dict[str, str]] = []
        self._file: dict[str, str] | None = None
        self._name, self._text = "", [""]
        self._depth = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._words
        self.parser.EntityDeclHandler = self._refuse

    def _refuse(self, *_: object) -> None:
        raise ValueError("it declares entities")

    def _start(self, name: str, given: dict[str, str]) -> None:
        kind = name.rpartition(":")[2]
        if not self._depth and kind != "project":
            raise EvidenceError("not_a_picture", "no report of a phone")
        self._depth += 1
        self._text = []
        if kind == "file" and "path" in given:
            self._file = {"path": given["path"], "deleted": given.get("deleted", "")}
        elif kind in ("item", "timestamp"):
            self._name = given.get("name", "")

    def _words(self, text: str) -> None:
        if self._file is not None and sum(map(len, self._text)) < _LONGEST_VALUE:
            self._text.append(text)

    def _end(self, name: str) -> None:
        self._depth -= 1
        kind = name.rpartition(":")[2]
        file, text = self._file, "".join(self._text).strip()
        self._text = []
        if file is None:
            return
        if kind == "timestamp" and self._name.lower() in ("modifytime", "modified", "modifieddate"):
            with contextlib.suppress(ValueError, OverflowError):
                file["modified"] = times.stated(datetime.fromisoformat(text))
        elif kind == "item" and self._name == "Local Path":
            file["local"] = text.replace("\\", "/").lstrip("/")
        elif kind == "item" and self._name.lower().replace("-", "") in ("md5", "sha1", "sha256"):
            if _HASH.match(text.lower()):
                file[self._name.lower().replace("-", "")] = text.lower()
        elif kind == "file":
            file["deleted"] = "deleted" if file["deleted"].lower() == "deleted" else ""
            if "local" in file:
                self.done.append(file)
            self._file = None


def _report(stream: BinaryIO) -> Iterator[dict[str, str]]:
    report = _Report()
    ended = False
    while not ended:
        block = stream.read(_BLOCK_BYTES)
        ended = not block
        report.parser.Parse(block, ended)
        yield from report.done
        report.done.clear()


def _manifest(stream: BinaryIO) -> Iterator[dict[str, str]]:
    for number, domain, path, _, file in sqlite.rows_of(stream, "Files", 5):
        name = number.decode("ascii", "replace")
        if len(name) == 40 and _HASH.match(name) and path:
            when = plist.number_of(file, "LastModified") if file else None
            yield {
                "local": f"{name[:2]}/{name}",
                "path": f"{domain.decode('utf-8', 'replace')}/{path.decode('utf-8', 'replace')}",
                "modified": (times.utc(when) if when else None) or "",
            }


def _mbdb(data: bytes) -> Iterator[dict[str, str]]:
    """Of iOS up to 9."""
    at = 6

    def text() -> bytes:
        nonlocal at
        size = int.from_bytes(data[at : at + 2], "big")
        at += 2
        if size == 0xFFFF:
            return b""
        if at + size > len(data):
            raise ValueError("it was cut off")
        at += size
        return data[at - size : at]

    while at < len(data):
        domain, path, _, _, _ = (text() for _ in range(5))
        mode, modified, properties = struct.unpack_from(">H16xI17xB", data, at)
        at += 40
        for _ in range(2 * properties):
            text()
        if mode & _MODES == _FILE_MODE:
            name = hashlib.sha1(domain + b"-" + path, usedforsecurity=False).hexdigest()
            told = f"{domain.decode('utf-8', 'replace')}/{path.decode('utf-8', 'replace')}"
            yield {"local": name, "path": told, "modified": times.utc(modified) or ""}
