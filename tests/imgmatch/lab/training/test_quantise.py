import dataclasses
import shutil

import numpy as np
import pytest
from PIL import Image

from imgmatch.errors import UsageError
from imgmatch.lab.hotels.views import SAMPLE, views
from imgmatch.lab.training.quantise import quantise, quantised_model
from imgmatch.models import add_model, load_model, model_spec, weights_path
from imgmatch.models.descriptions import write_spec


@pytest.mark.slow
def test_an_8_bit_model_is_small_gives_near_vectors_and_can_be_added(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.setenv("IMGMATCH_MODELS", str(tmp_path / "models"))
    files = [view.picture for view in views(SAMPLE)][:32]
    spec = dataclasses.replace(model_spec("imgmatch-rooms"), name="tuned")
    (tmp_path / "tuned").mkdir()
    shutil.copy(weights_path(model_spec("imgmatch-rooms")), tmp_path / "tuned")
    write_spec(spec, tmp_path / "tuned" / "spec.json")
    add_model(tmp_path / "tuned")
    made = quantised_model("tuned", files, tmp_path / "int8")
    assert made.name == "tuned-int8"
    assert add_model(tmp_path / "int8") == made
    whole = load_model("tuned", device="cpu")
    small = load_model(made.name, device="cpu")
    assert (tmp_path / "int8" / "model.onnx").stat().st_size < 6_000_000
    batch = np.stack([whole.prepare(np.asarray(Image.open(file))) for file in files[::4]])
    ours, theirs = small.embed(batch), whole.embed(batch)
    assert (ours * theirs).sum(axis=1).min() > 0.98
    assert ((ours @ theirs.T).argmax(axis=1) == np.arange(len(batch))).all()


def test_too_few_pictures_are_refused(tmp_path):
    with pytest.raises(UsageError, match="3 pictures to calibrate with are too few; give at least 32"):
        quantise(tmp_path / "model.onnx", tmp_path / "out.onnx", [np.zeros((224, 224, 3), np.uint8)] * 3)
