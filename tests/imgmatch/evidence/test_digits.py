"""Pictures in text by the numbers of their bytes: dumps of databases, JSON."""

import json
import random
import textwrap

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
