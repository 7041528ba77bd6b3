"""Disks without any table of partitions, and Apple's disk images, written here after their specifications."""

import bz2
import lzma
import plistlib
import shutil
import struct
import subprocess
import zlib

import pytest

from tests.imgmatch.evidence.test_damaged_volumes import (
    MIB,
    SHA,
    ext,
    fat,
    folder,
    mbr,
    ntfs,
    pictures_of,
)

pytest.importorskip("pytsk3", reason="needs the extra forensic (pytsk3)")
__all__ = ["folder"]


@pytest.fixture(scope="module")
def volumes(tmp_path_factory, folder):
    path = tmp_path_factory.mktemp("volumes") / "volume"
    return {
        "fat16": bytes(fat(path, 16, 16, folder)),
        "fat32": bytes(fat(path, 32, 40, folder)),
        "ext4": bytes(ext(path, 16, folder, "-b", 1024)),
        "ntfs": bytes(ntfs(path, folder)),
    }


@pytest.mark.parametrize("start", [63 * 512, MIB, 5 * MIB])
@pytest.mark.parametrize("kind", ["fat16", "fat32", "ext4", "ntfs"])
def test_a_volume_of_a_disk_without_a_table_is_found_where_it_begins(tmp_path, volumes, kind, start):
    path = tmp_path / "disk.dd"
    path.write_bytes(bytes(start) + volumes[kind] + bytes(MIB))
    found, issues = pictures_of(path)
    assert set(found) == SHA
    assert len(issues) == 1
    assert "its table of partitions is damaged or missing" in issues[0]
    assert f"{start:,}" in issues[0]


def test_every_volume_behind_a_damaged_table_is_found_once(tmp_path, volumes):
    other = volumes["ext4"]
    disk = b"\xa5" * 512 + bytes(MIB - 512) + volumes["ntfs"] + bytes(-len(volumes["ntfs"]) % MIB) + other
    (tmp_path / "disk.dd").write_bytes(disk)
    found, issues = pictures_of(tmp_path / "disk.dd")
    assert set(found) == SHA
    assert len(issues) == 1
    assert issues[0].endswith(f"bytes {MIB:,}, {disk.index(other):,}")


def test_a_file_that_is_no_disk_is_not_called_one(tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes(4 * MIB))
    assert not any("partition" in issue for issue in pictures_of(tmp_path / "a.bin")[1])


def test_a_fat_without_its_boot_sector_is_named_and_carved(tmp_path, volumes):
    (tmp_path / "stick.dd").write_bytes(bytes(512) + volumes["fat16"][512:])
    found, (issue,) = pictures_of(tmp_path / "stick.dd")
    assert not found
    assert issue.startswith("broken_image: a FAT file system whose boot sector is gone")
    assert set(pictures_of(tmp_path / "stick.dd", carve=True)[0]) == SHA


PACKERS = {
    0x80000005: zlib.compress,
    0x80000006: bz2.compress,
    0x80000008: lambda data: lzma.compress(data, lzma.FORMAT_XZ),
    1: bytes,
}


def dmg(disk, kind, piece=1 << 18):
    data, chunks = b"", []
    for at in range(0, len(disk), piece):
        part = disk[at : at + piece]
        packed = PACKERS[kind](part) if any(part) else b""
        chunks.append((kind if any(part) else 0, 0, at // 512, len(part) // 512, len(data), len(packed)))
        data += packed
    chunks.append((0xFFFFFFFF, 0, len(disk) // 512, 0, len(data), 0))
    table = b"mish" + struct.pack(">IQQQII24x", 1, 0, len(disk) // 512, 0, piece // 512 + 8, 0)
    table += struct.pack(">II128sI", 2, 32, struct.pack(">I", zlib.crc32(disk)), len(chunks))
    table += b"".join(struct.pack(">IIQQQQ", *chunk) for chunk in chunks)
    block = {"Attributes": "0x0050", "CFName": "whole disk", "Data": table, "ID": "0", "Name": "whole disk"}
    listed = plistlib.dumps({"resource-fork": {"blkx": [block]}})
    none = struct.pack(">II128s", 2, 32, struct.pack(">I", zlib.crc32(data)))
    trailer = b"koly" + struct.pack(">IIIQQQQQII16x", 4, 512, 1, 0, 0, len(data), 0, 0, 1, 1) + none
    trailer += struct.pack(">QQ120x", len(data), len(listed)) + none + struct.pack(">IQ12x", 1, len(disk) // 512)
    return data + listed + trailer


@pytest.fixture(scope="module")
def disk(volumes):
    volume = volumes["fat16"]
    return mbr((6, 2048, len(volume) // 512)) + bytes(MIB - 512) + volume


@pytest.mark.parametrize("kind", PACKERS)
def test_a_dmg_is_read_however_it_is_packed(tmp_path, disk, kind):
    path = tmp_path / "a.dmg"
    path.write_bytes(dmg(disk, kind))
    assert len(path.read_bytes()) < len(disk) or kind == 1
    found, issues = pictures_of(path)
    assert set(found) == SHA
    assert not issues
    assert all("|udif:disk|partition:1@" in place for place in found.values())
    if (tool := shutil.which("dmg2img")) and kind != 0x80000008:  # another reader of what was written here
        subprocess.run([tool, path, tmp_path / "a.raw"], check=True, capture_output=True, timeout=60)
        assert (tmp_path / "a.raw").read_bytes()[: len(disk)] == disk


@pytest.mark.parametrize("kind", [0x80000005, 0x80000006, 0x80000008])
def test_a_changed_byte_of_a_packed_dmg_is_noticed(tmp_path, disk, kind):
    data = bytearray(dmg(disk, kind))
    length = struct.unpack_from(">Q", data, len(data) - 512 + 32)[0]
    for at in range(length // 16, length, length // 8):
        data[at] ^= 0x40
    path = tmp_path / "a.dmg"
    path.write_bytes(data)
    found, issues = pictures_of_damaged(path)
    assert not found - SHA
    assert any("damaged or missing" in issue or "broken_image" in issue for issue in issues)


def pictures_of_damaged(path):
    """SHA-256 of what is read without a word of damage, and the issues."""
    import hashlib

    from imgmatch.evidence import walk
    from imgmatch.types import Issue

    found, issues = set(), []
    for member in walk(path):
        if isinstance(member, Issue):
            issues.append(f"{member.error}: {member.message}")
            continue
        try:
            with member.open() as stream:
                found.add(hashlib.sha256(stream.read()).hexdigest())
        except OSError as error:
            issues.append(str(error))
    return found, issues


def test_a_dmg_that_lost_pieces_or_is_packed_by_what_is_not_read_says_so(tmp_path, disk, monkeypatch):
    path = tmp_path / "a.dmg"
    monkeypatch.setitem(PACKERS, 0x80000007, zlib.compress)
    path.write_bytes(dmg(disk, 0x80000007))
    found, issues = pictures_of_damaged(path)
    assert not found
    assert any("is packed by LZFSE, which is not read" in issue for issue in issues)
    data = dmg(disk, 0x80000005)
    path.write_bytes(data[: len(data) // 3] + data[-512:])
    (issue,) = pictures_of_damaged(path)[1]
    assert issue.startswith("broken_image")


@pytest.mark.parametrize("kind", ["parallels", "qed", "qcow"])
def test_an_image_that_keeps_its_blocks_in_another_order_is_named_and_nothing_in_it_is_taken_for_a_volume(
    tmp_path, volumes, kind
):
    if shutil.which("qemu-img") is None:
        pytest.skip("needs qemu-img")
    (tmp_path / "raw").write_bytes(bytes(MIB) + volumes["fat16"])
    subprocess.run(["qemu-img", "convert", "-O", kind, tmp_path / "raw", tmp_path / "disk"], check=True)
    (tmp_path / "raw").unlink()
    found, _ = pictures_of(tmp_path / "disk")
    assert set(found.values()) <= {f"file:{tmp_path / 'disk'}"}  # it is nothing but itself
