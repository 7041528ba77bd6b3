"""XFS, made by mkfs.xfs, and APFS, made by mkapfs: files as they are, and damage that their libraries pass over."""

import hashlib
import mmap
import re
import struct

import pytest

from tests.conftest import encode, picture
from tests.imgmatch.evidence.test_damaged_volumes import MIB, call, pictures_of

pytest.importorskip("pyfsxfs", reason="needs the extra forensic (pyfsxfs)")
pytest.importorskip("pyfsapfs", reason="needs the extra forensic (pyfsapfs)")
PICTURES = {f"IMG{n}.JPG": encode(picture(90 + n, (160, 120)), "JPEG") for n in range(40)}
SHA = {hashlib.sha256(data).hexdigest() for data in PICTURES.values()}


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """XFS of version 5 with 40 pictures in a folder."""
    folder = tmp_path_factory.mktemp("xfs")
    lines = ["/", "0 0", "d--755 0 0", "DCIM d--755 0 0"]
    for name, data in PICTURES.items():
        (folder / name).write_bytes(data)
        lines.append(f"{name} ---644 0 0 {folder / name}")
    (folder / "proto").write_text("\n".join([*lines, "$", "$", ""]))
    path = folder / "xfs.img"
    with path.open("wb") as stream:
        stream.truncate(300 * MIB)
    call("mkfs.xfs", "-q", "-p", folder / "proto", path)
    return path


@pytest.fixture
def altered(image, tmp_path):
    """Writes bytes at places of a copy, the rest of which is a hole."""

    def alter(changes, size=None):
        path = tmp_path / "altered.img"
        call("cp", "--sparse=always", image, path)
        with path.open("r+b") as stream:
            for place, data in changes.items():
                stream.seek(place)
                stream.write(data)
            stream.truncate(size or 300 * MIB)
        return path

    return alter


def places(image, magic):
    """Where blocks begin so."""
    with image.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return [match.start() for match in re.finditer(re.escape(magic), data) if match.start() % 512 == 0]


def test_xfs_gives_files_by_their_paths(image):
    found, issues = pictures_of(image)
    assert set(found) == SHA
    assert all("|fs:/DCIM/IMG" in place for place in found.values())
    assert [issue.partition(";")[0] for issue in issues] == ["unsupported: deleted files of XFS file system"]
    assert not pictures_of(image, deleted=False)[1]


def test_a_changed_byte_in_what_xfs_says_of_a_file_is_noticed(image, altered):
    inode = places(image, b"IN\x81\xa4")[5]
    found, issues = pictures_of(altered({inode + 57: b"\x01"}), deleted=False)  # its size
    assert set(found) < SHA
    assert len(found) == len(SHA) - 1
    assert any(f"the checksum of what stands at byte {inode:,} does not fit" in issue for issue in issues)


@pytest.mark.parametrize("magic", [b"XDB3", b"XFSB"])
def test_a_changed_byte_in_a_folder_or_superblock_of_xfs_is_noticed(image, altered, magic):
    place = places(image, magic)[0]
    path = altered({place + 108: b"\xff" if magic == b"XFSB" else b"Q"})
    found, issues = pictures_of(path, deleted=False)
    assert not found
    assert len(issues) == 1
    assert re.match(r"(broken_image|unreadable_folder): .*checksum", issues[0])


def test_an_xfs_image_that_was_cut_off_says_so(altered):
    found, issues = pictures_of(altered({}, 2 * MIB), deleted=False)
    assert set(found) <= SHA
    assert any("the image ends" in issue for issue in issues)


def test_an_empty_apfs_container_is_read_and_its_damage_told(tmp_path):
    path = tmp_path / "apfs.img"
    with path.open("wb") as stream:
        stream.truncate(600 * MIB)
    call("mkapfs", "-L", "Name", path)
    found, issues = pictures_of(path)
    assert not found
    assert [issue.partition(";")[0] for issue in issues] == ["unsupported: deleted files of APFS container"]
    with path.open("r+b") as stream:
        head = stream.read(4096)
        stream.seek(0)
        stream.write(head[:100] + b"\x77" + head[101:])
    (issue,) = pictures_of(path, deleted=False)[1]
    assert "checksum of what stands at byte 0 does not fit" in issue


def test_the_checksums_are_those_of_their_specifications():
    from imgmatch.parsers.volumes.checksums import apfs_block_fits, crc32c

    assert crc32c(b"123456789") == 0xE3069283
    words = [5, 7, 0xFFFFFFFE]
    first = second = 0
    for word in words:
        first = (first + word) % 0xFFFFFFFF
        second = (second + first) % 0xFFFFFFFF
    low = 0xFFFFFFFF - (first + second) % 0xFFFFFFFF
    block = struct.pack("<5I", low, 0xFFFFFFFF - (first + low) % 0xFFFFFFFF, *words)
    assert apfs_block_fits(block)
    assert not apfs_block_fits(block[:-1] + b"\0")
