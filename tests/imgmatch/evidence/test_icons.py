"""Sizes of an icon that show something else than its largest are pictures of their own."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from imgmatch.evidence import reopen, walk
from imgmatch.evidence.read import read
from tests.conftest import encode, picture

LARGE = encode(picture(1, (128, 128)), "PNG")
SAME = encode(picture(1, (128, 128)).resize((64, 64)), "PNG")
OTHER = encode(picture(2, (64, 64)), "PNG")


def windows(kind, *entries):
    out, body, start = struct.pack("<HHH", 0, kind, len(entries)), b"", 6 + 16 * len(entries)
    for entry in entries:
        out += struct.pack("<BBBBHHII", *Image.open(io.BytesIO(entry)).size, 0, 0, 1, 32, len(entry), start + len(body))
        body += entry
    return out + body


def apple(*entries):
    named = zip((b"ic07", b"ic12", b"icp6"), entries, strict=True)
    elements = b"".join(struct.pack(">4sI", name, 8 + len(entry)) + entry for name, entry in named)
    return struct.pack(">4sI", b"icns", 8 + len(elements)) + elements


def test_a_small_size_in_planes_is_read(tmp_path):
    small = picture(2, (32, 32))
    planes = b"\xff" * 1024 + b"".join(band.tobytes() for band in small.split())
    packed = b"".join(b"\x7f" + planes[at : at + 128] for at in range(0, len(planes), 128))
    element = struct.pack(">4sI4s", b"ic05", 12 + len(packed), b"ARGB") + packed
    elements = struct.pack(">4sI", b"ic07", 8 + len(LARGE)) + LARGE + element
    (tmp_path / "icon").write_bytes(struct.pack(">4sI", b"icns", 8 + len(elements)) + elements)
    itself, other = walk(tmp_path / "icon")
    assert itself.locator.kind == "file"
    assert np.array_equal(read(other).image(1).pixels, np.asarray(small))


@pytest.mark.parametrize(
    "data", [windows(1, LARGE, SAME, OTHER), windows(2, LARGE, SAME, OTHER), apple(LARGE, SAME, OTHER)]
)
def test_another_picture_among_the_sizes_is_found(tmp_path, data):
    (tmp_path / "icon").write_bytes(data)
    itself, other = walk(tmp_path / "icon")
    assert (itself.locator.kind, other.locator.kind, other.locator.at) == ("file", "frame", "2")
    seen = read(reopen(other.locator)).image(1).pixels
    assert np.array_equal(seen, np.asarray(Image.open(io.BytesIO(OTHER))))
    assert read(itself).image(1).upright_size_px == (128, 128)
