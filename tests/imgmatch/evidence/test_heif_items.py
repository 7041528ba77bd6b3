"""Every picture item of an HEIF or AVIF file comes out, however it is called there, or is named."""

import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.heif_items import HIDDEN, Made, auxiliary, picture_of, size, written
from tests.conftest import encode, picture
from tests.imgmatch.evidence.test_pages import seen, split

SIZE = (128, 96)
PICTURES = [picture(seed, SIZE) for seed in range(5)]


def heic(of):
    buffer = io.BytesIO()
    pytest.importorskip("pillow_heif").from_pillow(of).save(buffer, quality=90)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def made():
    return {
        b"heic": [picture_of(heic(picture)) for picture in PICTURES],
        b"avif": [picture_of(encode(one, "AVIF", quality=90)) for one in PICTURES],
    }


def number_of(data):
    """Which of the pictures is shown: the nearest, none where that is far."""
    pixels = seen(data)
    if pixels.shape != (SIZE[1], SIZE[0], 3):
        return None
    apart = [np.abs(pixels - np.asarray(one)).mean() for one in PICTURES]
    return int(np.argmin(apart)) if min(apart) < 12 else None


def of_tiles(*tiles, more=()):
    """A grid of two by two."""
    grid = Made(10, b"grid", 0, (size(2 * SIZE[0], 2 * SIZE[1]),), bytes([0, 0, 1, 1]) + b"\1\0\0\xc0")
    return grid, *(one.called(20 + place, HIDDEN) for place, one in enumerate(tiles)), *more


BOTH = pytest.mark.parametrize("brand", [b"heic", b"avif"])
ALPHA = auxiliary(b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha")
FAR, DEPTH = auxiliary(b"urn:example:another"), auxiliary(b"urn:mpeg:hevc:2015:auxid:2")


@BOTH
@pytest.mark.parametrize(
    ("flags", "more", "refers"),
    [
        (HIDDEN, (), ()),  # nothing refers to it
        (HIDDEN, (FAR,), [(b"auxl", 2, (1,))]),
        (0, (FAR,), [(b"auxl", 2, (1,))]),
        (HIDDEN, (), [(b"thmb", 2, (1,))]),  # it shows something else
        (0, (), [(b"thmb", 2, (1,))]),
        (HIDDEN, (), [(b"cdsc", 2, (1,))]),
        (HIDDEN, (), [(b"dimg", 2, (1,))]),
    ],
)
def test_a_picture_that_is_not_listed_is_given(tmp_path, made, brand, flags, more, refers):
    one, two = made[brand][:2]
    (tmp_path / "a").write_bytes(written([one, two.called(2, flags, *more)], 1, refers, brand))
    inside, issues = split(tmp_path / "a")
    assert {at: number_of(data) for at, data in inside.items()} == {"": 0, "0.2": 1}
    assert not issues


@BOTH
@pytest.mark.parametrize(("kind", "more"), [(b"thmb", ()), (b"auxl", (ALPHA,))])
def test_a_thumbnail_and_alpha_are_not_given_twice(tmp_path, made, brand, kind, more):
    one = made[brand][0]
    (tmp_path / "a").write_bytes(written([one, one.called(2, HIDDEN, *more)], 1, [(kind, 2, (1,))], brand))
    inside, issues = split(tmp_path / "a")
    assert (list(inside), issues) == ([""], {})


def test_tiles_are_parts_of_their_grid_and_others_are_not(tmp_path, made):
    """A tile that the grid has no place for, and what no grid names, are pictures."""
    one = made[b"heic"]
    items = of_tiles(*one[:4], more=(one[4].called(30, HIDDEN),))
    (tmp_path / "a").write_bytes(written(items, 10, [(b"dimg", 10, (20, 21, 22, 23))]))
    inside, issues = split(tmp_path / "a")
    assert set(inside) == {"", "0.30"}
    assert not issues
    assert number_of(inside["0.30"]) == 4
    assert seen(inside[""]).shape == (2 * SIZE[1], 2 * SIZE[0], 3)


@BOTH
def test_tiles_of_a_grid_that_is_none_are_given(tmp_path, made, brand):
    items = of_tiles(*made[brand])
    (tmp_path / "a").write_bytes(written(items, 10, [(b"dimg", 10, (20, 21, 22, 23, 24))], brand))
    with pytest.raises(Exception, match="can't be decoded"):
        seen((tmp_path / "a").read_bytes())
    found = {at: data for at, data in split(tmp_path / "a")[0].items() if at}
    assert [number_of(found[f"0.{20 + place}"]) for place in range(5)] == [0, 1, 2, 3, 4]


def test_what_lies_under_an_overlay_is_given(tmp_path, made):
    one, two, three = made[b"heic"][:3]
    over = Made(10, b"iovl", 0, (size(*SIZE),), bytes(10) + b"\0\x80\0\x60" + bytes(8))
    items = [over, one.called(2, HIDDEN), two.called(3, HIDDEN), three.called(4, HIDDEN)]
    (tmp_path / "a").write_bytes(written(items, 10, [(b"dimg", 10, (2, 3))]))
    inside, issues = split(tmp_path / "a")
    assert {at: number_of(data) for at, data in inside.items()} == {"": 1, "0.2": 0, "0.4": 2}
    assert not issues


def test_items_of_other_kinds_are_read_or_named(tmp_path, made):
    one = made[b"heic"][0]
    jpeg = encode(PICTURES[3], "JPEG", quality=90)
    items = [
        one,
        Made(2, b"jpeg", HIDDEN, (), jpeg),
        made[b"avif"][2].called(3, HIDDEN),
        made[b"avif"][4].called(4),
        Made(5, b"j2k1", HIDDEN, (), b"no picture" * 9),
        one.called(6, HIDDEN, DEPTH),
        Made(7, b"Exif", 0, (), b"no picture" * 9),
    ]
    (tmp_path / "a").write_bytes(written(items, 1, [(b"auxl", 6, (1,))]))
    inside, issues = split(tmp_path / "a")
    assert inside["0.2"] == jpeg
    assert {number_of(data) for data in inside.values()} == {0, 3, 2, 4}
    assert {at: (one.error, one.what) for at, one in issues.items()} == {
        "0.5": ("unsupported", "HEIF item"),
        "0.6": ("unsupported", "maps beside a picture"),
    }


def test_pictures_in_a_track_of_heif_are_found(tmp_path):
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as video:
        track = video.add_stream("libx265", rate=1)
        track.width, track.height, track.pix_fmt = *SIZE, "yuv420p"
        track.options = {"x265-params": "keyint=1:log-level=none"}
        for one in PICTURES[:3]:
            for packet in track.encode(av.VideoFrame.from_image(one)):
                video.mux(packet)
        for packet in track.encode():
            video.mux(packet)
    data = buffer.getvalue()
    length = int.from_bytes(data[:4], "big")
    (tmp_path / "a").write_bytes(data[:8] + b"msf1" + bytes(4) + b"hevc" * (length // 4 - 4) + data[length:])
    inside, _ = split(tmp_path / "a")
    assert [number_of(data) for at, data in inside.items() if at] == [0, 1, 2]


def test_an_item_beside_the_frames_of_an_animation_is_given(tmp_path):
    moving = bytearray(encode(PICTURES[0], "AVIF", save_all=True, append_images=PICTURES[1:3], quality=90))
    (tmp_path / "a").write_bytes(moving)
    inside, issues = split(tmp_path / "a")
    assert len(inside) == 3
    assert not issues
    assert Image.open(tmp_path / "a").n_frames == 3
