"""Somebody who learns goes through the exercise by the commands of its story, and finds every answer of its key."""

import csv
import os
import re
import shlex

import pytest

from cli.exercise.making import key
from tests.conftest import ROOT, run, run_json

pytestmark = pytest.mark.slow


def name(match):
    return re.sub(r".*/", "", match["sightings"][0]["path"])


def test_every_answer_can_be_found(tmp_path):
    assert run("exercise", tmp_path / "x", "--seed", 5).returncode == 0
    folder = tmp_path / "x"
    orders = [
        shlex.split(line)[1:]
        for line in (folder / "story.txt").read_text().splitlines()
        if line.startswith("    imgmatch ")
    ]
    right = {one.name: one.right for one in key(folder)}
    within = {"cwd": folder, "env": os.environ | {"PYTHONPATH": str(ROOT)}, "timeout": 1200}
    for order in orders[:2]:
        assert run(*order, **within).returncode == 0

    # The hotel: the first label, and clearly so.
    first, second = run_json(*orders[3], **within)[:2]
    assert first["value"] == right["hotel"]
    assert first["score"] > second["score"] + 0.05

    # The telephones: the strongest pair of photographs on two of them; the third telephone's hit is convincing too.
    found = run_json(*orders[4], **within)["matches"]
    others = [one for one in found if "/phone-" in one["sightings"][0]["path"] and not one["sightings"][0]["own"]]
    assert [one["level"] for one in others[:2]] == ["geometry", "geometry"]
    own = re.search("phone-(.)", orders[4][2]).group(1)
    of = [re.search("phone-(.)", one["sightings"][0]["path"]).group(1) for one in others]
    assert sorted([own, of[0]]) == right["phones"].split()
    assert others[0]["verification"]["inliers"] >= 1.5 * others[1]["verification"]["inliers"]
    assert (name(others[1]), of[1] in right["phones"]) == (right["false hit"], False)
    # The table shows the room of the false hit.
    shown = run_json("search", "case", f"evidence/phone-{of[1]}/{name(others[1])}", "--label", right["hotel"], **within)
    assert shown["matches"][0]["level"] == "geometry"
    rooms = {row["file"]: row["room"] for row in csv.DictReader((folder / "hotels.csv").open())}
    assert rooms[re.search("hotels/.*", shown["matches"][0]["sightings"][0]["path"]).group()] == "01"

    # The second advertisement: nothing convincing.
    nothing = run_json("search", "case", "queries/second-advertisement.jpg", **within)
    assert nothing["answer"] == "nothing convincing found"
    (folder / "answers.txt").write_text("".join(f"{one}: {text}\n" for one, text in right.items()))
    assert run("exercise", ".", "--check", "answers.txt", **within).returncode == 0
