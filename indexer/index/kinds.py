"""The kinds of index that FAISS builds, trains, searches, writes and reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss as _faiss
import numpy as np
import numpy.typing as npt

from imgmatch.vault import sealed
from imgmatch.vault.keys import Seal
from indexer.index.policy import Plan
from indexer.index.protocol import Ids, Queries
from indexer.index.segments import Rows

faiss: Any = _faiss  # its stubs know neither parameters nor kinds
_SEED = 1234
_ADD_ROWS = 65_536


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Let FAISS use so many threads for a while (None: as it is)."""
    before = faiss.omp_get_max_threads()
    if count is not None:
        faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def thread_count() -> int:
    """Threads that FAISS uses now, when the calling thread asks it."""
    return int(faiss.omp_get_max_threads())


def one_thread() -> None:
    """Let FAISS use one thread when the calling thread asks it, whatever others use."""
    faiss.omp_set_num_threads(1)


def widened(rows: Rows) -> Queries:
    """(n, dim) float16 rows as float32: by FAISS, in less time than NumPy takes where there is no AVX-512 for it."""
    if not len(rows):
        return np.empty(rows.shape, dtype=np.float32)
    quantizer = faiss.ScalarQuantizer(rows.shape[1], faiss.ScalarQuantizer.QT_fp16)
    return np.asarray(quantizer.decode(np.ascontiguousarray(rows).view(np.uint8)))


def build(
    plan: Plan,
    dim: int,
    sample: Queries,
    blocks: Iterator[tuple[Ids, Rows]],
    added: Callable[[int], None],
) -> Any:
    """Train on ``sample`` (n, dim) float32 and add every block under its own ids; ``added`` is told the rows so far."""
    index: Any = faiss.index_factory(dim, plan.factory, faiss.METRIC_INNER_PRODUCT)
    if plan.kind == "ivf":
        # Lists need only be even enough, not converged: eight rounds over 48 rows a list lose nothing measurable.
        index.cp.niter = 8
        index.cp.max_points_per_centroid = 64
        index.cp.min_points_per_centroid = 1
        index.cp.seed = _SEED
        index.pq.cp.min_points_per_centroid = 1
    elif plan.kind == "hnsw":
        inner: Any = faiss.downcast_index(index.index)
        inner.hnsw.efConstruction = 100
    index.train(sample)
    count = 0
    for ids, rows in blocks:
        for start in range(0, len(rows), _ADD_ROWS):
            part = widened(rows[start : start + _ADD_ROWS])
            index.add_with_ids(part, np.ascontiguousarray(ids[start : start + _ADD_ROWS]))
            count += len(part)
            added(count)
    return index


def write(index: Any, path: Path, seal: Seal | None = None, name: str = "") -> None:
    """Write an index file; with ``seal``, sealed at the place ``name``: FAISS itself writes to memory only."""
    if seal is None:
        faiss.write_index(index, str(path))
        return
    with sealed.writing(path, seal, name) as file:
        file.write(faiss.serialize_index(index))


def read(path: Path, seal: Seal | None = None, name: str = "") -> Any:
    """Read an index file whose hash has been checked. Raises SealError where it is not as it was sealed."""
    if seal is None:
        return faiss.read_index(str(path))
    return faiss.deserialize_index(np.frombuffer(sealed.read(path, seal, name), dtype=np.uint8))


def nearest(
    index: Any, kind: str, queries: Queries, count: int, visit: int, allowed: npt.NDArray[np.uint8] | None = None
) -> Ids:
    """(Q, count) candidate ids, by the index's own estimate best first, -1 where there are no more.

    ``visit``: lists to scan, or efSearch. ``allowed``: one bit an id, least significant first.
    """
    selector = None
    if allowed is not None:
        selector = faiss.IDSelectorBitmap(len(allowed) * 8, faiss.swig_ptr(allowed))
    if kind == "ivf":
        parameters = faiss.SearchParametersIVF(nprobe=min(visit, index.nlist), sel=selector)
    else:
        parameters = faiss.SearchParametersHNSW(efSearch=max(visit, count), sel=selector)
    vectors = np.ascontiguousarray(queries, dtype=np.float32)
    return np.asarray(index.search(vectors, min(count, index.ntotal), params=parameters)[1])


def bits(ids: Ids, size: int) -> npt.NDArray[np.uint8]:
    """A bitmap of ``size`` ids for ``nearest``."""
    flags = np.zeros(size, dtype=bool)
    flags[ids[(ids >= 0) & (ids < size)]] = True
    return np.packbits(flags, bitorder="little")


def library() -> str:
    """What makes the files."""
    return f"faiss {faiss.__version__}"
