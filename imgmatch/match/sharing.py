"""What many pictures of a case share with a query at one place of it, while the rest of them differs, is a template's,
photographs in it included: as a word in every document tells none of them from the others, it weighs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from imgmatch.match import overlay
from imgmatch.match.features import Features
from imgmatch.match.verify import QueryFeatures, verify, without
from imgmatch.types import Verification

Flags = npt.NDArray[np.bool_]

NEIGHBOURS = 24
"""So many of the pictures nearest to a query are asked what they share with it, whatever a search is asked for."""
MANY = 8
"""What so many of them share weighs nothing."""
_AROUND = 0.03
"""A point speaks for what lies so near it, of the query's longer side."""


@dataclass(frozen=True, slots=True)
class Look:
    """What geometry says of a query and an item by themselves. ``in_question``: a template may be all that verifies
    them (neither copies, where all agrees, nor views of one place, where photographs agree with nothing drawn around
    them). ``copy``: nothing of what both show differs.
    """

    found: Verification
    in_question: bool = False
    copy: bool = False


def look(query: QueryFeatures, item: Features) -> Look:
    """Verify an item, and compare what the plane that verifies it lays one over the other."""
    found = verify(query, item)
    if found.transform is None or found.kind == "epipolar":
        return Look(found)
    reading = query.mirrored if found.mirrored else query.upright
    to_item = np.diag([1 / item.scale[0], 1 / item.scale[1], 1.0])
    matrix = to_item @ np.array(found.transform) @ np.diag([*reading.scale, 1.0])
    seen = overlay.overlay(matrix, reading, item)
    return Look(found, seen.framed, seen.agreeing >= overlay.NEARLY)


def shared(query: QueryFeatures, neighbours: Iterable[Look]) -> Flags | None:
    """Which part of a query (h, w) ``MANY`` of its neighbours share; None: no part. Copies of the query share all of
    it, and are not counted.
    """
    height, width = query.upright.grey.shape
    count, around = np.zeros((height, width), np.uint8), round(_AROUND * max(height, width))
    for neighbour in neighbours:
        if not neighbour.copy:
            part = np.zeros((height, width), np.uint8)
            for x, y, *_ in neighbour.found.lines:
                place = (round(x / query.upright.scale[0]), round(y / query.upright.scale[1]))
                cv2.circle(part, place, around, 1, -1)
            count += part
    many: Flags = count >= MANY
    return many if many.any() else None


def by_the_rest(query: QueryFeatures, left_out: Flags, item: Features, found: Verification) -> Verification:
    """What geometry says of a pair in question once what many pictures share is left out of the query."""
    rest = verify(without(query, left_out), item)
    if rest.verified:
        return rest
    reason = f"not verified: it agrees in what {MANY} or more pictures near to the query share, and the rest differs"
    return replace(
        found,
        verified=False,
        kind="none",
        transform=None,
        overlap=0.0,
        reason=reason,
        outline=(),
        void=True,
        surfaces=(),
    )
