"""A model that can be computed by hand, and pictures for it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgmatch.types import ModelSpec


class GreyModel:
    """A picture's vector has as many ones as its mean brightness, then minus ones: two pictures' similarity is exactly
    one less a 128th of how far their greys are apart, in float16 too.
    """

    spec = ModelSpec("grey", "tests", 256, 32, "none", "0" * 64, "none", "none")
    runtime = "by hand"
    grid = (1, 1)

    def __init__(self):
        self.embedded = 0

    def prepare(self, pixels):
        mean = np.asarray(pixels, float).mean()
        return np.full((32, 32, 3), round(mean), np.uint8)

    def embed(self, batch, cell_weights=None):
        self.embedded += len(batch)
        greys = batch.reshape(len(batch), -1).mean(axis=1)
        return np.where(np.arange(256) < greys[:, None], np.float32(1 / 16), np.float32(-1 / 16))


@pytest.fixture
def model() -> GreyModel:
    return GreyModel()


def grey(path: Path, value: int, size: tuple[int, int] = (8, 8)) -> Path:
    """Write a picture of one grey. It is a PNG whatever its name, so that the value is exact."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path, "PNG")
    return path


def broken(path: Path) -> Path:
    """Write a file that is no picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"not a picture")
    return path


def table(path: Path, *lines: str) -> Path:
    """Write a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
