"""Archives through a case: ingest, again, check and repair work on what lies inside."""

import shutil
import zipfile

import pytest

from imgmatch.evidence import SourceOptions
from indexer.care.check import check
from indexer.care.repair import repair
from indexer.intake.ingest import IngestConfig, ingest
from tests.conftest import run, run_json, snapshot


def archived(photographs, folder):
    folder.mkdir()
    shutil.make_archive(str(folder / "a"), "zip", photographs)
    shutil.make_archive(str(folder / "inner"), "gztar", photographs)
    with zipfile.ZipFile(folder / "nested.zip", "w") as archive:
        archive.write(folder / "inner.tar.gz", "inner.tar.gz")
    (folder / "inner.tar.gz").unlink()
    return folder


def test_the_same_items_from_folder_and_archives_and_nothing_is_read_twice(case, embedder, photographs, tmp_path):
    sources = archived(photographs, tmp_path / "sources")
    before = snapshot(sources)
    assert ingest(case, [photographs], embedder).new_items == 11
    first = ingest(case, [sources], embedder)
    assert (first.files, first.new_items, first.new_sightings, first.unusable) == (24, 0, 24, 0)
    again = ingest(case, [sources], embedder)
    assert (again.files, again.unchanged, again.read_bytes) == (24, 24, 0)
    assert list(check(case, sources=True)) == []
    assert snapshot(sources) == before
    (sources / "a.zip").write_bytes((sources / "a.zip").read_bytes()[:-200])
    changed = ingest(case, [sources], embedder)
    assert changed.unchanged == 12


def test_a_damaged_segment_is_made_again_from_an_archive(case, embedder, photographs, tmp_path):
    ingest(case, [archived(photographs, tmp_path / "sources")], embedder)
    (segment,) = (case.path / "segments").glob("*/*.npy")
    segment.write_bytes(segment.read_bytes()[:-8])
    done = repair(case, lambda name: embedder)
    assert (done.segments, done.vectors, done.lost) == (1, 11, [])
    assert list(check(case)) == []


@pytest.mark.claim("M19")
def test_passwords_are_used_and_never_written_down(photographs, tmp_path):
    import pytest

    pyzipper = pytest.importorskip("pyzipper", reason="needs the extra archives (pyzipper)")
    locked = tmp_path / "locked.zip"
    with pyzipper.AESZipFile(locked, "w", encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(b"opensesame")
        archive.write(photographs / "00.jpg", "00.jpg")
    (tmp_path / "words").write_text("wrong\nopensesame\n")
    case = tmp_path / "c"
    assert run("init", case).returncode == 0
    assert run_json("ingest", case, locked)["unusable"] == 1
    assert run_json("ingest", case, locked, "--password-file", tmp_path / "words")["new_items"] == 1
    result = run("check", case, "--sources", "--password-file", tmp_path / "words")
    assert result.returncode == 0, result.stderr.decode()
    for path in case.rglob("*"):
        assert path.is_dir() or b"opensesame" not in path.read_bytes()
    assert '"passwords": 2' in (case / "audit.jsonl").read_text().replace('":2', '": 2')


def test_options_say_what_is_wrong_with_them(tmp_path, photographs):
    case = tmp_path / "c"
    run("init", case)
    result = run("ingest", case, photographs, "--limit", "max_dept=4")
    assert result.returncode == 1
    assert b"max_depth" in result.stderr


def test_plain_files_leaves_archives_closed(case, embedder, photographs, tmp_path):
    sources = archived(photographs, tmp_path / "sources")
    report = ingest(case, [sources], embedder, IngestConfig(sources=SourceOptions(inside=False)))
    assert (report.files, report.unusable) == (2, 2)


def test_frames_and_attachments_are_items_that_check_finds_again(case, embedder, photographs, tmp_path):
    from email.message import EmailMessage

    from PIL import Image

    sources = tmp_path / "sources"
    sources.mkdir()
    names = sorted(photographs.glob("*.jpg"))[:3]
    pictures = [Image.open(path).convert("RGB").resize((320, 240)) for path in names]
    pictures[0].save(sources / "a.png", save_all=True, append_images=pictures[1:], duration=100)
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@example.org", "x"
    mail.set_content("x")
    mail.add_attachment((sources / "a.png").read_bytes(), maintype="image", subtype="png", filename="a.png")
    (sources / "a.eml").write_bytes(bytes(mail))
    before = snapshot(sources)
    first = ingest(case, [sources], embedder)
    assert (first.files, first.new_items, first.new_sightings, first.unusable) == (6, 3, 6, 0)
    again = ingest(case, [sources], embedder)
    assert (again.files, again.unchanged) == (6, 6)
    assert list(check(case, sources=True)) == []
    assert snapshot(sources) == before


def test_how_media_were_read_stands_in_the_log(photographs, tmp_path):
    case = tmp_path / "c"
    run("init", case)
    given = ["--frames-per-minute", 3, "--no-documents", "--previews", "--limit", "max_frames=7"]
    assert run("ingest", case, photographs, *given).returncode == 0
    log = (case / "audit.jsonl").read_text().replace(" ", "")
    for said in ('"frames_per_minute":3', '"documents":false', '"previews":true', '"max_frames":7'):
        assert said in log
