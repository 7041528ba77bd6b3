"""How often geometry finds altered copies, places and rooms, calls unrelated pictures verified, and what it costs.

python -m benchmarks.verify [--model NAME] [--parts A,B] [--hard N] [--queries N] [--every N] [--hotels DIR] [--top N]
                            [--json FILE]

Each part, and each alteration, is written to FILE as soon as it is done; parts that are not asked for stay as FILE has
them, and alterations that FILE has already, of as many queries among as many photographs, are not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import photographs, report
from benchmarks.retrieval import SEED, embed_all
from imgmatch.cores import one_thread_each, usable_cores
from imgmatch.lab.alterations import ALTERATIONS, alter
from imgmatch.match.features import ITEM_PX, Features, extract
from imgmatch.match.interval import clopper_pearson
from imgmatch.match.verify import query_features, verify
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.models.base import Embedder
from imgmatch.picture.image import decode
from indexer.search.verification import VERIFY_TOP

if TYPE_CHECKING:
    from imgmatch.types import Pixels, Verification

PARTS = ("speed", "unrelated", "places", "rooms", "copies")
_MIN_SIDE = ITEM_PX * 3 // 4
_UNRELATED = 20


class Gallery:
    """What is searched: (n, dim) vectors, and the picture of each (a file, or pixels), read when it is a candidate."""

    def __init__(self, vectors: np.ndarray, pictures: Sequence[Path | Pixels], top: int) -> None:
        self.vectors, self._pictures, self._top = vectors, pictures, top

    def features(self, number: int) -> Features:
        """Local features as a search reads them."""
        picture = self._pictures[number]
        return _features(picture) if isinstance(picture, Path) else of_pixels(picture)

    def ranked(self, pixels: Pixels, similarities: np.ndarray) -> tuple[list[int], list[Verification]]:
        """The nearest pictures, verified ones first as in a search, and what was found of each, in the same order."""
        nearest = np.argsort(-similarities, kind="stable")[: self._top].tolist()
        found = verified(pixels, [partial(self.features, n) for n in nearest])
        order = sorted(
            range(len(nearest)), key=lambda n: (not found[n].verified, -found[n].inliers * found[n].verified)
        )
        return [nearest[n] for n in order], [found[n] for n in order]


@lru_cache(maxsize=4000)
def _features(path: Path) -> Features:
    image = next(photographs.pictures([path], _MIN_SIDE))
    return extract(image.pixels, image.upright_size_px)


def of_pixels(pixels: Pixels) -> Features:
    """Features of a picture as it is."""
    return extract(pixels, (pixels.shape[1], pixels.shape[0]))


def verified(pixels: Pixels, candidates: Sequence[Callable[[], Features]]) -> list[Verification]:
    """What geometry says of a query and each candidate."""
    query = query_features(pixels, (pixels.shape[1], pixels.shape[0]))
    with one_thread_each(), ThreadPoolExecutor(usable_cores()) as threads:
        return list(threads.map(lambda features: verify(query, features()), candidates))


def copies(
    embedder: Embedder, gallery: Gallery, paths: Sequence[Path], every: int, done: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Adds to ``done``, and gives it after each alteration: recall@1 before and after, true copies verified.

    ``paths`` are the house photographs, with which the gallery begins. The photographs around an inset are in the query
    as well, and rightly found: they are left out of its gallery.
    """
    chosen = list(range(0, len(paths), every))
    originals = {n: next(photographs.pictures([paths[n]])).pixels for n in chosen}
    doubles = dict(photographs.HOUSES_DOUBLES) | {b: a for a, b in photographs.HOUSES_DOUBLES}
    names = [path.name for path in paths]
    for name in ALTERATIONS:
        if name in done:
            continue
        before = after = true_verified = brought = 0
        for place, number in enumerate(chosen):
            around = [chosen[(place + step) % len(chosen)] for step in range(1, 5)]
            pixels = alter(name, originals[number], SEED + number, others=[originals[n] for n in around])
            similarities = embed_all(embedder, [pixels])[0] @ gallery.vectors.T
            right = {number, *(names.index(d) for d in [doubles.get(names[number])] if d)}
            if name.endswith("_inset"):
                similarities[[n for n in around if n not in right]] = -np.inf
            before += int(similarities.argmax()) in right
            order, found = gallery.ranked(pixels, similarities)
            after += order[0] in right
            brought += bool(right & set(order))
            if number in order:
                true_verified += found[order.index(number)].verified
            else:
                true_verified += verified(pixels, [partial(gallery.features, number)])[0].verified
        done[name] = {
            "recall_at_1_before": before / len(chosen),
            "recall_at_1": after / len(chosen),
            "among_candidates": brought / len(chosen),
            "true_copy_verified": true_verified / len(chosen),
        }
        print(name, done[name], flush=True)
        yield done


def places(embedder: Embedder, hard: Gallery, paths: Sequence[Path], top: int) -> dict[str, float]:
    """recall@1 of each photograph of a place, the other one sought among all others and the hard photographs."""
    rows = photographs.places()
    vectors = embed_all(
        embedder, [i.pixels for i in photographs.pictures([r[0] for r in rows], embedder.spec.input_px)]
    )
    gallery = Gallery(np.concatenate([vectors, hard.vectors]), [*(r[0] for r in rows), *paths], top)
    before = after = true_verified = mirrored = 0
    for number, (path, place, _) in enumerate(rows):
        similarities = vectors[number] @ gallery.vectors.T
        similarities[number] = -np.inf
        order, found = gallery.ranked(next(photographs.pictures([path])).pixels, similarities)
        is_right = [other < len(rows) and rows[other][1] == place for other in range(len(gallery.vectors))]
        before += is_right[int(similarities.argmax())]
        after += is_right[order[0]]
        right = [v for other, v in zip(order, found, strict=True) if is_right[other]]
        true_verified += any(v.verified for v in right)
        mirrored += any(v.verified and v.mirrored for v in right)
    count = len(rows)
    return {
        "queries": count,
        "recall_at_1_before": before / count,
        "recall_at_1": after / count,
        "true_place_verified": true_verified / count,
        "called_mirrored": mirrored / count,
    }


def rooms(embedder: Embedder, hard: Gallery, paths: Sequence[Path], top: int, collection: Path) -> dict[str, Any]:
    """recall@1 of rendered rooms: another viewpoint with a person in front, sought among one view of each room, all
    other rooms of the same hotels, and the hard photographs.
    """
    found_rooms = photographs.rendered_rooms(collection)
    count = len(found_rooms)
    stored = [first.pixels() for first, _ in found_rooms]
    asked = [alter("person", other.pixels(), SEED + number) for number, (_, other) in enumerate(found_rooms)]
    gallery = Gallery(np.concatenate([embed_all(embedder, stored), hard.vectors]), [*stored, *paths], top)
    vectors = embed_all(embedder, asked)
    before = after = brought = true_verified = 0
    wrong = []
    for number, pixels in enumerate(asked):
        similarities = vectors[number] @ gallery.vectors.T
        order, found = gallery.ranked(pixels, similarities)
        before += int(similarities.argmax()) == number
        after += order[0] == number
        brought += number in order
        true_verified += any(v.verified for other, v in zip(order, found, strict=True) if other == number)
        wrong += [
            [number, other if other < count else "photograph", v.kind, v.inliers]
            for other, v in zip(order, found, strict=True)
            if v.verified and other != number
        ]
    return {
        "queries": count,
        "hotels": len({first.hotel for first, _ in found_rooms}),
        "recall_at_1_before": before / count,
        "recall_at_1": after / count,
        "among_candidates": brought / count,
        "true_room_verified": true_verified / count,
        "other_rooms_verified": wrong,
    }


def unrelated(hard: Gallery, paths: Sequence[Path], queries: Sequence[Path], vectors: np.ndarray) -> dict[str, Any]:
    """How many of the 20 nearest bathrooms, kitchens and bedrooms of each such photograph are wrongly called verified.

    Pairs that were looked at and show one thing twice (``photographs.DOUBLES``) are no wrong ones, and count apart.
    """
    doubles = {frozenset(pair) for pair in photographs.DOUBLES}
    wrong: list[list[Any]] = []
    true: list[list[Any]] = []
    pairs = 0
    for path, vector in zip(queries, vectors, strict=True):
        nearest = np.argsort(-(hard.vectors @ vector), kind="stable")[:_UNRELATED].tolist()
        pixels = next(photographs.pictures([path])).pixels
        found = verified(pixels, [partial(hard.features, n) for n in nearest])
        pairs += len(found)
        for number, verification in zip(nearest, found, strict=True):
            if verification.verified:
                names = [photographs.name(path), photographs.name(paths[number])]
                entry = [*names, verification.kind, verification.inliers, verification.mirrored]
                (true if frozenset(names) in doubles else wrong).append(entry)
    pairs -= len(true)
    _, upper = clopper_pearson(np.array([float(len(wrong))]), np.array([float(pairs)]))
    return {
        "queries": len(queries),
        "pairs": pairs,
        "called_verified": len(wrong),
        "rate": len(wrong) / pairs,
        "upper_95": float(upper[0]),
        "which": wrong,
        "true_doubles": true,
    }


def speed(paths: Sequence[Path], queries: int = 5) -> dict[str, float]:
    """Seconds to read, decode and verify 50 candidates of one query, its own features included: the median of queries.

    ``cpu_s`` is the time of all threads, which on quiet cores is at most the number of cores times ``wall_s``.
    """
    wall, used = [], []
    for query in range(queries):
        chosen = paths[query * VERIFY_TOP % (len(paths) - VERIFY_TOP) :][:VERIFY_TOP]
        data = paths[-1 - query].read_bytes()
        started, cpu = time.perf_counter(), time.process_time()
        verified(decode(data, min_side_px=512).pixels, [partial(_features.__wrapped__, path) for path in chosen])
        wall.append(time.perf_counter() - started)
        used.append(time.process_time() - cpu)
    return {
        "candidates": VERIFY_TOP,
        "cpu_s": round(float(np.median(used)), 3),
        "wall_s": round(float(np.median(wall)), 3),
        "least_wall_s": round(min(wall), 3),
        "load": report.load(),
    }


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    parts = arguments.parts.split(",")
    embedder = load_model(arguments.model)
    figures: dict[str, Any] = {
        "model": embedder.spec.name,
        "weights_sha256": embedder.spec.weights_sha256,
        "seed": SEED,
        "candidates_verified": arguments.top,
    }
    if arguments.json is not None and arguments.json.exists():
        before = json.loads(arguments.json.read_text(encoding="utf-8"))
        if before["weights_sha256"] == embedder.spec.weights_sha256:
            figures |= {part: before[part] for part in PARTS if part in before}
    houses, paths = photographs.houses(), photographs.alike(arguments.hard)
    side = embedder.spec.input_px
    if set(parts) - {"speed"}:
        made = embed_all(embedder, (image.pixels for image in photographs.pictures([*houses, *paths], side)))
        hard = Gallery(made[len(houses) :], paths, arguments.top)

    def measure(part: str) -> Any:
        if part == "speed":
            return speed(houses)
        if part == "unrelated":
            inside = [n for n, path in enumerate(houses) if "frontal" not in path.name]
            chosen = [
                inside[i] for i in np.linspace(0, len(inside) - 1, min(arguments.queries, len(inside))).astype(int)
            ]
            return unrelated(hard, paths, [houses[n] for n in chosen], made[chosen])
        if part == "places":
            return places(embedder, hard, paths, arguments.top)
        if part == "rooms":
            return rooms(embedder, hard, paths, arguments.top, arguments.hotels)
        whole = Gallery(made, [*houses, *paths], arguments.top)
        done = {"queries_each": len(houses[:: arguments.every]), "hard_photographs": len(paths)}
        known = figures.get("copies", {})
        if all(known.get(name) == value for name, value in done.items()):
            done = known
        for so_far in copies(embedder, whole, houses, arguments.every, done):
            report.save("verify", {**figures, "copies": so_far}, arguments.json)
        return done

    for part in parts:
        started = time.process_time()
        sought_among = {} if part == "speed" else {"hard_photographs": len(paths)}
        figures[part] = {**measure(part), **sought_among, "part_cpu_s": round(time.process_time() - started, 1)}
        print(part, json.dumps(figures[part]), flush=True)
        report.save("verify", figures, arguments.json)
    if "copies" in figures:
        rows = [[n, *f.values()] for n, f in figures["copies"].items() if isinstance(f, dict)]
        columns = ["recall@1 before", "recall@1", "among candidates", "true copy verified"]
        report.table("Copies", ["alteration", *columns], rows)
    report.finish("verify", figures, arguments.json)


def _arguments() -> argparse.Namespace:
    parser = report.parser("Verification by local features and geometry")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--parts", default=",".join(PARTS), help="which parts to measure")
    parser.add_argument("--hard", type=int, default=2000, help="bathrooms, kitchens and bedrooms in the gallery")
    parser.add_argument("--queries", type=int, default=180, help="house photographs sought among them")
    parser.add_argument("--every", type=int, default=16, help="alter each so-manieth house photograph")
    photographs.add_hotels(parser)
    parser.add_argument("--top", type=int, default=_UNRELATED, help="candidates verified for copies, places and rooms")
    return parser.parse_args()


if __name__ == "__main__":
    main()
