"""Plain ONNX models, one picture in and one vector out: networks that others have made, such as SSCD."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.errors import ModelError
from imgmatch.models.runtimes.onnx_model import RUN, OnnxSession
from imgmatch.models.runtimes.vectors import checked
from imgmatch.types import ModelSpec

if TYPE_CHECKING:
    from imgmatch.models.base import Cells, Vectors
    from imgmatch.types import Pixels

_GRID = (1, 1)


class PlainOnnxModel(OnnxSession):
    """An ONNX graph with one uint8 input (N, S, S, 3) and one float32 output (N, dim). Implements Embedder, but for
    its feature map, which the graph keeps to itself.

    ``grid`` is one cell, the whole picture. So a masked query is embedded with the masked part painted over by its
    surroundings, as a search does for every model; that it has no say at all can't be had here.
    """

    def __init__(self, spec: ModelSpec, path: Path, threads: int | None = None) -> None:
        """``threads`` share one run (default: all usable cores). Raises ModelError when the file is no such graph."""
        super().__init__(spec, path, threads)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        side = spec.input_px
        taken = [(node.type, *node.shape[1:]) for node in inputs]
        fits = len(taken) == 1 and len(inputs[0].shape) == 4 and taken[0][0] == "tensor(uint8)"
        fits = fits and all(
            not isinstance(a, int) or a == b for a, b in zip(taken[0][1:], (side, side, 3), strict=True)
        )
        if not fits:
            raise ModelError(
                f"{path}: its inputs are {taken}, must be one uint8 picture of {side} x {side} x 3; export it again"
            )
        given = [(node.type, *node.shape[1:]) for node in outputs]
        if len(given) != 1 or given[0][0] != "tensor(float)" or len(outputs[0].shape) != 2:
            raise ModelError(f"{path}: its outputs are {given}, must be one float vector; export it again")
        batch = inputs[0].shape[0]
        if isinstance(batch, int) and batch != 1:
            raise ModelError(f"{path}: takes {batch} pictures at once, must take 1 or any number; export it again")
        self._run_size = 1 if batch == 1 else RUN
        self._input = inputs[0].name

    @property
    def grid(self) -> tuple[int, int]:
        """As Embedder.grid: one cell, the whole picture."""
        return _GRID

    def embed(self, batch: Pixels, cell_weights: Cells | None = None) -> Vectors:
        """As Embedder.embed; with one cell, every weight above 0 means the same: all of the picture counts."""
        whole = np.ones((len(batch), *_GRID), np.float32)
        weights = whole if cell_weights is None else np.asarray(cell_weights, np.float32)
        return checked(self._spec, batch, weights, _GRID, lambda: self._unit(batch))

    def embed_parts(self, picture: Pixels, cell_weights: Cells) -> Vectors:
        """As Embedder.embed_parts; with one cell, all parts are the whole."""
        return self.embed(np.repeat(picture[np.newaxis], len(cell_weights), axis=0), cell_weights)

    def cells(self, batch: Pixels) -> Cells:
        """Raises ModelError: the graph gives no feature map."""
        raise ModelError(f"{self._spec.name}: gives a vector only, no feature map; use a model that has one")

    def _unit(self, batch: Pixels) -> Vectors:
        vectors = self.run(None, {self._input: batch}, self._run_size)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
