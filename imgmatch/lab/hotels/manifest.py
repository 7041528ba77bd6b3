"""Keeping what is rendered of a hotel: pictures, depth, instance numbers, and one line of JSON a view.

A collection is a folder with one folder a hotel (`h0007`): `hotel.json` says what the design is, `views.jsonl` has a
line for each view that is whole, `r03-v2.jpg` is a view, `r03-v2.npz` its depth and instances. A line is written once
its files are in place: a kill costs the view that was being rendered and nothing else.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from imgmatch.errors import ImgmatchError
from imgmatch.lab.hotels.views import read_lines

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Pixels

VERSION = 1
JPEG_QUALITY = 90


class HotelFolder:
    """The folder of one hotel while it is being rendered."""

    def __init__(self, collection: Path, hotel: int) -> None:
        self.path = collection / f"h{hotel:04d}"
        self.hotel = hotel

    def claim(self) -> None:
        """Wait until no other process renders this hotel, and keep others waiting until this one ends."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = (self.path / ".lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def start(self, facts: dict[str, Any]) -> set[str]:
        """Begin the hotel, or go on with it; return the stems that are already whole.

        Raises ImgmatchError where the folder was begun from other seeds or by another version.
        """
        about = self.path / "hotel.json"
        text = json.dumps({"version": VERSION, **facts}, indent=1, sort_keys=True)
        if about.exists():
            if json.loads(about.read_text()) != json.loads(text):
                raise ImgmatchError(f"{self.path} was begun with other settings: give another folder, or remove it")
        else:
            _write(about, text.encode())
        lines = self._lines()
        # A line that was cut off by a kill is written anew.
        _write(self.path / "views.jsonl", "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines).encode())
        return {line["stem"] for line in lines}

    def _lines(self) -> list[dict[str, Any]]:
        return [line for line in read_lines(self.path / "views.jsonl") if _whole(self.path, line["stem"])]

    def keep(
        self, fields: dict[str, Any], picture: Pixels, depth: npt.NDArray[np.float16], ids: npt.NDArray[np.uint16]
    ) -> None:
        """Write a view's files, then its line."""
        stem = fields["stem"]
        packed = io.BytesIO()
        np.savez_compressed(packed, depth=depth, ids=ids)
        _write(self.path / f"{stem}.npz", packed.getvalue())
        jpeg = io.BytesIO()
        Image.fromarray(picture).save(jpeg, "JPEG", quality=JPEG_QUALITY)
        _write(self.path / f"{stem}.jpg", jpeg.getvalue())
        line = json.dumps({"hotel": self.hotel, **fields}, sort_keys=True) + "\n"
        with (self.path / "views.jsonl").open("a") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def finish(self, seconds: float) -> None:
        """Say that every view of the hotel is there."""
        _write(self.path / "whole", f"{seconds:.0f}\n".encode())

    @property
    def whole(self) -> bool:
        """Whether every view of the hotel is there."""
        return (self.path / "whole").exists()


def _whole(folder: Path, stem: str) -> bool:
    return (folder / f"{stem}.jpg").exists() and (folder / f"{stem}.npz").exists()


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
