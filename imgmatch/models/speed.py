"""How fast a model is on this machine, run as ingest runs it: a picture a core."""

from __future__ import annotations

import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from imgmatch.models import load_model

_RUNS = 5
_PICTURES = 4


def images_per_second(name: str) -> float:
    """Median of a few runs on the CPU, all usable cores, one thread each; takes a second or so. Raises ModelError."""
    model = load_model(name, device="cpu", threads=1)
    side = model.spec.input_px
    batch = np.random.default_rng(0).integers(0, 256, (_PICTURES, side, side, 3), dtype=np.uint8)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    seconds = []
    with ThreadPoolExecutor(cores) as pool:
        for _ in range(_RUNS + 1):
            started = time.perf_counter()
            list(pool.map(model.embed, [batch] * cores))
            seconds.append(time.perf_counter() - started)
    return _PICTURES * cores / statistics.median(seconds[1:])  # the first run warms up
