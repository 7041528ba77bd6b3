"""What SIFT's points, learned ones, and either verify: one place twice, other rooms of a hotel, different houses.

python -m benchmarks.learned [--hotels DIR] [--pairs N] [--near N] [--parts A,B] [--json FILE]

Needs `imgmatch models add`, as --verify-with xfeat does. Each part is written to FILE as soon as it is done.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from benchmarks import photographs, report
from benchmarks.retrieval import SEED, embed_all
from benchmarks.rivals import hard
from benchmarks.verify import verified
from imgmatch.lab.hotels.geometry import shared
from imgmatch.lab.hotels.views import SAMPLE, views
from imgmatch.match.features import ITEM_PX, Features, extract
from imgmatch.match.learned import EXPECTED, agreement, points, verify_learned
from imgmatch.match.overlay import photographed
from imgmatch.match.verify import query_features, verify
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.models.xfeat.matcher import LearnedPoints, Matcher

if TYPE_CHECKING:
    from imgmatch.types import Pixels, Verification

PARTS = ("speed", "hard", "sample", "rooms", "near")
_SHARED = 0.15
_LEAST_PX = ITEM_PX * 3 // 4


class Pairs:
    """Verifies pairs of pictures both ways, each picture read once."""

    def __init__(self, pixels: Callable[[Any], Pixels], *, sift: bool = True) -> None:
        self.matcher, self._pixels, self._sift = Matcher(), pixels, sift
        self.query = lru_cache(64)(self._query)
        self.item = lru_cache(4000)(self._item)

    def _query(self, which: Any) -> tuple[Any, LearnedPoints, bool]:
        pixels = self._pixels(which)
        size = (pixels.shape[1], pixels.shape[0])
        seen = extract(pixels, size)
        found = query_features(pixels, size) if self._sift else None
        return found, points(self.matcher, pixels, size), photographed(seen.grey)

    def _item(self, which: Any) -> tuple[Features, LearnedPoints]:
        pixels = self._pixels(which)
        size = (pixels.shape[1], pixels.shape[0])
        return extract(pixels, size), points(self.matcher, pixels, size)

    def look(self, one: Any, other: Any) -> tuple[Verification | None, Verification | None]:
        """What SIFT says (None: not asked), and learned points, where a search asks them."""
        (query, own, of_photograph), (item, there) = self.query(one), self.item(other)
        plain = verify(query, item) if query is not None else None
        asked = of_photograph and photographed(item.grey) and (plain is None or not plain.void)
        return plain, verify_learned(self.matcher, own, there, item) if asked else None


def measured(pairs: Pairs, asked: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """How many of some pairs each verifies, and how many points the learned ones have that are."""
    count = sift = learned = either = many = 0
    alone: list[int] = []
    for one, other in asked:
        plain, found = pairs.look(one, other)
        by_sift, by_learned = (what is not None and what.verified for what in (plain, found))
        count, sift, learned, either = count + 1, sift + by_sift, learned + by_learned, either + (by_sift or by_learned)
        many += bool(by_sift and plain is not None and plain.inliers >= 30 and not plain.mirrored)
        if by_learned and not by_sift and found is not None:
            alone.append(found.inliers)
    return {
        "pairs": count, "sift": sift, "sift_30_upright": many, "learned": learned, "either": either,
        "points_of_learned_alone": sorted(alone),
    }  # fmt: skip


def of_hotels(collection: Path, count: int) -> dict[str, Any]:
    """Pairs of views of one place, all and those that share something, and of two of one kind in one hotel."""
    found = list(views(collection))
    place = [(view.hotel, view.place) for view in found]
    numbers = range(len(found))
    same = [(i, j) for i in numbers for j in numbers if i != j and place[i] == place[j]]
    others = [
        (i, j)
        for i in numbers
        for j in numbers
        if place[i] != place[j] and found[i].hotel == found[j].hotel and found[i].kind == found[j].kind
    ]
    pairs = Pairs(lambda number: found[number].pixels())
    same, others = _some(same, count), _some(others, 2 * count)
    share = [(i, j) for i, j in same if shared(found[i], found[j], 16) >= _SHARED]
    return {
        "one_room": measured(pairs, same),
        "one_room_sharing_15": measured(pairs, share),
        "other_rooms_of_the_hotel": measured(pairs, others),
    }


def _some(pairs: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    chosen = np.random.default_rng(SEED).permutation(len(pairs))[:count]
    return sorted(pairs[number] for number in chosen.tolist())


def of_places() -> dict[str, Any]:
    """Hard pairs: the other photograph of a place cropped, in other colours, a person in front."""
    rows = photographs.places()
    pixels = [image.pixels for image in photographs.pictures([path for path, _, _ in rows])]
    pairs = Pairs(lambda what: hard(pixels[what[0]], what[1]) if isinstance(what, tuple) else pixels[what])
    other = {n: next(m for m in range(len(rows)) if m != n and rows[m][1] == rows[n][1]) for n in range(len(rows))}
    found = {}
    for kind, draws in (("indoor", 3), ("outdoor", 1)):
        chosen = [n for n in other if rows[n][2] == kind]
        found[kind] = measured(pairs, [((n, n + 1000 * draw), other[n]) for n in chosen for draw in range(draws)])
    return found


def near(count: int) -> dict[str, Any]:
    """Bathrooms, kitchens and bedrooms of different houses, each of ``count`` with the 20 nearest of 2,000 others: what
    learned points verify (of SIFT's, benchmarks.verify tells).
    """
    embedder = load_model(DEFAULT_MODEL, device="cpu")
    side = embedder.spec.input_px
    queries = [path for path in photographs.houses() if "frontal" not in path.name][:count]
    paths = photographs.alike(2000)
    of_queries, of_paths = (
        embed_all(embedder, (i.pixels for i in photographs.pictures(p, side))) for p in (queries, paths)
    )
    doubles = {frozenset(pair) for pair in photographs.DOUBLES}
    pairs = Pairs(lambda path: next(photographs.pictures([path])).pixels, sift=False)
    asked = [
        (query, paths[n])
        for query, vector in zip(queries, of_queries, strict=True)
        for n in np.argsort(-(of_paths @ vector), kind="stable")[:20].tolist()
        if frozenset((photographs.name(query), photographs.name(paths[n]))) not in doubles
    ]
    count, verified_ones, expected = 0, [], []
    for one, other in asked:
        (_, own, _), (item, there) = pairs.query(one), pairs.item(other)
        count += 1
        expected.append(agreement(pairs.matcher, own, there).expected)
        if expected[-1] >= EXPECTED and verify_learned(pairs.matcher, own, there, item).verified:
            verified_ones.append([photographs.name(one), photographs.name(other)])
        if count % 400 == 0:
            print(count, len(asked), [round(value, 1) for value in sorted(expected)[-8:]], flush=True)
    return {"pairs": count, "learned": len(verified_ones), "which": verified_ones,
            "highest_expected": [round(value, 1) for value in sorted(expected)[-20:]]}  # fmt: skip


def speed(queries: int = 5) -> dict[str, Any]:
    """Seconds to read and verify 50 candidates of a query, on one thread: by SIFT, and what learned points add."""
    paths = photographs.houses()
    matcher = Matcher()
    used: dict[str, list[float]] = {"sift": [], "learned": []}
    for query in range(queries):
        chosen = [image.pixels for image in photographs.pictures(paths[query * 40 : query * 40 + 50], _LEAST_PX)]
        pixels = next(photographs.pictures([paths[-1 - query]], 512)).pixels
        size = (pixels.shape[1], pixels.shape[0])
        seen = [extract(item, (item.shape[1], item.shape[0])) for item in chosen]
        started = time.process_time()
        verified(pixels, [lambda item=item: extract(item, (item.shape[1], item.shape[0])) for item in chosen])  # type: ignore[misc]
        used["sift"].append(time.process_time() - started)
        started = time.process_time()
        asked = points(matcher, pixels, size)
        for item, there in zip(chosen, seen, strict=True):
            verify_learned(matcher, asked, points(matcher, item, there.size_px), there)
        used["learned"].append(time.process_time() - started)
    return {f"{name}_cpu_s": round(float(np.median(times)), 3) for name, times in used.items()} | {
        "load": report.load()
    }


def main() -> None:
    """Measure and report."""
    cv2.setNumThreads(1)
    parser = report.parser("Verification by learned points beside SIFT")
    parser.add_argument("--pairs", type=int, default=300, help="pairs of views of one room; twice as many of others")
    parser.add_argument("--near", type=int, default=180, help="house photographs held against other houses")
    parser.add_argument("--parts", default=",".join(PARTS), help="which parts to measure")
    photographs.add_hotels(parser)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    if arguments.json is not None and arguments.json.exists():
        before = json.loads(arguments.json.read_text(encoding="utf-8"))
        figures = {part: before[part] for part in PARTS if part in before}
    does: dict[str, Callable[[], dict[str, Any]]] = {
        "speed": speed,
        "hard": of_places,
        "sample": lambda: of_hotels(SAMPLE, 144),
        "rooms": lambda: of_hotels(arguments.hotels, arguments.pairs),
        "near": lambda: near(arguments.near),
    }
    for part in arguments.parts.split(","):
        figures[part] = does[part]()
        print(part, json.dumps(figures[part]), flush=True)
        report.save("learned", figures, arguments.json)
    report.finish("learned", figures, arguments.json)


if __name__ == "__main__":
    main()
