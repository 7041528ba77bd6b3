"""How fast pictures come into a case, end to end and a stage at a time, and with how much memory.

python -m benchmarks.ingest [--files N] [--large N] [--repeat N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from PIL import Image as Pillow

from benchmarks import photographs, report
from imgmatch.cores import usable_cores
from imgmatch.evidence import walk
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.models.base import Embedder
from imgmatch.picture.hashes import digest
from imgmatch.picture.image import decode
from imgmatch.types import Evidence
from indexer.case.case import Case
from indexer.intake.embedding import EMBED_BATCH
from indexer.intake.ingest import IngestConfig, ingest

if TYPE_CHECKING:
    from imgmatch.types import Pixels


def reencoded(folder: Path, count: int) -> None:
    """The houses photographs again and again, each time under new content: another JPEG quality, all pixels kept."""
    paths = photographs.houses()
    folder.mkdir()
    for number in range(count):
        round_, index = divmod(number, len(paths))
        with Pillow.open(paths[index]) as picture:
            picture.convert("RGB").save(folder / f"{round_:03}_{paths[index].name}", quality=90 - round_ % 20)


def twelve_megapixels(folder: Path, count: int) -> None:
    """Houses photographs enlarged to 4000 x 3000 with a camera's grain, saved at quality 90 (about 2 MB each)."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 3, (3000, 4000, 1))
    for path in photographs.houses()[:count]:
        with Pillow.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB").resize((4000, 3000), Pillow.Resampling.BICUBIC))
        noisy = np.clip(pixels + grain, 0, 255).astype(np.uint8)
        Pillow.fromarray(noisy).save(folder / path.name, quality=90)


def time_decode(folder: Path, embedder: Embedder, jobs: int) -> tuple[float, list[Pixels]]:
    """Seconds to read, hash, decode and prepare every file with all cores, and the prepared pictures."""

    def one(found: Evidence) -> Pixels:
        with found.open() as stream:
            _, data = digest(stream, 1 << 30)
        assert data is not None
        return embedder.prepare(decode(data, min_side_px=embedder.spec.input_px).pixels)

    files = [found for found in walk(folder) if isinstance(found, Evidence)]
    started = time.perf_counter()
    with ThreadPoolExecutor(jobs) as pool:
        prepared = list(pool.map(one, files))
    return time.perf_counter() - started, prepared


def time_inference(prepared: list[Pixels], embedder: Embedder, jobs: int) -> float:
    """Seconds to embed prepared pictures with all cores, in batches as ingest makes them."""
    batches = [np.stack(prepared[i : i + EMBED_BATCH]) for i in range(0, len(prepared), EMBED_BATCH)]
    started = time.perf_counter()
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(embedder.embed, batches))
    return time.perf_counter() - started


def time_ingest(
    folder: Path, embedder: Embedder, *, isolation: bool = True, decoder: Callable[..., Any] = decode
) -> float:
    """Seconds from an empty case to everything committed. Another ``decoder`` is used where there is no isolation."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        Case.create(Path(scratch) / "case", model=embedder.spec) as case,
        mock.patch("imgmatch.workers.decode.decode", decoder),
    ):
        started = time.perf_counter()
        done = ingest(case, [folder], embedder, IngestConfig(isolation=isolation))
        seconds = time.perf_counter() - started
        assert done.new_items + done.known == done.files, done
        return seconds


def peak_memory_mb(folder: Path) -> float:
    """Peak resident memory of the command `imgmatch ingest` over a folder, in a process of its own."""
    # VmHWM, not ru_maxrss: the latter counts what this process held when it forked.
    script = (
        "import sys; sys.argv = sys.argv[1:]; from cli.main import main\n"
        "try: main()\n"
        "finally: print(*(l for l in open('/proc/self/status') if l.startswith('VmHWM')), file=sys.stderr)"
    )
    with tempfile.TemporaryDirectory() as scratch:
        case = str(Path(scratch) / "case")
        subprocess.run([sys.executable, "-m", "cli.main", "init", case], check=True, capture_output=True)
        command = [sys.executable, "-c", script, "imgmatch", "ingest", case, str(folder), "--format", "json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert json.loads(done.stdout)["new_items"] > 0
    return int(done.stderr.split()[-2]) / 1024


def full_decode(data: bytes, **options: Any) -> Any:
    """Decode at full size whatever the target."""
    return decode(data, **{**options, "min_side_px": None})


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    jobs = usable_cores()
    embedder = load_model(arguments.model, device="cpu", threads=1)
    with tempfile.TemporaryDirectory() as scratch:
        small, large = Path(scratch) / "small", Path(scratch) / "large"
        reencoded(small, arguments.files)
        twelve_megapixels(large, arguments.large)
        decode_s, inference_s, ingest_s = [], [], []
        for _ in range(arguments.repeat):  # the stages in turn, so that a slow moment hits all alike
            seconds, prepared = time_decode(small, embedder, jobs)
            decode_s.append(seconds)
            inference_s.append(time_inference(prepared, embedder, jobs))
            del prepared
            ingest_s.append(time_ingest(small, embedder))
        reduced_s = min(time_ingest(large, embedder, isolation=False) for _ in range(arguments.repeat))
        full_s = min(
            time_ingest(large, embedder, isolation=False, decoder=full_decode) for _ in range(arguments.repeat)
        )
        memory = {str(count): peak_memory_mb(_part(small, count)) for count in (arguments.files // 4, arguments.files)}
        memory["12 megapixels"] = peak_memory_mb(large)
    decode_best, inference_best, ingest_best = min(decode_s), min(inference_s), min(ingest_s)
    ratio = ingest_best / max(decode_best, inference_best)
    files = arguments.files
    report.table(
        f"{files} photographs of houses, {jobs} cores",
        ["stage", "seconds", "images/s"],
        [
            ["read, hash, decode", decode_best, files / decode_best],
            ["inference", inference_best, files / inference_best],
            ["ingest, end to end", ingest_best, files / ingest_best],
        ],
    )
    print(f"  end to end / slower of the two stages: {ratio:.2f}")
    report.table(
        f"{arguments.large} photographs of 12 megapixels",
        ["decode", "seconds", "images/s"],
        [["reduced", reduced_s, arguments.large / reduced_s], ["full", full_s, arguments.large / full_s]],
    )
    print(f"  reduced decoding is {full_s / reduced_s:.2f} times as fast, end to end")
    report.table("Peak resident memory", ["files", "MB"], list(memory.items()))
    report.finish(
        "ingest",
        {
            "model": embedder.spec.name,
            "files": files,
            "decode_images_per_s": files / decode_best,
            "inference_images_per_s": files / inference_best,
            "ingest_images_per_s": files / ingest_best,
            "ingest_over_slower_stage": ratio,
            "large_files": arguments.large,
            "large_reduced_images_per_s": arguments.large / reduced_s,
            "large_full_images_per_s": arguments.large / full_s,
            "large_speedup": full_s / reduced_s,
            "peak_memory_mb": memory,
            "repeat": arguments.repeat,
        },
        arguments.json,
    )


def _part(folder: Path, count: int) -> Path:
    part = folder.with_name(f"{folder.name}-{count}")
    part.mkdir()
    for path in sorted(folder.iterdir())[:count]:
        (part / path.name).hardlink_to(path)
    return part


def _arguments() -> argparse.Namespace:
    parser = report.parser("Ingest speed and memory on the development photographs")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--large", type=int, default=40, help="how many photographs of 12 megapixels")
    parser.add_argument("--repeat", type=int, default=3, help="best of so many")
    return parser.parse_args()


if __name__ == "__main__":
    main()
