"""Rooms and hotels by rendered views, hard pairs of places, crops: ordered by score, by parts, and as a search does.

python -m benchmarks.rooms --hotels DIR [--model NAME] [--distractors N] [--every N] [--draws N] [--parts A,B]
                           [--verify] [--json FILE]

A search puts what geometry verifies before the rest: measured with --verify, of rooms and hard pairs.
Rooms: each view of the rendered hotels kept aside, with a person in front, among all other views and the distractors;
another view of its place is right, or of its hotel. Copies: house photographs among all of them and the distractors.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import cache, partial
from itertools import pairwise, permutations
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import photographs, report
from benchmarks.retrieval import SEED, embed_all
from benchmarks.rivals import hard
from benchmarks.verify import of_pixels, verified
from imgmatch.lab.alterations import alter
from imgmatch.lab.hotels.geometry import shared
from imgmatch.lab.hotels.views import View, kept_aside, views
from imgmatch.lab.metrics import mean_average_precision, recall_at_k
from imgmatch.match.masking import Mask, prepared
from imgmatch.match.parts import QueryParts, has_parts, item_parts, parts_score, query_parts
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.models.base import Embedder
from indexer.search.verification import VERIFY_TOP

if TYPE_CHECKING:
    from imgmatch.types import Pixels

WAYS = ("by score", "by parts", "as searched")
PARTS = ("rooms", "hard_pairs", "copies")
_STEPS = 32
COPIES = (
    "crop_tenth", "crop_fifth", "crop_quarter", "crop_half", "person", "rotate_90", "mirror", "screenshot",
    "chain_mirror_crop_person", "chain_four",
)  # fmt: skip


class Gallery:
    """Pictures as a case holds them: vectors (n, dim), and those of their parts, n of (16, d), if there are any; with
    ``verify`` the features of those that were near to a query.
    """

    def __init__(self, embedder: Embedder, pictures: Sequence[Pixels], verify: bool = False) -> None:
        self.embedder = embedder
        self.features = [cache(partial(of_pixels, pixels)) for pixels in pictures] if verify else []
        self.vectors = embed_all(embedder, pictures)
        self.parts = [item_parts(embedder, pixels) for pixels in pictures] if has_parts(embedder) else []

    def near(self, pixels: Pixels, mask: Mask | None = None) -> tuple[np.ndarray, QueryParts | None]:
        """(n,) scores of a query, but for what a mask covers, and its parts, if there are any."""
        embedder = self.embedder
        read = {side: prepared(embedder, pixels, mask, side) for side in embedder.spec.query_sides_px}
        if self.parts:
            vectors, query = query_parts(embedder, read)
        else:
            query = None
            vectors = [
                embedder.embed(seen[np.newaxis], None if left is None else left[np.newaxis])[0]
                for seen, left in read.values()
            ]
        return np.max([vector @ self.vectors.T for vector in vectors], axis=0), query

    def scores(self, pixels: Pixels, left_out: np.ndarray, mask: Mask | None = None) -> dict[str, np.ndarray]:
        """(n,) to order by, each way; ``left_out`` (n,) bool are not there."""
        near, query = self.near(pixels, mask)
        near[left_out] = -np.inf
        found = {WAYS[0]: near}
        looked_at = [number for number in np.argsort(-near, kind="stable")[:VERIFY_TOP] if np.isfinite(near[number])]
        if query is not None:
            closely = near - 10.0  # below all that was looked at
            for number in looked_at:
                closely[number] = parts_score(float(near[number]), query, self.parts[number])
            found[WAYS[1]] = closely
        if self.features:
            searched = found[list(found)[-1]].copy()
            said = verified(pixels, [self.features[number] for number in looked_at])
            for number, verification in zip(looked_at, said, strict=True):
                if verification.verified:
                    searched[number] = 10.0 + verification.inliers
            found[WAYS[2]] = searched
        return found


def measure(
    gallery: Gallery,
    queries: Sequence[Pixels],
    right: np.ndarray,
    left_out: np.ndarray,
    also: np.ndarray | None = None,
    masks: Sequence[Mask | None] | None = None,
    groups: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> dict[str, dict[str, Any]]:
    """First place and mAP each way, of queries with something ``right`` (q, n); first place of what is ``also`` so; of
    ``groups`` of the queries, (q,) bool each, how many and their first places.
    """
    asked = [number for number in range(len(queries)) if right[number].any()]
    all_scores = [
        gallery.scores(queries[number], left_out[number], None if masks is None else masks[number]) for number in asked
    ]
    figures: dict[str, dict[str, Any]] = {}
    for way in all_scores[0]:
        scores = np.stack([of[way] for of in all_scores])
        figures[way] = {
            "queries": len(asked),
            "first": recall_at_k(scores, right[asked], 1),
            "map": mean_average_precision(scores, right[asked]),
        }
        if also is not None:
            figures[way]["hotel_first"] = recall_at_k(scores, also[asked] & ~left_out[asked], 1)
        for name, members in groups.items():
            kept = members[asked]
            if not kept.any():
                continue
            figures[way].setdefault("groups", {})[name] = {
                "queries": int(kept.sum()), "first": recall_at_k(scores[kept], right[asked][kept], 1),
            }  # fmt: skip
    return figures


def relations(found: Sequence[View], others: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each view (q) with all views and so many others (n): the same one, of its place, of its hotel? Each (q, n)."""
    none = [""] * others
    places = np.array([f"{view.hotel}/{view.place}" for view in found] + none)
    hotels = np.array([str(view.hotel) for view in found] + none)
    room, hotel = (of[: len(found), None] == of[np.newaxis] for of in (places, hotels))
    return np.eye(len(found), len(places), dtype=bool), room, hotel


def place_relations(rows: Sequence[tuple[Path, str, str]], others: int, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each photograph of a place, so many times (q), with all of them and so many others (n): the same one, the
    other one of its place? Each (q, n).
    """
    names = np.array([place for _, place, _ in rows] + [""] * others)
    itself = np.tile(np.eye(len(rows), len(names), dtype=bool), (draws, 1))
    return itself, np.tile(names[: len(rows), None] == names[np.newaxis], (draws, 1)) & ~itself


def house_relations(paths: Sequence[Path], others: int) -> np.ndarray:
    """Of each house photograph with all of them and so many others: one photograph? (q, n)."""
    right = np.eye(len(paths), len(paths) + others, dtype=bool)
    place = {path.name: number for number, path in enumerate(paths)}
    for one, other in photographs.HOUSES_DOUBLES:
        right[place[one], place[other]] = right[place[other], place[one]] = True
    return right


def of_rooms(embedder: Embedder, arguments: argparse.Namespace, others: Sequence[Pixels]) -> dict[str, Any]:
    """Rooms and hotels, by every view of the hotels kept aside; what score tells a hotel; how many of each."""
    found = [view for view in views(arguments.hotels) if kept_aside(view)]
    pictures = [view.pixels() for view in found]
    gallery = Gallery(embedder, [*pictures, *others], arguments.verify)
    itself, room, hotel = relations(found, len(others))
    queries = [alter("person", pixels, SEED + number) for number, pixels in enumerate(pictures)]
    kinds = np.array([view.kind for view in found])
    groups = {str(kind): kinds == kind for kind in np.unique(kinds)} | shares(found)
    return {
        "rooms": measure(gallery, queries, room & ~itself, itself, hotel, groups=groups),
        "levels": levels(gallery, pictures, room, hotel, kinds),
        "hotels": len({view.hotel for view in found}),
        "places": len({(view.hotel, view.place) for view in found}),
    }


def shares(found: Sequence[View]) -> dict[str, np.ndarray]:
    """Which views share how much of what they show, by depth, with that other view of their place that has the most."""
    of_place: dict[tuple[int, str], list[int]] = {}
    for number, view in enumerate(found):
        of_place.setdefault((view.hotel, view.place), []).append(number)
    most = np.zeros(len(found))
    for numbers in of_place.values():
        for one, other in permutations(numbers, 2):
            most[one] = max(most[one], shared(found[one], found[other], _STEPS))
    edges = (0.0, 0.25, 0.5, 1.01)
    return {
        f"shares {low:.2f} to {min(high, 1.0):.2f}": (most >= low) & (most < high)
        for low, high in pairwise(edges)
    }  # fmt: skip


def levels(
    gallery: Gallery, pictures: Sequence[Pixels], room: np.ndarray, hotel: np.ndarray, kinds: np.ndarray
) -> dict[str, float]:
    """The score that 1 in 1,000 pairs of views of one kind of room in different hotels reach (what `match.rooms` takes
    for a hotel's), and how many pairs of one room, and of different rooms of one hotel, do.
    """
    count = len(pictures)
    scores = np.stack([gallery.near(pixels)[0][:count] for pixels in pictures])
    room, hotel, kind = room[:, :count], hotel[:, :count], kinds[:, None] == kinds[np.newaxis]
    reached = float(np.quantile(scores[~hotel & kind], 0.999))
    itself = np.eye(count, dtype=bool)
    return {
        "pairs_of_different_hotels": int((~hotel & kind).sum()),
        "score_of_1_in_1000": reached,
        "one_room_share": float((scores[room & ~itself] >= reached).mean()),
        "other_rooms_share": float((scores[hotel & ~room & kind] >= reached).mean()),
    }


def of_places(embedder: Embedder, arguments: argparse.Namespace, others: Sequence[Pixels]) -> dict[str, Any]:
    """Hard pairs of places, drawn several times; the indoor ones by themselves too."""
    rows = photographs.places()
    pictures = [image.pixels for image in photographs.pictures([path for path, _, _ in rows])]
    gallery = Gallery(embedder, [*pictures, *others], arguments.verify)
    itself, right = place_relations(rows, len(others), arguments.draws)
    queries = [hard(p, number + 1000 * draw) for draw in range(arguments.draws) for number, p in enumerate(pictures)]
    indoor = [number for number in range(len(queries)) if rows[number % len(rows)][2] == "indoor"]
    inside = measure(gallery, [queries[number] for number in indoor], right[indoor], itself[indoor])
    return {"all": measure(gallery, queries, right, itself), "indoor": inside}


def of_copies(embedder: Embedder, arguments: argparse.Namespace, others: Sequence[Pixels]) -> dict[str, Any]:
    """Altered house photographs; either file of one photograph is the right answer."""
    paths = photographs.houses()
    pictures = [image.pixels for image in photographs.pictures(paths)]
    gallery = Gallery(embedder, [*pictures, *others])
    right = house_relations(paths, len(others))
    chosen = np.arange(0, len(paths), arguments.every)
    nothing = np.zeros((len(chosen), right.shape[1]), bool)
    return {
        name: measure(gallery, [alter(name, pictures[n], SEED + int(n)) for n in chosen], right[chosen], nothing)
        for name in COPIES
    }


def main() -> None:
    """Measure and report."""
    parser = report.parser("Rooms, hard pairs and copies, by score and by parts")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--distractors", type=int, default=700, help="so many room photographs more in each gallery")
    parser.add_argument("--every", type=int, default=2, help="alter each so-manieth house photograph")
    parser.add_argument("--draws", type=int, default=3, help="draw the hard pairs so many times")
    parser.add_argument("--parts", default=",".join(PARTS), help="which parts to measure")
    parser.add_argument("--verify", action="store_true", help="order as a search does, too: verified candidates first")
    photographs.add_hotels(parser)
    arguments = parser.parse_args()
    embedder = load_model(arguments.model, device="cpu")
    side = embedder.spec.input_px
    others = [image.pixels for image in photographs.pictures(photographs.rooms(arguments.distractors), side)]
    figures: dict[str, Any] = {}
    sets: dict[str, Any] = {}
    if "rooms" in arguments.parts:
        figures |= of_rooms(embedder, arguments, others)
        sets["rooms"] = figures["rooms"]
        print(figures["levels"])
    if "hard_pairs" in arguments.parts:
        figures["hard_pairs"] = of_places(embedder, arguments, others)
        sets |= {f"hard pairs, {name}": found for name, found in figures["hard_pairs"].items()}
    if "copies" in arguments.parts:
        figures["copies"] = of_copies(embedder, arguments, others)
        sets |= figures["copies"]
    for name, by_way in sets.items():
        columns = [column for column in next(iter(by_way.values())) if column != "groups"]
        report.table(name, ["ordered", *columns], [[way, *(f[c] for c in columns)] for way, f in by_way.items()])
    for way, of in figures.get("rooms", {}).items():
        rows = [[name, *group.values()] for name, group in of["groups"].items()]
        report.table(f"rooms {way}, by kind and by what two views share", ["", "queries", "first"], rows)
    about = {"model": embedder.spec.name, "weights_sha256": embedder.spec.weights_sha256, "seed": SEED}
    report.finish("rooms", {**about, "distractors": len(others), **figures}, arguments.json)


if __name__ == "__main__":
    main()
