"""Hash lists: what an import and a look-up cost. PDQ: what the reduced decoding of ingest costs its hashes.

python -m benchmarks.known [--entries N] [--json FILE]

The photographs: the development set (IMGMATCH_DATA); without it the part on PDQ is left out.
"""

from __future__ import annotations

import hashlib
import io
import random
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from benchmarks import report
from benchmarks.casestate import inside
from benchmarks.photographs import houses, places
from imgmatch.errors import UsageError
from imgmatch.models import DEFAULT_MODEL, model_spec
from imgmatch.picture.image import decode
from imgmatch.picture.metadata import read_metadata
from imgmatch.picture.pdq import DISTANCE, Pdq, distance, pdq_of
from imgmatch.types import Digests
from indexer.case.case import Case
from indexer.index.binary import BinaryIndex
from indexer.intake.known import import_list

_LOOK_UPS = 2000
_INGEST_PX = model_spec(DEFAULT_MODEL).input_px


def lists(entries: int) -> dict[str, Any]:
    """Import a list of random SHA-1, then look contents up that are not on it."""
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.txt"
        with path.open("w", encoding="ascii") as file:
            file.writelines(f"{rng.getrandbits(160):040x}\n" for _ in range(entries))
        with Case.create(Path(folder) / "case", model=model_spec(DEFAULT_MODEL)) as case:
            empty = case.sizes()["catalogue_bytes"]
            before = _peak_mb()
            started = time.perf_counter()
            done = import_list(case, path, "ignore", "list")
            seconds = time.perf_counter() - started
            grown = _peak_mb() - before
            case.catalogue.checkpoint()
            absent = Digests(hashlib.sha256(b"").hexdigest(), "0" * 32, "0" * 40, 0)
            started = time.perf_counter()
            for _ in range(_LOOK_UPS):
                inside(case).lists.hits(absent)
            look_up = (time.perf_counter() - started) / _LOOK_UPS
            return {
                "entries": done.hashes,
                "import_s": round(seconds, 2),
                "entries_per_s": round(done.hashes / seconds),
                "bytes_an_entry": round((case.sizes()["catalogue_bytes"] - empty) / done.hashes, 1),
                "memory_grown_mb": round(grown, 1),
                "look_up_us": round(look_up * 1e6, 1),
            }


def pdq_of_reduced() -> dict[str, Any]:
    """How far hashes of pictures as ingest decodes them, and of copies, are from those of the whole pictures."""
    paths = [*houses(), *(path for path, _, _ in places())]
    found: dict[str, list[int]] = {}
    qualities: list[int] = []
    reduced = 0
    times: dict[str, list[float]] = {"decode": [], "metadata": [], "pdq": []}
    for path in paths:
        data = path.read_bytes()
        whole = decode(data)
        hash = _pdq(data, None).hash
        small = _timed(times["decode"], partial(decode, data, min_side_px=_INGEST_PX))
        _timed(times["metadata"], partial(read_metadata, data))
        pdq = _timed(times["pdq"], partial(pdq_of, small.pixels))
        qualities.append(pdq.quality)
        reduced += small.pixels.shape != whole.pixels.shape
        picture = Pillow.fromarray(whole.pixels)
        half = picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)), Pillow.Resampling.LANCZOS)
        copies = {"quality 20": _jpeg(picture, 20), "half size": _jpeg(half, 85)}
        found.setdefault("the file", []).append(distance(pdq.hash, hash))
        for name, copy in copies.items():
            found.setdefault(f"{name}, whole", []).append(distance(_pdq(copy, None).hash, hash))
            found.setdefault(f"{name}, as ingest", []).append(distance(_pdq(copy, _INGEST_PX).hash, hash))
    return {
        "photographs": len(paths),
        "reduced_by_decoding": reduced,
        "least_quality": min(qualities),
        "distances": {
            name: {
                "median": float(np.median(bits)),
                "p99": float(np.percentile(bits, 99)),
                "max": max(bits),
                "share_beyond_31": float(np.mean(np.array(bits) > DISTANCE)),
            }
            for name, bits in found.items()
        },
        "median_ms": {name: round(float(np.median(spent)) * 1e3, 2) for name, spent in times.items()},
    }


def pdq_lists(rows: int, queries: int = 1000) -> dict[str, Any]:
    """Items against a PDQ list of random hashes."""
    rng = np.random.default_rng(0)
    index = BinaryIndex(rng.integers(0, 256, (rows, 32), dtype=np.uint8))
    asked = rng.integers(0, 256, (queries, 32), dtype=np.uint8)
    started = time.perf_counter()
    hits = sum(1 for _ in index.near(asked, DISTANCE))
    return {"rows": rows, "items": queries, "s": round(time.perf_counter() - started, 2), "chance_hits": hits}


def main() -> None:
    """Measure and report."""
    parser = report.parser("Hash lists and PDQ")
    parser.add_argument("--entries", type=int, default=1_000_000, help="entries of the lists")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"lists": lists(arguments.entries), "pdq_lists": pdq_lists(arguments.entries)}
    report.table("A list of hashes", list(figures["lists"]), [list(figures["lists"].values())])
    report.table("A list of PDQ hashes", list(figures["pdq_lists"]), [list(figures["pdq_lists"].values())])
    try:
        figures["pdq"] = pdq_of_reduced()
    except UsageError as error:
        print(f"  PDQ of photographs left out: {error}", file=sys.stderr)
        figures["pdq"] = None
    if figures["pdq"]:
        rows = [[name, *told.values()] for name, told in figures["pdq"]["distances"].items()]
        report.table("Bits from the whole picture's PDQ", ["of", "median", "p99", "max", "beyond 31"], rows)
    report.finish("known", {**figures, "load": report.load()}, arguments.json)


def _timed(spent: list[float], work: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    result = work()
    spent.append(time.perf_counter() - started)
    return result


def _pdq(data: bytes, min_side_px: int | None) -> Pdq:
    return pdq_of(decode(data, min_side_px=min_side_px).pixels)


def _jpeg(picture: Pillow.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
