"""Models run by torch, for a CUDA device: the network that the ONNX file came from, with that file's weights.

One weight file is shipped, the ONNX one: a second copy would double the download and could differ from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from imgmatch.errors import ModelError
from imgmatch.given import loads
from imgmatch.models.network import DescriptorNetwork
from imgmatch.models.runtimes.vectors import checked, grid_of
from imgmatch.optional import require
from imgmatch.picture.prepared import prepared
from imgmatch.types import ModelSpec

if TYPE_CHECKING:
    from imgmatch.models.base import Cells, Vectors
    from imgmatch.types import Pixels

_RUN = 64
_PREFIX = "network."
MIN_COSINE = 0.9999
"""How near the vectors of torch and of ONNX Runtime must be."""


class TorchModel:
    """A DescriptorNetwork with the weights of a model's ONNX file. Implements Embedder."""

    def __init__(self, spec: ModelSpec, path: Path, device: str) -> None:
        """Raises ModelError when the file's weights do not fit the network that ``spec.network`` describes."""
        self._spec = spec
        self._device = torch.device(device)
        self._network = load_network(spec, path).to(self._device)
        self._grid = (-(-spec.input_px // 32),) * 2
        # Vectors must be those of the CPU, and the same each time: no 10-bit mantissa in convolutions and products.
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.deterministic = True
        self._compare(path)

    @property
    def spec(self) -> ModelSpec:
        """As Embedder.spec."""
        return self._spec

    @property
    def runtime(self) -> str:
        """As Embedder.runtime."""
        name = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "cpu"
        return f"torch {torch.__version__} {name}"

    @property
    def grid(self) -> tuple[int, int]:
        """As Embedder.grid."""
        return self._grid

    def prepare(self, pixels: Pixels, side_px: int | None = None) -> Pixels:
        """As Embedder.prepare."""
        return prepared(pixels, side_px or self._spec.input_px)

    def embed(self, batch: Pixels, cell_weights: Cells | None = None) -> Vectors:
        """As Embedder.embed."""
        grid = grid_of(self._spec, batch, self._grid)
        weights = np.ones((len(batch), *grid), np.float32)
        if cell_weights is not None:
            weights = np.asarray(cell_weights, np.float32)

        def run() -> Vectors:
            with torch.inference_mode():
                parts = [
                    self._network(self._tensor(batch[i : i + _RUN]), self._tensor(weights[i : i + _RUN])).cpu().numpy()
                    for i in range(0, len(batch), _RUN)
                ]
            return np.concatenate(parts)

        return checked(self._spec, batch, weights, grid, run)

    def embed_parts(self, picture: Pixels, cell_weights: Cells) -> Vectors:
        """As Embedder.embed_parts."""
        weights = np.asarray(cell_weights, np.float32)

        def run() -> Vectors:
            with torch.inference_mode():
                found: Vectors = self._network(self._tensor(picture[np.newaxis]), self._tensor(weights)).cpu().numpy()
            return found

        copies = np.broadcast_to(picture, (len(weights), *picture.shape))
        return checked(self._spec, copies, weights, grid_of(self._spec, copies, self._grid), run)

    def cells(self, batch: Pixels) -> Cells:
        """As Embedder.cells."""
        starts = range(0, max(len(batch), 1), _RUN)  # torch runs an empty batch as well
        with torch.inference_mode():
            parts = [self._network.cells(self._tensor(batch[i : i + _RUN])).cpu().numpy() for i in starts]
        return np.concatenate(parts)

    def _compare(self, path: Path) -> None:
        """Refuse a network that does not give the ONNX file's vectors: a case may hold vectors of both."""
        from imgmatch.models.runtimes.onnx_model import OnnxModel

        rng = np.random.default_rng(0)
        side = self._spec.input_px
        batch = rng.integers(0, 256, (2, side, side, 3), dtype=np.uint8)
        weights = rng.random((2, *self._grid), dtype=np.float32)
        cosine = (self.embed(batch, weights) * OnnxModel(self._spec, path).embed(batch, weights)).sum(axis=1).min()
        if not cosine >= MIN_COSINE:
            raise ModelError(
                f"{path}: the torch network of {self._spec.name} with its weights gives other vectors than the file "
                f"itself (cosine {cosine:.6f}); use --device cpu"
            )

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)


def load_network(spec: ModelSpec, path: Path) -> DescriptorNetwork:
    """The torch network of a model, in eval mode, normalisations folded, with the weights of its ONNX file.

    Needs the extra ``cuda`` (the onnx package reads the file). Raises ModelError when they do not fit.
    """
    onnx = require("onnx", "cuda")
    from onnx import numpy_helper

    from imgmatch.models.folding import fold

    try:
        network = fold(DescriptorNetwork(**loads(spec.network)))
        expected = network.state_dict()
        model = onnx.load(path, load_external_data=False)
        stored = {tensor.name: tensor for tensor in model.graph.initializer}
        places = {name: _PREFIX + name for name in expected}
        zero = set()
        for node in model.graph.node:
            # A folded bias has a name of the exporter's own, equal ones share it, and an all-zero one is dropped.
            if node.op_type == "Conv":
                bias = node.input[1].removeprefix(_PREFIX).removesuffix(".weight") + ".bias"
                if len(node.input) == 3:
                    places[bias] = node.input[2]
                else:
                    zero.add(bias)
        # What the exporter folds away is noted beside the graph.
        noted = {entry.key: loads(entry.value) for entry in model.metadata_props}
        state = {}
        for name, value in expected.items():
            if places[name] in stored:
                found = torch.from_numpy(numpy_helper.to_array(stored[places[name]]).copy())
            elif name in noted:
                found = torch.tensor(noted[name])
            elif name in zero:
                found = torch.zeros_like(value)
            else:
                raise ValueError(f"no weights for {name}")
            state[name] = found.reshape(value.shape)
        network.load_state_dict(state)
    except (ValueError, TypeError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{path}: does not fit the network of {spec.name} ({reason}); use --device cpu") from error
    return network.eval()
