"""The same pictures, one deleted, out of every file system and every image format: made by public tools."""

import contextlib
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from imgmatch.errors import EvidenceError
from imgmatch.evidence import Reopener, SourceOptions, walk
from imgmatch.evidence.formats import filesystem
from imgmatch.locator import Locator
from imgmatch.types import Evidence, Issue
from imgmatch.workers import session
from tests.conftest import ROOT, encode, picture

pytest.importorskip("pytsk3", reason="needs the extra forensic (pytsk3)")
PICTURES = {f"IMG{n}.JPG": encode(picture(40 + n, (320, 240)), "JPEG", quality=92) for n in range(4)}
GONE = "IMG2.JPG"
LIVE = {hashlib.sha256(data).hexdigest() for name, data in PICTURES.items() if name != GONE}
DELETED = hashlib.sha256(PICTURES[GONE]).hexdigest()


def tool(name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not found:
        pytest.skip(f"needs the tool {name}")
    return found


def call(name, *arguments, **options):
    subprocess.run([tool(name), *map(str, arguments)], check=True, capture_output=True, timeout=120, **options)


def _folder(tmp_path):
    folder = tmp_path / "content"
    (folder / "DCIM").mkdir(parents=True)
    for name, data in PICTURES.items():
        (folder / "DCIM" / name).write_bytes(data)
    return folder


def _empty(path, size=16 << 20):
    with open(path, "wb") as file:
        file.truncate(size)
    return path


def make_ext4(tmp_path):
    path = _empty(tmp_path / "ext.dd")
    call("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", _folder(tmp_path), path)
    tool("debugfs")
    call("debugfs", "-w", "-R", f"rm /DCIM/{GONE}", path)
    return path


def make_fat(tmp_path):
    path = _empty(tmp_path / "fat.dd")
    call("mkfs.vfat", "-F", "16", path)
    call("mcopy", "-i", path, "-s", _folder(tmp_path) / "DCIM", "::/")
    call("mdel", "-i", path, f"::/DCIM/{GONE}")
    return path


def make_ntfs(tmp_path):
    """ntfscp can't make folders or delete: the picture's record is marked as free in the $MFT, as deletion does."""
    path = _empty(tmp_path / "ntfs.dd")
    call("mkntfs", "-q", "-F", "-f", path)
    for name, data in PICTURES.items():
        (tmp_path / name).write_bytes(data)
        call("ntfscp", "-f", path, tmp_path / name, name)
    image = bytearray(path.read_bytes())
    at = image.find(GONE.encode("utf-16-le"), 0)
    while at >= 0:
        record = image.rfind(b"FILE", 0, at)
        if record >= 0 and record % 1024 == 0 and at - record < 1024:
            image[record + 22] &= 0xFE  # flag "in use" of the record's header
        at = image.find(GONE.encode("utf-16-le"), at + 1)
    path.write_bytes(image)
    return path


MAKERS = {"ext4": make_ext4, "fat": make_fat, "ntfs": make_ntfs}


def as_raw(image, folder):
    shutil.copy(image, folder / "disk.dd")


def as_split(image, folder):
    data = image.read_bytes()
    for number in range(4):
        (folder / f"disk.{number + 1:03d}").write_bytes(data[number * (5 << 20) : (number + 1) * (5 << 20)])


def as_e01(image, folder):
    pytest.importorskip("pyewf", reason="needs the extra forensic (libewf-python)")
    call("ewfacquire", "-u", "-q", "-t", folder / "disk", "-S", "1MiB", "-c", "none", image)
    assert len(list(folder.iterdir())) > 1


def as_zip(image, folder):
    with zipfile.ZipFile(folder / "disk.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(image, "disk.dd")


def as_qemu(kind, ending):
    def make(image, folder):
        pytest.importorskip(f"py{'vhdi' if kind == 'vpc' else kind.removesuffix('2')}", reason="needs extra forensic")
        call("qemu-img", "convert", "-O", kind, image, folder / f"disk.{ending}")

    return make


FORMATS = {
    "raw": as_raw, "split": as_split, "E01": as_e01, "zip": as_zip,
    "vmdk": as_qemu("vmdk", "vmdk"), "vhd": as_qemu("vpc", "vhd"), "qcow2": as_qemu("qcow2", "qcow2"),
}  # fmt: skip


def digest_of(found: Evidence) -> str:
    with found.open() as stream:
        return hashlib.sha256(b"".join(iter(lambda: stream.read(65_536), b""))).hexdigest()


def pictures(path, **options):
    """(SHA-256 of live files, of deleted files), each found again by its printed locator."""
    again = Reopener()
    live, deleted = set(), set()
    for found in walk(path, options=SourceOptions(**options)):
        if isinstance(found, Issue):
            assert found.locator.deleted, found
            continue
        sha256 = digest_of(found)
        if not options:
            assert digest_of(again.reopen(Locator.parse(str(found.locator)))) == sha256
        (deleted if found.locator.deleted else live).add(sha256)
    return live, deleted


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    made = {}

    def make(name):
        if name not in made:
            made[name] = MAKERS[name](tmp_path_factory.mktemp(name))
        return made[name]

    return make


@pytest.mark.skipif(sys.platform == "win32", reason="the tools are Linux's")
@pytest.mark.parametrize("format_of", FORMATS)
@pytest.mark.parametrize("system", MAKERS)
def test_every_file_system_in_every_format_gives_the_same_pictures(images, tmp_path, system, format_of):
    folder = tmp_path / "evidence"
    folder.mkdir()
    FORMATS[format_of](images(system), folder)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in folder.iterdir()}
    live, deleted = pictures(folder)
    assert live >= LIVE
    assert DELETED not in live
    if system != "ext4":  # debugfs, as ext4 itself, forgets where a deleted file's content lies: see the next test
        assert DELETED in deleted
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in folder.iterdir()} == before


@pytest.mark.parametrize("system", MAKERS)
def test_carving_finds_what_is_deleted_in_free_space(images, system):
    _, deleted = pictures(images(system), carve=True)
    assert DELETED in deleted


def test_partitions_are_steps_of_the_chain(images, tmp_path):
    inner = images("fat").read_bytes()
    start = 2048 * 512
    entry = bytes([0, 0, 2, 0, 6, 0, 0, 0]) + (2048).to_bytes(4, "little") + (len(inner) // 512).to_bytes(4, "little")
    path = tmp_path / "disk.dd"
    path.write_bytes((bytes(446) + entry + bytes(48) + b"\x55\xaa").ljust(start, b"\0") + inner)
    live, deleted = pictures(path)
    assert live >= LIVE
    assert DELETED in deleted
    names = [str(f.locator) for f in walk(path) if not f.locator.deleted]
    assert f"file:{path}|partition:1@{start}|fs:/DCIM/IMG0.JPG" in names


def test_a_cut_image_gives_what_is_there_and_an_issue_or_less(images, tmp_path):
    path = tmp_path / "cut.dd"
    path.write_bytes(images("fat").read_bytes()[: 1 << 20])
    for found in walk(path):
        if isinstance(found, Evidence):
            with contextlib.suppress(OSError, EvidenceError):
                digest_of(found)


def test_a_later_segment_alone_is_said(images, tmp_path):
    folder = tmp_path / "e"
    folder.mkdir()
    as_e01(images("fat"), folder)
    (folder / "disk.E01").unlink()
    found = list(walk(folder))
    assert found
    assert all(isinstance(f, Issue) and f.error == "broken_image" for f in found)


def test_a_segment_that_is_called_the_first_and_says_that_it_is_another_is_not_passed_over(images, tmp_path):
    folder = tmp_path / "e"
    folder.mkdir()
    as_e01(images("fat"), folder)
    for path in folder.iterdir():
        if path.suffix != ".E01":
            path.unlink()
    data = bytearray((folder / "disk.E01").read_bytes())
    data[9:11] = (2).to_bytes(2, "little")
    (folder / "disk.E01").write_bytes(data)
    assert [f.error for f in walk(folder) if isinstance(f, Issue)] == ["broken_image"]


def test_archives_of_the_same_pictures_give_the_same_digests(tmp_path):
    folder = _folder(tmp_path)
    shutil.make_archive(str(tmp_path / "a"), "zip", folder)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(folder, "x")
    (tmp_path / "b.tar.gz").write_bytes(gzip.compress((tmp_path / "a.tar").read_bytes()))
    for name in ("a.zip", "a.tar", "b.tar.gz"):
        assert pictures(tmp_path / name) == (LIVE | {DELETED}, set())


def test_a_file_system_that_claims_more_inodes_than_fit_is_looked_through_as_far_as_it_goes(tmp_path):
    image = tmp_path / "claims.dd"
    with open(image, "wb") as file:
        file.truncate(1 << 20)
    call("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", _folder(tmp_path), image)
    data = bytearray(image.read_bytes())
    data[1024:1028] = (0xFFFFFFF0).to_bytes(4, "little")  # s_inodes_count: four thousand million
    image.write_bytes(data)
    found = list(walk(image, options=SourceOptions(carve=True)))
    assert sum(isinstance(f, Evidence) for f in found) >= len(PICTURES)
    assert [f.error for f in found if isinstance(f, Issue)] == ["broken_image"]
    assert any("4,294,967,281 inodes" in f.message for f in found if isinstance(f, Issue))


def modified(image, name="/A.JPG"):
    return {found.modified_utc for found in walk(image) if found.locator.at == name}


@pytest.mark.parametrize("bits", ["12", "16", "32"])
def test_times_of_fat_are_what_stands_in_it_whatever_the_zone_here(tmp_path, bits):
    path = _empty(tmp_path / "a.dd", {"12": 4, "16": 16, "32": 64}[bits] << 20)
    (tmp_path / "a.jpg").write_bytes(PICTURES[GONE])
    os.utime(tmp_path / "a.jpg", (1_700_000_000, 1_720_281_600))
    call("mkfs.vfat", "-F", bits, path)
    call("mcopy", "-m", "-i", path, tmp_path / "a.jpg", "::/A.JPG", env={**os.environ, "TZ": "UTC"})
    script = "import sys; from imgmatch.evidence import walk; print({f.modified_utc for f in walk(sys.argv[1])})"
    for zone in ("UTC", "Asia/Tokyo", "America/Los_Angeles"):
        where = {**os.environ, "TZ": zone}
        done = subprocess.run(
            [sys.executable, "-c", script, path], capture_output=True, env=where, cwd=ROOT, check=True
        )
        assert done.stdout.decode().strip() == "{'2024-07-06T16:00:00.000000'}"


@pytest.mark.parametrize("inode_bytes", ["128", "256"])
def test_times_of_ext4_are_right_before_1970_and_after_2038(tmp_path, inode_bytes):
    times = {-(1 << 31): "1901-12-13T20:45:52.000000Z", -86_400: "1969-12-31T00:00:00.000000Z",
             0: "1970-01-01T00:00:00.000000Z", 1_720_281_600: "2024-07-06T16:00:00.000000Z"}  # fmt: skip
    if inode_bytes == "256":
        times |= {
            4_102_444_800: "2100-01-01T00:00:00.000000Z",
            (1 << 34) - (1 << 31) - 1: "2446-05-10T22:38:55.000000Z",
        }
    for number, seconds in enumerate(times):
        path = _empty(tmp_path / f"{number}.dd", 2 << 20)
        folder = tmp_path / f"content-{number}"
        folder.mkdir()
        (folder / "A.JPG").write_bytes(PICTURES[GONE])
        call("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-I", inode_bytes, "-d", folder, path)
        low, high = (seconds + (1 << 31)) % (1 << 32) - (1 << 31), (seconds + (1 << 31)) >> 32
        call("debugfs", "-w", "-R", f"sif /A.JPG mtime @{low % (1 << 32)}", path)
        if inode_bytes == "256":
            call("debugfs", "-w", "-R", f"sif /A.JPG mtime_extra {high}", path)
        assert modified(path) == {times[seconds]}, seconds


def test_what_was_carved_is_found_again_without_being_told_to_carve(images):
    image = images("fat")
    carved = [found for found in walk(image, options=SourceOptions(carve=True)) if found.locator.kind == "carved"]
    assert carved
    again = Reopener()
    for found in carved:
        assert digest_of(again.reopen(found.locator)) == digest_of(found)
    for at in ("1+", "-5+6", f"{image.stat().st_size}+1", "0+99999999999"):
        with pytest.raises(EvidenceError, match="nothing called"):
            again.reopen(Locator("carved", at, Locator.file(image)))


def test_what_was_deleted_is_found_again_by_who_leaves_deleted_files_out(images):
    image = images("fat")
    found = [found for found in walk(image) if found.locator.deleted and isinstance(found, Evidence)]
    assert found
    again = Reopener(SourceOptions(deleted=False))
    assert [digest_of(again.reopen(one.locator)) for one in found] == [digest_of(one) for one in found]


def test_folders_of_any_depth_are_gone_into_and_deeper_ones_are_said(tmp_path):
    tool("debugfs")
    path = _empty(tmp_path / "deep.dd", 8 << 20)
    call("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-N", "2048", path)
    (tmp_path / "a.jpg").write_bytes(PICTURES[GONE])
    steps = [
        f"mkdir d\ncd d\nwrite {tmp_path}/a.jpg a.jpg" if n in (900, 1_010) else "mkdir d\ncd d" for n in range(1_012)
    ]
    call("debugfs", "-w", "-f", "-", path, input="\n".join(steps).encode())
    found = [found for found in walk(path) if "$" not in found.locator.at and "lost+found" not in found.locator.at]
    assert [found.locator.at.count("/d") for found in found] == [901, 1_001]
    assert digest_of(found[0]) == DELETED
    assert (found[1].error, "1,000 folders" in found[1].message) == ("limit", True)


@pytest.fixture(scope="module")
def full_folders(tmp_path_factory):
    """An ext4 with folders of many entries, and folders in them; and the paths of all files."""
    tmp_path = tmp_path_factory.mktemp("full")
    names = {f"/{number:03}.txt" for number in range(90)} | {f"/{at}0/{n}.txt" for at in range(3) for n in range(40)}
    for name in names:
        file = tmp_path / "in" / name[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    image = tmp_path / "full.img"
    image.write_bytes(bytes(16 << 20))
    call("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", tmp_path / "in", image)
    return image, names


def listed(image):
    found = list(walk(image))
    assert not [each for each in found if isinstance(each, Issue)]
    return sorted(each.locator.at for each in found)


def test_a_folder_is_listed_some_entries_at_a_time(full_folders, monkeypatch):
    image, names = full_folders
    most, really = 0, session.Session.call

    def call(self, name, *arguments, **options):
        nonlocal most
        told = really(self, name, *arguments, **options)
        most = max(most, len(told) if name == "folder" else 0)
        return told

    monkeypatch.setattr(session.Session, "call", call)
    for page in (7, 16, 4096):
        most = 0
        monkeypatch.setattr(filesystem, "_PAGE", page)
        assert listed(image) == sorted(names)
        assert most == min(page, most)


def test_a_folder_goes_on_where_it_was_when_its_process_is_needed_elsewhere(full_folders, monkeypatch):
    image, names = full_folders
    really = session.Session.call

    def call(self, name, *arguments, **options):
        self.close()
        return really(self, name, *arguments, **options)

    monkeypatch.setattr(session.Session, "call", call)
    monkeypatch.setattr(filesystem, "_PAGE", 25)
    assert listed(image) == sorted(names)


def test_a_listing_that_is_deadly_at_a_later_entry_loses_and_repeats_nothing(full_folders, monkeypatch):
    image, names = full_folders
    really = session.Session.call

    def call(self, name, *arguments, **options):
        if name == "folder" and arguments[1] == 32:
            raise session.LostError(EvidenceError("crashed", "died"), 0, 3)
        return really(self, name, *arguments, **options)

    monkeypatch.setattr(session.Session, "call", call)
    monkeypatch.setattr(filesystem, "_PAGE", 16)
    found = list(walk(image))
    assert sorted(each.locator.at for each in found if not isinstance(each, Issue)) == sorted(names)
    assert {each.locator.at for each in found if isinstance(each, Issue)} == {"/", "/00", "/10", "/20"}


def test_what_a_file_system_keeps_packed_or_encrypted_is_named(tmp_path):
    (tmp_path / "content").mkdir()
    for name, data in PICTURES.items():
        (tmp_path / "content" / name).write_bytes(data)
    first, second = list(PICTURES)[:2]
    ntfs, ext = _empty(tmp_path / "ntfs.dd"), tmp_path / "ext.dd"
    call("mkfs.ntfs", "-F", "-q", ntfs)
    for name in (first, second):
        call("ntfscp", "-f", ntfs, tmp_path / "content" / name, name)
    (tmp_path / "packed").write_bytes(b"\1" * 3_000)
    call("ntfscp", "-f", "-N", "WofCompressedData", ntfs, tmp_path / "packed", first)
    call("mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", tmp_path / "content", ext, "8M")
    call("debugfs", "-w", "-R", f"set_inode_field /{first} flags 0x80800", ext)
    call("mkfs.ext4", "-q", "-F", "-O", "bigalloc", "-C", "16384", tmp_path / "large.dd", "32M")
    told = [
        {(one.locator.at, one.error, one.what) for one in walk(path) if isinstance(one, Issue)}
        for path in (ntfs, ext, tmp_path / "large.dd")
    ]
    assert told == [
        {(f"/{first}", "unsupported", "file packed by Windows (CompactOS)")},
        {(f"/{first}", "unsupported", "file encrypted (fscrypt)")},
        {(str(tmp_path / "large.dd"), "unsupported", "ext file system with bigalloc")},
    ]
