import json
from collections import defaultdict

import pytest

from imgmatch.errors import CaseError, UsageError
from imgmatch.models import load_model
from imgmatch.types import ModelSpec
from indexer.case.case import AUDIT, Case
from indexer.intake.ingest import ingest
from indexer.search.request import LeaveOut, SearchRequest
from indexer.search.searcher import Searcher
from tests.conftest import encode, picture
from tests.indexer.vectors import label
from tests.remembered import forgotten


@pytest.fixture
def filled(case, embedder, photographs):
    ingest(case, [photographs], embedder)
    return case


def one(case, embedder, query, k=5):
    (result,) = Searcher(case, embedder).search([query], SearchRequest(k))
    return result


def test_a_query_in_the_case_finds_itself_first_and_says_so(filled, embedder, photographs):
    result = one(filled, embedder, photographs / "03.jpg")
    first = result.matches[0]
    assert first.score == pytest.approx(1, abs=1e-3)
    assert first.reasons == ("the query itself", "identical content (SHA-256)")
    assert [(s.locator.at.rsplit("/", 1)[1], s.own) for s in first.sightings] == [
        ("03.jpg", True),
        ("copy-of-03.jpg", False),
    ]


def test_the_same_content_elsewhere_is_not_called_the_query_itself(filled, embedder, photographs, tmp_path):
    (tmp_path / "elsewhere.jpg").write_bytes((photographs / "05.jpg").read_bytes())
    first = one(filled, embedder, tmp_path / "elsewhere.jpg").matches[0]
    assert first.reasons == ("identical content (SHA-256)",)


def test_a_recompressed_copy_finds_its_origin(filled, embedder, tmp_path):
    (tmp_path / "q.png").write_bytes(encode(picture(4).resize((48, 36)), "JPEG", quality=40))
    result = one(filled, embedder, tmp_path / "q.png")
    assert result.matches[0].sightings[0].locator.at.endswith("04.jpg")
    assert [m.rank for m in result.matches] == [1, 2, 3, 4, 5]
    scores = [m.score for m in result.matches]
    assert scores == sorted(scores, reverse=True)
    assert len({m.item_id for m in result.matches}) == 5


def test_k_beyond_the_case_gives_all_of_it(filled, embedder, photographs):
    assert len(one(filled, embedder, photographs / "00.jpg", k=100).matches) == 11


def test_a_folder_gives_one_result_a_file_and_names_what_is_no_picture(filled, embedder, photographs):
    (photographs / "note.txt").write_text("words")
    results = list(Searcher(filled, embedder).search([photographs], SearchRequest(1)))
    assert len(results) == 13
    (failed,) = [r for r in results if r.issue]
    assert failed.issue.error == "not_a_picture"
    assert failed.matches == ()


def test_the_same_search_gives_the_same_ranking(tmp_path, photographs):
    def ranking(name):
        with forgotten():
            embedder = load_model(device="cpu", threads=1)
            with Case.create(tmp_path / name, model=embedder.spec) as case:
                ingest(case, [photographs], embedder)
                found = list(Searcher(case, embedder).search([photographs], SearchRequest(11)))
        return [[(m.item_id, m.score) for m in r.matches] for r in found]

    assert ranking("once") == ranking("again")


def test_a_partly_read_item_and_query_are_marked(case, embedder, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    whole = encode(picture(9, (600, 400)), "JPEG")
    (folder / "cut.jpg").write_bytes(whole[: len(whole) * 3 // 4])
    ingest(case, [folder], embedder)
    (match,) = one(case, embedder, folder / "cut.jpg").matches
    assert any(reason.startswith("item partly read: ") for reason in match.reasons)
    assert any(reason.startswith("query partly read: ") for reason in match.reasons)


def test_an_item_with_several_vectors_appears_once(filled, embedder, photographs):
    class Several:
        """Every vector of the first item comes before any other."""

        rows = 40

        def search(self, queries, k):
            import numpy as np

            ids = np.array([[1] * 20 + list(range(2, 12))])[:, :k]
            return np.linspace(1, 0, ids.shape[1], dtype=np.float32)[None], ids

    (result,) = Searcher(filled, embedder, Several()).search([photographs / "00.jpg"], SearchRequest(3))
    assert [m.item_id for m in result.matches] == [1, 2, 3]


def test_labels_come_with_the_match(filled, embedder, photographs):
    label(filled, [(1, "a", {"label": "Hotel A"}), (1, "b", {"label": "Hotel B", "city": "X"})])
    match = one(filled, embedder, photographs / "00.jpg").matches[0]
    assert match.labels == {"label": ("Hotel A", "Hotel B"), "city": ("X",)}


def test_every_search_is_recorded(filled, embedder, photographs):
    one(filled, embedder, photographs / "00.jpg")
    entries = defaultdict(list)
    for line in (filled.path / AUDIT).read_text().splitlines():
        entry = json.loads(line)
        entries[entry["action"]].append(entry)
    assert len(entries["search"]) == 1
    assert entries["search"][0]["subject"]["query"].endswith("00.jpg")
    assert len(entries["search"][0]["subject"]["query_sha256"]) == 64
    assert entries["ingest"][0]["counts"]["new_items"] == 11


def test_an_empty_case_says_what_to_do(case, embedder):
    with pytest.raises(CaseError, match="nothing to search yet; add pictures with: imgmatch ingest"):
        Searcher(case, embedder)


def test_another_model_than_the_cases_is_told_apart(filled, embedder):
    class Other:
        spec = ModelSpec("other", "objects", 4, 32, "x", "0" * 64, "", "")

    with pytest.raises(CaseError, match=f"holds no vectors by 'other'; search with --model {embedder.spec.name}"):
        Searcher(filled, Other())


@pytest.mark.parametrize("k", [0, -1, 10_001])
def test_k_out_of_range_is_refused(filled, embedder, photographs, k):
    with pytest.raises(UsageError, match="between 1 and 10,000"):
        list(Searcher(filled, embedder).search([photographs], SearchRequest(k)))


def test_a_damaged_segment_is_named(filled, embedder):
    path = next((filled.path / "segments").rglob("*.npy"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CaseError, match=r"000001\.npy: damaged segment"):
        Searcher(filled, embedder)


def test_what_is_masked_has_no_say(case, embedder, tmp_path):
    """A room half covered by another finds its origin once the cover is masked, and says how much was left out."""
    import cv2
    import numpy as np
    from PIL import Image

    from imgmatch.lab.hotels.views import places

    folder = tmp_path / "in"
    folder.mkdir()
    pictures = [cv2.resize(views[0].pixels(), (320, 240)) for views in list(places().values())[:6]]
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    ingest(case, [folder], embedder)
    covered = pictures[0].copy()
    covered[:, :160] = pictures[1][:, :160]
    Image.fromarray(covered).save(tmp_path / "q.png")
    mask = np.zeros((240, 320), np.uint8)
    mask[:, :160] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    searcher = Searcher(case, embedder)

    def search(leave_out):
        (result,) = searcher.search([tmp_path / "q.png"], SearchRequest(6, leave_out))
        scores = {m.sightings[0].locator.at[-5]: m.score for m in result.matches}
        return scores["0"] - scores["1"], result

    plain, result = search(LeaveOut())
    assert result.masked == 0.0
    for leave_out in (
        LeaveOut(mask=tmp_path / "mask.png"),
        LeaveOut(boxes=((0, 0, 80, 240), (80, 0, 80, 240))),
    ):
        lead, result = search(leave_out)
        assert result.masked == 0.5
        assert result.matches[0].sightings[0].locator.at.endswith("0.png")
        assert lead > plain + 0.1
    with pytest.raises(UsageError, match="covers the whole picture"):
        search(LeaveOut(boxes=((0, 0, 320, 240),)))
