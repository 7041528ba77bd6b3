"""An ONNX model with weights and activations in 8 bits: smaller and, on most processors, faster.

Static quantisation by ONNX Runtime (QDQ, per channel), calibrated on photographs. Pooling, projection and scaling to
unit length stay in float32: they cost next to nothing and decide the ranking. Vectors of the float and the 8-bit model
are not mixed: each is a model with a name and a SHA-256 of its own.
"""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imgmatch.errors import EvidenceError, UsageError
from imgmatch.image import decode
from imgmatch.models import (
    load_model,
    runtime,  # noqa: F401  (ONNX Runtime is first imported here: without telemetry)
    verify_model,
    weights_path,
    write_spec,
)
from imgmatch.optional import require
from imgmatch.types import ModelSpec

if TYPE_CHECKING:
    from imgmatch.types import Pixels

_LEAST_PICTURES = 32


def quantised_model(name: str, pictures: Sequence[Path], output: Path, *, limit: int = 256) -> ModelSpec:
    """Make an 8-bit version of a known model, called ``NAME-int8``, in a folder fit for ``models add``.

    ``pictures``: files to calibrate on, of which ``limit`` spread over all are used. Raises UsageError and ModelError.
    """
    spec = verify_model(name)
    embedder = load_model(name, device="cpu")
    prepared = []
    for path in pictures[:: max(1, len(pictures) // limit)][:limit]:
        try:
            prepared.append(embedder.prepare(decode(path.read_bytes(), min_side_px=spec.input_px).pixels))
        except (OSError, EvidenceError):
            continue  # a broken picture calibrates nothing; too few good ones are an error below
    output.mkdir(parents=True, exist_ok=True)
    target = output / "model.onnx"
    quantise(weights_path(spec), target, prepared)
    made = dataclasses.replace(
        spec,
        name=f"{name}-int8",
        weights_file=target.name,
        weights_sha256=hashlib.sha256(target.read_bytes()).hexdigest(),
        source=f"8-bit version of {name} (SHA-256 {spec.weights_sha256}), calibrated on {len(prepared)} pictures",
        network="",  # the float network in torch would give other vectors
    )
    write_spec(made, output / "spec.json")
    return made


def quantise(source: Path, target: Path, pictures: Sequence[Pixels], *, reduce_range: bool = True) -> None:
    """Write an 8-bit version of the ONNX model ``source``.

    ``pictures``: prepared photographs, (S, S, 3) uint8, from which the ranges of activations are taken.
    ``reduce_range`` keeps weights to 7 bits, so that processors with AVX2 but no VNNI don't saturate. Needs the extra
    ``train``. Raises UsageError when there are too few pictures.
    """
    if len(pictures) < _LEAST_PICTURES:
        raise UsageError(f"{len(pictures)} pictures to calibrate with are too few; give at least {_LEAST_PICTURES}")
    require("onnx", "train")
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as scratch:
        inferred = Path(scratch) / "inferred.onnx"
        quant_pre_process(source, inferred, skip_symbolic_shape=True)
        # With convolutions alone every activation and every sum between them would go through float32 and back.
        graph = onnx.load(inferred).graph
        quantised = [node.name for node in graph.node if node.op_type in ("Conv", "Clip", "Add")]
        grid = (-(-pictures[0].shape[0] // 32),) * 2
        quantize_static(
            inferred,
            target,
            _Pictures(pictures, grid),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_quantize=quantised,
            extra_options={"ActivationSymmetric": False},
        )
    model = onnx.load(target)
    _take_pixels_as_they_are(model.graph)
    model.producer_name, model.producer_version = "imgmatch", ""
    del model.metadata_props[:]
    del model.graph.value_info[:]
    target.write_bytes(model.SerializeToString(deterministic=True))


def _take_pixels_as_they_are(graph: Any) -> None:
    """Scaled pixels, (x - mean) / spread, in 8 bits are the pixels themselves with another zero point and scale.

    So what scales and rounds them is left out, and nothing is rounded, where mean and spread are the same in every
    channel; a graph that begins in another way is left as it is.
    """
    from onnx import numpy_helper

    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    by_input = {node.input[0]: node for node in graph.node if node.input}
    chain = [by_input.get("pixels")]
    for kind in ("Cast", "Sub", "Div", "QuantizeLinear", "DequantizeLinear"):
        following = by_input.get(chain[-1].output[0]) if chain[-1] is not None else None
        if following is None or following.op_type != kind:
            return
        chain.append(following)
    turned, *between, dequantise = chain
    mean, spread = (constants.get(node.input[1]) for node in between[1:3])
    if mean is None or spread is None or mean.size != 1 or spread.size != 1 or not 0 <= mean.item() <= 255:
        return
    if float(mean.item()) != round(mean.item()):
        return
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(1 / spread.item(), np.float32), "pixels_scale"),
            numpy_helper.from_array(np.array(mean.item(), np.uint8), "pixels_zero_point"),
        ]
    )
    dequantise.input[:] = [turned.output[0], "pixels_scale", "pixels_zero_point"]
    for node in between:
        graph.node.remove(node)


class _Pictures:
    """Feeds the calibration, a few pictures at a time (onnxruntime's CalibrationDataReader)."""

    def __init__(self, pictures: Sequence[Pixels], grid: Sequence[int], batch: int = 8) -> None:
        self._batches: Iterator[dict[str, Any]] = (
            {
                "pixels": np.stack(pictures[i : i + batch]),
                "weights": np.ones((len(pictures[i : i + batch]), *grid), np.float32),
            }
            for i in range(0, len(pictures), batch)
        )

    def get_next(self) -> dict[str, Any] | None:
        """The next batch, or None at the end."""
        return next(self._batches, None)
