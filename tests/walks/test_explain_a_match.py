"""An examiner explains a match to a court: the search, the drawing of why, the pictures as they are when they are
needed, and the record of having looked.
"""

import json

import numpy as np
import pytest
from PIL import Image

from tests.conftest import encode, run, run_json, textured

GREEN, ORANGE = (0, 200, 90), (255, 140, 0)


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """A case of four pictures; the query is a crop of one of them, between white borders."""
    made = tmp_path_factory.mktemp("explain")
    (made / "seized").mkdir()
    for number in range(4):
        (made / "seized" / f"{number}.jpg").write_bytes(encode(textured(number, (640, 480)), "JPEG"))
    crop = textured(2, (640, 480)).crop((120, 80, 560, 420))
    (made / "query.jpg").write_bytes(encode(crop, "JPEG", quality=70))
    assert run("init", made / "case", "--examiner", "Ada").returncode == 0
    assert run("ingest", made / "case", made / "seized").returncode == 0
    return made


def near(picture, colour):
    """How many pixels of a picture have nearly this colour."""
    pixels = np.asarray(Image.open(picture).convert("RGB"), int)
    return int((np.abs(pixels - colour).max(axis=2) < 12).sum())


def test_explain_a_match_with_its_drawing(walk):
    first, *_, last = run_json("search", walk / "case", walk / "query.jpg")["matches"]
    assert (first["sightings"][0]["path"], first["verification"]["verified"]) == (str(walk / "seized" / "2.jpg"), True)

    told = run_json("explain", walk / "case", walk / "query.jpg", first["item_id"], "-o", walk / "why.png")
    # What is drawn is what the search went by.
    assert (told["verified"], told["inliers"], told["reason"]) == (
        True, first["verification"]["inliers"], first["verification"]["reason"]
    )  # fmt: skip
    assert told["sha256"] == first["sha256"]
    assert near(walk / "why.png", GREEN) > 300
    assert near(walk / "why.png", ORANGE) > 300

    # Coarsened until it is asked for, and the asking is on record.
    shown = run_json(
        "explain", walk / "case", walk / "query.jpg", first["item_id"], "--reveal", "-o", walk / "seen.png"
    )
    assert (told["revealed"], shown["revealed"]) == (False, True)
    detail = [
        np.abs(np.diff(np.asarray(Image.open(walk / name).convert("L"), int)[60:400, 30:560])).mean()
        for name in ("why.png", "seen.png")
    ]
    assert detail[1] > 1.5 * detail[0]
    entries = [json.loads(line) for line in (walk / "case" / "audit.jsonl").read_text().splitlines()]
    looked = [entry for entry in entries if entry["action"] == "explain"]
    assert [entry["arguments"]["reveal"] for entry in looked] == [False, True]
    assert {entry["subject"]["item_sha256"] for entry in looked} == {first["sha256"]}

    # Of one that is not the same nothing is drawn but that nothing agrees.
    other = run_json(
        "explain", walk / "case", walk / "query.jpg", last["item_id"], "--reveal", "-o", walk / "other.png"
    )
    assert other["verified"] is False
    assert near(walk / "other.png", GREEN) < near(walk / "seen.png", GREEN) / 4


def test_the_same_drawing_is_in_the_sheet_that_goes_with_it(walk):
    (walk / "sheet.html").unlink(missing_ok=True)
    done = run("search", walk / "case", walk / "query.jpg", "--report", walk / "sheet.html", "--format", "json")
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout)["matches"][0]
    lead = (walk / "sheet.html").read_text().partition("<article")[2].partition("</article>")[0]
    assert 8 <= lead.count("<line ") <= first["verification"]["inliers"]
    corners = lead.partition('class="outline"')[2].partition('points="')[2].partition('"')[0].split()
    assert len(corners) == 4
    # Blurred, as nobody asked to reveal: there is nothing else in the file.
    assert 'class="clear"' not in lead
