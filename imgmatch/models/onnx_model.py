"""Models as ONNX files, run by ONNX Runtime on the CPU: the usual way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from imgmatch.errors import ModelError
from imgmatch.models.vectors import checked, prepared
from imgmatch.types import ModelSpec

if TYPE_CHECKING:
    from imgmatch.models.base import Cells, Vectors
    from imgmatch.types import Pixels

# Pictures of one run. Larger batches leave the cache: at 16 a picture costs a third more time, without the arena.
_RUN = 4


class OnnxModel:
    """An ONNX graph with inputs ``pixels`` uint8 (N, S, S, 3) and ``weights`` float32 (N, h, w), outputs ``vector``
    (N, dim) and ``cells`` (N, C, h, w). Implements Embedder.
    """

    def __init__(self, spec: ModelSpec, path: Path, threads: int | None = None) -> None:
        """``threads`` share one run (default: all usable cores). Raises ModelError when the file is no such graph."""
        self._spec = spec
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or _usable_cores()
        options.inter_op_num_threads = 1
        # Waiting threads sleep: spinning ones would take the cores that decode the next pictures.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False  # the arena keeps the largest batch's memory for good
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(f"{path}: can't be loaded as an ONNX model ({_one_line(error)}); restore it") from error
        inputs = {node.name: node.shape for node in self._session.get_inputs()}
        if set(inputs) != {"pixels", "weights"}:
            raise ModelError(f"{path}: has inputs {sorted(inputs)}, must have pixels and weights; export it again")
        self._grid = tuple(int(side) for side in inputs["weights"][1:])

    @property
    def spec(self) -> ModelSpec:
        """As Embedder.spec."""
        return self._spec

    @property
    def runtime(self) -> str:
        """As Embedder.runtime."""
        return f"onnxruntime {onnxruntime.__version__} cpu"

    def prepare(self, pixels: Pixels) -> Pixels:
        """As Embedder.prepare."""
        return prepared(pixels, self._spec.input_px)

    def embed(self, batch: Pixels, cell_weights: Cells | None = None) -> Vectors:
        """As Embedder.embed."""
        weights = np.ones((len(batch), *self._grid), np.float32) if cell_weights is None else cell_weights
        return checked(self._spec, batch, weights, self._grid, lambda: self._run("vector", batch, weights))

    def cells(self, batch: Pixels) -> Cells:
        """As Embedder.cells."""
        return self._run("cells", batch, np.ones((len(batch), *self._grid), np.float32))

    def _run(self, output: str, batch: Pixels, weights: Cells) -> Vectors:
        parts = [
            self._session.run([output], {"pixels": batch[i : i + _RUN], "weights": weights[i : i + _RUN]})[0]
            for i in range(0, len(batch), _RUN)
        ]
        return np.concatenate(parts)


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
