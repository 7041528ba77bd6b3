"""A model by its name, loaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from imgmatch.errors import ModelError
from imgmatch.models.base import Embedder
from imgmatch.models.table import DEFAULT_MODEL, model_spec, verify_model, weights_path
from imgmatch.types import ModelSpec


def load_model(name: str = DEFAULT_MODEL, *, device: str = "auto", threads: int | None = None) -> Embedder:
    """Load a model after checking its weights.

    ``device``: ``cpu`` (ONNX Runtime), ``cuda`` (torch), or ``auto``: CUDA where there is all it needs, else the CPU.
    ``threads`` share one run on the CPU (default: all usable cores). Raises ModelError.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ModelError(f"no device {device!r}; there are: auto, cpu, cuda")
    if model_spec(name).of_faces:
        raise ModelError(f"{name}: turns faces into vectors, not pictures; see: imgmatch faces --help")
    spec = verify_model(name)
    if device != "cpu":
        obstacle = _cuda_obstacle(spec)
        if obstacle is None:
            from imgmatch.models.runtimes.torch_model import TorchModel

            return TorchModel(spec, weights_path(spec), "cuda")
        if device == "cuda":
            raise ModelError(f"{name}: can't run on CUDA: {obstacle}, or use --device cpu")
    return on_cpu(spec, weights_path(spec), threads)


def _cuda_obstacle(spec: ModelSpec) -> str | None:
    """What keeps a model from a CUDA device, and what to do. Loads torch only where all else is there."""
    from imgmatch.models.runtimes.devices import cuda_devices

    if not spec.network:
        return "its torch network is not known; name it in the field 'network' of its description"
    if not cuda_devices():
        return "the driver sees no device; install an NVIDIA driver"
    for module in ("torch", "timm", "onnx"):
        if importlib.util.find_spec(module) is None:
            return f"this needs the package {module!r}, which is not installed; pip install 'imgmatch[cuda]'"
    import torch

    if not torch.cuda.is_available():
        return f"torch {torch.__version__} can't use the device; install a torch with CUDA"
    return None


def on_cpu(spec: ModelSpec, path: Path, threads: int | None) -> Embedder:
    """A model by its ONNX file, whose SHA-256 was compared before. Raises ModelError."""
    if spec.graph == "plain":
        from imgmatch.models.runtimes.plain_onnx import PlainOnnxModel

        return PlainOnnxModel(spec, path, threads)
    from imgmatch.models.runtimes.onnx_model import OnnxModel

    return OnnxModel(spec, path, threads)
