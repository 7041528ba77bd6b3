"""The README's table says what the results of the benchmarks hold, and nothing that they do not."""

import json
import re

import pytest

from benchmarks import all as every
from benchmarks import claims
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_the_table_is_that_of_the_results():
    assert claims.with_table(README) == README, "run: python -m benchmarks.all --table"


def test_every_table_with_figures_is_that_one():
    tables = re.findall(r"(?:^\|.*\n)+", README, re.MULTILINE)
    assert claims.table() in tables
    others = "".join(table for table in tables if table != claims.table())
    assert not re.search(r"\d[\d,.]* (?:s|ms|MB|GB|images|times)\b|\b0\.\d+", others)


_MEASURED = r"\d[\d,.]* ?(?:s|ms|min|minutes|hours|[KMG]i?B|images|pictures|times|queries|%|per cent)\b|\b0\.\d+"


def without_the_table(readme):
    """What is said outside the table of figures and outside examples, and not of the machine, which results name."""
    said = re.sub(r"^```.*?^```", "", readme.replace(claims.table(), ""), flags=re.MULTILINE | re.DOTALL)
    results = [claims.result(name) for claim in claims.CLAIMS for name in claims.named(claim)]
    for memory in {one["machine"]["memory_gb"] for one in results}:
        said = said.replace(f"{memory} GB", "")
    return said


def test_no_figure_stands_outside_the_table():
    """So that none can be claimed in passing."""
    assert re.findall(_MEASURED, without_the_table(README)) == []
    for claim in ("It reads 999 images/s.", "a search takes 0.8 s", "needs 3 GB", "finds 0.97 of them", "in 5 minutes"):
        assert re.findall(_MEASURED, without_the_table(f"{README}\n{claim}\n")), claim


def test_every_figure_comes_from_a_result():
    """What is left of a figure without its fields says no number that was measured (int8 at 288 px, 1 in, 95 %)."""
    for claim in claims.CLAIMS:
        left = re.sub(claims._FIELD, "", claim.figure)
        assert re.findall(r"\d+", left) in ([], ["8", "288"], ["1", "95"]), claim


@pytest.mark.parametrize("claim", claims.CLAIMS, ids=lambda claim: claim.script)
def test_each_result_names_the_script_the_machine_and_the_versions(claim):
    for name in claims.named(claim):
        kept = json.loads((claims.RESULTS / f"{name}.json").read_text())
        assert kept["machine"]["cores"]
        assert kept["versions"]["imgmatch"]
        for words in every.commands(name):
            assert words[0] == f"benchmarks.{claim.script.split()[0]}"
            assert (ROOT / "benchmarks" / f"{words[0].partition('.')[2]}.py").is_file()
            assert "--json" not in words
    _script, _, option = claim.script.partition(" ")
    assert option == "" or any(option in words for name in claims.named(claim) for words in every.commands(name))


def test_a_figure_that_no_result_holds_is_an_error():
    with pytest.raises(KeyError, match="nonsense"):
        claims.said("{kill:nonsense|}")
    with pytest.raises(OSError, match=r"none\.json"):
        claims.said("{none:kills|}")


def test_one_go_replaces_a_result_only_by_a_run_that_ended_well(tmp_path, monkeypatch):
    monkeypatch.setattr(every, "RESULTS", tmp_path)
    made = {"command": "python -m benchmarks.kill --files 1 --json old.json", "kills": 1}
    (tmp_path / "kill.json").write_text(json.dumps(made))
    ran = []

    def run(command, **given):
        ran.append(command)
        if "fails" not in ran:
            every.Path(command[-1]).write_text('{"kills": 2}')
        return type("Done", (), {"returncode": int("fails" in ran)})

    monkeypatch.setattr(every.subprocess, "run", run)
    assert every.measure("kill", tmp_path) == ""
    assert ran[0][1:5] == ["-m", "benchmarks.kill", "--files", "1"]
    assert json.loads((tmp_path / "kill.json").read_text()) == {"kills": 2}
    (tmp_path / "kill.json").write_text(json.dumps(made | {"command": made["command"] + " --anchors a.npy"}))
    assert "a.npy" in every.measure("kill", tmp_path)
    (tmp_path / "kill.json").write_text(json.dumps(made))
    ran.append("fails")
    assert every.measure("kill", tmp_path) == "ended with 1"
    assert json.loads((tmp_path / "kill.json").read_text()) == made
    assert [path.name for path in tmp_path.iterdir()] == ["kill.json"]
