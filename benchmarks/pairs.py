"""What `groups` and `link` cost over a million items: time, processor time, peak memory.

python -m benchmarks.pairs [--only groups|link] [--rows N] [--others N] [--copies N] [--anchors FILE] [--scratch FOLDER]
                           [--json FILE]

Two cases of mixtures of real embeddings under the default model's name, each with the index that its size asks for.
So many rows are copies of others (nearly the same vector, and a PDQ hash a few bits away), within the first case and
between the two. There are no pictures: pairs are told by their hashes alone, and what is measured is the join, not the
reading of pictures. Both are commands of their own, as a user starts them.
"""

from __future__ import annotations

import hashlib
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.index_fuzz import fill
from benchmarks.mixtures import BLOCK, Vectors, anchors, mixture, options
from imgmatch.models import DEFAULT_MODEL, model_spec
from imgmatch.picture.facts import Facts
from imgmatch.picture.pdq import Pdq
from imgmatch.types import ModelSpec
from indexer.care.indexing import BuildConfig, build
from indexer.case.case import Case
from indexer.case.run import Batch

# Runs a command and says on its last line of standard error what it took.
_SCRIPT = (
    "import sys, resource; sys.argv = sys.argv[1:]; from cli.main import main\n"
    "try: main()\n"
    "finally: print(*(l for l in open('/proc/self/status') if l.startswith('VmHWM')), file=sys.stderr)"
)


def copied(vectors: Vectors, sources: Vectors, rng: np.random.Generator) -> Vectors:
    """Rows that are ``sources`` moved as far as another compression moves them (a cosine of .97 and more)."""
    moved = sources + 0.15 * vectors.std(axis=0) * rng.standard_normal(sources.shape, dtype=np.float32)
    made: Vectors = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    return made


def make(where: Path, spec: ModelSpec, real: Vectors, rows: int, copies: int, taken: Vectors | None) -> Vectors:
    """A case whose second block of rows begins with copies of ``taken``, or else of what its first begins with;
    returns what was copied.
    """
    seed = 1 if taken is None else 2
    rng = np.random.default_rng(seed)
    number = 0
    contents = seed * 1_000_000_000
    with Case.create(where, model=spec) as case:
        for block in mixture(real, rows, seed):
            if taken is None:
                taken = block[:copies].copy()
            elif number == BLOCK:
                block[:copies] = copied(block, taken, rng)
            fill(case, block, contents + number, spec)
            number += len(block)
        assert taken is not None
        hashes = np.random.default_rng(0).integers(0, 256, (copies, 32), dtype=np.uint8)
        facts = [
            (hashlib.sha256(b"%d" % (contents + start + row)).hexdigest(), Facts({}, Pdq(bits.tobytes(), 100)))
            for start in (0, BLOCK)
            for row, bits in enumerate(hashes)
        ]
        with case.writing(), case.run("ingest", "benchmark") as run:
            run.commit(Batch(facts=facts), case.add_shelf(spec))
        build(case, spec, BuildConfig(jobs=2))
    return taken


def timed(*arguments: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a command costs, and the records that it gives."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", _SCRIPT, "imgmatch", *arguments, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = re.findall(r"VmHWM:\s+(\d+)", done.stderr)[-1]
    figures = {"seconds": round(wall, 1), "processor_s": round(used, 1), "peak_mb": round(int(peak) / 1024)}
    return figures, json.loads(done.stdout)


def main() -> None:
    """Measure and report."""
    parser = report.parser("Near-copies within a case and links between two")
    parser.add_argument("--only", choices=("groups", "link"))
    options(parser, 1_000_000, "folder for the cases, 4 GB for a million items each")
    parser.add_argument("--others", type=int, default=1_000_000, help="of the case that is linked to")
    parser.add_argument("--copies", type=int, default=10_000)
    arguments = parser.parse_args()
    if min(arguments.rows, arguments.others) <= BLOCK:
        parser.error(f"--rows and --others: more than {BLOCK:,} each")
    spec = model_spec(DEFAULT_MODEL)
    real = anchors(arguments.anchors, arguments.photographs, spec.dim)
    figures: dict[str, Any] = {name: getattr(arguments, name) for name in ("rows", "others", "copies")}
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        one, other = (Path(scratch) / name for name in ("one", "other"))
        taken = make(one, spec, real, arguments.rows, arguments.copies, None)
        make(other, spec, real, arguments.others, arguments.copies, taken)
        if arguments.only != "link":
            cost, members = timed("groups", str(one))
            number = {record["item_id"]: record["group"] for record in members}
            together = sum(
                number.get(row + 1, -1) == number.get(row + 1 + BLOCK, -2) for row in range(arguments.copies)
            )
            figures["groups"] = {**cost, "members": len(members), "copies_together": together}
            report.save("pairs", figures, arguments.json)
        if arguments.only != "groups":
            cost, found = timed("link", str(one), str(other), "--top", str(arguments.copies))
            copies = {(row + 1, row + 1 + BLOCK) for row in range(arguments.copies)}
            right = sum((record["item_id"], record["other_item_id"]) in copies for record in found)
            figures["link"] = {**cost, "links": len(found), "copies_among_them": right}
    costs = {name: figures[name] for name in ("groups", "link") if name in figures}
    for name, cost in costs.items():
        report.table("Pairs", ["command", *cost], [[name, *cost.values()]])
    report.finish("pairs", {**figures, "load_average": report.load()}, arguments.json)


if __name__ == "__main__":
    main()
