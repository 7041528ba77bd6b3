"""Reading labelled faces with a model, picture by picture, in confined workers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.cores import usable_cores
from imgmatch.errors import EvidenceError
from imgmatch.lab.faces.layouts import FaceSet
from imgmatch.lab.faces.measures import Read
from imgmatch.models.base import FaceEmbedder
from imgmatch.models.face import DECODED_PX
from imgmatch.workers.decode import Request
from imgmatch.workers.pictures import read_picture

if TYPE_CHECKING:
    from imgmatch.models.face import FoundFace

_MOST_BYTES = 256 << 20


def read_set(
    faces: FaceSet,
    reader: FaceEmbedder,
    *,
    jobs: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Read:
    """The face of each picture: of several the one nearest to the middle and large, as a data set means it."""
    count = len(faces.pictures)
    vectors, quality = np.zeros((count, reader.spec.dim), np.float32), np.zeros(count)
    there = np.zeros(count, bool)
    with ThreadPoolExecutor(jobs or usable_cores(), "faces") as pool:
        paths = [one.path for one in faces.pictures]
        for place, found in enumerate(pool.map(lambda path: face_in(path, reader), paths)):
            if found is not None:
                vectors[place], quality[place], there[place] = found.vector, found.face.quality, True
            if progress:
                progress("pictures", place + 1, count)
    return Read(vectors, quality, there)


def face_in(path: Path, reader: FaceEmbedder) -> FoundFace | None:
    """The face that a picture is of; None where none is found, or it can't be read."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES)
        (image,) = read_picture(data, Request(sides_px=(DECODED_PX,))).pictures
    except (OSError, EvidenceError):
        return None
    found = reader.read(image)
    wide, tall = image.upright_size_px

    def mean(one: FoundFace) -> float:
        x, y, width, height = one.face.box
        away = np.hypot((x + width / 2) / wide - 0.5, (y + height / 2) / tall - 0.5)
        return float(width * height / (wide * tall) - away)

    return max(found, key=mean, default=None)
