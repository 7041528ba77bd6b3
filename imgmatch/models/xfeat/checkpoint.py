"""Weights as torch saves them (a ZIP of a pickle and raw numbers), read without torch."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from imgmatch.errors import ModelError

if TYPE_CHECKING:
    import numpy.typing as npt

    Weights = dict[str, npt.NDArray[np.float32]]


def weights_of(content: bytes) -> Weights:
    """The float32 tensors of a file that is known by its SHA-256, by name; whole numbers (counts) are left out.

    Raises ModelError where it is no such file. Nothing but tensors is built, whatever the pickle names.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            folder = name.removesuffix("data.pkl")
            found = _Tensors(archive, folder).load()
    except (zipfile.BadZipFile, pickle.UnpicklingError, KeyError, ValueError, TypeError, EOFError) as error:
        raise ModelError(f"not a file of weights as torch saves them ({error})") from error
    return {name: tensor for name, tensor in found.items() if tensor.dtype == np.float32}


class _Tensors(pickle.Unpickler):
    """Builds dictionaries of arrays and refuses all else."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{folder}data.pkl")))
        self._archive, self._folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        """What the pickle may name: a dictionary, a tensor, and the two kinds of numbers."""
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch", "FloatStorage"): "<f4",
            ("torch", "LongStorage"): "<i8",
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> npt.NDArray[Any]:
        """Numbers that lie beside the pickle."""
        _, kind, key, *_ = pid
        return np.frombuffer(self._archive.read(f"{self._folder}data/{key}"), kind)


def _tensor(
    numbers: npt.NDArray[Any], start: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> npt.NDArray[Any]:
    last = start + sum((count - 1) * step for count, step in zip(shape, strides, strict=True))
    if min((start, *strides), default=0) < 0 or last >= len(numbers):
        raise pickle.UnpicklingError("a tensor is larger than its numbers")
    steps = tuple(step * numbers.itemsize for step in strides)
    return np.lib.stride_tricks.as_strided(numbers[start:], shape, steps).copy()
