"""Near-copies within a case and links between two, as an examiner asks for them: with a closer look at each pair, by
geometry, where that is wanted.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from imgmatch.cores import one_thread_each
from imgmatch.errors import EvidenceError, UsageError
from imgmatch.evidence.read import Finder
from imgmatch.match.copies import COPY_SIMILARITY
from imgmatch.match.features import QUERY_PX
from imgmatch.match.verify import QueryFeatures, query_features, verify
from imgmatch.types import Decision, ModelSpec, Sighting, Verification
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.catalogue.decisions import standing_of
from indexer.index.protocol import Progress
from indexer.search.background import Background, check_limit
from indexer.search.copies import Copies
from indexer.search.groups import LINK_SIMILARITY, LINKS, Compare, Group, Link, NearestLinks, groups, links, rated
from indexer.search.hashes import pdq_links
from indexer.search.order import standing
from indexer.search.verification import ItemFeatures, unverified

if TYPE_CHECKING:
    from indexer.catalogue import ItemRow

# Less is a matter of rounding and of how well inliers sit.
_WHOLE = 0.95
_TURN_DEGREES = 5.0
_STRETCH = 0.08


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """What is asked of two cases: items that are at least so alike, the ``top`` nearest, verified by geometry or not,
    and none with a false-match rate above ``max_fmr``.
    """

    least: float = LINK_SIMILARITY
    top: int = LINKS
    verify: bool = False
    max_fmr: float | None = None


def find_groups(
    case: Case,
    spec: ModelSpec,
    least: float = COPY_SIMILARITY,
    *,
    verify: bool = False,
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> Iterator[Group]:
    """The near-copies within a case, as ``groups``; with ``verify`` it is said how they differ. ``warn`` is told of
    pairs that can't be looked at. Recorded, before and after.
    """
    shown = {"groups": 0, "members": 0, "unseen": 0}
    with case.use("groups", arguments={"least": least, "verify": verify}, model=spec, ends="groups_shown") as use:
        use.entry.counts = shown
        copies = Copies(use)
        compare = closer_look(use) if verify else None
        for group in groups(use, spec, copies.told, least, compare=compare, progress=progress):
            shown["groups"] += 1
            shown["members"] += len(group.members)
            yield group
        shown["unseen"] = copies.unseen
    if copies.unseen and warn:
        warn(f"{copies.unseen:,} pairs that are alike could not be looked at: their pictures can't be read again")


def find_links(
    case: Case,
    other: Case,
    spec: ModelSpec,
    request: LinkRequest = LinkRequest(),
    *,
    opened_from: str | os.PathLike[str],
    background: Background | None = None,
    progress: Progress | None = None,
) -> tuple[list[Link], int]:
    """The nearest links to another case, which was ``opened_from`` its folder or a pack and is only read; and how many
    there are in all, about: what is further apart than so many others is counted unread, and no index is asked for it.
    Recorded before they are given.

    Raises UsageError when both are one case, and when the false-match rate that is asked for can't be shown.
    """
    about = other.catalogue.meta.all()
    if case.catalogue.meta.all().get("case_id") == about.get("case_id"):
        raise UsageError(
            f"{opened_from}: is the same case as {case.path}; near-copies within one: imgmatch groups {case.path}"
        )
    by_pdq, anonymous = "pack_pdq" in about, "pack_anonymous" in about
    if by_pdq and request.max_fmr is not None:
        raise UsageError(
            f"{opened_from}: holds PDQ hashes alone, of which no false-match rate is known; leave out --max-fmr"
        )
    if anonymous and request.verify:
        raise UsageError(f"{opened_from}: its items have numbers alone, there is nothing to verify; leave out --verify")
    check_limit(case, background, request.max_fmr)
    other.asked = case.asked
    arguments = dataclasses.asdict(request)
    subject: dict[str, Any] = {"other": os.fspath(opened_from), "other_case_id": about.get("case_id")}
    if "pack_sha256" in about:
        subject["pack_sha256"] = about["pack_sha256"]
    else:
        head = other.log.head()
        subject |= {"other_log_entries": head.entry, "other_log_sha256": head.sha256}
    with case.use("link", arguments=arguments, subject=subject, model=None if by_pdq else spec) as use:
        theirs = other.beside(use)
        nearest = NearestLinks(request.top)
        streamed = (
            pdq_links(use, theirs, request.least, progress)
            if by_pdq
            else links(
                use,
                theirs,
                spec,
                request.least,
                background=background,
                max_fmr=request.max_fmr,
                wanted=nearest,
                progress=progress,
            )
        )
        found = nearest.take(streamed)
        if not by_pdq:
            found = rated(use, theirs, spec, found, background)
        if request.verify:
            found = verify_links(use, theirs, found, progress)
        found = _known(use, theirs, found)
        if anonymous:  # what stands in place of their contents says nothing
            found = [replace(link, other=link.other._replace(sha256="", md5="")) for link in found]
        use.entry.counts = {"links": len(found)}
    return found, nearest.count


def _known(use: Use, theirs: Use, found: Sequence[Link]) -> list[Link]:
    """Links with their labels, and with what stands of them by the decisions of both cases."""
    labels = use.catalogue.labels.of(link.item.item_id for link in found)
    labels_there = theirs.catalogue.labels.of(link.other.item_id for link in found)
    decided = standing_in(use, theirs)

    def known(link: Link) -> Link:
        one, other = sorted((link.item.sha256, link.other.sha256))
        of = labels[link.item.item_id], labels_there[link.other.item_id]
        said = ["; ".join(columns.get("label", ())) for columns in of]
        return replace(link, labels=(said[0], said[1]), decision=decided.get((one, other)))

    return [known(link) for link in found]


def standing_in(use: Use, *others: Use) -> dict[tuple[str, str], Decision]:
    """What stands of pairs of contents (the lower SHA-256 first) by the decisions of several cases together; of the
    first it is whether two examiners must agree.
    """
    pairs = use.catalogue.decisions.pairs()
    for other in others:
        for pair, rows in other.catalogue.decisions.pairs().items():
            pairs[pair] = sorted([*pairs.get(pair, ()), *rows], key=lambda row: row.decided_utc)
    second_reader = use.catalogue.decisions.second_reader()
    found = {pair: standing_of(rows, second_reader) for pair, rows in pairs.items()}
    return {pair: stands for pair, stands in found.items() if stands is not None}


def closer_look(use: Use) -> Compare:
    """A comparison for ``groups``: mirrored, turned, cropped, stretched, or part of a larger picture, by geometry.

    Files are read again; one that is gone is said to be.
    """
    finder = Finder(use.limits)
    features = ItemFeatures(finder)
    last: dict[int, QueryFeatures] = {}

    def compare(best: ItemRow, item: ItemRow) -> Sequence[str]:
        seen = use.catalogue.sightings.of([best.item_id, item.item_id])
        try:
            if best.item_id not in last:
                last.clear()
                last[best.item_id] = _as_query(best, seen[best.item_id], finder)
            of_item = features.of(item.sha256, seen[item.item_id])
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


def verify_links(use: Use, other: Use, found: Iterable[Link], progress: Progress | None = None) -> list[Link]:
    """Links with what geometry says of each pair, in their order (``indexer.search.order``)."""
    links = list(found)
    finder, features = Finder(use.limits), ItemFeatures(Finder(other.limits))
    verifications: dict[int, Verification] = {}
    query: tuple[int, QueryFeatures | EvidenceError] | None = None
    # By items of ours: each is read once.
    order = sorted(range(len(links)), key=lambda n: (links[n].item.item_id, links[n].other.item_id))
    with one_thread_each():
        for done, number in enumerate(order, start=1):
            link = links[number]
            if query is None or query[0] != link.item.item_id:
                seen = use.catalogue.sightings.of([link.item.item_id])[link.item.item_id]
                query = (link.item.item_id, _or_error(link.item, seen, finder))
            verifications[number] = _verify_link(query[1], link, other, features)
            if progress:
                progress("verify", done, len(links))
    return sorted((replace(link, verification=verifications[n]) for n, link in enumerate(links)), key=standing)


def _verify_link(query: QueryFeatures | EvidenceError, link: Link, other: Use, features: ItemFeatures) -> Verification:
    if isinstance(query, EvidenceError):
        return unverified(query)
    sightings = other.catalogue.sightings.of([link.other.item_id])[link.other.item_id]
    return features.verify(query, link.other.sha256, sightings)


def _or_error(item: ItemRow, sightings: Sequence[Sighting], finder: Finder) -> QueryFeatures | EvidenceError:
    try:
        return _as_query(item, sightings, finder)
    except EvidenceError as error:
        return error


def _as_query(item: ItemRow, sightings: Sequence[Sighting], finder: Finder) -> QueryFeatures:
    image = finder.image(item.sha256, (s.locator for s in sightings), QUERY_PX)
    return query_features(image.pixels, image.upright_size_px)


def _share(corners: np.ndarray, size_px: tuple[int, int]) -> float:
    """The share of a frame of (width, height) ``size_px`` that a convex quadrilateral covers."""
    frame = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * np.array(size_px, np.float32)
    area = cv2.intersectConvexConvex(frame, cv2.convexHull(corners.astype(np.float32)))[0]
    return float(np.clip(area / (size_px[0] * size_px[1]), 0, 1))
