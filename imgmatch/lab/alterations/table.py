"""The fixed table that benchmarks, the demo and training share; ``alter`` applies one by name."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from imgmatch.errors import UsageError
from imgmatch.lab.alterations.collages import collage, paste_into
from imgmatch.lab.alterations.geometry import crop_area, flip_vertical, mirror, perspective, resize_by, rotate
from imgmatch.lab.alterations.light import (
    blur,
    darken,
    grey,
    jpeg,
    motion_blur,
    noise,
    photo_filter,
    posterise,
    random_colour,
    sharpen,
)
from imgmatch.lab.alterations.overlays import emoji_overlay, screenshot, text_overlay, watermark
from imgmatch.lab.alterations.people import person

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Pixels

    Mask = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float32]


class Alteration(Protocol):
    """A named alteration: ``others`` are photographs to paste beside or around (collages); most ignore them."""

    def __call__(self, pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels] = ()) -> Pixels:
        """Return an altered copy, (H', W', 3) uint8."""
        ...


def fixed(function: Callable[..., Pixels], **parameters: object) -> Alteration:
    """Make an Alteration of a function that needs no other photographs, with its parameters set."""

    def altered(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels] = ()) -> Pixels:
        return function(pixels, rng, **parameters)

    return altered


def chain(*steps: Alteration) -> Alteration:
    """Apply alterations one after another, all from one generator."""

    def altered(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels] = ()) -> Pixels:
        for step in steps:
            pixels = step(pixels, rng, others)
        return pixels

    return altered


def _collage_inset(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels] = ()) -> Pixels:
    return collage(pixels, rng, others, area=0.2)


def _paste_inset(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels] = ()) -> Pixels:
    if len(others) == 0:
        raise UsageError("pasting needs at least one other photograph: pass others=[pixels, ...]")
    return paste_into(pixels, rng, others[int(rng.integers(len(others)))], area=0.2)


ALTERATIONS: dict[str, Alteration] = {
    "jpeg_20": fixed(jpeg, quality=20),
    "resize_quarter": fixed(resize_by, factor=0.25),
    "crop_half": fixed(crop_area, fraction=0.5),
    "crop_quarter": fixed(crop_area, fraction=0.25),
    "crop_fifth": fixed(crop_area, fraction=0.2),
    "crop_tenth": fixed(crop_area, fraction=0.1),
    "mirror": fixed(mirror),
    "flip_vertical": fixed(flip_vertical),
    "rotate_15": fixed(rotate, degrees=15),
    "rotate_90": fixed(rotate, degrees=90),
    "perspective": fixed(perspective, strength=0.25),
    "grey": fixed(grey),
    "colour": fixed(random_colour, strength=1.0),
    "darken": fixed(darken, factor=0.3),
    "filter": fixed(photo_filter),
    "posterise": fixed(posterise, levels=5),
    "blur": fixed(blur, sigma_share=0.012),
    "motion_blur": fixed(motion_blur, length_share=0.06),
    "sharpen": fixed(sharpen, amount=2.0),
    "noise": fixed(noise, sigma=25.0),
    "person": fixed(person, height_share=0.85),
    "text_overlay": fixed(text_overlay, lines=4),
    "emoji_overlay": fixed(emoji_overlay, count=5),
    "watermark": fixed(watermark),
    "screenshot": fixed(screenshot, area=0.45),
    "collage_inset": _collage_inset,
    "paste_inset": _paste_inset,
    "chain_mirror_crop_person": chain(fixed(mirror), fixed(crop_area, fraction=0.5), fixed(person, height_share=0.85)),
    "chain_four": chain(
        fixed(crop_area, fraction=0.6, aspect_jitter=0.2),
        fixed(random_colour, strength=0.8),
        fixed(text_overlay, lines=2),
        fixed(jpeg, quality=30),
    ),
}
"""The named alterations of the benchmarks. Figures are compared across versions by these names: add, never change."""


def rng_for(name: str, seed: int) -> np.random.Generator:
    """Return the generator that ``alter`` uses, so that for instance ``person_mask`` can follow it."""
    return np.random.default_rng([zlib.crc32(name.encode()), seed])


def alter(name: str, pixels: Pixels, seed: int, others: Sequence[Pixels] = ()) -> Pixels:
    """Apply a named alteration of ``ALTERATIONS`` to (H, W, 3) uint8 sRGB pixels; the same seed gives the same bytes.

    Raises UsageError on an unknown name, on pixels of another shape or type, and where a collage has no ``others``.
    """
    if name not in ALTERATIONS:
        raise UsageError(f"no alteration {name!r}: choose one of {', '.join(ALTERATIONS)}")
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise UsageError(f"pixels of shape {pixels.shape}, {pixels.dtype} can't be altered: pass (H, W, 3) uint8 sRGB")
    return ALTERATIONS[name](pixels, rng_for(name, seed), others)
