"""Pictures out of RAR, CAB, cpio and ar archives, by libarchive."""

import hashlib
import shutil
import struct
import subprocess
import zlib

import pytest

from imgmatch.evidence import Reopener, walk
from imgmatch.types import Issue
from tests.conftest import encode, picture

try:
    import libarchive
except (ImportError, OSError, TypeError, AttributeError):
    pytest.skip("needs the extra rar, and the system's libarchive", allow_module_level=True)
PICTURES = {f"bilder/IMG{n} ü.jpg": encode(picture(170 + n, (160, 120)), "JPEG") for n in range(3)}


def found_in(path):
    files, issues, again = {}, [], Reopener()
    for member in walk(path):
        if isinstance(member, Issue):
            issues.append(f"{member.error}: {member.message}")
            continue
        with again.reopen(member.locator).open() as stream:
            files[member.locator.at] = stream.read()
    return files, issues


def number(value):
    made = bytearray()
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def rar5(pictures):
    """An archive whose files are stored (RAR 5.0 archive format, by RARLAB)."""

    def block(fields, data=b""):
        sized = number(len(fields)) + fields
        return struct.pack("<I", zlib.crc32(sized)) + sized + data

    made = b"Rar!\x1a\7\1\0" + block(number(1) + number(0) + number(0))
    for name, data in pictures.items():
        raw = name.encode()
        fields = number(2) + number(2) + number(len(data)) + number(4) + number(len(data)) + number(0o100644)
        fields += struct.pack("<I", zlib.crc32(data)) + number(0) + number(1) + number(len(raw)) + raw
        made += block(fields, data)
    return made + block(number(5) + number(0) + number(0))


def rar4(pictures):
    """An archive whose files are stored (RAR 2.9 to 4)."""

    def block(kind, flags, fields, data=b""):
        raw = struct.pack("<BHH", kind, flags, 7 + len(fields)) + fields
        return struct.pack("<H", zlib.crc32(raw) & 0xFFFF) + raw + data

    made = b"Rar!\x1a\7\0" + block(0x73, 0, bytes(6))
    for name, data in pictures.items():
        raw = name.encode()
        fields = struct.pack(
            "<IIBIIBBHI", len(data), len(data), 3, zlib.crc32(data), 0x52E10000, 29, 0x30, len(raw), 0o100644
        )
        made += block(0x74, 0x8000, fields + raw, data)
    return made + block(0x7B, 0x4000, b"")


def written(path, format):
    with libarchive.file_writer(str(path), format) as archive:
        for name, data in PICTURES.items():
            archive.add_file_from_memory(name if format != "ar_bsd" else name[7:11], len(data), data)


@pytest.mark.parametrize("make", [rar4, rar5])
def test_a_rar_archive_is_read(tmp_path, make):
    plain = {name.replace("ü", "u"): data for name, data in PICTURES.items()} if make is rar4 else PICTURES
    (tmp_path / "a.rar").write_bytes(make(plain))
    assert found_in(tmp_path / "a.rar") == (plain, [])


def test_times_of_an_unknown_zone_stay_so(tmp_path):
    (tmp_path / "a.rar").write_bytes(rar4({"a.jpg": PICTURES["bilder/IMG0 ü.jpg"]}))
    (found,) = walk(tmp_path / "a.rar")
    assert not found.modified_utc.endswith("Z")


@pytest.mark.parametrize("format", ["cpio", "cpio_newc", "ar_bsd"])
def test_other_archives_are_read(tmp_path, format):
    written(tmp_path / "a", format)
    files, issues = found_in(tmp_path / "a")
    assert sorted(files.values()) == sorted(PICTURES.values())
    assert not issues


def test_a_cabinet_is_read(tmp_path):
    tool = shutil.which("gcab") or shutil.which("lcab")
    if tool is None:
        pytest.skip("needs gcab or lcab")
    for name, data in PICTURES.items():
        (tmp_path / name[7:11]).write_bytes(data)
    flags = ["-c"] if tool.endswith("gcab") else []
    names = [name[7:11] for name in PICTURES]
    subprocess.run([tool, *flags, "a.cab", *names], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert sorted(found_in(tmp_path / "a.cab")[0].values()) == sorted(PICTURES.values())


@pytest.mark.parametrize("make", [rar4, rar5])
def test_damage_is_told(tmp_path, make):
    plain = {name.replace("ü", "u"): data for name, data in PICTURES.items()}
    whole = bytearray(make(plain))
    place = whole.index(list(plain.values())[1]) + 1000
    whole[place : place + 20] = bytes(20)
    (tmp_path / "a.rar").write_bytes(whole)
    issues = [member for member in walk(tmp_path / "a.rar") if isinstance(member, Issue)]
    assert any(issue.error == "broken_archive" for issue in issues)
    (tmp_path / "b.rar").write_bytes(make(plain)[: -len(list(plain.values())[2])])
    assert any(isinstance(member, Issue) and member.error == "broken_archive" for member in walk(tmp_path / "b.rar"))


def test_what_is_encrypted_is_named(tmp_path):
    whole = bytearray(b"Rar!\x1a\7\1\0")
    fields = number(4) + number(0) + number(0) + number(0) + b"\x0f" + bytes(16)
    sized = number(len(fields)) + fields
    whole += struct.pack("<I", zlib.crc32(sized)) + sized + hashlib.sha256(b"x").digest() * 4
    (tmp_path / "a.rar").write_bytes(whole)
    (issue,) = walk(tmp_path / "a.rar")
    assert issue.error in ("unsupported", "broken_archive")
    assert "ncrypt" in issue.message


@pytest.mark.parametrize(("packer", "ending"), [("lz4", "lz4"), ("lzip", "lz"), ("compress", "Z")])
def test_what_one_packer_packed_is_unpacked(tmp_path, packer, ending):
    with libarchive.file_writer(str(tmp_path / f"a.tar.{ending}"), "gnutar", packer) as archive:
        for name, data in PICTURES.items():
            archive.add_file_from_memory(name, len(data), data)
    found, issues = found_in(tmp_path)
    assert {name: data for name, data in found.items() if name in PICTURES} == PICTURES
    assert not issues
