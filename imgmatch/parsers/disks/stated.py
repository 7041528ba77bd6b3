"""What disk images say of themselves beside the bytes of the disk: who acquired what, when, and checksums."""

from __future__ import annotations

import re
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from imgmatch.parsers.disks import ewf, ewf2, udif, vhd
from imgmatch.parsers.told import Name, Size, Word
from imgmatch.streams import RandomAccess
from imgmatch.times import stated as time_stated
from imgmatch.times import utc

_MOST_HEADER_BYTES = 1 << 20
_MOST_LETTERS = 10_000
_EWF = {
    "c": "case number", "n": "evidence number", "a": "description", "e": "examiner", "t": "notes", "m": "acquired",
    "u": "system clock", "av": "software version", "ov": "operating system", "md": "model", "sn": "serial number",
    "l": "label",
}  # fmt: skip
_EWF2 = {
    "case_number": "case number", "evidence_number": "evidence number", "description": "description",
    "examiner_name": "examiner", "notes": "notes", "acquiry_date": "acquired", "system_date": "system clock",
    "acquiry_software_version": "software version", "acquiry_operating_system": "operating system", "model": "model",
    "serial_number": "serial number", "device_label": "label",
}  # fmt: skip
_TIMES = ("acquired", "system clock")
_DATE = re.compile(r"\d{4}( \d{1,2}){5}")
_CRC32 = 2
_VHD_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

Facts = list[tuple[Word, Name]]
"""What is said, in words, and how it stands there; times as ``imgmatch.times`` has them."""
Checksums = list[tuple[Word, Word, Size, Size]]
"""Of parts of the image file: name, hexadecimal digits, where the part begins and how long it is."""


class Ewf(ewf.Ewf):
    """An E01 or S01, without the tables of its chunks, which may be large. (Joachim Metz, Expert Witness Compression
    Format specification, 3.4 to 3.6)
    """

    def _open(self) -> None:
        self._headers: list[tuple[bytes, int, int, int]] = []
        super()._open()

    def _sections(self, number: int, source: int) -> Iterator[tuple[int, bytes, int]]:
        for at, kind, size in super()._sections(number, source):
            if kind in (b"header", b"header2") and len(self._headers) < 8:
                self._headers.append((kind, source, at, size))
            yield at, kind, size

    def _table(self, source: int, at: int, size: int, data_end: int) -> ewf._Chunks:
        return ewf._Chunks(source, why="not read")

    def _keep(self, read: ewf._Chunks) -> None:
        pass

    def _settle(self) -> None:
        pass

    def stated(self) -> Facts:
        """What the examiner wrote down; of the header in UTF-16 before that in letters of nobody knows which system."""
        found: dict[str, str] = {}
        for kind, source, at, size in sorted(self._headers, key=lambda header: header[0] != b"header2"):
            begin = at + ewf._SECTION.size
            data = self._images[source].read_at(begin, min(size - ewf._SECTION.size, _MOST_HEADER_BYTES))
            try:
                raw = zlib.decompressobj().decompress(data, _MOST_HEADER_BYTES)
            except zlib.error:
                continue
            text = raw.decode("utf-16", "replace") if kind == b"header2" else raw.decode("cp1252", "replace")
            for name, value in _main(text).items():
                found.setdefault(name, value)
        return list(found.items())

    def checksums(self) -> Checksums:
        """None: its hashes are of the whole disk."""
        return []


class Ewf2(ewf2.Ewf2):
    """An Ex01."""

    def stated(self) -> Facts:
        """What the examiner wrote down, as libewf tells it: times in those of this machine, which are converted."""
        found: Facts = []
        for key, name in _EWF2.items():
            value = (self._handle.get_header_value(key) or "").strip()[:_MOST_LETTERS]
            if value and name in _TIMES:
                value = _of_this_machine(value)
            if value:
                found.append((name, value))
        return found

    def checksums(self) -> Checksums:
        """None: its hashes are of the whole disk."""
        return []


class Udif(udif.Udif):
    """A DMG: its trailer has checksums of what is stored and of what it unpacks to."""

    def __init__(self, tick: Callable[[], None], images: Sequence[RandomAccess]) -> None:
        super().__init__(tick, images)
        self._trailer = images[0].read_at(images[0].size - udif.TRAILER_BYTES, udif.TRAILER_BYTES)

    def stated(self) -> Facts:
        """Both checksums, as they stand there."""
        places = ((80, "checksum of stored data"), (352, "master checksum"))
        return [(name, f"CRC32 {value}") for at, name in places if (value := self._crc(at))]

    def checksums(self) -> Checksums:
        """That of what is stored; what it unpacks to is proven piece by piece as it is read."""
        start, size = struct.unpack_from(">QQ", self._trailer, 24)
        value = self._crc(80)
        return [("crc32", value, start, size)] if value and start + size <= self._image.size else []

    def _crc(self, at: int) -> str:
        kind, bits = struct.unpack_from(">II", self._trailer, at)
        value = self._trailer[at + 8 : at + 12]
        return value.hex() if (kind, bits) == (_CRC32, 32) and any(value) else ""


class Vhd(vhd.Vhd):
    """A VHD: its footer says what made it, and when."""

    def stated(self) -> Facts:
        """Creator, time and identity."""
        footer = self._images[0].read_at(0, 512)
        (seconds,) = struct.unpack_from(">I", footer, 24)
        creator = footer[28:32].decode("ascii", "replace").strip("\0 ")
        when = time_stated(_VHD_EPOCH + timedelta(seconds=seconds))
        told = [("created", when), ("created by", creator), ("identity", self._identity)]
        return [(name, value) for name, value in told if value]

    def checksums(self) -> Checksums:
        """None."""
        return []


def _main(text: str) -> dict[str, str]:
    """The first table of a header: a line that names columns by letters, and one of values."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    at = next((number for number, line in enumerate(lines) if line == "main"), None)
    if at is None or len(lines) < at + 3:
        return {}
    found = {}
    for key, value in zip(lines[at + 1].split("\t"), lines[at + 2].split("\t"), strict=False):
        said = value.strip()[:_MOST_LETTERS]
        if said and key in _EWF:
            name = _EWF[key]
            found[name] = _when(said) if name in _TIMES else said
    return found


def _when(text: str) -> str:
    """Seconds since 1970, in UTC; or year, month, day, hour, minute, second of a clock whose zone is not told."""
    if text.isascii() and text.isdecimal() and len(text) < 12:
        return utc(int(text)) or text
    if _DATE.fullmatch(text):
        try:
            return time_stated(datetime(*map(int, text.split())))  # type: ignore[arg-type]
        except ValueError:
            pass
    return text


def _of_this_machine(text: str) -> str:
    """A time as C's ``ctime`` writes it, in UTC."""
    try:
        return utc(time.mktime(time.strptime(text, "%a %b %d %H:%M:%S %Y"))) or text
    except (ValueError, OverflowError):
        return text
