"""What evidence looks like: files of every kind that imgmatch reads or names, whole and damaged. The same every time.

Each input is written into a folder of its own, and says which pictures are in it, by SHA-256.
"""

from __future__ import annotations

import hashlib
import io
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

PX = (160, 120)


class UnavailableError(Exception):
    """What makes this input is not on this machine."""


@dataclass(frozen=True)
class Input:
    """``write`` puts the input into an empty folder; ``pictures`` are the contents that are in it as files of their
    own, ``drawn`` how many more that are made anew (frames, pages); ``fault`` is one of FAULTS. ``checked`` says that
    whatever holds them can tell whether they are as they were: bytes that are none of ``pictures`` must be called
    partial.
    """

    group: str
    name: str
    write: Callable[[Path], None]
    pictures: frozenset[str] = field(default_factory=frozenset)
    drawn: int = 0
    checked: bool = True
    fault: str = "whole"


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def picture(seed: int, mode: str = "RGB", size: tuple[int, int] = PX) -> Pillow.Image:
    """A picture unlike that of any other seed."""
    rng = np.random.default_rng(seed)
    coarse = Pillow.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(size, Pillow.Resampling.BICUBIC)
    noise = rng.integers(-12, 13, (size[1], size[0], 3))
    return Pillow.fromarray(np.clip(np.asarray(coarse) + noise, 0, 255).astype(np.uint8)).convert(mode)


def encoded(format: str, seed: int = 1, mode: str = "RGB", **options: Any) -> bytes:
    """A picture as a file. Raises UnavailableError where nothing here writes the format."""
    buffer = io.BytesIO()
    try:
        picture(seed, mode).save(buffer, format, **options)
    except (KeyError, OSError, ImportError) as error:
        raise UnavailableError(f"nothing writes {format}") from error
    return buffer.getvalue()


@cache
def members() -> dict[str, bytes]:
    """The four pictures that lie in every archive and on every disk."""
    return {
        "a.jpg": encoded("JPEG", 11, quality=90),
        "b.png": encoded("PNG", 12),
        "c.bmp": encoded("BMP", 13),
        "d.gif": encoded("GIF", 14, "P"),
    }


def of(contents: dict[str, bytes]) -> frozenset[str]:
    """What these files are known by."""
    return frozenset(sha256(data) for data in contents.values())


FAULTS = ("whole", "cut at 60 %", "zeros for 2 %", "noise for 2 %")


def damaged(data: bytes, fault: str) -> bytes:
    """The file with a fault. The same always: noise is drawn from the length."""
    if fault == "cut at 60 %":
        return data[: len(data) * 6 // 10]
    made, at, size = bytearray(data), len(data) // 2, max(16, len(data) // 50)
    if fault == "zeros for 2 %":
        made[at : at + size] = bytes(size)
    elif fault == "noise for 2 %":
        made[at : at + size] = random.Random(len(data)).randbytes(size)
    return bytes(made[: len(data)])


def file(name: str, content: Callable[[], bytes]) -> Callable[[Path], None]:
    """Write one file."""

    def write(folder: Path) -> None:
        (folder / name).write_bytes(content())

    return write


def faulty(
    group: str,
    name: str,
    ending: str,
    content: Callable[[], bytes],
    inside: Callable[[bytes], frozenset[str]],
    faults: tuple[str, ...] = FAULTS,
    checked: bool = True,
) -> Iterator[Input]:
    """The same file whole and with each fault; of a still, what is in it is itself."""
    for fault in faults:

        def made(fault: str = fault) -> bytes:
            return damaged(content(), fault)

        try:
            pictures = inside(made())
        except UnavailableError:
            pictures = frozenset()
        yield Input(group, name, file(f"a{ending}", made), pictures, checked=checked, fault=fault)


def tool(name: str, *arguments: object) -> None:
    """Run a tool that makes disk images. Raises UnavailableError where it is not on this machine."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        raise UnavailableError(f"the tool {name} is missing")
    subprocess.run([found, *map(str, arguments)], check=True, capture_output=True, timeout=120)
