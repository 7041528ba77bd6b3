"""Binary lists of properties, as Apple's programs write them: every value of one, flat."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator

_MOST_OBJECTS = 5_000_000
_LONGEST_PATH = 400


def values(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Every value of bytes and text, with its path by keys and places; what no key leads to is called ``object/N``.

    Objects that point at each other in a circle, and whatever the depth, are met once. Raises ValueError for what is
    no binary list of properties.
    """
    objects = _Objects(data)
    seen = bytearray(objects.count)
    for number in (objects.top, *range(objects.count)):
        waiting = [(number, "" if number == objects.top else f"object/{number}")]
        while waiting:
            at, path = waiting.pop()
            if at >= objects.count or seen[at]:
                continue
            seen[at] = 1
            value = objects.value(at)
            if isinstance(value, bytes):
                yield path, value
            elif value is not None:
                waiting += [(child, f"{path}/{key}".strip("/")[:_LONGEST_PATH]) for key, child in reversed(value)]


def is_true(data: bytes, key: str) -> bool:
    """Does the topmost dictionary say yes to a key?"""
    try:
        objects = _Objects(data)
        top = objects.value(objects.top)
        return isinstance(top, list) and any(name == key and objects.is_true(at) for name, at in top)
    except (ValueError, IndexError):
        return False


def number_of(data: bytes, key: str) -> int | None:
    """The number that the first dictionary with a key has there; None where there is none."""
    with contextlib.suppress(ValueError, IndexError):
        objects = _Objects(data)
        for number in range(objects.count):
            value = objects.value(number)
            for name, at in value if isinstance(value, list) else ():
                if name == key:
                    return objects.number(at)
    return None


class _Objects:
    def __init__(self, data: bytes) -> None:
        if len(data) < 40 or not data.startswith(b"bplist"):
            raise ValueError("no binary list of properties")
        self._data = data
        offset_bytes, self._ref_bytes, self.count, self.top, table = struct.unpack(">6xBBQQQ", data[-32:])
        if not (0 < offset_bytes <= 8 and 0 < self._ref_bytes <= 8 and self.count <= _MOST_OBJECTS):
            raise ValueError("its table is damaged")
        if table + offset_bytes * self.count > len(data):
            raise ValueError("its table is damaged")
        self._table, self._offset_bytes = table, offset_bytes

    def value(self, number: int) -> bytes | list[tuple[str, int]] | None:
        """Bytes and text (as UTF-8) as they are, of collections keys and numbers of what they hold, else None."""
        kind, size, at = self._head(number)
        if kind == 4:
            return self._data[at : at + size]
        if kind == 5:
            return self._data[at : at + size]
        if kind == 6:
            return self._data[at : at + 2 * size].decode("utf-16-be", "replace").encode("utf-8", "replace")
        if kind in (0xA, 0xB, 0xC):
            return [(str(place), ref) for place, ref in enumerate(self._refs(at, size))]
        if kind == 0xD:
            refs = self._refs(at, 2 * size)
            half = len(refs) // 2
            return [(self._key(key), ref) for key, ref in zip(refs[:half], refs[half:], strict=False)]
        return None

    def number(self, number: int) -> int | None:
        """A whole number."""
        kind, size, at = self._head(number)
        return int.from_bytes(self._data[at : at + (1 << size)], "big", signed=size >= 3) if kind == 1 else None

    def is_true(self, number: int) -> bool:
        """Is it the value that says yes?"""
        kind, size, _ = self._head(number)
        return kind == 0 and size == 9

    def _key(self, number: int) -> str:
        is_text = number < self.count and self._head(number)[0] in (5, 6)
        value = self.value(number) if is_text else None
        return (
            value.decode("utf-8", "replace").replace("/", "_")[:80] if isinstance(value, bytes) else f"object {number}"
        )

    def _head(self, number: int) -> tuple[int, int, int]:
        """Kind, size and where the content of an object begins."""
        place = self._table + number * self._offset_bytes
        at = int.from_bytes(self._data[place : place + self._offset_bytes], "big")
        if at >= len(self._data):
            return -1, 0, at
        kind, size = self._data[at] >> 4, self._data[at] & 15
        at += 1
        if size == 15 and kind not in (0, 1, 2, 3, 8) and at < len(self._data):
            width = 1 << (self._data[at] & 3)
            size = int.from_bytes(self._data[at + 1 : at + 1 + width], "big")
            at += 1 + width
        return kind, size, at

    def _refs(self, at: int, size: int) -> list[int]:
        width = self._ref_bytes
        end = min(at + size * width, len(self._data))
        return [int.from_bytes(self._data[place : place + width], "big") for place in range(at, end - width + 1, width)]
