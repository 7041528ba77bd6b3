"""Seeds of hostile files that carry others: programs, stores, phones, discs, disks (``benchmarks.hostile_files``)."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def psd(pixels: NDArray[np.uint8]) -> bytes:
    """A flat Photoshop picture of raw pixels."""
    height, width, _ = pixels.shape
    head = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, height, width, 8, 3) + bytes(12) + b"\0\0"
    return head + pixels.transpose(2, 0, 1).tobytes()


def without_height(jpeg: bytes) -> bytes:
    """Its lines are told behind the scan (DNL; ITU-T T.81, B.2.5)."""
    made = bytearray(jpeg)
    at = made.index(b"\xff\xc0") + 5
    lines = bytes(made[at : at + 2])
    made[at : at + 2] = b"\0\0"
    return bytes(made[:-2]) + b"\xff\xdc\0\4" + lines + b"\xff\xd9"


def pe(behind: bytes) -> bytes:
    """The least that is a Windows program, with something behind it."""
    head = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0" + struct.pack("<2xH12xH2x", 1, 0)
    section = b".text\0\0\0" + struct.pack("<IIII", 512, 4096, 512, 512) + bytes(16)
    return (head + section).ljust(1024, b"\0") + behind


def sqlite(members: dict[str, bytes]) -> bytes:
    """A database of three rows, one of them deleted."""
    rows = ", ".join(f"('{name}', x'{data.hex()}')" for name, data in members.items())
    made = "CREATE TABLE thumbnails (id INTEGER PRIMARY KEY, name TEXT, data BLOB)"
    statements = f"{made}; INSERT INTO thumbnails (name, data) VALUES {rows}; DELETE FROM thumbnails WHERE id = 2"
    run = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.stdin.read())"

    def build(folder: Path) -> bytes:
        path = folder / "a.db"
        subprocess.run([sys.executable, "-c", run, str(path)], input=statements.encode(), check=True)
        return path.read_bytes()

    return in_scratch(build)


def thumbcache(members: dict[str, bytes]) -> bytes:
    """Of Windows 10: a header, then entries (version 0x20)."""
    made = struct.pack("<4sIIIII", b"CMMM", 0x20, 4, 24, 24, 0)
    for number, data in enumerate(members.values()):
        name = f"{number:016x}".encode("utf-16-le")
        size = 56 + len(name) + len(data)
        made += struct.pack("<4sIQIIIIIIQQ", b"CMMM", size, number, len(name), 0, len(data), 160, 120, 0, 0, 0)
        made += name + data
    return made


def ufdr(members: dict[str, bytes]) -> dict[str, bytes]:
    """A report of Cellebrite's with its files."""
    told = "".join(
        f'<file fs="fs" path="/DCIM/{number}.jpg" size="{len(data)}"><metadata section="File">'
        f'<item name="Local Path">files/Image/{number}.jpg</item>'
        f'<item name="MD5">{hashlib.md5(data, usedforsecurity=False).hexdigest()}</item></metadata></file>'
        for number, data in enumerate(members.values())
    )
    report = f'<?xml version="1.0"?><project><taggedFiles>{told}</taggedFiles></project>'.encode()
    return {"report.xml": report, **{f"files/Image/{n}.jpg": data for n, data in enumerate(members.values())}}


def cpio(members: dict[str, bytes]) -> bytes:
    """New ASCII format."""
    made = b""
    for name, data in [*members.items(), ("TRAILER!!!", b"")]:
        path = name.encode() + b"\0"
        fields = (1, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
        made += b"070701" + b"".join(b"%08X" % value for value in fields) + path
        made += bytes(-len(made) % 4) + data
        made += bytes(-len(made) % 4)
    return made


def simg(disk: bytes) -> bytes:
    """Android's sparse image of a disk, in one raw chunk."""
    blocks = len(disk) // 4096
    head = struct.pack("<IHHHHIIII", 0xED26FF3A, 1, 0, 28, 12, 4096, blocks, 1, 0)
    return head + struct.pack("<HHII", 0xCAC1, 0, blocks, 12 + blocks * 4096) + disk[: blocks * 4096]


def converted(disk: bytes, kind: str) -> bytes:
    """The bytes of a disk as an image of another kind."""

    def build(folder: Path) -> bytes:
        source, made = folder / "disk.dd", folder / "disk.img"
        source.write_bytes(disk)
        command = ["qemu-img", "convert", "-f", "raw", "-O", kind, str(source), str(made)]
        subprocess.run(command, check=True, capture_output=True)
        return made.read_bytes()

    return in_scratch(build)


def tool(members: dict[str, bytes], command: list[str]) -> bytes | None:
    """What a program makes of a folder with these files; None where it is not on this machine."""
    if shutil.which(command[0]) is None:
        return None

    def build(folder: Path) -> bytes:
        content, out = folder / "content", folder / "out"
        content.mkdir()
        for name, data in members.items():
            (content / Path(name).name).write_bytes(data)
        filled = [word.format(out=out, content=content) for word in command]
        subprocess.run(filled, check=True, capture_output=True)
        return out.read_bytes()

    return in_scratch(build)


def in_scratch(build: Callable[[Path], bytes]) -> bytes:
    """What is built in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as scratch:
        return build(Path(scratch))
