"""Faces in pictures: found, measured, and what their network promises as every model does."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("onnx")
from imgmatch.errors import MissingPackageError, ModelError, UnknownNameError
from imgmatch.models import load_model, verify_model
from imgmatch.models.faces import small, weights
from imgmatch.models.faces.reader import FaceReader, load_detector, load_faces
from imgmatch.types import Image
from tests.conftest import textured
from tests.portraits import group, portrait

pytestmark = pytest.mark.skipif(not weights.installed(), reason="not installed: pip install 'imgmatch[faces]'")


@pytest.fixture(scope="module")
def reader():
    return load_faces(threads=1)


def shown(picture, full_px=None, orientation=1):
    pixels = np.asarray(picture.convert("RGB"))
    return Image(pixels, full_px or (pixels.shape[1], pixels.shape[0]), orientation, "JPEG")


# --- the networks, as every model


@pytest.fixture(scope="module", params=list(weights.MODELS))
def each(request):
    if not weights.installed(request.param):
        pytest.skip("not installed: pip install 'imgmatch[faces-dlib]'")
    return load_faces(request.param, threads=1)


@pytest.fixture(scope="module")
def batch(each):
    side = each.spec.input_px
    return np.stack([np.asarray(portrait(number).resize((side, side))) for number in range(6)])


def test_vectors_are_float32_of_unit_length_and_none_of_nothing(each, batch):
    vectors = each.network.embed(batch)
    assert (vectors.shape, vectors.dtype) == ((6, each.spec.dim), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert each.network.embed(batch[:0]).shape == (0, each.spec.dim)


def test_a_vector_is_bit_identical_in_any_batch_and_with_any_threads(each, batch):
    whole = each.network.embed(batch)
    one_by_one = np.concatenate([each.network.embed(batch[n : n + 1]) for n in range(6)])
    assert (whole == one_by_one).all()
    assert (load_faces(each.spec.name, threads=3).network.embed(batch[::-1])[::-1] == whole).all()


def test_wrong_input_is_refused(each, batch):
    side = each.spec.input_px
    for wrong in (batch[:, :100], batch.astype(np.float32), batch[..., :1]):
        with pytest.raises(ModelError, match=f"takes uint8 pictures of {side} x {side}"):
            each.network.embed(wrong)


def test_the_same_person_is_nearer_than_another_and_what_is_found_is_no_matter_of_the_network(each, reader):
    people = [0, 3, 6, 7, 9, 12]
    first, second = ([each.read(shown(portrait(number, look)))[0] for number in people] for look in (0, 1))
    near = np.stack([one.vector for one in first]) @ np.stack([one.vector for one in second]).T
    assert (near.argmax(axis=1) == np.arange(len(people))).all()
    assert first[0].face == reader.read(shown(portrait(0, 0)))[0].face


def test_the_file_of_dlib_is_read_without_dlib_and_gives_its_vectors():
    """Against dlib itself, where it is installed."""
    from imgmatch.models.faces import resnet

    for wrong in (
        b"",
        b"input_rgb_image_sized",
        b"input_rgb_image_sized\x05con_4\x01\x02\x02\xff\xff\x01\x01\x01\x01\x01\x01",
    ):
        with pytest.raises(ModelError, match="not as dlib writes it"):
            resnet.as_onnx(wrong)
    dlib = pytest.importorskip("dlib")
    each = load_faces("dlib-resnet", threads=1)
    theirs = dlib.face_recognition_model_v1(str(weights.weights_path(each.spec)))
    for pixels in (np.asarray(portrait(3).resize((150, 150))), np.asarray(textured(1, (150, 150)).convert("RGB"))):
        vector = np.array(theirs.compute_face_descriptor(np.ascontiguousarray(pixels)))
        near = each.network.embed(pixels[np.newaxis])[0]
        np.testing.assert_allclose(near, vector / np.linalg.norm(vector), atol=1e-6)


def test_a_model_of_faces_is_none_of_pictures(reader):
    assert verify_model("sface") == reader.spec
    assert reader.spec.of_faces
    with pytest.raises(ModelError, match="turns faces into vectors, not pictures"):
        load_model("sface")
    with pytest.raises(UnknownNameError, match="no model for faces 'imgmatch-rooms'"):
        load_faces("imgmatch-rooms")


def test_weights_are_checked_and_folded_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = weights.detector_path()
    assert tmp_path in path.parents
    made = path.stat().st_mtime_ns
    assert weights.detector_path().stat().st_mtime_ns == made
    path.write_bytes(b"something else")
    assert weights.detector_path().read_bytes() != b"something else", "made anew where the cache is not right"
    monkeypatch.setattr(weights, "YUNET", weights.YUNET._replace(sha256="0" * 64, folded_sha256="1" * 64))
    with pytest.raises(ModelError, match=r"yunet.*altered, its SHA-256 is"):
        weights.detector_path()
    monkeypatch.setattr(weights, "YUNET", weights.YUNET._replace(package=("no_such_package", "faces")))
    with pytest.raises(MissingPackageError, match=r"pip install 'imgmatch\[faces\]'"):
        load_detector()


# --- what is taken off vectors of small faces


def test_what_small_faces_have_in_common_is_taken_off_the_more_the_smaller_they_are(reader):
    common = small.of_network("sface")
    rows = np.random.default_rng(0).normal(size=(6, 128)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    heights = [10, 20, 30, 64, 96, 300]
    made = common.taken_off(rows, heights)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-6)
    assert (made[4:] == rows[4:]).all(), "faces of 96 pixels and more are as the network has them"
    one_by_one = [common.taken_off(rows[n : n + 1], heights[n : n + 1])[0] for n in range(6)]
    assert (np.stack(one_by_one) == made).all()
    same = common.taken_off(np.repeat(rows[:1], 6, axis=0), heights)
    near = (same @ rows[0]).tolist()
    assert near[0] == near[1] < near[2] < near[3] < near[4]
    plain = FaceReader(reader.network, load_detector(1))
    for size, alike in ((64, False), (256, True)):
        (one,), (other,) = (each.read(shown(portrait(3, size=size))) for each in (plain, reader))
        assert one.face == other.face
        assert (one.vector == other.vector).all() == alike
        assert (common.taken_off(one.vector[None], [one.face.size_px])[0] == other.vector).all()


def test_vectors_with_and_without_it_are_never_taken_for_those_of_one_model(monkeypatch):
    known = weights.SFACE.weights_sha256
    of_file = weights.file_sha256(weights.SFACE)
    assert known != of_file
    assert weights._identity("sface", of_file) == known
    monkeypatch.setitem(weights.SMALL_FACES, "sface", ("sface_small.npy", "1" * 64))
    assert weights._identity("sface", of_file) != known, "other numbers, another model"
    small.of_network.cache_clear()
    try:
        for load in (load_faces, lambda: verify_model("sface")):
            with pytest.raises(ModelError, match=r"sface_small\.npy: altered, its SHA-256 must be 1111"):
                load()
    finally:
        small.of_network.cache_clear()


# --- what is found


def test_faces_are_found_from_left_to_right_in_pixels_of_the_full_picture(reader):
    found = reader.read(shown(group([0, 3, 7]), full_px=(3072, 1024)))  # decoded to a quarter
    assert [face.face.box[0] // 1024 for face in found] == [0, 1, 2]
    for number, one in enumerate(found):
        x, y, width, height = one.face.box
        assert 1024 * number < x < x + width < 1024 * (number + 1)
        assert 0 <= y < y + height <= 1024
        right_eye, left_eye, nose, *mouth = one.face.points
        assert right_eye[0] < nose[0] < left_eye[0]
        assert all(right_eye[1] < nose[1] < corner[1] for corner in mouth)
        assert one.face.unfit == ""
        assert one.face.size_px < 256, "of the pixels that were looked at"


def test_a_face_has_the_same_vector_whatever_else_is_read(reader):
    alone = reader.read(shown(group([3, 7])))
    reader.read(shown(textured(1)))
    again = load_faces(threads=2).read(shown(group([3, 7])))
    assert all((one.vector == other.vector).all() for one, other in zip(alone, again, strict=True))
    assert [one.face for one in alone] == [one.face for one in again]


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (640, 480)])
def test_where_there_is_no_face_none_is_found(reader, size):
    from PIL import Image as Pillow

    black = Pillow.new("RGB", size)
    noise = Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    for picture in (black, noise, textured(2, (max(32, size[0]), max(32, size[1])))):
        assert reader.read(shown(picture)) == []


def test_forty_faces_are_forty(reader):
    from PIL import Image as Pillow

    crowd = Pillow.new("RGB", (8 * 128, 5 * 128))
    for place in range(40):
        crowd.paste(portrait(place % 12, place, 128), (128 * (place % 8), 128 * (place // 8)))
    assert len(reader.read(shown(crowd))) == 40


def test_a_face_that_fills_the_picture_and_one_in_a_tile_of_a_large_one_are_found(reader):
    from PIL import Image as Pillow

    close = portrait(3, size=1600).crop((450, 380, 1150, 1340))
    for height in (90, 180, 260, 310, 620, 960):  # as large as it is for one look, twice as large for another
        (found,) = reader.read(shown(close.resize((round(height * 0.73), height))))
        assert found.face.unfit == "", height
    wall = Pillow.new("RGB", (3000, 2200), (120, 120, 110))
    wall.paste(portrait(3, size=72), (2610, 1900))
    assert reader.read(shown(wall)) == []
    (found,) = reader.read(shown(wall), thorough=True)
    assert 2610 < found.face.box[0] < 2682


def test_a_face_that_leans_to_a_side_is_as_alike_as_one_that_stands(reader):
    """One that lies is not: a look at the upright picture doesn't find it, and what it finds is not fit."""
    (upright,) = reader.read(shown(portrait(3)))
    for turn in (15, 30, -20):
        (found,) = reader.read(shown(portrait(3).rotate(turn, fillcolor=(90, 90, 90))))
        assert found.vector @ upright.vector > 0.8, turn
        assert abs(found.face.roll + turn) < 10
        assert found.face.unfit == ""
    for turn in (90, 180, 270):
        assert all(found.face.unfit for found in reader.read(shown(portrait(3).rotate(turn))))


def odd(what):
    """A face that is shown oddly."""
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFilter, ImageOps

    face = portrait(3)
    made = face.copy()
    pen = ImageDraw.Draw(made)
    if what == "mirror":
        made = Pillow.new("RGB", (520, 256), (90, 90, 90))
        made.paste(face, (0, 0))
        made.paste(ImageOps.mirror(face), (264, 0))
    elif what == "mask":
        pen.rectangle([60, 140, 196, 230], fill=(120, 170, 210))
    elif what == "bar over the eyes":
        pen.rectangle([60, 95, 196, 130], fill=(5, 5, 5))
    elif what == "statue":
        made = face.convert("L").convert("RGB")
    elif what == "line drawing":
        made = face.convert("L").filter(ImageFilter.CONTOUR)
    elif what == "16 px":
        made = Pillow.new("RGB", (800, 600), (100, 110, 90))
        made.paste(portrait(3, size=26), (300, 300))
    elif what == "less than half of it":
        made = face.crop((0, 0, 100, 256))
    elif what == "upside down":
        made = face.rotate(180)
    return made


@pytest.mark.parametrize(
    ("what", "thorough", "answers"),
    [
        ("mirror", False, ["", ""]),
        ("mask", False, ["hardly a face"]),
        ("bar over the eyes", True, []),
        ("statue", False, [""]),
        ("line drawing", False, []),
        ("16 px", True, ["too small"]),
        ("less than half of it", False, []),
        ("upside down", True, [""]),
    ],
)
def test_what_is_shown_oddly_gets_an_honest_answer(reader, what, thorough, answers):
    """A statue and a mirror are faces to a detector, and documented so; what can't be compared says why."""
    found = [one.face.unfit for one in reader.read(shown(odd(what)), thorough=thorough)]
    assert len(found) == len(answers)
    assert all(why in said and bool(why) == bool(said) for why, said in zip(answers, found, strict=True)), found


def test_a_network_is_folded_to_one_that_gives_the_same_bits():
    import onnx
    import onnxruntime
    from onnx import helper, numpy_helper

    from imgmatch.models.faces import folding

    slope = np.array([-0.4, 0.0, 0.3, 1.2], np.float32).reshape(4, 1, 1)
    graph = helper.make_graph(
        [helper.make_node("PRelu", ["x", "slope"], ["y"])],
        "bent",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 4, 8, 8])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 4, 8, 8])],
        [numpy_helper.from_array(slope, "slope")],
    )
    given = np.random.default_rng(0).normal(size=(1, 4, 8, 8)).astype(np.float32)
    made = []
    for change in (lambda graph: None, folding._rectify):
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        change(model.graph)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        made.append(session.run(None, {"x": given})[0])
    assert "PRelu" not in {node.op_type for node in model.graph.node}
    assert (made[0] == made[1]).all()


def test_a_small_face_is_found_and_not_fit_to_be_compared(reader):
    (found,) = reader.read(shown(portrait(3, size=32)))
    assert "too small" in found.face.unfit
    assert found.face.quality < reader.read(shown(portrait(3)))[0].face.quality


def test_what_is_turned_cut_blurred_or_hardly_a_face_is_not_fit_to_be_compared():
    from imgmatch.models.face import Face

    whole = Face((0, 0, 80, 90), ((0.0, 0.0),) * 5, 0.9, 90, 0.5, 0.0, 0.0, 0.0, 0.0)
    assert (whole.unfit, whole.quality) == ("", 1.0)
    for change, why in (
        ({"yaw": -0.9}, "turned away"),
        ({"pitch": 0.4}, "turned away"),
        ({"cut": 0.4}, "cut off"),
        ({"sharpness": 0.1}, "blurred"),
        ({"light": 0.5}, "burnt out or faded"),
    ):
        other = dataclasses.replace(whole, **change)
        assert why in other.unfit
        assert other.quality < 0.7
    assert dataclasses.replace(whole, confidence=0.65).unfit == "hardly a face"
    assert dataclasses.replace(whole, size_px=12, sharpness=0.0).unfit.count(",") == 2
