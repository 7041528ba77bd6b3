"""Inputs of further kinds: mail stores, packers, covers, digits in text, discs, and what is called by its name."""

from __future__ import annotations

import base64
import gzip
import io
import json
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.evidence_ex01 import ex01
from benchmarks.evidence_inputs import Input, UnavailableError, faulty, file, members, of
from benchmarks.evidence_pst import Form, Message, pst
from benchmarks.evidence_stores import disc, fat, tarred, zipped
from benchmarks.hostile_nests import flash, packed_alone

_NOISE = random.Random(5).randbytes(9_000)


def further() -> Iterator[Input]:
    """All of them."""
    yield from _archives()
    yield from _documents()
    yield from _disks()
    yield from _named()


def _by_libarchive(packer: str) -> Callable[[], bytes]:
    def made() -> bytes:
        try:
            import libarchive
        except (ImportError, OSError, TypeError, AttributeError) as error:
            raise UnavailableError("libarchive is missing") from error
        parts: list[bytes] = []

        def take(data: bytes) -> int:
            parts.append(bytes(data))
            return len(data)

        with libarchive.custom_writer(take, "gnutar", packer) as archive:
            for name, data in members().items():
                archive.add_file_from_memory(name, len(data), data)
        return b"".join(parts)

    return made


def _archives() -> Iterator[Input]:
    inside = of(members())
    for name, ending, content, checked in (
        ("tar, LZMA by itself", ".tar.lzma", lambda: packed_alone(tarred(members())), False),
        ("tar, zlib", ".z", lambda: zlib.compress(tarred(members())), True),
        ("tar, LZ4", ".tar.lz4", _by_libarchive("lz4"), False),
        ("tar, lzip", ".tar.lz", _by_libarchive("lzip"), True),
        ("tar, compress", ".tar.Z", _by_libarchive("compress"), False),
    ):
        yield from faulty("archives", name, ending, content, lambda _: inside, checked=checked)
    whole = zipped(members())
    at = whole.index(b"PK\1\2", whole.index(b"PK\1\2") + 4)
    end = whole.index(b"PK\1\2", at + 4)
    fields = list(struct.unpack("<4s4H2IH", whole[-22:]))
    fields[3], fields[4], fields[5] = fields[3] - 1, fields[4] - 1, fields[5] - (end - at)
    gone = whole[:at] + whole[end:-22] + struct.pack("<4s4H2IH", *fields)
    yield Input("archives", "ZIP, a file that its directory does not name", file("a.zip", lambda: gone), inside)
    comment = zipped({"a.txt": b"text"})[:-2] + struct.pack("<H", len(members()["a.jpg"])) + members()["a.jpg"]
    one = of({"": members()["a.jpg"]})
    yield Input("archives", "ZIP, a picture in its comment", file("a.zip", lambda: comment), one)


def _documents() -> Iterator[Input]:
    inside, jpeg = of(members()), members()["a.jpg"]
    one = of({"": jpeg})
    letters = [Message("a", attached=list(members().items())[:2])]
    letters += [Message("b", attached=[("in it", Message("c", attached=list(members().items())[2:]))])]
    for name, form in (("PST of 1997", Form(15, 1)), ("PST", Form(23, 1)), ("OST of 2013", Form(36))):
        yield from faulty("mail stores", name, ".pst", partial(pst, letters, form), lambda _: inside)
    gone = [Message("a", attached=list(members().items()), deleted=True)]
    yield Input("mail stores", "PST, messages in no folder", file("a.pst", lambda: pst(gone)), inside)
    yield Input("mail stores", "PST, encrypted by Windows", file("a.pst", lambda: pst(letters, Form(23, 0x10))))
    digits = ", ".join(str(byte) for byte in jpeg)
    comment = b"METADATA_BLOCK_PICTURE=" + base64.b64encode(struct.pack(">II", 3, 0) + bytes(24) + jpeg)
    for name, path, content in (
        ("dump of SQLite, hexadecimal", "a.sql", b"INSERT INTO t VALUES(X'" + jpeg.hex().encode() + b"');"),
        ("dump of PostgreSQL", "a.sql", b"COPY t FROM stdin;\n1\t\\\\x" + jpeg.hex().encode() + b"\n\\.\n"),
        ("JSON, decimal", "a.json", b'{"data": [' + digits.encode() + b"]}"),
        ("JSON, gzip in base64", "a.json", json.dumps([base64.b64encode(gzip.compress(jpeg)).decode()]).encode()),
        ("text with a file in yEnc", "a.txt", _yenc(jpeg)),
        ("sound with a cover (M4A)", "a.m4a", _box(b"ftyp", b"M4A \0\0\0\0") + _box(b"moov", _box(b"udta", jpeg))),
        ("sound with a cover (Opus)", "a.opus", _page(b"OpusHead\1\1" + bytes(9)) + _page(_tags(comment))),
        ("sound with a cover (WAV)", "a.wav", _riff(b"WAVE", _chunk(b"data", _NOISE), _chunk(b"id3 ", jpeg))),
        ("video with an attached picture (Matroska)", "a.mkv", _matroska(jpeg)),
        ("Flash that packs itself", "a.swf", flash(_NOISE + jpeg)),
        ("notebook of OneNote", "a.one", bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + _NOISE + jpeg),
        ("database of Access", "a.mdb", b"\0\1\0\0Standard Jet DB\0" + _NOISE + jpeg + _NOISE),
        ("book for Kindle", "a.mobi", bytes(60) + b"BOOKMOBI" + _NOISE + jpeg),
    ):
        yield Input("documents and stores", name, file(path, lambda content=content: content), one)  # type: ignore[misc]


def _disks() -> Iterator[Input]:
    def raw() -> bytes:
        head = b"\0" + b"\xff" * 10 + b"\0" + bytes(3) + b"\1"
        image = disc()
        return b"".join(head + image[at : at + 2048] + bytes(288) for at in range(0, len(image), 2048))

    def acquired() -> bytes:
        return ex01(fat())[0]

    yield from faulty("disks", "FAT in Ex01", ".Ex01", acquired, lambda _: of(members()))
    yield from faulty("disks", "CD in raw sectors", ".bin", raw, lambda _: of(members()), checked=False)


def _named() -> Iterator[Input]:
    zeros = bytes(600)
    for name, path, data in (
        ("mail folder of Outlook Express", "a.dbx", bytes.fromhex("cfad12fec5fd746f66e3d111") + zeros),
        ("database of Lotus Notes", "a.nsf", b"\x1a\0\0\4\0\0" + zeros),
        ("compiled help", "a.chm", b"ITSF\3\0\0\0" + zeros),
        ("file of OpenPGP", "a.gpg", b"\x85\2\x0c\3" + _NOISE),
        ("KeePass database", "a.kdbx", bytes.fromhex("03d9a29a67fb4bb5") + zeros),
        ("backup of Signal", "a.backup", b"\0\0\0\x36\x0a\x34\x0a\x10" + b"\7" * 16 + b"\x12\x20" + b"\7" * 90),
        ("backup of WhatsApp", "msgstore.db.crypt15", _NOISE),
        ("Nero image", "a.nrg", bytes(4096) + b"\1NER5" + bytes(8)),
        ("description of a disc", "a.mds", b"MEDIA DESCRIPTOR\1" + zeros),
        ("message encrypted by S/MIME", "a.p7m", b"0\x82\2\0\x06\x09\x2a\x86\x48\x86\xf7\x0d\1\7\3" + zeros),
        ("video of a recorder (DAV)", "a.dav", b"DHAV\xfd" + zeros),
        ("random bytes of a whole number of sectors", "a.hc", random.Random(1).randbytes(1 << 19)),
    ):
        yield Input("nothing reads", name, file(path, lambda data=data: data))  # type: ignore[misc]


def _yenc(data: bytes) -> bytes:
    letters = bytes((byte + 42) & 255 for byte in data)
    escaped = b"".join(b"=" + bytes([(one + 64) & 255]) if one in b"\0\n\r=" else bytes([one]) for one in letters)
    return b"=ybegin line=128 size=%d name=a.jpg\r\n" % len(data) + escaped + b"\r\n=yend\r\n"


def _box(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data) + 8) + name + data


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def _riff(kind: bytes, *chunks: bytes) -> bytes:
    return _chunk(b"RIFF", kind + b"".join(chunks))


def _tags(comment: bytes) -> bytes:
    return b"OpusTags" + struct.pack("<IBII", 1, 120, 1, len(comment)) + comment


def _page(payload: bytes) -> bytes:
    """A packet in pages of Ogg."""
    made, sizes = io.BytesIO(), [255] * (len(payload) // 255) + [len(payload) % 255]
    for at in range(0, len(sizes), 255):
        part = bytes(sizes[at : at + 255])
        made.write(b"OggS\0\0" + bytes(20) + bytes([len(part)]) + part + payload[at * 255 :][: sum(part)])
    return made.getvalue()


def _matroska(jpeg: bytes) -> bytes:
    def element(number: str, data: bytes) -> bytes:
        return bytes.fromhex(number) + b"\1" + len(data).to_bytes(7, "big") + data

    attached = element("1941a469", element("61a7", jpeg))
    return element("1a45dfa3", b"\x42\x82\x84webm") + element("18538067", element("1f43b675", _NOISE) + attached)
