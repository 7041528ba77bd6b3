"""The batches of a run: each follows from the seed and the number of its step, in whatever process it is made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from imgmatch.lab.training import augment
from imgmatch.lab.training.config import Progress, TrainConfig, quiet
from imgmatch.lab.training.data import PACKED_PX, Pack


@dataclass(frozen=True, slots=True)
class RoomPack:
    """Views of rendered rooms: ``pixels`` (rooms, views, 256, 256, 3) uint8."""

    pixels: npt.NDArray[np.uint8]


def rendered_rooms(config: TrainConfig, progress: Progress = quiet) -> RoomPack | None:
    """Render the rooms once into the output folder; None where none are asked for.

    Any two views of a room share at least a tenth of what they show.
    """
    if config.rooms <= 0 or config.room_share <= 0:
        return None
    from imgmatch.lab.rooms import Room

    stored = config.output / f"rooms-{config.rooms}x{config.room_views}-{config.seed}.npy"
    if not stored.exists():
        shape = (config.rooms, config.room_views, PACKED_PX, PACKED_PX, 3)
        beside = stored.with_suffix(".partial.npy")
        pixels = np.lib.format.open_memmap(beside, mode="w+", dtype=np.uint8, shape=shape)
        for number in range(config.rooms):
            seed = config.seed * 1_000_003 + number
            for v, view in enumerate(Room.random(seed).views(config.room_views, seed, min_overlap=0.12)):
                pixels[number, v] = cv2.resize(view.pixels, (PACKED_PX, PACKED_PX), interpolation=cv2.INTER_LINEAR)
            progress("rooms", number + 1, config.rooms, {})
        pixels.flush()
        os.replace(beside, stored)
    return RoomPack(np.load(stored, mmap_mode="r"))


class Batches(Dataset[tuple[Tensor, Tensor, int]]):
    """The batch of step ``i``: (2 B, S, S, 3) uint8 views, (B,) rows of the pack, and 1 for rendered rooms (rows -1).

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

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor, int]:
        cv2.setNumThreads(1)
        rng = np.random.default_rng([self.config.seed, step])
        rendered = self.rooms is not None and rng.random() < self.config.room_share
        rows, views = self._of_rooms(rng, step) if rendered else self._of_pictures(rng, step)
        both = np.stack([first for first, _ in views] + [second for _, second in views])
        return torch.from_numpy(both), torch.from_numpy(rows.astype(np.int64)), int(rendered)

    def _of_rooms(self, rng: np.random.Generator, step: int) -> tuple[npt.NDArray[np.int64], list[augment.Views]]:
        assert self.rooms is not None
        count, shots = self.rooms.pixels.shape[:2]
        views = []
        for room in rng.choice(count, self.config.batch, replace=count < self.config.batch):
            first, second = (
                augment.Source(np.asarray(self.rooms.pixels[room, shot]))
                for shot in rng.choice(shots, 2, replace=False)
            )
            views.append(augment.room_pair(rng, first, second, self.size(step), self._fillers(rng, self.chosen)))
        return np.full(self.config.batch, -1), views

    def _of_pictures(self, rng: np.random.Generator, step: int) -> tuple[npt.NDArray[np.int64], list[augment.Views]]:
        config, size = self.config, self.size(step)
        group = self.groups[int(rng.choice(len(self.groups), p=self.shares))]
        rows = rng.choice(group, config.batch, replace=len(group) < config.batch)
        views = []
        for row in rows:
            fillers, source = self._fillers(rng, group), self._source(int(row))
            partners = self.partners.get(int(row))
            if partners is not None and rng.random() < 0.5:
                other = self._source(int(rng.choice(partners)))
                views.append(augment.room_pair(rng, source, other, size, fillers))
            else:
                views.append(augment.pair(rng, source, size, fillers, config.mix))
        return rows, views

    def _source(self, row: int) -> augment.Source:
        return augment.Source(np.asarray(self.pictures.pixels[row]), float(self.pictures.aspects[row]))

    def _fillers(self, rng: np.random.Generator, among: npt.NDArray[np.int64]) -> augment.Views:
        first, second = rng.choice(among, 2)
        return np.asarray(self.pictures.pixels[first]), np.asarray(self.pictures.pixels[second])


class _From(Sampler[int]):
    def __init__(self, start: int, stop: int) -> None:
        self.start, self.stop = start, stop

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __len__(self) -> int:
        return self.stop - self.start


def loader(batches: Batches, start: int) -> DataLoader[tuple[Tensor, Tensor, int]]:
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
