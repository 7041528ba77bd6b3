"""The networks that turn pictures into vectors, by name. Importing this loads none of them."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import os
import re
import shutil
import sys
from dataclasses import asdict, fields
from pathlib import Path

from imgmatch.errors import ImgmatchError, ModelError
from imgmatch.models import sscd
from imgmatch.models.base import Embedder
from imgmatch.types import ModelSpec

DEFAULT_MODEL = "imgmatch-rooms-int8"

_ROOMS = ModelSpec(
    name="imgmatch-rooms",
    task="copies and places",
    dim=384,
    input_px=256,
    weights_file="imgmatch-rooms.onnx",
    weights_sha256="e758e95b99c5f07409cd718c35c7ef3300a89e1dcedac19339ef786ba0f27d86",
    licence="Apache-2.0",
    source="trained by the imgmatch project; see docs/model-card.md",
    description="EfficientNet-Lite0; a copy part of 224 and a place part of 160 dimensions",
    network='{"backbone": "efficientnet_lite0", "parts": [224, 160]}',
    query_px="160 320",
)
MODELS = {
    spec.name: spec
    for spec in (
        _ROOMS,
        dataclasses.replace(
            _ROOMS,
            name="imgmatch-rooms-int8",
            weights_file="imgmatch-rooms-int8.onnx",
            weights_sha256="f658b1fa76e41236cce99179cf11a14d73b676553024ca73f46423f22e3bfdb3",
            source="8-bit version of imgmatch-rooms, made by imgmatch models quantise; see docs/model-card.md",
            description="imgmatch-rooms in 8 bits: twice as fast on processors with VNNI",
            network="",  # the float network in torch would give other vectors
        ),
    )
}
OPTIONAL = {sscd.SPEC.name: sscd.SPEC}
"""Models whose weights an extra brings."""
GRAPHS = ("", "plain")
_SHIPPED = Path(__file__).parent / "weights"
_SPEC_FILE = "spec.json"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
# What a vector index and a network of this kind can hold; a description beyond it is a slip or hostile.
_DIMS = range(1, 65_537)
_INPUTS_PX = range(32, 2_049)


def list_models() -> list[ModelSpec]:
    """Every model that can be named: shipped, of extras, added on this machine. Broken additions are left out."""
    known = MODELS | OPTIONAL
    return [*known.values(), *(spec for spec in _added().values() if spec.name not in known)]


def model_spec(name: str) -> ModelSpec:
    """What a model is. Raises ModelError, listing the names there are, on an unknown one."""
    spec = MODELS.get(name) or OPTIONAL.get(name) or _added().get(name)
    if spec is None:
        raise ModelError(f"no model {name!r}; there are: {', '.join(spec.name for spec in list_models())}")
    return spec


def weights_path(spec: ModelSpec) -> Path:
    """Where a model's weight file is, or would be. Raises ModelError, naming the extra, where that is not installed."""
    if spec.name in OPTIONAL:
        return sscd.weights_path()
    folder = _SHIPPED if spec.name in MODELS else models_folder() / spec.name
    return folder / spec.weights_file


def has_weights(spec: ModelSpec) -> bool:
    """Whether a model's weight file is on this machine; it is not read."""
    try:
        return weights_path(spec).is_file()
    except ModelError:
        return False


def verify_model(name: str) -> ModelSpec:
    """Check a model's weight file against its SHA-256. Raises ModelError, naming the file, when it is not right."""
    spec = model_spec(name)
    path = weights_path(spec)
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"{path}: the weights of {name} can't be read ({error.strerror}); install imgmatch, or add the model, again"
        ) from error
    if sha256 != spec.weights_sha256:
        raise ModelError(
            f"{path}: altered, its SHA-256 is {sha256[:16]}... and must be {spec.weights_sha256[:16]}...; "
            "install imgmatch, or add the model, again"
        )
    return spec


def load_model(name: str = DEFAULT_MODEL, *, device: str = "auto", threads: int | None = None) -> Embedder:
    """Load a model after checking its weights.

    ``device``: ``cpu`` (ONNX Runtime), ``cuda`` (torch), or ``auto``: CUDA where there is all it needs, else the CPU.
    ``threads`` share one run on the CPU (default: all usable cores). Raises ModelError.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ModelError(f"no device {device!r}; there are: auto, cpu, cuda")
    spec = verify_model(name)
    if device != "cpu":
        obstacle = _cuda_obstacle(spec)
        if obstacle is None:
            from imgmatch.models.torch_model import TorchModel

            return TorchModel(spec, weights_path(spec), "cuda")
        if device == "cuda":
            raise ModelError(f"{name}: can't run on CUDA: {obstacle}, or use --device cpu")
    return _on_cpu(spec, weights_path(spec), threads)


def models_folder() -> Path:
    """Where models added on this machine live: IMGMATCH_MODELS, or the user's data folder."""
    if given := os.environ.get("IMGMATCH_MODELS"):
        return Path(given)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share"))
    return base / "imgmatch" / "models"


def add_model(folder: Path) -> ModelSpec:
    """Add a trained model (a folder with ``spec.json`` and the ONNX file it names) to this machine's.

    It is checked first: fields, SHA-256, and that it runs and gives unit vectors. Raises ModelError.
    """
    spec = read_spec(folder / _SPEC_FILE)
    check_new_name(spec.name)
    target = models_folder() / spec.name
    draft = target.with_name(f".{spec.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        for name in (_SPEC_FILE, spec.weights_file):
            shutil.copyfile(folder / name, draft / name)
        _try(spec, draft / spec.weights_file)
        draft.rename(target)
    except OSError as error:
        raise ModelError(f"{folder}: can't be copied to {target} ({error.strerror})") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return spec


def check_new_name(name: str) -> None:
    """Raise ModelError where a model can't be added under this name."""
    if not _PLAIN_NAME.fullmatch(name):
        raise ModelError(f"{name!r} must be a plain name: letters, digits, '.', '_' and '-', no folders")
    if name in MODELS or name in OPTIONAL:
        how = "shipped with" if name in MODELS else "known to"
        raise ModelError(f"a model {name!r} is {how} imgmatch; choose another name")
    if (models_folder() / name).exists():
        raise ModelError(f"{models_folder() / name}: a model {name!r} is there already; remove its folder first")


def read_spec(path: Path) -> ModelSpec:
    """Read a ModelSpec from JSON. Raises ModelError, naming the file and the field, when it is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not a readable model description ({error})") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path}: must hold a JSON object with the fields of a model")
    for field in fields(ModelSpec):
        kind = int if field.type == "int" else str
        if not isinstance(found.get(field.name, "" if field.default == "" else None), kind):
            raise ModelError(f"{path}: field {field.name!r} must be there, as {kind.__name__}")
    spec = ModelSpec(**{field.name: found.get(field.name, "") for field in fields(ModelSpec)})
    for name in (spec.name, spec.weights_file):
        if not _PLAIN_NAME.fullmatch(name) or name == _SPEC_FILE:
            raise ModelError(f"{path}: {name!r} must be a plain name: letters, digits, '.', '_' and '-', no folders")
    if spec.graph not in GRAPHS:
        raise ModelError(f"{path}: field 'graph' is {spec.graph!r}, must be empty or 'plain'; update imgmatch")
    for name, value, limits in (("dim", spec.dim, _DIMS), ("input_px", spec.input_px, _INPUTS_PX)):
        if value not in limits:
            raise ModelError(f"{path}: field {name!r} is {value}, must be {limits.start} to {limits.stop - 1}")
    if not all(side.isdecimal() and int(side) in _INPUTS_PX and int(side) % 32 == 0 for side in spec.query_px.split()):
        raise ModelError(f"{path}: field 'query_px' is {spec.query_px!r}, must be sides in pixels, multiples of 32")
    if spec.query_px and (spec.graph or spec.input_px % 32):
        raise ModelError(f"{path}: field 'query_px' needs a graph of several sizes, all of them multiples of 32")
    return spec


def write_spec(spec: ModelSpec, path: Path) -> None:
    """Write a ModelSpec as JSON."""
    path.write_text(json.dumps(asdict(spec), indent=2) + "\n", encoding="utf-8")


def _cuda_obstacle(spec: ModelSpec) -> str | None:
    """What keeps a model from a CUDA device, and what to do. Loads torch only where all else is there."""
    from imgmatch.models.devices import cuda_devices

    if not spec.network:
        return "its torch network is not known; name it in the field 'network' of its description"
    if not cuda_devices():
        return "the driver sees no device; install an NVIDIA driver"
    if importlib.util.find_spec("onnx") is None:
        return "the package 'onnx' reads its weights and is not installed; pip install 'imgmatch[cuda]'"
    import torch

    if not torch.cuda.is_available():
        return f"torch {torch.__version__} can't use the device; install a torch with CUDA"
    return None


def _added() -> dict[str, ModelSpec]:
    found = {}
    for path in sorted(models_folder().glob(f"*/{_SPEC_FILE}")):
        try:
            spec = read_spec(path)
        except ImgmatchError:
            continue
        if spec.name == path.parent.name:
            found[spec.name] = spec
    return found


def _try(spec: ModelSpec, path: Path) -> None:
    import numpy as np

    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != spec.weights_sha256:
            raise ModelError(f"{path.name}: its SHA-256 is not the one in {_SPEC_FILE}; export the model again")
    noise = np.random.default_rng(0).integers(0, 256, (2, spec.input_px, spec.input_px, 3), dtype=np.uint8)
    _on_cpu(spec, path, threads=1).embed(noise)


def _on_cpu(spec: ModelSpec, path: Path, threads: int | None) -> Embedder:
    if spec.graph == "plain":
        from imgmatch.models.plain_onnx import PlainOnnxModel

        return PlainOnnxModel(spec, path, threads)
    from imgmatch.models.onnx_model import OnnxModel

    return OnnxModel(spec, path, threads)
