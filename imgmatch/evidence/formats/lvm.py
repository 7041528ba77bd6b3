"""LVM2: the logical volumes of a group, out of one physical volume."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from imgmatch.errors import EvidenceError, unsupported
from imgmatch.evidence.container import Container
from imgmatch.evidence.look import Look
from imgmatch.locator import Locator, readable
from imgmatch.parsers.volumes import lvm
from imgmatch.streams import DamagedError, damage_of, one_line
from imgmatch.types import Evidence, Issue
from imgmatch.workers import session


class Lvm(Container):
    """A physical volume: each logical one is called by the name of its group and its own."""

    name = "LVM2 physical volume"
    holds_zeros = True
    kinds = ("lvm",)
    hashed_up_to_bytes: ClassVar[int | None] = None

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By its label, in one of the first four sectors."""
        return any(
            look.head[at : at + 8] == b"LABELONE" and look.head[at + 24 : at + 32] == b"LVM2 001"
            for at in range(0, 2048, 512)
        )

    def members(self) -> Iterator[Evidence | Issue]:
        """What is wrong with it, and logical volumes."""
        asked = session.Session(lvm.Lvm, [self.access()], self.outer, self.options.limits)
        try:
            about = asked.call("about")
        except (OSError, RuntimeError) as error:
            says = f"the {self.name} can't be read: {readable(one_line(error))}"
            raise EvidenceError("broken_image", says) from error
        for number, fault in enumerate(about["faults"]):
            yield self.issue(f"fault{number}", "broken_image", fault)
        for number, volume in enumerate(about["volumes"]):
            yield from self._volume(asked, number, volume, f"{about['group']}/{volume['name']}")

    def _volume(
        self, asked: session.Session, number: int, volume: dict[str, Any], at: str
    ) -> Iterator[Evidence | Issue]:
        if volume["unsupported"]:
            yield self.failed(at, unsupported(volume["unsupported"], "it is not read"))
            return
        for start, size, why in volume["missing"]:
            yield self.issue(f"{at}@{start}+{size}", "broken_image", str(DamagedError(start, size, why)))
        if sum(size for _, size, _ in volume["missing"]) < volume["size"]:
            bytes_of = _Bytes(session.Reading(asked, volume["size"], number), self.place(at))
            yield self.extent(at, bytes_of, 0, volume["size"])


class _Bytes:
    """Bytes of a logical volume: what its reader does not give is damaged."""

    def __init__(self, reading: session.Reading, place: Locator) -> None:
        self._reading, self._place, self.size = reading, place, reading.size

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        try:
            return self._reading.read_at(offset, min(size, self.size - offset))
        except (OSError, RuntimeError) as error:
            if damage_of(error) is not None or isinstance(error.__cause__, OSError):
                raise
            raise DamagedError(offset, size, one_line(error), self._place) from error
