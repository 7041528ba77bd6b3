"""A closer look at pairs of items: what geometry says of near-copies within a case and of links between two cases."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from imgmatch.cores import one_thread_each
from imgmatch.errors import EvidenceError
from imgmatch.match.features import QUERY_PX
from imgmatch.match.verify import QueryFeatures, query_features, verify
from imgmatch.types import Sighting, Verification
from indexer.case.case import Case
from indexer.search.verification import ItemFeatures, reread

if TYPE_CHECKING:
    from indexer.catalogue import ItemRow
    from indexer.search.groups import Compare, Link

Progress = Callable[[str, int, int], None]
# Less is a matter of rounding and of how well inliers sit.
_WHOLE = 0.95
_TURN_DEGREES = 5.0
_STRETCH = 0.08


def closer_look(case: Case) -> Compare:
    """A comparison for ``groups``: mirrored, turned, cropped, stretched, or part of a larger picture, by geometry.

    Files are read again; one that is gone is said to be.
    """
    features = ItemFeatures()
    last: dict[int, QueryFeatures] = {}

    def compare(best: ItemRow, item: ItemRow) -> Sequence[str]:
        seen = case.catalogue.sightings.of([best.item_id, item.item_id])
        try:
            if best.item_id not in last:
                last.clear()
                last[best.item_id] = _as_query(best, seen[best.item_id])
            of_item = features.of(item, seen[item.item_id])
        except EvidenceError as error:
            return (f"not looked at: {error}",)
        found = verify(last[best.item_id], of_item)
        return tuple(differences(found, (best.width_px, best.height_px), (item.width_px, item.height_px)))

    return compare


def differences(found: Verification, best_px: tuple[int, int], item_px: tuple[int, int]) -> list[str]:
    """How a copy of (width, height) ``item_px`` differs from the best one, as far as its geometry tells."""
    if found.transform is None or found.kind != "homography":
        return [found.reason] if not found.verified else [f"not one plane: {found.reason}"]
    matrix = np.array(found.transform)
    said = ["mirrored"] if found.mirrored else []
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    outline = cv2.perspectiveTransform((corners * best_px)[None], matrix)[0]
    back = cv2.perspectiveTransform((corners * item_px)[None], np.linalg.inv(matrix))[0]
    across, down = outline[1] - outline[0], outline[3] - outline[0]
    turn = float(np.degrees(np.arctan2(across[1], across[0])))
    if abs(turn) > _TURN_DEGREES:
        said.append(f"turned by {abs(turn):.0f} degrees {'clockwise' if turn > 0 else 'counter-clockwise'}")
    stretch = float(np.hypot(*across) / best_px[0] / max(np.hypot(*down) / best_px[1], 1e-9))
    if abs(np.log(max(stretch, 1e-9))) > _STRETCH:
        said.append(f"stretched: {stretch:.0%} of its width to height")
    shown = _share(back, best_px)
    if shown < _WHOLE:
        said.append(f"cropped: shows {shown:.0%} of the best one")
    covered = _share(outline, item_px)
    if covered < _WHOLE:
        said.append(f"{1 - covered:.0%} of it is something else (a border, a page, other pictures)")
    return said


def verify_links(case: Case, other: Case, found: Iterable[Link], progress: Progress | None = None) -> list[Link]:
    """Links with what geometry says of each pair: verified ones first, by inliers, the others in their order."""
    links = list(found)
    features = ItemFeatures()
    verifications: dict[int, Verification] = {}
    query: tuple[int, QueryFeatures | EvidenceError] | None = None
    # By items of ours: each is read once.
    order = sorted(range(len(links)), key=lambda n: (links[n].item.item_id, links[n].other.item_id))
    with one_thread_each():
        for done, number in enumerate(order, start=1):
            link = links[number]
            if query is None or query[0] != link.item.item_id:
                seen = case.catalogue.sightings.of([link.item.item_id])[link.item.item_id]
                query = (link.item.item_id, _or_error(link.item, seen))
            verifications[number] = _verify_link(query[1], link, other, features)
            if progress:
                progress("verify", done, len(links))
    judged = [dataclasses.replace(link, verification=verifications[n]) for n, link in enumerate(links)]

    def place(link: Link) -> tuple[bool, int]:
        good = link.verification is not None and link.verification.verified
        return not good, -link.verification.inliers if good and link.verification is not None else 0

    return sorted(judged, key=place)


def _verify_link(query: QueryFeatures | EvidenceError, link: Link, other: Case, features: ItemFeatures) -> Verification:
    try:
        if isinstance(query, EvidenceError):
            raise query
        return verify(
            query, features.of(link.other, other.catalogue.sightings.of([link.other.item_id])[link.other.item_id])
        )
    except EvidenceError as error:
        return Verification(False, "none", False, 0, 0, None, None, 0.0, f"can't be verified: {error}")


def _or_error(item: ItemRow, sightings: Sequence[Sighting]) -> QueryFeatures | EvidenceError:
    try:
        return _as_query(item, sightings)
    except EvidenceError as error:
        return error


def _as_query(item: ItemRow, sightings: Sequence[Sighting]) -> QueryFeatures:
    image = reread(item, sightings, QUERY_PX)
    return query_features(image.pixels, image.upright_size_px)


def _share(corners: np.ndarray, size_px: tuple[int, int]) -> float:
    """The share of a frame of (width, height) ``size_px`` that a convex quadrilateral covers."""
    frame = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * np.array(size_px, np.float32)
    area = cv2.intersectConvexConvex(frame, cv2.convexHull(corners.astype(np.float32)))[0]
    return float(np.clip(area / (size_px[0] * size_px[1]), 0, 1))
