"""Files that mean harm: seeds of every kind that imgmatch reads, a mutator, and bombs. The same every time."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import plistlib
import random
import shutil
import struct
import subprocess
import tarfile
import zipfile
import zlib
from base64 import b64encode
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import numpy as np
from PIL import Image as Pillow

from benchmarks.evidence_pst import Form, Message, pst
from benchmarks.hostile_carriers import (
    converted,
    cpio,
    in_scratch,
    pe,
    psd,
    simg,
    sqlite,
    thumbcache,
    tool,
    ufdr,
    without_height,
)
from benchmarks.hostile_nests import flash, packed_alone

_INTERESTING = (b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0", b"\xff\xff", b"\x7f\xff", b"\xff\xff\xff\xff",
                b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\0", b"\0\0\0\x01", b"\xff" * 8, b"\0" * 8)  # fmt: skip
_ESCAPES = ("../../canary/canary.jpg", "/tmp/escaped.jpg", "..\\..\\canary\\canary.jpg", "C:\\escaped.jpg", "\0.jpg",
            "a/../../b.jpg", "nul", "x" * 4000 + ".jpg", "../" * 40 + "etc/passwd", "-rf", "~/escaped.jpg",
            "$(touch escaped).jpg")  # fmt: skip
_EPOCH = (2020, 1, 1, 0, 0, 0)


@cache
def seeds() -> dict[str, list[bytes]]:
    """Whole files by kind; a kind whose writer is not on this machine is left out."""
    made: dict[str, list[bytes]] = {
        "jpeg": [
            _encoded("JPEG", quality=80),
            _encoded("JPEG", progressive=True, exif=_exif()),
            _encoded("JPEG", mode="CMYK"),
            _encoded("JPEG", mode="L", icc_profile=_icc()),
        ],
        "png": [
            _encoded("PNG"),
            _encoded("PNG", mode="P"),
            _encoded("PNG", mode="RGBA"),
            _encoded("PNG", mode="1"),
            _encoded("PNG", icc_profile=_icc(), exif=_exif()),
        ],
        "gif": [_encoded("GIF", mode="P"), _encoded("GIF", mode="P", save_all=True, append_images=[_picture(2)])],
        "webp": [_encoded("WEBP"), _encoded("WEBP", lossless=True), _encoded("WEBP", mode="RGBA")],
        "tiff": [
            _encoded("TIFF"),
            _encoded("TIFF", compression="tiff_lzw"),
            _encoded("TIFF", compression="tiff_adobe_deflate"),
            _encoded("TIFF", compression="jpeg"),
            _encoded("TIFF", mode="1", compression="group4"),
        ],
        "other pictures": [_encoded("BMP"), _encoded("JPEG2000"), _encoded("ICO"), _encoded("PPM"), _encoded("AVIF")],
        "pdf": [_encoded("PDF")],
    }
    if find_spec("pillow_heif"):
        import pillow_heif

        buffer = io.BytesIO()
        pillow_heif.from_pillow(_picture(1)).save(buffer, quality=70)
        made["heic"] = [buffer.getvalue()]
    if find_spec("av"):
        made["mp4"] = [_video("mp4"), _video("matroska")]
    members = {"a.jpg": made["jpeg"][0], "b/c.png": made["png"][0], "../d.gif": made["gif"][0]}
    archive = _zip(members)
    made["zip"] = [archive, _zip(members, zipfile.ZIP_STORED), _zip({"inner.zip": archive, "e.webp": made["webp"][0]})]
    tar = _tar(members)
    made["tar"] = [tar, gzip.compress(tar, mtime=0), bz2.compress(tar), lzma.compress(tar)]
    if find_spec("py7zr"):
        made["7z"] = [_sevenzip(members)]
    made["behind"] = [
        made["jpeg"][0] + archive,
        made["jpeg"][0] + made["png"][0] + made["gif"][0],
        pe(archive),
    ]
    made["layered"] = [
        data
        for data in (_saved("DDS"), _saved("TGA"), _saved("ICNS"), _saved("SGI"), psd(np.asarray(_picture(1))))
        if data
    ]
    made["jpeg"].append(without_height(made["jpeg"][0]))
    made["stores"] = [
        sqlite(members),
        plistlib.dumps({"a": [members["a.jpg"], {"b": members["b/c.png"]}]}, fmt=plistlib.FMT_BINARY),
        thumbcache(members),
    ]
    made["text"] = [
        b"BEGIN:VCARD\r\nVERSION:3.0\r\nN:a\r\nPHOTO;ENCODING=b;TYPE=JPEG:"
        + b64encode(members["a.jpg"])
        + b"\r\nEND:VCARD\r\n",
        b"<html><img src='data:image/png;base64," + b64encode(members["b/c.png"]) + b"'></html>",
        b"<html><img src='data:image/gif," + quote_from_bytes(members["../d.gif"]).encode() + b"'></html>",
    ]
    made["phones"] = [
        _zip(ufdr(members)),
        b"ANDROID BACKUP\n5\n1\nnone\n" + zlib.compress(tar),
        b"ANDROID BACKUP\n5\n0\nnone\n" + tar,
    ]
    disc = tool(members, ["genisoimage", "-quiet", "-J", "-R", "-o", "{out}", "{content}"])
    if disc is not None:
        made["iso"] = [disc]
    made["cpio"] = [cpio(members)]
    letters = [Message("a", b"<p>b</p>", attached=list(members.items())), Message("c", attached=[("d", Message("e"))])]
    made["mail store"] = [pst(letters, Form(version, hidden)) for version, hidden in ((15, 2), (23, 1), (36, 0))]
    made["packed"] = [packed_alone(tar), zlib.compress(members["a.jpg"]), flash(members["b/c.png"])]
    disk = _disk(members)
    if disk is not None:
        made["disk"] = [disk]
        made["simg"] = [simg(disk)]
        if shutil.which("qemu-img"):
            kinds = ("qcow2", "vmdk", "vpc", "vdi")
            made["virtual disk"] = [converted(disk, kind) for kind in kinds]
        if shutil.which("ewfacquire"):
            made["e01"] = [_e01(disk)]
    return made


def mutate(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """One to six changes: bits, bytes, extreme numbers, blocks cut, doubled, moved, taken from other files."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        # Headers are where parsers are led astray.
        at = rng.randrange(min(len(made), 512)) if rng.random() < 0.5 else rng.randrange(len(made))
        size = min(len(made) - at, 1 << rng.randrange(12))
        match rng.randrange(10):
            case 0:
                made[at] ^= 1 << rng.randrange(8)
            case 1:
                made[at] = rng.randrange(256)
            case 2 | 3:
                value = rng.choice(_INTERESTING)
                made[at : at + len(value)] = value
            case 4:
                made[at : at + size] = rng.randbytes(size)
            case 5:
                del made[at : at + size]
            case 6:
                made[at:at] = made[at : at + size] * rng.choice((1, 1, 2, 16))
            case 7:
                del made[max(1, rng.randrange(len(made))) :]
            case 8:
                to = rng.randrange(len(made))
                made[to : to + size] = made[at : at + size]
            case 9:
                other = rng.choice(others)
                start = rng.randrange(len(other))
                made[at : at + size] = other[start : start + size]
        if not made:
            made = bytearray(b"\0")
    return bytes(made)


@cache
def bombs() -> list[bytes]:
    """Small files that claim or unfold to far too much, and archives whose names lead elsewhere."""
    picture = _encoded("JPEG")
    zeros = bytes(1 << 20)
    escapes = dict.fromkeys(_ESCAPES, picture)
    nested = _zip({"bomb.bmp": zeros * 80})
    for _ in range(12):
        nested = _zip({"again.zip": nested})
    return [
        _png(60_000, 60_000, b""),
        _png(13_000, 13_000, zlib.compress(bytes((13_000 // 8 + 1) * 13_000), 9)),
        _png(0x7FFFFFFF, 0x7FFFFFFF, zlib.compress(zeros)),
        _png(100, 100, zlib.compress(zeros * 64, 9)),
        struct.pack("<6sHHBBB", b"GIF89a", 65_535, 65_535, 0, 0, 0) + b",\0\0\0\0\xff\xff\xff\xff\0\x08" + bytes(50),
        b"BM"
        + struct.pack("<IHHI", 1 << 31, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 65_000, 65_000, 1, 24, 0, 0, 0, 0, 0, 0),
        b"P6 99999 99999 255\n" + zeros[:1000],
        gzip.compress(zeros * 100, mtime=0),
        bz2.compress(zeros * 100),
        lzma.compress(zeros * 100),
        gzip.compress(gzip.compress(zeros * 100, mtime=0), mtime=0),
        _zip({"bomb.bmp": zeros * 80}),
        _zip({f"{n}.jpg": b"" for n in range(2_000)}),
        nested,
        _overlapping_zip(zeros * 64, 200),
        _zip(escapes),
        _zip(escapes, zipfile.ZIP_STORED),
        _tar(escapes),
        _tar(escapes, links=True),
        gzip.compress(_tar(escapes, links=True), mtime=0),
    ]


def _saved(format: str) -> bytes | None:
    try:
        return _encoded(format)
    except (OSError, KeyError, ValueError):
        return None


def _picture(seed: int, mode: str = "RGB") -> Pillow.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Pillow.fromarray(coarse).resize((160, 120), Pillow.Resampling.BICUBIC).convert(mode)


def _encoded(format: str, mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    _picture(1, mode).save(buffer, format, **options)
    return buffer.getvalue()


def _exif() -> Pillow.Exif:
    exif = Pillow.Exif()
    exif[0x0112], exif[0x010F], exif[0x0110] = 6, "Maker", "Model"
    return exif


def _icc() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _zip(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo("placeholder", _EPOCH)
            info.filename = name  # as it is: the constructor would cut at a zero byte
            info.compress_type = method
            archive.writestr(info, data)
    return buffer.getvalue()


def _overlapping_zip(content: bytes, times: int) -> bytes:
    """Many entries of the directory that share one member's bytes (after Fifield, A better zip bomb, WOOT 2019)."""
    one = _zip({"bomb.bmp": content})
    at = one.index(b"PK\x01\x02")
    end = one.index(b"PK\x05\x06")
    entry, tail = one[at:end], bytearray(one[end:])
    tail[8:12] = struct.pack("<HH", times, times)
    tail[12:16] = struct.pack("<I", len(entry) * times)
    return one[:at] + entry * times + bytes(tail)


def _tar(members: dict[str, bytes], links: bool = False) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name.replace("\0", "0"))
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
            if links:
                for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
                    link = tarfile.TarInfo(entry.name)
                    link.type, link.linkname = kind, "../../canary"
                    archive.addfile(link)
    return buffer.getvalue()


def _sevenzip(members: dict[str, bytes]) -> bytes:
    import py7zr

    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(data, name.removeprefix("../"))
    return buffer.getvalue()


def _png(width: int, height: int, data: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _video(container: str) -> bytes:
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream: Any = output.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for seed in range(10):
            output.mux(stream.encode(av.VideoFrame.from_image(_picture(seed))))
        output.mux(stream.encode())
    return buffer.getvalue()


def _disk(members: dict[str, bytes]) -> bytes | None:
    """An ext4 file system of 256 KiB with these files."""
    tool = shutil.which("mke2fs") or shutil.which("mke2fs", path="/usr/sbin:/sbin")
    if tool is None:
        return None

    def build(folder: Path) -> bytes:
        content, image = folder / "content", folder / "disk.dd"
        content.mkdir()
        for name, data in members.items():
            path = content / Path(name).name
            path.write_bytes(data)
        with open(image, "wb") as file:
            file.truncate(256 << 10)
        options = ["-q", "-t", "ext4", "-O", "^has_journal", "-U", "00000000-0000-0000-0000-000000000001"]
        subprocess.run([tool, *options, "-d", str(content), str(image)], check=True, capture_output=True)
        return image.read_bytes()

    return in_scratch(build)


def _e01(disk: bytes) -> bytes:
    def build(folder: Path) -> bytes:
        image = folder / "disk.dd"
        image.write_bytes(disk)
        subprocess.run(
            ["ewfacquire", "-u", "-q", "-c", "deflate:best", "-t", str(folder / "disk"), str(image)],
            check=True,
            capture_output=True,
        )
        return (folder / "disk.E01").read_bytes()

    return in_scratch(build)
