"""The third stage of ingest: new pictures through the network, some at a time, all files in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from imgmatch.errors import EvidenceError, MachineError
from imgmatch.evidence.read import only_this_file
from imgmatch.match.regions import read_regions
from imgmatch.models.base import Embedder
from imgmatch.types import Issue
from indexer.intake.outcomes import Failed, Known, New, Outcome, Prepared

if TYPE_CHECKING:
    from imgmatch.types import Vector

# Pictures that go through the network together. More gains nothing on a CPU and costs memory.
EMBED_BATCH = 16
_REMEMBERED = 65_536

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def until_a_fault(inputs: Iterable[_In], faults: list[MachineError]) -> Iterator[_In]:
    """Inputs, up to where this machine fails; its fault goes into ``faults``, so that what came before is not lost."""
    try:
        yield from inputs
    except MachineError as fault:
        faults.append(fault)


def unique(read: Iterable[Prepared | Outcome]) -> Iterator[Prepared | Outcome]:
    """Content met twice before its first commit is embedded once; the second is a further sighting."""
    recent: dict[str, None] = {}
    for one in read:
        # What was embedded elsewhere, or could not be, is new too.
        if isinstance(one, Prepared | New) or (isinstance(one, Failed) and one.issue.stage == "embed"):
            assert one.evidence is not None
            assert one.digests is not None
            sha256 = one.digests.sha256
            if sha256 in recent:
                yield Known(one.evidence, one.digests)
                continue
            recent[sha256] = None
            if len(recent) > _REMEMBERED:  # long committed by then: the catalogue knows those
                del recent[next(iter(recent))]
        yield one


def grouped(read: Iterable[Prepared | Outcome], size: int) -> Iterator[list[Prepared | Outcome]]:
    """Groups that hold ``size`` new pictures each, known files and issues along with them in their place."""
    group: list[Prepared | Outcome] = []
    new = 0
    for one in read:
        group.append(one)
        new += isinstance(one, Prepared | New)
        if new >= size or len(group) >= 16 * size:
            yield group
            group, new = [], 0
    if group:
        yield group


def embed(group: Sequence[Prepared | Outcome], embedder: Embedder) -> list[Outcome]:
    """A group whose new pictures are embedded. Runs in an embedder thread."""
    new = [one for one in group if isinstance(one, Prepared)]
    vectors = iter(embedder.embed(np.stack([one.pixels for one in new])) if new else ())
    return [_embedded(one, next(vectors), embedder) if isinstance(one, Prepared) else one for one in group]


def _embedded(one: Prepared, vector: Vector, embedder: Embedder) -> New | Failed:
    regions = None
    if one.larger is not None:
        try:
            with only_this_file(one.evidence.locator, "embed"):
                regions = read_regions(one.larger, embedder)
        except EvidenceError as error:
            return Failed(Issue.of(one.evidence.locator, error), one.evidence, one.digests, damage=one.damage)
    return New(one.evidence, one.digests, one.image, one.facts, one.deepens, vector, regions, one.damage, one.faces)


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[_In], _Out], inputs: Iterable[_In], in_flight: int
) -> Iterator[_Out]:
    """Like ``pool.map``, but takes inputs only as results are used: at most ``in_flight`` at a time."""
    waiting: deque[Future[_Out]] = deque()
    try:
        for item in inputs:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= in_flight:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
