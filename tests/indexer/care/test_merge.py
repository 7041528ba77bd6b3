"""Another case is only read: not a byte of its folder changes, and what in it makes no sense does not come along."""

import shutil
import sqlite3

import pytest

from imgmatch.errors import CaseError
from indexer.care.check import check
from indexer.care.merge import merge
from indexer.case.case import CATALOGUE, Case
from indexer.out.exchange.unpack import open_other
from indexer.search.closer import LinkRequest, find_links
from tests.conftest import run, snapshot
from tests.indexer.vectors import SPEC, add, clouds, inside


@pytest.fixture
def other(tmp_path):
    with Case.create(tmp_path / "other", model=SPEC) as case:
        add(case, clouds(0, 3))
    return tmp_path / "other"


def merged(tmp_path, other) -> int:
    with Case.create(tmp_path / "case", model=SPEC) as case, Case.open(other, read_only=True) as read:
        return merge(case, read).items


def test_nothing_is_written_to_the_other_case(tmp_path, other):
    before = snapshot(other)
    assert merged(tmp_path, other) == 3
    assert snapshot(other) == before


def test_what_its_write_ahead_log_holds_comes_along_and_stays_there(tmp_path, other):
    with Case.open(other) as case:
        add(case, clouds(1, 2), start=10)
        shutil.copytree(other, tmp_path / "killed")
    assert (tmp_path / "killed" / f"{CATALOGUE}-wal").stat().st_size
    before = snapshot(tmp_path / "killed")
    assert merged(tmp_path, tmp_path / "killed") == 5
    with Case.open(tmp_path / "case") as case, open_other(tmp_path / "killed", SPEC) as read:
        assert find_links(case, read, SPEC, LinkRequest(0.99), opened_from=tmp_path / "killed")[1] >= 5
    assert snapshot(tmp_path / "killed") == before


@pytest.mark.parametrize("place", ["", "nonsense", "file", "FILE:/a", "file:/a|"])
def test_a_place_that_is_none_is_named_and_nothing_comes_in(tmp_path, other, place):
    with sqlite3.connect(other / CATALOGUE) as db:
        db.execute("UPDATE sightings SET locator = ? WHERE sighting_id = 2", (place,))
    with Case.create(tmp_path / "case", model=SPEC) as case, Case.open(other, read_only=True) as read:
        with pytest.raises(CaseError, match="table sightings holds a place that is none"):
            merge(case, read)
        assert inside(case).counts()["items"] == 0


def test_a_case_that_can_not_be_written_can_be_verified(tmp_path, other, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("indexer.case.case.os.access", lambda path, mode: False)
        before = snapshot(other)
        with Case.open(other) as case:
            assert case.log.verify().faults == []
            assert case.catalogue.counts()["items"] == 3
            assert {finding.part for finding in check(case, sources=True)} == {"weights", "source"}  # there are none
            for use in (lambda: case.use("show"), lambda: case.change("decide"), case.writing, lambda: case.run("x")):
                with pytest.raises(CaseError, match="is read-only here: a use can't be recorded"), use():
                    raise AssertionError
        assert snapshot(other) == before
    assert run("audit", "verify", other).returncode == 0
