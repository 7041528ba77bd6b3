"""What a network gave in this run of the tests: asked for the same again, it is not run again.

A vector depends on its picture and on the weights, on nothing else: ``tests/imgmatch/models`` hold the networks
themselves to that, bit by bit. So most commands of a test need no network, whose pictures others have embedded.
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
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np

from imgmatch.models.runtimes import onnx_model

_open_session = onnx_model.open_session
_MOST_BYTES = 4 << 20


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
            self._keep(self._graph, json.dumps(self._nodes).encode())

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(**node) for node in self._nodes["inputs"]]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(**node) for node in self._nodes["outputs"]]

    def run(self, names: list[str] | None, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        key = hashlib.blake2b(f"{self._graph} {names}".encode(), digest_size=32)
        for name, fed in feeds.items():
            key.update(f"{name} {fed.dtype} {fed.shape}".encode())
            key.update(np.ascontiguousarray(fed))
        file = self._folder / f"{key.hexdigest()}.npz"
        with contextlib.suppress(FileNotFoundError), np.load(file) as kept:
            return [kept[name] for name in kept.files]
        found: list[np.ndarray] = self._opened().run(names, feeds)
        if sum(one.nbytes for one in found) <= _MOST_BYTES:
            buffer = io.BytesIO()
            np.savez(buffer, *found)
            self._keep(file.name, buffer.getvalue())
        return found

    def _keep(self, name: str, content: bytes) -> None:
        """Write whole or not at all: others read at any moment."""
        draft = self._folder / f"{name}.{os.getpid()}.{threading.get_ident()}"
        with contextlib.suppress(OSError):
            draft.write_bytes(content)
            draft.replace(self._folder / name)


@functools.cache
def folder() -> str:
    """Where this process of pytest and all commands that it starts remember; it goes when that ends."""
    kept = TemporaryDirectory(prefix="imgmatch-tests-")
    atexit.register(kept.cleanup)
    return kept.name


def remember(folder: str) -> None:
    """From now on, sessions that this process opens remember in ``folder``."""
    onnx_model.open_session = functools.partial(Remembering, Path(folder))


@contextlib.contextmanager
def remembering() -> Iterator[None]:
    """Meanwhile, sessions that this process opens remember, together with its commands."""
    remember(folder())
    try:
        yield
    finally:
        onnx_model.open_session = _open_session


@contextlib.contextmanager
def forgotten() -> Iterator[None]:
    """Meanwhile, sessions that this process opens are the networks themselves."""
    before, onnx_model.open_session = onnx_model.open_session, _open_session
    try:
        yield
    finally:
        onnx_model.open_session = before
