"""Seeded alterations of pictures: what happens to a photograph between two devices.

Every alteration is a pure function ``(pixels, rng, parameters) -> pixels`` over (H, W, 3) uint8 sRGB arrays: the same
pixels and the same generator state give the same bytes, the input is never written to, and any size down to one pixel
is accepted. Lengths are shares of the picture, so that an alteration is as strong on a thumbnail as on a photograph.

``ALTERATIONS`` is the fixed table that benchmarks, the demo and training share; ``alter`` applies one by name. Their
kinds follow INRIA Copydays (Douze et al., CIVR 2009), DISC21 (arXiv 2106.09672) and AugLy (arXiv 2201.06494).
"""

from imgmatch.lab.alterations.collages import collage, paste_into
from imgmatch.lab.alterations.geometry import crop_area, mirror, rotate
from imgmatch.lab.alterations.light import colour, grey, photo_filter
from imgmatch.lab.alterations.people import person, person_mask
from imgmatch.lab.alterations.table import ALTERATIONS, Alteration, alter, chain, fixed, rng_for

__all__ = [
    "ALTERATIONS",
    "Alteration",
    "alter",
    "chain",
    "collage",
    "colour",
    "crop_area",
    "fixed",
    "grey",
    "mirror",
    "paste_into",
    "person",
    "person_mask",
    "photo_filter",
    "rng_for",
    "rotate",
]
