"""How fast the same photographs come in out of a folder, a ZIP, a raw disk image and E01, as a ratio to the folder.

python -m benchmarks.sources [--files N] [--repeat N] [--json FILE]

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

from benchmarks import photographs, report
from imgmatch.cores import usable_cores
from imgmatch.hashes import digest
from imgmatch.image import decode
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.models.base import Embedder
from imgmatch.sources import walk
from imgmatch.types import Evidence
from indexer.case import Case
from indexer.ingest import ingest

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


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    jobs = usable_cores()
    embedder = load_model(arguments.model, device="cpu", threads=1)
    files = photographs.rooms(arguments.files)
    stages: dict[str, Callable[[Path], tuple[float, int]]] = {
        "read and hash": lambda source: time_reading(source, embedder, jobs, decoding=False),
        "read, hash, decode": lambda source: time_reading(source, embedder, jobs, decoding=True),
        "ingest": lambda source: time_ingest(source, embedder),
    }
    seconds: dict[str, dict[str, list[float]]] = {stage: {} for stage in stages}
    load = report.load()
    with tempfile.TemporaryDirectory() as scratch:
        sources, missing = make_sources(Path(scratch), files)
        for stage, measure in stages.items():
            for _ in range(arguments.repeat):
                for name, source in sources.items():
                    taken, count = measure(source)
                    assert count == len(files), (stage, name, count, len(files))
                    seconds[stage].setdefault(name, []).append(taken)
        size = sum(path.stat().st_size for path in files)
    ratios = {
        stage: {
            name: statistics.median(folder / taken for folder, taken in zip(by_name["folder"], of_name, strict=True))
            for name, of_name in by_name.items()
        }
        for stage, by_name in seconds.items()
    }
    report.table(
        f"{len(files)} photographs, {size / 1e6:.0f} MB, {jobs} cores: files/s, and speed as a ratio to the folder",
        ["source", *(f"{stage} {what}" for stage in stages for what in ("files/s", "ratio"))],
        [
            [
                name,
                *(cell for stage in stages for cell in (len(files) / min(seconds[stage][name]), ratios[stage][name])),
            ]
            for name in sources
        ],
    )
    for name, why in missing.items():
        print(f"  left out: {name}: {why}")
    report.finish(
        "sources",
        {
            "model": embedder.spec.name,
            "files": len(files),
            "megabytes": round(size / 1e6, 1),
            "repeat": arguments.repeat,
            "load_before": load,
            "seconds": {s: {n: [round(t, 3) for t in ts] for n, ts in found.items()} for s, found in seconds.items()},
            "ratio_to_folder": {s: {n: round(r, 3) for n, r in found.items()} for s, found in ratios.items()},
            "goal_e01_ingest": GOAL,
            "left_out": missing,
        },
        arguments.json,
    )


def _arguments() -> argparse.Namespace:
    parser = report.parser("The same photographs out of a folder, an archive and disk images")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--files", type=int, default=300, help="how many photographs of rooms")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    return parser.parse_args()


if __name__ == "__main__":
    main()
