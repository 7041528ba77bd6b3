"""A query and an item looked at closely: compared, drawn, saved, with a record of who looked at what."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from imgmatch.errors import EvidenceError, UsageError
from imgmatch.evidence import SourceOptions, walk
from imgmatch.evidence.read import Finder
from imgmatch.match.drawing import Heat, draw, heat_maps, hidden
from imgmatch.match.faces import hides_faces
from imgmatch.models.base import Embedder
from imgmatch.types import Image, Issue, Verification
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.index.open import CaseIndex
from indexer.index.protocol import VectorIndex
from indexer.search.query import Query, read_query
from indexer.search.request import SearchRequest
from indexer.search.verification import ItemFeatures, OneQuery


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was found: the model's cosine similarity, the verification, and whether pictures are shown as they are."""

    item_id: int
    sha256: str
    similarity: float
    verification: Verification
    revealed: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """A query and an item, looked at closely: the item's picture, the whole pictures' cosine, geometry, heat maps (None
    where the model has no cells).
    """

    sha256: str
    item: Image
    similarity: float
    verification: Verification
    heat: tuple[Heat, Heat] | None


def compare(
    use: Use,
    embedder: Embedder,
    query: Query,
    item_id: int,
    index: Callable[[], VectorIndex | None],
    known: Verification | None = None,
) -> Comparison:
    """Read an item again where it was found and compare it with a query as it was read for a search; what the query
    masks is not looked at. ``index`` gives what is searched, for the query's neighbours; ``known``: the verification of
    that search, which then is not made again.

    Raises UsageError when no such item is in the case; EvidenceError when its picture is gone or has changed.
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
    # Of the same pixels as in a search, so that both say the same.
    verification = known or OneQuery(use, ItemFeatures(finder), query, index).verify({item_id: sha256})[item_id]
    return Comparison(
        sha256,
        item,
        float(query.vector @ embedder.embed(embedder.prepare(item.pixels)[None])[0]),
        verification,
        heat_maps(embedder, query.image.pixels, item.pixels),
    )


def _index(case: Case, embedder: Embedder) -> VectorIndex | None:
    shelf = case.find_shelf(embedder.spec)
    return None if shelf is None else CaseIndex(shelf)


def explain(
    case: Case, embedder: Embedder, query: Path, item_id: int, output: Path, *, reveal: bool = False
) -> Explanation:
    """Write a PNG that shows why ``query`` and an item match; ``reveal`` shows the pictures without hiding anything.

    Raises UsageError when the query or the output can't be used or no such item is in the case; EvidenceError when the
    item's picture is gone or has changed.
    """
    limits = case.limits
    found = list(walk(query, options=SourceOptions(frames=False, limits=limits.source)))
    if len(found) != 1:
        raise UsageError(f"{query}: holds {len(found)} files; give one picture")
    read = read_query(found[0], embedder, SearchRequest(regions=False, verify_top=0), limits)
    if isinstance(read, Issue):
        raise UsageError(f"{query}: {read.message}; give a picture that can be read")
    subject = {"query": str(read.locator), "query_sha256": read.sha256, "item_id": item_id}
    arguments = {"reveal": reveal, "output": str(output)}
    # Recorded before anything is shown: use that leaves no trace is none.
    with case.use("explain", arguments=arguments, subject=subject, model=embedder.spec) as use:
        compared = compare(use, embedder, read, item_id, lambda: _index(case, embedder))
        verification, similarity = compared.verification, compared.similarity
        use.entry.subject = {**subject, "item_sha256": compared.sha256}
        use.entry.details = {"similarity": round(similarity, 6), "verified": verification.verified}
        use.entry.counts = {"tentative": verification.tentative, "inliers": verification.inliers}
    item = compared.item
    seen = (read.image.pixels, item.pixels)
    shown = seen if reveal else (hidden(seen[0]), hidden(seen[1]))
    picture = draw(
        *shown,
        verification,
        compared.heat,
        _lines(case, embedder, query, item_id, similarity, verification, reveal),
        (read.image.upright_size_px, item.upright_size_px),
    )
    try:
        with tempfile.NamedTemporaryFile(dir=output.parent, suffix=".png", delete=False) as file:
            draft = Path(file.name)
            try:
                picture.save(file, format="PNG")
            except BaseException:
                draft.unlink()
                raise
        os.replace(draft, output)
    except OSError as error:
        raise UsageError(f"{output}: can't be written ({error.strerror}); choose another place for --output") from error
    return Explanation(item_id, compared.sha256, round(similarity, 6), verification, reveal)


def _lines(
    case: Case,
    embedder: Embedder,
    query: Path,
    item_id: int,
    similarity: float,
    verification: Verification,
    reveal: bool,
) -> list[str]:
    numbers = f"{verification.tentative} pairs of points, {verification.inliers} agree"
    if verification.error_px is not None:
        numbers += f", median error {verification.error_px:.1f} px of the item"
    if verification.verified:
        numbers += f", {verification.overlap:.0%} of the item covered"
    legend = (
        ["green: where the one picture lies in the other; orange: points that agree"] if verification.verified else []
    )
    return [
        f"{query.name.encode('ascii', 'backslashreplace').decode()} and item {item_id} of {case.path.name}",
        verification.reason,
        numbers,
        *legend,
        f"cosine similarity {similarity:.4f} by {embedder.spec.name}; the heat maps are an approximate split of it",
        "Shown as found." if reveal else f"Pictures are coarsened, {_strongly()} strongly; --reveal shows them.",
        "A lead for an examiner, never a verdict.",
    ]


def _strongly() -> str:
    return "faces and what lies below them" if hides_faces() else "skin-coloured parts"
