"""Validation inside training: pictures kept aside, altered, must find their originals among all kept aside; and views
of rendered rooms the others of their room and hotel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from imgmatch.lab.alterations import alter
from imgmatch.lab.hotels.views import kept_aside, views
from imgmatch.lab.metrics import mean_average_precision, recall_at_k
from imgmatch.lab.training.data import Pack
from imgmatch.models.folding import fold
from imgmatch.models.network import DescriptorNetwork
from imgmatch.picture.prepared import prepared

Embed = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
"""(N, S, S, 3) uint8 to (N, dim) unit vectors."""

DEFAULT_ALTERATIONS = (
    "crop_half",
    "crop_quarter",
    "crop_tenth",
    "rotate_90",
    "perspective",
    "person",
    "screenshot",
    "blur",
    "darken",
    "chain_mirror_crop_person",
)


def embedder(network: DescriptorNetwork, input_px: int, device: torch.device, batch: int = 32) -> Embed:
    """Return a function that embeds squashed pictures with ``network``."""
    folded = fold(network).eval().to(device)
    folded.backbone.to(memory_format=torch.channels_last)

    def embed(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        found = []
        with torch.inference_mode():
            for start in range(0, len(pixels), batch):
                part = torch.from_numpy(pixels[start : start + batch]).to(device)
                normal = ((part.permute(0, 3, 1, 2).float() - 127.0) / 128.0).contiguous(
                    memory_format=torch.channels_last
                )
                cells = folded.backbone(normal)
                pooled = folded.pool(cells, cells.new_ones(len(cells), *cells.shape[2:]))
                found.append(folded.join(folded.projection(pooled)).cpu().numpy())
        return np.concatenate(found)

    return embed


def recall_at_1(
    queries: npt.NDArray[np.float32], gallery: npt.NDArray[np.float32], right: npt.NDArray[np.int64]
) -> float:
    """Share of queries whose right row is strictly nearer than every other: ties count as the worst case."""
    similarity = queries @ gallery.T
    rows = np.arange(len(queries))
    own = similarity[rows, right].copy()
    similarity[rows, right] = -2
    return float((own > similarity.max(1)).mean())


@dataclass(frozen=True, slots=True)
class Validation:
    """Pictures kept aside, and altered ones that must find them.

    ``gallery`` is (N, S, S, 3) uint8; ``queries`` by alteration are (n, S, S, 3), their rows in it ``right`` (n,).
    """

    gallery: npt.NDArray[np.uint8]
    queries: dict[str, npt.NDArray[np.uint8]]
    right: npt.NDArray[np.int64]

    @classmethod
    def of_pictures(
        cls,
        pictures: Pack,
        rows: npt.NDArray[np.int64],
        size: int,
        seed: int,
        count: int = 100,
        alterations: Iterable[str] = DEFAULT_ALTERATIONS,
    ) -> Validation:
        """Alter ``count`` of the rows kept aside, the same way on every call."""
        stored = [np.asarray(pictures.pixels[row]) for row in rows]
        right = np.random.default_rng(seed).permutation(len(rows))[:count]
        queries = {}
        for name in alterations:
            altered = [alter(name, stored[i], seed + int(i)) for i in right]
            queries[name] = np.stack([prepared(a, size) for a in altered])
        return cls(np.stack([prepared(s, size) for s in stored]), queries, right)

    def run(self, embed: Embed) -> dict[str, float]:
        """Recall at 1 by alteration, and their mean."""
        gallery = embed(self.gallery)
        found = {name: recall_at_1(embed(pixels), gallery, self.right) for name, pixels in self.queries.items()}
        return {**found, "mean": float(np.mean(list(found.values())))}


@dataclass(frozen=True, slots=True)
class RoomValidation:
    """Views of rendered hotels kept aside: ``gallery`` and ``queries`` (N, S, S, 3) uint8, each view as it is and with
    a person in front, and of each the numbers of its hotel and of its place.
    """

    gallery: npt.NDArray[np.uint8]
    queries: npt.NDArray[np.uint8]
    hotels: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]

    @classmethod
    def of_collection(cls, collection: Path, size: int, seed: int) -> RoomValidation | None:
        """Of the hotels that runs are chosen by; None where none of them is whole."""
        found = [view for view in views(collection) if kept_aside(view) and view.hotel % 2]
        if not found:
            return None
        names = sorted({(view.hotel, view.place) for view in found})
        stored = [view.pixels() for view in found]
        altered = [alter("person", pixels, seed + number) for number, pixels in enumerate(stored)]
        gallery, queries = (np.stack([prepared(pixels, size) for pixels in some]) for some in (stored, altered))
        return cls(
            gallery,
            queries,
            np.array([view.hotel for view in found]),
            np.array([names.index((view.hotel, view.place)) for view in found]),
        )

    def run(self, embed: Embed) -> dict[str, float]:
        """Recall at 1 and mean average precision of the room, recall at 1 of the hotel, each view left out of its own
        ranking; views without a second one of their room only as wrong answers.
        """
        scores = embed(self.queries) @ embed(self.gallery).T
        np.fill_diagonal(scores, -np.inf)
        room, hotel = (of[:, None] == of[None] for of in (self.places, self.hotels))
        for flags in (room, hotel):
            np.fill_diagonal(flags, False)
        asked = room.any(axis=1)
        return {
            "rooms": recall_at_k(scores[asked], room[asked], 1),
            "rooms_map": mean_average_precision(scores[asked], room[asked]),
            "hotels": recall_at_k(scores[asked], hotel[asked], 1),
        }
