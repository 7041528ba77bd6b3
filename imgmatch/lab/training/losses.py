"""Losses over pairs of views: which vectors must meet, which must part, and what must be kept.

Throughout, ``views`` is (2 B, dim) of unit length, rows ``i`` and ``B + i`` being the two views of picture ``i``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def negative_weights(similarity: Tensor, same: float = 0.7, spread: float = 0.4, floor: float = 0.02) -> Tensor:
    """How much two pictures may be pushed apart, from their teacher similarity: 1 for unlike ones, ``floor`` for alike.

    Two photographs of one kind of room, or doubles in the data, are poor negatives; the weight falls linearly from 1 at
    ``same - spread`` to ``floor`` at ``same``.
    """
    return ((same - similarity) / spread).clamp(floor, 1.0)


def pair_loss(views: Tensor, weights: Tensor | None, temperature: float) -> Tensor:
    """InfoNCE over the batch (van den Oord et al., arXiv 1807.03748), with weighted negatives.

    ``weights`` is (B, B) from ``negative_weights`` with any diagonal, or None for plain InfoNCE.
    """
    count = len(views) // 2
    logits = views @ views.T / temperature
    itself = torch.eye(2 * count, dtype=torch.bool, device=views.device)
    partner = torch.arange(2 * count, device=views.device).roll(count)
    if weights is not None:
        weight = weights.repeat(2, 2).clone()
        weight[torch.arange(2 * count, device=views.device), partner] = 1.0
        logits = logits + weight.log()
    return functional.cross_entropy(logits.masked_fill(itself, float("-inf")), partner)


def bank_loss(views: Tensor, rows: Tensor, bank: Tensor, weights: Tensor | None, temperature: float) -> Tensor:
    """InfoNCE of each view against one remembered vector of every picture (Wu et al., arXiv 1805.01978).

    ``rows`` (B,) says which row of ``bank`` (N, dim) belongs to picture ``i``; ``weights`` is (B, N).
    """
    logits = views @ bank.T / temperature
    both = rows.repeat(2)
    if weights is not None:
        weight = weights.repeat(2, 1).clone()
        weight[torch.arange(len(both), device=views.device), both] = 1.0
        logits = logits + weight.log()
    return functional.cross_entropy(logits, both)


def koleo_loss(views: Tensor, eps: float = 1e-4) -> Tensor:
    """Differential-entropy regulariser: pushes each vector away from its nearest that is not its partner.

    Sablayrolles et al., arXiv 1806.03198, as SSCD uses it (arXiv 2202.10261).
    """
    count = len(views) // 2
    with torch.no_grad():
        similarity = views @ views.T
        similarity.fill_diagonal_(-2.0)
        rows = torch.arange(2 * count, device=views.device)
        similarity[rows, rows.roll(count)] = -2.0
        nearest = similarity.argmax(1)
    return -((views - views[nearest]).norm(dim=1) + eps).log().mean()


def place_loss(views: Tensor, targets: Tensor, bank: Tensor | None, temperature: float = 0.2) -> Tensor:
    """Distillation: an altered view must say what the teacher says of the clean original.

    The cosine distance to ``targets`` (B, dim), and, given ``bank`` (N, dim) of teacher vectors, the divergence between
    the teacher's and the student's similarities to them (SEED, Fang et al., arXiv 2101.04731).
    """
    both = targets.repeat(2, 1)
    loss = 1 - (views * both).sum(1).mean()
    if bank is not None:
        wanted = functional.softmax(both @ bank.T / temperature, dim=1)
        given = functional.log_softmax(views @ bank.T / temperature, dim=1)
        loss = loss + 0.5 * functional.kl_div(given, wanted, reduction="batchmean")
    return loss


def agreement_loss(views: Tensor) -> Tensor:
    """Cosine distance of each view to its partner, taken as fixed: for pairs that have no teacher vector."""
    return 1 - (views * views.detach().roll(len(views) // 2, 0)).sum(1).mean()
