"""What many pictures share with a query weighs nothing, photographs in it included; copies and one room stay."""

import numpy as np
import pytest

from benchmarks import templates
from benchmarks.draw import photograph
from benchmarks.templated import copy
from imgmatch.match.features import extract
from imgmatch.match.sharing import MANY, by_the_rest, look, shared
from imgmatch.match.verify import query_features


def sought(pixels):
    return query_features(pixels, pixels.shape[1::-1])


def stored(pixels):
    return extract(pixels, pixels.shape[1::-1])


@pytest.fixture(scope="module")
def pages():
    """Pages of a shop, each around a photograph of its own, with five photographs that are the same on every page."""
    return [templates.picture("shop", content, synthetic=True) for content in range(MANY + 2)]


@pytest.fixture(scope="module")
def query(pages):
    return sought(pages[0])


@pytest.fixture(scope="module")
def looks(pages, query):
    return [look(query, stored(page)) for page in pages[1:]]


def told(query, pixels, neighbours):
    """What is said of a pair in a case that holds these neighbours of the query."""
    item = stored(pixels)
    seen, part = look(query, item), shared(query, neighbours)
    return by_the_rest(query, part, item, seen.found) if seen.in_question and part is not None else seen.found


def test_photographs_that_every_page_has_verify_none_where_there_are_many_pages(pages, query, looks):
    assert sum(seen.found.verified and seen.in_question for seen in looks) > MANY // 2
    for number in range(1, len(pages)):
        found = told(query, pages[number], looks)
        assert not found.verified
        if looks[number - 1].found.verified:
            assert "more pictures near to the query share" in found.reason
            assert (found.void, found.transform, found.outline) == (True, None, ())


def test_a_copy_of_the_page_and_its_photograph_on_another_page_stay_verified(pages, query, looks):
    assert told(query, copy(pages[0]), looks).verified
    other = pages[1].copy()
    other[150:580, 40:470] = pages[0][150:580, 40:470]
    found = told(query, other, looks)
    assert found.verified
    # It is the photograph that says so.
    assert np.mean([150 <= y <= 580 for _, y, *_ in found.lines]) > 0.8


def test_few_pages_share_nothing_yet(query, looks):
    assert shared(query, looks[: MANY - 1]) is None


def test_copies_of_the_query_do_not_say_that_it_is_a_template(pages, query):
    copies = [look(query, stored(copy(pages[0], seed))) for seed in range(MANY + 2)]
    assert all(seen.copy and not seen.in_question for seen in copies)
    assert shared(query, copies) is None


def test_one_room_with_other_things_in_it_each_time_is_no_template():
    rng, room = np.random.default_rng(4), np.asarray(photograph(11, (640, 480), synthetic=True)).copy()
    views = []
    for number in range(MANY + 2):
        view, left = room.copy(), int(rng.integers(100, 400))
        view[180:480, left : left + 180] = np.asarray(photograph(40 + number, (180, 300), synthetic=True))
        views.append(view)
    asked = sought(views[0])
    seen = [look(asked, stored(view)) for view in views[1:]]
    assert all(one.found.verified and not one.in_question for one in seen)
