"""Further pictures in an HEIF or AVIF file, hidden and auxiliary ones too: each is decoded as if it were the first."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from PIL import Image as Pillow

from imgmatch.errors import EvidenceError, over, unsupported
from imgmatch.parsers.pieces import Clock, Piece, Settings, Trouble, png
from imgmatch.parsers.previews import alike
from imgmatch.picture.extents import BEGIN
from imgmatch.picture.image import NOTHING_VISIBLE, Limits, decode
from imgmatch.picture.items import Item, Items

_BELOW = "0."
_HEVC = {b"hvc1", b"hev1", b""}


def listed(data: bytes, picture: Any) -> list[int]:
    """The items that a decoder lists, in its order; none where it lists others."""
    numbers = Items(data).listed
    return numbers if len(numbers) == picture.n_frames else []


def by_libheif(items: Items, number: int) -> bool:
    """Does libheif decode an item, as it was built here?"""
    return items.coded_as(number) in _HEVC


def further(data: bytes, picture: Any, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """Pictures that its decoder does not list, called 0. and their item's number; with ``at`` that one alone.

    ``picture``: as it was opened, None where that failed. What leans on another picture (a thumbnail, what another one
    is made of) is given where it shows something else than the first. Maps that a camera computes of a picture are
    named in one Trouble.
    """
    items = Items(data)
    if at is not None:
        number = int(at.removeprefix(_BELOW))
        if at.startswith(_BELOW) and number in items.items:
            yield from one(items, items.items[number], at, settings)
        return
    given = set(listed(data, picture)) if picture is not None and picture.format == "HEIF" else set()
    if picture is None or picture.format == "HEIF" or picture.n_frames == 1:
        given |= {items.primary} if items.primary is not None else set()
    wanted = list(items.others(given, tiles=picture is None))
    maps = [item for item in wanted if item.is_map]
    leaning = {each for kind, _, to, _ in items.refers if kind == b"dimg" for each in to}
    leaning |= {from_ for kind, from_, _, _ in items.refers if kind == b"thmb"}
    if items.primary is not None:
        leaning.add(items.primary)
    first: Pillow.Image | None = None
    clock = Clock(settings)
    for item in wanted:
        if item.is_map:
            continue
        clock.check()
        for found in one(items, item, f"{_BELOW}{item.number}", settings):
            if isinstance(found, Piece) and item.number in leaning:
                first = first or _grey(data, settings)
                if first is not None and alike(first, _grey(found.data, settings) or first):
                    continue
            yield found
    if maps:
        kinds = ", ".join(sorted({item.auxiliary.decode("ascii", "replace") for item in maps}))
        yield Trouble.of(
            "frame", f"{_BELOW}{maps[0].number}", unsupported("maps beside a picture", f"not looked into: {kinds}")
        )


def one(items: Items, item: Item, at: str, settings: Settings) -> Iterator[Piece | Trouble]:
    """One item."""
    stored = b"" if item.kind not in (b"jpeg", b"mime") else items.bytes_of(item)
    if BEGIN.match(stored):
        yield Piece("frame", at, stored)
        return
    if items.primary is None:
        yield Trouble("frame", at, "broken_picture", "can't be read: the file says of no picture that it is the first")
        return
    most = settings.limits.max_frame_pixels
    coded = items.coded_as(item.number)
    if coded not in _HEVC and coded != b"av01":
        named = (item.content or coded).decode("ascii", "replace")
        yield Trouble.of("frame", at, unsupported("HEIF item", f"one of type {named!r} is not read"))
        return
    try:
        image = decode(items.with_first(item.number, b"avif" if coded == b"av01" else b"heic"), limits=Limits(most))
    except EvidenceError as error:
        if isinstance(error.__cause__, MemoryError):
            raise MemoryError from error
        if error.what == "max_pixels":
            error = over("max_frame_pixels", f"this picture has more than max_frame_pixels ({most:,}); not opened")
            yield Trouble.of("frame", at, error)
        else:
            yield Trouble("frame", at, "broken_picture", f"this picture can't be read: {error}")
        return
    yield Piece("frame", at, png(Pillow.fromarray(image.pixels)))
    if image.partial not in (None, NOTHING_VISIBLE):
        yield Trouble("frame", at, "broken_picture", f"a part of this picture is missing: {image.partial}")


def _grey(data: bytes, settings: Settings) -> Pillow.Image | None:
    with contextlib.suppress(EvidenceError):  # the file itself says so
        return Pillow.fromarray(decode(data, limits=Limits(settings.limits.max_frame_pixels)).pixels).convert("L")
    return None
