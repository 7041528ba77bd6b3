"""Wrong bytes are never passed off as evidence: every disk image format, altered, cut off, with pieces missing."""

import hashlib
import random
import re
import shutil
import stat
import subprocess
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from benchmarks import attack_files
from benchmarks.evidence_ex01 import ex01 as ex01_of
from imgmatch.evidence import Reopener, walk
from imgmatch.evidence import files as files_of_folders
from imgmatch.evidence.read import read
from imgmatch.parsers.disks import ewf, ex01, qcow, vdi, vhd, vhdx, vmdk
from imgmatch.streams import Shared
from imgmatch.types import Issue
from tests.conftest import encode
from tests.imgmatch.evidence.test_disk_images import call, tool

pytest.importorskip("pytsk3", reason="needs the extra forensic (pytsk3)")
DISK_BYTES = 4 << 20
BLOCK = 4096


def photograph(seed):
    """Noise, and some shades: packs a little."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (160, 240, 3), dtype=np.uint8)
    pixels[:40] = np.arange(240)[:, None] + seed
    return encode(Image.fromarray(pixels), "BMP")


PICTURES = {f"P{seed}.BMP": photograph(seed) for seed in range(8)}
RIGHT = {hashlib.sha256(data).hexdigest() for data in PICTURES.values()}


def as_ex01(disk, folder):
    for number, data in enumerate(ex01_of(disk.read_bytes(), 2), start=1):
        (folder / f"d.Ex{number:02}").write_bytes(data)


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("disk")
    path = folder / "disk.dd"
    path.write_bytes(bytes(DISK_BYTES))
    call("mkfs.vfat", "-F", "12", path)
    call("mmd", "-i", path, "::/DCIM")
    for name, data in PICTURES.items():
        (folder / name).write_bytes(data)
        call("mcopy", "-i", path, folder / name, "::/DCIM")
    return path


def qemu(kind, *options):
    def make(disk, folder):
        call("qemu-img", "convert", "-O", kind, *options, disk, folder / f"d.{kind}")

    return make


def acquired(*options):
    def make(disk, folder):
        call("ewfacquire", "-u", "-q", *options, "-t", folder / "d", disk)

    return make


def raw_parts(disk, folder):
    data = disk.read_bytes()
    for number, at in enumerate(range(0, len(data), 1 << 20), start=1):
        (folder / f"d.{number:03d}").write_bytes(data[at : at + (1 << 20)])


def letters(disk, folder):
    call("split", "-b", "1M", disk, folder / "d.")


def based(kind):
    def make(disk, folder):
        call("qemu-img", "convert", "-O", kind, disk, folder / f"base.{kind}")
        call("qemu-img", "create", "-q", "-f", kind, "-b", f"base.{kind}", "-F", kind, f"d.{kind}", cwd=folder)
        call("qemu-io", "-f", kind, "-c", "write -P 7 4000k 64k", folder / f"d.{kind}")

    return make


MAKERS = {
    "Ex01, segments": as_ex01,
    "qcow2": qemu("qcow2"),
    "qcow2 of version 2": qemu("qcow2", "-o", "compat=0.10,cluster_size=4096"),
    "qcow2, zlib": qemu("qcow2", "-c"),
    "qcow2, zstd": qemu("qcow2", "-c", "-o", "compression_type=zstd"),
    "qcow2, subclusters": qemu("qcow2", "-o", "extended_l2=on,cluster_size=32k"),
    "qcow2, subclusters, zlib": qemu("qcow2", "-c", "-o", "extended_l2=on,cluster_size=32k"),
    "qcow2 over another": based("qcow2"),
    "vmdk": qemu("vmdk"),
    "vmdk, packed": qemu("vmdk", "-o", "subformat=streamOptimized"),
    "vmdk, flat": qemu("vmdk", "-o", "subformat=monolithicFlat"),
    "vmdk, sparse parts": qemu("vmdk", "-o", "subformat=twoGbMaxExtentSparse"),
    "vmdk, flat parts": qemu("vmdk", "-o", "subformat=twoGbMaxExtentFlat"),
    "vmdk over another": based("vmdk"),
    "vhd": qemu("vpc"),
    "vhd, fixed": qemu("vpc", "-o", "subformat=fixed"),
    "vhdx": qemu("vhdx", "-o", "block_size=1M"),
    "vdi": qemu("vdi"),
    "E01": acquired("-c", "deflate:fast"),
    "E01, not packed, segments": acquired("-c", "none", "-S", "1MiB"),
    "E01, large chunks": acquired("-c", "deflate:best", "-b", "128", "-f", "encase5"),
    "S01, segments": acquired("-c", "deflate:fast", "-f", "smart", "-S", "1MiB"),
    "EWF, segments": acquired("-c", "deflate:fast", "-f", "ewf", "-S", "1MiB"),
    "parts": raw_parts,
    "parts by letters": letters,
}


@pytest.fixture(scope="module")
def made(disk, tmp_path_factory):
    folders = {}

    def make(name):
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp("image")
            MAKERS[name](disk, folders[name])
        return folders[name]

    return make


def found_in(path):
    """SHA-256 and what is missing of each file that comes out, and the issues."""
    files, issues = [], []
    for found in walk(path):
        if isinstance(found, Issue):
            issues.append(found)
            continue
        try:
            content = read(found)
        except Exception as error:  # noqa: BLE001  (what ingest makes an issue of)
            issues.append(Issue(found.locator, "read", type(error).__name__, str(error)))
            continue
        files.append((found.locator, content.digests.sha256, content.lost))
        issues.extend(content.damage())
    return files, issues


@pytest.mark.parametrize("name", MAKERS)
def test_a_healthy_image_gives_every_file_once_and_says_nothing(made, name):
    files, issues = found_in(made(name))
    assert issues == []
    copies = 2 if " over another" in name else 1  # what it is based on is an image, too
    assert sorted(sha256 for _, sha256, _ in files) == sorted([*RIGHT] * copies)
    again = Reopener()
    for locator, sha256, lost in files:
        assert lost == ()
        assert read(again.reopen(locator)).digests.sha256 == sha256


class Bytes:
    def __init__(self, data):
        self.data, self.size = data, len(data)

    def read_at(self, offset, size):
        return self.data[offset : offset + size]


PARSERS = {
    "qcow2": qcow.Qcow, "qcow2 of version 2": qcow.Qcow, "vmdk": vmdk.Vmdk,
    "vmdk, packed": vmdk.Vmdk, "vhd": vhd.Vhd, "vhdx": vhdx.Vhdx, "vdi": vdi.Vdi, "E01": ewf.Ewf,
    "E01, not packed, segments": ewf.Ewf, "S01, segments": ewf.Ewf, "Ex01, segments": ex01.Ex01,
}  # fmt: skip
ALL_CHECKED = ("Ex01, segments", "vmdk, packed", "E01", "E01, not packed, segments", "S01, segments")
"""Formats in which content has checksums, too; in others, all but content is altered. A bit of QCOW2 that says part of
a cluster is zeros, whatever lies there, has nothing to be held against."""


def altered(rng, files, payload):
    """One of several files with a fault in it, anywhere but in sectors of ``payload``."""
    files = list(files)
    which = rng.randrange(len(files))
    data = bytearray(files[which])
    sectors = [at for at in range(0, len(data), 512) if bytes(data[at : at + 512]).strip(b"\0")]
    at = rng.choice([at for at in sectors if bytes(data[at : at + 512]) not in payload])
    place = min(len(data) - 1, at + rng.randrange(512))
    match rng.choice(["bit", "byte", "zeros", "sector", "noise", "cut"]):
        case "bit":
            data[place] ^= 1 << rng.randrange(8)
        case "byte":
            data[place] = rng.randrange(256)
        case "zeros":
            data[place // 8 * 8 : place // 8 * 8 + 8] = bytes(8)
        case "sector":
            data[at : at + 512] = bytes(512)
        case "noise":
            data[place // 8 * 8 : place // 8 * 8 + 8] = rng.randbytes(8)
        case "cut":
            del data[place:]
    files[which] = bytes(data)
    return files


def opened(parser, files):
    images = [Bytes(data) for data in files]
    if parser is vmdk.Vmdk:
        others = parser(lambda: None, images).others()
        images += [images[0] if other["use"] == "itself" else Bytes(b"") for other in others]
    return parser(lambda: None, images)


@pytest.mark.claim("M17")
@pytest.mark.parametrize("name", PARSERS)
def test_of_an_altered_image_every_byte_is_right_or_said_to_be_damaged(made, disk, name):
    right = disk.read_bytes()
    files = [path.read_bytes() for path in sorted(made(name).iterdir())]
    payload = () if name in ALL_CHECKED else {right[at : at + 512] for at in range(0, len(right), 512)}
    whole = opened(PARSERS[name], files)
    assert whole.about()["faults"] == []
    assert whole.read(0, whole.size_bytes).startswith(right)
    noticed = 0
    for seed in range(24):
        try:
            reader = opened(PARSERS[name], altered(random.Random(seed), files, payload))
            about = reader.about()
        except OSError:
            noticed += 1
            continue
        if about["unsupported"] or reader.size_bytes < len(right):
            noticed += 1
            assert about["unsupported"] or about["faults"]
            continue
        lost = 0
        for at in range(0, len(right), BLOCK):
            try:
                assert reader.read(at, BLOCK) == right[at : at + BLOCK], (seed, at)
            except OSError as error:
                lost += 1
                start, size = map(int, re.match(r"(\d+)\+(\d+): .", str(error)).groups())
                assert start < at + BLOCK
                assert start + size > at
        noticed += bool(lost or about["faults"])
    assert noticed > 6


@pytest.mark.parametrize("name", ["qcow2, zlib", "vmdk, packed", "E01", "E01, not packed, segments", "parts"])
@pytest.mark.parametrize("seed", range(3))
def test_a_file_out_of_an_altered_image_is_right_or_marked(made, tmp_path, name, seed):
    folder = tmp_path / "altered"
    shutil.copytree(made(name), folder)
    rng = random.Random(seed)
    path = rng.choice(sorted(folder.iterdir()))
    data = path.read_bytes()
    at = rng.randrange(len(data) // 4, len(data) // 2)
    if name == "parts":
        path = folder / f"d.00{1 + seed}"
        path.write_bytes(path.read_bytes()[: -(64 << 10)])
    else:
        path.write_bytes(data[:at] + bytes(8192) + data[at + 8192 :])
    files, issues = found_in(folder)
    assert all(re.search(r"\d", issue.message) for issue in issues if issue.error == "broken_image")
    for locator, sha256, lost in files:
        assert sha256 in RIGHT or lost, locator
    assert issues or {sha256 for _, sha256, _ in files} == RIGHT


def test_a_picture_in_a_damaged_place_is_an_item_that_says_which_bytes_are_missing(made, tmp_path, disk):
    folder = tmp_path / "e"
    shutil.copytree(made("E01, not packed, segments"), folder)
    right = disk.read_bytes()
    at = right.index(PICTURES["P5.BMP"][:512]) + 40_000
    for path in folder.iterdir():
        data = path.read_bytes()
        place = data.find(right[at : at + 64])
        if place >= 0:
            path.write_bytes(data[:place] + b"\xff" + data[place + 1 :])
    files, issues = found_in(folder)
    partial = [(locator, lost) for locator, _, lost in files if lost]
    assert [locator.at for locator, _ in partial] == ["/DCIM/P5.BMP"]
    (lost,) = partial[0][1]
    assert lost.start <= 40_000 < lost.end
    assert lost.end - lost.start <= 32 << 10
    (issue,) = set(issues)
    chunk = at // 32768 * 32768
    assert issue.locator.at == f"{chunk}+32768"
    assert "checksum" in issue.message


@pytest.mark.parametrize("name", ["E01, not packed, segments", "S01, segments", "parts", "parts by letters"])
@pytest.mark.parametrize("fault", ["missing", "cut", "swapped", "of another set"])
def test_parts_of_a_set_that_are_not_what_they_should_be_are_noticed(made, tmp_path, disk, name, fault):
    folder = tmp_path / "set"
    shutil.copytree(made(name), folder)
    second, third = sorted(folder.iterdir())[1:3]
    if fault == "missing":
        second.unlink()
    elif fault == "cut":
        second.write_bytes(second.read_bytes()[:-100_000])
    elif fault == "swapped":
        if name.startswith("parts"):
            pytest.skip("nothing tells one raw part from another")
        first, other = second.read_bytes(), third.read_bytes()
        second.write_bytes(other)
        third.write_bytes(first)
    else:
        if name != "E01, not packed, segments":
            pytest.skip("its parts do not say of which set they are")
        section = bytearray(second.read_bytes()[13 + 76 : 13 + 76 + 1052])
        section[64:80] = b"of another set.."
        section[-4:] = zlib.adler32(section[:-4]).to_bytes(4, "little")
        second.write_bytes(second.read_bytes()[: 13 + 76] + section + second.read_bytes()[13 + 76 + 1052 :])
    files, issues = found_in(folder)
    if fault == "swapped":  # each says which it is
        assert issues == []
        assert {sha256 for _, sha256, _ in files} == RIGHT
        return
    assert any("segment" in issue.message or "part" in issue.message for issue in issues)
    assert files
    assert all(sha256 in RIGHT or lost for locator, sha256, lost in files if locator.parent)


@pytest.mark.parametrize("kind", ["qcow2", "vmdk"])
def test_an_image_whose_base_is_gone_or_another_gives_nothing_of_it(made, tmp_path, kind):
    folder = tmp_path / "set"
    shutil.copytree(made(f"{kind} over another"), folder)
    (folder / f"base.{kind}").unlink()
    files, issues = found_in(folder)
    assert not {sha256 for _, sha256, _ in files} & RIGHT
    assert any(f"base.{kind}" in issue.message for issue in issues)


def test_a_vmdk_over_a_disk_that_was_changed_since_is_not_read_over_it(made, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(made("vmdk over another"), folder)
    path = folder / "base.vmdk"
    other = re.compile(rb"(?<=\nCID=)[0-9a-f]")  # its number may be short: qemu-img writes no zeros before it
    path.write_bytes(other.sub(lambda digit: b"1" if digit[0] != b"1" else b"2", path.read_bytes(), count=1))
    files, issues = found_in(folder / "d.vmdk")
    assert not {sha256 for _, sha256, _ in files} & RIGHT
    assert any("is not the disk that it is based on" in issue.message for issue in issues)


def test_a_raw_image_that_was_cut_off_says_what_is_missing_of_which_file(disk, tmp_path):
    path = tmp_path / "cut.dd"
    data = disk.read_bytes()
    path.write_bytes(data[: data.index(PICTURES["P6.BMP"]) + 50_000])
    files, issues = found_in(path)
    whole = {locator.at for locator, _, lost in files if not lost}
    assert whole == {f"/DCIM/P{n}.BMP" for n in range(6)}
    assert [(locator.at, lost[0].start // 512) for locator, _, lost in files if lost] == [("/DCIM/P6.BMP", 97)]
    assert [issue.locator.at for issue in issues] == [str(path), "/DCIM/P7.BMP"]


def test_a_chunk_that_would_unpack_to_more_than_a_chunk_takes_no_memory(disk, tmp_path):
    folder = tmp_path / "e"
    folder.mkdir()
    acquired("-c", "deflate:fast", "-b", "16384")(disk, folder)
    (path,) = folder.iterdir()
    bomb = zlib.compress(bytes(1 << 28), 9)
    data = bytearray(path.read_bytes())
    reader = ewf.Ewf(lambda: None, [Bytes(bytes(data))])
    place = reader._where(0)
    data[place.at : place.at + len(bomb)] = bomb
    reader = ewf.Ewf(lambda: None, [Bytes(bytes(data))])
    tracemalloc.start()
    with pytest.raises(OSError, match=r"too many bytes|too soon"):
        reader.read(0, 512)
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def test_tables_of_e01_take_no_memory_however_long_they_are(tmp_path):
    path = tmp_path / "a.E01"
    size = 8 << 20
    path.write_bytes(attack_files._ewf([bytes(16)] * (size >> 2), 512))
    with path.open("rb") as file:
        tracemalloc.start()
        reader = ewf.Ewf(lambda: None, [Shared(file)])
        assert reader.about()["size"] == size * 128
        assert reader._where((size >> 2) - 1).stored == 16
        assert tracemalloc.get_traced_memory()[1] < 6 << 20
        tracemalloc.stop()


def test_tables_of_e01_without_number_are_refused(tmp_path):
    data = attack_files._ewf([zlib.compress(bytes(512))], 512, 70_000)
    with pytest.raises(OSError, match="more than 65,536 tables"):
        ewf.Ewf(lambda: None, [Bytes(data)])


def test_an_e01_of_many_tables_gives_its_disk():
    chunks = [zlib.compress(bytes([n]) * 512) for n in range(5)]
    reader = ewf.Ewf(lambda: None, [Bytes(attack_files._ewf(chunks, 512, 3))])
    assert reader.read(0, 15 * 512) == b"".join(bytes([n]) * 512 for n in range(5)) * 3


def test_qemu_sees_the_same_bytes(made, disk, tmp_path):
    for name in ("qcow2, zlib", "vhdx", "vdi"):
        (path,) = made(name).iterdir()
        subprocess.run(
            [tool("qemu-img"), "convert", "-O", "raw", path, tmp_path / "x"], check=True, capture_output=True
        )
        assert (tmp_path / "x").read_bytes()[:DISK_BYTES] == disk.read_bytes()


def test_a_block_device_is_read_where_it_is_named_and_nowhere_else(disk, tmp_path, monkeypatch):
    path = tmp_path / "sdx"
    shutil.copy(disk, path)
    monkeypatch.setattr(files_of_folders, "_is_device", stat.S_ISREG)
    found, issues = found_in(path)
    assert issues == []
    assert {sha256 for _, sha256, _ in found} == RIGHT
    (first, *_) = walk(path)
    assert first.modified_ns is None  # so that it is read again
    assert read(Reopener().reopen(first.locator)).digests.sha256 in RIGHT
    monkeypatch.setattr(stat, "S_ISREG", lambda mode: False)
    assert [found.error for found in walk(tmp_path)] == ["special_file"]
