"""What 8 bits cost and gain: the same queries by a model in float32 and by its quantised version, in one run.

python -m benchmarks.precision [--model NAME] [--distractors N] [--limit N] [--json FILE]

Calibrated on room photographs; measured on photographs that neither training nor calibration has seen.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import photographs, report
from benchmarks.retrieval import copies, embed_all, places
from benchmarks.speed import rate
from imgmatch.cores import usable_cores
from imgmatch.lab.training.quantise import quantised_model
from imgmatch.models import load_model
from imgmatch.models.base import Embedder
from imgmatch.models.runtimes.onnx_model import OnnxModel

NAMES = (
    "crop_half",
    "crop_quarter",
    "rotate_90",
    "person",
    "watermark",
    "blur",
    "chain_mirror_crop_person",
    "chain_four",
)


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        spec = quantised_model(arguments.model, photographs.rooms(256), Path(folder))
        embedders: dict[str, Embedder] = {
            "float32": load_model(arguments.model, device="cpu", threads=1),
            "int8": OnnxModel(spec, Path(folder) / spec.weights_file, threads=1),
        }
        size_mb = {"int8": (Path(folder) / spec.weights_file).stat().st_size / 1e6}
        figures: dict[str, dict[str, Any]] = {}
        vectors: dict[str, np.ndarray] = {}
        for name, embedder in embedders.items():
            found = photographs.pictures(photographs.rooms(arguments.distractors), embedder.spec.input_px)
            vectors[name] = embed_all(embedder, (image.pixels for image in found))
            recalls = copies(embedder, NAMES, arguments.limit, vectors[name])
            figures[name] = {
                "copies_recall_at_1": recalls,
                "copies_mean": float(np.mean(list(recalls.values()))),
                "places": places(embedder, vectors[name]),
            }
        side, cores = spec.input_px, usable_cores()
        batch = np.random.default_rng(0).integers(0, 256, (4, side, side, 3), dtype=np.uint8)
        for name, embedder in embedders.items():
            figures[name]["images_per_s"] = rate(_embedding(embedder, batch), len(batch), cores)
    cosine = float((vectors["float32"] * vectors["int8"]).sum(axis=1).mean())
    rows = [[n, f["copies_mean"], f["places"]["all"]["map"], f["images_per_s"]] for n, f in figures.items()]
    report.table("Precision", ["weights", "copies recall@1, mean", "places mAP", f"images/s, {cores} cores"], rows)
    cost = figures["float32"]["copies_mean"] - figures["int8"]["copies_mean"]
    print(f"  8 bits cost {100 * cost:.2f} points of recall on copies; mean cosine to float32 {cosine:.4f}")
    result = {"model": arguments.model, "distractors": arguments.distractors, "cosine": cosine, "recall_cost": cost}
    report.finish("precision", {**result, "size_mb": size_mb, "figures": figures}, arguments.json)


def _embedding(embedder: Embedder, batch: np.ndarray) -> Callable[[], object]:
    return lambda: embedder.embed(batch)


def _arguments() -> argparse.Namespace:
    parser = report.parser("Float32 against 8 bits")
    parser.add_argument("--model", default="imgmatch-rooms")
    parser.add_argument("--distractors", type=int, default=500, help="so many room photographs more in the gallery")
    parser.add_argument("--limit", type=int, default=None, help="only so many houses photographs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
