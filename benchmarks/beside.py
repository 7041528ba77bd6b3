"""This tree beside another checkout of it, in one run: the same command in each, in turn, and what it cost by ratio.

python -m benchmarks.beside OTHER [--runs N] [--only NAME]... [--files N] [--json FILE]

Whole processes, by the operating system's own accounting (processor time with all children, and wall time). The trees
take turns, so that a machine whose speed drifts slows both; medians are compared, and the lowest.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import photographs, report
from benchmarks.ingest import reencoded

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Task:
    """A shell command, and what is done once a tree before it. ``{python}`` is the interpreter, ``{photographs}`` a
    folder of them, ``{query}`` one, ``{tree}`` a folder of the tree's own, ``{run}`` one of this run alone.
    """

    command: str
    first: str = "true"


_INIT = "{python} -m cli.main init {run}/case >/dev/null"
_CASE = "{python} -m cli.main init {tree}/case && {python} -m cli.main ingest {tree}/case {photographs}"
_SPEED = "{python} -m benchmarks.search_speed --rows 100000 --queries 200 --anchors {tree}/anchors.npy --json {tree}/s"
TASKS = {
    "help": Task("{python} -m cli.main --help"),
    "cold search": Task("{python} -m cli.main search {tree}/case {query} -k 5 --format json", _CASE),
    "cold search, not verified": Task("{python} -m cli.main search {tree}/case {query} --no-verify", _CASE),
    "ingest": Task(f"{_INIT} && {{python}} -m cli.main ingest {{run}}/case {{photographs}} --no-index"),
    "index and searches of 100,000 rows": Task(_SPEED, _SPEED),
}


def cost(command: str, tree: Path) -> tuple[float, float]:
    """Processor and wall seconds of a command in a tree, children included."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(command, shell=True, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{tree}: {command}: {done.stderr[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def compare(task: Task, trees: dict[str, Path], runs: int, scratch: Path, files: Path) -> dict[str, object]:
    """What a task costs in each tree, and this tree's cost over the other's."""
    query = photographs.houses()[0]
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in trees}
    for number in range(-1, runs):
        for name, tree in trees.items():
            own, run = scratch / name, scratch / "run"
            own.mkdir(exist_ok=True)
            run.mkdir()
            names = {"python": sys.executable, "photographs": files, "query": query, "tree": own, "run": run}
            if number < 0:
                shutil.rmtree(own)
                own.mkdir()
                cost(task.first.format(**names), tree)
                cost(task.command.format(**names), tree)  # warms the disk's cache
            else:
                costs[name].append(cost(task.command.format(**names), tree))
            shutil.rmtree(run)
    found: dict[str, object] = {}
    for place, what in enumerate(("cpu_s", "wall_s")):
        values = {name: [one[place] for one in every] for name, every in costs.items()}
        found[what] = {name: [round(value, 3) for value in every] for name, every in values.items()}
        for how in (statistics.median, min):
            ratio = how(values["this"]) / how(values["other"])
            found[f"{what}_{how.__name__}_ratio"] = round(ratio, 3)
    return found


def main() -> None:
    """Run the tasks and write what was found."""
    parser = report.parser("This tree beside another checkout of it")
    parser.add_argument("other", type=Path, help="another checkout of this project")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", action="append", choices=TASKS, help="only this task; may be repeated")
    parser.add_argument("--files", type=int, default=400, help="photographs that are ingested")
    arguments = parser.parse_args()
    trees = {"other": arguments.other.resolve(), "this": ROOT}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        reencoded(scratch / "photographs", arguments.files)
        results = {}
        for task in arguments.only or TASKS:
            results[task] = compare(TASKS[task], trees, arguments.runs, scratch, scratch / "photographs")
            print(task, results[task], flush=True)
    report.finish("beside", {"runs": arguments.runs, "files": arguments.files, "tasks": results}, arguments.json)


if __name__ == "__main__":
    main()
