"""Whether a log is as it was written is seen at once, as far as its last part tells."""

import json

import pytest

from indexer.case.case import Case
from tests.indexer.vectors import SPEC


@pytest.fixture
def case(tmp_path):
    with Case.create(tmp_path / "case", model=SPEC) as made:
        for number in range(40):
            with made.use("show", arguments={"number": number}):
                pass
    with Case.open(tmp_path / "case") as made:  # nothing waits to be written
        yield made


@pytest.mark.parametrize("window", [1 << 17, 4000])
def test_an_edit_a_cut_and_a_gap_near_the_end_are_seen(case, window, monkeypatch):
    monkeypatch.setattr("indexer.case.audit._LOOKED_AT_BYTES", window)
    path = case.log.path
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert case.log.suspect() is None
    edited = [*lines[:-3], lines[-3].replace(b'"show"', b'"hide"'), *lines[-2:]]
    for broken in (edited, lines[:-1], lines[:-3] + lines[-2:], [*lines, lines[-1]], []):
        path.write_bytes(b"".join(broken))
        assert case.log.suspect(), broken[-1:]
    path.unlink()
    assert case.log.suspect()
    path.write_bytes(whole)
    assert case.log.suspect() is None


def test_what_lies_before_the_last_part_is_left_to_a_whole_verification(case, monkeypatch):
    monkeypatch.setattr("indexer.case.audit._LOOKED_AT_BYTES", 4000)
    path = case.log.path
    lines = path.read_bytes().splitlines(keepends=True)
    second = json.loads(lines[1])
    path.write_bytes(b"".join([lines[0], json.dumps(second | {"action": "x"}).encode() + b"\n", *lines[2:]]))
    assert case.log.suspect() is None
    assert case.log.verify().faults
