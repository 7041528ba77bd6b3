"""How fast the same photographs come in out of a folder, a ZIP, a raw disk image and E01, as a ratio to the folder.

python -m benchmarks.sources [--files N] [--large N] [--repeat N] [--json FILE]

Every source is measured in turn within one round, so that a slow moment hits all alike; the ratio is taken within each
round, and its median over the rounds is what counts. Needs mkfs.vfat, mcopy and ewfacquire; what is missing is named
and left out.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import photographs, report
from benchmarks.ingest import twelve_megapixels
from imgmatch.cores import usable_cores
from imgmatch.evidence import walk
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.models.base import Embedder
from imgmatch.picture.hashes import digest
from imgmatch.picture.image import decode
from imgmatch.types import Evidence
from indexer.case.case import Case
from indexer.intake.ingest import ingest

GOAL = 0.7


def make_sources(scratch: Path, files: list[Path]) -> tuple[dict[str, Path], dict[str, str]]:
    """The same files as each source, and what could not be made, with the reason."""
    folder = scratch / "folder" / "DCIM"
    folder.mkdir(parents=True)
    for number, path in enumerate(files):
        shutil.copyfile(path, folder / f"{number:04}.jpg")
    made, missing = {"folder": folder.parent}, {}
    with zipfile.ZipFile(scratch / "photos.zip", "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"DCIM/{path.name}")
    made["zip"] = scratch / "photos.zip"
    try:
        made["raw"] = _fat32(scratch / "disk.dd", folder)
    except FileNotFoundError as error:
        return made, {"raw, E01": f"needs the tool {error.filename}"}
    for name, compression in (("E01", "none"), ("E01 deflated", "deflate:fast")):
        target = scratch / name.replace(" ", "-")
        try:
            _call("ewfacquire", "-u", "-q", "-S", "64GiB", "-c", compression, "-t", target, made["raw"])
            made[name] = target.with_suffix(".E01")
        except FileNotFoundError as error:
            missing[name] = f"needs the tool {error.filename}"
    return made, missing


def _fat32(image: Path, folder: Path) -> Path:
    size = sum(path.stat().st_size for path in folder.iterdir())
    with image.open("wb") as file:
        file.truncate(max(64 << 20, int(size * 1.2) >> 20 << 20))
    _call("mkfs.vfat", "-F", "32", image)
    _call("mcopy", "-i", image, "-s", folder, "::/")
    return image


def _call(name: str, *arguments: object) -> None:
    tool = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin") or name
    subprocess.run([tool, *map(str, arguments)], check=True, capture_output=True)


def time_reading(source: Path, embedder: Embedder, jobs: int, *, decoding: bool) -> tuple[float, int]:
    """Seconds to walk, read and hash every file (and decode it), with so many threads; and how many there were."""

    def one(found: Evidence) -> None:
        with found.open() as stream:
            _, data = digest(stream, 1 << 30)
        if decoding:
            assert data is not None
            embedder.prepare(decode(data, min_side_px=embedder.spec.input_px).pixels)

    started = time.perf_counter()
    with ThreadPoolExecutor(jobs) as pool:
        count = sum(1 for _ in pool.map(one, (found for found in walk(source) if isinstance(found, Evidence))))
    return time.perf_counter() - started, count


def time_ingest(source: Path, embedder: Embedder) -> tuple[float, int]:
    """Seconds from an empty case to everything committed, and how many files were met."""
    with tempfile.TemporaryDirectory() as scratch, Case.create(Path(scratch) / "case", model=embedder.spec) as case:
        started = time.perf_counter()
        done = ingest(case, [source], embedder)
        return time.perf_counter() - started, done.new_items + done.known


def measure(files: list[Path], embedder: Embedder, repeat: int) -> dict[str, Any]:
    """Seconds of each stage by source and round, and the median ratio to the folder within a round."""
    jobs = usable_cores()
    stages: dict[str, Callable[[Path], tuple[float, int]]] = {
        "read and hash": lambda source: time_reading(source, embedder, jobs, decoding=False),
        "read, hash, decode": lambda source: time_reading(source, embedder, jobs, decoding=True),
        "ingest": lambda source: time_ingest(source, embedder),
    }
    seconds: dict[str, dict[str, list[float]]] = {stage: {} for stage in stages}
    load = report.load()
    with tempfile.TemporaryDirectory() as scratch:
        sources, missing = make_sources(Path(scratch), files)
        for stage, timed in stages.items():
            for _ in range(repeat):
                for name, source in sources.items():
                    taken, count = timed(source)
                    assert count == len(files), (stage, name, count, len(files))
                    seconds[stage].setdefault(name, []).append(round(taken, 4))
    ratios = {
        stage: {
            name: round(statistics.median(f / t for f, t in zip(by_name["folder"], of_name, strict=True)), 3)
            for name, of_name in by_name.items()
        }
        for stage, by_name in seconds.items()
    }
    return {
        "files": len(files),
        "megabytes": round(sum(path.stat().st_size for path in files) / 1e6, 1),
        "load_before": load,
        "seconds": seconds,
        "ratio_to_folder": ratios,
        "left_out": missing,
    }


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    embedder = load_model(arguments.model, device="cpu", threads=1)
    with tempfile.TemporaryDirectory() as scratch:
        large = Path(scratch) / "large"
        twelve_megapixels(large, arguments.large)
        sets = {"rooms": photographs.rooms(arguments.files), "12 megapixels": sorted(large.iterdir())}
        found = {name: measure(files, embedder, arguments.repeat) for name, files in sets.items()}
    for name, figures in found.items():
        seconds, ratios = figures["seconds"], figures["ratio_to_folder"]
        report.table(
            f"{name}: {figures['files']} photographs, {figures['megabytes']} MB: files/s, and ratio to the folder",
            ["source", *(f"{stage}{what}" for stage in seconds for what in ("", ", ratio"))],
            [
                [source, *(c for s in seconds for c in (figures["files"] / min(seconds[s][source]), ratios[s][source]))]
                for source in ratios["ingest"]
            ],
        )
        for source, why in figures["left_out"].items():
            print(f"  left out: {source}: {why}")
    figures = {"model": embedder.spec.name, "repeat": arguments.repeat, "goal_e01_ingest": GOAL, "sets": found}
    report.finish("sources", figures, arguments.json)


def _arguments() -> argparse.Namespace:
    parser = report.parser("The same photographs out of a folder, an archive and disk images")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--files", type=int, default=300, help="how many photographs of rooms")
    parser.add_argument("--large", type=int, default=24, help="how many photographs of 12 megapixels")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    return parser.parse_args()


if __name__ == "__main__":
    main()
