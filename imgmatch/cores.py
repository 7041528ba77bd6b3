"""How many cores there are to use, and how pools that have a thread a core keep libraries from starting more."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_inside = 0
_before = 1


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Calls of OpenCV and products of NumPy's matrices stay on the thread that makes them: for pools that have a thread
    a core already. May be entered by several threads at once; OpenCV has its own again once the last one leaves.
    """
    global _inside, _before
    _products_on_one_thread()
    with _lock:
        _inside += 1
        if _inside == 1:
            _before = cv2.getNumThreads()
            cv2.setNumThreads(1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                cv2.setNumThreads(_before)


@functools.cache
def _products_on_one_thread() -> None:
    """For good, since OpenBLAS's threads are all the process's: they wait busily after each product, which took 2.6 of
    the 6.9 CPU-seconds of a search. Not what FAISS brings: its threads are those of OpenMP, and sleep.
    """
    ThreadpoolController().select(threading_layer="pthreads").limit(limits=1)
