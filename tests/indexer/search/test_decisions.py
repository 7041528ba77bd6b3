"""What stands of what examiners said: states, taking back, and a second reader."""

import sqlite3

import pytest

from imgmatch.errors import UsageError
from indexer.case.case import Case
from indexer.catalogue import DecisionRow, registry
from indexer.catalogue.decisions import BY_ACCOUNT, BY_NAME, standing_of
from indexer.search import decisions
from tests.conftest import run, run_json
from tests.indexer.vectors import SPEC, add, clouds


@pytest.fixture
def made(tmp_path):
    with Case.create(tmp_path / "case", model=SPEC) as case:
        add(case, clouds(0, 4))
        yield case


def said(*pairs):
    """Rows of (examiner, verdict), or of (examiner, verdict, account)."""
    return [
        DecisionRow(number, "0" * 64, "1" * 64, verdict, "", examiner, *(more or "a"), f"2026-01-01T00:00:{number:02}Z")
        for number, (examiner, verdict, *more) in enumerate(pairs)
    ]


@pytest.mark.parametrize(
    ("rows", "one", "two"),
    [
        ([], None, None),
        ([("A", "seen")], "seen", "seen"),
        ([("A", "confirmed"), ("A", "seen")], "confirmed", "possible"),
        ([("A", "confirmed"), ("A", "rejected")], "rejected", "rejected"),
        ([("A", "rejected"), ("A", "withdrawn")], None, None),
        ([("A", "possible"), ("A", "rejected"), ("A", "withdrawn")], "possible", "possible"),
        ([("A", "possible"), ("A", "rejected"), ("A", "withdrawn"), ("A", "withdrawn")], None, None),
        ([("A", "confirmed"), ("B", "withdrawn")], "confirmed", "possible"),
        ([("A", "confirmed"), ("B", "confirmed")], "confirmed", "confirmed"),
        ([("A", "confirmed"), (" a ", "confirmed")], "confirmed", "possible"),
        ([("A", "confirmed"), ("B", "confirmed"), ("B", "withdrawn")], "confirmed", "possible"),
        ([("A", "confirmed"), ("B", "rejected")], "rejected", "rejected"),
        ([("A", "confirmed"), ("B", "rejected"), ("A", "confirmed")], "confirmed", "possible"),
        ([("A", "confirmed"), ("B", "rejected"), ("C", "confirmed")], "confirmed", "confirmed"),
    ],
)
def test_what_stands_of_a_pair_with_one_reader_and_with_two(rows, one, two):
    for wanted, expected in (("", one), (BY_NAME, two)):
        stands = standing_of(said(*rows), wanted)
        assert (stands.verdict if stands else None) == expected
        assert (stands is not None and stands.waits) == (bool(wanted) and one == "confirmed" and two == "possible")


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([("A", "confirmed", "x"), ("B", "confirmed", "x")], "possible"),
        ([("A", "confirmed", "x"), ("A", "confirmed", "y")], "possible"),
        ([("A", "confirmed", "x"), ("B", "confirmed", "y")], "confirmed"),
        ([("A", "confirmed", "x"), ("B", "confirmed", "x"), ("C", "confirmed", "y")], "confirmed"),
        ([("A", "confirmed", "x"), ("B", "confirmed", "y"), ("B", "withdrawn", "y")], "possible"),
    ],
)
def test_a_second_name_that_one_account_typed_is_no_second_reader(rows, verdict):
    stands = standing_of(said(*rows), BY_ACCOUNT)
    assert (stands.verdict, stands.waits) == (verdict, verdict == "possible")


def test_what_stands_is_what_every_use_goes_by(made, monkeypatch):
    told = []

    def found():
        with made.use("show") as use:
            sha256 = use.catalogue.items.by_id([1])[1].sha256
            return decisions.rejected_items(use, sha256), len(decisions.confirmed(use, sha256))

    decisions.decide(made, "1", "2", "rejected", examiner="Ada")
    assert found() == ({2}, 0)
    decisions.withdraw(made, "2", "1", examiner="Ada")
    assert found() == (set(), 0)
    decisions.want_second_reader(made, True)
    decisions.decide(made, "1", "3", "confirmed", examiner="Ada")
    assert found() == (set(), 0)
    assert list(decisions.labels(made)) == []
    decisions.decide(made, "3", "1", "confirmed", examiner="Grace", warn=told.append)
    assert found() == (set(), 0)
    assert "Ada confirmed it under the same account" in told.pop()
    monkeypatch.setattr("indexer.case.recorded.account", lambda: "grace (uid 2)")
    decisions.decide(made, "3", "1", "confirmed", examiner="Grace", warn=told.append)
    assert told == []
    assert found() == (set(), 1)
    assert len(list(decisions.labels(made))) == 2


def test_what_can_not_be_said_changes_nothing(made):
    decisions.want_second_reader(made, True)
    for work in (
        lambda: decisions.decide(made, "1", "2", "certain", examiner="Ada"),
        lambda: decisions.decide(made, "1", "2", "withdrawn", examiner="Ada"),
        lambda: decisions.decide(made, "1", "2", "confirmed"),
        lambda: decisions.withdraw(made, "1", "2", examiner="Ada"),
    ):
        with pytest.raises(UsageError):
            work()
    decisions.decide(made, "1", "2", "confirmed", examiner="Ada")
    with pytest.raises(UsageError, match="Grace has said nothing"):
        decisions.withdraw(made, "1", "2", examiner="Grace")
    assert [row["verdict"] for row in decisions.history(made)] == ["confirmed"]


def test_decisions_of_an_older_case_come_along_and_still_can_not_be_changed(tmp_path, monkeypatch):
    db = sqlite3.connect(tmp_path / "old.sqlite")
    with monkeypatch.context() as patch:
        patch.setattr(registry, "FORMAT", 11)
        registry.bring_up(db, 0)
    row = (7, b"1" * 32, b"2" * 32, "rejected", "why", "Ada", "a", "2026-01-01T00:00:00.000Z")
    db.execute("INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    with pytest.raises(sqlite3.IntegrityError):
        db.execute("INSERT INTO decisions VALUES (8, ?, ?, 'possible', '', '', '', '')", row[1:3])
    db.commit()
    registry.bring_up(db, 11)
    assert db.execute("SELECT * FROM decisions").fetchall() == [row]
    db.execute("INSERT INTO decisions VALUES (8, ?, ?, 'possible', '', '', '', '')", row[1:3])
    for sql in ("UPDATE decisions SET note = 'x'", "DELETE FROM decisions"):
        with pytest.raises(sqlite3.IntegrityError, match="only added"):
            db.execute(sql)
    db.close()


def test_the_command_line_undoes_and_asks_for_a_second_reader(made):
    path = made.path
    made.close()
    assert run("decide", path, "--by-name").returncode == 1
    assert run("decide", path, "--second-reader").returncode == 0
    assert run("decide", path, 1, 2, "confirmed").returncode == 1
    for examiner in ("Ada", "Grace"):
        done = run("decide", path, 1, 3, "confirmed", "--examiner", examiner)
    assert b"it does not stand yet: Ada confirmed it under the same account" in done.stderr
    assert run("decide", path, "--second-reader", "--by-name").returncode == 0
    assert run_json("decide", path, "--list")[-1]["stands"] == "confirmed"
    for examiner, stands in (("Ada", ("possible", True)), ("Grace", ("confirmed", False))):
        run_json("decide", path, 1, 2, "confirmed", "--examiner", examiner)
        last = run_json("decide", path, "--list")[-1]
        assert (last["stands"], last["waits"]) == stands
    assert run_json("decide", path, 2, 1, "--undo", "--examiner", "Ada")["verdict"] == "withdrawn"
    assert run_json("decide", path, "--list")[-1]["stands"] == "possible"
    assert run("decide", path, 1, 2, "--undo", "--examiner", "Nobody").returncode == 1
    assert run("decide", path, 1, "--undo").returncode == 1
    assert run("decide", path, "--one-reader").returncode == 0
    assert run_json("decide", path, "--list")[-1]["stands"] == "confirmed"
