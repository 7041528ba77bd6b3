"""Models side by side on the same pictures: altered copies, pairs of places, and hard pairs of places.

python -m benchmarks.rivals [--models imgmatch-rooms,sscd] [--every N] [--distractors N] [--json FILE]

A hard pair: the other photograph of a place, cropped to 40 % of its area, in other light and colours, a person in
front. Each model reads a query as a search does (at all sizes that it names). Ties count as the worst case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import photographs, report
from benchmarks.retrieval import SEED, copies, embed_all, nearness, places
from imgmatch.lab.alterations import alter, crop_area
from imgmatch.lab.metrics import mean_average_precision, recall_at_k
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.models.base import Embedder

if TYPE_CHECKING:
    from imgmatch.types import Pixels

NAMES = (
    "crop_half", "crop_quarter", "crop_tenth", "rotate_90", "person", "watermark", "collage_inset",
    "chain_mirror_crop_person", "chain_four",
)  # fmt: skip


def hard_pairs(embedder: Embedder, distractors: np.ndarray) -> dict[str, float]:
    """Each photograph of a place made hard, the other one of the place sought among all others and the distractors."""
    rows = photographs.places()
    paths = [path for path, _, _ in rows]
    stored = embed_all(embedder, (image.pixels for image in photographs.pictures(paths, embedder.spec.input_px)))
    asked = [hard(image.pixels, number) for number, image in enumerate(photographs.pictures(paths))]
    scores = nearness(embedder, asked, np.concatenate([stored, distractors]))
    np.fill_diagonal(scores, -np.inf)  # the photograph that the query was made of
    names = np.array([place for _, place, _ in rows])
    relevant = np.zeros(scores.shape, dtype=bool)
    relevant[:, : len(rows)] = names[:, None] == names[None]
    np.fill_diagonal(relevant, False)
    indoor = np.array([environment == "indoor" for _, _, environment in rows])
    return {
        "hard pairs: mAP": mean_average_precision(scores, relevant),
        "hard pairs, indoor: mAP": mean_average_precision(scores[indoor], relevant[indoor]),
        "hard pairs, indoor: first rank": recall_at_k(scores[indoor], relevant[indoor], 1),
    }


def hard(pixels: Pixels, number: int) -> Pixels:
    """A photograph cropped to 40 % of its area, in other light and colours, a person in front."""
    part = crop_area(pixels, np.random.default_rng([SEED, number]), 0.4)
    return alter("person", alter("colour", part, SEED + number), SEED + number)


def measure(embedder: Embedder, every: int, count: int) -> dict[str, float]:
    """All figures of one model."""
    found = photographs.pictures(photographs.rooms(count), embedder.spec.input_px)
    distractors = embed_all(embedder, (image.pixels for image in found))
    figures = {
        f"copies, {name}: recall@1": value for name, value in copies(embedder, NAMES, None, distractors, every).items()
    }
    of_places = places(embedder, distractors)
    figures["pairs of places: mAP"] = of_places["all"]["map"]
    figures["pairs of places, indoor: mAP"] = of_places["indoor"]["map"]
    return figures | hard_pairs(embedder, distractors)


def main() -> None:
    """Measure and report."""
    parser = report.parser("Models side by side")
    parser.add_argument("--models", default=f"{DEFAULT_MODEL},sscd", help="names, separated by commas")
    parser.add_argument("--every", type=int, default=2, help="take every so many-th photograph of a house")
    parser.add_argument("--distractors", type=int, default=500, help="so many room photographs more in the gallery")
    arguments = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    specs: dict[str, Any] = {}
    for name in arguments.models.split(","):
        embedder = load_model(name, device="cpu")
        figures[name] = measure(embedder, arguments.every, arguments.distractors)
        specs[name] = {"weights_sha256": embedder.spec.weights_sha256, "source": embedder.spec.source}
    columns = list(figures)
    rows = [[what, *(figures[name][what] for name in columns)] for what in figures[columns[0]]]
    report.table("Models side by side", ["figure", *columns], rows)
    named = {"every": arguments.every, "distractors": arguments.distractors, "seed": SEED}
    report.finish("rivals", {**named, "models": specs, "figures": figures}, arguments.json)


if __name__ == "__main__":
    main()
