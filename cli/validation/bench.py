"""What a case of the validation works with: a folder of its own, pictures, and imgmatch run as a user runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_SECONDS = 3600
"""What hangs is found in the end, also on a machine that has much else to do."""


KEPT = 4000
"""Letters of what a command gave, from the beginning, and of what it said beside, to the end, that are kept."""
_PEAK = (
    "import resource, subprocess, sys\n"
    "done = subprocess.run(sys.argv[2:])\n"
    "open(sys.argv[1], 'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))\n"
    "sys.exit(done.returncode)"
)
PROGRAM = (sys.executable, "-m", "cli.main")


def surroundings() -> dict[str, str]:
    """The environment in which imgmatch is what runs here."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


class DeviationError(Exception):
    """What came out is not what must."""


class NotTestedError(Exception):
    """The case can't be tried on this machine; says why."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ran."""

    code: int
    out: str
    err: str

    def objects(self) -> list[dict[str, Any]]:
        """Its output as JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    def object(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.out)


class Bench:
    """One case's folder, which is kept as evidence."""

    def __init__(self, folder: Path, shared: Path) -> None:
        self.folder = folder
        self.shared = shared
        folder.mkdir(parents=True)
        self.steps: list[dict[str, Any]] = []

    def imgmatch(
        self, *words: object, ends: int | None = 0, environment: dict[str, str] | None = None, under: Sequence[str] = ()
    ) -> Ran:
        """Run imgmatch; ``ends``: the exit code that it must end with, None for any; ``under``: a program that runs
        it.
        """
        told = [str(word) for word in words]
        command = [*under, *PROGRAM, *told]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**surroundings(), **(environment or {})},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
        gave, said = done.stdout[:KEPT], done.stderr[-KEPT:]
        self.steps.append({"command": ["imgmatch", *told], "exit_code": done.returncode, "gave": gave, "said": said})
        require("Traceback" not in done.stderr, f"imgmatch {told[0]} gave a traceback")
        if ends is not None:
            require(done.returncode == ends, f"imgmatch {told[0]} ended with {done.returncode}: {done.stderr[-300:]}")
        return Ran(done.returncode, done.stdout, done.stderr)

    def peak_mb(self, *words: object) -> float:
        """Run imgmatch; the most memory that one of its processes had, in MB. Raises NotTestedError on Windows."""
        if sys.platform == "win32":
            raise NotTestedError("this system does not say how much memory a program had")
        told = self.folder / "peak"
        self.imgmatch(*words, under=(sys.executable, "-c", _PEAK, str(told)))
        return int(told.read_text()) * (1 if sys.platform == "darwin" else 1024) / 1e6

    def case(self, *sources: Path, options: tuple[str, ...] = ()) -> Path:
        """A case of these sources."""
        made = self.folder / "case"
        if not made.exists():
            self.imgmatch("init", made, "--purpose", "validation", "--examiner", "validation")
        self.imgmatch("ingest", made, *sources, *options)
        return made

    def photographs(self, count: int, under: str = "evidence") -> list[Path]:
        """Copies of some of the demonstration's photographs, under names of their own, in a folder of the case."""
        found = sorted((self.shared / "photographs").rglob("*.jpg"))[:count]
        require(len(found) == count, "the demonstration that the case works with was not made")
        folder = self.folder / under
        folder.mkdir(exist_ok=True)
        return [Path(shutil.copy(file, folder / f"{file.parent.name}-{file.name}")) for file in found]

    def copy_of_demonstration(self) -> Path:
        """The demonstration's case, as a copy that may be changed."""
        return Path(shutil.copytree(self.shared / "case", self.folder / "case"))

    def queries(self) -> list[Path]:
        """The demonstration's queries."""
        return sorted((self.shared / "queries").iterdir())

    def items(self, case: Path) -> int:
        """How many items a case has."""
        return int(self.imgmatch("status", case, "--format", "json").object()["items"])

    def issues(self, case: Path) -> list[dict[str, Any]]:
        """The issues of a case."""
        return self.imgmatch("issues", case, "--format", "jsonl").objects()

    def tool(self, name: str) -> str:
        """A program of the system. Raises NotTestedError where it is not here."""
        found = shutil.which(name)
        if found is None:
            raise NotTestedError(f"{name} is not installed")
        return found

    def system(self, *words: object) -> None:
        """Run a program of the system."""
        subprocess.run([str(word) for word in words], check=True, capture_output=True, timeout=_SECONDS)


def require(holds: object, otherwise: str) -> None:
    """Raises DeviationError unless it holds."""
    if not holds:
        raise DeviationError(otherwise)


def drawing(number: int, side: int = 320) -> Image.Image:
    """A drawn picture with much to recognise, another for each number."""
    generator = np.random.default_rng(number)
    small = generator.integers(0, 256, (10, 10, 3), dtype=np.uint8)
    picture = Image.fromarray(small).resize((side, side), Image.Resampling.NEAREST)
    patch = Image.fromarray(generator.integers(0, 256, (side // 4, side // 4, 3), dtype=np.uint8))
    picture.paste(patch, (int(generator.integers(0, side // 2)), int(generator.integers(0, side // 2))))
    return picture


Tried = Callable[[Bench], str]


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion of a requirement: what is done, what must come out, within what tolerance, and the doing, which
    gives what came out in words or raises DeviationError or NotTestedError.
    """

    number: str
    does: str
    expects: str
    tolerance: str
    tried: Tried

    @property
    def requirement(self) -> str:
        """The number of its requirement."""
        return self.number.partition(".")[0]


def case(number: str, does: str, expects: str, tolerance: str = "none") -> Callable[[Tried], Assertion]:
    """Make a function a case: ``number`` is its requirement's, a dot, its own."""
    return lambda tried: Assertion(number, does, expects, tolerance, tried)
