"""Ingest by two workers of a core each against one machine of two cores, and the case after workers were killed at
random moments.

python -m benchmarks.cluster [--files N] [--repeat N] [--kills N] [--killed-files N] [--json FILE]

Scheduler and workers run as commands, over TLS, before the time begins. Processor time is that of every process that
takes part.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks import report
from benchmarks.casestate import state
from benchmarks.ingest import reencoded
from benchmarks.machines import Lab, certificates, end
from imgmatch.models import load_model
from imgmatch.models.base import Embedder
from indexer.case.case import Case
from indexer.intake.config import ClusterConfig
from indexer.intake.ingest import IngestConfig, ingest


def processor_s(*processes: psutil.Process) -> float:
    """Seconds that processes and all that they started have used."""
    tree = {each.pid: each for one in processes for each in (one, *one.children(recursive=True))}
    total = 0.0
    for each in tree.values():
        try:
            times = each.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def once(folder: Path, case: Path, embedder: Embedder, cluster: ClusterConfig | None) -> tuple[float, int]:
    """Seconds of an ingest into a new case, and how many items came of it."""
    with Case.create(case, model=embedder.spec) as made:
        started = time.perf_counter()
        done = ingest(made, [folder], embedder, IngestConfig(cluster=cluster))
        return time.perf_counter() - started, done.new_items


def whole(case: Path) -> dict[str, Any]:
    """What a case holds, and the SHA-256 of each of its segment files."""
    files = sorted(case.glob("segments/*/*"))
    return {**state(case), "files": [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]}


def rates(lab: Lab, folder: Path, scratch: Path, embedder: Embedder, repeat: int) -> dict[str, Any]:
    """Both ways in turn, so that a slow moment hits both alike."""
    cluster = ClusterConfig(lab.address, tls=lab.tls, tell=print)
    alone: list[tuple[float, float]] = []
    together: list[tuple[float, float]] = []
    me, others = psutil.Process(), [psutil.Process(process.pid) for process in lab.processes]
    count = 0
    once(folder, scratch / "warm", embedder, cluster)  # workers have loaded what they need, as those that run for days
    for number in range(repeat):
        for given, seconds in ((None, alone), (cluster, together)):
            case = scratch / f"{number}-{given is not None}"
            before = processor_s(me, *others)
            wall, count = once(folder, case, embedder, given)
            seconds.append((wall, processor_s(me, *others) - before))
        if whole(scratch / f"{number}-True") != whole(scratch / f"{number}-False"):
            raise SystemExit("the cases differ")
    one, many = (statistics.median(wall for wall, _ in each) for each in (alone, together))
    one_s, many_s = (statistics.median(used for _, used in each) for each in (alone, together))
    return {
        "items": count,
        "one_machine_s": round(one, 2),
        "two_workers_s": round(many, 2),
        "rate_of_one_machine": round(one / many, 3),
        "one_machine_processor_s": round(one_s, 2),
        "two_workers_processor_s": round(many_s, 2),
        "processor_of_one_machine": round(many_s / one_s, 3),
    }


def killed(lab: Lab, folder: Path, scratch: Path, embedder: Embedder, arguments: Any) -> dict[str, Any]:
    """Kill a worker at a random moment of each of so many ingests: its process, or all of its machine, which then comes
    back some seconds later.
    """
    rng = random.Random(arguments.seed)
    cluster = ClusterConfig(lab.address, tls=lab.tls)
    seconds, _ = once(folder, scratch / "expected", embedder, None)
    expected = whole(scratch / "expected")
    differing, moments = [], []
    for number in range(arguments.kills):
        moment = rng.uniform(0.2, 0.9 * seconds)
        machine = rng.random() < 0.5
        victim = rng.choice(lab.workers)

        def strike(victim: Any = victim, machine: bool = machine) -> None:
            if machine:
                end(victim)
                lab.worker()
                return
            for process in psutil.Process(victim.pid).children():
                if "spawn_main" in " ".join(process.cmdline()):
                    process.kill()

        timer = threading.Timer(moment, strike)
        timer.start()
        once(folder, scratch / f"killed-{number}", embedder, cluster)
        timer.join()
        moments.append(round(moment, 2))
        if whole(scratch / f"killed-{number}") != expected:
            differing.append(number)
    return {
        "kills": arguments.kills,
        "killed_files": arguments.killed_files,
        "moments_s": moments,
        "differing": differing,
    }


def main() -> None:
    """Measure and report."""
    parser = report.parser("Ingest over several machines")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--killed-files", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    arguments: argparse.Namespace = parser.parse_args()
    embedder = load_model(device="cpu", threads=1)
    with tempfile.TemporaryDirectory() as named:
        scratch = Path(named)
        reencoded(scratch / "photographs", arguments.files)
        reencoded(scratch / "few", arguments.killed_files)
        with contextlib.closing(Lab(scratch, certificates(scratch / "tls"))) as lab:
            lab.scheduler()
            for _ in range(2):
                lab.worker()
            lab.wait()
            load = report.load()
            figures = rates(lab, scratch / "photographs", scratch, embedder, arguments.repeat)
            report.table("Two workers of a core against two cores", list(figures), [list(figures.values())])
            after = killed(lab, scratch / "few", scratch, embedder, arguments) if arguments.kills else {}
            if after:
                print(f"  {arguments.kills} ingests with a worker killed: {len(after['differing'])} differ")
    named_arguments = {name: getattr(arguments, name) for name in ("files", "repeat", "seed")}
    report.finish("cluster", {**named_arguments, **figures, **after, "load_average": load}, arguments.json)
    sys.exit(1 if after and after["differing"] else 0)


if __name__ == "__main__":
    main()
