"""Measure what the README claims, in one go, and write the README's table from the results.

    python -m benchmarks.all                      # runs every script of the table, then writes the table
    python -m benchmarks.all --only kill index    # only these; the others keep the results that they have
    python -m benchmarks.all --table              # runs nothing: writes the table from the results that are there

Each script runs with the arguments that its result names, on this machine; a result takes the place of the last one
only when its script has ended well. Scripts whose arguments name files of another machine (rendered hotels, weights to
compare with) say so, and are left out; give them in --files, a folder that has them by those names. All of it takes
many hours.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.claims import CLAIMS, RESULTS, named, with_table

README = Path(__file__).parents[1] / "README.md"


def commands(name: str) -> list[list[str]]:
    """What made a result: the words behind ``python -m`` of each command, without where its JSON went."""
    kept = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    found = []
    for command in kept.get("commands") or [kept["command"]]:
        words = shlex.split(command)[2:]
        if "--json" in words:
            at = words.index("--json")
            del words[at : at + 2]
        found.append(words)
    return found


def missing(words: list[str], files: Path) -> list[str]:
    """Files among the arguments of a command that are not there."""
    looks = (word for word in words[1:] if Path(word).suffix in (".npy", ".onnx", ".json", ".jpg") or word == "hotels")
    return [word for word in looks if not (files / word).exists()]


def measure(name: str, files: Path) -> str:
    """Run what makes a result; returns why it was not, or nothing."""
    made = commands(name)
    if len(made) > 1:
        return "it is put together of several runs: " + "; ".join(shlex.join(words) for words in made)
    (words,) = made
    if lacking := missing(words, files):
        return f"not in {files}: {', '.join(lacking)}"
    fresh = RESULTS / f".{name}.json"
    command = [sys.executable, "-m", *words, "--json", str(fresh)]
    done = subprocess.run(command, cwd=files, env=os.environ | {"PYTHONPATH": str(README.parent)}, check=False)
    if done.returncode or not fresh.exists():
        fresh.unlink(missing_ok=True)
        return f"ended with {done.returncode}"
    fresh.replace(RESULTS / f"{name}.json")
    return ""


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = list(dict.fromkeys(name for claim in CLAIMS for name in named(claim)))
    parser.add_argument("--only", nargs="+", choices=every, metavar="RESULT", default=every)
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--files", type=Path, default=Path.cwd(), help="where files that commands name lie")
    asked = parser.parse_args()
    left = {}
    for name in () if asked.table else asked.only:
        began = time.monotonic()
        why = measure(name, asked.files)
        sys.stdout.write(f"{name}: {why or 'measured'}, {time.monotonic() - began:,.0f} s\n")
        sys.stdout.flush()
        if why:
            left[name] = why
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{README}: the table is that of the results\n")
    if left:
        raise SystemExit(f"not measured: {', '.join(left)}; their rows are those of the results before")


if __name__ == "__main__":
    main()
