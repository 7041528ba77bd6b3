"""The figures and plots of the model card: what scores of same and different pictures look like, and what goes wrong.

python -m benchmarks.card [--model NAME] [--hotels DIR] [--distractors N] [--output DIR] [--json FILE]

Pictures in the plots are rendered rooms only: photographs are never part of the project.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from benchmarks import photographs, report
from benchmarks.retrieval import SEED, embed_all
from imgmatch.lab.alterations import alter
from imgmatch.lab.metrics import first_ranks
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.optional import require

if TYPE_CHECKING:
    from imgmatch.types import Pixels

_PERCENTILES = (0.1, 1, 5, 25, 50, 75, 95, 99, 99.9)
_TILE_PX = (200, 150)


def scores(model: str, distractors: int) -> dict[str, np.ndarray]:
    """Cosines of pictures of one origin, of one place, and of unrelated pictures."""
    embedder = load_model(model, device="cpu")
    houses = [image.pixels for image in photographs.pictures(photographs.houses()[::2])]
    originals = embed_all(embedder, houses)
    found = photographs.pictures(photographs.rooms(distractors), embedder.spec.input_px)
    others = embed_all(embedder, (image.pixels for image in found))
    same = {}
    for name in ("jpeg_20", "crop_half", "crop_quarter", "person", "chain_four"):
        altered = embed_all(embedder, (alter(name, pixels, SEED + n) for n, pixels in enumerate(houses)))
        same[f"copy: {name}"] = (altered * originals).sum(axis=1)
    rows = photographs.places()
    vectors = embed_all(embedder, (image.pixels for image in photographs.pictures([path for path, _, _ in rows])))
    names = np.array([place for _, place, _ in rows])
    pairs = np.argwhere(np.triu(names[:, None] == names[None], 1))
    same["place: other photograph"] = (vectors[pairs[:, 0]] * vectors[pairs[:, 1]]).sum(axis=1)
    return {**same, "different": (originals @ others.T).ravel()}


def worst_rooms(model: str, collection: Path, shown: int) -> tuple[np.ndarray, int]:
    """Contact sheet of the worst errors among rendered rooms: query, its best wrong match, the right picture."""
    embedder = load_model(model, device="cpu")
    rooms = photographs.rendered_rooms(collection)
    first = [view.pixels() for view, _ in rooms]
    second = [alter("person", view.pixels(), SEED + number) for number, (_, view) in enumerate(rooms)]
    similarity = embed_all(embedder, second) @ embed_all(embedder, first).T
    ranks = first_ranks(similarity, np.eye(len(rooms), dtype=bool))
    np.fill_diagonal(similarity, -np.inf)
    lines = [
        np.hstack([_tile(second[n]), _tile(first[int(similarity[n].argmax())]), _tile(first[n])])
        for n in np.argsort(-ranks, kind="stable")[:shown]
    ]
    return np.vstack(lines), int((ranks > 1).sum())


def _tile(pixels: Pixels) -> Pixels:
    return cv2.resize(pixels, _TILE_PX, interpolation=cv2.INTER_AREA)


def _histogram(found: dict[str, np.ndarray], path: Path) -> None:
    require("matplotlib", "train")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="tight")
    axes = figure.subplots()
    for name, values in found.items():
        axes.hist(values, bins=120, range=(-0.4, 1.0), density=True, histtype="step", label=name)
    axes.set(xlabel="score (cosine)", ylabel="density", title="Scores of same and of different pictures")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, draw and report."""
    arguments = _arguments()
    found = scores(arguments.model, arguments.distractors)
    _histogram(found, arguments.output / "scores.png")
    sheet, wrong = worst_rooms(arguments.model, arguments.hotels, 5)
    cv2.imwrite(str(arguments.output / "failures.png"), sheet[:, :, ::-1])
    figures: dict[str, Any] = {
        name: {str(p): float(np.percentile(values, p)) for p in _PERCENTILES} for name, values in found.items()
    }
    report.table(
        "Percentiles of scores",
        ["pictures", *map(str, _PERCENTILES)],
        [[name, *values.values()] for name, values in figures.items()],
    )
    print(f"  {wrong} rendered rooms are not first")
    report.finish(
        "card",
        {"model": arguments.model, "percentiles": figures, "rooms_not_first": wrong},
        arguments.json,
    )


def _arguments() -> argparse.Namespace:
    parser = report.parser("Figures of the model card")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    photographs.add_hotels(parser)
    parser.add_argument("--distractors", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=Path("docs/images"), help="folder of the plots")
    return parser.parse_args()


if __name__ == "__main__":
    main()
