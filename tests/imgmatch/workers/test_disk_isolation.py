"""What a disk image does to its parser costs what it was asked about: the rest is found, in a new process."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from imgmatch.errors import EvidenceError
from imgmatch.evidence import Reopener, SourceLimits, SourceOptions, walk
from imgmatch.locator import Locator
from imgmatch.types import Evidence, Issue
from imgmatch.workers import session
from imgmatch.workers.process import Process
from tests.conftest import encode, picture, workers

pytest.importorskip("pytsk3", reason="needs the extra forensic (pytsk3)")
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGPROF"), reason="the tools are Linux's")
MEMORY = itertools.count((4 << 30) + 100)  # bytes: other limits, other processes
FOLDERS = ("a", "b", "c")
PICTURES = {
    f"{folder}/{n}.jpg": encode(picture(60 + 3 * number + n, (160, 120)), "JPEG", quality=80)
    for number, folder in enumerate(FOLDERS)
    for n in range(3)
}


def call(name, *arguments):
    tool = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not tool:
        pytest.skip(f"needs the tool {name}")
    subprocess.run([tool, *map(str, arguments)], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    folder = tmp_path_factory.mktemp("content")
    for name, data in PICTURES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def ext2(content, tmp_path):
    path = tmp_path / "ext.dd"
    with open(path, "wb") as file:
        file.truncate(1 << 20)
    call("mke2fs", "-q", "-F", "-t", "ext2", "-d", content, path)
    return path


@pytest.fixture
def fat(content, tmp_path):
    path = tmp_path / "fat.dd"
    with open(path, "wb") as file:
        file.truncate(4 << 20)
    call("mkfs.vfat", path)
    for folder in FOLDERS:
        call("mcopy", "-i", path, "-s", content / folder, "::/")
    return path


def endless(path, *names):
    """Let files of an ext2 image claim so many bytes that The Sleuth Kit counts their blocks for years."""
    for name in names:
        for field, value in (("size", 1 << 59), *((f"block[{n}]", 0) for n in range(12)), ("block[IND]", 0)):
            call("debugfs", "-w", "-R", f"set_inode_field /{name} {field} {value}", path)


def contents(path, **options):
    """Bytes of what can be read by its place in the file system, and the issues by theirs."""
    found, issues = {}, {}
    for met in walk(path, options=SourceOptions(**options)):
        if isinstance(met, Issue):
            assert met.locator.at not in issues
            issues[met.locator.at] = met
        else:
            with met.open() as stream:
                found[met.locator.at] = stream.read()
    return found, issues


def expected(*without):
    return {f"/{name}": data for name, data in PICTURES.items() if name not in without}


def deadly(monkeypatch, wanted):
    """Kill a parser's process when it is asked what ``wanted(question, arguments)`` says."""
    say, asked = Process.say, []

    def killing(self, header, *parts):
        if "call" in header and wanted(header["call"], header["with"]):
            asked.append(header["call"])
            os.kill(self.pid, signal.SIGKILL)
            while self.alive:
                time.sleep(0.01)
        say(self, header, *parts)

    monkeypatch.setattr(Process, "say", killing)
    return asked


@contextmanager
def new_processes(**limits):
    """Options that have an image read by processes of its own, and what tells which these are."""
    before = workers()
    limits = SourceLimits(max_memory_bytes=next(MEMORY), **limits)
    yield SourceOptions(limits=limits), lambda: workers() - before


def test_a_file_that_holds_the_sleuth_kit_up_costs_one_issue_and_the_rest_is_found(ext2):
    endless(ext2, "b/1.jpg")
    limits = SourceLimits(max_cpu_seconds=1)
    for _ in range(2):  # the second time it is known, and nothing is waited for
        found, issues = contents(ext2, limits=limits)
        assert found == expected("b/1.jpg")
        assert list(issues) == ["/b/1.jpg"]
        assert issues["/b/1.jpg"].error == "limit"
        assert "max_cpu_seconds" in issues["/b/1.jpg"].message
    again = Reopener(SourceOptions(limits=limits))
    for name, data in PICTURES.items():
        place = Locator("fs", f"/{name}", Locator.file(ext2))
        if name != "b/1.jpg":
            with again.reopen(place).open() as stream:
                assert stream.read() == data
    _, issues = contents(ext2, limits=limits, carve=True)
    assert list(issues) == ["/b/1.jpg"]


@pytest.mark.parametrize(("system", "still_there"), [("ext2", True), ("fat", False)])
def test_a_folder_that_its_reader_dies_of_costs_one_issue(request, monkeypatch, system, still_there):
    path = request.getfixturevalue(system)
    folders = []

    def second_folder(question, arguments):
        if question == "folder" and arguments[0] not in folders:
            folders.append(arguments[0])
        return question == "folder" and arguments[0] == folders[min(2, len(folders) - 1)] and len(folders) > 2

    assert deadly(monkeypatch, second_folder) == []
    found, issues = contents(path)
    (issue,) = issues.values()
    assert issue.error == "crashed"
    assert issue.locator.kind == "fs"
    # Of ext, what lies in a folder is known without listing it.
    lost = [] if still_there else [name for name in PICTURES if name.startswith(issue.locator.at.strip("/") + "/")]
    assert still_there or len(lost) == 3
    assert {name: found[name] for name in expected(*lost)} == expected(*lost)


def test_a_file_that_its_reader_dies_of_can_not_be_read_and_others_can(ext2, monkeypatch):
    files = [met for met in walk(ext2) if isinstance(met, Evidence)]
    first = []

    def one_file(question, arguments):
        if question == "read" and not first:
            first.append(arguments[0])
        return question == "read" and arguments[0] == first[0]

    asked = deadly(monkeypatch, one_file)
    for _ in range(2):
        with pytest.raises(EvidenceError, match="its reader died of it"), files[0].open() as stream:
            stream.read()
    assert asked == ["read"]
    for met in files[1:]:
        with met.open() as stream:
            assert stream.read() == PICTURES[met.locator.at.strip("/")]


def test_an_image_of_which_everything_is_deadly_ends_soon_with_one_issue_for_the_rest(ext2, monkeypatch):
    monkeypatch.setattr(session, "_MOST_DEATHS", 3)
    asked = deadly(monkeypatch, lambda question, _: question != "about")
    found = list(walk(ext2))
    assert all(isinstance(met, Issue) for met in found)
    assert len(asked) == 3
    assert found[-1].locator == Locator.file(ext2)
    assert "the rest is left" in found[-1].message
    monkeypatch.undo()


def test_a_process_that_dies_between_two_questions_costs_nothing(ext2):
    with new_processes() as (options, started):
        found = walk(ext2, options=options)
        first = next(found)
        (reader,) = started()
        reader.kill()
        reader.wait()
    rest = [first, *found]
    assert [met.locator.at for met in rest] == list(expected())
    with first.open() as stream:
        assert stream.read() == PICTURES["a/0.jpg"]


def test_many_images_open_at_once_share_few_processes_and_threads_read_them_side_by_side(ext2, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "_MOST_OPEN", 2)
    paths = [ext2, *(tmp_path / f"{n}.dd" for n in range(4))]
    for path in paths[1:]:
        shutil.copy(ext2, path)
    with new_processes() as (options, started):
        files = [met for each in zip(*(walk(path, options=options) for path in paths), strict=True) for met in each]
        assert len(files) == len(paths) * len(PICTURES)
        assert len(started()) <= 2

    def read(met):
        with met.open() as stream:
            return stream.read() == PICTURES[met.locator.at.strip("/")]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, files * 2))


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["at its end", "killed"])
def test_no_process_outlives_the_program(ext2, ending):
    psutil = pytest.importorskip("psutil", reason="needs psutil")
    endless(ext2, "a/0.jpg")
    script = (
        "import sys, threading; from imgmatch.evidence import walk; from tests.conftest import workers;"
        "found = walk(sys.argv[1]);"
        "threading.Thread(target=list, args=[found], daemon=True).start()\n"
        "while not (pids := [c.pid for c in workers()]): pass\n"
        "print(*pids, flush=True); sys.stdin.read(1)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(ext2)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.getcwd()
    ) as program:
        readers = [psutil.Process(int(pid)) for pid in program.stdout.readline().split()]
        assert readers
        # It holds its reader up for longer than this test lasts.
        assert not psutil.wait_procs(readers, timeout=1)[0]
        if ending == "killed":
            program.kill()
        else:
            program.stdin.write(b"x")
            program.stdin.flush()
        program.wait(60)
    assert not psutil.wait_procs(readers, timeout=30)[1]


def test_a_vmdk_reads_extents_beside_it_and_no_other_file(ext2, tmp_path):
    pytest.importorskip("pyvmdk", reason="needs the extra forensic (libvmdk-python)")
    folder, elsewhere = tmp_path / "evidence", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    call("qemu-img", "convert", "-O", "vmdk", "-o", "subformat=monolithicFlat", ext2, folder / "d.vmdk")
    found, _ = contents(folder / "d.vmdk")
    assert found == expected()
    shutil.move(folder / "d-flat.vmdk", elsewhere / "d-flat.vmdk")
    descriptor = (folder / "d.vmdk").read_text()
    (folder / "d.vmdk").write_text(descriptor.replace("d-flat.vmdk", str(elsewhere / "d-flat.vmdk")))
    found, _ = contents(folder / "d.vmdk")
    assert not set(found) & set(expected())


def test_an_answer_that_makes_no_sense_is_an_issue(ext2, monkeypatch):
    hear = Process.hear

    def lying(self, kind):
        told, size = hear(self, kind)
        return told, (1 << 60 if told.get("say") == "end" else size)

    monkeypatch.setattr(Process, "hear", lying)
    (found,) = walk(ext2)
    assert isinstance(found, Issue)
    assert (found.error, "nonsense" in found.message) == ("crashed", True)
