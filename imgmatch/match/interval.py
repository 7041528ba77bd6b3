"""Exact intervals of a rate that was counted."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Counts = npt.NDArray[np.floating]
CONFIDENCE = 0.95
_STEPS = 200
_NEAR = 1e-8
"""As a share of the rate."""
_TERMS = 100_000
_TINY = 1e-300


def clopper_pearson(counted: Counts, of: Counts, confidence: float = CONFIDENCE) -> tuple[Numbers, Numbers]:
    """The exact binomial interval (Clopper and Pearson, Biometrika 26, 1934); counts may be fractions.

    Without a success all that may be wrong is put on the upper side: 1 - (1 - confidence)^(1/trials).
    """
    successes, trials = counted.astype(np.float64), of.astype(np.float64)
    share = (1 - confidence) / 2
    none = successes <= 0
    lower = np.where(none, 0.0, _quantile(np.where(none, 1.0, successes), trials - successes + 1, share))
    full = successes >= trials
    above = np.where(none, 2 * share, share)
    upper = np.where(full, 1.0, _quantile(successes + 1, np.where(full, 1.0, trials - successes), 1 - above))
    return lower, upper


def _quantile(a: Numbers, b: Numbers, share: float | Numbers) -> Numbers:
    """Where the beta distribution of ``a`` and ``b`` reaches ``share``: Newton's steps, kept between two bounds."""
    shape = np.broadcast(a, b, share).shape
    a, b = (np.broadcast_to(np.asarray(one, np.float64), shape) for one in (a, b))
    low, high = np.zeros(a.shape), np.ones(a.shape)
    scale = _log_beta(a, b)
    x = a / (a + b)
    for _ in range(_STEPS):
        off = _share(a, b, x, scale) - share
        low, high = np.where(off < 0, x, low), np.where(off < 0, high, x)
        density = np.exp((a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - scale)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            stepped = x - off / density
        # Small rates are found in few halvings only where they are halved as ratios.
        middle = np.where(low > 0, np.sqrt(low * high), np.where(high > 1e-3, (low + high) / 2, high / 16))
        following = np.where((stepped > low) & (stepped < high), stepped, middle)
        near = np.all(np.abs(following - x) <= _NEAR * x)
        x = following
        if near:
            break
    return x


def _share(a: Numbers, b: Numbers, x: Numbers, log_beta: Numbers) -> Numbers:
    """The regularised incomplete beta function by its continued fraction (DLMF 8.17.22), by Lentz's method."""
    turned = x > (a + 1) / (a + b + 2)
    p, q, y = np.where(turned, b, a), np.where(turned, a, b), np.where(turned, 1 - x, x)
    c, d = np.ones_like(y), 1 / _not_zero(1 - (p + q) * y / (p + 1))
    fraction = d.copy()
    for m in range(1, _TERMS):
        for term in (
            m * (q - m) * y / ((p + 2 * m - 1) * (p + 2 * m)),
            -(p + m) * (p + q + m) * y / ((p + 2 * m) * (p + 2 * m + 1)),
        ):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            fraction = fraction * d * c
        if np.all(np.abs(d * c - 1) < 1e-13):
            break
    part = np.exp(a * np.log(x) + b * np.log1p(-x) - log_beta) * fraction / p
    return np.where(turned, 1 - part, part)


def _not_zero(values: Numbers) -> Numbers:
    return np.where(np.abs(values) < _TINY, _TINY, values)


def _log_beta(a: Numbers, b: Numbers) -> Numbers:
    pairs = zip(a.ravel(), b.ravel(), strict=True)
    return np.array([math.lgamma(p) + math.lgamma(q) - math.lgamma(p + q) for p, q in pairs]).reshape(a.shape)
