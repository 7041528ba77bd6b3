import numpy as np
import pytest
from PIL import Image

from imgmatch.errors import UsageError
from imgmatch.match.masking import boxes_mask, cell_weights, filled, read_mask, strokes_mask

SIZE = (80, 60)


def test_a_box_is_left_out_where_it_says():
    mask = boxes_mask([(10, 20, 30, 5)], SIZE)
    assert mask.shape == (60, 80)
    assert mask.sum() == 150
    assert mask[20:25, 10:40].all()


@pytest.mark.parametrize("box", [(-1, 0, 5, 5), (0, 0, 0, 5), (70, 0, 11, 5), (0, 58, 5, 3), (500, 500, 1, 1)])
def test_a_box_outside_is_refused_with_the_size(box):
    with pytest.raises(UsageError, match="not inside the picture of 80 x 60"):
        boxes_mask([box], SIZE)


def test_a_stroke_leaves_out_what_its_brush_went_over():
    mask = strokes_mask([(6, ((10, 30), (60, 30)))], SIZE)
    assert mask[30, 10:61].all()
    assert mask[28:33, 35].all()
    assert not mask[:25].any()
    assert not mask[:, :5].any()
    # A dot, and a stroke that leaves the picture and comes back.
    assert strokes_mask([(8, ((40, 20),))], SIZE)[20, 37:44].all()
    assert strokes_mask([(4, ((-500, 10), (10**9, 10)))], SIZE)[10].all()


@pytest.mark.parametrize("brush_px", [0, -3, 81])
def test_a_brush_without_a_width_is_refused(brush_px):
    with pytest.raises(UsageError, match=f"{brush_px}: no width of a brush"):
        strokes_mask([(brush_px, ((1, 1), (5, 5)))], SIZE)


def test_white_is_left_out(tmp_path):
    pixels = np.zeros((60, 80), np.uint8)
    pixels[:, :20] = 255
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", SIZE), pixels > 0)


def test_a_mask_that_does_not_fit_is_refused_by_name(tmp_path):
    Image.new("L", (8, 6)).save(tmp_path / "small.png")
    with pytest.raises(UsageError, match=r"small\.png: the mask is 8 x 6 px, the picture 80 x 60"):
        read_mask(tmp_path / "small.png", SIZE)
    (tmp_path / "text.png").write_text("no")
    with pytest.raises(UsageError, match=r"text\.png: the mask can't be read"):
        read_mask(tmp_path / "text.png", SIZE)
    with pytest.raises(UsageError, match=r"gone\.png: the mask can't be read"):
        read_mask(tmp_path / "gone.png", SIZE)


def test_cells_count_as_far_as_they_are_free():
    weights = cell_weights(boxes_mask([(0, 0, 40, 60)], SIZE), (3, 4))
    np.testing.assert_array_equal(weights, [[0, 0, 1, 1]] * 3)
    half = cell_weights(boxes_mask([(0, 0, 10, 60)], SIZE), (3, 4))
    np.testing.assert_allclose(half[:, 0], 0.5, atol=1e-6)
    mostly = cell_weights(boxes_mask([(0, 0, 15, 60)], SIZE), (3, 4))
    assert (mostly[:, 0] == 0).all()


def test_something_is_left_as_long_as_a_pixel_is_free():
    mask = np.ones((60, 80), bool)
    mask[30, 40] = False
    assert cell_weights(mask, (7, 7)).max() > 0
    mask[30, 40] = True
    with pytest.raises(UsageError, match="covers the whole picture"):
        cell_weights(mask, (7, 7))


def test_what_is_left_out_takes_the_colour_around_it_and_the_rest_stays():
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[:] = (200, 100, 50)
    mask = boxes_mask([(30, 20, 20, 20)], SIZE)
    painted = pixels.copy()
    painted[mask] = (0, 255, 0)
    result = filled(painted, mask)
    assert np.abs(result.astype(int) - (200, 100, 50)).max() <= 2
    gradient = np.dstack([np.linspace(0, 255, 80, dtype=np.uint8)[None].repeat(60, axis=0)] * 3)
    kept = filled(gradient, mask)
    far = np.ones((60, 80), bool)
    far[18:42, 28:52] = False
    np.testing.assert_array_equal(kept[far], gradient[far])
