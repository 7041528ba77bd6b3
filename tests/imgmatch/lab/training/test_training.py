"""A whole run: it learns, it goes on after a stop as if there had been none, and it says what is wrong."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from imgmatch.errors import ModelError, UsageError
from imgmatch.lab.hotels.views import SAMPLE
from imgmatch.lab.training import train as training
from imgmatch.lab.training.config import TrainConfig
from imgmatch.lab.training.train import train
from imgmatch.models import export
from imgmatch.models.descriptions import read_spec


def textured(seed: int) -> np.ndarray:
    """A picture unlike that of any other seed: coarse colours, lines and boxes, (96, 128, 3) uint8."""
    rng = np.random.default_rng(seed)
    picture = cv2.resize(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8), (128, 96), interpolation=cv2.INTER_CUBIC)
    for _ in range(6):
        corner, other = ((int(rng.integers(128)), int(rng.integers(96))) for _ in range(2))
        ink = tuple(int(v) for v in rng.integers(0, 256, 3))
        cv2.rectangle(picture, corner, other, ink, int(rng.choice([-1, 2, 5])))
    return picture


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """72 small pictures in two folders."""
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(72):
        place = folder / ("left" if seed % 2 else "right") / f"{seed:02}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(textured(seed)).save(place)
    return folder


@pytest.fixture(scope="module")
def tiny(pictures, tmp_path_factory):
    """A configuration that takes a second or two; its output folder is never written to."""
    return TrainConfig(
        data=(pictures,),
        output=tmp_path_factory.mktemp("none"),
        steps=4,
        batch=8,
        copy_dim=16,
        place_dim=8,
        input_px=64,
        train_px=64,
        warmup=2,
        validate_every=2,
        checkpoint_every=2,
        validation_share=0.2,
        workers=0,
        name="tiny",
    )


@pytest.fixture
def weights_alone(monkeypatch):
    """Leave the export and the curve out, which take longer than these runs; one test makes them."""
    monkeypatch.setattr(export, "export_onnx", lambda network, path, *sides: path.write_bytes(b"left out"))
    monkeypatch.setattr(training, "draw_curve", lambda history, evaluations, path: None)


class PulledPlugError(Exception):
    """Raised by a test to stop a run, as a pulled plug would."""


def stop_at(step):
    def progress(stage, done, total, figures):
        if stage == "train" and done > step:
            raise PulledPlugError

    return progress


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    return train(replace(tiny, output=tmp_path_factory.mktemp("whole")))


@pytest.mark.slow
class TestRun:
    def test_leaves_a_model_with_its_record(self, whole, pictures):
        spec = read_spec(whole.spec)
        assert (spec.name, spec.dim, spec.input_px, spec.weights_file) == ("tiny", 24, 64, "model.onnx")
        record = json.loads(whole.record.read_text())
        assert record["onnx_sha256"] == spec.weights_sha256
        assert record["data"]["pictures"] == 72
        assert record["arguments"]["steps"] == 4
        assert len(record["history"]) == 4
        assert record["versions"]["torch"] == torch.__version__.split("+")[0] or record["versions"]["torch"]
        assert 0 <= whole.evaluation["mean"] <= 1
        assert Image.open(whole.output / "loss.png").size[0] > 500

    def test_a_stopped_run_goes_on_as_if_it_had_not_been(self, whole, tiny, tmp_path, weights_alone):
        config = replace(tiny, output=tmp_path)
        with pytest.raises(PulledPlugError):
            train(config, stop_at(2))  # past the checkpoint of step 2
        again = train(config)
        assert again.weights.read_bytes() == whole.weights.read_bytes()
        assert json.loads(again.record.read_text())["evaluation"] == json.loads(whole.record.read_text())["evaluation"]

    def test_another_recipe_does_not_go_on(self, whole, tiny):
        with pytest.raises(UsageError, match=r"checkpoint\.pt: was begun with another temperature"):
            train(replace(tiny, output=whole.output, temperature=0.2))

    def test_begins_from_its_own_weights(self, whole, tiny, tmp_path, weights_alone):
        further = train(replace(tiny, output=tmp_path, weights=whole.weights, steps=1))
        assert json.loads(further.record.read_text())["steps"] == 1

    def test_a_share_of_the_weights_it_began_with_is_kept(self, whole, tiny, tmp_path, weights_alone):
        learned, half, begun = (
            load_file(
                train(
                    replace(tiny, output=tmp_path / str(kept), weights=whole.weights, steps=2, kept=kept, evened=False)
                ).weights
            )
            for kept in (0.0, 0.5, 1.0)
        )
        assert any(not torch.equal(value, begun[name]) for name, value in learned.items())
        for name, value in half.items():
            torch.testing.assert_close(value.float(), (learned[name] + begun[name]) / 2)

    def test_a_damaged_checkpoint_is_named(self, whole, tiny, tmp_path):
        (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
        with pytest.raises(ModelError, match=r"checkpoint\.pt: damaged"):
            train(replace(tiny, output=tmp_path, weights=whole.weights))


@pytest.mark.slow
def test_the_loss_falls(tiny, tmp_path, weights_alone):
    result = train(replace(tiny, output=tmp_path, steps=20, batch=16, backbone_rate=5e-4, validate_every=20))
    pair = [entry["pair"] for entry in json.loads(result.record.read_text())["history"]]
    assert np.mean(pair[-6:]) < 0.8 * np.mean(pair[:6])


@pytest.mark.slow
def test_labels_and_rendered_rooms_join_in(tiny, pictures, tmp_path, weights_alone):
    table = tmp_path / "labels.csv"
    names = sorted(p.relative_to(pictures).as_posix() for p in pictures.rglob("*.png"))
    table.write_text("file,label\n" + "".join(f"{name},hotel {i // 6}\n" for i, name in enumerate(names[:60])))
    result = train(
        replace(tiny, output=tmp_path / "run", labels=table, hotels=SAMPLE, room_share=0.5, steps=6, batch=8)
    )
    record = json.loads(result.record.read_text())
    assert record["data"]["labels"] == 10
    assert any({"agree", "hotel"} <= entry.keys() for entry in record["history"])
    assert all(0 < entry["region"] < 20 for entry in record["history"])
    assert 0 <= record["evaluation"]["rooms_map"] <= 1
    assert all("label" in entry for entry in record["history"] if "agree" not in entry)


class TestErrors:
    def test_reference_file_of_another_backbone(self, tiny, tmp_path):
        with pytest.raises(ModelError, match="not weights of this backbone"):
            train(replace(tiny, output=tmp_path, backbone="efficientnet_lite2"))

    def test_missing_weights(self, tiny, tmp_path):
        with pytest.raises(ModelError, match=r"nowhere\.pth: no such weight file"):
            train(replace(tiny, output=tmp_path, weights=tmp_path / "nowhere.pth"))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"backbone": "resnet"}, "no backbone 'resnet': choose one of efficientnet_lite0"),
            ({"steps": 0}, "steps is 0: it must be at least 1"),
            ({"input_px": 100}, "input_px is 100: it must be a multiple of 32"),
            ({"copy_weight": 1.5}, "copy_weight is 1.5: it must lie between 0 and 1"),
            ({"device": "tpu"}, "no device 'tpu': choose auto, cpu or cuda"),
            ({"batch": 60}, "do not fill a batch of 60"),
        ],
    )
    def test_arguments(self, tiny, tmp_path, change, message):
        with pytest.raises(UsageError, match=message):
            train(replace(tiny, output=tmp_path, **change))


def test_number_of_threads_is_left_as_it_was(tiny, tmp_path):
    before = torch.get_num_threads()
    with pytest.raises(UsageError):
        train(replace(tiny, output=tmp_path, batch=60))
    assert torch.get_num_threads() == before
    assert training.CHECKPOINT not in {p.name for p in tmp_path.iterdir()}
