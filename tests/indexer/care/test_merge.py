"""Another case is only read: not a byte of its folder changes, and what in it makes no sense does not come along."""

import hashlib
import shutil
import sqlite3
from contextlib import closing

import numpy as np
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


@pytest.mark.claim("X11")
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


@pytest.mark.claim("X15")
@pytest.mark.parametrize("place", ["", "nonsense", "file", "FILE:/a", "file:/a|"])
def test_a_place_that_is_none_is_named_and_nothing_comes_in(tmp_path, other, place):
    with sqlite3.connect(other / CATALOGUE) as db:
        db.execute("UPDATE sightings SET locator = ? WHERE sighting_id = 2", (place,))
    with Case.create(tmp_path / "case", model=SPEC) as case, Case.open(other, read_only=True) as read:
        with pytest.raises(CaseError, match="table sightings holds a place that is none"):
            merge(case, read)
        assert inside(case).counts()["items"] == 0


@pytest.mark.claim("U6")
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


_DEEP = "[" * 100_000
_ODD = [
    ("UPDATE metadata SET fields_json = ?", '{"software": ' + _DEEP),
    ("UPDATE metadata SET fields_json = ?", '{"software": {"value": ' + "9" * 5_000 + ', "source": "EXIF"}}'),
    ("UPDATE metadata SET fields_json = ?", '{"software": {"value": NaN, "source": "EXIF"}}'),
    ("UPDATE metadata SET fields_json = ?", '{"software": {"value": {"a": [1]}, "source": "EXIF"}}'),
    ("UPDATE metadata SET fields_json = ?", "[]"),
    ("UPDATE metadata SET fields_json = ?", '"\udfff"'.encode("utf-8", "surrogatepass").decode("latin-1")),
    ("UPDATE runs SET arguments_json = ?", "7"),
    ("UPDATE runs SET arguments_json = ?", '{"limits": {"max_depth": "deep"}}'),
    ("UPDATE runs SET arguments_json = ?", '{"limits": {"max_depth": 1' + "0" * 80 + "}}"),
    ("UPDATE runs SET arguments_json = ?", _DEEP),
    ("UPDATE runs SET counts_json = ?", '{"items": []}'),
    ("UPDATE runs SET process_json = ?", "null"),
    ("UPDATE runs SET started_utc = ?", "yesterday"),
    ("UPDATE models SET spec_json = ?", '{"name": "a"}'),
    ("UPDATE models SET spec_json = ?", _DEEP),
    ("UPDATE items SET sha256 = ? WHERE item_id = 2", b"short"),
    ("UPDATE items SET md5 = ?", b""),
    ("UPDATE items SET width_px = ?", -(1 << 62)),
    ("UPDATE items SET orientation = ?", 99),
    ("UPDATE sightings SET run_id = ?", 999),
    ("UPDATE sightings SET modified_utc = ?", "2024-13-99T00:00:00Z"),
    ("UPDATE sightings SET locator = 'file:/' || ? WHERE sighting_id = 1", "\x1b[31m|"),
    ("UPDATE segments SET name = ?", "../../../../etc/hostname"),
    ("UPDATE segments SET ids = ?", b"odd"),
    ("UPDATE vectors SET x_px = ?", 5),
    ("UPDATE meta SET value = ? WHERE key = 'case_id'", "\x1b]0;title\x07"),
    ("ALTER TABLE labels ADD COLUMN more TEXT DEFAULT ?", None),
    ("DROP TABLE labels", None),
    ("DROP TABLE labels; CREATE VIEW labels AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
     " SELECT i AS item_id, 'a' AS source, 'b' AS name, 'c' AS value FROM n", None),
    ("INSERT INTO vics_files VALUES (1, zeroblob(32), 'a', '2.0', ?, 1, 1, '2024-01-01T00:00:00Z')", _DEEP),
    ("INSERT INTO vics_files VALUES (1, zeroblob(32), 'a', '2.0', ?, 1, 1, '2024-01-01T00:00:00Z')", "[1]"),
    ("INSERT INTO containers VALUES (1, 'file:/a', 'e01', 1, 1, ?, '{}', 1, 1, '2024-01-01T00:00:00Z', 1, '{}',"
     " NULL, '[]', NULL)", '{"a": 5}'),
]  # fmt: skip


@pytest.mark.claim("X12")
@pytest.mark.parametrize(("sql", "value"), _ODD)
def test_what_no_case_says_is_one_line_and_nothing_comes_in(tmp_path, other, sql, value):
    with closing(sqlite3.connect(other / CATALOGUE)) as db:
        db.executescript("INSERT INTO metadata SELECT item_id, '{}' FROM items")
        if value is None:
            db.executescript(sql.replace("?", "'a'"))
        else:
            db.execute(sql, (value,))
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with Case.create(tmp_path / "case", model=SPEC) as case:
        with pytest.raises(CaseError) as refused, Case.open(other, read_only=True) as read:
            merge(case, read)
        assert str(refused.value).isprintable()
        assert len(str(refused.value)) < 1_000
        assert inside(case).counts()["items"] == 0
        assert not case.last_run("merge")
        with pytest.raises(CaseError), open_other(other, SPEC):
            pass


@pytest.mark.claim("X14")
def test_vectors_that_are_none_do_not_come_in(tmp_path, other):
    rows = np.load(segment := next(other.glob("segments/*/*.npy")))
    rows[1] = np.nan
    np.save(segment, rows)
    with sqlite3.connect(other / CATALOGUE) as db:
        db.execute("UPDATE segments SET sha256 = ?", (hashlib.sha256(segment.read_bytes()).hexdigest(),))
    with Case.create(tmp_path / "case", model=SPEC) as case, Case.open(other, read_only=True) as read:
        with pytest.raises(CaseError, match="not finite"):
            merge(case, read)
        assert inside(case).counts()["items"] == inside(case).counts()["vectors"] == 0


@pytest.mark.claim("X13")
def test_no_memory_is_made_for_a_text_without_end(tmp_path, other, monkeypatch):
    monkeypatch.setattr("indexer.catalogue.foreign.MOST_BYTES", 1 << 20)
    with sqlite3.connect(other / CATALOGUE) as db:
        db.execute("INSERT INTO labels SELECT item_id, 'a', 'b', hex(zeroblob(1 << 20)) FROM items")
    with Case.create(tmp_path / "case", model=SPEC) as case, Case.open(other, read_only=True) as read:
        with pytest.raises(CaseError, match="too big"):
            merge(case, read)
        assert inside(case).counts()["items"] == 0
