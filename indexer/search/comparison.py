"""A query and an item looked at closely: compared, drawn, saved, with a record of who looked at what."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.errors import EvidenceError, UsageError
from imgmatch.evidence import SourceOptions, walk
from imgmatch.evidence.read import Finder
from imgmatch.match.drawing import Heat, draw, heat_maps, hidden, several
from imgmatch.match.faces import hides_faces
from imgmatch.match.strength import strength
from imgmatch.models.base import Embedder
from imgmatch.types import Image, Issue, Match, Verification
from indexer.case.case import Case
from indexer.case.handed import handed_out
from indexer.case.use import Use
from indexer.index.protocol import VectorIndex
from indexer.search.background import background
from indexer.search.nearest import nearest
from indexer.search.query import Query
from indexer.search.request import ANYTHING, SearchRequest
from indexer.search.searcher import Searcher
from indexer.search.verification import ItemFeatures, verified_first

if TYPE_CHECKING:
    from imgmatch.models.xfeat.matcher import Matcher


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was found: the match as a search finds it, and whether pictures are shown as they are."""

    match: Match
    verification: Verification
    revealed: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """A query and an item, looked at closely: the ``match`` that a search makes of them, not judged nor described; the
    item's picture, geometry, heat maps of the whole pictures (None where the model has no cells).
    """

    match: Match
    item: Image
    verification: Verification
    heat: tuple[Heat, Heat] | None

    @property
    def sha256(self) -> str:
        """Of the item's content."""
        return self.match.sha256


def compare(
    use: Use,
    embedder: Embedder,
    query: Query,
    item_id: int,
    index: Callable[[], VectorIndex | None],
    known: Verification | None = None,
    matcher: Matcher | None = None,
) -> Comparison:
    """Read an item again where it was found and compare it with a query as it was read for a search; what the query
    masks is not looked at. ``index`` gives what is searched, for the query's neighbours; ``known``: the verification of
    that search, which then is not made again; ``matcher``: learned points are asked too.

    Raises UsageError when no such item is in the case, or the model has not read it; EvidenceError when its picture is
    gone or has changed.
    """
    items = use.catalogue.items.by_id([item_id])
    if item_id not in items:
        raise UsageError(f"{item_id}: no such item in {use.path}; give an item_id that imgmatch search prints")
    try:
        sightings = use.catalogue.sightings.of([item_id])[item_id]
        sha256 = items[item_id].sha256
        finder = Finder(use.limits)
        item = finder.image(sha256, (s.locator for s in sightings), embedder.spec.input_px)
    except EvidenceError as error:
        raise EvidenceError(
            error.kind, f"item {item_id} can't be shown: {error}; bring its files back to their place"
        ) from error
    searched = index()
    match = pair(use, embedder, query, item_id, searched)
    if known is None:  # of the same pixels as in a search, so that both say the same
        (match,) = verified_first(use, ItemFeatures(finder, embedder, matcher), query, searched, [match])
    else:
        match = replace(match, verification=known)
    assert match.verification is not None
    return Comparison(match, item, match.verification, heat_maps(embedder, query.image.pixels, item.pixels))


def pair(use: Use, embedder: Embedder, query: Query, item_id: int, index: VectorIndex | None) -> Match:
    """The score of a query and one item, with the parts that made it: what a search of the whole case says of them.

    Raises UsageError when the model has not read the item.
    """
    rows = use.shelf(embedder.spec).vectors_of([item_id]) if index is not None else []
    found = nearest(use, index, query, 1, np.array([row[1] for row in rows], np.int64)) if index and rows else []
    if not found:
        raise UsageError(f"{item_id}: {embedder.spec.name} has not read this item; run imgmatch ingest again")
    return found[0]


def explain(
    case: Case,
    embedder: Embedder,
    query: Path,
    item_id: int,
    output: Path,
    request: SearchRequest = ANYTHING,
    *,
    matcher: Matcher | None = None,
    reveal: bool = False,
) -> Explanation:
    """Write a PNG that shows why ``query`` and an item match; ``reveal`` shows the pictures without hiding anything.
    ``request`` leaves out parts of the query, and says whether its regions are searched, as it does in a search: the
    match is the same.

    Raises UsageError when the query can't be used, the output is there already or can't be written, or no such item is
    in the case; EvidenceError when the item's picture is gone or has changed.
    """
    if os.path.lexists(output):
        raise UsageError(f"{output}: exists already; nothing is overwritten, give a new file")
    limits = case.limits
    found = list(walk(query, options=SourceOptions(frames=False, limits=limits.source)))
    if len(found) != 1:
        raise UsageError(f"{query}: holds {len(found)} files; give one picture")
    searcher = Searcher(case, embedder, background=background(case, embedder.spec), matcher=matcher)
    read = searcher.read(found[0], request)
    if isinstance(read, Issue):
        raise UsageError(f"{query}: {read.message}; give a picture that can be read")
    subject = {"query": str(read.locator), "query_sha256": read.sha256, "item_id": item_id}
    arguments = {**request.arguments(), **searcher.asks(), "reveal": reveal, "output": str(output)}
    # Recorded before anything is shown: use that leaves no trace is none.
    with case.use("explain", arguments=arguments, subject=subject, model=embedder.spec) as use:
        compared = compare(use, embedder, read, item_id, lambda: searcher.index, matcher=matcher)
        (match,) = searcher.describe(use, read, searcher.judge(read, [compared.match], request))
        verification = compared.verification
        use.entry.subject = {**subject, "item_sha256": match.sha256}
        use.entry.details = {"score": round(match.score, 6), "verified": verification.verified}
        use.entry.counts = {"tentative": verification.tentative, "inliers": verification.inliers}
        item = compared.item
        seen = (read.image.pixels, item.pixels)
        shown = seen if reveal else (hidden(seen[0]), hidden(seen[1]))
        picture = draw(
            *shown,
            verification,
            compared.heat,
            _lines(case, embedder, query, match, verification, reveal),
            (read.image.upright_size_px, item.upright_size_px),
        )
        made = io.BytesIO()
        picture.save(made, format="PNG")
        use.handed_out = handed_out("explain", output, made)
    try:
        with tempfile.NamedTemporaryFile(dir=output.parent, suffix=".png", delete=False) as file:
            draft = Path(file.name)
            try:
                file.write(made.getvalue())
            except BaseException:
                draft.unlink()
                raise
        os.replace(draft, output)
    except OSError as error:
        raise UsageError(f"{output}: can't be written ({error.strerror}); choose another place for --output") from error
    return Explanation(match, verification, reveal)


def _lines(
    case: Case, embedder: Embedder, query: Path, match: Match, verification: Verification, reveal: bool
) -> list[str]:
    numbers = f"{verification.tentative} pairs of points, {verification.inliers} agree"
    if verification.error_px is not None:
        numbers += f", median error {verification.error_px:.1f} px of the item"
    if verification.verified:
        numbers += f", {verification.overlap:.0%} of the item covered"
    legend = []
    if verification.verified:
        colours = "; each surface has a colour of its own" if several(verification) else ""
        legend = [f"green: where the one picture lies in the other; orange: points that agree{colours}"]
    return [
        f"{query.name.encode('ascii', 'backslashreplace').decode()} and item {match.item_id} of {case.path.name}",
        f"{strength(match)}; score {match.score:.4f} by {embedder.spec.name}{_parts(match)}",
        verification.reason,
        numbers,
        *legend,
        "The heat maps split the likeness of the whole pictures over them, approximately.",
        "Shown as found." if reveal else f"Pictures are coarsened, {_strongly()} strongly; --reveal shows them.",
        "A lead for an examiner, never a verdict.",
    ]


def _strongly() -> str:
    return "faces and what lies below them" if hides_faces() else "skin-coloured parts"


def _parts(match: Match) -> str:
    """Which parts made the score, where it was not the whole pictures."""
    met = match.candidates[0]
    boxes = (("query", met.query_region_px), ("item", met.region_px))
    said = [f"{','.join(map(str, box))} of the {name}" for name, box in boxes if box is not None]
    return f", made by {' and '.join(said)}" if said else ""
