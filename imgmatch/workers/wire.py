"""How a pool and its workers talk: a length, a JSON header, then raw bytes. Nothing is ever unpickled.

What a worker says is as little to be trusted as the file that it read: everything is checked before it is used.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Iterable
from typing import IO, Any

import numpy as np

from imgmatch.errors import EvidenceError
from imgmatch.picture.facts import Facts
from imgmatch.picture.image import Limits
from imgmatch.types import Image
from imgmatch.workers.work import Decoded, Request

_LENGTH = struct.Struct(">I")
_MAX_HEADER = 1 << 20
_MAX_TEXT = 2_000
_KINDS = frozenset({"empty", "too_large", "not_a_picture", "unreadable", "worker_memory"})


class WireError(Exception):
    """The other side is gone, or says what makes no sense."""


def send(stream: IO[bytes], header: dict[str, Any], parts: Iterable[Any] = ()) -> None:
    """Write a header and the bytes that follow it. OSError where the other side is gone."""
    text = json.dumps(header).encode("ascii")
    _write(stream, _LENGTH.pack(len(text)) + text)
    for part in parts:
        _write(stream, part)


def receive(stream: IO[bytes]) -> dict[str, Any] | None:
    """Read a header; None where the other side ended between two messages. Raises WireError."""
    first = stream.read(1)
    if not first:
        return None
    (length,) = _LENGTH.unpack(first + bytes(receive_bytes(stream, _LENGTH.size - 1)))
    if length > _MAX_HEADER:
        raise WireError("a header that is too long")
    try:
        header = json.loads(bytes(receive_bytes(stream, length)))
    except (ValueError, RecursionError) as error:
        raise WireError("a header that is no JSON") from error
    if not isinstance(header, dict):
        raise WireError("a header that is no object")
    return header


def receive_bytes(stream: IO[bytes], size: int) -> bytearray:
    """Read exactly so many bytes. Raises WireError where there are fewer."""
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        count = stream.readinto(view[at:])  # type: ignore[attr-defined]
        if not count:
            raise WireError("the end in the middle of a message")
        at += count
    return data


def request_header(data: bytes, request: Request) -> dict[str, Any]:
    """The header of a request; the bytes of the file follow it."""
    return {**dataclasses.asdict(request), "size": len(data)}


def parse_request(header: dict[str, Any]) -> tuple[Request, int]:
    """The request, and how many bytes follow."""
    told = {field.name: header[field.name] for field in dataclasses.fields(Request)}
    told |= {"sides_px": tuple(header["sides_px"]), "limits": Limits(**header["limits"])}
    return Request(**told), header["size"]


def reply(decoded: Decoded) -> tuple[dict[str, Any], list[Any]]:
    """The header of a reply, and the bytes that follow it."""
    parts: list[Any] = []
    if decoded.prepared is not None:
        parts.append(np.ascontiguousarray(decoded.prepared).data.cast("B"))
    pictures: list[dict[str, Any]] = []
    for number, image in enumerate(decoded.pictures):
        if number and image is decoded.pictures[number - 1]:
            pictures.append({"again": True})
            continue
        pixels = np.ascontiguousarray(image.pixels)
        pictures.append({**_about(image), "shape": pixels.shape})
        parts.append(pixels.data.cast("B"))
    return {"image": _about(decoded.image), "facts": decoded.facts.record(), "pictures": pictures}, parts


def parse_reply(header: dict[str, Any], stream: IO[bytes], request: Request) -> Decoded:
    """What a worker made of a file. Raises the EvidenceError that it reports, and WireError on nonsense."""
    if "error" in header:
        kind, message = header["error"], header.get("message")
        if not (isinstance(kind, str) and kind in _KINDS and isinstance(message, str)):
            raise WireError("an unknown error")
        raise EvidenceError(kind, message[:_MAX_TEXT])
    image = _image(header.get("image"), _pixels(stream, (0, 0, 3)))
    prepared = None if request.input_px is None else _pixels(stream, (request.input_px, request.input_px, 3))
    told = header.get("pictures")
    if not (isinstance(told, list) and len(told) == len(request.sides_px)):
        raise WireError("another number of pictures")
    pictures: list[Image] = []
    for about in told:
        pictures.append(pictures[-1] if about == {"again": True} and pictures else _picture(about, stream, request))
    try:
        facts = Facts.of(header.get("facts"))
    except ValueError as error:
        raise WireError("facts that make no sense") from error
    return Decoded(image, prepared, tuple(pictures), facts)


def _write(stream: IO[bytes], data: Any) -> None:
    view = memoryview(data).cast("B")
    while len(view):
        view = view[stream.write(view) or 0 :]


def _pixels(stream: IO[bytes], shape: tuple[int, int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    data = receive_bytes(stream, shape[0] * shape[1] * 3)
    return np.frombuffer(data, np.uint8).reshape(shape)


def _picture(about: Any, stream: IO[bytes], request: Request) -> Image:
    shape = about.get("shape") if isinstance(about, dict) else None
    if not (isinstance(shape, list) and len(shape) == 3 and all(type(n) is int and n > 0 for n in shape)):
        raise WireError("a picture of no shape")
    if shape[2] != 3 or shape[0] * shape[1] > request.limits.max_pixels:
        raise WireError("a picture of a wrong shape")
    return _image(about, _pixels(stream, (shape[0], shape[1], 3)))


def _about(image: Image) -> dict[str, Any]:
    return {
        "stored_size_px": image.stored_size_px,
        "orientation": image.orientation,
        "format": image.format,
        "partial": image.partial,
    }


def _image(told: Any, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> Image:
    if not isinstance(told, dict):
        raise WireError("a picture without a description")
    size: Any = told.get("stored_size_px")
    orientation: Any = told.get("orientation")
    name: Any = told.get("format")
    partial: Any = told.get("partial")
    right = (
        isinstance(size, list)
        and len(size) == 2
        and all(type(n) is int and 0 < n < 1 << 31 for n in size)
        and type(orientation) is int
        and 1 <= orientation <= 8
        and isinstance(name, str)
        and isinstance(partial, str | None)
    )
    if not right:
        raise WireError("a description that makes no sense")
    return Image(pixels, (size[0], size[1]), orientation, name[:32], None if partial is None else partial[:_MAX_TEXT])
