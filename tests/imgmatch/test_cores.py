import threading

import cv2
import faiss
import numpy as np  # noqa: F401  its OpenBLAS is looked at
from threadpoolctl import threadpool_info

from imgmatch.cores import one_thread_each


def _of_products() -> set[int]:
    return {lib["num_threads"] for lib in threadpool_info() if lib.get("threading_layer") == "pthreads"}


def test_libraries_have_one_thread_until_the_last_pool_is_done() -> None:
    before, of_faiss = cv2.getNumThreads(), faiss.omp_get_max_threads()
    cv2.setNumThreads(2)
    entered, leave = threading.Event(), threading.Event()

    def pool() -> None:
        with one_thread_each():
            entered.set()
            leave.wait(10)

    other = threading.Thread(target=pool)
    with one_thread_each():
        other.start()
        assert entered.wait(10)
        assert _of_products() == {1}
    assert cv2.getNumThreads() == 1
    leave.set()
    other.join()
    assert (cv2.getNumThreads(), faiss.omp_get_max_threads()) == (2, of_faiss)
    cv2.setNumThreads(before)
