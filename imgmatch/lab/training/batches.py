"""The batches of a run: each follows from the seed and the number of its step, in whatever process it is made."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from imgmatch.errors import UsageError
from imgmatch.lab.hotels.geometry import traced
from imgmatch.lab.hotels.views import kept_aside, places
from imgmatch.lab.training import augment
from imgmatch.lab.training.config import Progress, TrainConfig, quiet
from imgmatch.lab.training.data import PACKED_PX, Pack
from imgmatch.lab.training.overlaps import Points, overlaps, same_picture
from imgmatch.models.windows import in_training

_SHARED = 0.1
_STEPS = 32


class Batch(NamedTuple):
    """What a step is made from: ``pixels`` (2 B, S, S, 3) uint8, the first views of all pictures, then the second ones;
    ``rows`` (B,) of the pack, -1 for rendered rooms; ``hotels`` (B,), -1 for photographs; ``overlaps`` (B, R, R)
    float32, of each window of the first view with each of the second.
    """

    pixels: Tensor
    rows: Tensor
    hotels: Tensor
    overlaps: Tensor


@dataclass(frozen=True, slots=True)
class RoomPack:
    """Views of rendered places: ``pixels`` (views, 256, 256, 3) uint8, ``hotels`` and ``places`` (views,), of each
    the number of its hotel and of its place, ``pairs`` (n, 2), the views of each pair that shows much of one place, and
    ``shared`` (n, 2, points, 4), of each pair where the second view shows points of the first, and the other way round.
    """

    pixels: npt.NDArray[np.uint8]
    hotels: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    pairs: npt.NDArray[np.int64]
    shared: npt.NDArray[np.float16]


def rendered_rooms(config: TrainConfig, progress: Progress = quiet) -> RoomPack | None:
    """Pack the collection of rendered hotels once into the output folder; None where none is given.

    The two views of a pair share at least a tenth of what the lesser of them shows. Hotels that are kept aside are not
    among them.
    """
    if config.hotels is None or config.room_share <= 0:
        return None
    pixels, known = config.output / "rooms.npy", config.output / "rooms.npz"
    if not known.exists():
        found = [place for place in places(config.hotels).values() if not kept_aside(place[0])]
        views = [view for place in found for view in place]
        shape = (max(1, len(views)), PACKED_PX, PACKED_PX, 3)
        packed = np.lib.format.open_memmap(pixels, mode="w+", dtype=np.uint8, shape=shape)
        for number, view in enumerate(views):
            packed[number] = cv2.resize(view.pixels(), (PACKED_PX, PACKED_PX), interpolation=cv2.INTER_AREA)
            progress("rooms", number + 1, len(views), {})
        packed.flush()
        pairs, shared = [], []
        for start, place in zip(np.cumsum([0, *map(len, found)]), found, strict=False):
            for one, other in itertools.combinations(range(len(place)), 2):
                ways = [traced(place[a], place[b], _STEPS) for a, b in ((one, other), (other, one))]
                if min(np.isfinite(way[:, 2]).mean() for way in ways) >= _SHARED:
                    pairs.append((start + one, start + other))
                    shared.append(ways)
        if not pairs:
            raise UsageError(f"{config.hotels}: no hotel to train on is whole there; render some, or leave it out")
        beside = known.with_suffix(".partial.npz")
        np.savez(
            beside,
            hotels=[view.hotel for view in views],
            places=[number for number, place in enumerate(found) for _ in place],
            pairs=np.array(pairs, np.int64),
            shared=np.array(shared, np.float16),
        )
        os.replace(beside, known)
    with np.load(known) as stored:
        names = ("hotels", "places", "pairs", "shared")
        return RoomPack(np.load(pixels, mmap_mode="r"), *(stored[name] for name in names))


@dataclass(frozen=True, slots=True)
class _Drawn:
    """One picture of a batch: its row and hotel, its two views, and which points both show, there and back."""

    row: int
    hotel: int
    views: augment.Views
    there: Points
    back: Points


class Batches(Dataset[Batch]):
    """The batch of step ``i``.

    A batch comes from one set of pictures, or from rendered rooms alone: other sets are negatives too easy to teach
    anything but the sets. ``chosen`` are the rows to train on.
    """

    def __init__(
        self, config: TrainConfig, pictures: Pack, chosen: npt.NDArray[np.int64], rooms: RoomPack | None
    ) -> None:
        self.config, self.pictures, self.chosen, self.rooms = config, pictures, chosen, rooms
        groups = pictures.groups[chosen]
        self.groups = [g for g in (chosen[groups == n] for n in np.unique(groups)) if len(g) >= config.batch] or [
            chosen
        ]
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

    def __getitem__(self, step: int) -> Batch:
        cv2.setNumThreads(1)
        rng = np.random.default_rng([self.config.seed, step])
        rendered = self.rooms is not None and rng.random() < self.config.room_share
        drawn = self._of_rooms(rng, step) if rendered else self._of_pictures(rng, step)
        both = np.stack([one.views[0].pixels for one in drawn] + [one.views[1].pixels for one in drawn])
        cells = in_training((-(-self.size(step) // 32),) * 2)
        shared = np.stack([overlaps(*one.views, one.there, one.back, cells) for one in drawn])
        rows, hotels = torch.tensor([(one.row, one.hotel) for one in drawn]).T
        return Batch(torch.from_numpy(both), rows, hotels, torch.from_numpy(shared))

    def _of_rooms(self, rng: np.random.Generator, step: int) -> list[_Drawn]:
        assert self.rooms is not None
        of_hotel = self.rooms.hotels[self.rooms.pairs[:, 0]]
        in_turn = rng.permutation(np.unique(of_hotel))
        chosen: list[int] = []
        # Hotel by hotel: rooms of one design are each other's negatives. None is there twice where there are enough.
        for hotel in itertools.cycle(in_turn):
            once: dict[int, int] = {}
            for pair in rng.permutation(np.flatnonzero(of_hotel == hotel)):
                once.setdefault(int(self.rooms.places[self.rooms.pairs[pair, 0]]), int(pair))
            chosen += once.values()
            if len(chosen) >= self.config.batch:
                break
        drawn = []
        for pair in chosen[: self.config.batch]:
            order = rng.permutation(2)
            first, second = (augment.Source(np.asarray(self.rooms.pixels[n])) for n in self.rooms.pairs[pair][order])
            there, back = self.rooms.shared[pair][order].astype(np.float64)
            views = augment.room_pair(rng, first, second, self.size(step), self._fillers(rng, self.chosen))
            drawn.append(_Drawn(-1, int(of_hotel[pair]), views, there, back))
        return drawn

    def _of_pictures(self, rng: np.random.Generator, step: int) -> list[_Drawn]:
        config, size = self.config, self.size(step)
        group = self.groups[int(rng.choice(len(self.groups), p=self.shares))]
        same, none = same_picture(), np.empty((0, 4))
        drawn = []
        for row in map(int, rng.choice(group, config.batch, replace=len(group) < config.batch)):
            fillers, source = self._fillers(rng, group), self._source(row)
            partners = self.partners.get(row)
            if partners is not None and rng.random() < 0.5:
                other = self._source(int(rng.choice(partners)))
                views = augment.room_pair(rng, source, other, size, fillers)
                drawn.append(_Drawn(row, -1, views, none, none))
            else:
                views = augment.pair(rng, source, size, fillers, config.mix)
                drawn.append(_Drawn(row, -1, views, same, same))
        return drawn

    def _source(self, row: int) -> augment.Source:
        return augment.Source(np.asarray(self.pictures.pixels[row]), float(self.pictures.aspects[row]))

    def _fillers(self, rng: np.random.Generator, among: npt.NDArray[np.int64]) -> augment.Fillers:
        first, second = rng.choice(among, 2)
        return np.asarray(self.pictures.pixels[first]), np.asarray(self.pictures.pixels[second])


class _From(Sampler[int]):
    def __init__(self, start: int, stop: int) -> None:
        self.start, self.stop = start, stop

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __len__(self) -> int:
        return self.stop - self.start


def loader(batches: Batches, start: int) -> DataLoader[Batch]:
    """Batches from step ``start`` on, in order, made in ``workers`` processes ahead of their use."""
    workers = batches.config.workers
    # Worker processes are forked, and OpenCV's threads don't survive that: a worker would wait for them for ever.
    cv2.setNumThreads(1)
    return DataLoader(
        batches,
        batch_size=None,
        sampler=_From(start, batches.config.steps),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
