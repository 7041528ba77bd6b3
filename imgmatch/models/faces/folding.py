"""Networks whose weights are quantised in blocks, to plain float32: what ONNX Runtime runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    import numpy.typing as npt

    Weights = npt.NDArray[np.float32]


def folded(content: bytes, *, pictures: bool) -> bytes:
    """An ONNX file of OpenCV Zoo in float32, of pictures of any size; the same bytes every time.

    ``pictures``: it takes a batch of (N, S, S, 3) uint8, as the runtime for plain graphs gives them; else (1, 3, H, W)
    float32, with H and W multiples of 32.
    """
    model = onnx.load_from_string(content)
    graph = model.graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        if node.op_type != "DequantizeLinear" or any(name not in stored for name in node.input if name):
            kept.append(node)
            continue
        axis = next((helper.get_attribute_value(a) for a in node.attribute if a.name == "axis"), 1)
        values = _dequantised(*(stored[name] for name in node.input if name), axis=axis)
        stored[node.output[0]] = values
        graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)
    _rectify(graph)
    _only_what_is_used(graph)
    given = graph.input[0]
    if pictures:
        side = given.type.tensor_type.shape.dim[2].dim_value
        _take_pictures(graph, given.name, side)
        graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    else:
        for dim, name in zip(given.type.tensor_type.shape.dim[2:], ("height", "width"), strict=True):
            dim.dim_param = name
        for output in graph.output:
            output.type.tensor_type.shape.dim[1].dim_param = f"cells_of_{output.name}"
    del graph.value_info[:]  # shapes of the one size that it was made for
    return model.SerializeToString(deterministic=True)


def _dequantised(values: Any, scale: Any, zero: Any = None, *, axis: int) -> Weights:
    """As DequantizeLinear of ONNX: of a tensor, an axis of it, or blocks along an axis."""
    zero = np.zeros_like(scale) if zero is None else zero
    if scale.size == 1:
        scale, zero = scale.reshape(()), zero.reshape(())
    elif scale.ndim == values.ndim:
        for at, length in enumerate(values.shape):
            times = -(-length // scale.shape[at])
            scale, zero = np.repeat(scale, times, at), np.repeat(zero, times, at)
        part = tuple(slice(0, length) for length in values.shape)
        scale, zero = scale[part], zero[part]
    else:
        shape = [1] * values.ndim
        shape[axis] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    made: Weights = (values.astype(np.float32) - zero.astype(np.float32)) * scale.astype(np.float32)
    return made


def _rectify(graph: onnx.GraphProto) -> None:
    """PRelu as four plain steps, of which ONNX Runtime is a third faster and gives the same bits: of ``max(x, 0)`` and
    ``slope * (x - max(x, 0))`` one is 0.
    """
    nodes = []
    for node in graph.node:
        if node.op_type != "PRelu":
            nodes.append(node)
            continue
        (given, slope), made = node.input, node.output[0]
        above, below, bent = (f"{made}_{part}" for part in ("above", "below", "bent"))
        nodes += [
            helper.make_node("Relu", [given], [above]),
            helper.make_node("Sub", [given, above], [below]),
            helper.make_node("Mul", [below, slope], [bent]),
            helper.make_node("Add", [above, bent], [made]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _only_what_is_used(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    weights = [tensor for tensor in graph.initializer if tensor.name in used]
    names = {tensor.name for tensor in weights}
    inputs = [value for value in graph.input if value.name in used - names]
    del graph.initializer[:], graph.input[:]
    graph.initializer.extend(weights)
    graph.input.extend(inputs)


def _take_pictures(graph: onnx.GraphProto, inner: str, side: int) -> None:
    """Put before a graph what brings (N, S, S, 3) uint8 to its own (N, 3, S, S) float32."""
    del graph.input[:]
    shape = ["batch", side, side, 3]
    graph.input.append(helper.make_tensor_value_info("imgmatch_image", TensorProto.UINT8, shape))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.append(helper.make_node("Cast", ["imgmatch_image"], ["imgmatch_float"], to=TensorProto.FLOAT))
    graph.node.append(helper.make_node("Transpose", ["imgmatch_float"], [inner], perm=[0, 3, 1, 2]))
    graph.node.extend(nodes)
