"""Stores in which programs keep pictures give each of them, byte by byte, and find it again by its place."""

import base64
import gzip
import json
import plistlib
import sqlite3
import struct
import zlib
from urllib.parse import quote

import pytest

from imgmatch.evidence import walk
from imgmatch.evidence.options import SourceOptions
from imgmatch.evidence.reopen import Reopener
from imgmatch.types import Evidence, Issue
from tests.conftest import encode, picture

JPEG, PNG = encode(picture(1), "JPEG"), encode(picture(2), "PNG")
GIF, BMP, WEBP = encode(picture(3), "GIF"), encode(picture(4), "BMP"), encode(picture(5), "WEBP", lossless=True)
LARGE = encode(picture(6, (400, 300)), "PNG")
ALL = {"jpeg": JPEG, "png": PNG, "gif": GIF, "bmp": BMP, "webp": WEBP}


def found(path, **options):
    """Content of what is found in a file by its place below it; each is found again with the same bytes."""
    members, again = {}, Reopener(SourceOptions(**options))
    for member in walk(path, options=SourceOptions(**options)):
        if isinstance(member, Evidence) and member.locator.parent is not None:
            with member.open() as stream:
                data = stream.read()
            members[str(member.locator).partition("|")[2]] = data
            with again.reopen(member.locator).open() as stream:
                assert stream.read() == data, member.locator
    return members


def issues(path, **options):
    return [entry for entry in walk(path, options=SourceOptions(**options)) if isinstance(entry, Issue)]


# SQLite


def database(path, page_bytes=4096, **pragmas):
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA page_size = {page_bytes}")
    for name, value in pragmas.items():
        db.execute(f"PRAGMA {name} = {value}")
    return db


@pytest.mark.parametrize("page_bytes", [512, 4096, 65536])
def test_pictures_in_any_column_of_a_database(tmp_path, page_bytes):
    db = database(tmp_path / "a.db", page_bytes, auto_vacuum=1)
    db.execute(
        "CREATE TABLE 'my thumbs' (id INTEGER PRIMARY KEY, [the name] TEXT, data BLOB CHECK (id > 0), more, CHECK(1))"
    )
    for number, data in enumerate([*ALL.values(), LARGE], start=1):
        db.execute("INSERT INTO 'my thumbs' VALUES (?, ?, ?, ?)", (number, f"n{number}", b"x" * 30, data))
    db.execute("CREATE TABLE keyed (a, b, c, PRIMARY KEY (a, b)) WITHOUT ROWID")
    db.executemany("INSERT INTO keyed VALUES (?, ?, ?)", [(n, "b" * 40, encode(picture(n), "JPEG")) for n in range(12)])
    db.execute("CREATE INDEX i ON keyed (b)")
    db.commit()
    db.close()
    members = found(tmp_path / "a.db")
    assert {members[f"sqlite:my thumbs/{n}/more"] for n in range(1, 7)} == {*ALL.values(), LARGE}
    keyed = [data for place, data in members.items() if place.startswith("sqlite:keyed/") and place.endswith("/c")]
    assert sorted(keyed) == sorted(encode(picture(n), "JPEG") for n in range(12))
    assert not [entry for entry in issues(tmp_path / "a.db") if entry.error != "not_a_picture"]


def test_pictures_behind_headers_packed_and_as_text_in_a_database(tmp_path):
    db = database(tmp_path / "a.db", encoding="'UTF-16'")
    db.execute("CREATE TABLE t (v)")
    inner = plistlib.dumps({"a": [PNG, {"b": "text"}]}, fmt=plistlib.FMT_BINARY)
    values = [
        b"\x08\x96\x01\x12head" + JPEG,
        gzip.compress(inner),
        "data:image/png;base64," + base64.b64encode(PNG).decode(),
        json.dumps({"x": base64.b64encode(JPEG).decode()}).replace("/", "\\/"),
        b"\x0a\x04" + PNG + b"\x12\x05other" + JPEG + b"\x18\x01",
        b"nothing of the kind" * 40,
    ]
    db.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
    db.commit()
    db.close()
    members = found(tmp_path / "a.db")
    assert members["sqlite:t/1/v/+8"] == JPEG
    assert members["sqlite:t/2/v/gz/a/0"] == PNG
    by_row = {row: [data for at, data in members.items() if at.startswith(f"sqlite:t/{row}/")] for row in range(1, 7)}
    assert by_row[3] == [PNG]
    assert by_row[4] == [JPEG]
    assert by_row[5] == [PNG, JPEG]
    assert by_row[6] == []


def test_rows_let_go_of_and_a_log_beside(tmp_path):
    pictures = [encode(picture(n, (160, 120)), "PNG") for n in range(12)]
    db = database(tmp_path / "a.db", secure_delete=0)
    db.execute("CREATE TABLE kept (data BLOB)")
    db.execute("CREATE TABLE gone (data BLOB)")
    db.executemany("INSERT INTO gone VALUES (?)", [(data,) for data in pictures[:6]])
    db.execute("INSERT INTO kept VALUES (?)", (JPEG,))
    db.commit()
    db.execute("DROP TABLE gone")
    db.commit()
    db.close()
    members = found(tmp_path / "a.db")
    assert members["sqlite:kept/1/data"] == JPEG
    deleted = [data for place, data in members.items() if place.startswith("deleted:")]
    assert set(deleted) <= set(pictures[:6])
    assert len(deleted) >= 5  # one page was taken for the list of free ones
    assert not [place for place in found(tmp_path / "a.db", deleted=False) if place.startswith("deleted:")]

    db = database(tmp_path / "b.db", journal_mode="WAL")
    db.execute("CREATE TABLE t (name, data BLOB)")
    db.commit()
    db.executemany("INSERT INTO t VALUES ('n', ?)", [(data,) for data in pictures[6:]])
    db.commit()
    (tmp_path / "copy.db-wal").write_bytes((tmp_path / "b.db-wal").read_bytes())
    db.close()
    assert sorted(found(tmp_path / "copy.db-wal").values()) == sorted(pictures[6:])


def test_damaged_databases_say_so_and_give_the_rest(tmp_path):
    db = database(tmp_path / "a.db")
    db.execute("CREATE TABLE t (data BLOB)")
    db.executemany("INSERT INTO t VALUES (?)", [(encode(picture(n, (200, 200)), "PNG"),) for n in range(8)])
    db.commit()
    db.close()
    whole = (tmp_path / "a.db").read_bytes()
    cut = tmp_path / "cut.db"
    cut.write_bytes(whole[: len(whole) * 2 // 3 + 100])
    assert 0 < len(found(cut)) < 8
    assert {entry.error for entry in issues(cut)} == {"broken_document"}
    for at in (16, 33, 100, 104, 4000):
        broken = bytearray(whole)
        broken[at] ^= 0xFF
        cut.write_bytes(broken)
        assert found(cut) or issues(cut)


# Lists of properties, text


def test_values_of_property_lists(tmp_path):
    archived = {"$archiver": "NSKeyedArchiver", "$objects": ["$null", {"NS.data": JPEG}, b"hd" + PNG]}
    inner = plistlib.dumps(archived, fmt=plistlib.FMT_BINARY)
    page = f'<img src="data:image/gif;base64,{base64.b64encode(GIF).decode()}">'.encode()
    web = {"WebMainResource": {"WebResourceData": page}, "WebSubresources": [{"WebResourceData": WEBP}], "in": inner}
    (tmp_path / "a.webarchive").write_bytes(plistlib.dumps(web, fmt=plistlib.FMT_BINARY))
    members = found(tmp_path / "a.webarchive")
    assert members["plist:WebSubresources/0/WebResourceData"] == WEBP
    assert members["plist:in/$objects/1/NS.data"] == JPEG
    assert members["plist:in/$objects/2/+2"] == PNG
    assert GIF in members.values()
    (tmp_path / "b.plist").write_bytes(plistlib.dumps({"x": [JPEG, inner]}))
    assert sorted(found(tmp_path / "b.plist").values()) == sorted([JPEG, JPEG, PNG])


def test_a_deep_and_a_circular_property_list_end(tmp_path):
    deep = PNG
    for _ in range(300):
        deep = [deep]
    path = tmp_path / "deep.plist"
    path.write_bytes(plistlib.dumps(deep, fmt=plistlib.FMT_BINARY))
    assert list(found(path).values()) == [PNG]
    circular = bytearray(b"bplist00" + b"\xa2\x00\x01" + b"\x4f\x11" + struct.pack(">H", len(PNG)) + PNG)
    table = len(circular)
    circular += bytes([8, 11]) if table < 256 else struct.pack(">HH", 8, 11)
    circular += struct.pack(">6xBBQQQ", 2, 1, 2, 0, table)
    path.write_bytes(circular)
    assert list(found(path).values()) == [PNG]


def folded(text, width=72, start=" "):
    return ("\r\n" + start).join(text[at : at + width] for at in range(0, len(text), width))


def b64(data):
    return base64.b64encode(data).decode()


TEXTS = {
    "vcard 2.1": lambda data: (
        f"BEGIN:VCARD\r\nVERSION:2.1\r\nPHOTO;JPEG;ENCODING=BASE64:\r\n {folded(b64(data))}\r\n\r\nEND:VCARD\r\n"
    ),
    "vcard 2.1 unfolded": lambda data: f"PHOTO;ENCODING=BASE64:{folded(b64(data), 76, '')}\r\nEND:VCARD\r\n",
    "vcard 3": lambda data: f"PHOTO;ENCODING=b:{folded(b64(data)).replace(chr(13), '')}\nTEL;TYPE=CELL:+1\n",
    "vcard 4": lambda data: f"PHOTO:data:image/jpeg;base64\\,{folded(b64(data))}\r\nitem1.TEL:1\r\n",
    "ldif": lambda data: f"dn: cn=x\njpegPhoto:: {folded(b64(data)).replace(chr(13), '')}\nmail: a@b\n",
    "html": lambda data: f"<p><img src='data:image/x;charset=utf-8;base64,{b64(data)}'> more words here",
    "html in lines": lambda data: f'<img src="data:image/x;base64,\n{folded(b64(data), 60, "   ")}\n"> end',
    "html entities": lambda data: (
        '<img src="data:;base64,' + b64(data).replace("/", "&#x2F;").replace("+", "&#43;") + '">'
    ),
    "percent": lambda data: f"a {{ background: url(data:image/x;base64,{quote(b64(data), safe='')}) }}",
    "raw percent": lambda data: f"a {{ background: url(data:image/x,{quote(data, safe='')}) }}",
    "json": lambda data: json.dumps({"a": 1, "thumb": b64(data), "b": [2]}),
    "json escaped": lambda data: json.dumps({"thumb": b64(data)}).replace("/", "\\/").replace("+", "\\u002b"),
    "xml attribute": lambda data: f'<part seq="0" ct="image/jpeg" data="{b64(data)}" />',
    "xml element": lambda data: f"<photo>\n{folded(b64(data), 64, '')}\n</photo>",
    "svg in css": lambda data: (
        "b{background:url(data:image/svg+xml;base64,"
        + b64(f'<svg><image href="data:image/x;base64,{b64(data)}"/></svg>'.encode())
        + ")}"
    ),
    "json, each slash by its number": lambda data: (
        json.dumps({"t": b64(data)}).replace("/", "\\u002F").replace("+", "\\u002B")
    ),
    "settings": lambda data: "[user]\nphoto=" + b64(data) + "\nname=x\n",
    "form": lambda data: "a=1&photo=" + quote(b64(data), safe="") + "&b=2",
    "url safe": lambda data: '{"t":"' + base64.urlsafe_b64encode(data).decode().rstrip("=") + '"}',
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("name", ["jpeg", "png"])
def test_pictures_that_text_carries(tmp_path, kind, name):
    for extra in range(3):  # whatever the padding
        data = ALL[name] if name == "png" else ALL[name] + bytes(extra)
        path = tmp_path / f"{kind}{extra}.txt"
        path.write_bytes(TEXTS[kind](data).encode())
        assert list(found(path).values()) == [data], kind
        assert [entry.error for entry in issues(path)] == []


def test_text_carries_any_format_far_behind_its_start_and_in_any_encoding(tmp_path):
    text = "x" * 300_000 + "".join(f'\n<img src="data:image/{name};base64,{b64(data)}">' for name, data in ALL.items())
    (tmp_path / "a.html").write_text(text)
    (tmp_path / "b.html").write_bytes(text.encode("utf-16"))
    (tmp_path / "c.json").write_text(json.dumps([b64(data) for data in ALL.values()]))
    for name in ("a.html", "b.html", "c.json"):
        assert sorted(found(tmp_path / name).values()) == sorted(ALL.values()), name


@pytest.mark.parametrize(
    "text",
    [
        b"plain words, data: none, 9j and /9j/4 in them",
        b'x = "data:image/png;base64," + y; u = "data:" + z',
        b"a { src: url(data:font/woff2;base64,d09GMgABAAAAAA" + b"AB" * 400 + b") }",
        b"#!/bin/sh\n" + b"echo R0lGOD\n" * 500,
    ],
)
def test_other_text_is_no_container(tmp_path, text):
    (tmp_path / "a.txt").write_bytes(text)
    assert found(tmp_path / "a.txt") == {}
    (only,) = walk(tmp_path / "a.txt")
    assert isinstance(only, Evidence)


# Thumbnails of Windows


def thumbcache(version, entries):
    """A cache as Windows lays it out: (name, data) pairs, None for room that was let go of."""
    made = b"CMMM" + struct.pack("<5I", version, 1, 24, 0, 0)
    for name, data in entries:
        called = name.encode("utf-16-le")
        middle = b"jpg\0".decode().encode("utf-16-le") if version == 0x14 else b""
        sizes = struct.pack("<3I", len(called), 4, len(data))
        wide = struct.pack("<2I", 96, 72) if version >= 0x1A else b""
        rest = bytes(4) + bytes(16)
        size = 16 + len(middle) + len(sizes) + len(wide) + len(rest) + len(called) + 4 + len(data)
        made += b"CMMM" + struct.pack("<IQ", size, 0xABCDEF) + middle + sizes + wide + rest + called + bytes(4) + data
    return made


@pytest.mark.parametrize("version", [0x14, 0x15, 0x1A, 0x1C, 0x1E, 0x1F, 0x20])
def test_thumbcaches_of_every_windows(tmp_path, version):
    path = tmp_path / "thumbcache_256.db"
    path.write_bytes(thumbcache(version, [("aa11", JPEG), ("bb22", PNG), ("", BMP), ("none", b""), ("aa11", GIF)]))
    end = ".jpg" if version == 0x14 else ""
    members = found(path)
    assert members == {
        f"thumb:aa11{end}": JPEG,
        f"thumb:bb22{end}": PNG,
        f"thumb:0000000000abcdef{end}": BMP,
        f"thumb:aa11{end};2": GIF,
    }


def test_what_lies_between_entries_of_a_thumbcache_and_what_is_cut_off(tmp_path):
    path = tmp_path / "iconcache_48.db"
    made = thumbcache(0x20, [("first", JPEG), ("second", PNG)])
    at = made.index(b"CMMM", 30)
    path.write_bytes(made[:at] + b"\xff" * 100 + b"CMMM" + bytes(60) + made[at:])
    assert list(found(path).values()) == [JPEG, PNG]
    path.write_bytes(made[:-50])
    assert list(found(path).values()) == [JPEG]
    assert [entry.error for entry in issues(path)] == ["broken_document"]


# Caches


def chrome(key, body, headers, *, hashed=True, crc=None):
    made = struct.pack("<QIIII", 0xFCFB6D1BA7725C30, 5, len(key), 0, 0) + key + body
    end = struct.Struct("<QIIII")
    made += end.pack(0xF4FA6F45970D41D8, 1, zlib.crc32(body) if crc is None else crc, len(body), 0)
    made += headers + (bytes(32) if hashed else b"")
    return made + end.pack(0xF4FA6F45970D41D8, 3 if hashed else 1, zlib.crc32(headers), len(headers), 0)


def test_entries_of_browsers_and_apps(tmp_path):
    headers = b"HTTP/1.1 200\0content-type: image/png\0Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\0\0"
    key = b"1/0/_dk_https://a.b https://a.b https://a.b/p.png"
    (tmp_path / "0123456789abcdef_0").write_bytes(chrome(key, PNG, headers))
    (one,) = [entry for entry in walk(tmp_path / "0123456789abcdef_0") if isinstance(entry, Evidence)]
    assert (one.locator.at, one.modified_utc) == ("https://a.b/p.png", "2015-10-21T07:28:00.000000Z")
    assert list(found(tmp_path / "0123456789abcdef_0").values()) == [PNG]
    (tmp_path / "f_0").write_bytes(chrome(b"1/0/https://c.d/x", JPEG, headers, hashed=False, crc=7))
    assert found(tmp_path / "f_0") == {"cache:https://c.d/x": JPEG}
    assert [entry.error for entry in issues(tmp_path / "f_0")] == ["broken_document"]

    name = "0A" * 20
    body = JPEG
    about = b"O^x,:https://e.f/y.jpg\0"
    rest = struct.pack(">I", 0) + b"\1\2" + struct.pack(">8I", 3, 1, 5, 1445412480, 0, 0, len(about) - 1, 0) + about
    (tmp_path / name).write_bytes(body + rest + struct.pack(">I", len(body)))
    (one,) = [entry for entry in walk(tmp_path / name) if isinstance(entry, Evidence) and entry.locator.parent]
    assert (one.locator.at, one.modified_utc) == ("https://e.f/y.jpg", "2015-10-21T07:28:00.000000Z")
    assert found(tmp_path / name) == {"cache:https://e.f/y.jpg": body}

    def counted(text):
        return struct.pack("<Q", len(text)) + text

    volley = (
        struct.pack("<I", 0x20150306) + counted(b"https://g.h/z") + counted(b"tag") + struct.pack("<4Q", 5, 6, 7, 8)
    )
    volley += struct.pack("<I", 1) + counted(b"a") + counted(b"b")
    (tmp_path / "-12345").write_bytes(volley + WEBP)
    assert found(tmp_path / "-12345") == {"cache:https://g.h/z": WEBP}


def test_many_pictures_in_one_file(tmp_path):
    blocks = bytearray(10_000 * 4)
    for number, data in ((1, JPEG), (3, encode(picture(8), "JPEG"))):
        block = b"\1" + struct.pack(">QI", number, len(data) + 2) + data + b"\0\0"
        blocks[number * 10_000 : number * 10_000 + len(block)] = block
    (tmp_path / ".thumbdata3--1967290299").write_bytes(blocks)
    members = found(tmp_path / ".thumbdata3--1967290299")
    assert members == {"thumb:10013": JPEG + b"\0\0", "thumb:30013": encode(picture(8), "JPEG") + b"\0\0"}
    (tmp_path / "imgcache.0").write_bytes(b"head" * 9 + PNG + bytes(77) + GIF + b"between" + WEBP + JPEG[:-300])
    assert list(found(tmp_path / "imgcache.0").values()) == [PNG, GIF, WEBP]
    assert [entry.error for entry in issues(tmp_path / "imgcache.0")] == ["broken_document"]
    data_2 = bytearray(b"\xc3\xca\x03\xc1" + bytes(8188) + JPEG)
    (tmp_path / "data_2").write_bytes(data_2 + bytes(-len(data_2) % 1024))
    assert list(found(tmp_path / "data_2").values()) == [JPEG]
