"""Millions of vectors like those of photographs: mixtures of real embeddings, so that neighbours exist."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imgmatch.models import load_model
from imgmatch.types import Image

Vectors = npt.NDArray[np.float32]
BLOCK = 65_536


def embeddings(images: Sequence[Image] | Iterator[Image], model: str | None = None) -> Vectors:
    """Embed pictures, (N, dim) float32 of unit length."""
    embedder = load_model(model) if model else load_model()
    return np.concatenate([embedder.embed(embedder.prepare(image.pixels)[np.newaxis]) for image in images])


def options(parser: argparse.ArgumentParser, rows: int, scratch: str) -> None:
    """What a benchmark on such vectors takes: how many (``rows`` by default), what they are mixtures of, and a folder
    for its files, ``scratch`` in words.
    """
    parser.add_argument("--rows", type=int, default=rows, help="1,000,000 and more take long")
    parser.add_argument("--photographs", type=int, default=2000, help="real photographs whose embeddings are mixed")
    parser.add_argument("--anchors", type=Path, help="keep the real embeddings in this file between runs")
    parser.add_argument("--scratch", type=Path, help=scratch)


def anchors(cache: Path | None, photographs: int, dim: int, model: str | None = None) -> Vectors:
    """Real embeddings brought to ``dim`` by their principal axes, (N, dim); ``cache`` keeps them between runs."""
    from benchmarks.photographs import pictures, rooms

    if cache is not None and cache.exists():
        made: Vectors = np.load(cache)
    else:
        made = embeddings(pictures(rooms(photographs), min_side_px=224), model)
        if cache is not None:
            np.save(cache, made)
    if made.shape[1] > dim:
        centred = made - made.mean(axis=0)
        axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :dim]
        made = made @ axes
    return _unit(made.astype(np.float32))


def mixture(real: Vectors, rows: int, seed: int) -> Iterator[Vectors]:
    """Blocks of unit vectors, ``rows`` in all: each a random mixture of two real ones, and noise of 0.3 spreads.

    Rows fall into clouds about the lines between photographs, as views, alterations and similar scenes do.
    """
    rng = np.random.default_rng(seed)
    spread = real.std(axis=0)
    for start in range(0, rows, BLOCK):
        count = min(BLOCK, rows - start)
        first, second = rng.integers(0, len(real), (2, count))
        share = rng.beta(2, 2, (count, 1)).astype(np.float32)
        made = share * real[first] + (1 - share) * real[second]
        made += 0.3 * spread * rng.standard_normal(made.shape, dtype=np.float32)
        yield _unit(made)


def queries(rows: Vectors, count: int, seed: int) -> Vectors:
    """Queries near ``count`` random rows: each such a row, moved as far as another view would be."""
    rng = np.random.default_rng(seed)
    chosen = rows[rng.integers(0, len(rows), count)]
    moved = chosen + 0.3 * rows[:10_000].std(axis=0) * rng.standard_normal(chosen.shape, dtype=np.float32)
    return _unit(moved)


def _unit(vectors: Vectors) -> Vectors:
    made: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return made
