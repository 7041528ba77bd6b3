"""What is done with the bytes of one picture, wherever that runs: in a worker or in this process."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.facts import Facts, facts_of
from imgmatch.image import DEFAULT_LIMITS, Limits, decode
from imgmatch.models.vectors import prepared
from imgmatch.types import Image

if TYPE_CHECKING:
    from imgmatch.types import Pixels

_NO_PIXELS = np.empty((0, 0, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted of a picture: the input of a network of ``input_px``, and where ``larger_px`` is given the picture
    itself too, decoded so that both sides are at least that long.
    """

    input_px: int
    larger_px: int | None = None
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture as ingest needs it: what it is (``image``, without pixels), ``prepared`` (input_px, input_px, 3) uint8
    for the network, its file's ``facts``, and ``larger`` with pixels where it was asked for.
    """

    image: Image
    prepared: Pixels
    facts: Facts
    larger: Image | None = None


ReadPicture = Callable[[bytes, Request], Decoded]
"""``read_picture`` of this module or of a pool of workers; both raise EvidenceError."""


def read_picture(data: bytes, request: Request) -> Decoded:
    """Decode and prepare one picture. Raises EvidenceError as imgmatch.image.decode does."""
    image = decode(data, min_side_px=request.input_px, limits=request.limits)
    larger = decode(data, min_side_px=request.larger_px, limits=request.limits) if request.larger_px else None
    # Only what the network takes is kept: not the pixels.
    bare = dataclasses.replace(image, pixels=_NO_PIXELS)
    return Decoded(bare, prepared(image.pixels, request.input_px), facts_of(data, image), larger)
