"""An ONNX model with weights and activations in 8 bits: smaller and, on processors with VNNI, twice as fast.

Static quantisation by ONNX Runtime (QDQ, per channel), calibrated on photographs, and biases corrected for the rounding
of weights. Pooling, projection and scaling to unit length stay in float32: they cost next to nothing and decide the
ranking. Vectors of the float and the 8-bit model are not mixed: each is a model with a name and a SHA-256 of its own.
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
from imgmatch.models import load_model, verify_model, weights_path
from imgmatch.models.descriptions import write_spec
from imgmatch.models.runtimes.quiet import onnxruntime  # first imported here: without telemetry
from imgmatch.optional import require
from imgmatch.picture.image import decode
from imgmatch.types import ModelSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Pixels

_LEAST_PICTURES = 32
_MEANS_OF = 64


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


def quantise(source: Path, target: Path, pictures: Sequence[Pixels]) -> None:
    """Write an 8-bit version of the ONNX model ``source``.

    ``pictures``: prepared photographs, (S, S, 3) uint8, from which the ranges of activations and the mean error of
    rounded weights are taken. Needs the extra ``train``. Raises UsageError when there are too few pictures.
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
        exact = onnx.load(inferred)
        # With convolutions alone every activation and every sum between them would go through float32 and back.
        quantised = [node.name for node in exact.graph.node if node.op_type in ("Conv", "Clip", "Add")]
        quantize_static(
            inferred,
            target,
            _Pictures(pictures),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_quantize=quantised,
            extra_options={"ActivationSymmetric": False},
        )
    model = onnx.load(target)
    _correct_biases(model.graph, exact, _Pictures(pictures[:: max(1, len(pictures) // _MEANS_OF)]))
    _take_pixels_as_they_are(model.graph)
    model.producer_name, model.producer_version = "imgmatch", ""
    del model.metadata_props[:]
    del model.graph.value_info[:]
    target.write_bytes(model.SerializeToString(deterministic=True))


def _correct_biases(graph: Any, exact: Any, pictures: _Pictures) -> None:
    """Give each convolution's bias the mean of what rounding its weights takes from its output.

    The empirical bias correction of Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
    Correction" (arXiv 1906.04721). Convolutions of one channel each have few weights, whose errors do not cancel.
    """
    from onnx import numpy_helper

    convolutions = {node.name: node for node in exact.graph.node if node.op_type == "Conv"}
    means = _input_means(exact, [node.input[0] for node in convolutions.values()], pictures)
    weights = {each.name: numpy_helper.to_array(each) for each in exact.graph.initializer}
    stored = {each.name: each for each in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}

    def rounded(name: str) -> tuple[Any, Any, Any]:
        """The initializer behind a DequantizeLinear, its integers and its scales."""
        node = made_by[name]
        scales = numpy_helper.to_array(stored[node.input[1]]).astype(np.float64)
        return stored[node.input[0]], numpy_helper.to_array(stored[node.input[0]]), scales.reshape(-1)

    for node in graph.node:
        if node.op_type != "Conv":
            continue
        before = convolutions[node.name]
        _, integers, scales = rounded(node.input[1])
        error = (weights[before.input[1]] - integers * scales[:, None, None, None]).sum(axis=(2, 3))
        mean = means[before.input[0]]
        lost = error @ mean if error.shape[1] == len(mean) else error[:, 0] * mean
        bias, integers, scales = rounded(node.input[2])
        limits = np.iinfo(np.int32)
        corrected = np.clip(np.rint(integers + lost / scales), limits.min, limits.max).astype(np.int32)
        bias.CopyFrom(numpy_helper.from_array(corrected, bias.name))


def _input_means(exact: Any, names: Sequence[str], pictures: _Pictures) -> dict[str, npt.NDArray[np.float64]]:
    """Mean of each channel of tensors (N, C, H, W) over pictures: (C,) a name."""
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(exact)
    wanted = list(dict.fromkeys(names))
    there = {output.name for output in model.graph.output}
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in wanted if name not in there
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    sums = dict.fromkeys(wanted, np.float64(0))
    count = 0
    while (batch := pictures.get_next()) is not None:
        for name, found in zip(wanted, session.run(wanted, batch), strict=True):
            sums[name] = sums[name] + found.mean(axis=(2, 3), dtype=np.float64).sum(axis=0)
        count += len(batch["pixels"])
    return {name: np.asarray(total / count) for name, total in sums.items()}


def _take_pixels_as_they_are(graph: Any) -> None:
    """Scaled pixels, (x - mean) / spread, in 8 bits are the pixels themselves with another zero point and scale.

    So what scales and rounds them is left out, and nothing is rounded, where mean and spread are the same in every
    channel; a graph that begins in another way is left as it is.
    """
    from onnx import numpy_helper

    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    by_input = {node.input[0]: node for node in graph.node if node.input}
    if "pixels" not in by_input:
        return
    chain = [by_input["pixels"]]
    for kind in ("Cast", "Sub", "Div", "QuantizeLinear", "DequantizeLinear"):
        following = by_input.get(chain[-1].output[0])
        if following is None or following.op_type != kind:
            return
        chain.append(following)
    turned, *between, dequantise = chain
    mean, spread = (constants.get(node.input[1]) for node in between[1:3])
    if mean is None or spread is None or mean.size != 1 or spread.size != 1:
        return
    if mean.item() not in range(256):
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

    def __init__(self, pictures: Sequence[Pixels], batch: int = 8) -> None:
        grid = (-(-pictures[0].shape[0] // 32),) * 2
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
