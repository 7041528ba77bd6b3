"""The validation that a laboratory files: cases that can fail, a report that shows changes, comparisons."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.validation import report
from cli.validation import run as validation
from cli.validation.bench import PROGRAM, Assertion, Bench, DeviationError, NotTestedError
from cli.validation.cases import CASES
from cli.validation.requirements import REQUIREMENTS
from imgmatch.errors import UsageError
from indexer.case.signing import private_key
from tests import starting

DOCS = Path(__file__).parents[3] / "docs" / "validation" / "requirements.md"
QUICK = ("R2.1", "R12.1", "R14.1", "R21.1", "R26.1", "R33.1")


BROKEN = {
    "R2.1": "import indexer.catalogue.issues as m; m.IssueReads.all = lambda self: iter(())",
    "R10.1": "import atexit, os, sys; atexit.register(lambda: [os.utime(p) for p in sys.argv if p.endswith('.jpg')])",
    "R11.1": "import hashlib as m; right = m.md5; m.md5 = lambda *data, **how: right(b'x', usedforsecurity=False)",
    "R13.1": "import indexer.case.use as m; right = m.Entry.fields\n"
    "m.Entry.fields = lambda entry: {**right(entry), 'subject': {}}",
    "R14.1": "import indexer.case.audit as m; right = m.AuditLog.verify\n"
    "def verify(*given):\n    found = right(*given)\n    found.faults.clear()\n    return found\n"
    "m.AuditLog.verify = verify",
    "R26.1": "import indexer.search.decisions as m; m.rejected_items = lambda use, sha256: set()",
    "R27.1": "import indexer.out.report.pictures as m; m.blur = lambda picture: picture",
    "R28.1": "import indexer.intake.csvfile as m; m._plain = str",
    "R33.1": "import pathlib as m; right = m.Path.mkdir; m.Path.chmod = lambda path, mode: None\n"
    "m.Path.mkdir = lambda path, mode=0, **how: right(path, 0o755, **how)",
}
"""What is wrong with the program, for cases that must see it: run as each command of it starts."""


def fails(bench):
    raise DeviationError("three where two\nmust be")


def breaks(bench):
    raise KeyError("x")


def lacks(bench):
    raise NotTestedError("no such tool here")


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A validation of some cases as they are, and of three that come out otherwise."""
    others = [
        Assertion(f"R1.{n}", "does", "expects", "none", tried) for n, tried in enumerate((fails, breaks, lacks), 7)
    ]
    work = tmp_path_factory.mktemp("validation")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        patch.setattr(validation, "CASES", [*(one for one in CASES if one.number in QUICK), *others])
        done = invoke("validate", "v", "--examiner", "A. B.")  # as it is typed: a name where one works
    assert done.exit_code == 1
    assert "deviate" in done.output
    return work / "v"


@pytest.fixture(scope="module")
def found(made):
    return json.loads((made / "report.json").read_text())


@pytest.mark.slow
def test_every_case_has_its_result_and_what_it_rests_on(made, found):
    results = {case["number"]: case for one in found["requirements"] for case in one["cases"]}
    assert {results[number]["result"] for number in QUICK} == {"passed"}, [results[number] for number in QUICK]
    assert results["R1.7"]["result"] == "deviates"
    assert results["R1.7"]["found"] == "three where two must be"
    assert results["R1.8"]["result"] == "deviates"
    assert results["R1.9"]["result"] == "not tested"
    assert {one["number"]: one["result"] for one in found["requirements"]}["R1"] == "deviates"
    assert found["totals"]["deviates"] == 1
    steps = json.loads((made / "cases" / "R12.1" / "case.json").read_text())["steps"]
    assert [step["command"][1] for step in steps] == ["init", "ingest", "check"]
    assert found["examiner"] == "A. B."
    assert {one["name"] for one in found["weights"]} >= {"imgmatch-rooms"}
    page = (made / "report.html").read_text()
    assert "three where two must be" in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


@pytest.mark.slow
@pytest.mark.parametrize("number", BROKEN)
def test_a_case_sees_that_the_program_is_wrong(number, made, tmp_path, monkeypatch):
    (one,) = (one for one in CASES if one.number == number)
    shared = made / "demonstration"
    if number not in QUICK:  # of those it is known from a run as users have it
        assert tried(monkeypatch, one, Bench(tmp_path / "right", shared), "")["result"] == "passed"
    found = tried(monkeypatch, one, Bench(tmp_path / "wrong", shared), BROKEN[number])
    assert found["result"] == "deviates", found
    assert "Error" not in found["found"], found


def tried(monkeypatch, one, bench, first):
    """What comes of a case whose commands are forked, and each begin with this code."""

    def forked(command, cwd, env, timeout, **how):
        assert tuple(command[: len(PROGRAM)]) == PROGRAM
        words = [os.fsencode(word) for word in command[len(PROGRAM) :]]
        done = starting.starter(os.environ).run(words, cwd, None, timeout, env, first)
        return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())

    monkeypatch.setattr("cli.validation.bench.subprocess", SimpleNamespace(run=forked))
    return validation._tried(one, bench)


@pytest.mark.slow
def test_a_report_shows_that_it_was_altered(made, tmp_path):
    assert invoke("validate", "check", made / "report.json").exit_code == 0
    text = (made / "report.json").read_text()
    (tmp_path / "report.json").write_text(text.replace('"deviates": 1', '"deviates": 0'))
    done = invoke("validate", "check", tmp_path / "report.json")
    assert done.exit_code == 1
    assert "not as it was made" in done.output
    beside = shutil.copytree(made, tmp_path / "beside", symlinks=True)
    for name in ("report.html", "cases/R12.1/case.json"):
        file = beside / name
        right = file.read_bytes()
        file.write_bytes(right.replace(b"passed", b"failed", 1))
        done = invoke("validate", "check", beside / "report.json")
        assert done.exit_code == 1, name
        assert f"{name} is not as it was made" in done.output
        file.write_bytes(right)
    shutil.rmtree(beside / "cases")
    assert invoke("validate", "check", beside / "report.json").exit_code == 0
    (tmp_path / "none.json").write_text("{}")
    with pytest.raises(UsageError, match="is no report of a validation"):
        report.read(tmp_path / "none.json")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_stranger_checks_a_signature_without_imgmatch(found, tmp_path):
    """With the words of the documentation, and with nothing else."""
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    body = {name: value for name, value in found.items() if name not in ("seal", "page_sha256")}
    made = report.write(body | {"examiner": "Ä. “B.”"}, tmp_path, private_key(private))
    words = (DOCS.parent / "README.md").read_text().split("## Without imgmatch")[1].split("```")[1]

    def told():
        return subprocess.run(["sh", "-c", words], cwd=tmp_path, capture_output=True, text=True, check=False).stdout

    assert "Signature Verified Successfully" in told()
    assert made["seal"]["sha256"] in told()
    assert made["seal"]["sha256"] in (tmp_path / "report.html").read_text()
    file = tmp_path / "report.json"
    file.write_text(file.read_text().replace('"deviates": 1', '"deviates": 0'))
    assert "Signature Verified" not in told()
    assert invoke("validate", "check", file, "--public-key", public).exit_code == 1


@pytest.mark.slow
def test_a_comparison_names_what_is_worse(made, found, tmp_path):
    assert report.compare(found, found) == []
    after = json.loads(json.dumps(found))
    after["made_by"] = "imgmatch 9"
    after["requirements"][11]["cases"][0] |= {"result": "deviates", "found": "nothing"}
    before = {**found, "rates": [rate(1, 100)]}
    differences = {one.what: one.worse for one in report.compare(before, {**after, "rates": [rate(60, 100)]})}
    assert differences == {"made_by": False, "R12.1": True, "missed": True}
    assert not report.compare({**found, "rates": [rate(1, 100)]}, {**found, "rates": [rate(2, 100)]})
    assert [one[:] for one in report.compare(before, found)] == [("missed", "1 of 100", "not measured", True)]
    assert [one.worse for one in report.compare(found, before)] == [False]
    assert invoke("validate", "compare", made / "report.json", made / "report.json").exit_code == 0


@pytest.mark.slow
def test_a_comparison_names_what_was_asked_otherwise(found):
    after = json.loads(json.dumps(found))
    after["requirements"][0]["text"] = "Most pictures are found."
    after["requirements"][11]["cases"][0] |= {"tolerance": "some", "expects": "less"}
    gone = after["requirements"].pop(20)
    differences = {one.what: one for one in report.compare(found, after)}
    assert {name: one.worse for name, one in differences.items()} == {
        "R1, text": False,
        "R12.1, expects": False,
        "R12.1, tolerance": False,
        "R21": True,
        "R21.1": True,
    }
    assert differences["R12.1, tolerance"][1:3] == ("none", "some")
    assert differences["R21"][1:3] == (gone["text"], "there was none")
    assert not any(one.worse for one in report.compare(after, found))


def test_pairs_that_share_a_picture_count_for_less():
    """High pairs all of one query: the interval is wider than of as many pairs each of two pictures of their own."""
    from cli.validation import own

    high = np.zeros((60, 180), bool)
    high[0, :108] = True
    one, effect = own._of_pairs("pairs", high, 1.0)
    assert (one["count"], one["of"], one["rate"]) == (108, 10800, 0.01)
    assert effect > 50
    assert one["lower"] < 0.001 < 0.05 < one["upper"]
    high = np.zeros((60, 180), bool)
    high[np.arange(108) % 60, np.arange(108) * 5 % 180] = True
    spread, effect = own._of_pairs("pairs", high, 1.0)
    assert effect < 2
    assert 0.007 < spread["lower"] < 0.01 < spread["upper"] < 0.013
    none, effect = own._of_pairs("pairs", np.zeros((60, 180), bool), 10.0)
    assert effect == 10
    assert none["upper"] == pytest.approx(1 - 0.05 ** (1 / 1080), rel=1e-6)


def rate(count, of):
    from cli.validation.own import _rate

    return _rate("missed", count, of)


def test_copies_are_altered_in_ways_that_there_are():
    from cli.validation import own
    from imgmatch.lab.alterations import ALTERATIONS

    assert set(own.ALTERATIONS) <= set(ALTERATIONS)


def test_a_folder_that_exists_is_refused(tmp_path):
    (tmp_path / "one.jpg").touch()
    with pytest.raises(UsageError, match="holds 1 photographs; 80 or more"):
        validation.validate(tmp_path / "new", own=tmp_path)
    assert not (tmp_path / "new").exists()
    with pytest.raises(UsageError, match="name a new folder"):
        validation.validate(tmp_path)


def test_each_requirement_has_a_case_and_each_case_a_requirement():
    numbers = [one.number for one in REQUIREMENTS]
    assert len(set(numbers)) == len(numbers)
    tested = {one.requirement for one in CASES} | {"R24"}  # by the laboratory's own photographs
    assert tested == set(numbers)
    assert len({one.number for one in CASES}) == len(CASES)


def test_the_documentation_has_every_requirement_and_case():
    text = DOCS.read_text()
    for one in REQUIREMENTS:
        assert f"| {one.number} | {one.text} | {one.reason} |" in text
    for one in [*CASES, validation._rates_hold(None, [])]:
        assert f"| {one.number} | {one.does} | {one.expects} | {one.tolerance} |" in text


@pytest.mark.data
@pytest.mark.slow
def test_rates_on_photographs_of_ones_own(data_dir, tmp_path, monkeypatch):
    from cli.validation import own

    monkeypatch.setattr(own, "_QUERIES", 2)
    monkeypatch.setattr(own, "_MOST", 80)
    *copies, false, often, rarely = own.measure(Bench(tmp_path / "own", tmp_path), own.chosen(data_dir / "houses"))
    assert [one["what"].rpartition(": ")[2] for one in copies] == list(own.ALTERATIONS)
    assert {one["of"] for one in copies} == {2}
    assert copies[0]["count"] == 0
    assert false["of"] >= 20  # a file may hold more than one picture
    assert [often["stated"], rarely["stated"]] == [1e-2, 1e-3]
    assert not list((tmp_path / "own").rglob("*.png"))
