"""What vectors of small faces have in common, and what taking it off does to them.

    python -m benchmarks.small_faces FOLDER [--write imgmatch/models/faces/sface_small.npy]

FOLDER holds photographs of people, each face large. Every fit face is brought down to several heights, as JPEG, with
other filters and light and mirrored; who is alike by the makers' threshold is taken for one person. Printed is what is
found before and after, by what was measured without the two photographs that are compared: scene, light and people.
"""

from __future__ import annotations

import argparse
import io
from itertools import combinations_with_replacement
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageOps

from imgmatch.models.face import LIKENESS
from imgmatch.models.faces.reader import FaceReader, load_detector
from imgmatch.models.faces.small import HEIGHTS_PX, SmallFaces, hats
from imgmatch.models.faces.weights import SFACE, network_path
from imgmatch.models.runtimes.plain_onnx import PlainOnnxModel
from imgmatch.types import Image

_TO_PX = (20, 24, 32, 40, 64, 96)
_LARGEST_PX, _SURE, _STRENGTH = 220, 0.8, 0.75
_MADE = ((Pillow.Resampling.BOX, 60), (Pillow.Resampling.BICUBIC, 75), (Pillow.Resampling.LANCZOS, 60))

Numbers = npt.NDArray[np.float64]


class View(NamedTuple):
    """A face as it was seen: in which photograph, the number of its person and of itself, brought down to how much (0:
    not at all), as high as the detector has it, mirrored or not, its vector and that of it as it was.
    """

    photograph: int
    person: int
    face: int
    to_px: int
    height_px: float
    mirrored: bool
    vector: Numbers
    whole: Numbers


def views_of(photographs: list[Path], reader: FaceReader) -> list[View]:
    """Every view of every fit face."""
    rng, found = np.random.default_rng(7), []
    for number, path in enumerate(photographs):
        pixels = np.asarray(ImageOps.exif_transpose(Pillow.open(path)).convert("RGB"))
        for one in reader.read(_image(pixels), thorough=True):
            if not one.face.unfit and one.face.confidence >= _SURE:
                found.append((number, one.vector, _cut_out(pixels, one.face.box)))
    people = _people(np.stack([vector for _, vector, _ in found]), LIKENESS[reader.spec.name].alike)
    views = []
    for face, (number, _, upright) in enumerate(found):
        for mirrored, shown in ((False, upright), (True, ImageOps.mirror(upright))):
            whole = _middle(reader, shown)
            if whole is None:
                continue
            about = (number, people[face], face)
            views.append(View(*about, 0, whole[0], mirrored, whole[1], whole[1]))
            for to in _TO_PX:
                for kind, quality in _MADE if to < 0.9 * whole[0] else ():
                    small = _middle(reader, _brought_down(shown, to / whole[0], kind, quality, rng))
                    if small is not None:
                        views.append(View(*about, to, small[0], mirrored, small[1], whole[1]))
    return views


def _image(pixels: npt.NDArray[np.uint8]) -> Image:
    return Image(np.ascontiguousarray(pixels), (pixels.shape[1], pixels.shape[0]), 1, "PNG")


def _cut_out(pixels: npt.NDArray[np.uint8], box: tuple[int, int, int, int]) -> Pillow.Image:
    """A face in the middle of its surroundings, no larger than need be."""
    x, y, width, height = box
    reach = int(1.6 * height)
    wide = np.pad(pixels, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    left, top = x + width // 2, y + height // 2
    part = Pillow.fromarray(wide[top : top + 2 * reach, left : left + 2 * reach])
    side = min(part.width, round(part.width * _LARGEST_PX / height))
    return part.resize((side, side), Pillow.Resampling.LANCZOS)


def _brought_down(
    shown: Pillow.Image, share: float, kind: Pillow.Resampling, quality: int, rng: np.random.Generator
) -> Pillow.Image:
    light = np.clip((np.asarray(shown) / 255) ** rng.uniform(0.8, 1.25) * rng.uniform(0.85, 1.1), 0, 1)
    side = max(1, round(shown.width * share * rng.uniform(0.95, 1.05)))
    file = io.BytesIO()
    Pillow.fromarray((light * 255).astype(np.uint8)).resize((side, side), kind).save(file, "JPEG", quality=quality)
    return Pillow.open(file).convert("RGB")


def _middle(reader: FaceReader, shown: Pillow.Image) -> tuple[float, Numbers] | None:
    """Height and vector, as the network gives it, of the face in the middle of a picture."""
    for one in reader.read(_image(np.asarray(shown))):
        x, y, width, height = one.face.box
        if max(abs(x + width / 2 - shown.width / 2), abs(y + height / 2 - shown.height / 2)) < height / 2:
            return one.face.size_px, one.vector.astype(np.float64)
    return None


def _people(vectors: npt.NDArray[np.float32], least: float) -> list[int]:
    """Who is who: faces that are alike are one person's."""
    person = np.arange(len(vectors))
    for one, other in np.argwhere(np.triu(vectors @ vectors.T >= least, 1)):
        person[person == person[other]] = person[one]
    return [int(number) for number in person]


def common(views: list[View]) -> Numbers:
    """(heights, dim) what small views have that the same faces, large, have not, at each of ``HEIGHTS_PX``; each person
    counts as much as every other. It is taken off with three quarters of its strength: it is known from few people.
    """
    small = [view for view in views if view.to_px]
    people = np.array([view.person for view in small])
    _, place, count = np.unique(people, return_inverse=True, return_counts=True)
    weight = np.sqrt(1 / count[place])[:, None]
    seen, whole = (np.stack([getattr(view, name) for view in small]) for name in ("vector", "whole"))
    parts = hats(np.array([view.height_px for view in small]))
    # How much of a face is left at a height, and what is there beside it.
    left = np.linalg.lstsq(parts * weight, (seen * whole).sum(axis=1) * weight[:, 0], rcond=None)[0]
    beside = seen - (parts @ left)[:, None] * whole
    found = np.linalg.lstsq(parts * weight, beside * weight, rcond=None)[0]
    made: Numbers = _STRENGTH * (found - found[-1])
    return made


def compared(views: list[View], to: int, other_to: int, *, after: bool) -> tuple[Numbers, Numbers]:
    """Scores of two people, and of one: a face with itself mirrored."""
    group, two, one = _apart(views), [], []
    for first, second in combinations_with_replacement(sorted(set(group.values())), 2):
        rest = [view for view in views if group[view.photograph] not in (first, second)]
        small = SmallFaces(common(rest)[:-1].astype(np.float32)) if after else None
        for ours, theirs in {(first, second), (second, first)}:
            here = [view for view in views if view.to_px == to and group[view.photograph] == ours]
            there = [view for view in views if view.to_px == other_to and group[view.photograph] == theirs]
            if not here or not there:
                continue
            scores = _vectors(here, small) @ _vectors(there, small).T
            person, face, mirrored = (
                [np.array([getattr(view, name) for view in side]) for side in (here, there)]
                for name in ("person", "face", "mirrored")
            )
            two.append(scores[person[0][:, None] != person[1]])
            one.append(scores[(face[0][:, None] == face[1]) & (mirrored[0][:, None] != mirrored[1])])
    return np.concatenate(two), np.concatenate(one)


def _apart(views: list[View]) -> dict[int, int]:
    """Photographs, those that share a person under one number."""
    group = {view.photograph: view.photograph for view in views}
    for person in {view.person for view in views}:
        theirs = {group[view.photograph] for view in views if view.person == person}
        group = {photograph: min(theirs) if known in theirs else known for photograph, known in group.items()}
    return group


def _vectors(views: list[View], small: SmallFaces | None) -> Numbers:
    vectors = np.stack([view.vector for view in views]).astype(np.float32)
    heights = np.array([view.height_px for view in views])
    return (vectors if small is None else small.taken_off(vectors, heights)).astype(np.float64)


def main() -> None:
    """Read, measure, and write what is common where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    # As the network has them, with nothing taken off.
    reader = FaceReader(PlainOnnxModel(SFACE, network_path(SFACE), 1), load_detector(1))
    photographs = sorted(path for path in given.folder.rglob("*") if path.is_file())
    views = views_of(photographs, reader)
    faces, people = ({getattr(view, name) for view in views} for name in ("face", "person"))
    print(f"{len(photographs)} photographs, {len(faces)} faces, {len(people)} people")
    alike = LIKENESS[SFACE.name].alike
    for to, other in [*((px, px) for px in _TO_PX), *((px, 0) for px in _TO_PX), (0, 0)]:
        for after in (False, True):
            two, one = compared(views, to, other, after=after)
            least = np.sort(two)[::-1][int(0.001 * len(two))]
            print(
                f"{to or 'whole':>5} with {other or 'whole':>5}, {'after' if after else 'before':6}: {len(two):6} pairs"
                f" of two, mean {two.mean():+.3f}, {np.mean(two >= alike):.4f} reach the makers' threshold; of one"
                f" {np.mean(one > least):.3f} found at 0.1 %"
            )
    if given.write:
        np.save(given.write, common(views)[:-1].astype(np.float32))
        print(f"{given.write}: {len(HEIGHTS_PX) - 1} heights")


if __name__ == "__main__":
    main()
