"""What every model is to the rest of imgmatch: pictures in, unit vectors out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from imgmatch.types import ModelSpec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from imgmatch.models.face import FoundFace
    from imgmatch.types import Image, Pixels

    Vectors = npt.NDArray[np.float32]
    Cells = npt.NDArray[np.float32]


class Embedder(Protocol):
    """A loaded model. Safe to use from several threads; a picture's vector does not depend on its batch."""

    @property
    def spec(self) -> ModelSpec:
        """Which model this is."""

    @property
    def runtime(self) -> str:
        """What computes the vectors, for the record (``onnxruntime 1.20 cpu``)."""

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) of the last feature map of a picture of ``spec.input_px``: the cells that ``cell_weights`` weigh."""

    def prepare(self, pixels: Pixels, side_px: int | None = None) -> Pixels:
        """Bring (H, W, 3) uint8 sRGB to the network's input, (S, S, 3) uint8: the whole picture, pressed square.

        ``side_px`` is S: one of ``spec.query_sides_px`` (default: ``spec.input_px``).
        """

    def embed(self, batch: Pixels, cell_weights: Cells | None = None) -> Vectors:
        """(N, S, S, 3) uint8 to (N, dim) float32 of unit length; N may be 0. S is one of ``spec.query_sides_px``.

        ``cell_weights`` (N, h, w) float32 in 0..1: how much each cell of the last feature map counts (1: all of it),
        so that a masked part of the picture has no say. Raises ModelError on another shape, where no cell is left, and
        when a vector is not finite or not of unit length.
        """

    def embed_parts(self, picture: Pixels, cell_weights: Cells) -> Vectors:
        """One picture (S, S, 3) uint8 pooled in R ways, weights (R, h, w) as in ``embed``, to (R, dim) unit vectors.

        The same as ``embed`` on R copies of it, at the cost of about one.
        """

    def cells(self, batch: Pixels) -> Cells:
        """(N, S, S, 3) uint8 to the feature map before pooling, (N, C, h, w) float32; N may be 0."""


class FaceEmbedder(Protocol):
    """A loaded model of faces: a picture in, each face in it with its place, how fit it is, and a unit vector out. Safe
    to use from several threads; a face's vector does not depend on what else is read.
    """

    @property
    def spec(self) -> ModelSpec:
        """Which model this is; its task is FACES."""

    @property
    def runtime(self) -> str:
        """What computes the vectors, for the record."""

    @property
    def network(self) -> Embedder:
        """What turns a face, brought upright to ``spec.input_px``, into a vector."""

    def read(self, image: Image, *, thorough: bool = False) -> list[FoundFace]:
        """Faces from left to right, (dim,) float32 each; ``thorough``: also small ones in a large picture, which takes
        many times as long. Raises ModelError.
        """
