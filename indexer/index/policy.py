"""Which index a case gets, with which parameters, and when it is time to build one. The one place that decides.

Measured on mixtures of real embeddings, 256-d, 100,000 rows, 1,024 lists, one thread of an AVX2 machine (``python -m
benchmarks.index`` measures again); coverage is the share of the ten true neighbours among 100 candidates, which exact
re-scoring then puts in order:

=============================  ==========  =============  ===========  ==================
codes                          bytes/row   train + add    coverage     ms a query
=============================  ==========  =============  ===========  ==================
PQ128x4 fast-scan, residual    92          5.9 s          0.989/0.993  0.057 / 0.104
RaBitQ fast-scan               64          5.4 s          0.989/0.992  0.152 / 0.341
PQ128x4 fast-scan, whole row   92          5.9 s          0.972/0.973  0.061 / 0.087
=============================  ==========  =============  ===========  ==================

(32 / 64 lists probed; bytes with ids and the quantiser's own share.) Residual 4-bit product codes, two dimensions a
code, are as near as RaBitQ at a third of the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from imgmatch.errors import UsageError

KINDS = ("exact", "ivf", "hnsw")
# Below, comparing every row takes a few milliseconds, finds every neighbour and needs no build.
EXACT_BELOW = 50_000
# Rows that searches compare one by one before a build is due: a fixed cost, or a share of what the index covers.
TAIL_SHARE = 0.25
DEAD_SHARE = 0.30
TARGET_RECALL = 0.99
# What a step costs, in nanoseconds, for choosing between ways; fixed, so that the same case gets the same choice.
SCAN_NS = 9.0
SCORE_NS = 250.0
NPROBES = (4, 6, 8, 12, 16, 24, 32, 40, 48, 64, 96, 128, 192, 256, 512, 1024)
CANDIDATES = (40, 60, 80, 100, 150, 200, 400)
EF_SEARCH = (16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to build. ``factory`` is FAISS's string; ``train_rows`` are sampled from all segments."""

    kind: str
    factory: str
    nlist: int
    train_rows: int
    reason: str


def plan(rows: int, dim: int, kind: str | None = None) -> Plan:
    """The index for so many rows of so many dimensions. Raises UsageError on a kind that there is not."""
    if kind is not None and kind not in KINDS:
        raise UsageError(f"{kind!r} is no kind of index; choose one of {', '.join(KINDS)}")
    asked = "asked for" if kind else None
    kind = kind or ("exact" if rows < EXACT_BELOW else "ivf")
    if kind == "exact" or rows == 0:
        why = asked or f"fewer than {EXACT_BELOW:,} rows: every one is compared in milliseconds"
        return Plan("exact", "SQfp16", 0, 0, why)
    if kind == "hnsw":
        # 4-byte ids, 64 of them a row at the base: more memory and a longer build than ivf's; no training.
        return Plan("hnsw", "IDMap,HNSW32_SQfp16", 0, 0, asked or "")
    # Five roots of the rows, as a power of two: more find more a row scanned (2,048 lists, 32 visited: 0.991 of the
    # true ten at 0.076 ms; 1,024, 48 visited: 0.992 at 0.098 ms; 131,072 rows), and the build grows with them.
    nlist = 1 << min(14, max(4, round(math.log2(5 * math.sqrt(rows))) if rows >= EXACT_BELOW else 4))
    if rows < nlist:
        return Plan("exact", "SQfp16", 0, 0, f"{rows} rows are too few to train {nlist} lists")
    codes = code_count(dim)
    why = asked or f"{rows:,} rows: {codes // 2} bytes of code a row stay in memory, candidates are re-scored exactly"
    return Plan("ivf", f"IVF{nlist},PQ{codes}x4fsr", nlist, min(rows, max(65_536, 48 * nlist)), why)


def code_count(dim: int) -> int:
    """4-bit codes a row: one for two dimensions up to 512, one for four above; always an even divisor of ``dim``."""
    wanted = dim // 2 if dim <= 512 else dim // 4
    divisors = [codes for codes in range(2, dim + 1, 2) if dim % codes == 0]
    if not divisors:
        raise UsageError(f"vectors of {dim} dimensions can't be coded; use an exact index")
    return min(divisors, key=lambda codes: (abs(codes - wanted), codes))


def due(live: int, covered: int, dead: int) -> bool:
    """Is a build due, with so many live rows, so many of them in the index, and so many dead ones in it?"""
    if live < EXACT_BELOW:
        return False
    tail = live - covered
    return tail > max(EXACT_BELOW, TAIL_SHARE * covered) or dead > DEAD_SHARE * max(1, covered + dead)


def candidates(k: int, at_ten: int) -> int:
    """How many candidates to re-score for k results, where ``at_ten`` are enough for ten."""
    return max(at_ten, at_ten + 3 * (k - 10))


def probes(k: int, at_ten: int) -> int:
    """How much of the index to visit for k results, where ``at_ten`` is enough for ten: neighbours further away lie
    in more lists."""
    return at_ten if k <= 10 else math.ceil(at_ten * math.sqrt(k / 10))


def scan_cost(rows: int, nlist: int, nprobe: int, scored: int) -> float:
    """Nanoseconds that one query takes, about."""
    return SCAN_NS * rows * nprobe / max(1, nlist) + SCORE_NS * scored
