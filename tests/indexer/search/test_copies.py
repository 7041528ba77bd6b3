"""What is a copy and what is only alike: in groups, in stacks, and in the background of false-match rates."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from benchmarks import templates
from benchmarks.draw import photograph
from benchmarks.templated import copy
from imgmatch.evidence import walk
from imgmatch.picture.facts import Facts
from imgmatch.picture.pdq import pdq_of
from imgmatch.types import Digests, Match, Verification
from imgmatch.types import Image as Picture
from indexer.case.case import Case
from indexer.case.run import Batch, NewItem
from indexer.intake.ingest import ingest
from indexer.review.stacks import Stacks
from indexer.search.background import LOOKS, background
from indexer.search.closer import find_groups
from indexer.search.copies import Copies
from indexer.search.groups import TRIES, groups
from indexer.search.request import SearchRequest
from indexer.search.searcher import Searcher
from tests.conftest import encode
from tests.indexer.vectors import SPEC, add, inside, looking


def _pixels(pixels, **options):
    return encode(Image.fromarray(pixels), "PNG" if not options else "JPEG", **options)


def _chats(count):
    return {f"chat{n}": _pixels(templates.picture("chat_plain", n)) for n in range(count)}


def _nearly_empty(count):
    for number in range(count):
        page = Image.new("RGB", (400, 300), "white")
        ImageDraw.Draw(page).line((20, 40 + number, 60, 60), fill="black", width=2)
        yield f"page{number}", encode(page, "PNG")


def _copies_of_one():
    made = photograph(3, (480, 360), synthetic=True)
    yield "one", encode(made, "PNG")
    yield "one_saved_again", encode(made, "JPEG", quality=50)
    yield "one_smaller", encode(made.resize((240, 180)), "JPEG", quality=80)
    yield "one_cropped", encode(made.crop((40, 30, 480, 360)), "JPEG", quality=80)


@pytest.fixture
def alike(tmp_path):
    """A case in which everything but the clouds is as alike as copies are (cosines of 0.96): pictures by name."""
    files = {**_chats(8), **dict(_nearly_empty(4)), **dict(_copies_of_one())}
    files["chat0_saved_again"] = _pixels(copy(templates.picture("chat_plain", 0)), quality=60)
    with Case.create(tmp_path / "alike", model=SPEC) as case:
        yield case, _add(case, tmp_path / "in", files)


def _add(case, folder, files):
    folder.mkdir()
    rng, centre = np.random.default_rng(5), np.eye(1, SPEC.dim)[0]
    ids = {}
    with case.writing(), case.run("ingest", "test") as run:
        items = []
        for name, data in files.items():
            (folder / name).write_bytes(data)
            (found,) = walk(folder / name)
            vector = centre + 0.2 * _unit(rng.normal(size=SPEC.dim))
            digests = Digests(hashlib.sha256(data).hexdigest(), "0" * 32, "0" * 40, len(data))
            width, height = Image.open(io.BytesIO(data)).size
            made = Picture(np.empty((0, 0, 3), np.uint8), (width, height), 1, "PNG")
            items.append(NewItem(digests, made, _unit(vector).astype(np.float32), [found]))
            ids[name] = digests.sha256
        run.commit(Batch(items=items), case.add_shelf(SPEC))
    with case.change("ingest") as change:
        for name, data in files.items():
            pdq = pdq_of(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
            change.writer.facts.add(ids[name], Facts({}, pdq))
    return ids


def _unit(vector):
    return vector / np.linalg.norm(vector)


def _names(group):
    return {member.sightings[0].at.rsplit("/", 1)[1] for member in group.members}


def test_groups_join_copies_and_neither_what_shares_a_template_nor_what_is_nearly_empty(alike):
    case, _ = alike
    found = [_names(group) for group in find_groups(case, SPEC)]
    assert found == [{"chat0", "chat0_saved_again"}, {"one", "one_saved_again", "one_smaller", "one_cropped"}]
    stacks = Stacks(case, SPEC)
    stacks.start(0.9)
    stacks.wait()
    assert [_names(group) for group in stacks.page(0, 10)] == found[::-1]


def test_where_pictures_can_not_be_read_again_near_hashes_decide_and_the_rest_is_counted(alike, tmp_path):
    case, _ = alike
    (tmp_path / "in").rename(tmp_path / "away")
    said = []
    assert [_names(group) for group in find_groups(case, SPEC, warn=said.append)] == [
        {"one", "one_saved_again", "one_smaller"}
    ]
    assert "can't be read again" in said[0]


def test_how_often_one_item_is_looked_at_is_bounded(tmp_path):
    centre = np.eye(1, SPEC.dim)[0]
    rng = np.random.default_rng(3)
    asked = []
    with Case.create(tmp_path / "many", model=SPEC) as case:
        add(case, np.stack([_unit(centre + 0.1 * _unit(rng.normal(size=SPEC.dim))) for _ in range(300)]))

        def told(pairs):
            asked.extend(pairs)
            return [False] * len(pairs)

        assert list(groups(looking(case), SPEC, told)) == []
    assert len(asked) == len(set(asked))
    assert len(asked) <= 300 * (TRIES + 1)


def test_a_pair_leaves_the_background_only_as_a_copy(alike):
    case, _ = alike
    add(case, _far(60), start=1000)
    made = background(case, SPEC)
    # Of the 136 pairs that are as alike, six are of one photograph and one is of one chat.
    assert 0 < made.looked_at <= LOOKS
    assert 4 <= made.calibration.left_out <= 20
    assert made.calibration.rate(0.0).rate > 100 / made.calibration.pairs


def _far(count):
    rows = np.random.default_rng(8).normal(size=(count, SPEC.dim))
    rows[:, 0] = 0
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_a_calibration_of_an_older_version_is_made_again(alike):
    case, _ = alike
    add(case, _far(60), start=1000)
    made = background(case, SPEC)
    shelf = case.find_shelf(SPEC)
    old = shelf.calibration()
    record = {name: value for name, value in old.record.items() if name != "method"} | {"left_out": 854}
    with case.change("calibrate") as change:
        shelf.set_calibration(change.writer, old._replace(record=record))
    again = background(case, SPEC)
    assert (again.calibration, again.looked_at) == (made.calibration, made.looked_at)


def test_what_only_a_template_or_emptiness_explains_gets_no_small_rate(alike):
    case, ids = alike
    add(case, _far(60), start=1000)
    made = background(case, SPEC)
    query = _far(61)[60]
    shared = Verification(False, "none", False, 60, 0, None, None, 0.0, "drawn", void=True)
    rates = [
        made.judge("f" * 64, query, [Match(1, 1, ids["chat0"], 0.99, verification=said)], 100, empty=empty)[
            0
        ].false_match
        for said, empty in ((None, False), (shared, False), (None, True))
    ]
    assert rates[0].rate is None
    assert rates[1] is None
    assert rates[2].rate == 1.0


def test_a_blank_page_and_a_chat_in_a_search(case, embedder, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    pages = dict(_nearly_empty(3))
    for name, data in {**_chats(3), **pages, **{f"p{n}": encode(_scene(n), "JPEG") for n in range(56)}}.items():
        (folder / name).write_bytes(data)
    query = tmp_path / "query"
    query.write_bytes(encode(Image.new("RGBA", (400, 300), (255, 255, 255, 0)), "PNG"))
    ingest(case, [folder], embedder)
    searcher = Searcher(case, embedder, background=background(case, embedder.spec))
    (blank,) = searcher.search([query], SearchRequest(verify_top=5))
    assert all(m.false_match is None or m.false_match.stated > 0.5 for m in blank.matches)
    query.write_bytes(_pixels(templates.picture("chat_plain", 7)))
    (chat,) = searcher.search([query], SearchRequest(verify_top=5))
    assert {m.sightings[0].locator.at.rsplit("/", 1)[1] for m in chat.matches[:3]} == {"chat0", "chat1", "chat2"}
    assert all(m.false_match is None or m.false_match.stated > 0.01 for m in chat.matches[:3])


def _scene(number):
    return photograph(200 + number, (160, 120), synthetic=True)


def test_hashes_of_photographs_decide_without_geometry(case, embedder, tmp_path, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    for name, data in _copies_of_one():
        (folder / name).write_bytes(data)
    ingest(case, [folder], embedder)
    ids = {s[0].locator.at.rsplit("/", 1)[1]: i for i, s in inside(case).sightings.of(range(1, 5)).items()}
    monkeypatch.setattr("indexer.search.copies.verified", lambda one, other: pytest.fail("geometry was sought"))
    assert Copies(looking(case)).told([(ids["one"], ids["one_saved_again"]), (ids["one"], ids["one_smaller"])]) == [
        True, True
    ]  # fmt: skip


def test_a_list_of_one_app_has_the_same_file_first_then_copies_then_what_only_looks_like_it(case, embedder, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    chat = templates.picture("chat_plain", 0)
    files = _chats(4) | {"copy": _pixels(copy(chat), quality=60), "half": _pixels(chat[:700])}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    ingest(case, [folder], embedder)
    (tmp_path / "query.png").write_bytes(files["chat0"])
    (result,) = Searcher(case, embedder).search([tmp_path / "query.png"], SearchRequest(verify_top=6))
    names = [match.sightings[0].locator.at.rsplit("/", 1)[1] for match in result.matches]
    assert names[0] == "chat0"
    assert set(names[1:3]) == {"copy", "half"}
    inliers = [match.verification.inliers for match in result.matches[1:3]]
    assert inliers == sorted(inliers, reverse=True)
    assert not any(match.verification.verified for match in result.matches[3:])
