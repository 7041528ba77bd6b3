"""The one order of every list: identical content, then what geometry verified, then the rest."""

import pytest

from imgmatch.locator import Locator
from imgmatch.types import FalseMatchRate, Match, Sighting, Verification
from indexer.case.case import Case
from indexer.intake.ingest import ingest
from indexer.search.closer import LinkRequest, find_links
from indexer.search.order import rare_enough, standing
from indexer.search.request import SearchRequest, SearchResult
from indexer.search.searcher import Searcher
from indexer.search.sets import by_label, together
from tests.conftest import encode, textured


def match(item_id, score, inliers=None, *, identical=False, rate=None, label="A"):
    said = inliers and Verification(inliers > 0, "homography", False, 60, inliers, None, None, 0.5, "said")
    seen = (Sighting(Locator.file(f"/media/{item_id}.jpg"), None),)
    judged = rate and FalseMatchRate(rate, rate / 2, rate * 2)
    return Match(
        1, item_id, f"{item_id:064x}", score, seen, {"label": (label,)}, verification=said, false_match=judged,
        identical=identical,
    )  # fmt: skip


def test_identity_first_then_verified_by_strength_then_the_rest_as_it_stood():
    weak, strong, same, first, last = (
        match(1, 0.59, 20), match(2, 0.5, 90), match(3, 1.0, identical=True), match(4, 0.8), match(5, 0.8)
    )  # fmt: skip
    assert sorted([weak, first, last, strong, same], key=standing) == [same, strong, weak, first, last]
    assert sorted([weak, last, first, strong, same], key=standing) == [same, strong, weak, last, first]


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (match(1, 0.9, rate=0.01), True),
        (match(1, 0.9, rate=0.02), False),
        (match(1, 0.9), False),
        (match(1, 1.0, identical=True), True),
        (match(1, 1.0, identical=True, rate=0.5), True),
    ],
)
def test_what_is_likely_by_chance_is_left_out_but_never_identical_content(found, kept):
    assert rare_enough(found, 0.01) is kept
    assert rare_enough(found, None)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "whole.png").write_bytes(encode(textured(1), "PNG"))
    (folder / "piece.png").write_bytes(encode(textured(1).crop((30, 20, 310, 230)), "PNG"))
    for seed in range(2, 5):
        (folder / f"{seed}.png").write_bytes(encode(textured(seed), "PNG"))
    return folder


def test_an_identical_file_stands_first_though_only_a_part_of_it_can_be_verified(case, embedder, folder):
    ingest(case, [folder], embedder)
    query = (folder / "whole.png").rename(folder.parent / "q.png")
    (result,) = Searcher(case, embedder).search([query], SearchRequest(verify_top=5))
    first, second, *rest = result.matches
    assert (first.score, first.verification.reason) == (pytest.approx(1, abs=1e-3), "can't be verified: source gone")
    assert first.reasons[:2] == ("identical content (SHA-256)", "can't be verified: source gone")
    assert second.sightings[0].locator.at.endswith("piece.png")
    assert second.verification.verified
    assert not any(m.verification.verified for m in rest)
    assert [m.rank for m in result.matches] == [1, 2, 3, 4, 5]


def test_sets_and_labels_keep_the_order():
    class Said:
        def search(self, queries, request):
            lists = [
                [match(1, 0.9, 40, label="A"), match(2, 0.5, label="B")],
                [match(2, 1.0, identical=True, label="B")],
            ]
            for query, matches in zip(queries, lists, strict=True):
                yield SearchResult(Locator.file(query), "f" * 64, "m", 1.0, tuple(matches))

    (result,) = together(Said(), ["/a.jpg", "/b.jpg"])
    assert [(m.item_id, m.query.at) for m in result.matches] == [(2, "/b.jpg"), (1, "/a.jpg")]
    assert [entry.label for entry in by_label(result).labels] == ["B", "A"]


def test_links_keep_the_order(case, embedder, folder, tmp_path):
    ingest(case, [folder], embedder)
    with Case.create(tmp_path / "other", model=embedder.spec) as other:
        ingest(other, [folder / "whole.png"], embedder)
        (folder / "whole.png").unlink()
        (folder / "piece.png").write_bytes(encode(textured(9), "PNG"))
        asked = LinkRequest(least=0.01, verify=True)
        found, count = find_links(case, other, embedder.spec, asked, opened_from=other.path)
        assert count == len(found)
        assert found[0].identical
        assert not any(link.identical for link in found[1:])
