"""LVM2: logical volumes out of one physical volume, by the text that describes their group (lib/format_text of LVM2).

The label and the description have checksums, which are compared. Linear and striped volumes are read as far as they lie
in this physical volume; of others nothing is given.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypedDict

from imgmatch.parsers.disks.units import DamageError
from imgmatch.parsers.told import Name, Size
from imgmatch.streams import RandomAccess

_SECTOR = 512
_SEED = 0xF597A6CF
_AREA_MAGIC = b" LVM2 x[5A%r0N*>"
_MOST_TEXT = 16 << 20
_MOST_DEEP = 8
_TOKENS = re.compile(r'\s*(?:#[^\n]*|("(?:[^"\\]|\\.)*"|[\w.+-]+|[{}=\[\],]))', re.ASCII)


class Logical(TypedDict):
    """A logical volume: ``missing`` says which part of it lies elsewhere, ``unsupported`` why it is not read."""

    name: Name
    size: Size
    missing: list[tuple[Size, Size, Name]]
    unsupported: Name


class About(TypedDict):
    """What a physical volume says of its group, and what is wrong with that."""

    group: Name
    volumes: list[Logical]
    faults: list[Name]


class _Run(NamedTuple):
    """Bytes of a logical volume: ``count`` stripes of ``stripe`` bytes, each from (here?, start in bytes) on."""

    start: int
    size: int
    stripe: int
    places: list[tuple[str, int]]


def crc(data: bytes) -> int:
    """LVM's checksum: CRC-32 begun with a number of its own."""
    return zlib.crc32(data, _SEED ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


class Lvm:
    """The physical volume in the first image."""

    def __init__(self, _: Callable[[], None], images: Sequence[RandomAccess]) -> None:
        self._image = images[0]
        self._faults: list[str] = []
        self._own, areas = self._label()
        texts = [text for area in areas if (text := self._text(area)) is not None]
        if not texts:
            raise OSError("; ".join(self._faults) or "no description of its group is in it")
        newest = max((_parsed(text) for text in texts), key=lambda found: int(_group(found)[1].get("seqno", 0)))
        self._name, self._group = _group(newest)
        self._extent = int(self._group["extent_size"]) * _SECTOR
        self._parts = {name: part for name, part in self._group["physical_volumes"].items() if isinstance(part, dict)}
        self._volumes = [
            (name, *self._runs(volume))
            for name, volume in self._group.get("logical_volumes", {}).items()
            if "VISIBLE" in volume.get("status", ())
        ]

    def _label(self) -> tuple[str, list[tuple[int, int]]]:
        """The identity of this physical volume, and where descriptions lie in it."""
        for sector in range(4):
            raw = self._image.read_at(sector * _SECTOR, _SECTOR)
            if raw[:8] != b"LABELONE" or raw[24:32] != b"LVM2 001":
                continue
            if crc(raw[20:]) != struct.unpack_from("<I", raw, 16)[0]:
                self._faults.append("the checksum of its label does not fit")
            at = struct.unpack_from("<I", raw, 20)[0]
            lists: list[list[tuple[int, int]]] = [[], []]
            place = at + 40
            for found in lists:
                while place + 16 <= len(raw) and (area := struct.unpack_from("<QQ", raw, place)) != (0, 0):
                    found.append(area)
                    place += 16
                place += 16
            return raw[at : at + 32].decode("ascii", "replace"), lists[1]
        raise OSError("its label is missing")

    def _text(self, area: tuple[int, int]) -> str | None:
        """The description in an area, where its checksum fits."""
        start, size = area
        head = self._image.read_at(start, _SECTOR)
        if len(head) < _SECTOR or head[4:20] != _AREA_MAGIC:
            self._faults.append(f"the description at byte {start:,} is damaged or missing")
            return None
        if crc(head[4:]) != struct.unpack_from("<I", head)[0]:
            self._faults.append(f"the checksum of what stands at byte {start:,} does not fit")
        offset, length, checksum = struct.unpack_from("<QQI", head, 40)
        if not length:
            return None
        if not _SECTOR <= offset < size or length > min(size - _SECTOR, _MOST_TEXT):
            self._faults.append(f"the description at byte {start:,} is damaged: it lies nowhere")
            return None
        before = min(length, size - offset)  # the area goes round
        raw = self._image.read_at(start + offset, before)
        raw += self._image.read_at(start + _SECTOR, length - before) if length > before else b""
        if len(raw) != length or crc(raw) != checksum:
            self._faults.append(f"the checksum of the description at byte {start + offset:,} does not fit")
            return None
        return raw.rstrip(b"\0").decode("utf-8", "replace")

    def _runs(self, volume: dict[str, Any]) -> tuple[list[_Run], int, str]:
        """Where a logical volume lies, its bytes, and what of it is not read."""
        runs, size, unsupported = [], 0, ""
        for segment in volume.values():
            if not isinstance(segment, dict) or "extent_count" not in segment:
                continue
            start, length = (int(segment[key]) * self._extent for key in ("start_extent", "extent_count"))
            size = max(size, start + length)
            stripes = segment.get("stripes", [])
            places = list(zip(stripes[::2], (int(number) for number in stripes[1::2]), strict=True))
            if segment.get("type") != "striped" or not places or any(name not in self._parts for name, _ in places):
                unsupported = f"LVM2 logical volume of kind {segment.get('type')}"
                continue
            stripe = int(segment.get("stripe_size", 0)) * _SECTOR if len(places) > 1 else length
            if not stripe or length % len(places):
                raise OSError("its description is damaged: stripes of a size that can't be")
            runs.append(_Run(start, length, stripe, [(name, self._place(name, number)) for name, number in places]))
        runs.sort()
        if not unsupported and any(
            run.start != end for run, end in zip(runs, [0, *(r.start + r.size for r in runs)], strict=False)
        ):
            raise OSError("its description is damaged: parts of a logical volume don't follow one another")
        return runs, size, unsupported

    def _place(self, name: str, extent: int) -> int:
        return int(self._parts[name]["pe_start"]) * _SECTOR + extent * self._extent

    def _is_here(self, name: str) -> bool:
        return str(self._parts[name].get("id", "")).replace("-", "") == self._own

    def about(self) -> About:
        """What it says of its group."""
        told: list[Logical] = []
        for name, runs, size, unsupported in self._volumes:
            missing = [
                (run.start, run.size, f"lies in another physical volume ({part})")
                for run in runs
                for part in sorted({part for part, _ in run.places if not self._is_here(part)})
            ]
            told.append({"name": name, "size": size, "missing": missing[:1000], "unsupported": unsupported})
        return {"group": self._name, "volumes": told, "faults": self._faults}

    def read(self, volume: int, offset: int, size: int) -> bytes:
        """Bytes of a logical volume. Raises DamageError where they lie elsewhere."""
        _, runs, total, _ = self._volumes[volume]
        end = min(offset + size, total)
        parts: list[bytes] = []
        while offset < end:
            run = next(run for run in runs if run.start <= offset < run.start + run.size)
            number, inside = divmod(offset - run.start, run.stripe)
            name, start = run.places[number % len(run.places)]
            wanted = min(end - offset, run.stripe - inside)
            if not self._is_here(name):
                raise DamageError(offset, wanted, f"lies in another physical volume ({name}), which is not read")
            at = start + number // len(run.places) * run.stripe + inside
            data = self._image.read_at(at, wanted)
            if len(data) < wanted:
                raise DamageError(offset + len(data), wanted - len(data), "the image ends before")
            parts.append(data)
            offset += wanted
        return b"".join(parts)


def _group(found: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name and the description of the group."""
    for name, part in found.items():
        if isinstance(part, dict) and isinstance(part.get("physical_volumes"), dict) and "extent_size" in part:
            return name, part
    raise OSError("its description names no group")


def _parsed(text: str) -> dict[str, Any]:
    """A description as dictionaries, lists and strings. Raises OSError where it is none."""
    whole: dict[str, Any] = {}
    levels = [whole]
    tokens = [match[1] for match in _TOKENS.finditer(text) if match[1]]
    at = 0
    try:
        while at < len(tokens):
            name = tokens[at]
            if name == "}":
                levels.pop()
                at += 1
            elif tokens[at + 1] == "{":
                inside: dict[str, Any] = {}
                levels[-1][name] = inside
                levels.append(inside)
                at += 2
            elif tokens[at + 1] == "=" and tokens[at + 2] == "[":
                end = tokens.index("]", at)
                levels[-1][name] = [_plain(token) for token in tokens[at + 3 : end] if token != ","]
                at = end + 1
            elif tokens[at + 1] == "=":
                levels[-1][name] = _plain(tokens[at + 2])
                at += 3
            else:
                raise OSError("its description is damaged")
            if len(levels) > _MOST_DEEP:
                raise OSError("its description is damaged: too deep")
    except (IndexError, ValueError) as error:
        raise OSError("its description is damaged") from error
    return whole


def _plain(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1]) if token.startswith('"') else token
