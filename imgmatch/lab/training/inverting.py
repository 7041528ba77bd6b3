"""A small network that makes pictures of vectors: what can be seen in them by who holds photographs of the same kind.

Dosovitskiy and Brox, "Inverting visual representations with convolutional networks" (2016).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

SIDE_PX = 48
Floats = npt.NDArray[np.float32]
Disturb = Callable[[Floats, np.random.Generator], Floats]
"""What is done to vectors before they are handed out: the attacker knows it, and learns on vectors treated so."""
_CHANNELS = (128, 64, 48, 24, 12)
_LEAST_PX = 3
_BATCH = 64


def trained(codes: Floats, pictures: Floats, disturb: Disturb, *, epochs: int, seed: int) -> Callable[[Floats], Floats]:
    """Train on (n, d) codes of (n, 3, 48, 48) pictures, 0..1; returns what makes pictures of (m, d) codes.

    One seed, one thread and one machine give one network.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = _decoder(codes.shape[1])
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-4)
    steps = epochs * (len(codes) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    scale = np.float32(np.sqrt(codes.shape[1]))
    wanted = torch.from_numpy(pictures)
    network.train()
    for _ in range(epochs):
        order = rng.permutation(len(codes))
        for start in range(0, len(order) - _BATCH + 1, _BATCH):
            some = order[start : start + _BATCH]
            made = network(torch.from_numpy(disturb(codes[some], rng) * scale))
            loss = nn.functional.l1_loss(made, wanted[some])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    network.eval()

    def decoded(given: Floats) -> Floats:
        with torch.no_grad():
            parts = [network(torch.from_numpy(part * scale)) for part in np.array_split(given, len(given) // 256 + 1)]
        return np.asarray(torch.cat(parts).numpy(), np.float32)

    return decoded


def _decoder(dim: int) -> nn.Module:
    layers: list[nn.Module] = [
        nn.Linear(dim, _CHANNELS[0] * _LEAST_PX**2),
        nn.Unflatten(1, (_CHANNELS[0], _LEAST_PX, _LEAST_PX)),
        nn.ReLU(),
    ]
    for before, after in pairwise(_CHANNELS):
        layers += [
            nn.Upsample(scale_factor=2),
            nn.Conv2d(before, after, 3, padding=1),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.Conv2d(_CHANNELS[-1], 3, 3, padding=1), nn.Sigmoid())
