"""Kill -9 at random moments of an ingest, each time followed by a rerun: is the case as if nothing had happened, and
are its worker processes gone?

python -m benchmarks.kill [--files N] [--kills N] [--json FILE]
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks import report
from benchmarks.casestate import state
from benchmarks.ingest import reencoded


def command(case: Path, folder: Path) -> list[str]:
    """The ingest to be killed, as a user starts it."""
    return [sys.executable, "-m", "cli.main", "ingest", str(case), str(folder)]


def init(case: Path) -> None:
    """A new case."""
    subprocess.run([sys.executable, "-m", "cli.main", "init", str(case)], check=True, capture_output=True)


def kill_after(arguments: list[str], seconds: float) -> list[psutil.Process] | None:
    """Start, kill -9 after so many seconds; its workers at that moment, or None when it had ended by itself before."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGSTOP)  # so that it starts none after they were listed
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.wait()
        return workers
    return None


def orphans(workers: Sequence[psutil.Process], seconds: float = 10.0) -> int:
    """How many are still there after so many seconds; waits no longer than it must."""
    return len(psutil.wait_procs(workers, timeout=seconds)[1])


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "photographs"
        reencoded(folder, arguments.files)
        (folder / "zz_broken.jpg").write_bytes(b"not a picture")
        (folder / "zz_copy.jpg").write_bytes(next(iter(sorted(folder.iterdir()))).read_bytes())
        whole = Path(scratch) / "whole"
        init(whole)
        started = time.perf_counter()
        subprocess.run(command(whole, folder), check=True, capture_output=True)
        seconds = time.perf_counter() - started
        expected = state(whole)
        killed, workers, left, differing, kept = 0, 0, 0, [], []
        for number in range(arguments.kills):
            case = Path(scratch) / f"case{number}"
            init(case)
            moment = rng.uniform(0, seconds)
            found = kill_after(command(case, folder), moment)
            killed += found is not None
            workers += len(found or ())
            left += orphans(found or ())
            kept.append(state(case)["counts"]["items"])
            subprocess.run(command(case, folder), check=True, capture_output=True)
            if state(case) != expected:
                differing.append(round(moment, 3))
    report.table(
        f"Ingest of {arguments.files} files, {seconds:.1f} s, killed at random moments",
        ["runs", "killed", "different after the rerun", "workers at the kill", "left after it"],
        [[arguments.kills, killed, len(differing), workers, left]],
    )
    print(f"  items kept at the kill: {min(kept)} to {max(kept)} of {expected['counts']['items']}")
    report.finish(
        "kill",
        {
            "files": arguments.files,
            "kills": arguments.kills,
            "killed_while_running": killed,
            "different_after_rerun": len(differing),
            "moments_of_difference_s": differing,
            "workers_at_the_kill": workers,
            "workers_left_after_10_s": left,
            "items_kept": kept,
            "seed": arguments.seed,
        },
        arguments.json,
    )
    sys.exit(1 if differing or left else 0)


def _arguments() -> argparse.Namespace:
    parser = report.parser("Kill -9 during ingest")
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
