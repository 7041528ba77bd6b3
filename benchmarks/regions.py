"""What regions gain and cost: recall@1 of altered copies and of places, without them, with the query's, with both.

python -m benchmarks.regions [--model NAME] [--distractors N] [--limit N] [--others N] [--costs] [--json FILE]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import photographs, report
from benchmarks.retrieval import SEED, embed_all
from imgmatch.cores import usable_cores
from imgmatch.lab.alterations import ALTERATIONS, alter
from imgmatch.lab.metrics import recall_at_k
from imgmatch.match.regions import PROFILES, cut, query_boxes, read_regions
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.models.base import Embedder
from imgmatch.picture.image import decode
from imgmatch.types import Image
from indexer.case.case import Case
from indexer.intake.ingest import IngestConfig, ingest
from indexer.search.query import QUERY_SCALE

if TYPE_CHECKING:
    from imgmatch.types import Pixels

PARTS = ("crop_quarter", "crop_tenth", "collage_inset", "paste_inset")
"""Alterations that show a part of a picture, or a picture as a part of another."""
WAYS = ("whole", "query_regions", "thorough")
"""Whole pictures only; parts of the query against whole pictures; parts of both."""


COSTS = (0.0, 0.02, 0.05, 0.08, 0.1, 0.15, 2.0)
"""What a match through a part of the query may count less; 2 leaves the parts out."""


class Gallery:
    """Vectors of gallery pictures: (n, dim) whole, and (rows, dim) of everything with the picture of each row."""

    def __init__(self, embedder: Embedder, paths: Sequence[Path], pool: ThreadPoolExecutor) -> None:
        def read(path: Path) -> np.ndarray:
            data, side = path.read_bytes(), embedder.spec.input_px
            whole = embedder.embed(embedder.prepare(decode(data, min_side_px=side).pixels)[np.newaxis])
            parts = read_regions(decode(data, min_side_px=2 * side), embedder)
            return np.concatenate([whole, *(part.vector[np.newaxis] for part in parts)])

        found = list(pool.map(read, paths))
        self.whole = np.stack([vectors[0] for vectors in found])
        self.rows = np.concatenate(found)
        self.starts = np.cumsum([0, *(len(vectors) for vectors in found)])[:-1]

    def scores(self, queries: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """(queries, n) similarity of each query to each picture, each way."""
        by_way: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
        for vectors in queries:
            by_way["whole"].append(vectors[0] @ self.whole.T)
            by_way["query_regions"].append((vectors @ self.whole.T).max(axis=0))
            by_way["thorough"].append(np.maximum.reduceat((vectors @ self.rows.T).max(axis=0), self.starts))
        return {way: np.stack(rows) for way, rows in by_way.items()}


def query_vectors(embedder: Embedder, pixels: Pixels) -> np.ndarray:
    """(n, dim): the whole query, then its regions, as a search makes them."""
    image = Image(pixels, (pixels.shape[1], pixels.shape[0]), 1, "PNG")
    parts = [pixels, *(cut(pixels, image.upright_size_px, box) for box in query_boxes(image))]
    return embedder.embed(np.stack([embedder.prepare(part) for part in parts]))


def copies(
    embedder: Embedder, gallery: Gallery, paths: Sequence[Path], counts: tuple[int, int], pool: ThreadPoolExecutor
) -> Iterator[tuple[str, dict[str, Any]]]:
    """recall@1 of each alteration, each way; ``counts`` of queries for alterations in PARTS and for the others.

    The photographs around an inset are in the query as well, and rightly found: they are left out of its gallery.
    """
    originals = [image.pixels for image in photographs.pictures(paths)]
    relevant = np.eye(len(paths), len(gallery.whole), dtype=bool)
    places_of = {path.name: number for number, path in enumerate(paths)}
    for one, other in photographs.HOUSES_DOUBLES:
        relevant[places_of[one], places_of[other]] = relevant[places_of[other], places_of[one]] = True
    for name in ALTERATIONS:
        count = min(counts[name not in PARTS], len(paths))
        chosen = np.linspace(0, len(paths) - 1, count).round().astype(int).tolist()

        def query(number: int, name: str = name) -> np.ndarray:
            others = [originals[number - back] for back in range(1, 5)]
            return query_vectors(embedder, alter(name, originals[number], SEED + number, others=others))

        scores = gallery.scores(list(pool.map(query, chosen)))
        if name.endswith("_inset"):
            for way in WAYS:
                for row, number in enumerate(chosen):
                    around = [(number - back) % len(paths) for back in range(1, 5)]
                    scores[way][row, [other for other in around if not relevant[number, other]]] = -np.inf
        yield name, {"queries": count} | {way: recall_at_k(scores[way], relevant[chosen], 1) for way in WAYS}


def costs(
    embedder: Embedder, paths: Sequence[Path], distractors: Sequence[Path], count: int, pool: ThreadPoolExecutor
) -> dict[str, Any]:
    """recall@1 against whole pictures by how much less a match through a part of the query counts."""
    side = embedder.spec.input_px
    stored = embed_all(embedder, (image.pixels for image in photographs.pictures([*paths, *distractors], side)))
    originals = [image.pixels for image in photographs.pictures(paths)]
    chosen = np.linspace(0, len(paths) - 1, count).round().astype(int).tolist()
    places_of = {path.name: number for number, path in enumerate(paths)}
    doubles = {places_of[a]: places_of[b] for pair in photographs.HOUSES_DOUBLES for a, b in (pair, pair[::-1])}
    figures: dict[str, Any] = {}
    for name in (*PARTS, "screenshot", "chain_four", "person"):

        def query(number: int, name: str = name) -> np.ndarray:
            others = [originals[number - back] for back in range(1, 5)]
            similarities = (
                query_vectors(embedder, alter(name, originals[number], SEED + number, others=others)) @ stored.T
            )
            if name.endswith("_inset"):
                around = {(number - back) % len(paths) for back in range(1, 5)} - {number, doubles.get(number)}
                similarities[:, sorted(around)] = -np.inf
            return similarities

        found = list(pool.map(query, chosen))
        figures[name] = {"queries": count} | {
            f"{cost:g}": float(
                np.mean(
                    [
                        int(np.concatenate([s[:1], s[1:] - cost]).max(axis=0).argmax()) in (n, doubles.get(n, n))
                        for s, n in zip(found, chosen, strict=True)
                    ]
                )
            )
            for cost in COSTS
        }
        print(name, figures[name], flush=True)
    return figures


def places(embedder: Embedder, gallery: Gallery, pool: ThreadPoolExecutor) -> dict[str, Any]:
    """recall@1 of one photograph a place, sought by the other one; the gallery begins with the places' photographs."""
    rows = photographs.places()
    names = np.array([place for _, place, _ in rows])
    chosen = [number for number in range(len(rows)) if names[number] not in names[:number]]
    side = QUERY_SCALE * embedder.spec.input_px

    def query(number: int) -> np.ndarray:
        return query_vectors(embedder, decode(rows[number][0].read_bytes(), min_side_px=side).pixels)

    relevant = np.zeros((len(chosen), len(gallery.whole)), bool)
    relevant[:, : len(rows)] = names[chosen][:, np.newaxis] == names[np.newaxis]
    relevant[np.arange(len(chosen)), chosen] = False
    figures: dict[str, Any] = {"queries": len(chosen)}
    for way, scores in gallery.scores(list(pool.map(query, chosen))).items():
        scores[np.arange(len(chosen)), chosen] = -np.inf
        figures[way] = recall_at_k(scores, relevant, 1)
    return figures


def ingest_cost(embedder: Embedder, paths: Sequence[Path]) -> dict[str, float]:
    """Seconds and vectors a picture of each profile, through a case on disk; the better of two runs."""
    figures: dict[str, float] = {}
    for profile in PROFILES:
        seconds = []
        for _ in range(2):
            with (
                tempfile.TemporaryDirectory() as folder,
                Case.create(Path(folder) / "case", model=embedder.spec) as case,
            ):
                started = time.perf_counter()
                ingest(case, paths, embedder, IngestConfig(profile=profile))
                seconds.append(time.perf_counter() - started)
                counts = case.catalogue.counts()
        figures[f"{profile}_s_a_picture"] = min(seconds) / len(paths)
        figures[f"{profile}_vectors_a_picture"] = counts["vectors"] / counts["items"]
    figures["ratio"] = figures["thorough_s_a_picture"] / figures["fast_s_a_picture"]
    return figures


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    embedder = load_model(arguments.model, threads=1)
    say: Callable[[str], None] = lambda text: print(text, flush=True)  # noqa: E731
    houses = photographs.houses()
    if arguments.costs:
        with ThreadPoolExecutor(usable_cores()) as pool:
            found = costs(embedder, houses, photographs.rooms(arguments.distractors), arguments.limit, pool)
        rows = [[name, *f.values()] for name, f in found.items()]
        report.table("recall@1 by cost", ["alteration", "queries", *(f"{cost:g}" for cost in COSTS)], rows)
        head = {"model": embedder.spec.name, "weights_sha256": embedder.spec.weights_sha256, "seed": SEED}
        report.finish("regions-costs", {**head, "distractors": arguments.distractors, "costs": found}, arguments.json)
        return
    cost = ingest_cost(embedder, houses[:40])
    say(f"ingest: {cost}")
    with ThreadPoolExecutor(usable_cores()) as pool:
        place_paths = [path for path, _, _ in photographs.places()]
        distractors = photographs.rooms(arguments.distractors) if arguments.distractors else []
        place_figures = places(embedder, Gallery(embedder, [*place_paths, *distractors[:100]], pool), pool)
        say(f"places: {place_figures}")
        gallery = Gallery(embedder, [*houses, *distractors], pool)
        copy_figures = {}
        for name, figures in copies(embedder, gallery, houses, (arguments.limit, arguments.others), pool):
            copy_figures[name] = figures
            say(f"{name}: {figures}")
    columns = ["queries", *WAYS]
    report.table(
        "Copies: recall@1", ["alteration", *columns], [[n, *(f[c] for c in columns)] for n, f in copy_figures.items()]
    )
    report.table("Places: recall@1", columns, [[place_figures[c] for c in columns]])
    report.table("Ingest", list(cost), [list(cost.values())])
    report.finish(
        "regions",
        {
            "model": embedder.spec.name,
            "weights_sha256": embedder.spec.weights_sha256,
            "distractors": len(distractors),
            "distractors_of_places": len(distractors[:100]),
            "seed": SEED,
            "copies_recall_at_1": copy_figures,
            "places_recall_at_1": place_figures,
            "ingest": cost,
        },
        arguments.json,
    )


def _arguments() -> argparse.Namespace:
    parser = report.parser("What regions gain and cost")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--distractors", type=int, default=500, help="so many room photographs more in the gallery")
    parser.add_argument("--limit", type=int, default=240, help="queries of each crop and inset")
    parser.add_argument("--others", type=int, default=240, help="queries of each other alteration")
    parser.add_argument("--costs", action="store_true", help="only how much less parts of a query should count")
    return parser.parse_args()


if __name__ == "__main__":
    main()
