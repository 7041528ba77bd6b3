"""Meta's own SSCD file, TorchScript or ONNX, to a plain ONNX model that takes uint8 pictures."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imgmatch.errors import ModelError
from imgmatch.models.adding import add_model
from imgmatch.models.descriptions import write_spec
from imgmatch.models.runtimes.onnx_model import open_session
from imgmatch.models.sscd import SPEC
from imgmatch.models.table import check_new_name
from imgmatch.optional import require
from imgmatch.types import ModelSpec

if TYPE_CHECKING:
    import onnx

# What the network was trained with: RGB of 0..1, ImageNet's statistics, pressed to 288 px.
_MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
_STD = np.array([0.229, 0.224, 0.225], np.float32) * 255
_ZIP = b"PK\x03\x04"
_OPSET = 18


def add_sscd(file: Path, name: str | None = None, licence: str | None = None) -> ModelSpec:
    """Add Meta's own SSCD file to this machine's models (default name: sscd-meta).

    TorchScript is read by ``torch.jit.load`` (TorchScript, no pickled Python), exported, and compared with its export.
    An ONNX file may take uint8 (N, S, S, 3), as it is, or float (N, 3, S, S), before which scaling is put. Needs the
    extra ``train``. Raises ModelError that names the file where it is neither.
    """
    name = name or "sscd-meta"
    check_new_name(name)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_spec(_convert(file, folder, name, licence), folder / "spec.json")
        return add_model(folder)


def _convert(file: Path, folder: Path, name: str, licence: str | None) -> ModelSpec:
    onnx = require("onnx", "train")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{file}: can't be read ({error.strerror}); give Meta's TorchScript or an ONNX file"
        ) from error
    target = folder / "model.onnx"
    if content.startswith(_ZIP):
        draft = folder / "draft.onnx"
        module = _export_script(file, draft)
        model = onnx.load(draft)
        side = _put_scaling_before(model, file)
        target.write_bytes(model.SerializeToString(deterministic=True))
        _compare(file, module, target, side)
    else:
        try:
            model = onnx.load(file)
        except Exception as error:  # whatever the parser meets in a file that is something else
            raise ModelError(f"{file}: neither TorchScript nor ONNX; give Meta's file for sscd_disc_mixup") from error
        side = _put_scaling_before(model, file)
        target.write_bytes(model.SerializeToString(deterministic=True))
    return replace(
        SPEC,
        name=name,
        dim=_dim(target, side),
        input_px=side,
        weights_file=target.name,
        weights_sha256=hashlib.sha256(target.read_bytes()).hexdigest(),
        licence=licence or "MIT (Meta's weights)",
        source=f"{file.name} given by path, SHA-256 {hashlib.sha256(content).hexdigest()}",
        description="SSCD, a network for copies (arXiv 2202.10261)",
    )


def _export_script(file: Path, draft: Path) -> Any:
    """TorchScript to ONNX, float (N, 3, S, S) in; gives the loaded module."""
    torch = require("torch", "train")

    side = SPEC.input_px
    try:
        module = torch.jit.load(file, map_location="cpu").eval()
        torch.onnx.export(
            module,
            (torch.zeros(2, 3, side, side),),
            draft,
            input_names=["scaled"],
            output_names=["embedding"],
            dynamic_axes={"scaled": {0: "batch"}, "embedding": {0: "batch"}},
            opset_version=_OPSET,
            dynamo=False,  # the newer exporter takes Python modules only
        )
    except Exception as error:  # a file of another kind fails in many ways, all of them one error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{file}: not TorchScript that takes (N, 3, {side}, {side}) and can be exported ({reason}); "
            "give Meta's sscd_disc_mixup.torchscript.pt"
        ) from error
    return module


def _put_scaling_before(model: onnx.ModelProto, file: Path) -> int:
    """Make a graph that takes scaled float (N, 3, S, S) take uint8 (N, S, S, 3) instead; gives S."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    kind = inputs[0].type.tensor_type if len(inputs) == 1 else None
    sides = [dim.dim_value or None for dim in kind.shape.dim] if kind else []
    plain = kind is not None and kind.elem_type == TensorProto.UINT8 and len(sides) == 4 and sides[3] == 3
    scaled = kind is not None and kind.elem_type == TensorProto.FLOAT and len(sides) == 4 and sides[1] in (3, None)
    height, width = (sides[1:3] if plain else sides[2:4]) if plain or scaled else (0, -1)
    if (height or SPEC.input_px) != (width or SPEC.input_px):
        raise ModelError(
            f"{file}: must take one square picture, float (N, 3, S, S) or uint8 (N, S, S, 3); give another file"
        )
    side = height or width or SPEC.input_px
    if plain:
        return side
    inner = inputs[0].name
    batch = sides[0] or "batch"
    at = list(graph.input).index(inputs[0])
    graph.input.remove(inputs[0])
    graph.input.insert(at, helper.make_tensor_value_info("imgmatch_image", TensorProto.UINT8, [batch, side, side, 3]))
    for part, values in (("mean", _MEAN), ("std", _STD)):
        graph.initializer.append(numpy_helper.from_array(values.reshape(3, 1, 1), f"imgmatch_{part}"))
    steps = [
        helper.make_node("Cast", ["imgmatch_image"], ["imgmatch_float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["imgmatch_float"], ["imgmatch_planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["imgmatch_planes", "imgmatch_mean"], ["imgmatch_centred"]),
        helper.make_node("Div", ["imgmatch_centred", "imgmatch_std"], [inner]),
    ]
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(steps + nodes)
    return side


def _dim(path: Path, side: int) -> int:
    """The length of a graph's vector, found by running it."""
    session = open_session(path, 1)
    outputs = session.run(None, {session.get_inputs()[0].name: np.zeros((1, side, side, 3), np.uint8)})
    if len(outputs) != 1 or outputs[0].ndim != 2:
        shapes = [output.shape for output in outputs]
        raise ModelError(f"{path.name}: gives {shapes}, must give one vector a picture; give another file")
    return int(outputs[0].shape[1])


def _compare(file: Path, module: Any, path: Path, side: int) -> None:
    """Refuse an export that does not give the module's vectors (cosine >= 0.9999)."""
    import torch

    batch = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    scaled = (batch.transpose(0, 3, 1, 2).astype(np.float32) - _MEAN.reshape(3, 1, 1)) / _STD.reshape(3, 1, 1)
    with torch.inference_mode():
        expected = module(torch.from_numpy(scaled)).numpy()
    session = open_session(path, 1)
    found = session.run(None, {session.get_inputs()[0].name: batch})[0]
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    cosine = float(((found * expected).sum(axis=1) / lengths).min())
    if not cosine >= 0.9999:
        raise ModelError(f"{file}: its export gives other vectors (cosine {cosine:.6f}); not usable")
