import numpy as np
import pytest

from imgmatch.match import regions
from imgmatch.models import load_model
from imgmatch.types import Image
from tests.conftest import picture


def image(pixels, size=None, orientation=1):
    pixels = np.asarray(pixels)
    return Image(pixels, size or (pixels.shape[1], pixels.shape[0]), orientation, "PNG")


def textured(seed, width, height):
    """Fine, soft texture without straight edges."""
    return np.asarray(picture(seed, (width, height)))


@pytest.fixture(scope="module")
def embedder():
    return load_model(threads=1)


def inside(box, size):
    x, y, w, h = box
    return x >= 0 and y >= 0 and w >= 1 and h >= 1 and x + w <= size[0] and y + h <= size[1]


def test_tiles_reach_every_border_and_overlap():
    boxes = regions.tiles((101, 67), 3, 0.5)
    assert len(boxes) == 9
    covered = np.zeros((67, 101), int)
    for x, y, w, h in boxes:
        assert inside((x, y, w, h), (101, 67))
        covered[y : y + h, x : x + w] += 1
    assert covered.min() == 1
    assert covered.max() >= 4


@pytest.mark.parametrize("place", [(0, 0), (300, 200), (120, 70)])
def test_a_picture_pasted_into_another_is_framed(place):
    outer, inner = textured(1, 640, 480), textured(2, 260, 200)
    x, y = place
    outer = outer.copy()
    outer[y : y + 200, x : x + 260] = 255 - inner
    found = regions.frames(outer, 5)
    assert max(regions.overlap((x, y, 260, 200), box) for box in found) > 0.9


def test_a_picture_without_straight_edges_has_no_frames():
    assert regions.frames(textured(3, 640, 480), 5) == []


def test_bars_at_the_borders_are_cut_off():
    framed = np.zeros((300, 400, 3), np.uint8)
    framed[50:250, 20:380] = 128 + textured(4, 360, 200) // 3
    x, y, w, h = regions.trimmed(framed)
    assert regions.overlap((x, y, w, h), (20, 50, 360, 200)) > 0.97
    assert regions.trimmed(textured(5, 400, 300)) is None


@pytest.mark.parametrize("size", [(1, 1), (31, 31), (2000, 3), (3, 2000), (1, 500)])
def test_tiny_and_extreme_pictures_have_no_regions(size, embedder):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    assert regions.query_boxes(image(pixels)) == []
    assert regions.read_regions(image(pixels), embedder) == ()


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_frame_of_one_colour_has_no_regions(level, embedder):
    pixels = np.full((300, 400, 3), level, np.uint8)
    assert regions.trimmed(pixels) is None
    assert regions.query_boxes(image(pixels)) == []
    assert regions.read_regions(image(pixels), embedder) == ()


def test_the_black_part_of_a_picture_is_left_out(embedder):
    pixels = np.zeros((400, 400, 3), np.uint8)
    pixels[:, 200:] = textured(6, 200, 400)
    boxes = [found.region_px for found in regions.read_regions(image(pixels), embedder)]
    assert boxes
    assert all(x + w > 200 for x, _, w, _ in boxes)


def test_long_strips_give_boxes_inside_them(embedder):
    size = (1600, 80)
    strip = image(textured(7, *size))
    found = regions.read_regions(strip, embedder)
    assert found
    assert all(inside(part.region_px, size) for part in found)
    assert all(inside(box, size) for box in regions.query_boxes(strip))


def test_regions_are_in_pixels_of_the_upright_full_picture(embedder):
    # Stored lying, 800 x 600, turned by orientation 6, decoded at half the size.
    turned = Image(textured(8, 300, 400), (800, 600), 6, "JPEG")
    found = regions.read_regions(turned, embedder)
    assert all(inside(part.region_px, (600, 800)) for part in found)
    assert max(x + w for x, _, w, _ in (part.region_px for part in found)) == 600
    assert max(y + h for _, y, _, h in (part.region_px for part in found)) == 800


def test_regions_are_the_same_every_time_and_distinct(embedder):
    one, other = (regions.read_regions(image(textured(9, 320, 240)), embedder) for _ in range(2))
    assert [part.region_px for part in one] == [part.region_px for part in other]
    assert all(np.array_equal(a.vector, b.vector) for a, b in zip(one, other, strict=True))
    assert len({part.region_px for part in one}) == len(one)
    # Nine tiles, each whole and in four windows, some of which may coincide.
    assert 9 <= len(one) <= 45


def test_pooling_one_map_in_many_ways_is_pooling_each(embedder):
    picture_ = embedder.prepare(textured(10, 320, 240))
    weights = (np.random.default_rng(1).random((6, *embedder.grid)) > 0.5).astype(np.float32)
    together = embedder.embed_parts(picture_, weights)
    apart = embedder.embed(np.repeat(picture_[np.newaxis], 6, axis=0), weights)
    np.testing.assert_allclose(together, apart, atol=1e-5)


@pytest.mark.parametrize("size", [(4000, 500), (300, 6000), (900, 400), (8000, 100), (400, 300), (600, 300)])
def test_long_pictures_are_cut_after_their_shape_and_others_as_ever(size):
    boxes = regions.gallery_tiles(size)
    assert all(inside(box, size) for box in boxes)
    long, short = max(size), min(size)
    if long <= 2 * short:
        assert boxes == regions.tiles(size, 3, 0.5)
        assert regions.squares(size, 16) == []
        return
    squares = [box for box in boxes if box[2] == box[3] == short]
    starts = [max(box[:2]) for box in squares]
    assert (starts[0], starts[-1]) == (0, long - short)
    assert len(squares) <= 40
    assert max(np.diff(starts)) <= max(short / 2 + 1, (long - short) / 39 + 1)
