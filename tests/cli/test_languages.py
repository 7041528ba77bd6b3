"""A lead sheet and an overview in another language: the words are, what programs read is not."""

import json
import re

import pytest

from tests.conftest import encode, run, textured


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("languages")
    (folder / "in").mkdir()
    for seed in range(3):
        (folder / "in" / f"{seed}.jpg").write_bytes(encode(textured(seed), "JPEG"))
    assert run("init", folder / "case", "--purpose", "Zimmer <b>finden</b>").returncode == 0
    assert run("ingest", folder / "case", folder / "in").returncode == 0
    return folder


def test_a_lead_sheet_speaks_and_json_does_not(case, tmp_path):
    asked = ("search", case / "case", case / "in" / "1.jpg", "--language", "de", "--report", tmp_path / "a.html")
    done = run(*asked, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["matches"][0]["strength"] == "identical file"
    page = (tmp_path / "a.html").read_text()
    assert '<html lang="de">' in page
    for words in (
        "Hinweisblatt",
        "identische Datei",
        "nicht entschieden",
        "keine prüfende Person",
    ):
        assert words in page
    assert "Zimmer &lt;b&gt;finden&lt;/b&gt;" in page
    assert re.search(r'class="score">[01],\d{4}<', page)
    assert "\\u202f" not in page
    assert "\\xa0" not in page
    for words in ("Lead sheet", "No score is a verdict", "Not decided", "{0}"):
        assert words not in page


def test_an_environment_says_it_for_all_and_nothing_means_english(case, tmp_path, monkeypatch):
    monkeypatch.setenv("LANG", "es_ES.UTF-8")
    assert run("overview", case / "case", "-o", tmp_path / "en.html").returncode == 0
    assert '<html lang="en">' in (tmp_path / "en.html").read_text()
    monkeypatch.setenv("IMGMATCH_LANGUAGE", "auto")
    assert run("overview", case / "case", "-o", tmp_path / "es.html").returncode == 0
    assert "Vista general" in (tmp_path / "es.html").read_text()
    done = run("overview", case / "case", "-o", tmp_path / "x.html", "--language", "tlh")
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"there are: auto, en" in done.stderr
