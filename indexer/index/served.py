"""Which index a server keeps of a collection, and how broadly it is searched: what ``policy`` is for files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from imgmatch.errors import UsageError

KINDS = ("hnsw", "ivf", "diskann")
# Above, a graph over whole vectors takes more memory than a server room likes to give: 8-bit codes take a quarter.
GRAPH_BELOW = 5_000_000
# Rows that a server seals together, 384 dimensions of four bytes in its 512 MiB: each lot has lists of its own.
_SEALED_ROWS = 340_000
_NAMES = {"hnsw": "HNSW", "ivf": "IVF_SQ8", "diskann": "DISKANN"}


@dataclass(frozen=True, slots=True)
class Served:
    """An index as a server names it (``HNSW``), with what it was built with."""

    name: str
    params: dict[str, Any]

    def breadth(self, count: int) -> dict[str, int]:
        """How broadly it is searched for so many candidates: they are scored exactly afterwards."""
        if self.name == "DISKANN":
            return {"search_list": max(128, count)}
        if self.name.startswith("IVF"):
            # What of the lists is visited: as many rows as make up for the codes, and never few lists.
            lists = int(self.params.get("nlist", 0) or 1024)
            return {"nprobe": min(lists, max(32, math.ceil(lists / 16), math.ceil(count / 16)))}
        return {"ef": max(128, count)}


def served(rows: int, kind: str | None = None) -> Served:
    """The index for a collection of so many rows. Raises UsageError on a kind that no server has."""
    if kind is not None and kind not in KINDS:
        raise UsageError(f"{kind!r} is no kind of index on a server; choose one of {', '.join(KINDS)}")
    kind = kind or ("hnsw" if rows < GRAPH_BELOW else "ivf")
    if kind == "hnsw":
        return Served(_NAMES[kind], {"M": 32, "efConstruction": 200})
    if kind == "ivf":
        # Twice the root: to find more lists takes a server longer in proportion, and gains nothing at the same share.
        return Served(_NAMES[kind], {"nlist": 1 << round(math.log2(2 * math.sqrt(min(max(rows, 1024), _SEALED_ROWS))))})
    return Served(_NAMES[kind], {})
