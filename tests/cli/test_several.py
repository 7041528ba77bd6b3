"""Several cases searched at once: one ranking, each match names its case, and each case's log its own search."""

import csv
import functools
import hashlib
import io
import json
import shutil
from contextlib import nullcontext

import pytest
from typer.testing import CliRunner

import imgmatch.models
from cli.app import app
from imgmatch.errors import ImgmatchError
from imgmatch.workers import pictures
from tests.conftest import encode, textured

CASES = {"a": range(1, 4), "b": range(5, 8), "all": (1, 2, 3, 5, 6, 7)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two halves of some pictures, and all of them, each a case; and two queries, one of each half."""
    folder = tmp_path_factory.mktemp("several")
    with pytest.MonkeyPatch.context() as patch:
        prepare(patch, folder)
        for name, seeds in CASES.items():
            (folder / f"in-{name}").mkdir()
            for seed in seeds:
                (folder / f"in-{name}" / f"{seed}.jpg").write_bytes(encode(textured(seed), "JPEG", quality=90))
            (folder / f"{name}.csv").write_text("file,label\n" + "".join(f"{s}.jpg,Hotel {s}\n" for s in seeds))
            assert invoke("init", name, "--purpose", f"find {name}").exit_code == 0
            assert invoke("ingest", name, f"in-{name}", "--labels", f"{name}.csv").exit_code == 0
        assert invoke("init", "other", "--model", "imgmatch-rooms").exit_code == 0
        assert invoke("init", "empty").exit_code == 0
    for seed in (2, 7):
        cut = textured(seed).crop((20, 20, 300, 230))
        (folder / f"q{seed}.jpg").write_bytes(encode(cut, "JPEG", quality=60))
    return folder


def prepare(patch, folder):
    patch.chdir(folder)
    patch.setattr("imgmatch.models.load_model", LOAD)
    patch.setattr("indexer.intake.ingest.PicturePool", lambda _, limits: nullcontext(pictures.pool(limits)))


@pytest.fixture(autouse=True)
def here(monkeypatch, folder):
    prepare(monkeypatch, folder)


LOAD = functools.cache(imgmatch.models.load_model)


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def search(*arguments):
    done = invoke("search", *arguments)
    assert done.exit_code == 0, done.exception or done.output
    return done


def found(*arguments):
    return json.loads(search("--format", "json", *arguments).stdout)


def entries(folder, case, action="search"):
    lines = (folder / case / "audit.jsonl").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if entry["action"] == action]


def ranking(result):
    return [(m["sha256"], m["level"], m["score"], m["parts_score"]) for m in result["matches"]]


def test_two_halves_rank_as_the_whole_does_and_each_match_names_its_case():
    """Of a case there is no false-match rate here: those are each case's own."""
    halves, whole = found("a", "b", "--", "q2.jpg", "q7.jpg"), found("all", "q2.jpg", "q7.jpg")
    assert [ranking(one) for one in halves] == [ranking(one) for one in whole]
    assert [one["matches"][0]["case"] for one in halves] == ["a", "b"]
    assert [one["matches"][0]["level"] for one in halves] == ["geometry", "geometry"]
    for one in halves:
        own = [m["case"] for m in one["matches"]]
        assert {c["case"]: c["matches"] for c in one["cases"]} == {"a": own.count("a"), "b": own.count("b")}
        assert {m["case"]: m["sightings"][0]["path"].split("/")[-2] for m in one["matches"]} == {
            "a": "in-a",
            "b": "in-b",
        }
    assert {m["case"] for one in whole for m in one["matches"]} == {None}
    assert whole[0]["cases"] == []


@pytest.mark.parametrize("more", [["--together"], ["--by", "label"], ["--together", "--by", "label", "-k", "3"]])
def test_sets_and_labels_too(more):
    def said(result):
        result = result if isinstance(result, list) else [result]
        if "--by" in more:
            return [(one["rank"], one["value"], one["score"], one["strength"]) for one in result]
        return [ranking(one) for one in result]

    several = found("a", "--also", "b", "q2.jpg", "q7.jpg", "--no-verify", *more)
    assert said(several) == said(found("all", "q2.jpg", "q7.jpg", "--no-verify", *more))
    if "--by" in more:
        assert {(one["value"], one["cases"][0]) for one in several} >= {("Hotel 2", "a"), ("Hotel 7", "b")}
        assert all(len(one["matches"]) == len(one["items"]) == len(one["cases"]) for one in several)


def test_each_log_has_its_own_entry_with_its_own_counts(folder):
    before = {case: len(entries(folder, case)) for case in "ab"}
    result = found("a", "b", "-k", "2", "--no-verify", "--", "q7.jpg")
    for case in "ab":
        (new,) = entries(folder, case)[before[case] :]
        assert new["subject"]["query_sha256"] == result["sha256"]
        assert new["counts"]["matches"] == 2  # as many as are asked for, of which the best are shown
    assert len(result["matches"]) == 2


def test_tables_csv_and_hints_name_the_case():
    done = invoke("search", "a", "b", "--", "q2.jpg", "q7.jpg")
    one, other, overview = (part.splitlines() for part in done.stdout.split("\n\n"))
    for table, case in ((one, "a"), (other, "b")):
        at = table[1].index("case")
        assert table[3][at:].split()[0] == case
    at = overview[1].index("case")
    assert [line[at:].split()[0] for line in overview[3:5]] == ["a", "b"]
    hint = done.stderr.splitlines()[-1]
    shown = invoke("show", *hint.split("imgmatch show ")[1].split(";")[0].split())
    assert "in-a/2.jpg" in shown.stdout
    explained = invoke("explain", *hint.split("imgmatch explain ")[1].split())
    assert explained.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(search("a", "b", "--format", "csv", "--", "q7.jpg").stdout)))
    assert rows[0]["case"] == "b"
    assert {row["case"] for row in rows} == {"a", "b"}
    assert "case" not in invoke("search", "all", "q2.jpg").stdout.splitlines()[1].split()


def test_one_lead_sheet_of_all(folder, tmp_path):
    search("a", "b", "--report", tmp_path / "sheet.html", "--", "q2.jpg", "q7.jpg")
    page = (tmp_path / "sheet.html").read_text()
    for case in "ab":
        assert f"<h2>Case {case}</h2>" in page
        assert f"find {case}" in page
        (report,) = entries(folder, case, "report_written")
        head = entries(folder, case, "report")[0]["entry"]
        assert f"entry {head} recorded the making of this report" in page
        assert report["index_sha256"] == hashlib.sha256(page.encode()).hexdigest()
    assert "(item 3 of b, " in page
    assert "(item 2 of a, " in page


def test_a_name_must_occur_in_one_of_the_cases():
    one = found("a", "b", "--label", "Hotel 7", "--", "q7.jpg")
    assert [m["case"] for m in one["matches"]] == ["b"]
    both = found("a", "b", "--label", "Hotel 2", "--label", "Hotel 7", "--", "q7.jpg")
    assert {m["case"] for m in both["matches"]} == {"a", "b"}
    refused = invoke("search", "a", "b", "--label", "Hotel 70", "--", "q7.jpg").exception
    assert refused.exit_code == 2
    assert "no label 'Hotel 70'" in str(refused)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a", "nowhere", "--", "q2.jpg"], "nowhere: no such folder"),
        (["a", "in-b", "--", "q2.jpg"], "in-b: not a case"),
        (["a", "b", "q2.jpg"], "b: is a case, no query"),
        (["a", "b", "--", "q2.jpg", "--format", "json"], "--format: stands after --"),
        (["a", "b", "--"], "no query is named"),
        (["a", "./a", "--", "q2.jpg"], "is the same case as"),
        (["a", "--also", "a", "q2.jpg"], "is the same case as"),
        (["a", "other", "--", "q2.jpg"], "other: its vectors are by 'imgmatch-rooms', a by 'imgmatch-rooms-int8'"),
        (["a", "empty", "--", "q2.jpg"], "empty: nothing to search yet"),
        (["a", "b", "--max-fmr", "0.1", "--", "q2.jpg"], "fewer than"),
    ],
)
def test_what_cannot_be_searched_is_named_in_one_line_and_nothing_is_searched(folder, arguments, said):
    before = len(entries(folder, "a"))
    done = invoke("search", *arguments)
    assert isinstance(done.exception, ImgmatchError), done.output
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)
    assert done.stdout == ""
    assert len(entries(folder, "a")) == before


def test_a_damaged_case_is_named_before_any_is_searched(folder, tmp_path):
    shutil.copytree(folder / "b", tmp_path / "damaged")
    (tmp_path / "damaged" / "catalogue.sqlite").write_bytes(b"SQLite format 3\0" + bytes(4096))
    before = len(entries(folder, "a"))
    done = invoke("search", "a", tmp_path / "damaged", "--", "q2.jpg")
    assert str(tmp_path / "damaged") in str(done.exception)
    assert (done.stdout, len(entries(folder, "a"))) == ("", before)
