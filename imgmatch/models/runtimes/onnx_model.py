"""Models as ONNX files, run by ONNX Runtime on the CPU: the usual way."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imgmatch.cores import usable_cores
from imgmatch.errors import ModelError
from imgmatch.models.runtimes.processor import sums_in_8_bits_are_exact
from imgmatch.models.runtimes.quiet import onnxruntime
from imgmatch.models.runtimes.vectors import checked, grid_of
from imgmatch.picture.prepared import prepared
from imgmatch.types import ModelSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.models.base import Cells, Vectors
    from imgmatch.types import Pixels

# Pictures of one run: more leave the processor's cache and gain nothing. As runs are all of one size, ONNX Runtime's
# arena stays small; without it a picture costs a quarter more time.
RUN = 4
_INPUTS = {"pixels": "tensor(uint8)", "weights": "tensor(float)"}
_OUTPUTS = {"vector": "tensor(float)", "cells": "tensor(float)"}


class OnnxSession:
    """What ONNX models of every kind share: the open file, what they are, and pictures brought to size."""

    def __init__(self, spec: ModelSpec, path: Path, threads: int | None) -> None:
        self._spec = spec
        self._session = open_session(path, threads)

    @property
    def spec(self) -> ModelSpec:
        """As Embedder.spec."""
        return self._spec

    @property
    def runtime(self) -> str:
        """As Embedder.runtime."""
        return f"onnxruntime {onnxruntime.__version__} cpu"

    def prepare(self, pixels: Pixels, side_px: int | None = None) -> Pixels:
        """As Embedder.prepare."""
        return prepared(pixels, side_px or self._spec.input_px)

    def run(self, output: str | None, feeds: dict[str, npt.NDArray[Any]], size: int = RUN) -> Vectors:
        """One output (None: the only one) of a batch that is not empty, ``size`` rows at a time. Raises ModelError."""
        names, count = None if output is None else [output], len(next(iter(feeds.values())))
        try:
            parts = [
                self._session.run(names, {name: rows[i : i + size] for name, rows in feeds.items()})[0]
                for i in range(0, count, size)
            ]
        except Exception as error:  # ONNX Runtime's errors share no base of their own
            given = ", ".join(f"{name} {rows.dtype} {rows.shape}" for name, rows in feeds.items())
            raise ModelError(
                f"{self._spec.name}: can't run on {given} ({_one_line(error)}); verify the model"
            ) from error
        return np.concatenate(parts)


class OnnxModel(OnnxSession):
    """An ONNX graph with inputs ``pixels`` uint8 (N, S, S, 3) and ``weights`` float32 (N, h, w), outputs ``vector``
    (N, dim) and ``cells`` (N, C, h, w). Implements Embedder.
    """

    def __init__(self, spec: ModelSpec, path: Path, threads: int | None = None) -> None:
        """``threads`` share one run (default: all usable cores). Raises ModelError when the file is no such graph."""
        super().__init__(spec, path, threads)
        self._path, self._threads = path, threads
        self._many: onnxruntime.InferenceSession | None = None  # opened when first needed
        self._many_lock = threading.Lock()
        inputs = {node.name: node for node in self._session.get_inputs()}
        outputs = {node.name: node for node in self._session.get_outputs()}
        for kind, nodes, wanted in (("inputs", inputs, _INPUTS), ("outputs", outputs, _OUTPUTS)):
            found = {name: node.type for name, node in nodes.items()}
            if found != wanted:
                raise ModelError(f"{path}: its {kind} are {found}, must be {wanted}; export it again")
        self._grid: tuple[int, ...]
        if spec.query_px:  # the graph takes pictures of several sides, with a cell for each 32 pixels
            self._grid = (-(-spec.input_px // 32),) * 2
            self._cell_shape = (*_sides(path, "cells", outputs["cells"].shape[:2], 1), *self._grid)
        else:
            self._grid = _sides(path, "weights", inputs["weights"].shape, 2)
            self._cell_shape = _sides(path, "cells", outputs["cells"].shape, 3)

    @property
    def grid(self) -> tuple[int, int]:
        """As Embedder.grid."""
        return self._grid[0], self._grid[1]

    def embed(self, batch: Pixels, cell_weights: Cells | None = None) -> Vectors:
        """As Embedder.embed."""
        weights = self._all_cells(batch) if cell_weights is None else np.asarray(cell_weights, np.float32)
        grid = grid_of(self._spec, batch, self._grid)
        return checked(
            self._spec, batch, weights, grid, lambda: self.run("vector", {"pixels": batch, "weights": weights})
        )

    def embed_parts(self, picture: Pixels, cell_weights: Cells) -> Vectors:
        """As Embedder.embed_parts."""
        weights = np.asarray(cell_weights, np.float32)
        copies = np.broadcast_to(picture, (len(weights), *picture.shape))
        grid = grid_of(self._spec, copies, self._grid)
        return checked(self._spec, copies, weights, grid, lambda: self._pool(picture[np.newaxis], weights))

    def cells(self, batch: Pixels) -> Cells:
        """As Embedder.cells."""
        if not len(batch):
            return np.empty((0, *self._cell_shape), np.float32)
        return self.run("cells", {"pixels": batch, "weights": self._all_cells(batch)})

    def _all_cells(self, batch: Pixels) -> Cells:
        return np.ones((len(batch), *grid_of(self._spec, batch, self._grid)), np.float32)

    def _pool(self, batch: Pixels, weights: Cells) -> Vectors:
        """Pool one picture's feature map by each of several weights: the graph broadcasts it."""
        with self._many_lock:
            if self._many is None:
                self._many = open_session(self._path, self._threads, broadcasts=True)
        try:
            found: Vectors = self._many.run(["vector"], {"pixels": batch, "weights": weights})[0]
        except Exception as error:  # ONNX Runtime's errors share no base of their own
            where = f"{self._spec.name}: can't run on {batch.dtype} {batch.shape}"
            raise ModelError(f"{where} ({_one_line(error)}); verify the model") from error
        return found


def open_session(path: Path, threads: int | None, *, broadcasts: bool = False) -> onnxruntime.InferenceSession:
    """Open an ONNX file for the CPU; ``threads`` None: all usable cores. Raises ModelError when it can't be loaded.

    ``broadcasts`` lets inputs differ in their batch size where the graph can stretch one of them.
    """
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    options.enable_mem_reuse = not broadcasts  # buffers planned for equal batches would be too small
    # Waiting threads sleep: spinning ones would take the cores that decode the next pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not sums_in_8_bits_are_exact():  # slower kernels give these processors the vectors that others have
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"{path}: can't be loaded as an ONNX model ({_one_line(error)}); restore it") from error


def _sides(path: Path, name: str, shape: list[int | str], count: int) -> tuple[int, ...]:
    """The sides after the batch's, which must be fixed."""
    sides = tuple(side for side in shape[1:] if isinstance(side, int))
    if len(shape) != count + 1 or len(sides) != count:
        raise ModelError(f"{path}: {name} must be (batch, {count} fixed sides), is {shape}; export it again")
    return sides


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
