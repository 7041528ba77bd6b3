"""How often geometry finds altered copies and places, calls unrelated pictures verified, and what it costs.

python -m benchmarks.verify [--model NAME] [--distractors N] [--every N] [--json FILE]
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import photographs, report
from benchmarks.retrieval import SEED, embed_all
from imgmatch.alterations import ALTERATIONS, alter
from imgmatch.cores import usable_cores
from imgmatch.features import ITEM_PX, Features, extract
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.models.base import Embedder
from imgmatch.verify import query_features, verify
from indexer.verification import VERIFY_TOP

if TYPE_CHECKING:
    from imgmatch.types import Pixels, Verification

_MIN_SIDE = ITEM_PX * 3 // 4
_UNRELATED = 20


@lru_cache(maxsize=4000)
def _features(path: Path) -> Features:
    image = next(photographs.pictures([path], _MIN_SIDE))
    return extract(image.pixels, image.upright_size_px)


def ranked(pixels: Pixels, similarities: np.ndarray, paths: Sequence[Path]) -> tuple[list[int], list[Verification]]:
    """The nearest pictures, verified ones first as in a search, and what was found of each, in the same order."""
    nearest = np.argsort(-similarities, kind="stable")[:VERIFY_TOP].tolist()
    query = query_features(pixels, (pixels.shape[1], pixels.shape[0]))
    with ThreadPoolExecutor(usable_cores()) as threads:
        found = list(threads.map(lambda i: verify(query, _features(paths[i])), nearest))
    order = sorted(range(len(nearest)), key=lambda n: (not found[n].verified, -found[n].inliers * found[n].verified))
    return [nearest[n] for n in order], [found[n] for n in order]


def copies(
    embedder: Embedder, gallery: np.ndarray, paths: Sequence[Path], houses: int, every: int
) -> dict[str, dict[str, float]]:
    """Of each alteration: recall@1 without and with verification, and the share of the true copies verified."""
    chosen = list(range(0, houses, every))
    originals = {n: next(photographs.pictures([paths[n]])).pixels for n in chosen}
    doubles = {name: {name, *(b if name == a else a for a, b in photographs.HOUSES_DOUBLES if name in (a, b))}
               for name in (paths[n].name for n in range(houses))}  # fmt: skip
    figures = {}
    for name in ALTERATIONS:
        before = after = verified = brought = 0
        for place, number in enumerate(chosen):
            others = [originals[chosen[(place + step) % len(chosen)]] for step in range(1, 5)]
            pixels = alter(name, originals[number], SEED + number, others=others)
            similarities = embed_all(embedder, [pixels])[0] @ gallery.T
            right = {n for n in range(houses) if paths[n].name in doubles[paths[number].name]}
            before += int(similarities.argmax()) in right
            order, _ = ranked(pixels, similarities, paths)
            after += order[0] in right
            brought += bool(right & set(order))
            verified += verify(query_features(pixels, pixels.shape[1::-1]), _features(paths[number])).verified
        figures[name] = {
            "recall_at_1_before": before / len(chosen),
            "recall_at_1": after / len(chosen),
            "among_candidates": brought / len(chosen),
            "true_copy_verified": verified / len(chosen),
        }
    return figures


def places(embedder: Embedder, distractors: np.ndarray, distractor_paths: Sequence[Path]) -> dict[str, float]:
    """recall@1 of each photograph of a place, the other one sought among all others and the distractors."""
    rows = photographs.places()
    paths = [path for path, _, _ in rows] + list(distractor_paths)
    vectors = embed_all(
        embedder, [i.pixels for i in photographs.pictures([r[0] for r in rows], embedder.spec.input_px)]
    )
    gallery = np.concatenate([vectors, distractors])
    before = after = verified = 0
    for number, (path, place, _) in enumerate(rows):
        similarities = vectors[number] @ gallery.T
        similarities[number] = -np.inf
        pixels = next(photographs.pictures([path], embedder.spec.input_px)).pixels
        order, found = ranked(pixels, similarities, paths)
        before += int(similarities.argmax()) < len(rows) and rows[int(similarities.argmax())][1] == place
        right = [
            n for n, other in enumerate(order) if other < len(rows) and rows[other][1] == place and other != number
        ]
        after += 0 in right
        verified += any(found[n].verified for n in right)
    count = len(rows)
    return {"queries": count, "recall_at_1_before": before / count, "recall_at_1": after / count,
            "true_place_verified": verified / count}  # fmt: skip


def unrelated(gallery: np.ndarray, paths: Sequence[Path], houses: int) -> dict[str, Any]:
    """How many of the 20 nearest room photographs of each house photograph are wrongly called verified."""
    wrong = []
    pairs = 0
    for number in range(houses):
        similarities = gallery[houses:] @ gallery[number]
        pixels = next(photographs.pictures([paths[number]])).pixels
        query = query_features(pixels, pixels.shape[1::-1])
        nearest = np.argsort(-similarities, kind="stable")[:_UNRELATED] + houses
        with ThreadPoolExecutor(usable_cores()) as threads:
            found = list(threads.map(lambda i, q=query: verify(q, _features(paths[i])), nearest.tolist()))
        pairs += len(found)
        wrong += [
            [paths[number].name, paths[i].name, v.kind, v.inliers]
            for i, v in zip(nearest.tolist(), found, strict=True)
            if v.verified
        ]
    return {"pairs": pairs, "called_verified": len(wrong), "rate": len(wrong) / pairs, "which": wrong}


def speed(paths: Sequence[Path], queries: int = 5) -> dict[str, float]:
    """Median milliseconds to read, decode and verify 50 candidates of one query, its own features included."""
    times = []
    for query in range(queries):
        chosen = paths[query * VERIFY_TOP : (query + 1) * VERIFY_TOP]
        pixels = next(photographs.pictures([paths[-1 - query]])).pixels
        started = time.perf_counter()
        made = query_features(pixels, pixels.shape[1::-1])
        with ThreadPoolExecutor(usable_cores()) as threads:
            list(threads.map(lambda path, q=made: verify(q, _features.__wrapped__(path)), chosen))
        times.append((time.perf_counter() - started) * 1000)
    return {"candidates": VERIFY_TOP, "median_ms": float(np.median(times)), "least_ms": min(times)}


def main() -> None:
    """Measure and report."""
    parser = report.parser("Verification by local features and geometry")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--distractors", type=int, default=2000, help="so many room photographs more in the gallery")
    parser.add_argument("--every", type=int, default=24, help="alter each so-manieth house photograph")
    arguments = parser.parse_args()
    embedder = load_model(arguments.model)
    houses, rooms = photographs.houses(), photographs.rooms(arguments.distractors)
    timing = speed(houses)
    side = embedder.spec.input_px
    vectors = embed_all(embedder, (image.pixels for image in photographs.pictures([*houses, *rooms], side)))
    wrong = unrelated(vectors, [*houses, *rooms], len(houses))
    place_figures = places(embedder, vectors[len(houses) :], rooms)
    copy_figures = copies(embedder, vectors, [*houses, *rooms], len(houses), arguments.every)
    columns = list(next(iter(copy_figures.values())))
    report.table("Copies", ["alteration", *columns], [[n, *f.values()] for n, f in copy_figures.items()])
    report.table("Places", list(place_figures), [list(place_figures.values())])
    report.table(
        "Unrelated pairs", ["pairs", "verified", "rate"], [[wrong["pairs"], len(wrong["which"]), wrong["rate"]]]
    )
    report.finish(
        "verify",
        {
            "model": embedder.spec.name,
            "weights_sha256": embedder.spec.weights_sha256,
            "distractors": len(rooms),
            "every": arguments.every,
            "seed": SEED,
            "speed": timing,
            "unrelated": wrong,
            "places": place_figures,
            "copies": copy_figures,
        },
        arguments.json,
    )


if __name__ == "__main__":
    main()
