"""Kill -9 at random moments of build, delete, compact and merge: is anything lost or doubled, is search right after?

python -m benchmarks.index_kill [--kills N] [--rows N] [--json FILE]
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.casestate import state
from benchmarks.index_fuzz import DIM, SPEC, fill
from indexer.case.case import Case
from indexer.index.exact import ExactIndex
from indexer.index.open import CaseIndex

WORK = {
    "build": "from indexer.care.indexing import BuildConfig, build; build(case, SPEC, BuildConfig('ivf', jobs=1))",
    "delete": "from indexer.care.delete import delete; [delete(case, items=[i]) for i in range(1000, 1100)]",
    "compact": "from indexer.case.compact import compact; compact(case)",
    "merge": "import indexer.care.merge as m; m._BATCH = 200; m.merge(case, Case.open(sys.argv[2]))",
}


def vectors(seed: int, rows: int) -> np.ndarray:
    """Random unit vectors."""
    made = np.random.default_rng(seed).normal(size=(rows, DIM)).astype(np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True))


def start(work: str, case: Path, other: Path) -> subprocess.Popen[bytes]:
    """Begin the work in a process of its own; comes back when its modules are loaded."""
    script = (
        "import sys; from indexer.case.case import Case; from benchmarks.index_fuzz import SPEC\n"
        "import indexer.care.indexing\n"
        f"case = Case.open(sys.argv[1]); print('go', flush=True); {WORK[work]}"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(case), str(other)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def faults(work: str, case: Path, before: dict[str, Any], whole: dict[str, Any]) -> list[str]:
    """What is wrong with a case after a kill: between what it held before the work and what it holds after it."""
    found = state(case)
    wrong = list(found["faults"])
    held, old, new = (set(s["vectors"]) for s in (found, before, whole))
    if len(held) != len(found["vectors"]) or len(held) != found["counts"]["vectors"]:
        wrong.append("vectors doubled or not counted")
    if not (old & new) <= held <= (old | new):
        wrong.append("vectors lost, or others than before and after")
    with Case.open(case) as opened:
        store = opened.shelf(SPEC).store()
        asked = vectors(1, 200)[::20]
        expected = ExactIndex(DIM, list(store.blocks())).search(asked, 1)
        similarities, _ = CaseIndex(opened.shelf(SPEC)).search(asked, 1)
        if not np.allclose(similarities, expected[0], atol=1e-4):
            wrong.append("another answer than exact search gives")
    return wrong


def main() -> None:
    """Kill and report."""
    parser = report.parser("Kill -9 during work on a case")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    killed = dict.fromkeys(WORK, 0)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with Case.create(folder / "base", model=SPEC) as case:
            fill(case, vectors(1, arguments.rows), commit=100)
        subprocess.run([sys.executable, "-c", _DELETE_SOME, str(folder / "base")], check=True)
        with Case.create(folder / "other", model=SPEC) as other:
            fill(other, vectors(2, arguments.rows), start=arguments.rows)
        before = state(folder / "base")
        whole, seconds = {}, {}
        for work in WORK:
            shutil.copytree(folder / "base", folder / work)
            process = start(work, folder / work, folder / "other")
            began = time.perf_counter()
            if process.wait():
                raise SystemExit(f"{work} failed")
            seconds[work] = time.perf_counter() - began
            whole[work] = state(folder / work)
        for number in range(arguments.kills):
            work = list(WORK)[number % len(WORK)]
            case_path = folder / f"case{number}"
            shutil.copytree(folder / "base", case_path)
            process = start(work, case_path, folder / "other")
            moment = rng.uniform(0, seconds[work])
            try:
                process.wait(timeout=moment)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed[work] += 1
            wrong += [f"{work} at {moment:.3f} s: {w}" for w in faults(work, case_path, before, whole[work])]
            if work != "delete" and start(work, case_path, folder / "other").wait():  # its items may be gone already
                wrong.append(f"{work} at {moment:.3f} s: running it again failed")
            elif work != "delete" and state(case_path)["vectors"] != whole[work]["vectors"]:
                wrong.append(f"{work} at {moment:.3f} s: another case after running it again")
            shutil.rmtree(case_path)
    report.table("Killed", ["work", "killed while running"], [[work, count] for work, count in killed.items()])
    for line in wrong:
        print(f"  {line}")
    figures = {"kills": arguments.kills, "rows": arguments.rows, "seed": arguments.seed}
    report.finish("index_kill", {**figures, "killed_while_running": killed, "wrong": wrong}, arguments.json)
    sys.exit(1 if wrong else 0)


_DELETE_SOME = (
    "import sys; from indexer.case.case import Case; from indexer.care.delete import delete\n"
    "with Case.open(sys.argv[1]) as case: delete(case, items=range(1, 500))"
)


if __name__ == "__main__":
    main()
