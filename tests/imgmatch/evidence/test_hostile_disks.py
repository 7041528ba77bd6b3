"""Disk images that are made to cost, and such as are only named."""

import struct
import subprocess
import sys
import zipfile
import zlib

import pytest

from imgmatch.errors import EvidenceError
from imgmatch.evidence import walk
from imgmatch.evidence.read import read
from imgmatch.types import Issue
from imgmatch.workers.decode import Request
from tests.conftest import ROOT
from tests.imgmatch.evidence.test_disk_images import call

pytest.importorskip("pytsk3", reason="needs the extra forensic (pytsk3)")


def section(kind, body, at, following=None, size=None):
    head = struct.pack(
        "<16sQQ40x", kind, at + 76 + len(body) if following is None else following, size or 76 + len(body)
    )
    return head + struct.pack("<I", zlib.adler32(head)) + body


def checked(body):
    return body + struct.pack("<I", zlib.adler32(body))


def volume(sectors, per_chunk):
    return checked(struct.pack("<IIIIQ", 1, 1, per_chunk, 512, sectors) + bytes(1024))


def upon_each_other():
    """An image of many tables that all hold the same entries, each with a checksum of its own that is right."""
    whole = bytearray(b"EVF\x09\x0d\x0a\xff\x00\x01\x01\x00\x00\x00")
    whole += section(b"volume", volume(1 << 40, 64), len(whole))
    first, number, entries = len(whole), 600, bytes(1 << 20)
    whole += bytes(100 * number) + entries + bytes(8 * number)
    for one in reversed(range(number)):
        at = first + 100 * one
        count = (first + 100 * number + len(entries) + 8 * one - at - 100) // 4
        head = checked(struct.pack("<I4xQ4x", count, 0))
        whole[at : at + 100] = section(b"table", head, at, at + 100 if one + 1 < number else at, 1 << 30)
        end = at + 100 + 4 * count
        whole[end : end + 4] = struct.pack("<I", 0)
    # Checksums lie behind all entries, from the first table to the last, so that each holds those before it.
    for one in range(number):
        at = first + 100 * one
        count = (first + 100 * number + len(entries) + 8 * one - at - 100) // 4
        end = at + 100 + 4 * count
        whole[end : end + 4] = struct.pack("<I", zlib.adler32(whole[at + 100 : end]))
    return bytes(whole)


def bad_places():
    """An image with lists of sectors that could not be read, many of them in one."""
    whole = bytearray(b"EVF\x09\x0d\x0a\xff\x00\x01\x01\x00\x00\x00")
    whole += section(b"volume", volume(1 << 30, 64), len(whole))
    for _ in range(20):
        body = checked(struct.pack("<I512x", 60_000)) + struct.pack("<II", 1, 1) * 60_000
        whole += section(b"error2", body, len(whole))
    return bytes(whole)


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as it is here")
@pytest.mark.parametrize("make", [upon_each_other, bad_places])
def test_whatever_an_e01_claims_the_main_process_stays_small(tmp_path, make):
    path = tmp_path / "a.E01"
    path.write_bytes(make())
    look = (
        "import sys; from imgmatch.evidence import walk\n"
        "print([found.error for found in walk(sys.argv[1])][:3])\n"
        # Not ru_maxrss, which begins with what the process had that forked this one.
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", look, path], cwd=ROOT, capture_output=True, text=True, timeout=200, check=True
    )
    said, peak_kib = done.stdout.splitlines()
    assert "broken_image" in said
    assert int(peak_kib) < 300 << 10


def test_a_fixed_vhd_that_was_cut_or_changed_says_so(tmp_path):
    (tmp_path / "fat").write_bytes(bytes(1 << 20))
    call("mkfs.vfat", "-F", "12", tmp_path / "fat")
    table = bytes(446) + struct.pack("<B3xB3xII", 0, 1, 64, 2048) + bytes(48) + b"\x55\xaa"
    (tmp_path / "disk").write_bytes(table.ljust(64 * 512, b"\0") + (tmp_path / "fat").read_bytes())
    call(
        "qemu-img", "convert", "-O", "vpc", "-o", "subformat=fixed,force_size=on", tmp_path / "disk", tmp_path / "a.vhd"
    )
    data = (tmp_path / "a.vhd").read_bytes()
    odd = {"sound": data, "cut": data[:-1024] + data[-512:], "footer": data[:-100] + b"\1" + data[-99:]}
    faults = {}
    for name, bytes_of in odd.items():
        (tmp_path / "a.vhd").write_bytes(bytes_of)
        faults[name] = [f.message for f in walk(tmp_path / "a.vhd") if isinstance(f, Issue) and "VHD" in f.message]
    assert faults["sound"] == []
    assert "the file was cut or changed" in faults["cut"][0]
    assert "its footer is damaged" in faults["footer"][0]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"COWD\1\0\0\0" + bytes(4096), "VMDK of VMFS (COWD)"),
        (b"\xbe\xba\xfe\xca\0\0\0\0" + bytes(4096), "VMDK of VMFS 6 (SEsparse)"),
        (None, "AFF4 disk image"),
    ],
)
def test_images_that_are_not_read_are_named(tmp_path, data, name):
    path = tmp_path / "a.bin"
    if data is None:
        with zipfile.ZipFile(path, "w") as made:
            made.writestr("container.description", "aff4://c2155a82-5bf1-4c0b-9b3b-2b1b3c2a4c5d")
            made.writestr("information.turtle", "@prefix aff4: <http://aff4.org/Schema#> .")
    else:
        path.write_bytes(data)
    assert any(name in said for said in unread(path))


def unread(path):
    """What is said of a file and of what lies in it: of files, by reading them as pictures."""
    for found in walk(path):
        if isinstance(found, Issue):
            yield found.what
            continue
        try:
            read(found).decoded(Request(sides_px=(64,)))
        except EvidenceError as error:
            yield str(error)
