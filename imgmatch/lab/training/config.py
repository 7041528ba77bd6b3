"""What a training run is: its arguments, their checks, and what it gives back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from imgmatch.errors import UsageError
from imgmatch.lab.training.augment import PairMix
from imgmatch.models.network import BACKBONES


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Paths first, then the recipe; the recipe's defaults are what the shipped model was trained with.

    ``weights`` is a reference package's ``.pth`` (ImageNet) or the ``weights.safetensors`` of an earlier run; None
    takes the installed reference package. ``teachers`` are further reference files, each with its backbone's name, that
    join in the place part's target. ``labels`` is a CSV with the columns file,label. ``hotels`` is a
    collection of rendered hotels to train on too, ``room_share`` in how many of the batches. ``copy_weight`` (0..1) is
    the copy part's share of the cosine of two vectors. ``kept`` (0..1) is the share of the weights it began with that
    the model keeps; ``evened`` evens out the copy part's directions at the end, which weights of an earlier run have
    behind them. ``threads`` 0 takes every core. The losses' weights are named after their losses.
    """

    data: tuple[Path, ...]
    output: Path
    weights: Path | None = None
    labels: Path | None = None
    teachers: tuple[tuple[str, Path], ...] = ()
    name: str = "trained"
    licence: str = "as the training data allows"
    backbone: str = "efficientnet_lite0"
    copy_dim: int = 224
    place_dim: int = 160
    copy_weight: float = 0.7
    steps: int = 1600
    batch: int = 48
    input_px: int = 224
    train_px: int = 160
    final_share: float = 0.2
    hotels: Path | None = None
    room_share: float = 0.2
    frozen_stages: int = 3
    backbone_rate: float = 1e-4
    head_rate: float = 3e-4
    warmup: int = 100
    weight_decay: float = 0.01
    temperature: float = 0.06
    koleo: float = 0.05
    bank: float = 0.5
    place: float = 1.0
    region: float = 0.5
    hotel: float = 0.3
    label: float = 0.3
    ema: float = 0.995
    kept: float = 0.0
    evened: bool = True
    mix: PairMix = field(default_factory=PairMix)
    validation_share: float = 0.1
    validate_every: int = 400
    checkpoint_every: int = 100
    seed: int = 0
    device: str = "auto"
    threads: int = 0
    workers: int = 1

    def check(self) -> None:
        """Raise UsageError, naming the argument, where a value is out of range."""
        if self.backbone not in BACKBONES:
            raise UsageError(f"no backbone {self.backbone!r}: choose one of {', '.join(BACKBONES)}")
        for backbone, _ in self.teachers:
            if backbone not in BACKBONES:
                raise UsageError(f"no backbone {backbone!r} for a teacher: choose one of {', '.join(BACKBONES)}")
        least = {
            "steps": 1,
            "batch": 4,
            "copy_dim": 8,
            "place_dim": 8,
            "validate_every": 1,
            "checkpoint_every": 1,
            "workers": 0,
            "threads": 0,
        }
        for name, low in least.items():
            if getattr(self, name) < low:
                raise UsageError(f"{name} is {getattr(self, name)}: it must be at least {low}")
        for name in ("input_px", "train_px"):
            size = getattr(self, name)
            if size % 32 or not 64 <= size <= 512:
                raise UsageError(f"{name} is {size}: it must be a multiple of 32 from 64 to 512")
        for name in ("copy_weight", "final_share", "room_share", "ema", "kept"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is {getattr(self, name)}: it must lie between 0 and 1")
        if not 0.0 < self.validation_share < 0.9:
            raise UsageError(f"validation_share is {self.validation_share}: it must lie above 0 and below 0.9")
        if self.device not in ("auto", "cpu") and not self.device.startswith("cuda"):
            raise UsageError(f"no device {self.device!r}: choose auto, cpu or cuda")
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise UsageError(f"device {self.device!r}: no CUDA device is here; choose cpu or auto")

    def torch_device(self) -> torch.device:
        """The device to train on."""
        if self.device != "auto":
            return torch.device(self.device)
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def shards(self) -> int:
        """Into how many shards a batch is cut: one a core on a CPU, one on CUDA."""
        if self.torch_device().type != "cpu":
            return 1
        return max(1, min(self.threads or os.cpu_count() or 1, self.batch // 2))

    def arguments(self) -> dict[str, Any]:
        """Every argument as JSON values."""
        return dict(json.loads(json.dumps(asdict(self), default=str)))

    def recipe(self) -> dict[str, Any]:
        """The arguments that a run can't change when it goes on: those that decide what it computes."""
        return {name: value for name, value in self.arguments().items() if name not in _FREE}


# Where a run writes, how fast it goes, how its model is called and joined: free to differ when it goes on.
_FREE = frozenset(
    (
        "data",
        "output",
        "weights",
        "labels",
        "hotels",
        "teachers",
        "name",
        "licence",
        "copy_weight",
        "validate_every",
        "checkpoint_every",
        "device",
        "threads",
        "workers",
    )
)


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The files of a finished run, its last evaluation, and the pictures that could not be used."""

    output: Path
    weights: Path
    onnx: Path
    spec: Path
    record: Path
    evaluation: dict[str, float]
    skipped: tuple[str, ...]


Progress = Callable[[str, int, int, dict[str, float]], None]
"""Called as (stage, done, total, figures)."""


def quiet(stage: str, done: int, total: int, figures: dict[str, float]) -> None:
    """Report nothing."""
