"""Which part of the training recipe moves what: each left out in turn, with the same steps and the same views.

python -m benchmarks.ablation --hotels DIR --weights FILE --work FOLDER [--steps N] [--seeds N] [--json FILE]

Trains the last stage, the last convolution and the projections only, from ``--weights`` (an earlier run's
weights.safetensors): what the stages before them give is reckoned once, so that each variant takes minutes and can be
repeated with other seeds. Measured by the whole picture, as benchmarks.rooms does. A run that was stopped goes on.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from benchmarks import photographs, report
from benchmarks.retrieval import SEED
from benchmarks.rivals import hard
from benchmarks.rooms import house_relations, place_relations, relations
from imgmatch.lab.alterations import alter
from imgmatch.lab.hotels.views import kept_aside, places, views
from imgmatch.lab.metrics import mean_average_precision, recall_at_k
from imgmatch.lab.training import losses
from imgmatch.lab.training.batches import Batch, Batches, RoomPack, loader, rendered_rooms
from imgmatch.lab.training.config import TrainConfig
from imgmatch.lab.training.data import held_out, pack
from imgmatch.lab.training.student import Student
from imgmatch.lab.training.train import Run, begin
from imgmatch.models.export import query_sides
from imgmatch.models.folding import fold
from imgmatch.models.network import DescriptorNetwork
from imgmatch.optional import require
from imgmatch.picture.prepared import prepared

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Pixels

STAGES = 6
"""So many stages of seven stay as they are."""
COPIES = ("crop_quarter", "crop_tenth")
RECIPE: dict[str, Any] = {
    "batch": 48, "input_px": 256, "train_px": 160, "room_share": 0.4, "backbone_rate": 1e-4, "head_rate": 2e-4,
    "temperature": 0.05,
}  # fmt: skip
PHOTOGRAPHS, BEFORE = "photographs", "before"


def multi_similarity(views_: Tensor, weights: Tensor | None, temperature: float) -> Tensor:
    """Multi-similarity (Wang et al., arXiv 1904.06627) in the place of InfoNCE."""
    loss = require("pytorch_metric_learning.losses", "train").MultiSimilarityLoss(alpha=2, beta=50, base=0.5)
    found: Tensor = loss(views_, torch.arange(len(views_) // 2, device=views_.device).repeat(2))
    return found


@dataclass(frozen=True)
class Variant:
    """The recipe but for ``change``; ``rooms`` says from which rendered views its batches of rooms are."""

    name: str
    change: dict[str, Any]
    rooms: str | None = "all"
    pair_loss: Callable[[Tensor, Tensor | None, float], Tensor] = losses.pair_loss


VARIANTS = (
    Variant("all of it", {}),
    Variant("without rendered hotels", {}, None),
    Variant("without views with people", {}, "nobody"),
    Variant("without the region loss", {"region": 0.0}),
    Variant("without the hotel loss", {"hotel": 0.0}),
    Variant("without either", {"region": 0.0, "hotel": 0.0}),
    Variant("without KoLeo", {"koleo": 0.0}),
    Variant("without the bank", {"bank": 0.0}),
    Variant("without distillation", {"place": 0.0}),
    Variant("multi-similarity for InfoNCE", {}, "all", multi_similarity),
)


class Tail(Student):
    """The part that is trained: takes the map that the stages before it give, (N, h, w, C) float16."""

    def cells(self, pixels: Tensor) -> Tensor:
        """The last feature map, (N, C, h, w), of what ``kept_map`` gave."""
        return self.late(pixels.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last))


def kept_map(network: DescriptorNetwork, pixels: Tensor) -> Tensor:
    """What the first stages of a folded network give of (N, S, S, 3) uint8 pixels: (N, h, w, C) float16."""
    return Student(network, STAGES).early(pixels).permute(0, 2, 3, 1).half().contiguous()


def kept_batches(network: DescriptorNetwork, batches: Batches, folder: Path) -> Iterator[Batch]:
    """The batches of a run with maps in the place of pixels, reckoned once."""
    folder.mkdir(parents=True, exist_ok=True)
    steps = len(batches)
    there = [folder / f"{step}.pt" for step in range(steps)]
    start = next((step for step, file in enumerate(there) if not file.exists()), steps)
    for step, batch in enumerate(loader(batches, start), start):
        made = batch._replace(pixels=torch.cat([kept_map(network, part) for part in batch.pixels.split(16)]))
        beside = there[step].with_suffix(".partial")
        torch.save(made._asdict(), beside)
        beside.replace(there[step])
    for file in there:
        yield Batch(**torch.load(file, weights_only=True))


def without_people(config: TrainConfig, rooms: RoomPack) -> RoomPack:
    """The pairs of which neither view has anybody in it."""
    assert config.hotels is not None
    found = [view for place in places(config.hotels).values() if not kept_aside(place[0]) for view in place]
    empty = np.array([not view.fields["people"] for view in found])
    kept = empty[rooms.pairs].all(axis=1)
    return replace(rooms, pairs=rooms.pairs[kept], shared=rooms.shared[kept])


class Measured:
    """Queries and galleries as maps: rooms and hotels kept aside, hard pairs of places, small crops of copies."""

    def __init__(self, network: DescriptorNetwork, config: TrainConfig, distractors: int) -> None:
        self.network, self.size = network, config.input_px
        self.sides = sorted({config.input_px, *query_sides(config.input_px)})
        others = [image.pixels for image in photographs.pictures(photographs.rooms(distractors), config.input_px)]
        self.others = self._maps(others, self.size)
        assert config.hotels is not None
        found = [view for view in views(config.hotels) if kept_aside(view)]
        shown = [view.pixels() for view in found]
        self.itself, self.room, self.hotel = relations(found, len(others))
        self.rooms = self._set(shown, [alter("person", p, SEED + n) for n, p in enumerate(shown)])
        rows = photographs.places()
        of_places = [image.pixels for image in photographs.pictures([path for path, _, _ in rows])]
        queries = [hard(p, number + 1000 * draw) for draw in range(3) for number, p in enumerate(of_places)]
        self.same, self.place = place_relations(rows, len(others), 3)
        self.indoor = np.array([kind == "indoor" for _, _, kind in rows] * 3)
        self.places = self._set(of_places, queries)
        paths = photographs.houses()
        houses = [image.pixels for image in photographs.pictures(paths)]
        chosen = range(0, len(houses), 2)
        self.right = house_relations(paths, len(others))[chosen]
        self.copies = {name: self._set(houses, [alter(name, houses[n], SEED + n) for n in chosen]) for name in COPIES}

    def _maps(self, pictures: Sequence[Pixels], side: int) -> Tensor:
        ready = [torch.from_numpy(np.array(prepared(pixels, side)))[None] for pixels in pictures]
        return torch.cat([kept_map(self.network, one) for one in ready])

    def _set(self, gallery: Sequence[Pixels], queries: Sequence[Pixels]) -> tuple[Tensor, dict[int, Tensor]]:
        return self._maps(gallery, self.size), {side: self._maps(queries, side) for side in self.sides}

    def run(self, network: DescriptorNetwork) -> dict[str, float]:
        """What a network with these first stages reaches."""
        tail = Tail(fold(network), STAGES).eval()

        def vectors(maps: Tensor) -> npt.NDArray[np.float32]:
            with torch.inference_mode():
                cells = [tail.cells(part) for part in maps.split(64)]
                pooled = [tail.network.pool(c, c.new_ones(len(c), *c.shape[2:])) for c in cells]
                found = tail.network.join(tail.network.projection(torch.cat(pooled)))
            return np.asarray(found.numpy())

        others = vectors(self.others)

        def scores(kept: tuple[Tensor, dict[int, Tensor]], left_out: npt.NDArray[np.bool_] | None) -> Any:
            gallery = np.concatenate([vectors(kept[0]), others])
            near = np.max([vectors(maps) @ gallery.T for maps in kept[1].values()], axis=0)
            if left_out is not None:
                near[left_out] = -np.inf
            return near

        near, right = scores(self.rooms, self.itself), self.room & ~self.itself
        asked = right.any(axis=1)
        found = {
            "room": recall_at_k(near[asked], right[asked], 1),
            "room_map": mean_average_precision(near[asked], right[asked]),
            "hotel": recall_at_k(near[asked], (self.hotel & ~self.itself)[asked], 1),
        }
        near = scores(self.places, self.same)
        found["hard_map"] = mean_average_precision(near, self.place)
        found["indoor"] = recall_at_k(near[self.indoor], self.place[self.indoor], 1)
        return found | {name: recall_at_k(scores(kept, None), self.right, 1) for name, kept in self.copies.items()}


def trained(
    variant: Variant, config: TrainConfig, start: Run, batches: dict[str, list[Batch]], seed: int
) -> list[DescriptorNetwork]:
    """A variant's network after its steps, and the mean of it with the one that it began with."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    queues = {name: [_shuffled(some, rng, config, last) for last in (False, True)] for name, some in batches.items()}
    run = Run(replace(config, **variant.change, seed=seed), start.plain, start.known)
    run.student = Tail(run.student.network, STAGES)
    run.bank = start.bank.clone()
    with mock.patch.object(losses, "pair_loss", variant.pair_loss):
        for step in range(config.steps):
            last = step >= (1 - config.final_share) * config.steps
            rendered = variant.rooms is not None and rng.random() < config.room_share
            run.advance(next(queues[variant.rooms if variant.rooms and rendered else PHOTOGRAPHS][last]))
    found = []
    for kept in (0.0, 0.5):
        run.config = replace(run.config, kept=kept)
        found.append(run.averaged())
    return found


def _shuffled(batches: list[Batch], rng: np.random.Generator, config: TrainConfig, last: bool) -> Iterator[Batch]:
    """Batches of one size again and again, in an order of the seed's: the last steps are at the network's input."""
    rows = (config.input_px if last else config.train_px) // 32
    some = [batch for batch in batches if batch.pixels.shape[1] == rows]
    while True:
        yield from (some[number] for number in rng.permutation(len(some)))


def prepare(config: TrainConfig) -> tuple[Run, dict[str, list[Batch]]]:
    """Where every variant starts, and the batches of photographs and of rendered rooms that they draw from."""
    pictures = pack(config.data, config.output)
    chosen = np.flatnonzero(~held_out(pictures.files, config.validation_share))
    start = begin(config, pictures, chosen)
    network = fold(start.plain).eval()
    rooms = rendered_rooms(config)
    assert rooms is not None
    half = math.ceil(config.steps / 2)  # each batch is met some two times
    few = math.ceil(config.room_share * half)
    wanted: dict[str, tuple[int, RoomPack | None]] = {
        PHOTOGRAPHS: (half, None), "all": (few, rooms), "nobody": (few, without_people(config, rooms)),
    }  # fmt: skip
    batches = {}
    for name, (steps, of_rooms) in wanted.items():
        asked = replace(config, steps=steps, room_share=0.0 if of_rooms is None else 1.0)
        batches[name] = list(kept_batches(network, Batches(asked, pictures, chosen, of_rooms), config.output / name))
    return start, batches


def main() -> None:
    """Train each variant, measure, report."""
    parser = report.parser("Each part of the recipe left out in turn")
    photographs.add_hotels(parser)
    parser.add_argument("--weights", type=Path, required=True, help="an earlier run's weights.safetensors")
    parser.add_argument("--work", type=Path, required=True, help="where what was reckoned is kept")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--distractors", type=int, default=700)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    config = TrainConfig(
        data=(photographs.data_folder() / "rooms",), output=arguments.work, weights=arguments.weights,
        hotels=arguments.hotels, steps=arguments.steps, warmup=arguments.steps // 8, frozen_stages=STAGES,
        evened=False, threads=1, **RECIPE,
    )  # fmt: skip
    start, batches = prepare(config)
    measured = Measured(fold(start.plain).eval(), config, arguments.distractors)
    kept = arguments.work / "found.json"
    found: dict[str, list[dict[str, float]]] = json.loads(kept.read_text()) if kept.exists() else {}
    if not found:
        found[BEFORE] = [measured.run(start.plain)]
    for seed in range(arguments.seeds):
        for variant in VARIANTS:
            if len(found.get(variant.name, ())) > seed:
                continue
            began = time.monotonic()
            whole, half = trained(variant, config, start, batches, seed)
            found.setdefault(variant.name, []).append(measured.run(whole))
            if variant is VARIANTS[0]:
                found.setdefault(f"{variant.name}, half kept", []).append(measured.run(half))
            kept.write_text(json.dumps(found))
            print(f"{variant.name}, seed {seed}: {time.monotonic() - began:.0f} s", flush=True)
    columns = list(found[BEFORE][0])
    rows = [[name, len(runs), *(_said([run[c] for run in runs]) for c in columns)] for name, runs in found.items()]
    report.table("each part left out in turn: mean and half of the spread over seeds", ["", "seeds", *columns], rows)
    about = {"steps": arguments.steps, "stages_trained": 7 - STAGES, "recipe": RECIPE, "hotels_trained_on": len(
        {batch for some in batches["all"] for batch in some.hotels.tolist()}
    ), "distractors": arguments.distractors, "seed": SEED}  # fmt: skip
    report.finish("ablation", {**about, "variants": found}, arguments.json)


def _said(values: list[float]) -> str:
    spread = f" ±{(max(values) - min(values)) / 2:.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


if __name__ == "__main__":
    main()
