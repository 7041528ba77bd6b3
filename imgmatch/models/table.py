"""Which models there are, and where their weights lie: shipped, of extras, added on this machine."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
from pathlib import Path

from imgmatch.errors import ImgmatchError, MissingPackageError, ModelError, UnknownNameError
from imgmatch.models import sscd
from imgmatch.models.descriptions import PLAIN_NAME, SPEC_FILE, read_spec
from imgmatch.models.faces import weights as faces
from imgmatch.types import ModelSpec

DEFAULT_MODEL = "imgmatch-rooms-int8"

_ROOMS = ModelSpec(
    name="imgmatch-rooms",
    task="copies and places",
    dim=384,
    input_px=256,
    weights_file="imgmatch-rooms.onnx",
    weights_sha256="626d0429c8bee45cbdcd50c121fd9cec335749f4ed0c01ac07308079b8b76221",
    licence="Apache-2.0",
    source="trained by the imgmatch project; see docs/model-card.md",
    description="EfficientNet-Lite0; a copy part of 224 and a place part of 160 dimensions",
    network='{"backbone": "efficientnet_lite0", "parts": [224, 160]}',
    query_px="160 320",
    copy_dim=224,
)
MODELS = {
    spec.name: spec
    for spec in (
        _ROOMS,
        dataclasses.replace(
            _ROOMS,
            name="imgmatch-rooms-int8",
            weights_file="imgmatch-rooms-int8.onnx",
            weights_sha256="ce368f4a9804c73f1e13bf6722cae12a9e98d34a0162ea614812b69390919b16",
            source="8-bit version of imgmatch-rooms, made by imgmatch models quantise; see docs/model-card.md",
            description="imgmatch-rooms in 8 bits: twice as fast on processors with VNNI",
            network="",  # the float network in torch would give other vectors
        ),
    )
}
OPTIONAL = {sscd.SPEC.name: sscd.SPEC, **faces.MODELS}
"""Models whose weights an extra brings."""
SHIPPED = Path(__file__).parent / "weights"


def list_models() -> list[ModelSpec]:
    """Every model that can be named: shipped, of extras, added on this machine. Broken additions are left out."""
    known = MODELS | OPTIONAL
    return [*known.values(), *(spec for spec in _added().values() if spec.name not in known)]


def model_spec(name: str) -> ModelSpec:
    """What a model is. Raises UnknownNameError on an unknown one."""
    spec = MODELS.get(name) or OPTIONAL.get(name) or _added().get(name)
    if spec is None:
        raise UnknownNameError("model", name, [spec.name for spec in list_models()])
    return spec


def weights_path(spec: ModelSpec) -> Path:
    """Where a model's weight file is, or would be. Raises ModelError or MissingPackageError, naming the
    extra, where that is not installed.
    """
    if spec.name in faces.MODELS:
        return faces.weights_path(spec)
    if spec.name in OPTIONAL:
        return sscd.weights_path()
    folder = SHIPPED if spec.name in MODELS else models_folder() / spec.name
    return folder / spec.weights_file


def has_weights(spec: ModelSpec) -> bool:
    """Whether a model's weight file is on this machine; it is not read."""
    try:
        return weights_path(spec).is_file()
    except (ModelError, MissingPackageError):
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
    of_faces = spec.name in faces.MODELS
    wanted = faces.file_sha256(spec) if of_faces else spec.weights_sha256
    if sha256 != wanted:
        raise ModelError(
            f"{path}: altered, its SHA-256 is {sha256[:16]}... and must be {wanted[:16]}...; "
            "install imgmatch, or add the model, again"
        )
    if of_faces:
        from imgmatch.models.faces.small import of_network  # NumPy: not for who only names a model

        of_network(spec.name)
    return spec


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


def check_new_name(name: str) -> None:
    """Raise ModelError where a model can't be added under this name."""
    if not PLAIN_NAME.fullmatch(name):
        raise ModelError(f"{name!r} must be a plain name: letters, digits, '.', '_' and '-', no folders")
    if name in MODELS or name in OPTIONAL:
        how = "shipped with" if name in MODELS else "known to"
        raise ModelError(f"a model {name!r} is {how} imgmatch; choose another name")
    if (models_folder() / name).exists():
        raise ModelError(f"{models_folder() / name}: a model {name!r} is there already; remove its folder first")


def _added() -> dict[str, ModelSpec]:
    found = {}
    for path in sorted(models_folder().glob(f"*/{SPEC_FILE}")):
        try:
            spec = read_spec(path)
        except ImgmatchError:
            continue
        if spec.name == path.parent.name:
            found[spec.name] = spec
    return found
