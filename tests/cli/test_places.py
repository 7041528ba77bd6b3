"""Where something was found stands in words wherever a person reads it, and as a locator where a program does."""

import csv
import io

import pytest

from tests.cli.test_output import on_terminal
from tests.conftest import encode, run, run_json, textured
from tests.images import acquired, partitioned

WORDS = "evidence.E01 > partition 2 > /DCIM/100APPLE/IMG_0010.JPG"
GONE = "evidence.E01 > partition 2 > /DCIM/100APPLE/_MG_0011.JPG (deleted)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("places")
    acquired(partitioned(made / "made"), made / "in" / "evidence")
    (made / "in" / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0nothing")
    (made / "q.jpg").write_bytes(encode(textured(10), "JPEG", quality=70))
    (made / "in" / "copy.jpg").write_bytes(encode(textured(10), "JPEG", quality=60))
    for name in ("case", "other"):
        assert run("init", made / name).returncode == 0
        assert run("ingest", made / name, made / "in").returncode == 0
    return made


def said(*arguments):
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def test_every_table_names_the_place_and_every_program_keeps_its_form(folder):
    case = folder / "case"
    item = run_json("search", case, folder / "q.jpg")["matches"]
    ids = {match["sightings"][0]["place"].rpartition("/")[2]: match["item_id"] for match in item}
    gone = ids["_MG_0011.JPG (deleted)"]
    assert WORDS in said("search", case, folder / "q.jpg")
    assert GONE in said("search", case, folder / "q.jpg")
    assert GONE in said("show", case, gone)
    assert WORDS in said("groups", case, "--least", "0.9")
    linked = said("link", case, folder / "other")
    assert any(line.count(GONE) == 2 for line in linked.splitlines())
    shown = run_json("show", case, gone)["sightings"][0]
    assert shown["path"].endswith("evidence.E01")
    assert "|partition:2@" in shown["locator"]
    assert shown["place"].endswith(GONE)
    assert f"{folder}/in/bad.jpg" in said("issues", case)
    rows = csv.DictReader(io.StringIO(said("search", case, folder / "q.jpg", "--format", "csv")))
    assert {row["path"] for row in rows} >= {str(folder / "in" / "evidence.E01")}
    assert next(csv.reader(io.StringIO(said("issues", case, "--format", "csv"))))[2] == "path"


def test_a_report_names_the_place(folder):
    assert run("export", folder / "case", folder / "q.jpg", "-o", folder / "report").returncode == 0
    pages = [path.read_text() for path in folder.glob("report/*.html")]
    assert any(GONE.replace(">", "&gt;") in page for page in pages)


@pytest.mark.parametrize("command", ["show", "issues", "groups", "search"])
def test_a_narrow_terminal_shortens_places_from_the_left(folder, command):
    case = folder / "case"
    gone = next(
        match["item_id"]
        for match in run_json("search", case, folder / "q.jpg")["matches"]
        if match["sightings"][0]["deleted"]
    )
    words = {"show": [gone], "issues": [], "groups": ["--least", "0.3"], "search": [folder / "q.jpg"]}[command]
    shown = on_terminal(80, command, case, *words)
    assert max(map(len, shown.splitlines())) <= 80
    name = {"issues": "/bad.jpg", "groups": "/IMG_0010.JPG"}.get(command, "/_MG_0011.JPG (deleted)")
    assert name in shown
    assert "…" in shown
