"""Every table says what deleting, merging and compacting do with it, and that is what they do."""

import hashlib
import re
import sqlite3
from pathlib import Path

import pytest

from imgmatch.picture.facts import Facts
from imgmatch.picture.pdq import Pdq
from imgmatch.types import Issue
from indexer.care.check import check
from indexer.care.delete import delete
from indexer.care.merge import merge
from indexer.case.case import CATALOGUE, Case
from indexer.case.compact import compact
from indexer.case.run import Batch
from indexer.catalogue import (
    CalibrationRow,
    Catalogue,
    DecisionRow,
    FaceDecisionRow,
    FaceRow,
    ListHit,
    ReleasedFile,
    ReleaseRow,
    RemoteRow,
)
from indexer.catalogue.registry import FORMAT, TABLES, bring_up, undeclared
from indexer.catalogue.sql import Transaction
from indexer.catalogue.table import Copied, Gone, Handled, Kept, Table
from tests.indexer.vectors import SPEC, add, clouds, digests, evidence, inside, label

# What a case had in each format that has shipped: without comments and spaces, sorted.
SHIPPED = {
    0: "e3b0c44298fc1c14",
    1: "7ff78c7f3bd0b867",
    2: "4bf9611cb18e0a55",
    3: "7bfd0ef5d77f8d10",
    4: "a6066f0988a76e89",
    5: "5fcc0061d40abd18",
    6: "580728146c02d953",
    7: "ab537d92f476172f",
    8: "ed6b1a3a3596eba4",
    9: "e1c27f82a8c8cedc",
    10: "cbd58f04b88df585",
    11: "62f11f98d1599aaa",
    12: "5e9395ceb0d75af4",
    13: "6c4bb9696c406dbe",
    14: "dd378f19bc4edc01",
    15: "67df29b2fa6f647c",
    16: "a635cb2cb0fff097",
    17: "9aa13cfadf62565c",
}

NOW = "2026-01-01T00:00:00.000Z"


def failed(number: int, error: str, stage: str = "read", beside: bool = False) -> tuple:
    """What a run says of a file."""
    return Issue(evidence(number).locator, stage, error, "no"), None, None, beside


def rows(path: Path) -> dict[str, int]:
    """How many rows each declared table has."""
    with sqlite3.connect(path / CATALOGUE) as db:
        return {table.name: db.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0] for table in TABLES}


@pytest.fixture
def full(tmp_path):
    """A case with something in every table; items 0 to 4, of which 4 is deleted."""
    with Case.create(tmp_path / "full", model=SPEC, about={"purpose": "test"}) as case:
        add(case, clouds(0, 5))
        delete(case, items=[5])
        with case.writing(), case.run("ingest", "test") as run:
            run.commit(Batch(issues=[failed(80, "unreadable")]), case.shelf(SPEC))
        with case.writing(), case.run("ingest", "test") as run:
            seen = Batch(seen=[(digests(1).sha256, evidence(1))], facts=[(digests(1).sha256, FACTS)])
            seen.issues = [failed(80, "empty"), failed(81, "empty")]
            seen.listed = [(digests(90), evidence(90), (ListHit(1, "junk", "ignore", None, "md5"),), True)]
            run.commit(seen, case.shelf(SPEC))
            label(case, [(1, "table", {"label": "Hotel"})])
            with inside(case).transaction() as writer:
                writer.vectors.set_profiles([(1, 1, "thorough")])
                listed = writer.lists.add("junk", "ignore", ("/l", "0" * 64, "text"), NOW)
                writer.lists.fill(listed, [(bytes(16), None)])
                near = writer.lists.add("near", "known", ("/n", "1" * 64, "pdq"), NOW, 31)
                writer.lists.fill_pdqs(near, [(bytes(32), None, None)])
                writer.lists.add_matches([(1, ListHit(near, "near", "known", None, "pdq", 3))])
                writer.models.set_calibration(1, CalibrationRow("", 4, {}, NOW))
                writer.decisions.add(
                    DecisionRow(0, digests(0).sha256, digests(1).sha256, "rejected", "", "A", "a", NOW)
                )
                writer.indexes.set_generation(1, "clouds/000001", "0" * 64, NOW)
                writer.indexes.set_remote("leaving", RemoteRow("http://localhost", "c", "n"))
                writer.indexes.set_sent("n", 1, 3)
                writer.runs.set_merged("another", run.run_id, 3)
                file_id = writer.vics.add_file("k.json", "2.0", run.run_id, NOW)
                writer.vics.add_media(file_id, [(1, bytes(16), bytes(20), 1, "Blue", None, '{"MediaID": 7}')])
                writer.vics.finish_file(file_id, "2" * 64, {}, 1)
                writer.faces.add([FaceRow(1, 1, 1, (0, 0, 9, 9), ((1.0, 2.0),) * 5, 1, 9, 1, 0, 0, 0, 0, 1, "")])
                writer.faces.put([(1, 1)], writer.faces.add_person(NOW, "A"), by_examiner=True)
                box = (0, 0, 9, 9)
                said = DecisionRow(0, digests(0).sha256, digests(1).sha256, "confirmed", "", "A", "a", NOW)
                writer.faces.decide(FaceDecisionRow(box, box, said))
                writer.sightings.restore(2, str(evidence(1, "/moved/a").locator), None, NOW, run.run_id)
                writer.relocations.move("/media", "/moved", NOW)
                writer.relocations.move("/moved", "/media", NOW)
                row = ReleaseRow(1, NOW, "a", "pack", False, "B", "to compare", "/p", 9, {})
                writer.releases.add(row, [ReleasedFile("p", "3" * 64, 1)])
                writer.containers.add(
                    evidence(95), "E01", 512, ({"examiner": "A"}, {"md5": "0" * 32}), (NOW, run.run_id)
                )
        yield case


FACTS = Facts({"camera": {"value": "X"}}, Pdq(bytes(32), 100))


def test_every_table_of_the_schema_is_declared(full):
    assert undeclared(inside(full)) == []
    assert full.catalogue.format_version() == FORMAT
    assert [name for name, count in rows(full.path).items() if not count] == [], "fill it in the case above"


def test_a_table_that_nobody_declares_is_told(full):
    made_up = Table("dreams", {9: "CREATE TABLE dreams (a); CREATE TABLE nightmares (a);"}, Kept(), Kept(), Kept())
    with sqlite3.connect(":memory:") as db:
        bring_up(db, 0, (*TABLES, made_up))
        assert undeclared(Transaction(db), (*TABLES, made_up)) == ["nightmares"]
        assert undeclared(Transaction(db)) == ["dreams", "nightmares"]
    with sqlite3.connect(full.path / CATALOGUE) as db:
        db.execute("CREATE TABLE dreams (a)")
    assert any("table dreams: is none of this format" in finding.message for finding in check(full))
    with pytest.raises(TypeError, match="missing 3 required"):
        Table("dreams", {9: ""})


def test_deleting_takes_what_is_declared_to_go(full):
    before = rows(full.path)
    delete(full, items=[1, 2, 3, 4])
    delete(full, sources=["file:/media"])
    after = rows(full.path)
    for table in TABLES:
        if isinstance(table.delete, Gone):
            assert after[table.name] == 0, table.name
        elif table.name not in ("tombstones", "erasures", "erased", "traces", "vics_media", "people"):
            assert after[table.name] == before[table.name], table.name
    assert after["tombstones"] == 5
    assert full.catalogue.integrity() == []


def test_merging_brings_what_is_declared_to_come_and_once(full, tmp_path):
    theirs = rows(full.path)
    with Case.create(tmp_path / "case", model=SPEC) as case:
        before = rows(case.path)
        done = merge(case, full)
        after = rows(case.path)
        for table in TABLES:
            if isinstance(table.merge, Copied):
                assert after[table.name] == before[table.name] + theirs[table.name], table.name
            elif isinstance(table.merge, Handled):
                assert after[table.name] > before[table.name] or table.name == "models", table.name
            else:
                assert after[table.name] == before[table.name], table.name
        assert (done.sightings, done.issues, done.decisions, done.vics_files) == (4, 2, 1, 1)
        merge(case, full)
        again = rows(case.path)
        assert again.pop("runs") == after.pop("runs") + 1
        assert again == after
        assert case.catalogue.integrity() == []


def test_merging_keeps_what_their_runs_could_not_read_where_this_case_knows_the_place(full, tmp_path):
    with Case.create(tmp_path / "case", model=SPEC) as case:
        add(case, clouds(1, 1), start=80)  # 80 is an item here, at the place that is an issue there
        merge(case, full)
        assert [str(row.issue.locator)[-6:] for row in inside(case).issues.all()] == ["81.jpg"]
        runs = [row[0] for row in inside(case).runs.all() if row[1] == "merged ingest"]
        told = [(row["locator"][-6:], row["settled_since"]) for run in runs for row in inside(case).runs.skipped(run)]
        assert told == [("80.jpg", True), ("80.jpg", True), ("81.jpg", False)]


def test_merging_keeps_what_is_said_of_stages_apart(full, tmp_path):
    with full.writing(), full.run("ingest", "test") as run:
        said = [failed(80, "broken_picture", "walk"), failed(80, "limit", "walk", True), failed(81, "x", "walk", True)]
        run.commit(Batch(issues=said), full.shelf(SPEC))
    with Case.create(tmp_path / "case", model=SPEC) as case:
        add(case, clouds(1, 1), start=80)
        with case.writing(), case.run("ingest", "test") as run:
            run.commit(Batch(issues=[failed(81, "ours", "walk")]), case.shelf(SPEC))
        merge(case, full)
        said = sorted((str(row.issue.locator)[-6:], row.issue.error, row.beside) for row in inside(case).issues.all())
        assert said == [
            ("80.jpg", "broken_picture", False),
            ("80.jpg", "limit", True),
            ("81.jpg", "empty", False),
            ("81.jpg", "ours", False),
        ]
        before = rows(case.path)
        merge(case, full)
        assert {**rows(case.path), "runs": 0} == {**before, "runs": 0}


def test_issues_of_a_case_of_format_9_stay(tmp_path):
    with sqlite3.connect(tmp_path / CATALOGUE) as db:
        for number in range(1, 10):
            db.executescript("\n".join(table.formats.get(number, "") for table in TABLES))
        db.execute("PRAGMA user_version = 9")
        db.execute("INSERT INTO runs VALUES (1, 'ingest', '1', 'r', '{}', 'now', NULL, NULL)")
        told = "VALUES (?, 'file:/a', 'walk', 'limit', 'm', x'00', 5, 6, 7, 'now', 1)"
        db.execute(f"INSERT INTO issues {told}", (9,))
        db.execute("INSERT INTO past_issues VALUES (1, 'file:/a', 'read', 'unreadable', 'm', NULL, NULL, 'now')")
    catalogue = Catalogue(tmp_path / CATALOGUE)
    catalogue.migrate()
    assert [(str(row.issue.locator), row.issue.error, row.beside) for row in catalogue.issues.all()] == [
        ("file:/a", "limit", False)
    ]
    assert catalogue.rows("SELECT * FROM issues")[0][:11] == (
        9,
        "file:/a",
        "walk",
        "limit",
        "m",
        b"\0",
        5,
        6,
        7,
        "now",
        1,
    )
    assert [row["error"] for row in catalogue.runs.skipped(1)] == ["unreadable", "limit"]
    assert catalogue.integrity() == []
    catalogue.close()


def test_merged_known_media_speak_for_items_that_are_here_and_that_come_later(full, tmp_path):
    with Case.create(tmp_path / "case", model=SPEC) as case:
        add(case, clouds(1, 1), start=100)  # every content of these cases has the MD5 and SHA-1 of the record
        merge(case, full)
        add(case, clouds(2, 1), start=101)
        assert [file.name for file in inside(case).vics.files()] == ["k.json"]
        for number in (100, 101):
            item_id = inside(case).items.id_of(digests(number).sha256)
            assert inside(case).labels.of([item_id])[item_id]["vics_series"] == ("Blue",)
            assert inside(case).vics.records([item_id]) == {item_id: [{"MediaID": 7}]}


def test_compacting_takes_dead_rows_alone(full):
    add(full, clouds(3, 3), start=200)
    before = rows(full.path)
    compact(full)
    after = rows(full.path)
    assert after["tombstones"] == 0
    assert after["segments"] == 1
    for table in TABLES:
        if isinstance(table.compact, Kept):
            assert after[table.name] == before[table.name], table.name


@pytest.mark.parametrize("version", range(FORMAT))
def test_a_case_of_any_older_format_is_brought_up(tmp_path, version):
    with sqlite3.connect(tmp_path / CATALOGUE) as db:
        for number in range(1, version + 1):
            db.executescript("\n".join(table.formats.get(number, "") for table in TABLES))
        db.execute(f"PRAGMA user_version = {version}")
        assert digest(db) == SHIPPED[version], "a script that has shipped was changed"
    catalogue = Catalogue(tmp_path / CATALOGUE)
    catalogue.migrate()
    catalogue.close()
    with sqlite3.connect(tmp_path / CATALOGUE) as db:
        assert digest(db) == SHIPPED[FORMAT]


def digest(db: sqlite3.Connection) -> str:
    made = [row[0] for row in db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")]
    plain = sorted(re.sub(r"\s+", "", re.sub(r"--[^\n]*", "", sql)) for sql in made)
    return hashlib.sha256("\n".join(plain).encode()).hexdigest()[:16]
