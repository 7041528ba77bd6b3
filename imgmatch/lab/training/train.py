"""Training of a descriptor network: one recipe for pictures without labels and with them.

A vector has two parts from one backbone. The **copy part** is trained by contrast: two altered versions of a photo,
two views of a rendered room, two photos of one label must meet, all others must part (InfoNCE in the batch and against
a bank of remembered vectors, and the KoLeo regulariser, after SSCD, arXiv 2202.10261). Contrast alone throws away what
rooms have in common, so the **place part** is trained by distillation: from an altered view it must predict what
ImageNet networks say of the clean original. Both parts start from closed-form solutions on altered training pictures.

A run is a function of its configuration and data: every batch follows from the seed and the step's number, and a
checkpoint holds all else, so a run that was stopped goes on as if it had not been.
"""

from __future__ import annotations

import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from imgmatch.errors import ModelError, UsageError
from imgmatch.lab.training import losses
from imgmatch.lab.training.batches import Batch, Batches, loader, rendered_rooms
from imgmatch.lab.training.config import Progress, TrainConfig, TrainResult, quiet
from imgmatch.lab.training.data import Pack, held_out, pack
from imgmatch.lab.training.record import draw_curve, replaced, write_model
from imgmatch.lab.training.start import (
    evening,
    load_start,
    place_targets,
    reference_weights,
    solve_projection,
    squashed,
)
from imgmatch.lab.training.student import ALL_STAGES, Student
from imgmatch.lab.training.validate import RoomValidation, Validation, embedder
from imgmatch.models.folding import fold, unfold
from imgmatch.models.network import DescriptorNetwork
from imgmatch.optional import require

__all__ = ["Progress", "TrainConfig", "TrainResult", "train"]


def train(config: TrainConfig, progress: Progress = quiet) -> TrainResult:
    """Train, or go on with the run in ``config.output``, and write the model.

    Writes ``checkpoint.pt`` as it goes, and at the end ``weights.safetensors``, ``model.onnx``, ``spec.json`` (the
    fields of ModelSpec), ``training.json`` (data, arguments, versions, history, evaluation) and ``loss.png``.

    Raises UsageError on data or arguments that can't be trained with, ModelError on weights that don't fit.
    """
    config.check()
    for module in ("onnx", "onnxscript", "matplotlib", "pytorch_metric_learning"):
        require(module, "train")  # before the work, not after it
    config.output.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    try:
        if config.shards() > 1:
            torch.set_num_threads(1)  # the shards of a batch are the threads
        return _train(config, progress)
    finally:
        torch.set_num_threads(threads)


def _train(config: TrainConfig, progress: Progress) -> TrainResult:
    pictures = pack(
        config.data, config.output, config.labels, lambda done, total: progress("pictures", done, total, {})
    )
    aside = held_out(pictures.files, config.validation_share)
    chosen, kept = np.flatnonzero(~aside), np.flatnonzero(aside)
    if len(kept) < 2 or len(chosen) < config.batch:
        raise UsageError(
            f"{len(chosen)} pictures to train on and {len(kept)} kept aside do not fill a batch of {config.batch} and "
            "a validation: pass more pictures, or change batch or validation_share"
        )
    rooms = rendered_rooms(config, progress)
    run = begin(config, pictures, chosen, progress)
    validation = Validation.of_pictures(pictures, kept, config.input_px, config.seed)
    of_rooms = RoomValidation.of_collection(config.hotels, config.input_px, config.seed) if config.hotels else None
    for batch in loader(Batches(config, pictures, chosen, rooms), run.step):
        figures = run.advance(batch)
        progress("train", run.step, config.steps, figures)
        last = run.step == config.steps
        if last or run.step % config.validate_every == 0:
            embed = embedder(run.averaged(), config.input_px, run.device)
            found = validation.run(embed) | (of_rooms.run(embed) if of_rooms is not None else {})
            run.evaluations.append({"step": run.step, **found})
            progress("validate", run.step, config.steps, found)
        if last or run.step % config.checkpoint_every == 0:
            run.save(config.output / CHECKPOINT)
            draw_curve(run.history, run.evaluations, config.output / "loss.png")
    network = run.averaged()
    if config.evened:
        network = even_out(network, config, pictures, chosen)
    return write_model(network, config, pictures, run.history, run.evaluations)


def even_out(
    network: DescriptorNetwork, config: TrainConfig, pictures: Pack, chosen: npt.NDArray[np.int64], count: int = 1500
) -> DescriptorNetwork:
    """Even out the copy part's directions over up to ``count`` training pictures, inside the projection."""
    rows = np.random.default_rng(config.seed).permutation(chosen)[:count]
    embed = embedder(network, config.input_px, config.torch_device())
    vectors = np.concatenate([embed(batch) for batch in squashed(pictures, rows, config.input_px)])
    copies = vectors[:, : config.copy_dim]
    turn = evening(copies / np.linalg.norm(copies, axis=1, keepdims=True).clip(1e-9))
    with torch.no_grad():
        for parameter in network.projection.parameters():
            parameter[: config.copy_dim] = turn @ parameter[: config.copy_dim]
    return network


CHECKPOINT = "checkpoint.pt"


def begin(config: TrainConfig, pictures: Pack, chosen: npt.NDArray[np.int64], progress: Progress = quiet) -> Run:
    """Load the starting weights, solve for the first projection, and take up a checkpoint where there is one."""
    torch.manual_seed(config.seed)
    plain = DescriptorNetwork(config.backbone, parts=(config.copy_dim, config.place_dim)).eval()
    same = load_start(plain, config.weights or reference_weights())
    start = Student(fold(plain), ALL_STAGES).to(config.torch_device())
    targets = place_targets(config, pictures, chosen, start, same, progress)
    checkpoint = config.output / CHECKPOINT
    if not same and not checkpoint.exists():
        solve_projection(config, plain, start, pictures, chosen, targets, progress)
    run = Run(config, plain, _Known.of(pictures, chosen, targets, config.torch_device()))
    if checkpoint.exists():
        run.load(checkpoint)
    else:
        run.fill_bank(pictures, chosen)
    return run


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of each picture, by its row in the pack.

    Its teacher vector, its label or -1, its place among the chosen or -1; then the rows chosen, and the pack's digest.
    """

    targets: Tensor
    labels: Tensor
    place: Tensor
    chosen: Tensor
    label_count: int
    sha256: str

    @classmethod
    def of(cls, pictures: Pack, chosen: npt.NDArray[np.int64], targets: Tensor, device: torch.device) -> _Known:
        rows = torch.from_numpy(chosen).to(device)
        place = torch.full((len(pictures),), -1, dtype=torch.int64, device=device)
        place[rows] = torch.arange(len(rows), device=device)
        labels = torch.from_numpy(pictures.labels).to(device)
        return cls(targets.to(device), labels, place, rows, len(pictures.label_names), pictures.sha256)

    def pushes(self, rows: Tensor, others: Tensor) -> Tensor:
        """How much each of ``rows`` may be pushed from each of ``others``: little where alike, never of one label."""
        weights = losses.negative_weights(self.targets[rows] @ self.targets[others].T)
        mine, theirs = self.labels[rows][:, None], self.labels[others][None]
        return weights.masked_fill((mine == theirs) & (mine >= 0), 1e-6)


class Run:
    """The state of a run between two steps."""

    def __init__(self, config: TrainConfig, plain: DescriptorNetwork, known: _Known) -> None:
        self.config, self.plain, self.known = config, plain, known
        self.device = config.torch_device()
        self.shards = config.shards()
        self.workers = ThreadPoolExecutor(self.shards)
        self.student = Student(fold(plain), config.frozen_stages).to(self.device)
        self.label_loss: nn.Module | None = None
        if known.label_count > 1:
            metric_losses = require("pytorch_metric_learning.losses", "train")
            self.label_loss = metric_losses.SubCenterArcFaceLoss(
                num_classes=known.label_count, embedding_size=config.copy_dim, margin=25, scale=32
            )
            self.label_loss.to(self.device)
        self.optimiser, self.rates = self._optimiser()
        self.average = {k: v.detach().clone() for k, v in self.student.network.state_dict().items()}
        self.bank = torch.zeros(len(known.chosen), config.copy_dim, device=self.device)
        self.step = 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []
        self.evaluations: list[dict[str, float]] = []

    def _optimiser(self) -> tuple[torch.optim.Optimizer, list[float]]:
        config, network = self.config, self.student.network
        heads = [*network.projection.parameters(), network.pool.p]
        known = {id(p) for p in heads}
        body = [p for p in self.student.parameters() if p.requires_grad and id(p) not in known]
        matrices, biases = [p for p in body if p.ndim > 1], [p for p in body if p.ndim <= 1]
        groups = [
            {"params": matrices, "lr": config.backbone_rate, "weight_decay": config.weight_decay},
            {"params": biases, "lr": config.backbone_rate, "weight_decay": 0.0},
            {"params": heads, "lr": config.head_rate, "weight_decay": 0.0},
        ]
        if self.label_loss is not None:
            groups.append(
                {"params": list(self.label_loss.parameters()), "lr": 10 * config.head_rate, "weight_decay": 0.0}
            )
        optimiser = torch.optim.AdamW(groups)
        return optimiser, [group["lr"] for group in optimiser.param_groups]

    def _rate(self) -> float:
        """Linear warm-up, then a cosine down to a fiftieth."""
        config = self.config
        if self.step < config.warmup:
            return (self.step + 1) / config.warmup
        done = (self.step - config.warmup) / max(1, config.steps - config.warmup)
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))

    def fill_bank(self, pictures: Pack, chosen: npt.NDArray[np.int64]) -> None:
        """Remember the clean pictures as the starting network sees them."""
        with torch.inference_mode():
            batches = squashed(pictures, chosen, self.config.train_px)
            self.bank.copy_(torch.cat([self.student(torch.from_numpy(b).to(self.device))[0][:, 0] for b in batches]))

    def loss(self, copies: Tensor, place: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The sum to bring down, from the copy parts of all windows and the place parts of all views of a batch, and
        its terms.
        """
        config, known, copy, rows = self.config, self.known, copies[:, 0], batch.rows.to(self.device)
        rendered = bool((batch.hotels >= 0).all())
        terms: dict[str, Tensor] = {}
        weights: dict[str, float] = {"pair": 1.0, "koleo": config.koleo, "agree": config.place, "place": config.place}
        weights |= {"bank": config.bank, "label": config.label, "region": config.region, "hotel": config.hotel}
        terms["pair"] = losses.pair_loss(copy, None if rendered else known.pushes(rows, rows), config.temperature)
        terms["koleo"] = losses.koleo_loss(copy)
        if config.region > 0:
            terms["region"] = losses.region_loss(copies, batch.overlaps.to(self.device), config.temperature)
        if rendered:
            terms["agree"] = losses.agreement_loss(place)
            if config.hotel > 0:
                terms["hotel"] = losses.hotel_loss(place, batch.hotels.to(self.device), 2 * config.temperature)
        else:
            if config.bank > 0:
                pushes = known.pushes(rows, known.chosen)
                terms["bank"] = losses.bank_loss(copy, known.place[rows], self.bank.clone(), pushes, config.temperature)
            terms["place"] = losses.place_loss(place, known.targets[rows], known.targets[known.chosen])
            named = known.labels[rows].repeat(2)
            if self.label_loss is not None and bool((named >= 0).any()):
                terms["label"] = self.label_loss(copy[named >= 0], named[named >= 0])
        total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        return total, {name: term.item() for name, term in terms.items()}

    def _remember(self, copy: Tensor, rows: Tensor) -> None:
        places = self.known.place[rows]
        seen = functional.normalize(copy[: len(rows)] + copy[len(rows) :])
        self.bank[places] = functional.normalize(0.5 * self.bank[places] + 0.5 * seen)

    def advance(self, batch: Batch) -> dict[str, float]:
        """One step of the optimiser; its figures."""
        started = time.monotonic()
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * self._rate()
        self.optimiser.zero_grad(set_to_none=True)
        # The views go through the network in shards, one thread each: a thread that waits for nobody inside a layer is
        # faster than two that share every layer, twice so beside other work. The loss sees all vectors at once.
        outputs = list(self.workers.map(self.student, batch.pixels.to(self.device).chunk(self.shards)))
        copies, place = (torch.cat([output[part].detach() for output in outputs]).requires_grad_() for part in (0, 1))
        total, figures = self.loss(copies, place, batch)
        if not torch.isfinite(total):
            raise ModelError(
                f"the loss is {total.item()} at step {self.step}: lower the learning rates and start again"
            )
        total.backward()
        trained = [p for p in self.student.parameters() if p.requires_grad]
        sizes = [len(output[0]) for output in outputs]
        pulls = zip(copies.grad.split(sizes), place.grad.split(sizes), strict=True)  # type: ignore[union-attr]
        found = list(self.workers.map(lambda output, pull: torch.autograd.grad(output, trained, pull), outputs, pulls))
        for parameter, *gradients in zip(trained, *found, strict=True):
            parameter.grad = torch.stack(gradients).sum(0)
        figures["gradient"] = float(nn.utils.clip_grad_norm_(trained, 5.0))
        self.optimiser.step()
        with torch.no_grad():
            rows = batch.rows.to(self.device)
            if bool((rows >= 0).all()):
                self._remember(copies[:, 0], rows)
            # Short at first, so that the average doesn't hold the starting weights for long.
            keep = min(self.config.ema, (1 + self.step) / (10 + self.step))
            for name, value in self.student.network.state_dict().items():
                self.average[name].lerp_(value, 1 - keep)
        self.step += 1
        self.seconds += time.monotonic() - started
        figures |= {"step": self.step, "loss": total.item(), "seconds": self.seconds}
        self.history.append({name: round(value, 5) for name, value in figures.items()})
        return figures

    def averaged(self) -> DescriptorNetwork:
        """The network with averaged weights, unfolded, on the CPU, its parts joined as the configuration says.

        A share ``kept`` of the weights that the run began with is mixed in (WiSE-FT, arXiv 2109.01903).
        """
        folded = fold(self.plain)
        begun = folded.state_dict()
        kept = self.config.kept
        folded.load_state_dict(
            {name: value.cpu() * (1 - kept) + begun[name] * kept for name, value in self.average.items()}
        )
        network = unfold(folded, self.plain)
        share = self.config.copy_weight
        network.part_weights.copy_(torch.tensor([share, 1 - share]).sqrt())
        return network

    def save(self, path: Path) -> None:
        """Write everything that the next step needs."""
        state = {
            "recipe": self._recipe(),
            "step": self.step,
            "seconds": self.seconds,
            "plain": self.plain.state_dict(),
            "student": self.student.state_dict(),
            "label_loss": self.label_loss.state_dict() if self.label_loss is not None else {},
            "optimiser": self.optimiser.state_dict(),
            "average": self.average,
            "bank": self.bank,
            "history": self.history,
            "evaluations": self.evaluations,
        }
        replaced(path, lambda beside: torch.save(state, beside))

    def load(self, path: Path) -> None:
        """Take up a checkpoint. Raises UsageError where it is another run's, ModelError where it is damaged."""
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            old, new = json.loads(state["recipe"]), json.loads(self._recipe())
        except Exception as error:  # a damaged file fails in many ways, all of them one error
            raise ModelError(
                f"{path}: damaged, or no checkpoint ({type(error).__name__}); remove it to start anew"
            ) from error
        changed = [name for name in new if old.get(name) != new[name]]
        if changed:
            raise UsageError(
                f"{path}: was begun with another {', '.join(changed)}; use the same, or another output folder"
            )
        self.plain.load_state_dict(state["plain"])
        self.student.load_state_dict(state["student"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.label_loss is not None:
            self.label_loss.load_state_dict(state["label_loss"])
        self.average, self.bank = state["average"], state["bank"]
        self.step, self.seconds = state["step"], state["seconds"]
        self.history, self.evaluations = state["history"], state["evaluations"]

    def _recipe(self) -> str:
        return json.dumps(self.config.recipe() | {"pictures": self.known.sha256}, sort_keys=True)
