"""Pictures that share a letterhead, an app's frame or a form, and copies of them."""

import numpy as np
import pytest

from benchmarks import templates
from benchmarks.draw import photograph
from benchmarks.templated import copy
from imgmatch.match.features import extract
from imgmatch.match.verify import query_features, verify


def _verify(query, item):
    return verify(query_features(query, query.shape[1::-1]), extract(item, item.shape[1::-1]))


@pytest.mark.parametrize("template", [name for name in templates.TEMPLATES if name not in templates.SHARING])
def test_what_a_template_shares_is_no_evidence_but_a_copy_is_verified(template):
    one, other = (templates.picture(template, content, synthetic=True) for content in (0, 1))
    assert not _verify(one, other).verified
    assert not _verify(one, copy(other)).verified
    assert _verify(one, copy(one)).verified


def test_the_same_picture_inside_another_template_is_verified():
    for one, other in (("browser", "slide"), ("chat_picture", "browser"), ("player", "border")):
        assert _verify(*(templates.picture(name, 3, synthetic=True) for name in (one, other))).verified


def test_one_app_is_verified_by_the_picture_inside_whatever_is_said_below():
    one, other = (templates.picture("chat_picture", content, synthetic=True).copy() for content in (0, 1))
    assert "one app" in _verify(one, other).reason
    other[115:415, 20:400] = one[115:415, 20:400]
    assert _verify(one, other).verified
    # Scrolled: the bars stay where they are, the picture does not.
    scrolled = templates.picture("chat_picture", 1, synthetic=True).copy()
    scrolled[520:820, 20:400] = one[115:415, 20:400]
    found = _verify(one, scrolled)
    assert found.verified
    assert found.transform[1][2] == pytest.approx(405, abs=4)


def test_letters_in_captions_are_no_scene_that_two_views_show():
    one, other = (templates.picture("news", content) for content in (0, 3))
    assert not _verify(one, other).verified
    assert _verify(one, copy(one)).verified


def _photograph(number, size=(640, 480)):
    return np.asarray(photograph(number, size, synthetic=True)).copy()


def test_a_photograph_below_stickers_is_verified_and_two_below_a_common_bar_are_not():
    one, other, bar = _photograph(1), _photograph(2), _photograph(3, (640, 60))
    one[:60] = other[:60] = bar
    covered = one.copy()
    covered[200:330, 150:400] = _photograph(4, (250, 130))
    assert _verify(covered, one).verified
    found = _verify(one, other)
    assert not found.verified
    assert "same place of both frames" in found.reason


def test_pages_that_were_scanned_or_are_dark_are_told_apart_as_well():
    pages = [templates.picture("letter_side", content) for content in (0, 1)]
    grain = np.random.default_rng(1).normal(0, 6, (2, *pages[0].shape))
    scanned = [np.clip(page * 0.9 + noise, 0, 255).astype(np.uint8) for page, noise in zip(pages, grain, strict=True)]
    assert not _verify(*scanned).verified
    assert _verify(pages[0], scanned[0]).verified
    dark = (_photograph(5) * 0.25).astype(np.uint8)
    marked = dark.copy()
    marked[300:400, 100:300] = 0
    assert _verify(marked, dark).verified
