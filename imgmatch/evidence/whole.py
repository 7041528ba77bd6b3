"""Disk images as a whole, held against the hashes that they store of all their bytes."""

from __future__ import annotations

from imgmatch.evidence.budget import Budget
from imgmatch.evidence.formats.ewf import Ewf
from imgmatch.evidence.options import SourceOptions
from imgmatch.evidence.read import hashed
from imgmatch.types import Evidence


def whole_fault(image: Evidence, options: SourceOptions) -> str | None:
    """What is wrong with all the bytes of an E01 image: it stores their MD5 and SHA-1, as its maker wished. None where
    they are the same, or none is stored. Raises EvidenceError where it can't be opened or read. Reads all of it.
    """
    opened = Ewf(image, options, Budget(options.limits, image.size_bytes))
    media = opened.media()
    told = dict(media.about["hashes"])
    if not told:
        return None
    found = hashed(opened.extent("disk", media, 0, media.size))
    wrong = [name for name, value in told.items() if value != getattr(found, name)]
    if not wrong:
        return None
    name = wrong[0]
    return f"the {name.upper()} of all its bytes is {getattr(found, name)}, not {told[name]} as it says itself"
