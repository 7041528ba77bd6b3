"""Inputs that hold pictures: archives, documents, mail, stores of programs, disks and their images; and such as nothing
reads.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import io
import lzma
import plistlib
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from functools import cache
from pathlib import Path

from benchmarks.evidence_inputs import (
    FAULTS,
    Input,
    UnavailableError,
    damaged,
    encoded,
    faulty,
    file,
    members,
    of,
    tool,
)

_EPOCH = (2020, 1, 1, 0, 0, 0)
_SIZE = 320 << 10


def zipped(contents: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in contents.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, method)
    return buffer.getvalue()


def tarred(contents: dict[str, bytes], mode: str = "w") -> bytes:
    """A tar of these files; ``mode`` as of ``tarfile.open``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _sevenzip() -> bytes:
    try:
        import py7zr
    except ImportError as error:
        raise UnavailableError("py7zr is missing") from error
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as archive:
        for name, data in members().items():
            archive.writestr(data, name)
    return buffer.getvalue()


def _locked() -> bytes:
    try:
        import pyzipper
    except ImportError as error:
        raise UnavailableError("pyzipper is missing") from error
    buffer = io.BytesIO()
    with pyzipper.AESZipFile(buffer, "w", encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(b"not in any list")
        for name, data in members().items():
            archive.writestr(name, data)
    return buffer.getvalue()


def archives() -> Iterator[Input]:
    """Archives, whole and with each fault."""
    inside = of(members())
    kinds: dict[str, tuple[str, Callable[[], bytes]]] = {
        "ZIP": (".zip", lambda: zipped(members())),
        "ZIP, stored": (".zip", lambda: zipped(members(), zipfile.ZIP_STORED)),
        "ZIP in a ZIP": (".zip", lambda: zipped({"in.zip": zipped(members())})),
        "tar": (".tar", lambda: tarred(members())),
        "tar, gzip": (".tgz", lambda: gzip.compress(tarred(members()), mtime=0)),
        "tar, bzip2": (".tbz", lambda: bz2.compress(tarred(members()))),
        "tar, xz": (".txz", lambda: lzma.compress(tarred(members()))),
        "7z": (".7z", _once(_sevenzip)),
    }
    for name, (ending, content) in kinds.items():
        # A tar has checksums of its headers only.
        yield from faulty("archives", name, ending, content, lambda _: inside, checked=name != "tar")
    whole = zipped(members())
    for name, data in (
        ("ZIP without its directory", whole[: whole.index(b"PK\1\2")]),
        ("ZIP, two files of one name", _doubled()),
        ("ZIP, names that lead elsewhere", zipped({f"../../{n}": d for n, d in members().items()})),
        ("ZIP with [Content_Types].xml beside the pictures", zipped({"[Content_Types].xml": b"<Types/>", **members()})),
    ):
        yield Input("archives", name, file("a.zip", lambda data=data: data), inside)  # type: ignore[misc]
    yield Input("archives", "ZIP with AES, no password", file("a.zip", _once(_locked)), inside)


def _doubled() -> bytes:
    """The four pictures in pairs of one name."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w") as archive:
        for number, data in enumerate(members().values()):
            info = zipfile.ZipInfo("placeholder", _EPOCH)
            info.filename = f"{number // 2}"
            archive.writestr(info, data)
    return buffer.getvalue()


def documents() -> Iterator[Input]:
    """Documents, mail, and stores of programs."""
    jpeg = members()["a.jpg"]
    one = of({"": jpeg})
    as_text = base64.b64encode(jpeg).decode()
    mail = EmailMessage()
    mail["Subject"], mail["From"] = "x", "a@example.org"
    mail.set_content("text")
    for name, data in members().items():
        mail.add_attachment(data, maintype="image", subtype="x", filename=name)
    card = f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:X\r\nPHOTO;ENCODING=b;TYPE=JPEG:{as_text}\r\nEND:VCARD\r\n"
    page = f'<html><body><img src="data:image/jpeg;base64,{as_text}"></body></html>'
    box = (b"From a Thu Jan  1 00:00:00 2020\n" + mail.as_bytes() + b"\n") * 2
    for name, path, content, inside in (
        ("mail with four attachments", "a.eml", mail.as_bytes(), of(members())),
        ("mailbox of two such", "a.mbox", box, of(members())),
        ("web page with a data: address", "a.html", page.encode(), one),
        ("vCard with a photograph", "a.vcf", card.encode(), one),
        ("binary plist", "a.plist", plistlib.dumps({"x": [jpeg]}, fmt=plistlib.FMT_BINARY), one),
        ("XML plist", "a.plist", plistlib.dumps({"x": [jpeg]}), one),
        ("SQLite with pictures in rows", "a.db", _database(), of(members())),
        ("RTF with a picture", "a.rtf", b"{\\rtf1 {\\pict\\jpegblip " + jpeg.hex().encode() + b"}}", one),
        ("text with a uuencoded file", "a.txt", _uuencoded(jpeg), one),
        ("song with a cover (MP3)", "a.mp3", b"ID3\3\0\0\0\0\x7f\x7fAPIC" + bytes(7) + b"image/jpeg\0\3\0" + jpeg, one),
        ("file of no known kind, a picture behind its header", "a.bin", b"head\0\1\2\3" * 9 + jpeg + b"tail", one),
        ("DOCX", "a.docx", zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w/>",
                                   "word/media/i.jpg": jpeg}), one),
    ):  # fmt: skip
        yield Input("documents and stores", name, file(path, lambda content=content: content), inside)  # type: ignore[misc]
    yield Input("documents and stores", "PDF with a JPEG", file("a.pdf", lambda: encoded("PDF")), drawn=1)


def _uuencoded(data: bytes) -> bytes:
    lines = b"".join(binascii.b2a_uu(data[at : at + 45]) for at in range(0, len(data), 45))
    return b"words\nbegin 644 a.jpg\n" + lines + b"`\nend\n"


_STORE = """
import pathlib, sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    database.execute("CREATE TABLE cache (key TEXT, data BLOB)")
    rows = [(path.name, path.read_bytes()) for path in sorted(pathlib.Path(sys.argv[2]).iterdir())]
    database.executemany("INSERT INTO cache VALUES (?, ?)", rows)
"""


def _database() -> bytes:
    """As another program writes it: in this one, the catalogue alone speaks SQL."""
    with tempfile.TemporaryDirectory() as scratch:
        path, folder = Path(scratch) / "a.db", Path(scratch) / "in"
        folder.mkdir()
        for name, data in members().items():
            (folder / name).write_bytes(data)
        subprocess.run([sys.executable, "-c", _STORE, str(path), str(folder)], check=True)
        return path.read_bytes()


def _once(content: Callable[[], bytes]) -> Callable[[], bytes]:
    return cache(content)


@cache
def fat() -> bytes:
    """A FAT file system with the four pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        image, folder = Path(scratch) / "fat.dd", Path(scratch) / "in"
        folder.mkdir()
        image.write_bytes(bytes(_SIZE))
        tool("mkfs.vfat", image)
        for name, data in members().items():
            (folder / name).write_bytes(data)
            tool("mcopy", "-m", "-i", image, folder / name, "::")
        return image.read_bytes()


@cache
def _ext4() -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        image, folder = Path(scratch) / "ext.dd", Path(scratch) / "in"
        folder.mkdir()
        for name, data in members().items():
            (folder / name).write_bytes(data)
        image.write_bytes(bytes(_SIZE))
        tool("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", folder, image)
        return image.read_bytes()


@cache
def _ntfs() -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch) / "ntfs.dd"
        image.write_bytes(bytes(8 * _SIZE))
        tool("mkntfs", "-q", "-F", "-f", image)
        for name, data in members().items():
            (Path(scratch) / name).write_bytes(data)
            tool("ntfscp", "-f", image, Path(scratch) / name, name)
        return image.read_bytes()


def _converted(*options: str) -> Callable[[], bytes]:
    """The FAT file system as another image format, by qemu-img."""

    @cache
    def made() -> bytes:
        with tempfile.TemporaryDirectory() as scratch:
            source, target = Path(scratch) / "fat.dd", Path(scratch) / "out"
            source.write_bytes(fat())
            tool("qemu-img", "convert", "-f", "raw", *options, source, target)
            return target.read_bytes()

    return made


def _acquired(*options: str) -> Callable[[], bytes]:
    @cache
    def made() -> bytes:
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch) / "fat.dd"
            source.write_bytes(fat())
            tool("ewfacquire", "-u", "-q", *options, "-t", Path(scratch) / "out", source)
            return (Path(scratch) / "out.E01").read_bytes()

    return made


@cache
def disc() -> bytes:
    """A disc with the four pictures, in UDF beside ISO 9660."""
    with tempfile.TemporaryDirectory() as scratch:
        image, folder = Path(scratch) / "a.iso", Path(scratch) / "in"
        folder.mkdir()
        for name, data in members().items():
            (folder / name).write_bytes(data)
        tool("genisoimage", "-quiet", "-udf", "-hide", "*.jpg", "-o", image, folder)
        return image.read_bytes()


def disks() -> Iterator[Input]:
    """Disks with the four pictures, raw and in every image format, whole and with each fault."""
    inside = of(members())
    # Neither a raw image nor these formats have checksums of what is on the disk.
    for name, content, checked in (
        ("FAT, raw", fat, False),
        ("ext4, raw", _ext4, False),
        ("NTFS, raw", _ntfs, False),
        ("UDF beside ISO 9660, which hides one", disc, False),
        ("FAT in E01", _acquired("-c", "deflate:best"), True),
        ("FAT in E01, not deflated", _acquired("-c", "deflate:none"), True),
        ("FAT in QCOW2", _converted("-O", "qcow2"), False),
        ("FAT in QCOW2, compressed", _converted("-c", "-O", "qcow2"), False),
        ("FAT in VMDK", _converted("-O", "vmdk"), False),
        ("FAT in VMDK, streamed", _converted("-O", "vmdk", "-o", "subformat=streamOptimized"), False),
        ("FAT in VHD", _converted("-O", "vpc"), False),
        ("FAT in VHDX", _converted("-O", "vhdx"), False),
        ("FAT in VDI", _converted("-O", "vdi"), False),
    ):
        yield from faulty(
            "disks", name, ".E01" if "E01" in name else ".img", content, lambda _: inside, checked=checked
        )
    for fault in FAULTS[:2]:
        yield Input("disks", "FAT in three parts", _split(fault), inside, checked=False, fault=fault)
    yield Input("disks", "FAT in three parts, the second missing", _split("missing"), inside, checked=False)


def _split(fault: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        data = damaged(fat(), fault) if fault != "missing" else fat()
        part = -(-_SIZE // 3 // 512) * 512
        pieces = [data[:part], data[part : 2 * part], data[2 * part :]]
        for number, piece in enumerate(pieces, start=1):
            if piece and not (fault == "missing" and number == 2):
                (folder / f"a.{number:03}").write_bytes(piece)

    return write


def unread() -> Iterator[Input]:
    """What nothing here reads, or that is locked: each is called by its name."""
    zeros = bytes(8192)

    def at(offset: int, magic: bytes) -> bytes:
        return zeros[:offset] + magic + zeros[offset + len(magic) :]

    for name, data in {
        "LUKS volume": at(0, b"LUKS\xba\xbe\0\2"),
        "BitLocker volume": at(0, b"\xeb\x58\x90-FVE-FS-") [:510] + b"\x55\xaa" + zeros,
        "LVM volume": at(512, b"LABELONE") [:536] + b"LVM2 001" + zeros,
        "APFS volume": at(32, b"NXSB"),
        "XFS volume": at(0, b"XFSB\0\0\x10\0"),
        "F2FS volume": at(1024, b"\x10\x20\xf5\xf2"),
        "squashfs": at(0, b"hsqs"),
        "RAR": b"Rar!\x1a\x07\x01\0" + zeros,
        "CAB": b"MSCF\0\0\0\0" + zeros,
        "AD1": b"ADSEGMENTEDFILE\0" + zeros,
        "OpenEXR": b"\x76\x2f\x31\x01\2\0\0\0" + zeros,
        "DICOM": at(128, b"DICM"),
    }.items():  # fmt: skip
        yield Input("nothing reads", name, file("a.bin", lambda data=data: data))  # type: ignore[misc]
    yield Input("nothing reads", "text", file("a.txt", lambda: b"not a picture\n" * 9))
    yield Input("nothing reads", "an empty file", file("a.jpg", bytes))
