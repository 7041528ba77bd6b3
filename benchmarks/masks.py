"""Does pooling without the masked cells beat painting the mask grey? Persons before rooms, their true masks known.

python -m benchmarks.masks [--model NAME] [--distractors N] [--share S] [--json FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import photographs, report
from benchmarks.retrieval import SEED, embed_all
from imgmatch.lab.alterations import person, person_mask
from imgmatch.lab.metrics import mean_average_precision, recall_at_k
from imgmatch.match.masking import cell_weights, filled
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.models.base import Embedder

if TYPE_CHECKING:
    from imgmatch.types import Pixels

# Masks are drawn on pictures of about this size, as a search decodes them: painting takes long on larger ones.
_SIDE_PX = 512

Strategy = Callable[[Embedder, "Pixels", np.ndarray], np.ndarray]


def _plain(embedder: Embedder, pixels: Pixels, mask: np.ndarray) -> np.ndarray:
    return embedder.embed(embedder.prepare(pixels)[np.newaxis])[0]


def _grey(embedder: Embedder, pixels: Pixels, mask: np.ndarray) -> np.ndarray:
    painted = np.where(mask[..., None], np.uint8(127), pixels)
    return embedder.embed(embedder.prepare(painted)[np.newaxis])[0]


def _weights(embedder: Embedder, pixels: Pixels, mask: np.ndarray) -> np.ndarray:
    grid = embedder.grid
    return embedder.embed(embedder.prepare(pixels)[np.newaxis], cell_weights(mask, grid)[np.newaxis])[0]


def _filled(embedder: Embedder, pixels: Pixels, mask: np.ndarray) -> np.ndarray:
    return embedder.embed(embedder.prepare(filled(pixels, mask))[np.newaxis])[0]


def _grey_weights(embedder: Embedder, pixels: Pixels, mask: np.ndarray) -> np.ndarray:
    painted = np.where(mask[..., None], np.uint8(127), pixels)
    return _weights(embedder, painted, mask)


def _filled_weights(embedder: Embedder, pixels: Pixels, mask: np.ndarray) -> np.ndarray:
    return _weights(embedder, filled(pixels, mask), mask)


STRATEGIES: dict[str, Strategy] = {
    "no mask": _plain,
    "painted grey": _grey,
    "cells left out": _weights,
    "painted with surroundings": _filled,
    "painted grey, cells left out": _grey_weights,
    "painted with surroundings, cells left out": _filled_weights,
}


def measure(
    embedder: Embedder, queries: list[Pixels], gallery: np.ndarray, share: float
) -> dict[str, dict[str, float]]:
    """recall@1 and mAP of each strategy; query n belongs to gallery entry n."""
    relevant = np.eye(len(queries), len(gallery), dtype=bool)
    altered = []
    for number, pixels in enumerate(queries):
        height, width = pixels.shape[:2]
        mask = person_mask(height, width, np.random.default_rng([SEED, number]), share)
        altered.append((person(pixels, np.random.default_rng([SEED, number]), share), mask))
    figures = {}
    for name, strategy in STRATEGIES.items():
        scores = np.stack([strategy(embedder, pixels, mask) for pixels, mask in altered]) @ gallery.T
        figures[name] = {
            "recall_at_1": recall_at_k(scores, relevant, 1),
            "map": mean_average_precision(scores, relevant),
        }
    return figures


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    embedder = load_model(arguments.model, device="cpu")
    found = photographs.pictures(photographs.rooms(arguments.distractors), embedder.spec.input_px)
    distractors = embed_all(embedder, (image.pixels for image in found))
    houses = [image.pixels for image in photographs.pictures(photographs.houses()[: arguments.limit], _SIDE_PX)]
    rooms = photographs.rendered_rooms(arguments.hotels)
    sets = {
        "houses": (houses, np.concatenate([embed_all(embedder, houses), distractors])),
        "rendered rooms, other viewpoint": (
            [second.pixels() for _, second in rooms],
            embed_all(embedder, [first.pixels() for first, _ in rooms]),
        ),
    }
    figures = {name: measure(embedder, *queries_gallery, arguments.share) for name, queries_gallery in sets.items()}
    for name, measured in figures.items():
        rows = [[strategy, f["recall_at_1"], f["map"]] for strategy, f in measured.items()]
        report.table(f"A person in front, {name}", ["query", "recall@1", "mAP"], rows)
    report.finish(
        "masks",
        {"model": embedder.spec.name, "share": arguments.share, "distractors": len(distractors), "sets": figures},
        arguments.json,
    )


def _arguments() -> argparse.Namespace:
    parser = report.parser("Masked queries")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--distractors", type=int, default=1000, help="so many room photographs more in the gallery")
    parser.add_argument("--limit", type=int, default=None, help="only so many houses photographs")
    photographs.add_hotels(parser)
    parser.add_argument("--share", type=float, default=1.3, help="height of the person, of the picture's")
    return parser.parse_args()


if __name__ == "__main__":
    main()
