"""Verification within a search: what is first, what stays, and what can't be read any more."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from benchmarks import templates
from imgmatch.errors import UsageError
from imgmatch.evidence.read import Finder
from imgmatch.locator import Locator
from imgmatch.match.strength import strength
from imgmatch.models.xfeat.matcher import LearnedPoints
from imgmatch.types import FalseMatchRate, Match, Sighting, Verification
from indexer.intake.ingest import ingest
from indexer.search import verification
from indexer.search.comparison import explain
from indexer.search.request import LeaveOut, SearchRequest, SearchResult
from indexer.search.searcher import Searcher
from indexer.search.sets import by_label, together
from tests.conftest import encode, picture, textured

COUNT = 6


def write(path, image):
    path.write_bytes(encode(image, "PNG"))
    return path


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for seed in range(COUNT):
        write(folder / f"{seed}.png", textured(seed))
    return folder


@pytest.fixture
def filled(case, embedder, folder):
    ingest(case, [folder], embedder)
    return case


def search(case, embedder, query, verify_top=50, **options):
    (result,) = Searcher(case, embedder).search([query], SearchRequest(COUNT + 2, verify_top=verify_top, **options))
    return result.matches


def name(match):
    return match.sightings[0].locator.at.rsplit("/", 1)[1]


def test_verified_ones_come_first_and_none_is_lost(filled, embedder, tmp_path):
    crop = write(tmp_path / "crop.png", textured(4).crop((200, 150, 320, 240)))
    before, after = search(filled, embedder, crop, 0), search(filled, embedder, crop)
    assert sorted(m.item_id for m in after) == sorted(m.item_id for m in before)
    assert len(after) == COUNT
    assert [m.rank for m in after] == list(range(1, COUNT + 1))
    flags = [m.verification.verified for m in after]
    assert flags == sorted(flags, reverse=True)
    assert (name(after[0]), sum(flags)) == ("4.png", 1)
    # The others stand in the order of how well their parts meet; nothing else of them is changed by it.
    parts = [m.parts_score for m in after[1:]]
    assert parts == sorted(parts, reverse=True)
    assert {m.item_id: m.score for m in after} == {m.item_id: m.score for m in before}
    assert {m.parts_score for m in before} == {None}


def test_only_the_nearest_few_are_verified_when_so_asked(filled, embedder, folder):
    matches = search(filled, embedder, folder / "0.png", verify_top=2)
    assert [m.verification is not None for m in matches] == [True, True, *[False] * (COUNT - 2)]


def test_the_same_search_gives_the_same_verifications_on_any_number_of_threads(filled, embedder, tmp_path, monkeypatch):
    query = write(tmp_path / "q.png", textured(2).rotate(20))
    found = search(filled, embedder, query)
    assert found == search(filled, embedder, query)
    monkeypatch.setattr(verification, "usable_cores", lambda: 1)
    assert found == search(filled, embedder, query)


def test_a_mirrored_copy_is_said_to_be_mirrored(filled, embedder, tmp_path):
    query = write(tmp_path / "q.png", textured(3).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    first = search(filled, embedder, query)[0]
    assert name(first) == "3.png"
    assert first.verification.mirrored
    assert first.reasons[-1].endswith("as one plane, mirrored")


def test_a_source_that_is_gone_or_changed_keeps_its_place_and_says_so(filled, embedder, folder, tmp_path):
    query = write(tmp_path / "q.png", textured(1))
    before = search(filled, embedder, query)
    assert (name(before[0]), before[0].verification.verified) == ("1.png", True)
    (folder / "1.png").unlink()
    write(folder / "2.png", textured(77))
    after = search(filled, embedder, query)
    assert {m.item_id for m in after} == {m.item_id for m in before}
    said = {name(m): m.verification.reason for m in after}
    assert said["1.png"] == "can't be verified: source gone"
    assert said["2.png"] == "can't be verified: source changed since ingest"
    assert not any(m.verification.verified for m in after)
    # What can't be looked at has no score of its parts, and stands where its own score puts it.
    place = [m.item_id for m in after].index
    of_whole = [m.item_id for m in search(filled, embedder, query, verify_top=0)]
    gone = [m.item_id for m in after if name(m) in said and m.parts_score is None]
    assert len(gone) == 2
    assert [place(item) for item in gone] == [of_whole.index(item) for item in gone]


def test_a_case_of_one_picture(case, embedder, folder, tmp_path):
    ingest(case, [folder / "0.png"], embedder)
    (same,) = search(case, embedder, folder / "0.png")
    assert same.verification.verified
    (other,) = search(case, embedder, write(tmp_path / "q.png", textured(9)))
    assert not other.verification.verified
    assert other.verification.reason.startswith("not verified: ")


def test_a_black_frame_has_nothing_to_verify_as_query_and_as_item(filled, embedder, folder, tmp_path):
    black = write(tmp_path / "black.png", Image.new("RGB", (320, 240)))
    matches = search(filled, embedder, black)
    assert len(matches) == COUNT
    assert {m.verification.reason for m in matches} == {"nothing to verify: the query has too little texture"}
    ingest(filled, [black], embedder)
    (of_black,) = [m for m in search(filled, embedder, folder / "0.png") if name(m) == "black.png"]
    assert of_black.verification.reason == "nothing to verify: the item has too little texture"


def test_masks_that_do_not_fit_or_leave_nothing_are_refused(filled, embedder, folder, tmp_path):
    small = write(tmp_path / "small.png", Image.new("L", (100, 240)))
    white = write(tmp_path / "white.png", Image.new("L", (320, 240), 255))
    with pytest.raises(UsageError, match=r"small\.png: the mask is 100 x 240 px, the picture 320 x 240 px"):
        search(filled, embedder, folder / "0.png", leave_out=LeaveOut(mask=small))
    with pytest.raises(UsageError, match="covers the whole picture; leave some part of it free"):
        search(filled, embedder, folder / "0.png", leave_out=LeaveOut(mask=white))
    with pytest.raises(UsageError, match="can't be read"):
        search(filled, embedder, folder / "0.png", leave_out=LeaveOut(mask=tmp_path / "nowhere.png"))
    with pytest.raises(UsageError, match="not inside the picture of 320 x 240 px"):
        search(filled, embedder, folder / "0.png", leave_out=LeaveOut(boxes=((300, 0, 30, 10),)))


def test_no_point_lies_under_a_mask(filled, embedder, folder):
    (first, *_) = search(filled, embedder, folder / "0.png", leave_out=LeaveOut(boxes=((0, 0, 200, 240),)))
    assert first.verification.verified
    assert min(line[0] for line in first.verification.lines) >= 200


def test_features_of_an_item_are_read_once_for_several_queries(filled, embedder, folder, tmp_path, monkeypatch):
    read = []
    really = Finder.image
    monkeypatch.setattr(Finder, "image", lambda self, sha256, *rest: read.append(sha256) or really(self, sha256, *rest))
    queries = [write(tmp_path / f"q{n}.png", textured(n)) for n in range(3)]
    results = list(Searcher(filled, embedder).search(queries, SearchRequest(COUNT, verify_top=COUNT)))
    assert sorted(read) == sorted(m.sha256 for m in results[0].matches)
    assert [name(r.matches[0]) for r in results] == ["0.png", "1.png", "2.png"]


def test_a_match_through_a_part_of_the_query_scores_less_than_its_cosine(filled, embedder, tmp_path):
    sheet = Image.new("RGB", (900, 500), (255, 255, 255))
    sheet.paste(textured(5), (40, 60))
    sheet.paste(textured(50, (420, 380)), (440, 60))
    first = search(filled, embedder, write(tmp_path / "page.png", sheet))[0]
    assert name(first) == "5.png"
    assert first.candidates[0].query_region_px is not None
    assert first.score == pytest.approx(first.candidates[0].similarity - 0.1, abs=1e-6)


def made(item_id, score, rate, inliers=0, label="A"):
    said = Verification(inliers > 0, "homography", False, 60, inliers, None, None, 0.5, "said")
    seen = (Sighting(Locator.file(f"/media/{item_id}.jpg"), None),)
    judged = FalseMatchRate(rate, rate / 2, rate * 2, rate * 100, rate * 200, score - 0.3)
    return Match(1, item_id, f"{item_id:064x}", score, seen, {"label": (label,)}, verification=said, false_match=judged)


class Said:
    """A searcher that found what it is told."""

    def __init__(self, lists):
        self.lists = lists

    def search(self, queries, request):
        assert not request.cut
        for query, matches in zip(queries, self.lists, strict=True):
            yield SearchResult(Locator.file(query), "f" * 64, "m", 1.0, tuple(matches))


def test_a_set_is_cut_after_fusing_by_the_rate_of_the_set():
    lists = [[made(1, 0.9, 0.001), made(2, 0.5, 0.2)], [made(2, 0.8, 0.004), made(3, 0.6, 0.02)]]
    (whole,) = together(Said(lists), ["/a.jpg", "/b.jpg"])
    assert [(m.item_id, m.false_match.rate) for m in whole.matches] == [(1, 0.002), (2, 0.008), (3, 0.04)]
    (cut,) = together(Said(lists), ["/a.jpg", "/b.jpg"], SearchRequest(max_fmr=0.01))
    assert [(m.rank, m.item_id) for m in cut.matches] == [(1, 1), (2, 2)]
    assert cut.matches[1].query.at == "/b.jpg"
    # Identical content is no matter of chance.
    same = replace(made(9, 1.0, 0.5), sha256="f" * 64, identical=True)
    (kept,) = together(Said([[same]]), ["/a.jpg"], SearchRequest(max_fmr=0.01))
    assert [m.item_id for m in kept.matches] == [9]


def test_what_one_query_of_a_set_verifies_comes_first_with_its_label():
    lists = [[made(1, 0.9, 0.001), made(2, 0.5, 0.2, inliers=30, label="B")], [made(2, 0.6, 0.1), made(1, 0.7, 0.1)]]
    (result,) = together(Said(lists), ["/a.jpg", "/b.jpg"])
    assert [m.item_id for m in result.matches] == [2, 1]
    assert result.matches[0].query.at == "/a.jpg"
    assert result.matches[0].verification.inliers == 30
    assert result.matches[0].false_match.rate == pytest.approx(0.2)
    assert [entry.label for entry in by_label(result).labels] == ["B", "A"]


def test_what_every_page_of_a_case_has_verifies_none_in_any_search_nor_in_a_closer_look(case, embedder, tmp_path):
    """Five photographs lie on each of ten pages: each pair shares them, and has one answer wherever it is asked."""
    folder = tmp_path / "pages"
    folder.mkdir()
    pages = [Image.fromarray(templates.picture("shop", content, synthetic=True)) for content in range(10)]
    for content, page in enumerate(pages):
        write(folder / f"{content}.png", page)
    ingest(case, [folder], embedder)
    query = write(tmp_path / "q.png", pages[3].crop((10, 10, 1090, 890)).resize((810, 660)))
    several, one = search(case, embedder, query), search(case, embedder, query, verify_top=2)
    assert [name(m) for m in several if m.verification.verified] == ["3.png"]
    void = {m.item_id: m.verification for m in several if "near to the query share" in m.verification.reason}
    assert len(void) > COUNT // 2
    told = {m.item_id: m.verification for m in several}
    assert all(m.verification == told[m.item_id] for m in one if m.verification)
    for item_id in [m.item_id for m in several[:2]]:
        assert explain(case, embedder, query, item_id, tmp_path / f"{item_id}.png").verification == told[item_id]


# --- learned points


class Learned:
    """Stands in for the networks: every picture has points of one scene, which pair as one says."""

    def __init__(self, likely):
        self.likely, self.masks, self.places = likely, [], {}

    def read(self, pixels, size_px, side_px, limit, mask=None):
        self.masks.append(mask)
        step = self.places.setdefault(pixels.tobytes(), len(self.places))  # each was taken from a place of its own
        rng = np.random.default_rng(0)
        scene = rng.uniform((-0.8, -0.6, 3), (0.8, 0.6, 6), (60, 3))
        scene += (0.15 * step, 0.02 * step, 0)
        at = scene[:, :2] / scene[:, 2:] * 260 + (160, 120)
        return LearnedPoints(at.astype(np.float32), np.zeros((60, 64), np.float32), (320, 240), size_px)

    def pair(self, a, b, least):
        rows = np.arange(60)
        return rows, rows, np.full(60, self.likely, np.float32)


@pytest.fixture
def photographs(case, embedder, tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    rng = np.random.default_rng(8)
    for seed in range(COUNT):
        light = np.asarray(picture(seed + 50, (320, 240))) * 0.5
        pixels = np.asarray(textured(seed)) * 0.5 + light + rng.normal(0, 12, (240, 320, 3))
        write(folder / f"{seed}.png", Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))
    ingest(case, [folder], embedder)
    return folder


def learned_search(case, embedder, query, matcher, **options):
    searcher = Searcher(case, embedder, matcher=matcher)
    (result,) = searcher.search([query], SearchRequest(2 * COUNT, verify_top=50, **options))
    return result.matches


def test_learned_points_are_evidence_and_no_rank(case, embedder, photographs):
    query = photographs / "1.png"
    plain = learned_search(case, embedder, query, None)
    found = learned_search(case, embedder, query, Learned(0.9))
    assert [m.item_id for m in found] == [m.item_id for m in plain]
    own, *others = found
    assert (own.verification.features, own.verification.verified) == ("SIFT", True)
    assert {(m.verification.verified, m.verification.features) for m in others} == {(True, "XFeat")}
    assert all("points of XFeat agree as two views of one scene" in m.reasons[0] for m in others)
    assert all(str(strength(m)).startswith("geometry agrees, ") for m in others)
    assert learned_search(case, embedder, query, Learned(0.05)) == plain, "SIFT's answer stands where they say nothing"


def test_learned_points_are_not_asked_about_what_is_drawn_or_a_template(case, embedder, filled, folder, photographs):
    for query in (folder / "1.png", photographs / "1.png"):
        found = learned_search(case, embedder, query, Learned(0.9))
        drawn = [m for m in found if "/in/" in m.sightings[0].locator.at]
        assert len(drawn) > 0
        assert {m.verification.features for m in drawn} == {"SIFT"}


def test_a_search_with_learned_points_leaves_the_mask_out_and_says_so_in_the_log(case, embedder, photographs):
    matcher = Learned(0.9)
    learned_search(case, embedder, photographs / "2.png", matcher, leave_out=LeaveOut(boxes=((0, 0, 50, 240),)))
    (mask,) = [mask for mask in matcher.masks if mask is not None]
    assert mask[:, :50].all()
    (entry,) = [entry for entry in case.log.entries() if entry["action"] == "search"]
    assert entry["arguments"]["verify_with"] == "XFeat"


def test_a_closer_look_says_what_the_search_said(case, embedder, photographs, tmp_path):
    query, matcher = photographs / "3.png", Learned(0.9)
    match = learned_search(case, embedder, query, matcher)[-1]
    said = explain(case, embedder, query, match.item_id, tmp_path / "why.png", matcher=matcher)
    assert said.verification == match.verification
    assert (tmp_path / "why.png").stat().st_size > 10_000
