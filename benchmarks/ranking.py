"""Do stated false-match rates hold on unseen pictures? Which fusion of a set, which aggregation over labels is best?

python -m benchmarks.ranking [--model NAME] [--photographs N] [--splits N] [--hotels DIR] [--every N] [--vectors N]
                             [--json FILE]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import photographs, report
from benchmarks.retrieval import SEED, embed_all
from imgmatch.lab.alterations import ALTERATIONS, alter
from imgmatch.match.calibration import Calibration, calibrate, normalised, usual
from imgmatch.match.copies import COPY_SIMILARITY
from imgmatch.match.ranking import AGGREGATIONS, fuse, rank_labels
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.models.base import Embedder

STATED = (1e-2, 1e-3, 1e-4)
_BACKGROUND = 2000
_VIEWS, _REFERENCES = 3, 1


def coverage(vectors: np.ndarray, splits: int, background: int) -> dict[str, Any]:
    """How often the rate observed on unseen pictures lies within the interval of the one that was stated.

    Each split draws a background and unseen queries, which are sought among further unseen pictures; pairs from
    COPY_SIMILARITY on count as copies on both sides: they are photographs of rooms, next to none shares a template.
    """
    figures: dict[str, Any] = {}
    for size in (background // 8, background):
        inside = dict.fromkeys(STATED, 0)
        spreads = {stated: [] for stated in STATED}  # type: dict[float, list[float]]
        bounds = []
        for split in range(splits):
            order = np.random.default_rng([SEED, split, size]).permutation(len(vectors))
            known, rest = vectors[order[:size]], vectors[order[size:]]
            queries, gallery = rest[: len(rest) // 2], rest[len(rest) // 2 :]
            similarities = known @ known.T
            made = calibrate(normalised(similarities, similarities >= COPY_SIMILARITY))
            scores = queries @ gallery.T
            unrelated = scores < COPY_SIMILARITY
            scores = (scores - usual(queries @ known.T)[:, None])[unrelated]
            bounds.append(made.bound)
            for stated in STATED:
                threshold, lower, upper = _at(made, stated)
                observed = float((scores >= threshold).mean())
                inside[stated] += lower <= observed <= upper
                spreads[stated].append(observed)
        figures[f"{size} pictures"] = {
            "splits": splits,
            "bound_one_in": 1 / float(np.median(bounds)),
            "observed_median": {f"{stated:g}": float(np.median(spreads[stated])) for stated in STATED},
            "observed_min_max": {f"{stated:g}": [min(spreads[stated]), max(spreads[stated])] for stated in STATED},
            "within_interval": {f"{stated:g}": inside[stated] / splits for stated in STATED},
        }
    return figures


def _at(made: Calibration, stated: float) -> tuple[float, float, float]:
    place = int(np.argmin(np.abs(np.log(np.array(made.rates) / stated))))
    return made.thresholds[place], made.lower[place], made.upper[place]


def normalisation(embedder: Embedder, vectors: np.ndarray, every: int) -> dict[str, Any]:
    """Share of true pairs above the threshold of a rate, by plain and by normalised scores: copies and places."""
    known = vectors[:_BACKGROUND]
    similarities = known @ known.T
    related = (similarities >= COPY_SIMILARITY) | np.eye(len(known), dtype=bool)
    background = {
        "plain": similarities[~related],
        "normalised": (lambda scores: scores[~np.isnan(scores)])(normalised(similarities, related)),
    }
    paths = photographs.houses()[::every]
    originals = [image.pixels for image in photographs.pictures(paths)]
    stored = embed_all(embedder, originals)
    queries, targets = [], []
    for name in ALTERATIONS:
        altered = (
            alter(name, pixels, SEED + n, others=[originals[n - other] for other in range(1, 5)])
            for n, pixels in enumerate(originals)
        )
        queries.append(embed_all(embedder, altered))
        targets.append(stored)
    rows = photographs.places()
    found = photographs.pictures([path for path, _, _ in rows], embedder.spec.input_px)
    of_places = embed_all(embedder, (image.pixels for image in found))
    partner = {}
    for one, (_, place, _) in enumerate(rows):
        for other, (_, other_place, _) in enumerate(rows):
            if place == other_place and one != other:
                partner[one] = other
    sets = {
        "copies": (np.concatenate(queries), np.concatenate(targets)),
        "places": (of_places[list(partner)], of_places[list(partner.values())]),
    }
    figures: dict[str, Any] = {}
    for name, (asked, right) in sets.items():
        plain = (asked * right).sum(axis=1)
        scores = {"plain": plain, "normalised": plain - usual(asked @ known.T)}
        figures[name] = {
            kind: {
                f"{stated:g}": float((scores[kind] >= np.quantile(background[kind], 1 - stated)).mean())
                for stated in (1e-3, 1e-4, 1e-5)
            }
            for kind in scores
        }
    return figures


def views_of_rooms(embedder: Embedder, collection: Path) -> tuple[np.ndarray, np.ndarray]:
    """(rooms, references, dim) and (rooms, queries, dim): views of rendered rooms, a person before each query."""
    vectors = []
    for number, views in enumerate(photographs.rendered_rooms(collection, _VIEWS, shared=0.0)):
        pixels = [view.pixels() for view in views]
        pixels[_REFERENCES:] = [alter("person", p, SEED + number) for p in pixels[_REFERENCES:]]
        vectors.append(embed_all(embedder, pixels))
    stacked = np.stack(vectors)
    return stacked[:, :_REFERENCES], stacked[:, _REFERENCES:]


def sets_of_queries(references: np.ndarray, queries: np.ndarray, known: np.ndarray) -> dict[str, Any]:
    """recall@1 and mean rank of the room's first reference by fused rankings of its queries, plain and normalised."""
    rooms = len(references)
    gallery = np.concatenate([references[:, 0], known])
    figures: dict[str, Any] = {}
    for kind in ("plain", "normalised"):
        ranks: dict[str, list[int]] = {}
        for number in range(rooms):
            scores = queries[number] @ gallery.T
            if kind == "normalised":
                scores = scores - usual(queries[number] @ known.T)[:, None]
            kept = [{int(i): float(row[i]) for i in np.argsort(-row)[:200]} for row in scores]
            for method in (*AGGREGATIONS, "reciprocal ranks"):
                order = [item for item, _ in fuse(kept, method)]
                ranks.setdefault(method, []).append(order.index(number) + 1 if number in order else 1000)
            ranks.setdefault("one query alone", []).append(1 + int((scores[0] > scores[0, number]).sum()))
        figures[kind] = {
            method: {"recall_at_1": float(np.mean(np.array(r) == 1)), "mrr": float(np.mean(1 / np.array(r)))}
            for method, r in ranks.items()
        }
    return figures


def labels(query_vectors: np.ndarray, query_labels: list[str], gallery: np.ndarray, of: list[str]) -> dict[str, Any]:
    """MAP@5 and top-k by label of each aggregation over the 200 nearest pictures, the query itself left out."""
    ranks: dict[str, list[int]] = {}
    for number, label in enumerate(query_labels):
        scores = query_vectors[number] @ gallery.T
        scores = np.where(scores > 0.9999, -np.inf, scores)
        found: dict[str, list[float]] = {}
        for place in np.argsort(-scores)[:200]:
            if np.isfinite(scores[place]):
                found.setdefault(of[place], []).append(float(scores[place]))
        for method in AGGREGATIONS:
            order = [value for value, _ in rank_labels(found, method)]
            ranks.setdefault(method, []).append(order.index(label) + 1 if label in order else 10**6)
    return {
        method: {
            "map_at_5": float(np.mean([1 / rank if rank <= 5 else 0 for rank in r])),
            **{f"top_{k}": float(np.mean([rank <= k for rank in r])) for k in (1, 5, 10)},
        }
        for method, r in ranks.items()
    }


def grouping(count: int) -> dict[str, Any]:
    """Seconds and memory of near-copy groups over synthetic vectors: unrelated ones, and groups of one to five."""
    from imgmatch.types import Digests, Image, ModelSpec
    from indexer.care.indexing import BuildConfig, build
    from indexer.case.case import Case
    from indexer.case.run import Batch, NewItem
    from indexer.search.groups import groups

    spec = ModelSpec("synthetic", "copy", 128, 32, "x", "0" * 64, "", "")
    rng = np.random.default_rng(SEED)
    with tempfile.TemporaryDirectory() as folder, Case.create(Path(folder) / "case", model=spec) as case:
        with case.writing(), case.run("ingest", "synthetic") as run:
            for start in range(0, count, 10_000):
                rows = rng.normal(size=(10_000, spec.dim)).astype(np.float32)
                rows[9_000:] = rows[:1_000] + 0.05 * rng.normal(size=(1_000, spec.dim))
                rows /= np.linalg.norm(rows, axis=1, keepdims=True)
                image = Image(np.empty((0, 0, 3), np.uint8), (8, 8), 1, "PNG")
                run.commit(
                    Batch(
                        items=[
                            NewItem(
                                Digests(f"{start + n:064x}", "0" * 32, "0" * 40, 1), image, row, [_nowhere(start + n)]
                            )
                            for n, row in enumerate(rows)
                        ]
                    ),
                    case.add_shelf(spec),
                )
        started = time.perf_counter()
        build(case, spec, BuildConfig(kind="ivf"))
        built = time.perf_counter()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with case.use("groups", model=spec) as use:
            found = sum(1 for _ in groups(use, spec, lambda pairs: [True] * len(pairs)))
        return {
            "vectors": count,
            "made_groups": count // 10,
            "found_groups": found,
            "build_s": round(built - started, 1),
            "groups_s": round(time.perf_counter() - built, 1),
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "peak_memory_before_mb": round(before / 1024),
        }


def _nowhere(number: int) -> Any:
    from imgmatch.locator import Locator
    from imgmatch.types import Evidence

    return Evidence(Locator.file(f"/synthetic/{number}.png"), 1, None, 1, 1, lambda: open("/dev/null", "rb"))


def main() -> None:
    """Measure and report."""
    parser = report.parser("Rates, sets of queries, labels, groups")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--photographs", type=int, default=2400, help="room photographs for background and queries")
    parser.add_argument("--splits", type=int, default=10, help="random splits into background and unseen")
    photographs.add_hotels(parser)
    parser.add_argument("--every", type=int, default=12, help="alter each so-manieth house photograph")
    parser.add_argument("--vectors", type=int, default=20_000, help="also group so many synthetic vectors")
    arguments: argparse.Namespace = parser.parse_args()
    embedder = load_model(arguments.model, device="cpu")
    found = photographs.pictures(photographs.rooms(arguments.photographs), embedder.spec.input_px)
    vectors = embed_all(embedder, (image.pixels for image in found))
    vectors = vectors[np.random.default_rng(SEED).permutation(len(vectors))]
    background = min(_BACKGROUND, len(vectors) // 2)
    figures: dict[str, Any] = {"photographs": len(vectors), "coverage": coverage(vectors, arguments.splits, background)}
    for size, figure in figures["coverage"].items():
        report.table(
            f"Stated and observed rates, {size}",
            ["stated", "observed (median)", "within its interval"],
            [[k, f"{v:.2e}", figure["within_interval"][k]] for k, v in figure["observed_median"].items()],
        )
    references, queries = views_of_rooms(embedder, arguments.hotels)
    figures["sets"] = sets_of_queries(references, queries, vectors[:_BACKGROUND])
    for kind, by_method in figures["sets"].items():
        rows = [[name, f["recall_at_1"], f["mrr"]] for name, f in by_method.items()]
        report.table(f"Sets of two queries, {kind} scores", ["fusion", "recall@1", "MRR"], rows)
    names = [str(number) for number in range(len(references))]
    paths = photographs.houses()
    stored = photographs.pictures(paths, embedder.spec.input_px)
    houses = embed_all(embedder, (image.pixels for image in stored))
    numbers = [path.name.split("_")[0] for path in paths]
    figures["labels"] = {
        "rendered rooms": labels(
            queries[:, 0],
            names,
            np.concatenate([*references, vectors[:_BACKGROUND]]),
            [name for name in names for _ in range(_REFERENCES)] + ["other"] * _BACKGROUND,
        ),
        "houses": labels(houses, numbers, houses, numbers),
    }
    for name, by_method in figures["labels"].items():
        rows = [[method, *f.values()] for method, f in by_method.items()]
        report.table(f"Labels, {name}", ["aggregation", "MAP@5", "top 1", "top 5", "top 10"], rows)
    figures["normalisation"] = normalisation(embedder, vectors, arguments.every)
    for name, by_kind in figures["normalisation"].items():
        rows = [[kind, *f.values()] for kind, f in by_kind.items()]
        report.table(f"True pairs above the threshold of a rate, {name}", ["scores", "1e-3", "1e-4", "1e-5"], rows)
    if arguments.vectors:
        figures["groups"] = grouping(arguments.vectors)
        report.table("Groups", list(figures["groups"]), [list(figures["groups"].values())])
    report.finish(
        "ranking",
        {"model": embedder.spec.name, "weights_sha256": embedder.spec.weights_sha256, "seed": SEED, **figures},
        arguments.json,
    )


if __name__ == "__main__":
    main()
