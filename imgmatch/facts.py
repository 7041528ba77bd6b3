"""What is kept of a picture beside its vectors: its file's metadata, and its perceptual hash."""

from __future__ import annotations

from dataclasses import dataclass

from imgmatch.metadata import Metadata, read_metadata
from imgmatch.pdq import Pdq, pdq_of
from imgmatch.types import Image


@dataclass(frozen=True, slots=True)
class Facts:
    """Metadata of a file, and the PDQ of its picture (None where ``imgmatch[pdq]`` is not installed)."""

    metadata: Metadata
    pdq: Pdq | None


def facts_of(data: bytes, image: Image) -> Facts:
    """The facts of a file that was decoded to ``image``."""
    return Facts(read_metadata(data), pdq_of(image.pixels))
