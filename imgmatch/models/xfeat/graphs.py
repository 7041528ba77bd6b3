"""XFeat and LighterGlue as ONNX graphs, from their weights.

XFeat: Potje, Cadar, Araujo, Martins and Nascimento, *XFeat: Accelerated Features for Lightweight Image Matching*, CVPR
2024. LighterGlue: their LightGlue (Lindenberger, Sarlin and Pollefeys, ICCV 2023) of six layers and 96 dimensions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imgmatch.models.xfeat.nodes import Nodes, Shape

if TYPE_CHECKING:
    import numpy.typing as npt

    Weights = dict[str, npt.NDArray[np.float32]]

LAYERS = 6
_DIM = 96
_NMS_CELLS = 5
_LEAST = 0.05
_EPSILON = 1e-5


def points_graph(weights: Weights) -> bytes:
    """``grey`` (1, 1, H, W) float32, H and W multiples of 32, to what is found in it in no order: ``points`` (N, 2)
    x, y; ``scores`` (N,); ``descriptors`` (N, 64) of unit length.
    """
    net = _Convolutions(weights)
    grey = net.add("InstanceNormalization", "grey", np.ones(1, np.float32), np.zeros(1, np.float32), epsilon=_EPSILON)
    first = net.blocks(grey, "block1", (1, 2, 1, 2))
    small = net.add("AveragePool", grey, kernel_shape=[4, 4], strides=[4, 4])
    second = net.blocks(net.add("Add", first, net.convolution(small, "skip1.1")), "block2", (1, 1))
    third = net.blocks(second, "block3", (2, 1, 1))
    fourth = net.blocks(third, "block4", (2, 1, 1))
    fifth = net.blocks(fourth, "block5", (2, 1, 1, 1))
    size = net.add("Shape", third)
    joined = net.add("Add", third, net.add("Add", *(net.enlarged(of, size) for of in (fourth, fifth))))
    features = net.convolution(net.blocks(joined, "block_fusion", (1, 1)), "block_fusion.2")
    unit = net.add("LpNormalization", features, axis=1, p=2)
    reliable = net.blocks(features, "heatmap_head", (1, 1))
    reliable = net.add("Sigmoid", net.convolution(reliable, "heatmap_head.2"))
    cells = net.blocks(net.add("SpaceToDepth", grey, blocksize=8), "keypoint_head", (1, 1, 1))
    cells = net.add("Softmax", net.convolution(cells, "keypoint_head.3"), axis=1)
    inside = net.add("Slice", cells, *(np.array([number], np.int64) for number in (0, 64, 1)))
    heat = net.add("DepthToSpace", inside, blocksize=8)
    points, likely = _peaks(net, heat)
    grid = _grid(net, points, heat)
    kept = net.sampled(reliable, grid, "linear")
    scores = net.add("Mul", likely, net.add("Squeeze", kept, np.array([1], np.int64)))
    descriptors = net.add("LpNormalization", net.sampled(unit, grid, "cubic"), axis=1, p=2)
    outputs: dict[str, tuple[str, Shape]] = {
        "points": (points, ["n", 2]), "scores": (scores, ["n"]), "descriptors": (descriptors, ["n", 64])
    }  # fmt: skip
    return net.model({"grey": [1, 1, "height", "width"]}, outputs)


def _peaks(net: Nodes, heat: str) -> tuple[str, str]:
    """Where a map (1, 1, H, W) is highest of its neighbourhood and high enough, (N, 2) x, y; and how high, (N,)."""
    half = _NMS_CELLS // 2
    highest = net.add("MaxPool", heat, kernel_shape=[_NMS_CELLS] * 2, pads=[half] * 4, strides=[1, 1])
    peak = net.add("And", net.add("Equal", heat, highest), net.add("Greater", heat, np.array(_LEAST, np.float32)))
    places = net.add("Transpose", net.add("NonZero", peak), perm=[1, 0])
    likely = net.add("GatherND", heat, places)
    across_down = net.add("Gather", places, np.array([3, 2], np.int64), axis=1)
    return net.add("Cast", across_down, to=1), likely


def _grid(net: Nodes, points: str, heat: str) -> str:
    """Points as (1, 1, N, 2) in -1..1 of a map, as the network was trained with."""
    size = net.add("Cast", net.add("Gather", net.add("Shape", heat), np.array([3, 2], np.int64)), to=1)
    share = net.add("Div", points, net.add("Sub", size, np.array(1, np.float32)))
    spread = net.add("Sub", net.add("Mul", share, np.array(2, np.float32)), np.array(1, np.float32))
    return net.add("Unsqueeze", spread, np.array([0, 1], np.int64))


class _Convolutions(Nodes):
    """Nodes of a convolutional network whose weights are known by the names of its layers."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self._weights = weights

    def blocks(self, of: str, name: str, strides: tuple[int, ...]) -> str:
        """Convolutions one after the other, each with its normalisation folded in, and clipped at zero."""
        for number, stride in enumerate(strides):
            layer = f"{name}.{number}.layer"
            weight = self._weights[f"{layer}.0.weight"]
            mean, variance = (self._weights[f"{layer}.1.running_{what}"] for what in ("mean", "var"))
            scale = 1 / np.sqrt(variance + np.float32(_EPSILON))
            pad = weight.shape[2] // 2
            made = self.add(
                "Conv", of, weight * scale[:, None, None, None], -mean * scale, strides=[stride] * 2, pads=[pad] * 4
            )
            of = self.add("Relu", made)
        return of

    def convolution(self, of: str, name: str) -> str:
        """A plain convolution of one cell."""
        made: str = self.add("Conv", of, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])
        return made

    def enlarged(self, of: str, size: str) -> str:
        """A map brought to another's size."""
        nothing = np.array([], np.float32)
        made: str = self.add(
            "Resize", of, nothing, nothing, size, mode="linear", coordinate_transformation_mode="half_pixel"
        )
        return made

    def sampled(self, of: str, grid: str, mode: str) -> str:
        """(N, C): a map (1, C, h, w) at points."""
        found = self.add("GridSample", of, grid, mode=mode, padding_mode="zeros", align_corners=0)
        made: str = self.add("Transpose", self.add("Squeeze", found, np.array([0, 2], np.int64)), perm=[1, 0])
        return made


def pairing_graph(weights: Weights) -> bytes:
    """Two pictures' ``points_a`` (N, 2) in -1..1 of the longer side and ``descriptors_a`` (N, 64), the same of b (M):
    to ``likely`` (N, M), how likely each pairs with each, 0..1.
    """
    net = _Transformer(weights)
    a, b = (net.of("input_proj", f"descriptors_{which}") for which in "ab")
    turns = [net.turning(f"points_{which}") for which in "ab"]
    for layer in range(LAYERS):
        name = f"transformers.{layer}"
        a, b = (net.looks_at_itself(of, f"{name}.self_attn", turn) for of, turn in zip((a, b), turns, strict=True))
        a, b = net.looks_at_the_other(a, b, f"{name}.cross_attn")
    last = f"log_assignment.{LAYERS - 1}"
    scale = np.array(_DIM**-0.25, np.float32)
    one, other = (net.add("Mul", net.of(f"{last}.final_proj", of), scale) for of in (a, b))
    alike = net.add("MatMul", one, net.add("Transpose", other, perm=[1, 0]))
    ways = net.add("Mul", net.add("Softmax", alike, axis=1), net.add("Softmax", alike, axis=0))
    sure = [net.add("Sigmoid", net.of(f"{last}.matchability", of)) for of in (a, b)]
    both = net.add("Mul", sure[0], net.add("Transpose", sure[1], perm=[1, 0]))
    likely = net.add("Mul", ways, both)
    inputs: dict[str, Shape] = {}
    for which, count in (("a", "n"), ("b", "m")):
        inputs |= {f"points_{which}": [count, 2], f"descriptors_{which}": [count, 64]}
    return net.model(inputs, {"likely": (likely, ["n", "m"])})


class _Transformer(Nodes):
    """Nodes of a LightGlue of one head."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        # The file holds an older XFeat as well.
        self._weights = {
            name.removeprefix("matcher."): weight for name, weight in weights.items() if name.startswith("matcher.")
        }

    def of(self, name: str, what: str) -> str:
        """A linear layer by its name."""
        return self.linear(what, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def turning(self, points: str) -> tuple[str, str]:
        """Cosines and sines (N, 96) by which a point's place turns its vector (rotary encoding)."""
        weight = np.repeat(self._weights["posenc.Wr.weight"], 2, axis=0)
        angles = self.linear(points, weight)
        return self.add("Cos", angles), self.add("Sin", angles)

    def looks_at_itself(self, of: str, name: str, turn: tuple[str, str]) -> str:
        """Self-attention: queries and keys are turned by where their points lie."""
        weight, bias = self._weights[f"{name}.Wqkv.weight"], self._weights[f"{name}.Wqkv.bias"]
        # Query, key and value lie by turns in the one matrix that was trained.
        query, key, value = (self.linear(of, weight[part::3], bias[part::3]) for part in range(3))
        query, key = (self._turned(part, turn) for part in (query, key))
        alike = self.add("MatMul", query, self.add("Transpose", key, perm=[1, 0]))
        alike = self.add("Softmax", self.add("Mul", alike, np.array(_DIM**-0.5, np.float32)), axis=1)
        return self._told(of, self.of(f"{name}.out_proj", self.add("MatMul", alike, value)), name)

    def looks_at_the_other(self, a: str, b: str, name: str) -> tuple[str, str]:
        """Cross-attention, both ways over one matrix."""
        scale = np.array(_DIM**-0.25, np.float32)
        one, other = (self.add("Mul", self.of(f"{name}.to_qk", of), scale) for of in (a, b))
        values = [self.of(f"{name}.to_v", of) for of in (a, b)]
        alike = self.add("MatMul", one, self.add("Transpose", other, perm=[1, 0]))
        back = self.add("Transpose", alike, perm=[1, 0])
        told = [
            self.of(f"{name}.to_out", self.add("MatMul", self.add("Softmax", way, axis=1), value))
            for way, value in ((alike, values[1]), (back, values[0]))
        ]
        return self._told(a, told[0], name), self._told(b, told[1], name)

    def _turned(self, of: str, turn: tuple[str, str]) -> str:
        swap = np.kron(np.eye(_DIM // 2, dtype=np.float32), np.array([[0, 1], [-1, 0]], np.float32))
        turned = self.add("Mul", self.add("MatMul", of, swap), turn[1])
        made: str = self.add("Add", self.add("Mul", of, turn[0]), turned)
        return made

    def _told(self, of: str, message: str, name: str) -> str:
        inner = self.of(f"{name}.ffn.0", self.add("Concat", of, message, axis=1))
        scale, bias = (self._weights[f"{name}.ffn.1.{what}"] for what in ("weight", "bias"))
        inner = self.add("Gelu", self.add("LayerNormalization", inner, scale, bias, epsilon=_EPSILON))
        made: str = self.add("Add", of, self.of(f"{name}.ffn.3", inner))
        return made
