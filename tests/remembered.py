"""What networks and SIFT gave in this run of the tests: asked for the same again, they are not run again.

A vector depends on its picture and on the weights, points on their picture, on nothing else: ``tests/imgmatch`` hold
them to that, bit by bit. So most commands of a test need no network, whose pictures others have embedded.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import io
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from imgmatch.models.runtimes import onnx_model

_open_session, _sift = onnx_model.open_session, cv2.SIFT
_MOST_BYTES = 4 << 20


def _recalled(
    folder: Path, words: str, fed: Iterable[np.ndarray], made: Callable[[], list[np.ndarray]]
) -> list[np.ndarray]:
    """What was ``made`` of this, so called, before; else what is made of it now."""
    key = hashlib.blake2b(words.encode(), digest_size=32)
    for each in fed:
        key.update(f"{each.dtype} {each.shape}".encode())
        key.update(np.ascontiguousarray(each))
    name = f"{key.hexdigest()}.npz"
    with contextlib.suppress(FileNotFoundError), np.load(folder / name) as kept:
        return [kept[one] for one in kept.files]
    found = made()
    if sum(one.nbytes for one in found) <= _MOST_BYTES:
        buffer = io.BytesIO()
        np.savez(buffer, *found)
        _keep(folder, name, buffer.getvalue())
    return found


def _keep(folder: Path, name: str, content: bytes) -> None:
    """Write whole or not at all: others read at any moment."""
    draft = folder / f"{name}.{os.getpid()}.{threading.get_ident()}"
    with contextlib.suppress(OSError):
        draft.write_bytes(content)
        draft.replace(folder / name)


class Remembering:
    """An ONNX session, opened where something is asked for the first time."""

    def __init__(self, folder: Path, path: Path, threads: int | None, *, broadcasts: bool = False) -> None:
        """``folder`` is of all processes that share what they remember. Raises ModelError as ``open_session`` does."""
        self._folder = folder
        self._opened = functools.cache(lambda: _open_session(path, threads, broadcasts=broadcasts))
        if not path.is_file():
            self._opened()
        there = path.stat()
        what = (str(path), there.st_ino, there.st_size, there.st_mtime_ns, broadcasts)
        self._graph = hashlib.sha256(repr(what).encode()).hexdigest()
        self._nodes: dict[str, list[dict[str, Any]]]
        try:
            self._nodes = json.loads((folder / self._graph).read_bytes())
        except FileNotFoundError:
            ends = {"inputs": self._opened().get_inputs(), "outputs": self._opened().get_outputs()}
            self._nodes = {
                end: [{"name": node.name, "type": node.type, "shape": node.shape} for node in nodes]
                for end, nodes in ends.items()
            }
            _keep(folder, self._graph, json.dumps(self._nodes).encode())

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(**node) for node in self._nodes["inputs"]]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(**node) for node in self._nodes["outputs"]]

    def run(self, names: list[str] | None, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        words = f"{self._graph} {names} {list(feeds)}"
        return _recalled(self._folder, words, feeds.values(), lambda: self._opened().run(names, feeds))


class Sought:
    """``cv2.SIFT``."""

    def __init__(self, folder: Path, *settings: float) -> None:
        self._folder, self._settings = folder, settings

    def detectAndCompute(self, grey: np.ndarray, mask: np.ndarray | None) -> tuple[list[cv2.KeyPoint], Any]:  # noqa: N802
        def made() -> list[np.ndarray]:
            points, descriptors = _sift.create(*self._settings).detectAndCompute(grey, mask)
            told = [(*p.pt, p.size, p.angle, p.response, p.octave, p.class_id) for p in points]
            return [np.array(told, np.float64)] if descriptors is None else [np.array(told, np.float64), descriptors]

        fed = [grey] if mask is None else [grey, mask]
        told, *descriptors = _recalled(self._folder, f"SIFT {self._settings}", fed, made)
        points = [cv2.KeyPoint(*row[:5], int(row[5]), int(row[6])) for row in told.tolist()]
        return points, descriptors[0] if descriptors else None


@functools.cache
def folder() -> str:
    """Where this process of pytest and all commands that it starts remember; it goes when that ends."""
    kept = TemporaryDirectory(prefix="imgmatch-tests-")
    atexit.register(kept.cleanup)
    return kept.name


def remember(folder: str) -> None:
    """From now on, what this process asks of networks and SIFT is remembered in ``folder``."""
    onnx_model.open_session = functools.partial(Remembering, Path(folder))
    cv2.SIFT = SimpleNamespace(create=functools.partial(Sought, Path(folder)))


@contextlib.contextmanager
def remembering() -> Iterator[None]:
    """Meanwhile, what this process asks of networks and SIFT is remembered, together with its commands."""
    remember(folder())
    try:
        yield
    finally:
        onnx_model.open_session, cv2.SIFT = _open_session, _sift


@contextlib.contextmanager
def forgotten() -> Iterator[None]:
    """Meanwhile, this process asks the networks themselves, and SIFT."""
    before = onnx_model.open_session, cv2.SIFT
    onnx_model.open_session, cv2.SIFT = _open_session, _sift
    try:
        yield
    finally:
        onnx_model.open_session, cv2.SIFT = before
