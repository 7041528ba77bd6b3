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


def region_loss(regions: Tensor, overlaps: Tensor, temperature: float, least: float = 0.2) -> Tensor:
    """Windows of two views that show the same attract, all others of the batch repel (after CopyNCE, arXiv 2602.17484).

    ``regions`` (2 B, R, dim) of unit length; ``overlaps`` (B, R, R) of each window of the first view with each of the
    second, 0..1. A window's targets are those that it overlaps by ``least`` or more, in proportion; those that it
    overlaps by less are neither right nor wrong. 0 where no two windows meet.
    """
    first, second = (part.flatten(0, 1) for part in regions.chunk(2))
    shared = torch.block_diag(*overlaps)
    met = shared >= least
    logits = (first @ second.T / temperature).masked_fill((shared > 0) & ~met, float("-inf"))
    losses = []
    for one, right in ((logits, shared * met), (logits.T, (shared * met).T)):
        kept = right.sum(1) > 0
        wanted = right[kept] / right[kept].sum(1, keepdim=True)
        said = functional.log_softmax(one[kept], dim=1).masked_fill(wanted == 0, 0)
        losses.append(-(wanted * said).sum(1))
    both = torch.cat(losses)
    return both.mean() if len(both) else regions.sum() * 0


def hotel_loss(views: Tensor, hotels: Tensor, temperature: float) -> Tensor:
    """Views of one hotel attract, those of others repel (supervised contrast, Khosla et al., arXiv 2004.11362).

    ``hotels`` (B,) as numbers. 0 where all are of one hotel.
    """
    named = hotels.repeat(2)
    same = named[:, None] == named[None]
    if bool(same.all()):
        return views.sum() * 0
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    logits = (views @ views.T / temperature).masked_fill(itself, float("-inf"))
    said = functional.log_softmax(logits, dim=1).masked_fill(itself, 0)
    right = same & ~itself
    return -((said * right).sum(1) / right.sum(1)).mean()
