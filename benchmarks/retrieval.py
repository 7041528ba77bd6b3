"""How well a model finds altered copies, other views of a place, and other views of rendered rooms.

python -m benchmarks.retrieval [--model NAME] [--distractors N] [--alterations A,B] [--limit N] [--hotels DIR]
                               [--json FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import photographs, report
from imgmatch.lab.alterations import ALTERATIONS, alter
from imgmatch.lab.metrics import mean_average_precision, recall_at_k
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.models.base import Embedder

if TYPE_CHECKING:
    from imgmatch.types import Pixels

SEED = 20_260_101
_CHUNK = 32


def embed_all(embedder: Embedder, pictures: Iterator[Pixels] | Sequence[Pixels]) -> np.ndarray:
    """(N, dim) float32 vectors of pictures, decoded and embedded a chunk at a time."""
    vectors = []
    chunk: list[Pixels] = []
    for pixels in pictures:
        chunk.append(embedder.prepare(pixels))
        if len(chunk) == _CHUNK:
            vectors.append(embedder.embed(np.stack(chunk)))
            chunk = []
    if chunk:
        vectors.append(embedder.embed(np.stack(chunk)))
    return np.concatenate(vectors)


def nearness(embedder: Embedder, pictures: Sequence[Pixels], gallery: np.ndarray) -> np.ndarray:
    """(Q, N) similarities of query pictures to the gallery, each query read at all its sizes, as a search reads it."""
    best = np.full((len(pictures), len(gallery)), -1.0, np.float32)
    for side in embedder.spec.query_sides_px:
        for start in range(0, len(pictures), _CHUNK):
            batch = np.stack([embedder.prepare(pixels, side) for pixels in pictures[start : start + _CHUNK]])
            part = best[start : start + _CHUNK]
            np.maximum(part, embedder.embed(batch) @ gallery.T, out=part)
    return best


def copies(
    embedder: Embedder, names: Sequence[str], limit: int | None, distractors: np.ndarray, every: int = 1
) -> dict[str, float]:
    """recall@1 of each alteration: every house photograph altered, sought among all of them and the distractors."""
    paths = photographs.houses()[:limit:every]
    originals = [image.pixels for image in photographs.pictures(paths)]
    stored = (image.pixels for image in photographs.pictures(paths, embedder.spec.input_px))
    gallery = np.concatenate([embed_all(embedder, stored), distractors])
    relevant = np.eye(len(originals), len(gallery), dtype=bool)
    # Some houses share a photograph: either file is the right answer.
    places_of = {path.name: number for number, path in enumerate(paths)}
    for one, other in photographs.HOUSES_DOUBLES:
        if one in places_of and other in places_of:
            relevant[places_of[one], places_of[other]] = relevant[places_of[other], places_of[one]] = True
    figures = {}
    for name in names:
        altered = [
            alter(name, pixels, SEED + number, others=[originals[number - other] for other in range(1, 5)])
            for number, pixels in enumerate(originals)
        ]
        figures[name] = recall_at_k(nearness(embedder, altered, gallery), relevant, 1)
    return figures


def places(embedder: Embedder, distractors: np.ndarray) -> dict[str, Any]:
    """mAP and recall@1 of each photograph of a place, the other one sought among all others and the distractors."""
    rows = photographs.places()
    paths = [path for path, _, _ in rows]
    vectors = embed_all(embedder, (image.pixels for image in photographs.pictures(paths, embedder.spec.input_px)))
    # As a search decodes a query: large enough for all the sizes that it is read at.
    asked = [image.pixels for image in photographs.pictures(paths, max(embedder.spec.query_sides_px))]
    names = np.array([place for _, place, _ in rows])
    environments = np.array([environment for _, _, environment in rows])
    gallery = np.concatenate([vectors, distractors])
    scores = nearness(embedder, asked, gallery)
    np.fill_diagonal(scores, -np.inf)
    relevant = np.zeros(scores.shape, dtype=bool)
    relevant[:, : len(rows)] = names[:, None] == names[None]
    np.fill_diagonal(relevant, False)
    figures = {}
    for group in ("all", *sorted(set(environments))):
        chosen = np.ones(len(rows), bool) if group == "all" else environments == group
        figures[group] = {
            "queries": int(chosen.sum()),
            "map": mean_average_precision(scores[chosen], relevant[chosen]),
            "recall_at_1": recall_at_k(scores[chosen], relevant[chosen], 1),
        }
    return figures


def rendered_rooms(embedder: Embedder, collection: Path, distractors: np.ndarray) -> dict[str, float]:
    """Recall of each rendered room, and of its hotel, by another view of it with a person in front, among all rooms of
    all hotels of the collection, and the distractors.
    """
    rooms = photographs.rendered_rooms(collection)
    gallery = embed_all(embedder, (embedder.prepare(first.pixels()) for first, _ in rooms))
    asked = [alter("person", second.pixels(), SEED + number) for number, (_, second) in enumerate(rooms)]
    scores = nearness(embedder, asked, np.concatenate([gallery, distractors]))
    hotels = np.array([first.hotel for first, _ in rooms] + [-1] * len(distractors))
    right = np.eye(len(rooms), len(hotels), dtype=bool)
    return {
        "rooms": len(rooms),
        "hotels": len(set(hotels.tolist()) - {-1}),
        "recall_at_1": recall_at_k(scores, right, 1),
        "recall_at_10": recall_at_k(scores, right, 10),
        "map": mean_average_precision(scores, right),
        "hotel_recall_at_1": recall_at_k(scores, hotels[: len(rooms), None] == hotels[None], 1),
    }


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    names = arguments.alterations.split(",") if arguments.alterations else list(ALTERATIONS)
    embedder = load_model(arguments.model)
    distractor_paths = photographs.rooms(arguments.distractors) if arguments.distractors else []
    found = photographs.pictures(distractor_paths, embedder.spec.input_px)
    distractors = (
        embed_all(embedder, (image.pixels for image in found))
        if distractor_paths
        else np.empty((0, embedder.spec.dim), np.float32)
    )
    copy_figures = copies(embedder, names, arguments.limit, distractors)
    place_figures = places(embedder, distractors)
    room_figures = rendered_rooms(embedder, arguments.hotels, distractors)
    report.table("Copies: recall@1", ["alteration", "recall@1"], list(copy_figures.items()))
    report.table(
        "Places: the other photograph of the same place",
        ["environment", "queries", "mAP", "recall@1"],
        [[name, f["queries"], f["map"], f["recall_at_1"]] for name, f in place_figures.items()],
    )
    report.table("Rendered rooms: another view, a person in front", list(room_figures), [list(room_figures.values())])
    report.finish(
        "retrieval",
        {
            "model": embedder.spec.name,
            "weights_sha256": embedder.spec.weights_sha256,
            "distractors": len(distractor_paths),
            "seed": SEED,
            "copies_recall_at_1": copy_figures,
            "places": place_figures,
            "rendered_rooms": room_figures,
        },
        arguments.json,
    )


def _arguments() -> argparse.Namespace:
    parser = report.parser("Retrieval figures on the development photographs")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--distractors", type=int, default=0, help="so many room photographs more in the gallery")
    parser.add_argument("--alterations", default="", help="names, separated by commas (default: all)")
    photographs.add_hotels(parser)
    parser.add_argument("--limit", type=int, default=None, help="only so many houses photographs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
