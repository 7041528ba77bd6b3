"""A model by its name, loaded; and one that is added, which is loaded first."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from pathlib import Path

from imgmatch.errors import ModelError
from imgmatch.models.base import Embedder
from imgmatch.models.descriptions import SPEC_FILE, read_spec
from imgmatch.models.table import DEFAULT_MODEL, check_new_name, models_folder, verify_model, weights_path
from imgmatch.types import ModelSpec


def load_model(name: str = DEFAULT_MODEL, *, device: str = "auto", threads: int | None = None) -> Embedder:
    """Load a model after checking its weights.

    ``device``: ``cpu`` (ONNX Runtime), ``cuda`` (torch), or ``auto``: CUDA where there is all it needs, else the CPU.
    ``threads`` share one run on the CPU (default: all usable cores). Raises ModelError.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ModelError(f"no device {device!r}; there are: auto, cpu, cuda")
    spec = verify_model(name)
    if device != "cpu":
        obstacle = _cuda_obstacle(spec)
        if obstacle is None:
            from imgmatch.models.runtimes.torch_model import TorchModel

            return TorchModel(spec, weights_path(spec), "cuda")
        if device == "cuda":
            raise ModelError(f"{name}: can't run on CUDA: {obstacle}, or use --device cpu")
    return _on_cpu(spec, weights_path(spec), threads)


def add_model(folder: Path) -> ModelSpec:
    """Add a trained model (a folder with ``spec.json`` and the ONNX file it names) to this machine's.

    It is checked first: fields, SHA-256, and that it runs and gives unit vectors. Raises ModelError.
    """
    spec = read_spec(folder / SPEC_FILE)
    check_new_name(spec.name)
    target = models_folder() / spec.name
    draft = target.with_name(f".{spec.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        for name in (SPEC_FILE, spec.weights_file):
            shutil.copyfile(folder / name, draft / name)
        _try(spec, draft / spec.weights_file)
        draft.rename(target)
    except OSError as error:
        raise ModelError(f"{folder}: can't be copied to {target} ({error.strerror})") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return spec


def _cuda_obstacle(spec: ModelSpec) -> str | None:
    """What keeps a model from a CUDA device, and what to do. Loads torch only where all else is there."""
    from imgmatch.models.runtimes.devices import cuda_devices

    if not spec.network:
        return "its torch network is not known; name it in the field 'network' of its description"
    if not cuda_devices():
        return "the driver sees no device; install an NVIDIA driver"
    if importlib.util.find_spec("onnx") is None:
        return "the package 'onnx' reads its weights and is not installed; pip install 'imgmatch[cuda]'"
    import torch

    if not torch.cuda.is_available():
        return f"torch {torch.__version__} can't use the device; install a torch with CUDA"
    return None


def _try(spec: ModelSpec, path: Path) -> None:
    import numpy as np

    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != spec.weights_sha256:
            raise ModelError(f"{path.name}: its SHA-256 is not the one in {SPEC_FILE}; export the model again")
    noise = np.random.default_rng(0).integers(0, 256, (2, spec.input_px, spec.input_px, 3), dtype=np.uint8)
    _on_cpu(spec, path, threads=1).embed(noise)


def _on_cpu(spec: ModelSpec, path: Path, threads: int | None) -> Embedder:
    if spec.graph == "plain":
        from imgmatch.models.runtimes.plain_onnx import PlainOnnxModel

        return PlainOnnxModel(spec, path, threads)
    from imgmatch.models.runtimes.onnx_model import OnnxModel

    return OnnxModel(spec, path, threads)
