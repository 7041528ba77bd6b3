"""Hostile evidence: mutants of real files of every kind, and bombs, in numbers. Does the run end with every file
accounted for, nothing written outside the case, nothing hanging, no process left?

python -m benchmarks.hostile [--inputs N] [--chunk N] [--seed N] [--nested SHARE] [--leave-out KIND]...
[--only KIND]... [--cpu-seconds N] [--json FILE]

A share of the mutants lies in files of other kinds, up to four deep, or is made one file with another.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks import report
from benchmarks.casestate import inside
from benchmarks.hostile_files import bombs, mutate, seeds
from benchmarks.hostile_nests import joined, nested
from indexer.case.case import Case

_BOMB_EVERY = 250
# Names that must stay names: of files in the folder, as members of archives have theirs in hostile_files.
_NAMES = (
    "{n}",
    "{n} -rf",
    "{n};touch x",
    "{n}%2e%2e%2f",
    "{n}\u202egpj",
    "{n}\n",
    "{n}'\"<b>",
    "{n}.tar.gz",
    "{n}.E01",
)


@dataclass(slots=True)
class Faults:
    """What went wrong, by kind, with the first few examples."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, kind: str, example: str) -> None:
        """Count one."""
        self.counts[kind] += 1
        if self.counts[kind] <= 5:
            self.examples.append(f"{kind}: {example[:300]}")


@dataclass(frozen=True)
class Inputs:
    """Which are made: by a ``seed``, of all kinds but those that are left out; ``nested`` is a share of them."""

    seed: int = 1
    leave_out: Sequence[str] = ()
    nested: float = 0.3


def write_inputs(folder: Path, first: int, count: int, which: Inputs) -> Counter[str]:
    """Write inputs number ``first`` on to a new folder: the same bytes for the same number and seed, always."""
    folder.mkdir()
    made: Counter[str] = Counter()
    by_kind, all_bombs = seeds(), bombs()
    kinds = sorted(set(by_kind) - set(which.leave_out))
    pool = [data for kind in sorted(by_kind) for data in by_kind[kind]]
    for number in range(first, first + count):
        rng = random.Random(f"{which.seed} {number}")
        if number % _BOMB_EVERY == 0:
            kind, data = "bomb", all_bombs[number // _BOMB_EVERY % len(all_bombs)]
            if rng.random() < 0.5:
                data += rng.randbytes(8)  # new content, so that it is unpacked again
        else:
            kind = kinds[number % len(kinds)]
            data = mutate(rng.choice(by_kind[kind]), rng, pool)
            if rng.random() < which.nested:
                how = rng.choice((nested, nested, joined))
                data, kind = how(data, rng, pool), how.__name__
        made[kind] += 1
        name = _NAMES[0] if number % 20 else rng.choice(_NAMES)
        # The library that opens E01 looks for the other segments by name.
        ending = ".E01" if kind == "e01" else ""
        (folder / (name.format(n=f"{number:07}") + ending)).write_bytes(data)
    return made


def accounted(case: Path, folder: Path) -> set[str]:
    """Names of files in the folder that the case knows as an item's or in an issue, themselves or as what they hold."""
    prefix, names = str(folder) + os.sep, set()
    with Case.open(case) as opened:
        for place in (
            *(sighting.locator for sighting in inside(opened).sightings.all()),
            *(row.issue.locator for row in inside(opened).issues.all()),
        ):
            outermost = place
            while outermost.parent is not None:
                outermost = outermost.parent
            if outermost.at.startswith(prefix):
                names.add(outermost.at[len(prefix) :])
    return names


def listing(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Everything in a folder, with size and times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        info = path.lstat()
        found[str(path.relative_to(folder))] = (info.st_size, info.st_mtime_ns, info.st_ctime_ns)
    return found


def workers_without_parent(since: float) -> Iterator[psutil.Process]:
    """Worker processes that were started since then and whose parent is gone."""
    for process in psutil.process_iter(["cmdline", "ppid", "create_time"]):
        line = " ".join(process.info["cmdline"] or ())
        orphan = process.info["ppid"] == 1 or not psutil.pid_exists(process.info["ppid"] or 0)
        worker = "imgmatch.workers.child" in line
        if worker and orphan and process.info["create_time"] >= since:
            yield process


def run(inputs: int, chunk: int, which: Inputs, limit_s: float, cpu_seconds: float, folder: Path) -> dict[str, object]:
    """Ingest so many inputs into one case, a chunk a run, and check after each. ``folder`` is an empty scratch folder.

    Raises CalledProcessError when no case can be made at all.
    """
    case, evidence, canary, temporary = (folder / name for name in ("case", "evidence", "canary", "tmp"))
    canary.mkdir()
    temporary.mkdir(mode=0o700)
    (canary / "canary.jpg").write_bytes(b"untouched")
    command = [sys.executable, "-m", "cli.main"]
    subprocess.run([*command, "init", str(case)], check=True, capture_output=True)
    outside, faults, made, totals = listing(canary), Faults(), Counter[str](), Counter[str]()
    longest, started = 0.0, time.time()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    for first in range(0, inputs, chunk):
        count = min(chunk, inputs - first)
        made += write_inputs(evidence, first, count, which)
        before, began = listing(evidence), time.time()
        # Some mutants hold a parser up for as long as it is let.
        limits = ["--limit", f"max_cpu_seconds={cpu_seconds:g}"]
        arguments = ["ingest", str(case), str(evidence), "--no-index", "--format", "json", *limits]
        try:
            done = subprocess.run([*command, *arguments], capture_output=True, timeout=limit_s, env=environment)
        except subprocess.TimeoutExpired:
            faults.add("hang", f"inputs {first} to {first + count} took longer than {limit_s:.0f} s")
            shutil.rmtree(evidence)
            continue
        longest = max(longest, time.time() - began)
        if done.returncode != 0:
            faults.add("crash", f"inputs {first} to {first + count}: {done.returncode} {done.stderr.decode()[-200:]}")
        else:
            said = json.loads(done.stdout)
            totals += Counter({name: said[name] for name in ("files", "new_items", "known", "unchanged", "unusable")})
            if said["files"] != said["new_items"] + said["known"] + said["unchanged"] + said["unusable"]:
                faults.add("totals", str(said))
        if b"Traceback" in done.stderr:
            faults.add("traceback", done.stderr.decode()[-200:])
        for name in sorted(set(before) - accounted(case, evidence)):
            faults.add("lost", repr(name))
        if listing(evidence) != before:
            faults.add("source changed", f"inputs {first} to {first + count}")
        if listing(canary) != outside or {p.name for p in folder.iterdir()} != {"case", "evidence", "canary", "tmp"}:
            faults.add("written outside", str(sorted(folder.iterdir())))
        if any(temporary.iterdir()):
            faults.add("temporary files left", str(sorted(temporary.iterdir())[:3]))
        for orphan in workers_without_parent(began):
            faults.add("orphan", str(orphan.pid))
        shutil.rmtree(evidence)
        print(
            f"  {first + count:,} of {inputs:,}, {time.time() - started:.0f} s, faults: {dict(faults.counts)}",
            flush=True,
        )
    with Case.open(case) as opened:
        kinds = inside(opened).issues.kinds()
        items, broken = opened.catalogue.counts()["items"], opened.catalogue.integrity()
    if broken:
        faults.add("case damaged", str(broken))
    return {
        "inputs": inputs,
        "left_out": list(which.leave_out),
        "nested": which.nested,
        "by_kind": dict(sorted(made.items())),
        "found": dict(totals),
        "items": items,
        "issues_by_kind": dict(sorted(kinds.items())),
        "faults": dict(faults.counts),
        "examples": faults.examples,
        "longest_run_s": round(longest, 1),
        "chunk": chunk,
        "seconds": round(time.time() - started, 1),
        "seed": which.seed,
        "cpu_seconds": cpu_seconds,
    }


def main() -> None:
    """Measure and report; exit with 1 on any fault."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        which = Inputs(arguments.seed, arguments.leave_out, arguments.nested)
        figures = run(arguments.inputs, arguments.chunk, which, arguments.limit, arguments.cpu_seconds, Path(scratch))
    kinds = figures["by_kind"]
    assert isinstance(kinds, dict)
    report.table("Hostile inputs", ["kind", "inputs"], [[kind, count] for kind, count in kinds.items()])
    print(f"  faults: {figures['faults'] or 'none'}\n  issues: {figures['issues_by_kind']}")
    print(*(f"  {example}" for example in figures["examples"]), sep="\n")  # type: ignore[attr-defined]
    report.finish("hostile", figures, arguments.json)
    sys.exit(1 if figures["faults"] else 0)


def _arguments() -> argparse.Namespace:
    parser = report.parser("Ingest of hostile files")
    parser.add_argument("--inputs", type=int, default=5_000)
    parser.add_argument("--chunk", type=int, default=1_000, help="files a run of ingest")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nested", type=float, default=0.3, help="share that lies in files of other kinds")
    parser.add_argument("--limit", type=float, default=3_600.0, help="seconds that a run may take")
    parser.add_argument("--cpu-seconds", type=float, default=5, help="max_cpu_seconds of the ingest")
    kinds = sorted(seeds())
    parser.add_argument("--leave-out", action="append", default=[], choices=kinds, help="a kind of files")
    parser.add_argument("--only", action="append", default=[], choices=kinds, help="a kind of files; bombs come too")
    arguments = parser.parse_args()
    if arguments.only:
        arguments.leave_out += [kind for kind in kinds if kind not in arguments.only]
    return arguments


if __name__ == "__main__":
    main()
