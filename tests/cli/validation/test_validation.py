"""The validation that a laboratory files: cases that can fail, a report that shows changes, comparisons."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.validation import report
from cli.validation import run as validation
from cli.validation.bench import Assertion, DeviationError, NotTestedError
from cli.validation.cases import CASES
from cli.validation.requirements import REQUIREMENTS
from imgmatch.errors import UsageError

DOCS = Path(__file__).parents[3] / "docs" / "validation" / "requirements.md"
QUICK = ("R2.1", "R12.1", "R14.1", "R21.1", "R26.1", "R33.1")


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
    folder = tmp_path_factory.mktemp("validation") / "v"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "CASES", [*(one for one in CASES if one.number in QUICK), *others])
        done = invoke("validate", folder, "--examiner", "A. B.")
    assert done.exit_code == 1
    assert "deviate" in done.output
    return folder


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
def test_a_report_shows_that_it_was_altered(made, tmp_path):
    assert invoke("validate", "check", made / "report.json").exit_code == 0
    text = (made / "report.json").read_text()
    (tmp_path / "report.json").write_text(text.replace('"deviates": 1', '"deviates": 0'))
    done = invoke("validate", "check", tmp_path / "report.json")
    assert done.exit_code == 1
    assert "not as it was made" in done.output
    (tmp_path / "none.json").write_text("{}")
    with pytest.raises(UsageError, match="is no report of a validation"):
        report.read(tmp_path / "none.json")


@pytest.mark.slow
def test_a_comparison_names_what_is_worse(made, found, tmp_path):
    assert report.compare(found, found) == []
    after = json.loads(json.dumps(found))
    after["made_by"] = "imgmatch 9"
    after["requirements"][11]["cases"][0] |= {"result": "deviates", "found": "nothing"}
    before = {**found, "rates": [rate(1, 100)]}
    differences = {one.what: one for one in report.compare(before, {**after, "rates": [rate(60, 100)]})}
    assert set(differences) == {"made_by", "R12.1", "missed"}
    assert (differences["R12.1"].worse, differences["made_by"].worse, differences["missed"].worse) == (
        True,
        False,
        True,
    )
    assert not report.compare({**found, "rates": [rate(1, 100)]}, {**found, "rates": [rate(2, 100)]})
    assert invoke("validate", "compare", made / "report.json", made / "report.json").exit_code == 0


def rate(count, of):
    from cli.validation.own import _rate

    return _rate("missed", count, of)


def test_a_folder_that_exists_is_refused(tmp_path):
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
    for one in CASES:
        assert f"| {one.number} | {one.does} | {one.expects} | {one.tolerance} |" in text


@pytest.mark.data
@pytest.mark.slow
def test_rates_on_photographs_of_ones_own(data_dir, tmp_path, monkeypatch):
    from cli.validation import own
    from cli.validation.bench import Bench

    monkeypatch.setattr(own, "ALTERATIONS", ("jpeg_20",))
    monkeypatch.setattr(own, "_MOST", 80)
    rates = own.measure(Bench(tmp_path / "own", tmp_path), data_dir / "houses")
    assert rates[0]["count"] <= 1
    assert rates[0]["of"] == 20
    assert rates[1]["of"] >= 20  # a file may hold more than one picture
    assert [one.get("stated") for one in rates[2:]] == [1e-2, 1e-3]
    assert not list((tmp_path / "own").rglob("*.png"))
