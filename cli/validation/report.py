"""The report of a validation: written, read again, checked, and compared with another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from cli.validation.run import FORMAT, KIND
from imgmatch.errors import UsageError
from imgmatch.given import load
from indexer.care.seal import digest_of, signature_faults

_MOST_BYTES = 16 << 20
_WORSE = {"passed": 0, "not tested": 1, "deviates": 2}


def write(report: dict[str, Any], folder: Path) -> None:
    """``report.json``, and ``report.html`` for people, which prints."""
    text = json.dumps(report, indent=1, ensure_ascii=False, sort_keys=True)
    (folder / "report.json").write_text(text, encoding="utf-8")
    loader = PackageLoader("cli.validation")
    page = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    (folder / "report.html").write_text(page.get_template("report.html").render(report), encoding="utf-8")


def read(file: Path) -> dict[str, Any]:
    """A report.json. Raises UsageError where it is none, or is not as it was made."""
    found, faults = check(file)
    if faults:
        raise UsageError(f"{file}: {'; '.join(faults)}; get it again from who made it")
    return found


def check(file: Path, public_key: Path | None = None) -> tuple[dict[str, Any], list[str]]:
    """A report.json and what is wrong with its seal; with ``public_key``: it must be signed by who has its key.

    Raises UsageError on a file that is no report.
    """
    try:
        found = load(file, _MOST_BYTES)
        body = {name: value for name, value in found.items() if name != "seal"}
        if body["validation"] != KIND or body["format"] != FORMAT:
            raise ValueError("of another kind or version")
        seal = dict(found["seal"])
        faults = [] if digest_of(body) == seal["sha256"] else ["it is not as it was made"]
        return found, faults + signature_faults(body, seal, public_key)
    except OSError as error:
        raise UsageError(f"{file}: can't be read ({error.strerror}); give a report.json") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{file}: is no report of a validation ({error}); give a report.json") from error


class Difference(NamedTuple):
    """What another validation gave otherwise; ``worse`` is for whoever decides whether to go on with the new one."""

    what: str
    before: str
    after: str
    worse: bool


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """What changed from one report to another: versions, weights, machine, results, and rates whose intervals don't
    meet.
    """
    found = [
        Difference(name, str(before[name]), str(after[name]), worse=False)
        for name in ("made_by", "machine", "weights")
        if before[name] != after[name]
    ]
    for name in sorted({*before["packages"], *after["packages"]}):
        old, new = (one["packages"].get(name, "not installed") for one in (before, after))
        if old != new:
            found.append(Difference(f"package {name}", old, new, worse=False))
    cases = [
        {case["number"]: case for requirement in one["requirements"] for case in requirement["cases"]}
        for one in (before, after)
    ]
    for number in dict.fromkeys([*cases[0], *cases[1]]):
        old, new = (one.get(number, {"result": "not tested", "found": "there was no such case"}) for one in cases)
        if old["result"] != new["result"]:
            worse = _WORSE[new["result"]] > _WORSE[old["result"]]
            said = [f"{one['result']}: {one['found']}" for one in (old, new)]
            found.append(Difference(number, said[0], said[1], worse))
    rates = [{rate["what"]: rate for rate in one["rates"]} for one in (before, after)]
    for what in rates[0].keys() & rates[1].keys():
        old, new = rates[0][what], rates[1][what]
        if old["upper"] < new["lower"] or new["upper"] < old["lower"]:
            worse = new["rate"] > old["rate"]
            said = [f"{one['count']} of {one['of']}" for one in (old, new)]
            found.append(Difference(what, said[0], said[1], worse))
    return found
