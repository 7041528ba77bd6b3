"""Volumes that nothing here reads: called by their names, and carved where that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from imgmatch.errors import EvidenceError, unsupported
from imgmatch.evidence.formats.carve import Carvable, carve
from imgmatch.evidence.formats.partitions import bytes_at
from imgmatch.evidence.look import Look
from imgmatch.evidence.naming import signature_of
from imgmatch.types import Evidence, Issue

_DISKS = ("bitlocker", "cd", "ewf", "filevault", "luks", "qcow", "simg", "split", "udif", "vdi", "vhd", "vmdk")
_SAMPLE_BYTES = 1 << 16
_RANDOM = 240  # of 256 values, in each of which some byte of a sample is: no file system begins so


class UnreadVolume(Carvable):
    """What a partition, or a volume in an encrypted or logical one, holds, where nothing reads it."""

    name = "volume that is not read"
    kinds = ("carved",)
    hashed_up_to_bytes: ClassVar[int | None] = None

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """Whatever is a volume by where it lies."""
        place = look.evidence.locator
        return place.kind in ("partition", "lvm") or (
            place.at == "disk" and place.parent is not None and place.kind in _DISKS
        )

    def members(self) -> Iterator[Evidence | Issue]:
        """What it is; with ``carve``, pictures in it."""
        source = self.access()
        at = bytes_at(source)
        known = signature_of(at)
        sample = at(0, _SAMPLE_BYTES)
        if known is not None:
            error = unsupported(known.name, "it is not read")
        elif not any(sample) and not any(at(-_SAMPLE_BYTES, _SAMPLE_BYTES)):
            error = EvidenceError("not_a_picture", "no known file system; only zero bytes at its start and end")
        elif len(sample) == _SAMPLE_BYTES and len(set(sample[:4096])) >= _RANDOM:
            says = "it begins like random bytes: perhaps encrypted (VeraCrypt, dm-crypt)"
            error = unsupported("volume without a known file system", says)
        else:
            error = unsupported("volume without a known file system", "damaged, or of an unknown kind")
        if self.options.carve:
            yield from carve(self, source, [(0, source.size)])
        yield Issue.walked(self.outer.locator, error, self.name)
