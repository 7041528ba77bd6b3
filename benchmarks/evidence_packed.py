"""Inputs of further kinds: members of a ZIP by every packing, files in parts, journals, phones, signed mail, text by
escapes, and TIFFs put together from pictures.
"""

from __future__ import annotations

import base64
import io
import json
import lzma
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.certificate import certificate
from benchmarks.evidence_inputs import PX, Input, UnavailableError, faulty, file, members, of, picture, sha256
from benchmarks.evidence_stores import tarred, zipped
from benchmarks.hostile_carriers import cpio, thumbcache, ufdr

_PARTS = 3
_ROWS = 40
_JPEG_2000, _WEBP, _LERC = 34712, 50001, 34887


def packed() -> Iterator[Input]:
    """All of them."""
    yield from _stills()
    yield from _archives()
    yield from _documents()


def _tiff(compression: int, format: str, **options: Any) -> bytes:
    """A TIFF in strips that are each a picture of their own."""
    whole, parts = picture(31), []
    for top in range(0, PX[1], _ROWS):
        buffer = io.BytesIO()
        whole.crop((0, top, PX[0], top + _ROWS)).save(buffer, format, **options)
        parts.append(buffer.getvalue())
    at, places = 8, []
    for part in parts:
        places.append(at)
        at += len(part)
    lists = at + 2 + 12 * 10 + 4
    said = [(256, PX[0]), (257, PX[1]), (258, lists), (259, compression), (262, 2), (273, lists + 6), (277, 3)]
    said += [(278, _ROWS), (279, lists + 6 + 4 * len(parts)), (284, 1)]
    counts = {258: 3, 273: len(parts), 279: len(parts)}
    entries = b"".join(
        struct.pack("<HHII", tag, 3 if tag == 258 else 4, counts.get(tag, 1), value) for tag, value in said
    )
    numbers = struct.pack(f"<3H{2 * len(parts)}I", 8, 8, 8, *places, *map(len, parts))
    head = b"II*\0" + struct.pack("<I", at)
    return head + b"".join(parts) + struct.pack("<H", len(said)) + entries + bytes(4) + numbers


def _stills() -> Iterator[Input]:
    for name, compression, format, options in (
        ("TIFF of JPEG 2000", _JPEG_2000, "JPEG2000", {"no_jp2": True}),
        ("TIFF of WebP", _WEBP, "WEBP", {"lossless": True}),
    ):
        made = partial(_tiff, compression, format, **options)
        yield from faulty("pictures", name, ".tif", made, lambda data: frozenset({sha256(data)}))
    yield Input("nothing reads", "TIFF packed by LERC", file("a.tif", partial(_tiff, _LERC, "PNG")))


def _member(method: int, pack: Callable[[bytes], bytes]) -> bytes:
    """A ZIP of the four files that are packed in some way, which zipfile does not write (APPNOTE.TXT)."""
    made, directory = b"", b""
    for name, data in members().items():
        body, label = pack(data), name.encode()
        said = (method, 0, 0x5A21, zlib.crc32(data), len(body), len(data), len(label))
        directory += struct.pack("<4s6H3I5H2I", b"PK\1\2", 63, 63, 0, *said, 0, 0, 0, 0, 0, len(made)) + label
        made += struct.pack("<4s5H3I2H", b"PK\3\4", 63, 0, *said, 0) + label + body
    count = len(members())
    return made + directory + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), len(made), 0)


def _deflate64(data: bytes) -> bytes:
    try:
        from inflate64 import Deflater
    except ImportError as error:
        raise UnavailableError("inflate64 is missing") from error
    deflater = Deflater()
    return bytes(deflater.deflate(data) + deflater.flush())


def _zstandard(data: bytes) -> bytes:
    try:
        from backports import zstd
    except ImportError as error:
        raise UnavailableError("backports.zstd is missing") from error
    return bytes(zstd.compress(data))


def _ppmd(data: bytes) -> bytes:
    try:
        from pyppmd import Ppmd8Encoder
    except ImportError as error:
        raise UnavailableError("pyppmd is missing") from error
    encoder = Ppmd8Encoder(6, 1 << 24)
    return struct.pack("<H", 5 | 15 << 4) + bytes(encoder.encode(data) + encoder.flush())


def _archives() -> Iterator[Input]:
    inside = of(members())
    for name, method, pack in (
        ("ZIP, Deflate64", 9, _deflate64),
        ("ZIP, Zstandard", 93, _zstandard),
        ("ZIP, xz", 95, lzma.compress),
        ("ZIP, PPMd", 98, _ppmd),
    ):
        yield from faulty("archives", name, ".zip", partial(_member, method, pack), lambda _: inside)
    yield from faulty("archives", "cpio", ".cpio", lambda: cpio(members()), lambda _: inside, checked=False)
    whole = zipped(members())
    size = -(-len(whole) // _PARTS)
    parts = {f"a.zip.{n + 1:03}": whole[n * size : (n + 1) * size] for n in range(_PARTS)}
    yield Input("archives", "ZIP in three parts, in a tar", file("a.tar", lambda: tarred(parts)), inside)
    lost = {name: data for name, data in parts.items() if not name.endswith("2")}
    yield Input("archives", "the same, the second missing", file("a.tar", lambda: tarred(lost)), inside, checked=False)


# What a database leaves beside it: a log of what is not yet in it, or what it was before.
_LEAVE = """
import sqlite3, sys
from pathlib import Path
path, mode, *pictures = sys.argv[1:]
database = sqlite3.connect(path, isolation_level=None)
database.execute(f"PRAGMA journal_mode = {mode}")
database.execute("CREATE TABLE pictures (data BLOB)")
database.executemany("INSERT INTO pictures VALUES (?)", [(Path(one).read_bytes(),) for one in pictures])
if mode == "PERSIST":
    database.execute("PRAGMA secure_delete = ON")
    database.execute("DELETE FROM pictures")
sys.stdout.buffer.write(Path(path + ("-wal" if mode == "WAL" else "-journal")).read_bytes())
"""


def _journal(mode: str) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, data in members().items():
            (folder / name).write_bytes(data)
        pictures = [str(folder / name) for name in members()]
        command = [sys.executable, "-c", _LEAVE, str(folder / "a.db"), mode, *pictures]
        return subprocess.run(command, check=True, capture_output=True).stdout


def _signed() -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.serialization import pkcs7

    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@b", "c"
    mail.set_content("d")
    for name, data in members().items():
        mail.add_attachment(data, maintype="image", subtype="jpeg", filename=name)
    with tempfile.TemporaryDirectory() as scratch:
        where, key = certificate(Path(scratch))
        who = x509.load_pem_x509_certificate(where.read_bytes())
        secret = serialization.load_pem_private_key(key.read_bytes(), None)
    made = pkcs7.PKCS7SignatureBuilder().set_data(mail.as_bytes()).add_signer(who, secret, hashes.SHA256())  # type: ignore[arg-type]
    return made.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])


def _inline() -> bytes:
    """A PDF whose picture stands in the instructions of a page."""
    pixels = picture(32).tobytes()
    drawn = b"q BI /W %d /H %d /CS /RGB /BPC 8 ID %b EI Q" % (*PX, pixels)
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 160 120]/Contents 4 0 R>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(drawn), drawn),
    )
    made, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(made))
        made += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    tail = b"trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(made)
    return made + b"xref\n0 5\n0000000000 65535 f \n" + table + tail


def _documents() -> Iterator[Input]:
    inside, jpeg = of(members()), members()["a.jpg"]
    one = of({"": jpeg})
    octal = "".join(f"\\{byte:03o}" for byte in jpeg).encode()
    coded = base64.b64encode(jpeg).decode()
    android = b"ANDROID BACKUP\n5\n1\nnone\n" + zlib.compress(
        tarred({f"apps/a/f/{n}": d for n, d in members().items()})
    )
    for name, path, content, pictures in (
        ("text, octal between quotes", "a.c", b'char a[] = "' + octal + b'";', one),
        ("JSON, letters by their numbers", "a.json", json.dumps([jpeg.decode("latin-1")]).encode(), one),
        ("JSON, base64 with each slash escaped", "a.json", json.dumps([coded]).replace("/", "\\u002F").encode(), one),
        ("settings, base64", "a.ini", f"[a]\nphoto={coded}\nname=b\n".encode(), one),
        ("thumbnails of Windows (thumbcache)", "thumbcache_96.db", thumbcache(members()), inside),
        ("report of a phone (UFDR)", "a.ufdr", zipped(ufdr(members())), inside),
        ("backup of Android", "a.ab", android, inside),
        ("mail in an opaque signature (S/MIME)", "a.p7m", _signed(), inside),
    ):
        yield Input("documents and stores", name, file(path, lambda content=content: content), pictures)  # type: ignore[misc]
    for name, mode in (("write-ahead log of SQLite", "WAL"), ("journal of SQLite that is done with", "PERSIST")):
        yield Input("documents and stores", name, file("left", partial(_journal, mode)), inside)
    yield Input("documents and stores", "PDF, a picture in its instructions", file("a.pdf", _inline), drawn=1)
