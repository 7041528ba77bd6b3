"""What a finished run leaves: weights, ONNX, its ModelSpec, the record of how it came about, and the loss curve."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from imgmatch.lab.training.config import TrainConfig, TrainResult
from imgmatch.lab.training.data import Pack
from imgmatch.models.descriptions import write_spec
from imgmatch.models.network import DescriptorNetwork
from imgmatch.types import ModelSpec

_PACKAGES = ("imgmatch", "torch", "timm", "numpy", "opencv-python", "onnx", "onnxruntime", "pytorch-metric-learning")

Figures = dict[str, float]


def replaced(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside ``path``, then put it in place: a run that is stopped leaves the old file whole."""
    beside = path.with_name(f"{path.stem}.partial{path.suffix}")
    write(beside)
    os.replace(beside, path)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide what a run computes."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def write_model(
    network: DescriptorNetwork,
    config: TrainConfig,
    pictures: Pack,
    history: Sequence[Figures],
    evaluations: Sequence[Figures],
) -> TrainResult:
    """Write weights.safetensors, model.onnx, spec.json and training.json into the output folder.

    ``history`` has one entry a step, ``evaluations`` one a validation. The folder is then fit for ``models add``.
    """
    from imgmatch.models.export import export_onnx, query_sides

    out = config.output
    weights, onnx, spec, record = (out / n for n in ("weights.safetensors", "model.onnx", "spec.json", "training.json"))
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    replaced(weights, lambda path: save_file(state, path))
    sides = query_sides(config.input_px)
    replaced(onnx, lambda path: export_onnx(network, path, config.input_px, sides))
    onnx_sha256 = hashlib.sha256(onnx.read_bytes()).hexdigest()
    model = ModelSpec(
        name=config.name,
        task="copies and places",
        dim=network.dim,
        input_px=config.input_px,
        weights_file=onnx.name,
        weights_sha256=onnx_sha256,
        licence=config.licence,
        source=f"trained with imgmatch on {len(pictures)} pictures, manifest SHA-256 {pictures.sha256}",
        description=f"{config.backbone}; copy part {config.copy_dim}, place part {config.place_dim}",
        network=json.dumps({"backbone": config.backbone, "parts": [config.copy_dim, config.place_dim]}),
        query_px=" ".join(map(str, sides)),
        copy_dim=config.copy_dim,
    )
    replaced(spec, lambda path: write_spec(model, path))
    last = dict(evaluations[-1]) if evaluations else {}
    document = {
        "data": {
            "manifest_sha256": pictures.sha256,
            "pictures": len(pictures),
            "labels": len(pictures.label_names),
            "skipped": list(pictures.skipped),
        },
        "arguments": config.arguments(),
        "versions": versions(),
        "steps": len(history),
        "seconds": round(history[-1]["seconds"], 1) if history else 0.0,
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "onnx_sha256": onnx_sha256,
        "evaluation": last,
        "evaluations": list(evaluations),
        "history": list(history),
    }
    replaced(record, lambda path: path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8"))
    last.pop("step", None)
    return TrainResult(out, weights, onnx, spec, record, last, pictures.skipped)


def draw_curve(history: Sequence[Figures], evaluations: Sequence[Figures], path: Path) -> None:
    """Draw each loss, smoothed, and the validation figures over the steps, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for name in ("loss", "pair", "bank", "place", "agree", "region", "hotel", "label"):
        points = [(entry["step"], entry[name]) for entry in history if name in entry]
        if points:
            steps, values = np.array(points).T
            window = max(1, len(values) // 50)
            smooth = np.convolve(values, np.ones(window) / window, mode="valid")
            left.plot(steps[len(steps) - len(smooth) :], smooth, label=name)
    left.set(xlabel="step", ylabel="loss", title="Training loss")
    for name in (key for key in (evaluations[0] if evaluations else {}) if key != "step"):
        right.plot([e["step"] for e in evaluations], [e[name] for e in evaluations], marker=".", label=name)
    right.set(xlabel="step", ylim=(0, 1.02), title="Recall at 1, pictures kept aside")
    for axes in (left, right):
        if axes.lines:
            axes.legend(fontsize=7)
        axes.grid(alpha=0.3)
    replaced(path, lambda beside: figure.savefig(beside, dpi=110, metadata={"Software": None}))
