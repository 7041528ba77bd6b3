"""What can be asked of a picture, wherever it is decoded, and how a worker tells what it made of one."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, cast

import cv2
import numpy as np

from imgmatch.errors import EvidenceError
from imgmatch.locator import readable
from imgmatch.parsers.told import Name, Word
from imgmatch.picture.facts import Facts
from imgmatch.picture.image import DEFAULT_LIMITS, Limits, decode
from imgmatch.picture.metadata import MOST_TEXT, read_metadata
from imgmatch.picture.pdq import pdq_of
from imgmatch.picture.prepared import prepared
from imgmatch.types import Image
from imgmatch.workers import wire

if TYPE_CHECKING:
    from imgmatch.types import Pixels
    from imgmatch.workers.child import Answer, Pipe

_KINDS = frozenset({"empty", "too_large", "not_a_picture", "unreadable", "unsupported", "needs_package"})
_MAX_TEXT = 2_000
_Length = Annotated[int, range(1, 1 << 31)]
_NO_PIXELS = np.empty((0, 0, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted of a picture: the input of a network of ``input_px``, and for each of ``sides_px`` the picture
    itself, decoded so that both sides are at least that long. At least one of them is asked for; ``pdq`` is that of the
    first. ``metadata``: what its file says. Pictures of more than ``most_pixels`` are averaged down to
    so many, even if a side gets shorter than was asked for.
    """

    input_px: int | None = None
    sides_px: tuple[int, ...] = ()
    metadata: bool = False
    pdq: bool = False
    limits: Limits = DEFAULT_LIMITS
    most_pixels: int = DEFAULT_LIMITS.max_pixels


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
    shown = {id(picture): _averaged(picture, request.most_pixels) for picture in pictures}  # the same stays the same
    made = tuple(shown[id(picture)] for picture in pictures)
    return Decoded(dataclasses.replace(first, pixels=_NO_PIXELS), network, made, facts)


def _averaged(image: Image, most_pixels: int) -> Image:
    """A picture of no more than so many pixels."""
    height, width = image.pixels.shape[:2]
    if height * width <= most_pixels:
        return image
    scale = (most_pixels / (height * width)) ** 0.5
    tall, wide = max(1, int(height * scale)), max(1, int(width * scale))
    size = min(wide, most_pixels // tall), min(tall, most_pixels // wide)
    return dataclasses.replace(image, pixels=cv2.resize(image.pixels, size, interpolation=cv2.INTER_AREA))


class _About(TypedDict):
    stored_size_px: tuple[_Length, _Length]
    orientation: Annotated[int, range(1, 9)]
    format: Word
    partial: Name | None


class _Picture(_About):
    height: _Length
    width: _Length


class _Value(TypedDict):
    value: Annotated[str, range(2 * MOST_TEXT)] | int | float | bool
    source: Annotated[str, range(MOST_TEXT)]


class _Field(_Value, total=False):
    found: Annotated[str, range(2 * MOST_TEXT)]


class _Pdq(TypedDict):
    hash: Annotated[str, re.compile("[0-9a-f]{64}")]
    quality: Annotated[int, range(101)]


class _Facts(TypedDict):
    metadata: dict[str, _Field]
    pdq: _Pdq | None


class Reply(TypedDict):
    """Where nothing went wrong. ``pictures``: None for one that is the one before it."""

    say: Literal["end"]
    error: None
    message: str
    what: str
    image: _About
    facts: _Facts
    pictures: list[_Picture | None]


def serve(told: dict[str, Any], data: bytearray, _: Pipe) -> Answer:
    """In a worker: the answer to a request."""
    wanted = {field.name: told[field.name] for field in dataclasses.fields(Request)}
    wanted |= {"sides_px": tuple(told["sides_px"]), "limits": Limits(**told["limits"])}
    decoded = read_picture(bytes(data), Request(**wanted))
    parts = [] if decoded.prepared is None else [np.ascontiguousarray(decoded.prepared).data]
    pictures: list[_Picture | None] = []
    for number, image in enumerate(decoded.pictures):
        if number and image is decoded.pictures[number - 1]:
            pictures.append(None)
            continue
        pixels = np.ascontiguousarray(image.pixels)
        pictures.append({**_about(image), "height": pixels.shape[0], "width": pixels.shape[1]})
        parts.append(pixels.data)
    return {"image": _about(decoded.image), "facts": decoded.facts.record(), "pictures": pictures}, parts


def reply_of(told: Any, size: int, take: Callable[[int], bytearray], request: Request) -> Decoded | EvidenceError:
    """What a worker made of a file, or the error that it reports; ``take`` gives the bytes that follow, ``size`` of
    them. Raises WireError on nonsense.
    """
    if told["error"] is not None or "image" not in told:
        if told["error"] not in _KINDS:
            raise wire.WireError("an unknown error")
        return EvidenceError(told["error"], told["message"][:_MAX_TEXT], what=told["what"])
    shapes = [] if request.input_px is None else [(request.input_px, request.input_px)]
    for about in filter(None, told["pictures"]):
        if about["height"] * about["width"] > min(request.limits.max_pixels, request.most_pixels):
            raise wire.WireError("a picture of a wrong shape")
        shapes.append((about["height"], about["width"]))
    if len(told["pictures"]) != len(request.sides_px) or told["pictures"][:1] == [None]:
        raise wire.WireError("another number of pictures")
    if sum(height * width * 3 for height, width in shapes) != size:
        raise wire.WireError("pictures of another size")
    image = _image(told["image"], _NO_PIXELS)
    try:
        facts = Facts.of(_readable(told["facts"]))
    except ValueError as error:
        raise wire.WireError("facts that make no sense") from error
    pixels = (np.frombuffer(take(h * w * 3), np.uint8).reshape(h, w, 3) for h, w in shapes)
    network = None if request.input_px is None else next(pixels)
    pictures: list[Image] = []
    for about in told["pictures"]:
        pictures.append(pictures[-1] if about is None else _image(about, next(pixels)))
    return Decoded(image, network, tuple(pictures), facts)


def _readable(told: Any) -> Any:
    """What was told, with texts that anything can hold."""
    if isinstance(told, dict):
        return {name: _readable(value) for name, value in told.items()}
    return readable(told) if isinstance(told, str) else told


def _whole(image: Image) -> bool:
    return image.pixels.shape[1::-1] == image.upright_size_px


def _about(image: Image) -> _About:
    return cast(_About, {name: getattr(image, name) for name in _About.__annotations__})


def _image(told: _About, pixels: Pixels) -> Image:
    width, height = told["stored_size_px"]
    partial = told["partial"] and readable(told["partial"][:_MAX_TEXT])
    return Image(pixels, (width, height), told["orientation"], told["format"], partial)
