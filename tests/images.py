"""Disk images as an examiner gets them: partitions, a deleted picture, what the container says of itself."""

import shutil
import struct

import pytest

from tests.conftest import encode, textured
from tests.imgmatch.evidence.test_disk_images import call

SECTOR = 512
FIRST, SECOND = 2048, 2048 + 4096


def partitioned(folder):
    """A disk with an MBR and two FAT partitions; on the second a picture that is there, and one that was deleted."""
    pytest.importorskip("pytsk3", reason="needs the extra forensic (pytsk3)")
    if shutil.which("mkfs.vfat") is None or shutil.which("mcopy") is None:
        pytest.skip("needs dosfstools and mtools")
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for number in range(2):
        part = folder / f"part{number}"
        part.write_bytes(bytes(4096 * SECTOR))
        call("mkfs.vfat", "-F", "12", "-i", f"0000000{number}", part)
        call("mmd", "-i", part, "::/DCIM")
        call("mmd", "-i", part, "::/DCIM/100APPLE")
        for seed in range(2):
            name = f"IMG_{10 * number + seed:04}.JPG"
            (folder / name).write_bytes(encode(textured(10 * number + seed), "JPEG"))
            call("mcopy", "-i", part, folder / name, "::/DCIM/100APPLE")
        parts.append(part)
    call("mdel", "-i", parts[1], "::/DCIM/100APPLE/IMG_0011.JPG")
    disk = bytearray((SECOND + 4096) * SECTOR)
    for entry, (start, part) in enumerate(zip((FIRST, SECOND), parts, strict=True)):
        struct.pack_into("<B3sB3sII", disk, 446 + 16 * entry, 0, b"\0\2\0", 1, b"\0\3\0", start, 4096)
        disk[start * SECTOR : (start + 4096) * SECTOR] = part.read_bytes()
    disk[510:512] = b"\x55\xaa"
    made = folder / "disk.dd"
    made.write_bytes(disk)
    return made


def acquired(disk, target, *options):
    """An E01 of a disk, with what an examiner writes down. ``target``: without its ending."""
    if shutil.which("ewfacquire") is None:
        pytest.skip("needs ewfacquire")
    target.parent.mkdir(parents=True, exist_ok=True)
    told = ["-C", "2024-117", "-E", "Item 4", "-e", "Ada Lovelace", "-D", "Telephone", "-N", "Found in the kitchen"]
    call("ewfacquire", "-u", "-q", "-c", "deflate:fast", "-d", "sha1", *told, *options, "-t", target, disk)
    return next(path for path in target.parent.iterdir() if path.name.startswith(target.name))
