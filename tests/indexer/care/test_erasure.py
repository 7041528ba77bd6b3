"""Erased contents: nothing of them is left, whatever held them, and no way in takes them again."""

import hashlib
import json
import sqlite3
import zipfile

import pytest
from PIL import Image

from imgmatch.errors import CaseError, UsageError
from indexer.care.check import check
from indexer.care.delete import delete, readmit
from indexer.care.erasure import clear, left
from indexer.care.indexing import BuildConfig, build
from indexer.case.case import Case
from indexer.case.traces import LEAST_BYTES, look, marks
from indexer.index.policy import EXACT_BELOW
from indexer.intake.ingest import IngestConfig, ingest
from indexer.out.exchange.project_vic import import_vics
from indexer.search import decisions
from tests.conftest import encode, picture
from tests.indexer.vectors import SPEC, add, clouds, inside, looking


def faults(case):
    return [finding.message for finding in check(case) if finding.part == "erasure"]


@pytest.fixture
def filled(case, photographs, embedder):
    ingest(case, [photographs], embedder, IngestConfig(jobs=1))
    return case


def again(case, embedder, *paths, **config):
    return ingest(case, paths, embedder, IngestConfig(jobs=1, **config))


def test_what_was_cut_off_is_told_until_it_is_finished(filled):
    delete(filled, items=[1, 2], reason="asked")
    told = faults(filled)
    assert any("was not finished" in fault for fault in told)
    assert any("rows of deleted vectors" in fault for fault in told)
    assert all("--finish" in fault for fault in told)
    assert clear(filled).rows_removed == 2
    assert faults(filled) == []
    assert clear(filled).rows_removed == 0


@pytest.mark.parametrize("what", ["name", "vector", "pdq"])
@pytest.mark.parametrize("where", ["notes.bin", "segments/left.tmp", "catalogue.sqlite-old"])
def test_every_trace_is_found_wherever_it_lies(filled, photographs, what, where):
    place = str(photographs / "00.jpg").encode()
    with inside(filled).transaction() as writer:
        hashed = writer.facts.pdqs([3])[3].hash if what == "pdq" else b""
    row = next(rows[list(ids).index(3)] for ids, rows in filled.shelves()[0].store().blocks()).tobytes()
    trace = {"name": str(photographs / "02.jpg").encode(), "vector": row, "pdq": hashed}[what]
    delete(filled, items=[3])
    clear(filled)
    assert faults(filled) == []
    (filled.path / where).write_bytes(b"x" * 12345 + trace + place)
    (fault,) = faults(filled)
    assert str(filled.path / where) in fault
    assert " at byte 12345;" in fault
    (filled.path / where).write_bytes(b"x" * 12345 + trace[:-1] + place)
    assert faults(filled) == []


def test_a_report_that_was_written_into_the_case_is_named(filled, photographs):
    wanted = hashlib.sha256((photographs / "02.jpg").read_bytes()).hexdigest()
    (filled.path / "report.html").write_text(f"<td>{wanted}</td>")
    delete(filled, items=[3])
    with pytest.raises(CaseError, match=r"report.html: holds a hash of erased content at byte 4; it is no part"):
        clear(filled)
    (filled.path / "report.html").unlink()
    clear(filled)
    assert faults(filled) == []


def test_a_trace_is_found_across_the_parts_of_a_large_file(tmp_path, monkeypatch):
    monkeypatch.setattr("indexer.case.traces._CHUNK_BYTES", 64)
    known = list(marks("salt", "00" * 32, "place", b"/a/place/that/was/erased.jpg"))
    for at in range(0, 140, 7):
        (tmp_path / "f").write_bytes(bytes(at) + b"/a/place/that/was/erased.jpg" + bytes(90))
        assert [found.end for found in look("salt", known, [tmp_path / "f"])] == [at + 28]
        assert not list(look("other", known, [tmp_path / "f"]))
    assert not list(marks("salt", "00" * 32, "place", b"x" * (LEAST_BYTES - 1)))


def test_an_erased_name_in_free_pages_is_found_and_cleared(filled, photographs):
    delete(filled, items=[1])
    clear(filled)
    with sqlite3.connect(filled.path / "catalogue.sqlite") as db:  # as a program without secure_delete would
        db.execute("PRAGMA secure_delete = OFF")
        db.execute("CREATE TABLE scratch (a)")
        db.executemany("INSERT INTO scratch VALUES (?)", [(str(photographs / "00.jpg") * 20,)] * 50)
        db.commit()
        db.execute("DROP TABLE scratch")
        db.commit()
    db.close()
    assert any("holds a place of erased content" in fault for fault in faults(filled))
    clear(filled)
    assert faults(filled) == []


def test_another_file_at_the_place_and_one_of_the_same_pixels_are_no_traces(filled, photographs, embedder):
    first = photographs / "00.jpg"
    pixels = Image.open(first).convert("RGB")
    (photographs / "same.png").write_bytes(encode(pixels, "PNG"))
    (photographs / "same2.png").write_bytes(encode(pixels, "PNG", compress_level=1))
    again(filled, embedder, photographs)
    with inside(filled).transaction() as writer:
        same = writer.items.id_of(hashlib.sha256((photographs / "same2.png").read_bytes()).hexdigest())
    delete(filled, items=[1, same])
    clear(filled)
    assert faults(filled) == []
    first.write_bytes(encode(picture(77), "JPEG"))
    (photographs / "00.jpg.txt").write_bytes(b"no picture")
    done = again(filled, embedder, photographs)
    assert (done.new_items, done.kept_out) == (1, 1)
    assert faults(filled) == []


def test_an_index_that_holds_erased_rows_is_dropped(tmp_path):
    with Case.create(tmp_path / "case", model=SPEC) as case:
        add(case, clouds(1, EXACT_BELOW + 10))
        build(case, SPEC, BuildConfig("ivf", jobs=1))
        assert case.shelf(SPEC).generation() is not None
        delete(case, items=[5])
        assert any("its index holds 1 deleted vectors" in fault for fault in faults(case))
        clear(case)
        assert case.shelf(SPEC).generation() is None
        assert not [path for path in case.path.glob("indexes/**/*") if path.is_file()]
        assert faults(case) == []


def test_a_reader_keeps_it_from_being_finished_and_is_told_of(filled, monkeypatch):
    monkeypatch.setattr("indexer.catalogue.catalogue._BUSY_MS", 100)
    with Case.open(filled.path) as case:
        delete(case, items=[1])
        reader = sqlite3.connect(filled.path / "catalogue.sqlite")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM items").fetchone()
        with pytest.raises(CaseError, match="another program reads this case"):
            clear(case)
        assert any("was not finished" in fault for fault in faults(case))
        reader.close()
        clear(case)
        assert faults(case) == []


def test_decisions_go_and_no_others_can(filled):
    decisions.decide(filled, "1", "2", "confirmed", "as the witness says it was")
    decisions.decide(filled, "4", "5", "rejected", "another room altogether")
    delete(filled, items=[2])
    clear(filled)
    kept = list(decisions.history(filled))
    assert [row["note"] for row in kept] == ["another room altogether"]
    with sqlite3.connect(filled.path / "catalogue.sqlite") as db, pytest.raises(sqlite3.IntegrityError):
        db.execute("DELETE FROM decisions")
    db.close()
    erased = hashlib.sha256((filled.path.parent / "photographs" / "01.jpg").read_bytes()).hexdigest()
    with pytest.raises(UsageError, match="was erased from this case"):
        decisions.decide(filled, erased, "1", "confirmed")


def test_what_lies_in_an_erased_file_goes_with_it_and_stays_out(case, tmp_path, embedder):
    frames = [picture(seed, (64, 64)) for seed in range(4)]
    moving = encode(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=1000)
    (tmp_path / "moving-pictures.gif").write_bytes(moving)
    assert again(case, embedder, tmp_path / "moving-pictures.gif").new_items > 1
    done = delete(case, sha256=[hashlib.sha256(moving).hexdigest()])
    assert done.items > 1
    clear(case)
    assert case.catalogue.counts()["items"] == 0
    (tmp_path / "elsewhere.gif").write_bytes(moving)
    report = again(case, embedder, tmp_path / "elsewhere.gif")
    assert (report.new_items, report.kept_out, report.files) == (0, 1, 1)
    assert faults(case) == []
    assert b"moving-pictures" not in b"".join(
        p.read_bytes() for p in case.path.rglob("*") if p.is_file() and p.name != "audit.jsonl"
    )


def test_a_container_of_an_erased_source_is_not_opened_again(case, photographs, tmp_path, embedder):
    with zipfile.ZipFile(tmp_path / "kept-apart.zip", "w") as archive:
        for file in sorted(photographs.glob("0[0-3].jpg")):
            archive.write(file, file.name)
    assert again(case, embedder, tmp_path / "kept-apart.zip").new_items == 4
    delete(case, sources=[f"file:{tmp_path / 'kept-apart.zip'}"])
    clear(case)
    (tmp_path / "kept-apart.zip").rename(tmp_path / "copy.zip")
    report = again(case, embedder, tmp_path / "copy.zip")
    assert (report.files, report.kept_out, report.new_items) == (1, 1, 0)
    assert again(case, embedder, photographs).kept_out == 5


def test_a_content_that_is_not_here_can_be_kept_out_too(case, photographs, embedder):
    wanted = hashlib.sha256((photographs / "05.jpg").read_bytes()).hexdigest()
    assert delete(case, sha256=[wanted.upper()]).unknown == 1
    clear(case)
    assert again(case, embedder, photographs).kept_out == 1
    with pytest.raises(UsageError, match="is not kept out"):
        readmit(case, ["0" * 64])
    readmit(case, [wanted])
    assert again(case, embedder, photographs).new_items == 1


def test_files_that_were_no_items_stay_out_with_their_source(case, tmp_path, embedder):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "damaged-picture.jpg").write_bytes(encode(picture(1), "JPEG")[:60])
    assert again(case, embedder, tmp_path / "in").unusable == 1
    assert delete(case, sources=[f"file:{tmp_path / 'in'}"]).issues == 1
    clear(case)
    report = again(case, embedder, tmp_path / "in")
    assert (report.unusable, report.kept_out) == (0, 1)


def test_known_media_of_erased_contents_go_and_do_not_come_again(filled, photographs, tmp_path):
    pytest.importorskip("ijson")
    md5 = hashlib.md5((photographs / "02.jpg").read_bytes()).hexdigest()
    context = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Cases"

    def file(name):
        media = [
            {"MediaID": 1, "Category": 2, "MD5": md5},
            {"MediaID": 2, "Category": 2, "MD5": hashlib.md5(b"another").hexdigest()},
        ]
        value = {"@odata.context": context, "value": [{"CaseID": name, "Media": media}]}
        (tmp_path / name).write_text(json.dumps(value))
        return tmp_path / name

    import_vics(filled, file("one.json"))
    assert delete(filled, items=[3]).records == 1
    import_vics(filled, file("two.json"))
    with sqlite3.connect(filled.path / "catalogue.sqlite") as db:
        assert db.execute("SELECT count(*) FROM vics_media").fetchone() == (2,)
    db.close()


def test_a_label_table_does_not_bring_an_erased_name_back(filled, photographs, tmp_path, embedder):
    table = tmp_path / "hotels.csv"
    table.write_text(f"file,label\n{photographs}/00.jpg,Hotel 1\n{photographs}/02.jpg,Hotel 2\n")
    delete(filled, items=[1])
    clear(filled)
    report = again(filled, embedder, photographs, labels=table)
    (told,) = report.tables_told
    assert "erased" in told
    assert "00.jpg" not in told
    assert report.labelled == 1
    assert faults(filled) == []


def test_the_arguments_of_runs_forget_erased_names(case, photographs, embedder):
    again(case, embedder, photographs / "04.jpg", photographs / "05.jpg")
    delete(case, items=[1])
    clear(case)
    assert faults(case) == []
    with sqlite3.connect(case.path / "catalogue.sqlite") as db:
        ((text,),) = db.execute("SELECT arguments_json FROM runs").fetchall()
    db.close()
    assert json.loads(text)["paths"] == ["(erased)", str(photographs / "05.jpg")]
    use = looking(case)
    assert list(left(use)) == []
    use.catalogue.close()
