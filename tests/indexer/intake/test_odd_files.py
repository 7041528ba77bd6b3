"""No odd file ends a run: what is odd about one file is an issue of that file, and a machine's fault is none of any."""

import base64
import errno
import gzip
import io
import os
import subprocess
import sys
import zipfile

import pytest

from imgmatch.errors import MachineError
from imgmatch.evidence import files, quiet
from imgmatch.evidence.formats.zips import Zip
from indexer.care.check import check
from indexer.intake import embedding
from indexer.intake import ingest as page
from indexer.intake.ingest import IngestConfig, ingest
from tests.conftest import ROOT, encode, picture, run, run_json
from tests.indexer.vectors import inside

YEAR_NS = 31_556_952 * 10**9
IN_2300, IN_1902, IN_1900 = 330 * YEAR_NS, -68 * YEAR_NS, -70 * YEAR_NS


def dated(path, ns):
    os.utime(path, ns=(ns, ns))
    if os.stat(path).st_mtime_ns != ns:
        pytest.skip("this file system holds no such time")


def issues(case):
    return {row.issue.locator.at: (row.issue.stage, row.issue.error) for row in inside(case).issues.all()}


@pytest.mark.parametrize(("ns", "year"), [(IN_2300, "2300-"), (IN_1902, "1902-"), (IN_1900, "1900-")])
def test_a_file_of_another_century_is_an_item_with_its_date(case, embedder, photographs, ns, year):
    odd = photographs / "03.jpg"
    dated(odd, ns)
    report = ingest(case, [photographs], embedder)
    assert (report.new_items, report.known, report.unusable) == (11, 1, 0)
    (seen,) = [s for s in inside(case).sightings.table() if odd.name in s[3] and "copy" not in s[3]]
    assert seen[4].startswith(year)
    again = ingest(case, [photographs], embedder)
    # A time that the catalogue can't hold is not known again.
    assert (again.unchanged, again.known) == ((11, 1) if ns == IN_2300 else (12, 0))


def test_a_file_of_another_century_that_is_no_picture_is_an_issue(case, embedder, photographs):
    (photographs / "note.txt").write_text("not a picture")
    dated(photographs / "note.txt", IN_2300)
    for _ in range(2):
        ingest(case, [photographs], embedder)
        assert [kind for _, kind in issues(case).values()] == ["not_a_picture"]


@pytest.mark.claim("M7")
def test_a_name_that_no_text_can_hold_is_kept_and_found_again(case, embedder, tmp_path):
    names = ["utf-7''a+2AA-.jpg", "utf-7''+3/8-", "utf-7''b+3EE-+2D3eAA-.jpg", "unicode-escape''%5Cud800"]
    parts = [
        "--x\nContent-Type: image/jpeg\nContent-Transfer-Encoding: base64\n"
        f"Content-Disposition: attachment; filename*={name}\n\n"
        f"{base64.b64encode(encode(picture(seed), 'JPEG')).decode()}\n"
        for seed, name in enumerate(names)
    ]
    mail = tmp_path / "a.eml"
    mail.write_text(
        "From: a@example.org\nTo: b@example.org\nSubject: x\nMIME-Version: 1.0\n"
        f'Content-Type: multipart/mixed; boundary="x"\n\n{"".join(parts)}--x--\n'
    )
    report = ingest(case, [mail], embedder)
    assert (report.new_items, report.unusable) == (len(names), 0)
    assert len({str(sighting.locator) for sighting in inside(case).sightings.all()}) == len(names)
    assert [finding.message for finding in check(case, sources=True) if finding.part == "source"] == []


@pytest.mark.claim("M6")
@pytest.mark.parametrize(
    "error", [OverflowError("x"), RecursionError("deep"), UnicodeError("x"), AssertionError(), KeyError(1)]
)
def test_whatever_a_reader_raises_is_an_issue_of_its_file(case, embedder, photographs, monkeypatch, caplog, error):
    with zipfile.ZipFile(photographs / "05b.zip", "w") as archive:
        archive.writestr("1.jpg", encode(picture(50), "JPEG"))

    def fails(*_):
        raise error

    really = Zip.entry

    def entry(self, at, size, open_it, *rest):
        return really(self, at, size, fails, *rest)

    monkeypatch.setattr(Zip, "entry", entry)
    report = ingest(case, [photographs], embedder)
    assert (report.new_items, report.known, report.unusable) == (11, 1, 1)
    assert issues(case) == {"1.jpg": ("read", "internal")}
    assert "Traceback" in caplog.text


def test_whatever_a_decoder_raises_is_an_issue_of_its_file(case, embedder, photographs, monkeypatch, caplog):
    def decode(data, request):
        if data == odd:
            raise ZeroDivisionError("of this one")
        return really(data, request)

    odd = (photographs / "05.jpg").read_bytes()
    really = page.read_picture
    monkeypatch.setattr(page, "read_picture", decode)
    report = ingest(case, [photographs], embedder, IngestConfig(isolation=False))
    assert (report.new_items, report.known, report.unusable) == (10, 1, 1)
    assert issues(case) == {str(photographs / "05.jpg"): ("decode", "internal")}
    assert "of this one" in caplog.text


def test_what_can_not_be_cut_into_regions_is_an_issue_of_every_file_that_is_the_same(
    case, embedder, photographs, monkeypatch
):
    really = embedding.read_regions
    left = [1]

    def regions(image, model):
        if left:
            left.pop()
            raise ValueError("odd")
        return really(image, model)

    monkeypatch.setattr(embedding, "read_regions", regions)
    (photographs / "00-copy.jpg").write_bytes((photographs / "00.jpg").read_bytes())
    report = ingest(
        case, [photographs / "00.jpg", photographs / "00-copy.jpg"], embedder, IngestConfig(profile="thorough")
    )
    assert (report.files, report.new_items, report.unusable) == (2, 0, 2)
    assert set(issues(case).values()) == {("embed", "internal")}


def test_a_deep_folder_is_walked_to_its_end(case, embedder, tmp_path):
    """Deeper than Python's stack; made and removed relative to where one is, as no path is that long."""
    top = tmp_path / "deep"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    try:
        for _ in range(900):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        file = os.open("1.jpg", os.O_WRONLY | os.O_CREAT, dir_fd=here)
        os.write(file, encode(picture(1), "JPEG"))
        os.close(file)
    finally:
        os.close(here)
    report = ingest(case, [top], embedder)
    assert (report.files, report.new_items) == (1, 1)


FULL = (
    "import tempfile; tempfile.TemporaryFile = lambda *_, **__: open('/dev/full', 'w+b')\n"
    "from cli.main import main; main()"
)


@pytest.mark.claim("M8")
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is full")
def test_a_full_temporary_disk_ends_the_run_with_what_came_before_and_says_nothing_of_the_file(tmp_path, photographs):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as made:
        made.writestr("1.bmp", bytes(9 << 20))
    (photographs / "05b.zip.gz").write_bytes(gzip.compress(whole.getvalue(), 1))
    case = tmp_path / "case"
    run("init", case)
    command = [sys.executable, "-c", FULL, "ingest", case, photographs]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "no temporary file can be written: no space left on device" in done.stderr
    assert run_json("issues", case) == []
    assert run_json("ingest", case, photographs)["new_items"] == 5  # what came before it stands
    assert [issue["error"] for issue in run_json("issues", case)] == ["not_a_picture"]


def test_too_many_open_files_end_the_run(case, embedder, photographs, monkeypatch):
    really = os.open

    def full(path, *rest, **named):
        if os.fspath(path).endswith("05.jpg"):
            raise OSError(errno.EMFILE, "Too many open files")
        return really(path, *rest, **named)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(MachineError, match="too many open files"):
        ingest(case, [photographs], embedder)
    assert issues(case) == {}
    assert case.catalogue.counts()["items"] == 5


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts open files as they are here")
@pytest.mark.parametrize("most", [24, 26, 28, 30])
def test_a_machine_short_of_open_files_says_nothing_false_of_any_file(tmp_path, photographs, most):
    frames = [picture(seed).quantize(32) for seed in (61, 62, 63)]
    (photographs / "04b.gif").write_bytes(encode(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    with zipfile.ZipFile(photographs / "05b.zip", "w") as archive:
        archive.writestr("1.jpg", encode(picture(50), "JPEG"))
    case = tmp_path / "case"
    run("init", case)
    # By a shell: what other tests loaded into this process does not bear a fork with a limit.
    limited = ["sh", "-c", f'ulimit -n {most}; exec "$@"', "sh", sys.executable, "-m", "cli.main", "ingest"]
    done = subprocess.run([*limited, case, photographs], cwd=ROOT, capture_output=True, timeout=300, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert run_json("issues", case) == []
    run_json("ingest", case, photographs)
    assert run_json("status", case)["items"] == 11 + 3 + 1


UNREADABLE = "/proc/self/mem"  # whose first byte no read gives: EIO


@pytest.fixture
def bad_disk(monkeypatch):
    """Files whose contents the disk does not give, and folders that it does not list: by the ends of their names."""
    bad, open_, entries = set(), os.open, quiet.entries
    monkeypatch.setattr(files, "_PAUSE_S", 0)

    def opening(path, *rest, **named):
        return open_(UNREADABLE if str(path).endswith(tuple(bad)) else path, *rest, **named)

    def listing(path):
        if path.endswith(tuple(bad)):
            raise OSError(errno.EIO, "Input/output error")
        return entries(path)

    monkeypatch.setattr(os, "open", opening)
    monkeypatch.setattr(quiet, "entries", listing)
    return bad


needs_eio = pytest.mark.skipif(not os.path.exists(UNREADABLE), reason="needs a file that gives EIO")


@pytest.mark.claim("M9")
@needs_eio
def test_what_a_disk_does_not_give_is_kept_as_no_issue_and_read_the_next_time(case, embedder, photographs, bad_disk):
    bad_disk.add("05.jpg")
    report = ingest(case, [photographs], embedder)
    assert (report.files, report.new_items, report.unusable, report.unread) == (12, 10, 0, 1)
    assert report.unread_at == [f"file:{photographs / '05.jpg'}: its disk can't read it: input/output error"]
    assert issues(case) == {}
    (entry,) = case.log.entries(action="ingest")
    assert entry["unread"] == report.unread_at
    assert entry["counts"]["unread"] == 1
    bad_disk.clear()
    again = ingest(case, [photographs], embedder)
    assert (again.new_items, again.unread) == (1, 0)


@needs_eio
@pytest.mark.parametrize("kind", ["zip", "fat", "tar.gz", "txt", "sub"])
def test_whatever_a_disk_does_not_give_is_nothing_of_the_evidences(case, embedder, photographs, bad_disk, kind):
    name = {"sub": "05sub"}.get(kind, f"05b.{kind}")
    if kind == "sub":
        (photographs / name).mkdir()
        (photographs / name / "1.jpg").write_bytes(encode(picture(50), "JPEG"))
    else:
        (photographs / name).write_bytes(bytes(1 << 16))
    bad_disk.add(name)
    report = ingest(case, [photographs], embedder)
    assert (report.new_items, report.unusable, report.unread) == (11, 0, 1)
    assert issues(case) == {}


@needs_eio
def test_a_disk_that_is_gone_ends_the_run(case, embedder, photographs, bad_disk):
    bad_disk.update({"05.jpg", str(photographs)})
    with pytest.raises(MachineError, match="input/output error"):
        ingest(case, [photographs], embedder)
    assert issues(case) == {}


@needs_eio
def test_a_disk_that_gives_it_the_second_time_is_no_fault(case, embedder, photographs, monkeypatch):
    really, failed = os.open, []

    def once(path, *rest, **named):
        if str(path).endswith("05.jpg") and len(failed) < 2:
            failed.append(path)
            raise OSError(errno.EIO, "Input/output error")
        return really(path, *rest, **named)

    monkeypatch.setattr(os, "open", once)
    monkeypatch.setattr(files, "_PAUSE_S", 0)
    report = ingest(case, [photographs], embedder)
    assert (report.new_items, report.unread, len(failed)) == (11, 0, 2)


@needs_eio
def test_a_run_with_files_that_a_disk_did_not_give_fails_and_names_them(tmp_path, photographs):
    case = tmp_path / "case"
    run("init", case)
    lines = ["import os; really = os.open", f"bad = {UNREADABLE!r}",
             "os.open = lambda p, *r, **n: really(bad if str(p).endswith('05.jpg') else p, *r, **n)",
             "from cli.main import main; main()"]  # fmt: skip
    command = [sys.executable, "-c", "\n".join(lines), "ingest", case, photographs]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "05.jpg: its disk can't read it: input/output error" in done.stderr
    assert "1 files could not be read from their disk" in done.stderr
    assert run_json("issues", case) == []
    assert run_json("ingest", case, photographs)["new_items"] == 1
