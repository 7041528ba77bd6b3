"""Calibrated search, sets, labels, groups, links and decisions as a user runs them."""

import csv
import io
import json

import pytest
from PIL import Image

from tests.conftest import encode, run, run_json, textured

# Each command is a process of its own.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matches")
    (folder / "in").mkdir()
    for seed in range(60):
        (folder / "in" / f"{seed:02}.jpg").write_bytes(encode(textured(seed), "JPEG"))
    (folder / "in" / "small.png").write_bytes(encode(textured(3).resize((213, 160)), "PNG"))
    rows = "".join(f"in/{n:02}.jpg,Hotel {n // 2},{'Ghent' if n < 30 else 'Lille'}\n" for n in range(60))
    (folder / "labels.csv").write_text("file,label,city\n" + rows)
    (folder / "q1.jpg").write_bytes(encode(textured(7), "JPEG", quality=50))
    (folder / "q2.jpg").write_bytes(encode(textured(8), "JPEG", quality=50))
    (folder / "black.png").write_bytes(encode(Image.new("RGB", (80, 60)), "PNG"))
    for name in ("case", "one"):
        assert run("init", folder / name).returncode == 0
    done = run("ingest", folder / "case", folder / "in", "--labels", folder / "labels.csv")
    assert done.returncode == 0, done.stderr
    assert run("ingest", folder / "one", folder / "in" / "05.jpg").returncode == 0
    return folder


def test_every_match_says_its_false_match_rate(folder):
    (first, *rest) = run_json("search", folder / "case", folder / "q1.jpg")["matches"]
    assert {"rate", "lower", "upper", "expected", "expected_upper", "text"} == set(first["false_match"])
    assert " 1 in " in f" {first['false_match']['text']}"
    by_score = sorted((first, *rest), key=lambda m: -m["score"])
    stated = [m["false_match"]["rate"] or m["false_match"]["upper"] for m in by_score]
    assert stated == sorted(stated)
    table = run("search", folder / "case", folder / "q1.jpg").stdout.decode()
    assert "by chance" in table
    assert "probability" not in table


def test_max_fmr_cuts_and_one_that_cannot_be_shown_is_an_error(folder):
    whole = run_json("search", folder / "case", folder / "q1.jpg", "-k", "60")["matches"]
    stated = {m["item_id"]: m["false_match"]["rate"] or m["false_match"]["upper"] for m in whole}
    limit = sorted(stated.values())[20]
    kept = run_json("search", folder / "case", folder / "q1.jpg", "-k", "60", "--max-fmr", str(limit))["matches"]
    assert [m["item_id"] for m in kept] == [item for item, rate in stated.items() if rate <= limit]
    assert 20 < len(kept) < 60
    done = run("search", folder / "case", folder / "q1.jpg", "--max-fmr", "1e-9")
    assert done.returncode == 1
    assert b"lower than this background can show" in done.stderr


def test_a_case_of_one_picture_says_that_no_rate_can_be_stated(folder):
    done = run("search", folder / "one", folder / "q1.jpg", "--format", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["matches"][0]["false_match"] is None
    assert b"too few to state false-match rates" in done.stderr
    assert run("search", folder / "one", folder / "q1.jpg", "--max-fmr", "0.1").returncode == 1
    assert run("calibrate", folder / "one").returncode == 1
    assert run_json("calibrate", folder / "one", "--background", folder / "case")["pictures"] == 61
    assert run_json("search", folder / "one", folder / "q1.jpg")["matches"][0]["false_match"]


def test_a_black_frame_is_searched_without_a_crash(folder):
    assert len(run_json("search", folder / "case", folder / "black.png", "-k", 3)["matches"]) == 3


def test_a_set_gives_one_list_that_names_the_query_of_each(folder):
    found = run_json("search", folder / "case", folder / "q1.jpg", folder / "q2.jpg", "--together", "-k", 4)
    assert found["queries"] == [str(folder / "q1.jpg"), str(folder / "q2.jpg")]
    best = {m["sightings"][0]["path"].rsplit("/", 1)[1]: m["found_by"] for m in found["matches"][:2]}
    assert best == {"07.jpg": str(folder / "q1.jpg"), "08.jpg": str(folder / "q2.jpg")}
    assert len(run_json("search", folder / "case", folder / "q1.jpg", folder / "q2.jpg")) == 2


def test_labels_and_a_further_column(folder):
    ranked = run_json("search", folder / "case", folder / "q1.jpg", "--by", "label", "-k", 3)
    assert [entry["rank"] for entry in ranked] == [1, 2, 3]
    assert (ranked[0]["value"], ranked[0]["pictures"]) == ("Hotel 3", 2)
    assert ranked[0]["matches"][0]["sightings"][0]["path"].endswith("07.jpg")
    cities = run_json("search", folder / "case", folder / "q1.jpg", "--by", "label", "--label-column", "city")
    assert cities[0]["value"] == "Ghent"
    assert run("search", folder / "case", folder / "q1.jpg", "--by", "colour").returncode == 1


def test_groups_and_links(folder):
    members = run_json("groups", folder / "case", "--least", "0.9")
    copy = next(m for m in members if m["path"].endswith("small.png"))
    group = [m for m in members if m["group"] == copy["group"]]
    assert group[0]["best"]
    assert not copy["best"]
    assert any(m["path"].endswith("03.jpg") for m in group)
    assert copy["differs"] == ["44% of the pixels", "PNG instead of JPEG"]
    done = run("link", folder / "one", folder / "case", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    (same,) = (row for row in rows if row["by_chance"] == "identical content")
    assert same["other_path"].endswith("05.jpg")
    assert same["score"] == max(row["score"] for row in rows)
    assert run("link", folder / "case", folder / "case").returncode == 1


def test_a_rejected_match_does_not_come_back(folder):
    before = run_json("search", folder / "case", folder / "q2.jpg")["matches"]
    item = before[0]["item_id"]
    made = run_json("decide", folder / "case", folder / "q2.jpg", item, "rejected", "--note", "another room")
    assert made["note"] == "another room"
    after = run_json("search", folder / "case", folder / "q2.jpg")["matches"]
    assert [m["item_id"] for m in after[:9]] == [m["item_id"] for m in before[1:]]
    assert len(after) == 10
    assert run_json("decide", folder / "case", "1", "2", "confirmed")["verdict"] == "confirmed"
    assert [row["verdict"] for row in run_json("decide", folder / "case", "--list")] == ["rejected", "confirmed"]
    assert run("decide", folder / "case", "--labels", folder / "out.csv").returncode == 0
    assert len((folder / "out.csv").read_text().splitlines()) == 3
    assert run("decide", folder / "case", "1").returncode == 1
