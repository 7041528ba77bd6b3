"""What decoding in confined worker processes costs: ingest with and without, in turns, and one picture at a time.

python -m benchmarks.isolation [--files N] [--repeat N] [--json FILE]
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

from benchmarks import photographs, report
from benchmarks.ingest import reencoded, time_ingest, twelve_megapixels
from imgmatch.cores import usable_cores
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.workers.decode import ReadPicture, Request, read_picture
from imgmatch.workers.pictures import PicturePool


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    embedder = load_model(DEFAULT_MODEL, device="cpu", threads=1)
    seconds: dict[str, list[float]] = {name: [] for name in ("isolated", "not", "large isolated", "large not")}
    with tempfile.TemporaryDirectory() as scratch:
        small, large = Path(scratch) / "small", Path(scratch) / "large"
        reencoded(small, arguments.files)
        twelve_megapixels(large, arguments.large)
        for _ in range(arguments.repeat):  # in turns, so that a slow moment hits all alike
            for name, folder in (("", small), ("large ", large)):
                seconds[f"{name}not"].append(time_ingest(folder, embedder, isolation=False))
                seconds[f"{name}isolated"].append(time_ingest(folder, embedder, isolation=True))
    best = {name: min(times) for name, times in seconds.items()}
    ratio, large_ratio = best["isolated"] / best["not"], best["large isolated"] / best["large not"]
    data = [path.read_bytes() for path in photographs.houses()[:50]]
    wanted = Request(embedder.spec.input_px)
    with PicturePool(1) as pool:
        started = time.perf_counter()
        confinement = pool.confinement()
        start_s = time.perf_counter() - started
        here, there = [], []
        for _ in range(arguments.repeat):
            here.append(_each(read_picture, data, wanted))
            there.append(_each(pool.read_picture, data, wanted))
    report.table(
        f"Ingest of {arguments.files} photographs, and of {arguments.large} of 12 megapixels; {usable_cores()} cores",
        ["decoding", "seconds", "images/s", "12 MP seconds"],
        [
            ["in this process", best["not"], arguments.files / best["not"], best["large not"]],
            ["in workers", best["isolated"], arguments.files / best["isolated"], best["large isolated"]],
        ],
    )
    print(f"  ratio {ratio:.2f}, of 12 megapixels {large_ratio:.2f}; a worker starts in {start_s:.2f} s")
    print(f"  one after the other: {min(here) * 1000:.2f} ms a picture here, {min(there) * 1000:.2f} ms in a worker")
    report.finish(
        "isolation",
        {
            "files": arguments.files,
            "isolated_images_per_s": arguments.files / best["isolated"],
            "not_isolated_images_per_s": arguments.files / best["not"],
            "seconds_ratio": ratio,
            "large_files": arguments.large,
            "large_seconds_ratio": large_ratio,
            "worker_start_s": start_s,
            "decode_here_ms": min(here) * 1000,
            "decode_in_worker_ms": min(there) * 1000,
            "confinement": dataclasses.asdict(confinement),
            "seconds": seconds,
            "load": report.load(),
            "repeat": arguments.repeat,
        },
        arguments.json,
    )


def _each(read: ReadPicture, data: list[bytes], wanted: Request) -> float:
    started = time.perf_counter()
    for content in data:
        read(content, wanted)
    return (time.perf_counter() - started) / len(data)


def _arguments() -> argparse.Namespace:
    parser = report.parser("Ingest with and without isolation")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--large", type=int, default=40, help="how many photographs of 12 megapixels")
    parser.add_argument("--repeat", type=int, default=3, help="best of so many")
    return parser.parse_args()


if __name__ == "__main__":
    main()
