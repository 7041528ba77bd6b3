"""dlib's ResNet for faces (Davis King, dlib-models, CC0) as a plain ONNX graph, out of the file that dlib writes.

The file is read as numbers by what follows, without dlib: its own reader is native code. A residual network of 29
layers for chips of 150 pixels (He et al., CVPR 2016, thinned), 128 numbers a face.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from imgmatch.errors import ModelError

SIDE_PX, DIM = 150, 128
_MEAN_COLOUR, _COLOUR_SCALE = (122.782, 117.001, 104.298), 256.0
"""What dlib's ``input_rgb_image_sized`` takes from red, green and blue, and divides by."""
# Layers from the picture on, each begun by its name; what comes before is the loss that it was trained with.
_LAYER = re.compile(rb"(con_4|affine_|fc_2|relu_|max_pool_2|avg_pool_2|add_prev_)")

Numbers = npt.NDArray[np.float32]


def as_onnx(content: bytes) -> bytes:
    """An ONNX file that takes (N, 150, 150, 3) uint8 and gives (N, 128) float32; the same bytes every time.

    Raises ModelError where the file is not that network.
    """
    try:
        return _Graph().of(list(_layers(content)))
    except (ValueError, IndexError) as error:
        raise ModelError(f"dlib's ResNet for faces: its file is not as dlib writes it ({error})") from error


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer: its name, its numbers, and what it is set to (of a convolution: filters, its window, its step, its
    border; of pooling: its window and its step).
    """

    name: str
    weights: Numbers
    settings: tuple[int, ...]


def _layers(content: bytes) -> list[_Layer]:
    found = []
    at = content.index(b"input_rgb_image_sized")
    while (hit := _LAYER.search(content, at)) is not None:
        name, reader = hit[0].decode(), _Reader(content, hit.end())
        weights = np.empty(0, np.float32)
        settings: tuple[int, ...] = ()
        if name == "con_4":
            weights = reader.tensor()
            settings = reader.integers(7)
        elif name == "affine_":
            weights = reader.tensor()
        elif name == "fc_2":
            settings = reader.integers(2)
            weights = reader.tensor()
        elif name.endswith("pool_2"):
            settings = reader.integers(4)
        found.append(_Layer(name, weights, settings))
        at = reader.at
    return found


class _Reader:
    """dlib's serialisation: whole numbers with their length before them, tensors as plain little-endian float32."""

    def __init__(self, content: bytes, at: int) -> None:
        self._content, self.at = content, at

    def integers(self, count: int) -> tuple[int, ...]:
        return tuple(self._integer() for _ in range(count))

    def tensor(self) -> Numbers:
        version, *shape = self.integers(5)
        count = int(np.prod(shape))
        if version != 2 or 4 * count > len(self._content) - self.at:
            raise ValueError(f"a tensor of version {version} and shape {shape}")
        made = np.frombuffer(self._content, "<f4", count, self.at).astype(np.float32)
        self.at += 4 * count
        return made

    def _integer(self) -> int:
        head = self._content[self.at]
        end = self.at + 1 + (head & 0x0F)
        size = int.from_bytes(self._content[self.at + 1 : end], "little")
        self.at = end
        return -size if head & 0x80 else size


@dataclass(slots=True)
class _Graph:
    """A graph as it grows: where it stands, how many channels and cells to a side that has."""

    nodes: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)
    here: str = "chips"
    channels: int = 3
    side: int = SIDE_PX

    def of(self, layers: list[_Layer]) -> bytes:
        """The whole file."""
        self._begin()
        names = [layer.name for layer in layers]
        self._convolve(layers[0], layers[1])
        self._relu()
        self._pool("MaxPool", layers[3].settings)
        at, block = 4, ["con_4", "affine_", "relu_", "con_4", "affine_"]
        while names[at] == "con_4":
            if names[at : at + 5] != block:
                raise ValueError(f"layers {names[at : at + 5]}")
            smaller = names[at + 5] == "avg_pool_2"
            self._block(layers[at : at + 5], layers[at + 5].settings if smaller else ())
            at += 7 + smaller  # with the sum and what rectifies it
        if names[at:] != ["avg_pool_2", "fc_2"] or layers[-1].weights.size != self.channels * DIM:
            raise ValueError(f"ends in {names[at:]}")
        self._add("GlobalAveragePool", [])
        self._add("Flatten", [])
        self._add("MatMul", [self._kept(layers[-1].weights.reshape(self.channels, DIM))])
        given = helper.make_tensor_value_info("picture", TensorProto.UINT8, ["batch", SIDE_PX, SIDE_PX, 3])
        made = helper.make_tensor_value_info(self.here, TensorProto.FLOAT, ["batch", DIM])
        graph = helper.make_graph(self.nodes, "dlib_face_recognition_resnet_model_v1", [given], [made], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model)
        return model.SerializeToString(deterministic=True)

    def _begin(self) -> None:
        """Pictures as the network has them: float32, channels first, about 0."""
        self.nodes += [
            helper.make_node("Cast", ["picture"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("Transpose", ["numbers"], ["chips"], perm=[0, 3, 1, 2]),
        ]
        self._add("Sub", [self._kept(np.array(_MEAN_COLOUR, np.float32).reshape(1, 3, 1, 1))])
        self._add("Div", [self._kept(np.array(_COLOUR_SCALE, np.float32))])

    def _block(self, layers: list[_Layer], pooled: tuple[int, ...]) -> None:
        """Two convolutions to which what went in is added; ``pooled``: after it was made smaller, with 0 in the
        channels that are new.
        """
        before = self.here, self.channels, self.side
        self._convolve(layers[0], layers[1])
        self._relu()
        self._convolve(layers[3], layers[4])
        after, channels, side = self.here, self.channels, self.side
        self.here, self.channels, self.side = before
        if pooled:
            self._pool("AveragePool", pooled)
        # Sums are of the larger size, and what is missing of the other one is 0.
        most = max(channels, self.channels), max(side, self.side)
        self._pad(*most)
        shortcut, self.here, self.channels, self.side = self.here, after, channels, side
        self._pad(*most)
        self._add("Add", [shortcut])
        self._relu()

    def _convolve(self, layer: _Layer, scale: _Layer) -> None:
        """A convolution with the scale and shift of its channels multiplied in."""
        filters, tall, wide, step, step_x, border, border_x = layer.settings
        if (layer.name, scale.name, step, border) != ("con_4", "affine_", step_x, border_x):
            raise ValueError(f"layers {layer.name} {layer.settings}, {scale.name}")
        weights, shift = layer.weights[:-filters], layer.weights[-filters:]
        gamma, beta = scale.weights.reshape(2, filters)
        weights = weights.reshape(filters, self.channels, tall, wide) * gamma[:, None, None, None]
        self._add(
            "Conv", [self._kept(weights), self._kept(shift * gamma + beta)], strides=[step] * 2, pads=[border] * 4
        )
        self.channels, self.side = filters, (self.side + 2 * border - tall) // step + 1

    def _pool(self, kind: str, settings: tuple[int, ...]) -> None:
        tall, wide, step, step_x = settings
        if (tall, step) != (wide, step_x):
            raise ValueError(f"{kind} {settings}")
        self._add(kind, [], kernel_shape=[tall, wide], strides=[step, step])
        self.side = (self.side - tall) // step + 1

    def _pad(self, channels: int, side: int) -> None:
        more, cells = channels - self.channels, side - self.side
        if more or cells:
            self._add("Pad", [self._kept(np.array([0, 0, 0, 0, 0, more, cells, cells], np.int64))])
        self.channels, self.side = channels, side

    def _relu(self) -> None:
        self._add("Relu", [])

    def _add(self, kind: str, more: list[str], **settings: Any) -> None:
        made = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.here, *more], [made], **settings))
        self.here = made

    def _kept(self, values: npt.NDArray[Any]) -> str:
        name = f"weights_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name
