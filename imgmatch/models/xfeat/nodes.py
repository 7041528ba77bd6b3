"""A graph of ONNX, written down node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    import numpy.typing as npt

Shape = Sequence[int | str]

_OPSET = 20
_IR = 9


class Nodes:
    """Nodes in the order in which they are added; each gives the name of what it makes."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._stored: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str | npt.NDArray[Any], outputs: int = 1, **attributes: Any) -> Any:
        """A node over names, or arrays that are stored; the name of its output, or a list of several."""
        names = [one if isinstance(one, str) else self.store(one) for one in inputs]
        made = [f"{kind.lower()}{len(self._nodes)}_{number}" for number in range(outputs)]
        self._nodes.append(helper.make_node(kind, names, made, **attributes))
        return made[0] if outputs == 1 else made

    def store(self, values: npt.NDArray[Any]) -> str:
        """An array as part of the graph."""
        name = f"stored{len(self._stored)}"
        self._stored.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def linear(self, of: str, weight: npt.NDArray[Any], bias: npt.NDArray[Any] | None = None) -> str:
        """A linear layer with (out, in) ``weight`` over the last axis."""
        made: str = self.add("MatMul", of, weight.T)
        return made if bias is None else self.add("Add", made, bias)

    def model(self, inputs: Mapping[str, Shape], outputs: Mapping[str, tuple[str, Shape]]) -> bytes:
        """The file: float32 inputs by name with their shapes; of each output the name of what makes it, and its shape.
        The same bytes every time.
        """
        kind = TensorProto.FLOAT
        given = [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()]
        for name, (of, _) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [of], [name]))
        made = [helper.make_tensor_value_info(name, kind, shape) for name, (_, shape) in outputs.items()]
        graph = helper.make_graph(self._nodes, "imgmatch", given, made, self._stored)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="imgmatch")
        model.ir_version = _IR
        content: bytes = model.SerializeToString(deterministic=True)
        return content
