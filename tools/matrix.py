"""Does imgmatch install and work with each Python? ``python tools/matrix.py [3.11 3.13 ...] [--find-links WHEELS]``.

Builds the wheel once; for each Python from 3.11 to 3.14 that this machine has (on the path, of pyenv or of uv) makes an
environment of the wheel and what it requires, and does the main job in it: doctor, demo, ingest, search, a report.
A Python that is not here is named, and for it is asked whether every package that is required has a wheel for it. Ends
with 1 where something failed. ``--find-links`` takes packages from a folder instead of an index.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
_PLACES = ("~/.pyenv/versions/{}.*/bin", "~/.local/share/uv/python/cpython-{}*/bin")


def interpreter(version: str) -> Path | None:
    """The newest Python of a version that this machine has; None where it has none."""
    found = [
        program
        for place in _PLACES
        for program in Path("~").expanduser().glob(f"{place[2:].format(version)}/python{version}")
    ]
    if on_path := shutil.which(f"python{version}"):
        found.append(Path(on_path))
    working = [program for program in found if not _run([program, "-c", "import venv, ensurepip"])]
    return max(working, key=_patch, default=None)


def _patch(program: Path) -> int:
    done = subprocess.run([program, "-c", "import sys; print(sys.version_info[2])"], capture_output=True, check=True)
    return int(done.stdout)


def works(python: Path, wheel: Path, folder: Path, index: list[str]) -> str:
    """Install into an environment of its own and do the main job; returns what failed, or nothing."""
    environment = folder / "environment"
    programs = environment / ("Scripts" if sys.platform == "win32" else "bin")
    case, demo = folder / "case", folder / "demo"
    imgmatch = programs / "imgmatch"
    for words in (
        [python, "-m", "venv", environment],
        [programs / "python", "-m", "pip", "install", "-q", *index, wheel],
        [imgmatch, "doctor"],
        [imgmatch, "demo", demo],
        [imgmatch, "init", case],
        [imgmatch, "ingest", case, demo],
        [imgmatch, "search", case, demo / "queries", "-k", "3", "--report", folder / "report.html"],
    ):
        if said := _run(words):
            return f"{' '.join(Path(str(word)).name for word in words[:3])}: {said}"
    return ""


def lacking(version: str, wheel: Path, folder: Path, index: list[str]) -> str:
    """Of a Python that is not here: what has no wheel for it, as pip says it, or nothing."""
    asked = ["--dry-run", "-q", "--ignore-installed", "--target", folder / "none", "--only-binary=:all:"]
    tags = [f"--platform=manylinux_2_{minor}_x86_64" for minor in (17, 27, 28)] + ["--platform=manylinux2014_x86_64"]
    here = tags if (platform.system(), platform.machine()) == ("Linux", "x86_64") else []
    return _run([sys.executable, "-m", "pip", "install", *asked, *here, "--python-version", version, *index, wheel])


def _run(words: list[object]) -> str:
    """Run a command away from the source; returns nothing, or the last line of what it said where it failed."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(
            [str(word) for word in words], cwd=elsewhere, env=kept, capture_output=True, text=True, check=False
        )
    said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    return "" if done.returncode == 0 else (said[-1] if said else f"ended with {done.returncode}")


def main() -> None:
    """Try each Python, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("versions", nargs="*", default=VERSIONS, help=f"which (default: {' '.join(VERSIONS)})")
    parser.add_argument("--find-links", type=Path, metavar="WHEELS", help="a folder of wheels instead of an index")
    asked = parser.parse_args()
    index = [] if asked.find_links is None else ["--no-index", f"--find-links={asked.find_links.resolve()}"]
    failed = False
    with tempfile.TemporaryDirectory(prefix="matrix-") as scratch:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", scratch]
        subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
        (wheel,) = Path(scratch).glob("*.whl")
        for version in asked.versions:
            began, folder = time.monotonic(), Path(scratch) / version
            folder.mkdir()
            python = interpreter(version)
            if python is None:
                said = lacking(version, wheel, folder, index)
                told = f"not here, not run; {said or 'every package that is required has a wheel for it'}"
            else:
                said = works(python, wheel, folder, index)
                told = f"{python}: {said or 'installs, and does the main job'}"
            failed |= bool(said)
            sys.stdout.write(f"{version}  {told}, {time.monotonic() - began:,.0f} s\n")
            sys.stdout.flush()
            shutil.rmtree(folder)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
