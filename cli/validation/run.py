"""A validation: every case of every requirement, once, and what came out."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

import imgmatch
from cli.validation import own as rates_of
from cli.validation.bench import Assertion, Bench, DeviationError, NotTestedError, case, require
from cli.validation.cases import CASES
from cli.validation.requirements import REQUIREMENTS
from imgmatch.cores import usable_cores
from imgmatch.errors import UsageError
from imgmatch.models import has_weights, list_models
from imgmatch.models.runtimes.processor import sums_in_8_bits_are_exact
from indexer.case.account import account
from indexer.catalogue.clock import now_utc

KIND = "imgmatch validation"
FORMAT = 1
RATES = "R24.1"
EVIDENCE = "case.json"


def validate(
    folder: Path, *, own: Path | None = None, examiner: str = "", tell: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Try every case in a new folder, which keeps what each was done with; returns the report, not sealed yet.

    ``own``: photographs of the laboratory, for rates on what it works with. Raises UsageError where the folder exists
    or there are too few of them.
    """
    folder = folder.absolute()  # commands run in the folder of their case
    photographs = None if own is None else rates_of.chosen(own.absolute())
    try:
        folder.mkdir(parents=True, mode=0o700)
    except FileExistsError as error:
        raise UsageError(f"{folder}: exists already; name a new folder") from error
    except OSError as error:
        raise UsageError(f"{folder}: can't be made ({error.strerror}); name another folder") from error
    began = now_utc()
    shared = folder / "demonstration"
    Bench(folder / "cases" / "demonstration", folder).imgmatch("demo", shared, ends=None)
    tried = []
    rates: list[dict[str, Any]] = []
    for one in [*CASES, _rates_hold(photographs, rates)]:
        found = _tried(one, Bench(folder / "cases" / one.number, shared))
        tell(f"{one.number:<6}{found['result']:<11}{found['found']}")
        tried.append(found)
    return _body(began, examiner, tried, rates)


def _tried(one: Assertion, bench: Bench) -> dict[str, Any]:
    began = time.monotonic()
    try:
        result, found = "passed", one.tried(bench)
    except DeviationError as error:
        result, found = "deviates", str(error)
    except NotTestedError as error:
        result, found = "not tested", str(error)
    except subprocess.TimeoutExpired as error:
        result, found = "deviates", f"{error.cmd[0]} took more than {error.timeout:.0f} s"
    except Exception as error:  # noqa: BLE001  (what a case meets that nobody foresaw is no pass, and ends no validation)
        result, found = "deviates", f"{type(error).__name__}: {error}"
    record = {
        "number": one.number,
        "does": one.does,
        "expects": one.expects,
        "tolerance": one.tolerance,
        "result": result,
        "found": " ".join(found.split()),
        "seconds": round(time.monotonic() - began),
    }
    steps = json.dumps({**record, "steps": bench.steps}, indent=1, ensure_ascii=False).encode("utf-8", "replace")
    (bench.folder / EVIDENCE).write_bytes(steps)
    return {**record, "evidence_sha256": hashlib.sha256(steps).hexdigest()}


def _rates_hold(photographs: list[Path] | None, rates: list[dict[str, Any]]) -> Assertion:
    """The case of the laboratory's own photographs; puts what it measures into ``rates``."""

    @case(RATES, "Photographs of the laboratory that are not in its case, searched with against all that are",
          "as many high scores as stated, or fewer", "the interval of 95 % of what is seen")  # fmt: skip
    def hold(bench: Bench) -> str:
        """Stated rates hold where what was seen may be as they say: where its interval begins at or below them."""
        if photographs is None:
            raise NotTestedError("no photographs of the laboratory were given (--own)")
        rates.extend(rates_of.measure(bench, photographs))
        stated = [rate for rate in rates if "stated" in rate]
        said = ", ".join(f"{rate['rate']:.2g} at a stated {rate['stated']:g}" for rate in stated)
        require(all(rate["lower"] <= rate["stated"] for rate in stated), said)
        return said

    return hold


def _body(began: str, examiner: str, tried: list[dict[str, Any]], rates: list[dict[str, Any]]) -> dict[str, Any]:
    requirements = []
    for requirement in REQUIREMENTS:
        cases = [one for one in tried if one["number"].partition(".")[0] == requirement.number]
        results = {one["result"] for one in cases}
        result = "deviates" if "deviates" in results else "passed" if "passed" in results else "not tested"
        requirements.append({**requirement._asdict(), "result": result, "cases": cases})
    counted = [one["result"] for one in requirements]
    return {
        "validation": KIND,
        "format": FORMAT,
        "made_by": f"imgmatch {imgmatch.__version__}",
        "program_sha256": _program(),
        "made_under_account": account(),
        "examiner": examiner,
        "began_utc": began,
        "ended_utc": now_utc(),
        "machine": _machine(),
        "packages": _packages(),
        "weights": [{"name": spec.name, "sha256": spec.weights_sha256} for spec in list_models() if has_weights(spec)],
        "totals": {result: counted.count(result) for result in ("passed", "deviates", "not tested")},
        "requirements": requirements,
        "rates": rates,
    }


def _program() -> str:
    """A digest of what was tried: the SHA-256 of the lines of sha256sum of imgmatch's own files, by name."""
    root = Path(imgmatch.__file__).parents[1]
    files = (file for name in ("cli", "imgmatch", "indexer") for file in (root / name).rglob("*"))
    lines = sorted(
        f"{file.relative_to(root).as_posix()}  {hashlib.sha256(file.read_bytes()).hexdigest()}\n"
        for file in files
        if file.is_file() and file.suffix != ".pyc"
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _packages() -> dict[str, str]:
    """Versions of what imgmatch requires, extras too as far as they are here."""
    found = {}
    for text in importlib.metadata.requires("imgmatch") or ():
        name = Requirement(text).name
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return dict(sorted(found.items()))


def _machine() -> dict[str, Any]:
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "cores": usable_cores(),
        "exact_8_bit_products": sums_in_8_bits_are_exact(),
        "tools": {name: shutil.which(name) is not None for name in ("mkfs.vfat", "mcopy", "ewfacquire", "unshare")},
    }
