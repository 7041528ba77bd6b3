"""A raw image in parts, with what is missing of them left out where it was."""

from __future__ import annotations

from collections import Counter
from typing import Any

from imgmatch.evidence.formats.disk_image import Media
from imgmatch.locator import Locator, readable
from imgmatch.streams import DamagedError, RandomAccess


class Parts(Media):
    """Parts one after the other. All but the last are of one size: what is missing of one, or all of it, is damaged."""

    def __init__(self, parts: dict[int, tuple[str, RandomAccess]], place: Locator) -> None:
        """``parts``: names and bytes, by number."""
        self.met: dict[int, DamagedError] = {}
        self._place = place
        last = max(parts)
        sizes = {number: source.size for number, (_, source) in parts.items()}
        usual = _usual_size(sizes)
        self._spans: list[tuple[int, int, RandomAccess | None, str]] = []
        faults: list[dict[str, Any]] = []
        at = 0
        for number in range(min(parts), last + 1):
            name = readable(parts[number][0]) if number in parts else f"number {number}"
            size = sizes.get(number, 0)
            if size:
                self._spans.append((at, at + size, parts[number][1], ""))
            at += size
            if size > usual:
                faults.append(
                    {"start": 0, "size": 0, "why": f"part {name} is longer than the others: is it of this set?"}
                )
            elif size < usual and number != last:
                why = f"part {name} is {'cut off, or out of its order' if size else 'missing'}"
                self._spans.append((at, at + usual - size, None, why))
                faults.append({"start": at, "size": usual - size, "why": why})
                at += usual - size
        self.size = at
        self.about = {"faults": faults, "identity": "", "hashes": [], "size": at, "unsupported": ""}

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        end = min(offset + size, self.size)
        found = []
        for start, stop, source, why in self._spans:
            first, last = max(start, offset), min(stop, end)
            if first >= last:
                continue
            if source is None:
                raise self._noted(DamagedError(start, stop - start, why, self._place))
            found.append(source.read_at(first - start, last - first))
            if len(found[-1]) < last - first:
                raise self._noted(DamagedError(first, last - first, "a part became shorter", self._place))
        return found[0] if len(found) == 1 else b"".join(found)


def _usual_size(sizes: dict[int, int]) -> int:
    """The size of all parts but the last."""
    last = max(sizes)
    before = [size for number, size in sizes.items() if number != last]
    if not before:
        return sizes[last]
    if len(before) == 1:
        return max(sizes.values())
    (usual, count), *others = Counter(before).most_common()
    return usual if not others or count > others[0][1] else max(before)
