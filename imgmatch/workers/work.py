"""What is done with the bytes of one picture, wherever that runs: in a worker or in this process."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.picture.facts import Facts
from imgmatch.picture.image import DEFAULT_LIMITS, Limits, decode
from imgmatch.picture.metadata import read_metadata
from imgmatch.picture.pdq import pdq_of
from imgmatch.picture.prepared import prepared
from imgmatch.types import Image

if TYPE_CHECKING:
    from imgmatch.types import Pixels

_NO_PIXELS = np.empty((0, 0, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted of a picture: the input of a network of ``input_px``, and for each of ``sides_px`` the picture
    itself, decoded so that both sides are at least that long. At least one of them is asked for; ``pdq`` is that of the
    first. ``metadata``: what its file says.
    """

    input_px: int | None = None
    sides_px: tuple[int, ...] = ()
    metadata: bool = False
    pdq: bool = False
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True)
class Decoded:
    """What was asked for: what the picture is (``image``, without pixels), ``prepared`` (input_px, input_px, 3) uint8
    for the network, the ``pictures`` with pixels, and the ``facts``, as far as they were wanted.
    """

    image: Image
    prepared: Pixels | None
    pictures: tuple[Image, ...]
    facts: Facts


ReadPicture = Callable[[bytes, Request], Decoded]
"""``read_picture`` of this module or of a pool of workers; both raise EvidenceError."""


def read_picture(data: bytes, request: Request) -> Decoded:
    """Decode and prepare one picture. Raises EvidenceError as imgmatch.picture.image.decode does."""
    read: list[Image] = []
    least = 0
    for side in request.sides_px if request.input_px is None else (request.input_px, *request.sides_px):
        # What was not reduced for a shorter side is not for a longer one: the same picture.
        again = bool(read) and side >= least and _whole(read[-1])
        read.append(read[-1] if again else decode(data, min_side_px=side, limits=request.limits))
        least = side
    first, pictures = read[0], read
    network = None
    if request.input_px is not None:
        # Only what the network takes is kept: not the pixels.
        network, pictures = prepared(first.pixels, request.input_px), read[1:]
    facts = Facts(read_metadata(data) if request.metadata else {}, pdq_of(first.pixels) if request.pdq else None)
    return Decoded(dataclasses.replace(first, pixels=_NO_PIXELS), network, tuple(pictures), facts)


def _whole(image: Image) -> bool:
    return image.pixels.shape[1::-1] == image.upright_size_px
