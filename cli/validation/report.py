"""The report of a validation: written, read again, checked, and compared with another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from cli.validation.bench import KEPT
from cli.validation.run import EVIDENCE, FORMAT, KIND
from imgmatch.errors import UsageError
from imgmatch.given import load
from indexer.care.seal import digest_of, sealed, signature_faults
from indexer.case.signing import public_of

_MOST_BYTES = 16 << 20
_PAGE = "report.html"
_BLANK = "0" * 64
"""What stands for the seal's digest in the page that is sealed."""
_WORSE = {"passed": 0, "not tested": 1, "deviates": 2}
_Numbered = dict[str, dict[str, Any]]


def write(body: dict[str, Any], folder: Path, signer: Any = None) -> dict[str, Any]:
    """Seal a report and write it: ``report.json``, and ``report.html`` for people, which prints; returns it sealed.

    ``signer``: a private key of ``signing.private_key``. The page shows the seal, and the seal is of the page as it is
    without its own digest: so the page, and paper, can be held against it.
    """
    shown = {} if signer is None else {"public_key": public_of(signer)}
    page = _page({**body, "seal": {"sha256": _BLANK, **shown}})
    body = {**body, "page_sha256": hashlib.sha256(page.encode()).hexdigest()}
    report = {**body, "seal": sealed(body, signer)}
    text = json.dumps(report, indent=1, ensure_ascii=False, sort_keys=True)
    (folder / "report.json").write_text(text, encoding="utf-8")
    (folder / _PAGE).write_bytes(page.replace(_BLANK, report["seal"]["sha256"]).encode())
    return report


def _page(report: dict[str, Any]) -> str:
    loader = PackageLoader("cli.validation")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return made.get_template(_PAGE).render(report, kept=KEPT)


def read(file: Path) -> dict[str, Any]:
    """A report.json. Raises UsageError where it is none, or is not as it was made."""
    found, faults = check(file)
    if faults:
        raise UsageError(f"{file}: {'; '.join(faults)}; get it again from who made it")
    return found


def check(file: Path, public_key: Path | None = None) -> tuple[dict[str, Any], list[str]]:
    """A report.json and what is wrong with its seal, the page and the records of cases that lie beside it; with
    ``public_key``: it must be signed by who has its key. Raises UsageError on a file that is no report.
    """
    try:
        found = load(file, _MOST_BYTES)
        body = {name: value for name, value in found.items() if name != "seal"}
        if body["validation"] != KIND or body["format"] != FORMAT:
            raise ValueError("of another kind or version")
        seal = dict(found["seal"])
        faults = [] if digest_of(body) == seal["sha256"] else ["it is not as it was made"]
        faults += signature_faults(body, seal, public_key)
        return found, faults + _faults_beside(file.parent, body, seal)
    except OSError as error:
        raise UsageError(f"{file}: can't be read ({error.strerror}); give a report.json") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{file}: is no report of a validation ({error}); give a report.json") from error


def _faults_beside(folder: Path, body: dict[str, Any], seal: dict[str, Any]) -> list[str]:
    """What lies beside a report and is not what it was made with; what was not carried along is no fault."""
    page = folder / _PAGE
    held = []
    if page.exists():
        blank = page.read_bytes().replace(str(seal["sha256"]).encode(), _BLANK.encode())
        held.append((page, blank, body["page_sha256"]))
    for one in (case for requirement in body["requirements"] for case in requirement["cases"]):
        record = folder / "cases" / one["number"] / EVIDENCE
        held += [(record, record.read_bytes(), one["evidence_sha256"])] if record.exists() else []
    wrong = (file for file, data, right in held if hashlib.sha256(data).hexdigest() != right)
    return [f"{file.relative_to(folder)} is not as it was made" for file in wrong]


class Difference(NamedTuple):
    """What another validation gave otherwise; ``worse`` is for whoever decides whether to go on with the new one."""

    what: str
    before: str
    after: str
    worse: bool


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """What changed from one report to another: program, weights, machine, requirements and cases as they are worded,
    results, and rates whose intervals don't meet. Of rewording a person says whether it is worse; what is not tried
    or measured any more is.
    """
    found = [
        Difference(name, str(before.get(name)), str(after.get(name)), worse=False)
        for name in ("made_by", "program_sha256", "machine", "weights")
        if before.get(name) != after.get(name)
    ]
    for name in sorted({*before["packages"], *after["packages"]}):
        old, new = (one["packages"].get(name, "not installed") for one in (before, after))
        if old != new:
            found.append(Difference(f"package {name}", old, new, worse=False))
    (texts, cases), (new_texts, new_cases) = _numbered(before), _numbered(after)
    found += _compared(texts, new_texts, ("text", "reason"))
    found += _compared(cases, new_cases, ("does", "expects", "tolerance"))
    return [*found, *_rates(before, after)]


def _numbered(report: dict[str, Any]) -> tuple[_Numbered, _Numbered]:
    """Requirements and cases by their numbers."""
    requirements = {one["number"]: one for one in report["requirements"]}
    return requirements, {case["number"]: case for one in requirements.values() for case in one["cases"]}


def _compared(before: _Numbered, after: _Numbered, words: tuple[str, ...]) -> Iterator[Difference]:
    """Requirements or cases of two reports: which are gone or new, how they are worded, and what came of each case."""
    for number in dict.fromkeys([*before, *after]):
        old, new = before.get(number), after.get(number)
        if old is None or new is None:
            yield Difference(number, _told(old), _told(new), worse=new is None)
            continue
        yield from (
            Difference(f"{number}, {word}", old[word], new[word], worse=False)
            for word in words
            if old[word] != new[word]
        )
        if "found" in old and old["result"] != new["result"]:
            yield Difference(number, _told(old), _told(new), worse=_WORSE[new["result"]] > _WORSE[old["result"]])


def _told(one: dict[str, Any] | None) -> str:
    if one is None:
        return "there was none"
    return f"{one['result']}: {one['found']}" if "found" in one else str(one["text"])


def _rates(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Difference]:
    """Rates on the laboratory's own photographs that differ by more than chance, or that one of both lacks."""
    old_rates, new_rates = ({rate["what"]: rate for rate in one["rates"]} for one in (before, after))
    for what in dict.fromkeys([*old_rates, *new_rates]):
        old, new = old_rates.get(what), new_rates.get(what)
        said = [f"{one['count']} of {one['of']}" if one else "not measured" for one in (old, new)]
        if old is None or new is None:
            yield Difference(what, said[0], said[1], worse=new is None)
        elif old["upper"] < new["lower"] or new["upper"] < old["lower"]:
            yield Difference(what, said[0], said[1], worse=new["rate"] > old["rate"])
