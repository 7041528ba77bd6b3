"""Project VIC files, tables and PDQ lists, into a case and out of it."""

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image as PillowImage

from imgmatch.errors import UsageError
from imgmatch.locator import Locator
from imgmatch.types import Digests, Evidence, Image, Issue
from indexer.case.case import Case
from indexer.case.run import Batch, NewItem
from indexer.intake.csvfile import write_csv
from indexer.intake.known import import_list, remove_list
from indexer.out import atomic
from indexer.out.atomic import whole_file, whole_folder
from indexer.out.exchange.caseuco import export_caseuco
from indexer.out.exchange.pack import write_pack
from indexer.out.exchange.pdq import export_pdq
from indexer.out.exchange.project_vic import export_vics, import_vics
from indexer.out.exchange.tables import TABLES, export_tables
from indexer.search import decisions
from indexer.search.reasons import said_by_vics
from tests.conftest import ROOT, run, run_json
from tests.indexer.vectors import SPEC, clouds, inside, label

CONTEXT = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Cases"


@pytest.fixture
def case(tmp_path):
    with Case.create(tmp_path / "case", model=SPEC, about={"examiner": "Ada"}) as made:
        yield made


def digests(number):
    data = b"%d" % number
    return Digests(*(hashlib.new(name, data).hexdigest() for name in ("sha256", "md5", "sha1")), len(data))


def add(case, numbers, name="{}.jpg", issues=(), vectors=None, modified="2024-01-01T00:00:00Z"):
    """Items whose hashes are those of their number's digits."""
    vectors = clouds(1, max(numbers) + 1) if vectors is None else vectors
    items = [
        NewItem(
            digests(number),
            Image(np.empty((0, 0, 3), np.uint8), (8, 6), 1, "JPEG"),
            vectors[number],
            [Evidence(Locator.file("/media/" + name.format(number)), 1, modified, 1, 1, open)],
        )
        for number in numbers
    ]
    with case.writing(), case.run("ingest", "test") as run:
        run.commit(Batch(items=items, issues=list(issues)), case.add_shelf(SPEC))


def record(number, **fields):
    found = digests(number)
    return {"MediaID": 100 + number, "MD5": found.md5.upper(), "SHA1": found.sha1.upper(), **fields}


def write(path, records, **about):
    path.write_text(json.dumps({"@odata.context": CONTEXT, "value": [{**about, "Media": records}]}, indent=1))
    return path


@pytest.fixture
def known(tmp_path):
    pytest.importorskip("ijson", reason="ijson is not installed: pip install 'imgmatch[exchange]'")
    records = [
        record(1, Category=1, Series={"Name": "Blue"}, Tags="room, lamp", PhotoDNA="A" * 192, New={"deep": [1, 2.5]}),
        record(2, Category=2, MediaFiles=[{"FileName": "x.jpg", "FilePath": "c:\\x.jpg", "Extra": True}]),
        record(3, Category=0, IsPrecategorized="false"),
    ]  # fmt: skip
    return write(tmp_path / "known.json", records, CaseID="theirs", Department="X")


LABELS = {"vics_category": ("1",), "vics_series": ("Blue",), "vics_tags": ("room, lamp",)}


@pytest.mark.parametrize("first", ["pictures", "file"])
def test_known_media_label_pictures_that_come_before_or_after_the_file(case, known, first):
    if first == "pictures":
        add(case, [1, 5])
    done = import_vics(case, known)
    if first == "file":
        add(case, [1, 5])
    assert (done.media, done.items, done.faults, done.version) == (3, first == "pictures", 0, "2.0")
    assert inside(case).labels.of([1, 2]) == {1: LABELS, 2: {}}
    assert list(said_by_vics(LABELS)) == ["known to Project VIC: category 1, series Blue, tags room, lamp"]
    assert list(said_by_vics({"label": ("x",)})) == []


def test_the_same_md5_with_another_sha1_is_another_file(case, tmp_path, known):
    wrong = {**record(1, Category=1), "SHA1": "1234" * 10}
    import_vics(case, write(tmp_path / "k.json", [wrong, {"SHA1": digests(2).sha1, "Category": 3}]))
    add(case, [1, 2])
    assert inside(case).labels.of([1, 2]) == {1: {}, 2: {"vics_category": ("3",)}}


def test_zeros_in_place_of_a_sha1_do_not_keep_an_md5_from_matching(case, tmp_path):
    pytest.importorskip("ijson", reason="ijson is not installed: pip install 'imgmatch[exchange]'")
    empty = hashlib.sha1(b"").hexdigest()
    records = [{**record(n, Category=n), "SHA1": filler} for n, filler in ((1, "0" * 40), (2, empty), (3, ""))]
    done = import_vics(case, write(tmp_path / "k.json", [*records, {"MD5": "0" * 32, "SHA1": "0" * 40}]))
    assert (done.media, done.faults) == (3, 1)
    add(case, [1, 2, 3])
    assert [inside(case).labels.of([n])[n]["vics_category"] for n in (1, 2, 3)] == [("1",), ("2",), ("3",)]


ODD = (
    None,
    True,
    5,
    -1,
    1e30,
    "",
    "x",
    "\ud800",
    [],
    [5],
    [[["x"]]],
    [None],
    {},
    {"Name": {"Name": [{"x": 1}]}},
    [{"x": {}}],
)
FIELDS_OF_MEDIA = (
    "MediaID", "MD5", "SHA1", "Category", "Series", "Tags", "Comments", "PhotoDNA", "MimeType", "MediaSize",
    "MediaFiles", "AlternativeHashes",
)  # fmt: skip


@pytest.mark.claim("X2")
def test_odd_values_of_any_field_are_faults_and_no_more(case, tmp_path):
    """Whatever stands in a field: a record is kept, or named, and goes out again."""
    pytest.importorskip("ijson", reason="ijson is not installed: pip install 'imgmatch[exchange]'")
    records = [record(n % 3, **{field: odd}) for field in FIELDS_OF_MEDIA for n, odd in enumerate(ODD)]
    add(case, [0, 1, 2])
    path = tmp_path / "known.json"
    for number, document in enumerate(
        (
            {"@odata.context": CONTEXT, "value": [{"CaseID": "1", "Media": records}]},
            {"odata.metadata": CONTEXT.replace("Cases", "Media"), "value": records},
        )
    ):
        path.write_text(json.dumps(document))
        done = import_vics(case, path)
        assert done.media + done.faults >= len(records)
        export_vics(case, tmp_path / f"out{number}.json", all_known=True)
        assert json.loads((tmp_path / f"out{number}.json").read_text())["value"]
        done = import_list(case, path, "known", f"list {number}")
        assert done.entries


@pytest.mark.parametrize("odd", ODD)
def test_odd_values_about_a_file_are_one_line(case, tmp_path, odd):
    pytest.importorskip("ijson", reason="ijson is not installed: pip install 'imgmatch[exchange]'")
    path = tmp_path / "known.json"
    media = [record(1)]
    for document in (
        odd,
        {"@odata.context": odd, "value": media},
        {"@odata.context": CONTEXT, "value": odd},
        {"@odata.context": CONTEXT, "value": [{"Media": odd}]},
        {"@odata.context": CONTEXT, "value": [odd, {"Media": media}, odd]},
        {"@odata.context": CONTEXT, "more": odd, "value": [{"CaseID": odd, "Media": media}]},
    ):
        path.write_text(json.dumps(document))
        with contextlib.suppress(UsageError):
            import_vics(case, path)
        with contextlib.suppress(UsageError):
            import_list(case, path, "known", "list")
            remove_list(case, "list")


def test_the_same_file_twice_is_told_and_changes_nothing(case, known):
    import_vics(case, known)
    with pytest.raises(UsageError, match=r"imported into .* already"):
        import_vics(case, known)
    assert len(inside(case).vics.files()) == 1
    assert sum(1 for _ in inside(case).vics.unseen()) == 3


def test_a_file_that_breaks_off_leaves_nothing_behind(case, tmp_path, known):
    add(case, [1])
    cut = tmp_path / "cut.json"
    cut.write_bytes(known.read_bytes()[:-9])
    with pytest.raises(UsageError, match=r"cut\.json, line \d+ .*ends in the middle"):
        import_vics(case, cut)
    assert inside(case).vics.files() == []
    assert inside(case).labels.of([1]) == {1: {}}
    assert inside(case).issues.kinds() == {}
    assert import_vics(case, known).items == 1


def test_faults_are_counted_named_issues(case, tmp_path, known):
    done = import_vics(case, write(tmp_path / "k.json", [record(1, Category="x"), {"MD5": "?"}, record(2)]))
    assert (done.media, done.faults) == (2, 2)
    rows = [row.issue for row in inside(case).issues.all()]
    assert [issue.error for issue in rows] == ["bad_record"] * 2
    assert "field Category: 'x' is no category" in rows[0].message
    assert "record 2, ending in line" in rows[1].message
    assert rows[1].message.endswith("the record was left out")


def test_nothing_is_lost_on_the_way_in_and_out_again(case, known, tmp_path):
    add(case, [1, 2, 9])
    import_vics(case, known)
    export_vics(case, tmp_path / "out.json", all_known=True)
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["@odata.context"].endswith("2.0.xml/Default/$metadata#Cases")
    (about,) = document["value"]
    assert (about["CaseID"], about["Department"], about["SourceApplicationName"]) == ("theirs", "X", "imgmatch")
    out = {media["MediaID"]: media for media in about["Media"]}
    (their_case,) = json.loads(known.read_text())["value"]
    for before in their_case["Media"]:
        after = out[before["MediaID"]]
        files = before.pop("MediaFiles", [])
        assert {name: after[name] for name in before} == before
        assert after.get("MediaFiles", [])[: len(files)] == files
    assert out[103] == record(3, Category=0, IsPrecategorized="false")
    assert len(out) == 4
    (new,) = [media for number, media in out.items() if number > 103]
    assert (new["MD5"], new["SHA1"]) == (digests(9).md5.upper(), digests(9).sha1.upper())
    assert (new["Category"], new["MediaSize"], new["MimeType"]) == (0, 1, "image/jpeg")
    assert new["MediaFiles"] == [
        {"MD5": new["MD5"], "FileName": "9.jpg", "FilePath": "/media/9.jpg", "Written": "2024-01-01T00:00:00Z"}
    ]
    # And once more, into a case of another office.
    with Case.create(tmp_path / "other", model=SPEC) as other:
        assert import_vics(other, tmp_path / "out.json").media == 4
        export_vics(other, tmp_path / "again.json", all_known=True)
    assert json.loads((tmp_path / "again.json").read_text())["value"] == document["value"]


def test_labels_and_decisions_leave_as_tags_and_comments(case, known, tmp_path):
    add(case, [1, 2])
    import_vics(case, known)
    label(case, [(1, "t.csv", {"label": "Hotel X", "city": "Ghent"})])
    decisions.decide(case, "1", "2", "confirmed", note="same lamp")
    export_vics(case, tmp_path / "out.json", version="1.3")
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["odata.metadata"].endswith("1.3.xml#Cases")
    media = document["value"][0]["Media"]
    assert [one["MediaID"] for one in media] == [101, 102]  # only what the case holds
    assert media[0]["Tags"] == "room, lamp, Ghent".replace("Ghent", "city=Ghent") + ", Hotel X"
    assert "confirmed as a match of SHA-256 " + digests(2).sha256 in media[0]["Comments"]
    assert "same lamp" in media[1]["Comments"]
    assert document["value"][0]["CaseID"] == case.catalogue.meta.all()["case_id"]
    assert [json.loads(line)["action"] for line in (case.path / "audit.jsonl").open()][-2:] == ["export", "exported"]


def test_the_newest_of_several_files_stands_and_numbers_stay_apart(case, known, tmp_path):
    add(case, [1, 2])
    import_vics(case, known)
    import_vics(case, write(tmp_path / "later.json", [{**record(1, Category=3), "MediaID": 102}]))
    export_vics(case, tmp_path / "out.json")
    media = json.loads((tmp_path / "out.json").read_text())["value"][0]["Media"]
    assert media[0]["Category"] == 3
    assert media[0]["PhotoDNA"] == "A" * 192
    assert len({one["MediaID"] for one in media}) == 2


# --- tables


def read_table(folder, name, format):
    path = folder / f"{name}.{format}"
    if format == "csv":
        return list(csv.DictReader(path.open(newline="")))
    if format == "jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    return pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_tables_hold_every_row_with_the_documented_columns(case, tmp_path, format):
    if format == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'imgmatch[exchange]'")
    issue = Issue(Locator.file("/media/broken.jpg"), "decode", "empty", "no bytes")
    add(case, [1, 2], issues=[(issue, None, None, False)])
    label(case, [(1, "t.csv", {"label": "Hotel X"})])
    decisions.decide(case, "1", "2", "rejected")
    rows = export_tables(case, tmp_path / "out", format)
    assert rows == {"items": 2, "sightings": 2, "labels": 1, "issues": 1, "decisions": 1}
    for name, count in rows.items():
        found = read_table(tmp_path / "out", name, format)
        assert len(found) == count
        assert all(list(row) == list(TABLES[name].columns) for row in found)
    item = read_table(tmp_path / "out", "items", format)[0]
    assert item["sha256"] == digests(1).sha256
    assert item["mime_type"] == "image/jpeg"
    if format == "parquet":
        seen = read_table(tmp_path / "out", "sightings", format)[0]
        assert (item["item_id"], seen["modified_utc"].isoformat()) == (1, "2024-01-01T00:00:00+00:00")


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_a_time_of_an_unknown_zone_is_never_passed_off_as_utc(case, tmp_path, format):
    if format == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'imgmatch[exchange]'")
    add(case, [1], modified="2024-01-01T12:00:00.000000")
    export_tables(case, tmp_path / "out", format)
    (seen,) = read_table(tmp_path / "out", "sightings", format)
    assert (seen["modified_utc"] or None, seen["modified_local"]) == (None, "2024-01-01T12:00:00.000000")
    export_vics(case, tmp_path / "out.json", all_known=True)
    assert "Written" not in (tmp_path / "out.json").read_text()


def test_a_name_is_never_a_formula_and_never_out_of_sight(case, tmp_path):
    add(case, [1], name="=cmd|calc!\u202egpj.{}")
    label(case, [(1, "t.csv", {"label": "=HYPERLINK(1)", "height": "-4"})])
    export_tables(case, tmp_path / "out", "csv")
    labels = {row["name"]: row["value"] for row in read_table(tmp_path / "out", "labels", "csv")}
    assert labels == {"label": "'=HYPERLINK(1)", "height": "-4"}
    (seen,) = read_table(tmp_path / "out", "sightings", "csv")
    assert seen["file_name"] == "'=cmd|calc!\\u202egpj.1"


@pytest.mark.claim("X17")
@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a;=cmd|calc", "a;'=cmd|calc"),
        ('a; "@SUM(1)', "a; \"'@SUM(1)"),
        ("x;-4;+y", "x;-4;'+y"),
        ("plain; and more", "plain; and more"),
        (";=1+1", ";'=1+1"),
    ],
)
def test_no_part_of_a_cell_is_a_formula_where_semicolons_part_cells(value, written):
    out = io.StringIO()
    write_csv(out, [{"name": value, "list": ["a", value]}], ["name", "list"])
    (row,) = list(csv.reader(io.StringIO(out.getvalue())))[1:]
    assert row == [written, f"a; {written}"]


WRITE = """
import os, signal, sys
from pathlib import Path
from indexer.out.atomic import whole_file, whole_folder
with whole_folder(Path(sys.argv[1])) as draft, whole_file(Path(sys.argv[2])) as file:
    (draft / "clear.jpg").write_bytes(b"picture")
    file.write(b"picture" * 1000)
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no files without a name")
def test_what_a_kill_leaves_has_no_name_or_goes_with_the_next_try(tmp_path):
    folder, file = tmp_path / "report", tmp_path / "a.pack"
    command = [sys.executable, "-c", WRITE, folder, file]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    with whole_folder(folder) as draft, whole_file(file) as made:
        assert list(tmp_path.iterdir()) == [draft]
        made.write(b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pack", "report"]
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"whole", 0o600)


def test_bytes_that_are_no_text_can_be_written_in_every_format(case, tmp_path):
    add(case, [1], name="\udcff\udcfe{}.jpg")
    for format in ("csv", "jsonl"):
        export_tables(case, tmp_path / format, format)
        assert read_table(tmp_path / format, "sightings", format)[0]["file_name"].endswith("1.jpg")
    export_vics(case, tmp_path / "out.json")
    (media,) = json.loads((tmp_path / "out.json").read_text())["value"][0]["Media"]
    assert media["MediaFiles"][0]["FileName"] == "\\xff\\xfe1.jpg"


def test_groups_are_a_table_by_request(tmp_path):
    coarse = PillowImage.fromarray(np.random.default_rng(1).integers(0, 256, (5, 6, 3), dtype=np.uint8))
    grain = np.random.default_rng(2).integers(-14, 15, (180, 240, 3))
    pixels = np.asarray(coarse.resize((240, 180), PillowImage.Resampling.BICUBIC)) + grain
    (tmp_path / "in").mkdir()
    for name, quality in (("a", 95), ("b", 70)):
        PillowImage.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
            tmp_path / "in" / f"{name}.jpg", quality=quality
        )
    PillowImage.fromarray(pixels[::-1, ::-1].clip(0, 90).astype(np.uint8)).save(tmp_path / "in" / "c.jpg")
    assert run("init", tmp_path / "case").returncode == 0
    assert run("ingest", tmp_path / "case", tmp_path / "in").returncode == 0
    with Case.open(tmp_path / "case") as case:
        export_tables(case, tmp_path / "out", "jsonl", ["groups"])
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["groups.jsonl"]
        rows = read_table(tmp_path / "out", "groups", "jsonl")
        assert [(row["item_id"], row["best"]) for row in rows] == [(1, True), (2, False)]


def test_a_table_that_is_none_is_named(case, tmp_path):
    with pytest.raises(UsageError, match="'pictures' is no table; choose from items, sightings"):
        export_tables(case, tmp_path / "no", "csv", ["pictures"])


def test_an_empty_case_has_empty_tables_but_no_vics_file(case, tmp_path):
    assert set(export_tables(case, tmp_path / "out", "csv").values()) == {0}
    with pytest.raises(UsageError, match="holds no pictures yet"):
        export_vics(case, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


# --- whatever is written


WRITERS = {
    "vics": lambda case, path: export_vics(case, path),
    "csv": lambda case, path: export_tables(case, path, "csv"),
    "jsonl": lambda case, path: export_tables(case, path, "jsonl"),
    "pack": lambda case, path: write_pack(case, path),
    "case-uco": lambda case, path: export_caseuco(case, path),
    "pdq": lambda case, path: export_pdq(case, path, [("0", "0" * 64, 100)]),
}


@pytest.mark.parametrize("name", list(WRITERS))
def test_nothing_is_overwritten(case, tmp_path, name):
    add(case, [1])
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        WRITERS[name](case, tmp_path / "there")
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files there")
@pytest.mark.parametrize("name", ["vics", "csv", "jsonl", "pack", "case-uco"])
def test_a_disk_that_is_full_half_way_leaves_no_result(case, tmp_path, monkeypatch, name):
    import resource

    add(case, range(200))
    monkeypatch.setattr(case.log, "append", lambda *_: None)  # the log lies on another disk
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(UsageError, match=r"out: can't be written \(File too large\); check disk space"):
            WRITERS[name](case, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["case"]
    WRITERS[name](case, tmp_path / "out")  # and the next try is whole


@pytest.mark.parametrize("name", ["vics", "pdq"])
def test_a_full_disk_is_one_error_and_leaves_no_file(case, tmp_path, monkeypatch, name):
    add(case, [1])

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    monkeypatch.setattr(case.log, "append", lambda *_: None)  # the log lies on another disk
    target = tmp_path / "out"
    with pytest.raises(UsageError, match=r"No space left on device.*check disk space") as caught:
        WRITERS[name](case, target)
    assert "\n" not in str(caught.value)
    assert [path for path in tmp_path.iterdir() if "out" in path.name] == []


def test_pdq_hashes_are_written_as_threatexchange_reads_them(case, tmp_path):
    rows = [("a", "0f" * 32, 100), ("b", "0f" * 32, 90), ("c", "1f" * 32, 49), ("d", "2f" * 32, 50)]
    assert export_pdq(case, tmp_path / "out.txt", rows) == (2, 1)
    assert (tmp_path / "out.txt").read_text() == f"pdq {'0f' * 32}\npdq {'2f' * 32}\n"
    with pytest.raises(UsageError, match="is no PDQ hash"):
        export_pdq(case, tmp_path / "no.txt", [("a", "xyz", 100)])
    assert not (tmp_path / "no.txt").exists()


def test_every_column_is_documented():
    page = (ROOT / "docs" / "exchange.md").read_text()
    for table in TABLES.values():
        assert f"`{table.name}`" in page
        assert not [column for column in table.columns if f"`{column}`" not in page]


ALWAYS = {
    *("entry", "time_utc", "actor", "version", "action", "before"),
    *("arguments", "subject", "counts", "model", "weights_sha256"),
}


def test_every_entry_says_how_what_and_how_many_in_the_fields_for_it(case, known, tmp_path):
    add(case, [1, 2])
    import_vics(case, known)
    export_vics(case, tmp_path / "out.json")
    export_tables(case, tmp_path / "tables", "csv", ["items"])
    export_caseuco(case, tmp_path / "out.jsonld", ())
    export_pdq(case, tmp_path / "out.txt", [("0" * 64, "1" * 64, 100)])
    write_pack(case, tmp_path / "out.pack")
    (tmp_path / "list.txt").write_text(digests(1).sha1 + "\n")
    import_list(case, tmp_path / "list.txt", "known", "films")
    remove_list(case, "films")
    entries = {}
    for line in (case.path / "audit.jsonl").open():
        entry = json.loads(line)
        entries.setdefault(entry["action"], []).append(entry)
        assert set(entry) - ALWAYS <= {"run_id", "runtime", "state", "salts", "release"}
    assert [e["arguments"]["format"] for e in entries["export"]] == ["vics", "csv", "case-uco", "pdq", "pack"]
    for entry in entries["export"] + entries["exported"]:
        assert entry["subject"].get("file", entry["subject"].get("folder")).startswith(str(tmp_path))
    assert [e["counts"] for e in entries["exported"]][:2] == [{"media": 2, "items": 2, "known_only": 0}, {"items": 2}]
    assert entries["exported"][3]["counts"] == {"hashes": 1, "poor": 0}
    (imported,) = entries["import"]
    assert imported["subject"]["path"].endswith("known.json")
    assert imported["counts"] == {"media": 3, "items": 2, "faults": 0}
    (listed,) = entries["import hash list"]
    assert listed["arguments"] == {"list": "films", "kind": "known", "format": "text"}
    assert listed["counts"] == {"hashes": 1, "malformed": 0, "items": 1}
    assert entries["remove hash list"][0]["arguments"] == {"list": "films"}


def test_audit_show_lists_what_older_entries_have_beside_these_fields(case, tmp_path):
    with case.use("export") as use:
        use.entry.details = {"format": "pdq", "file": "/media/old.txt"}
    with case.use("export", arguments={"format": "pdq"}, subject={"file": "/media/new.txt"}):
        pass
    case.close()
    old, new = run_json("audit", "show", case.path, "--action", "export")
    assert (old["file"], new["subject"]["file"]) == ("/media/old.txt", "/media/new.txt")
    table = run("audit", "show", case.path, "--action", "export", env={**os.environ, "COLUMNS": "400"}).stdout.decode()
    assert "/media/old.txt" in table
    assert "/media/new.txt" in table
