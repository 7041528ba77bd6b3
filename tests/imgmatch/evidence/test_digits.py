"""Pictures in text by the numbers of their bytes: dumps of databases, JSON."""

import base64
import gzip
import io
import json
import plistlib
import random
import textwrap
import zipfile
import zlib

import pytest

from imgmatch.parsers import carried
from tests.conftest import encode, picture
from tests.imgmatch.evidence.test_inside import found_in

JPEG, PNG = encode(picture(21, (64, 48)), "JPEG", quality=90), encode(picture(22, (32, 24)), "PNG")
HEX = JPEG.hex().encode()
TEXTS = {
    "sqlite": b"INSERT INTO t VALUES(1,X'" + HEX + b"','x');\nINSERT INTO t VALUES(2,X'" + PNG.hex().encode() + b"');",
    "mysql": b"INSERT INTO `t` VALUES (1,0x" + HEX.upper() + b"),(2,0x" + PNG.hex().upper().encode() + b");",
    "postgresql": b"COPY t FROM stdin;\n1\t\\\\x" + HEX + b"\n2\t\\\\x" + PNG.hex().encode() + b"\n\\.\n",
    "lines": "\n".join([*textwrap.wrap(JPEG.hex(), 64), "--", *textwrap.wrap(PNG.hex(), 64)]).encode(),
    "json": json.dumps([{"type": "Buffer", "data": list(data)} for data in (JPEG, PNG)]).encode(),
    "json, packed": json.dumps([list(JPEG), list(PNG)], separators=(",", ":")).encode(),
    "signed": str([[byte - 256 * (byte > 127) for byte in data] for data in (JPEG, PNG)]).encode(),
    "wide": ("x'" + JPEG.hex() + "' x'" + PNG.hex() + "'").encode("utf-16"),
    "far": b"-- a line of a dump\n" * 20_000 + b"X'" + HEX + b"', X'" + PNG.hex().encode() + b"'",
}


@pytest.mark.parametrize("name", TEXTS)
def test_they_are_found(tmp_path, name):
    (tmp_path / "dump.txt").write_bytes(TEXTS[name])
    found, errors = found_in(tmp_path)
    assert list(found.values()) == [JPEG, PNG]
    assert not errors


def test_lists_of_hashes_and_numbers_are_none():
    rng = random.Random(1)
    hashes = b"\n".join(rng.randbytes(32).hex().encode() for _ in range(4_000))
    numbers = b",".join(b"%d" % rng.randrange(256) for _ in range(60_000))
    assert not carried.in_this_text(hashes + b"\nffd8ffe0 is how a JPEG begins, 255,216,255, too")
    assert not carried.in_this_text(numbers)
    assert not list(carried.in_text(hashes))


def yenc(data, name):
    letters = b"".join(
        b"=" + bytes([byte + 106 & 255]) if (byte + 42 & 255) in b"\0\n\r=" else bytes([byte + 42 & 255])
        for byte in data
    )
    lines = [letters[at : at + 128] for at in range(0, len(letters), 128)]
    return b"=ybegin line=128 size=%d name=%s\r\n" % (len(data), name) + b"\r\n".join(lines) + b"\r\n=yend size=1\r\n"


def packed(*contents):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, data in enumerate(contents):
            archive.writestr(f"{number}.jpg", data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        yenc(JPEG, b"a b.jpg") + yenc(PNG, b"c.png"),
        base64.encodebytes(packed(JPEG, PNG)),
        json.dumps(
            {"a": base64.b64encode(gzip.compress(JPEG)).decode(), "b": [base64.b64encode(PNG).decode()]}
        ).encode(),
        b"a text\n" * 9_000 + b'"' + base64.b64encode(packed(JPEG, PNG)) + b'"',
    ],
    ids=["yEnc", "ZIP", "gzip", "ZIP, far"],
)
def test_what_else_text_carries(tmp_path, text):
    (tmp_path / "a.txt").write_bytes(text)
    assert list(found_in(tmp_path)[0].values()) == [JPEG, PNG]


def test_zlib_in_a_value_and_as_a_file(tmp_path):
    (tmp_path / "1.z").write_bytes(zlib.compress(JPEG, 9))
    (tmp_path / "2.plist").write_bytes(plistlib.dumps({"a": zlib.compress(b"head" + PNG)}, fmt=plistlib.FMT_BINARY))
    (tmp_path / "3.txt").write_bytes(b"x\x9c is no zlib")
    assert list(found_in(tmp_path)[0].values()) == [JPEG, PNG]


@pytest.mark.parametrize("between", [", ", ",", " ", ",\\\r\n  ", ",\n"])
@pytest.mark.parametrize("before", ["", "0x"])
@pytest.mark.parametrize("upper", [False, True])
def test_hexadecimal_numbers_one_by_one(between, before, upper):
    texts = []
    for data in (JPEG, PNG):
        numbers = [f"{before}{byte:02X}" if upper else f"{before}{byte:02x}" for byte in data]
        usual = ", " if between.strip(" \\\r\n") and len(between) > 1 else between
        lines = [usual.join(numbers[at : at + 16]) for at in range(0, len(numbers), 16)]
        texts.append("= {" + between.join(lines) + "};\n")
    text = "".join(texts).encode()
    assert carried.in_this_text(text)
    assert [found.data for found in carried.in_text(text)] == [JPEG, PNG]


def bytea(data):
    """As PostgreSQL's format "escape" has it between quotes."""
    plain = {92: b"\\\\\\\\", 39: b"\\'"}
    return b"".join(plain.get(byte, bytes([byte])) if 32 <= byte < 127 else b"\\\\%03o" % byte for byte in data)


def octal(data):
    return b"".join(bytes([byte]) if chr(byte).isascii() and chr(byte).isalpha() else b"\\%03o" % byte for byte in data)


def mysql(data):
    """As mysqldump writes a BLOB."""
    escapes = {0: b"\\0", 10: b"\\n", 13: b"\\r", 26: b"\\Z", 34: b'\\"', 39: b"\\'", 92: b"\\\\"}
    return b"_binary '" + b"".join(escapes.get(byte, bytes([byte])) for byte in data) + b"'"


@pytest.mark.parametrize(
    "text",
    [
        b"INSERT INTO `a` VALUES (1," + mysql(JPEG) + b"),(2," + mysql(PNG) + b",'it\\'s');\n",
        f"a = {JPEG!r}\nb = {PNG!r}\n".encode(),
        b'a = "'
        + b"".join(b"\\x%02x" % byte for byte in JPEG)
        + b'"; b = "'
        + b"".join(b"\\x%02X" % b for b in PNG)
        + b'";',
        b"INSERT INTO a VALUES (E'" + bytea(JPEG) + b"', E'" + bytea(PNG) + b"');\n",
        b'a = "' + octal(JPEG) + b'"; b = "' + octal(PNG) + b'";',
        b"".join(
            b"char a[] =\n"
            + b"\n".join(b'  "' + octal(data[at : at + 19]) + b'"' for at in range(0, len(data), 19))
            + b";"
            for data in (JPEG, PNG)
        ),
        json.dumps([JPEG.decode("latin-1"), PNG.decode("latin-1")]).encode(),
    ],
    ids=["MySQL", "Python", "C", "PostgreSQL", "octal", "a literal a line", "JSON"],
)
def test_bytes_between_quotes(tmp_path, text):
    (tmp_path / "a.txt").write_bytes(text)
    found, _ = found_in(tmp_path)
    assert list(found.values()) == [JPEG, PNG]


def test_numbers_and_quotes_that_begin_so_are_none():
    rng = random.Random(2)
    text = b"it's 'GIF89a' that begins so, 'ff d8' too; 89 50 " + b" ".join(
        b"%02x" % rng.randrange(256) for _ in range(9_000)
    )
    assert not list(carried.in_text(text))
