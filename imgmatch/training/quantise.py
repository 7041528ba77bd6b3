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
        convolutions = [node.name for node in onnx.load(inferred).graph.node if node.op_type == "Conv"]
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
            nodes_to_quantize=convolutions,
            extra_options={"ActivationSymmetric": False},
        )
    model = onnx.load(target)
    model.producer_name, model.producer_version = "imgmatch", ""
    del model.metadata_props[:]
    del model.graph.value_info[:]
    target.write_bytes(model.SerializeToString(deterministic=True))


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
