"""A picture to its faces: found, measured, and each as a vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from imgmatch.errors import UnknownNameError
from imgmatch.models.face import MOST_YAW, Face, FoundFace
from imgmatch.models.faces.chips import CHIP_PX, chip, light, pose, sharpness, upright
from imgmatch.models.faces.detector import Detection, Detector
from imgmatch.models.faces.small import SmallFaces, of_network
from imgmatch.models.faces.weights import MODELS, SFACE, detector_path, network_path
from imgmatch.models.runtimes.plain_onnx import PlainOnnxModel
from imgmatch.types import Image, ModelSpec

if TYPE_CHECKING:
    from imgmatch.models.base import Embedder
    from imgmatch.types import Pixels

_SMALL_PX = 64
_CLOSER_PX = (64, 128)
_MOST_FACES = 500
_LEANS_DEGREES, _MOST_TURNS, _NEAR = 6, 4, 0.125


class FaceReader:
    """A network for faces with its detector, loaded; ``small``: what is taken off vectors of small faces. Implements
    FaceEmbedder.
    """

    def __init__(self, network: Embedder, detector: Detector, small: SmallFaces | None = None) -> None:
        self.network, self._detector, self._small = network, detector, small

    @property
    def spec(self) -> ModelSpec:
        """As FaceEmbedder.spec."""
        return self.network.spec

    @property
    def runtime(self) -> str:
        """As FaceEmbedder.runtime."""
        return self.network.runtime

    def read(self, image: Image, *, thorough: bool = False) -> list[FoundFace]:
        """As FaceEmbedder.read."""
        found = [
            self._closer(image.pixels, self._upright(image.pixels, hit))
            for hit in self._detector.detect(image.pixels, thorough=thorough)
        ]
        found = sorted(found[:_MOST_FACES], key=lambda hit: (hit.box[0] + hit.box[2] / 2, hit.box[1]))
        chips = [chip(image.pixels, hit.points) for hit in found]
        if not chips:
            return []
        side = self.spec.input_px
        fed = chips if side == CHIP_PX else [chip(image.pixels, hit.points, side) for hit in found]
        vectors = self.network.embed(np.stack(fed))
        faces = [face_of(image, hit, face) for hit, face in zip(found, chips, strict=True)]
        if self._small is not None:
            vectors = self._small.taken_off(vectors, [face.size_px for face in faces])
        return [FoundFace(face, vector) for face, vector in zip(faces, vectors, strict=True)]

    def _upright(self, pixels: Pixels, hit: Detection) -> Detection:
        """A face that leans to a side with its points as they are seen of it upright: leaning, they are far off. As it
        is where it is not found so: what was taken for a face that leans is one that lies, or is none.
        """
        points = hit.points
        if abs(pose(points).yaw) > MOST_YAW:
            return hit
        for _ in range(_MOST_TURNS):
            if abs((pose(points).roll + 45) % 90 - 45) < _LEANS_DEGREES:  # lying it is found lying
                break
            shown, back = upright(pixels, points, hit.box[3])
            middle = np.array(shown.shape[1::-1]) / 2
            seen = [
                one
                for one in self._detector.look(shown)
                if np.abs(one.points.mean(axis=0) - middle).max() < _NEAR * shown.shape[0]
            ]
            if not seen:
                return hit
            best = max(seen, key=lambda one: one.confidence)
            points = (best.points @ back[:, :2].T + back[:, 2]).astype(np.float32)
            if abs(pose(best.points).roll) < _LEANS_DEGREES:
                break
        else:
            return hit
        return Detection(hit.box, points, hit.confidence)

    def _closer(self, pixels: Pixels, hit: Detection) -> Detection:
        """A small face with the mean of its points as seen at several sizes: those of one look are a pixel or two off,
        which is much of a small face.
        """
        if hit.box[3] >= _SMALL_PX:
            return hit
        x, y, width, height = hit.box
        left, top = max(0, int(x - height * 0.8)), max(0, int(y - height * 0.8))
        part = pixels[top : int(y + height * 1.8) + 1, left : int(x + width + height * 0.8) + 1]
        seen = [hit.points]
        for size in _CLOSER_PX:
            scale = size / height
            if scale <= 1 or max(part.shape[:2]) * scale > 1024:
                continue
            larger = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC).astype(np.uint8)
            again = [other.points / scale + np.array([left, top], np.float32) for other in self._detector.look(larger)]
            near = [points for points in again if np.abs(points - hit.points).max() < 0.25 * height]
            seen += near[:1]
        return Detection(hit.box, np.mean(seen, axis=0).astype(np.float32), hit.confidence)


def load_faces(name: str = SFACE.name, *, threads: int | None = None) -> FaceReader:
    """Load a network for faces and its detector, after checking their weights.

    ``threads`` share one run (default: all usable cores). Raises ModelError, MissingPackageError where the extra is not
    installed, UnknownNameError where there is no such network.
    """
    spec = MODELS.get(name)
    if spec is None:
        raise UnknownNameError("model for faces", name, list(MODELS))
    network = PlainOnnxModel(spec, network_path(spec), threads)
    return FaceReader(network, load_detector(threads), of_network(name))


def load_detector(threads: int | None = None) -> Detector:
    """The detector alone: for what is to be hidden, not compared. Raises as ``load_faces``."""
    return Detector(detector_path(), threads)


def face_of(image: Image, hit: Detection, face: Pixels) -> Face:
    """What is known of a face that was found in ``image.pixels``, in pixels of the full-size picture."""
    height, width = image.pixels.shape[:2]
    wide, tall = image.upright_size_px
    across, down = wide / width, tall / height
    x, y, w, h = hit.box
    left, top = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
    right, bottom = min(max(x + w, left + 1), float(width)), min(max(y + h, top + 1), float(height))
    box = (int(left * across), int(top * down))
    size = (max(1, round((right - left) * across)), max(1, round((bottom - top) * down)))
    turned = pose(hit.points)
    inside = (right - left) * (bottom - top) / max(w * h, 1e-6)
    return Face(
        (*box, min(size[0], wide - box[0]), min(size[1], tall - box[1])),
        tuple((round(float(px * across), 2), round(float(py * down), 2)) for px, py in hit.points),
        round(hit.confidence, 4),
        round(min(h, h * down), 1),
        round(sharpness(face), 4),
        round(turned.yaw, 4),
        round(turned.pitch, 4),
        round(turned.roll, 2),
        round(max(0.0, 1 - inside), 4),
        round(light(face), 4),
    )
