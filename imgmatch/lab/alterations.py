"""Seeded alterations of pictures: what happens to a photograph between two devices.

Every alteration is a pure function ``(pixels, rng, parameters) -> pixels`` over (H, W, 3) uint8 sRGB arrays: the same
pixels and the same generator state give the same bytes, the input is never written to, and any size down to one pixel
is accepted. Lengths are shares of the picture, so that an alteration is as strong on a thumbnail as on a photograph.

``ALTERATIONS`` is the fixed table that benchmarks, the demo and training share; ``alter`` applies one by name. Their
kinds follow INRIA Copydays (Douze et al., CIVR 2009), DISC21 (arXiv 2106.09672) and AugLy (arXiv 2201.06494).
"""

from __future__ import annotations

import math
import string
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, Protocol

import cv2
import numpy as np

from imgmatch.errors import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Pixels

    Mask = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float32]


class Alteration(Protocol):
    """A named alteration: ``others`` are photographs to paste beside or around (collages); most ignore them."""

    def __call__(self, pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels] = ()) -> Pixels:
        """Return an altered copy, (H', W', 3) uint8."""
        ...


# --- small tools -----------------------------------------------------------------------------------------------------


def _rgb(colour: Sequence[float] | npt.NDArray[np.generic]) -> tuple[int, int, int]:
    red, green, blue = (int(np.clip(channel, 0, 255)) for channel in colour)
    return red, green, blue


def _random_colour(rng: np.random.Generator, low: int = 0, high: int = 256) -> tuple[int, int, int]:
    return _rgb(rng.integers(low, high, 3))


def _to_bytes(values: npt.NDArray[np.floating]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _resize(pixels: Pixels, width: int, height: int) -> Pixels:
    width, height = max(1, width), max(1, height)
    shrinks = width * height < pixels.shape[0] * pixels.shape[1]
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _cover(pixels: Pixels, width: int, height: int) -> Pixels:
    """Scale and crop centrally so that the picture fills width x height."""
    width, height = max(1, width), max(1, height)
    rows, cols = pixels.shape[:2]
    scale = max(width / cols, height / rows)
    crop_w, crop_h = max(1, min(cols, round(width / scale))), max(1, min(rows, round(height / scale)))
    left, top = (cols - crop_w) // 2, (rows - crop_h) // 2
    return _resize(pixels[top : top + crop_h, left : left + crop_w], width, height)


def _blend(under: Pixels, over: Pixels | tuple[int, int, int], alpha: Floats) -> Pixels:
    """``alpha`` is (H, W) in 0..1."""
    weight = alpha[..., None]
    return _to_bytes(under * (1 - weight) + np.asarray(over, np.float32) * weight)


# --- geometry --------------------------------------------------------------------------------------------------------


def resize_by(pixels: Pixels, rng: np.random.Generator, factor: float = 0.25) -> Pixels:
    """Scale both sides by ``factor`` and leave the picture small (or large)."""
    rows, cols = pixels.shape[:2]
    return _resize(pixels, round(cols * factor), round(rows * factor))


def crop_area(pixels: Pixels, rng: np.random.Generator, fraction: float = 0.5, aspect_jitter: float = 0.0) -> Pixels:
    """Keep a random rectangle that holds ``fraction`` of the area.

    ``aspect_jitter`` j changes the aspect ratio by a factor drawn log-uniformly from exp(-j)..exp(j).
    """
    rows, cols = pixels.shape[:2]
    stretch = math.exp(rng.uniform(-aspect_jitter, aspect_jitter)) if aspect_jitter > 0 else 1.0
    # A stretch beyond 1 / fraction would need more than a whole side; the other side could not make up for it.
    stretch = min(max(stretch, fraction), 1 / fraction)
    height = max(1, min(rows, round(rows * math.sqrt(fraction * stretch))))
    width = max(1, min(cols, round(cols * math.sqrt(fraction / stretch))))
    top, left = int(rng.integers(0, rows - height + 1)), int(rng.integers(0, cols - width + 1))
    return pixels[top : top + height, left : left + width].copy()


def mirror(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Swap left and right."""
    return np.ascontiguousarray(pixels[:, ::-1])


def flip_vertical(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Swap top and bottom."""
    return np.ascontiguousarray(pixels[::-1])


def rotate(
    pixels: Pixels,
    rng: np.random.Generator,
    degrees: float = 15.0,
    corners: Literal["fill", "crop"] = "fill",
    fill: tuple[int, int, int] = (0, 0, 0),
) -> Pixels:
    """Rotate counter-clockwise by any angle.

    ``corners="fill"`` grows the canvas and fills the corners; ``"crop"`` keeps the largest upright rectangle of the
    old aspect ratio that has no corner in it. Multiples of 90 degrees are exact.
    """
    if degrees % 90 == 0:
        return np.ascontiguousarray(np.rot90(pixels, int(degrees // 90) % 4))
    rows, cols = pixels.shape[:2]
    cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    if corners == "fill":
        width, height = cols * cos + rows * sin, rows * cos + cols * sin
    else:
        scale = min(cols / (cols * cos + rows * sin), rows / (rows * cos + cols * sin))
        width, height = cols * scale, rows * scale
    out_w, out_h = max(1, round(width)), max(1, round(height))
    matrix = cv2.getRotationMatrix2D(((cols - 1) / 2, (rows - 1) / 2), degrees, 1.0)
    matrix[:, 2] += ((out_w - cols) / 2, (out_h - rows) / 2)
    return cv2.warpAffine(pixels, matrix, (out_w, out_h), flags=cv2.INTER_LINEAR, borderValue=fill)


def perspective(pixels: Pixels, rng: np.random.Generator, strength: float = 0.2) -> Pixels:
    """Another viewpoint: a random quadrilateral inside the picture becomes the whole picture.

    Each corner moves inwards by up to ``strength`` (0..0.45) of each side.
    """
    rows, cols = pixels.shape[:2]
    inward = rng.uniform(0, min(strength, 0.45), (4, 2))
    # One corner always moves by the full strength: a draw of four small moves would alter nothing.
    inward[rng.integers(4)] = min(strength, 0.45)
    towards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    size = np.array([cols, rows])
    matrix = cv2.getPerspectiveTransform(
        ((unit + towards * inward) * size - 0.5).astype(np.float32), (unit * size - 0.5).astype(np.float32)
    )
    return cv2.warpPerspective(pixels, matrix, (cols, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


# --- light, colour, sharpness, compression ---------------------------------------------------------------------------


def jpeg(pixels: Pixels, rng: np.random.Generator, quality: int = 20) -> Pixels:
    """Compress as baseline JPEG with chroma subsampling and decode again. ``quality`` 1..100 as in libjpeg."""
    done, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    if not done:
        raise UsageError(f"can't compress a picture of shape {pixels.shape} as JPEG: pass (H, W, 3) uint8 pixels")
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])


def grey(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Luma (ITU-R BT.601) in all three channels."""
    return cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def colour(
    pixels: Pixels,
    rng: np.random.Generator,
    brightness: float = 1.0,
    contrast: float = 1.0,
    saturation: float = 1.0,
    hue_degrees: float = 0.0,
    gamma: float = 1.0,
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Pixels:
    """Change light and colour: factors of 1 and a hue shift of 0 leave the picture as it is.

    ``cast`` multiplies red, green and blue (a wrong white balance); ``contrast`` turns about middle grey.
    """
    changed = pixels
    if saturation != 1 or hue_degrees:
        hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
        hue = (hsv[..., 0].astype(np.int16) + round(hue_degrees / 2)) % 180
        strength = np.clip(np.arange(256) * saturation, 0, 255).astype(np.uint8)[hsv[..., 1]]
        changed = cv2.cvtColor(cv2.merge([hue.astype(np.uint8), strength, hsv[..., 2]]), cv2.COLOR_HSV2RGB)
    level = np.arange(256, dtype=np.float64)[:, None] / 255 * np.asarray(cast) * brightness
    level = np.clip((level - 0.5) * contrast + 0.5, 0, 1) ** gamma
    return cv2.LUT(changed, _to_bytes(level * 255)[:, None, :])


def random_colour(pixels: Pixels, rng: np.random.Generator, strength: float = 1.0) -> Pixels:
    """Change brightness, contrast, saturation, hue, gamma and white balance at once; ``strength`` 1 is strong."""

    def factor(spread: float) -> float:
        return math.exp(rng.uniform(-spread, spread) * strength)

    return colour(
        pixels,
        rng,
        brightness=factor(0.4),
        contrast=factor(0.4),
        saturation=factor(0.8),
        hue_degrees=rng.uniform(-40, 40) * strength,
        gamma=factor(0.4),
        cast=(factor(0.2), factor(0.1), factor(0.2)),
    )


def darken(pixels: Pixels, rng: np.random.Generator, factor: float = 0.3) -> Pixels:
    """Multiply the light by ``factor`` with the rounding loss of 8 bits."""
    return colour(pixels, rng, brightness=factor)


def blur(pixels: Pixels, rng: np.random.Generator, sigma_share: float = 0.01) -> Pixels:
    """Gaussian blur; the standard deviation is ``sigma_share`` of the shorter side."""
    sigma = max(0.3, sigma_share * min(pixels.shape[:2]))
    return cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def motion_blur(pixels: Pixels, rng: np.random.Generator, length_share: float = 0.05) -> Pixels:
    """Blur along a line of a random direction; its length is ``length_share`` of the shorter side."""
    angle = rng.uniform(0, math.pi)
    size = max(3, round(length_share * min(pixels.shape[:2]))) | 1
    reach = size // 2
    kernel = np.zeros((size, size), np.float32)
    offset = round(reach * math.cos(angle)), round(reach * math.sin(angle))
    cv2.line(kernel, (reach - offset[0], reach - offset[1]), (reach + offset[0], reach + offset[1]), 1.0)
    return cv2.filter2D(pixels, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def sharpen(pixels: Pixels, rng: np.random.Generator, amount: float = 1.5) -> Pixels:
    """Unsharp mask."""
    soft = cv2.GaussianBlur(pixels, (0, 0), max(0.5, 0.006 * min(pixels.shape[:2])))
    return cv2.addWeighted(pixels, 1 + amount, soft, -amount, 0)


def noise(pixels: Pixels, rng: np.random.Generator, sigma: float = 20.0) -> Pixels:
    """Add Gaussian noise of ``sigma`` levels (of 255), independent in each channel."""
    return _to_bytes(pixels + rng.standard_normal(pixels.shape, dtype=np.float32) * sigma)


def posterise(pixels: Pixels, rng: np.random.Generator, levels: int = 5) -> Pixels:
    """Keep ``levels`` (2 or more) values a channel."""
    steps = np.rint(np.arange(256) / 255 * (levels - 1)) * 255 / (levels - 1)
    return cv2.LUT(pixels, _to_bytes(steps))


# Rows give the new red, green and blue as mixtures of the old ones, then an offset.
_FILTERS: dict[str, list[list[float]]] = {
    "sepia": [[0.393, 0.769, 0.189, 0], [0.349, 0.686, 0.168, 0], [0.272, 0.534, 0.131, 0]],
    "cold": [[0.75, 0.05, 0.05, 0], [0.05, 0.9, 0.1, 5], [0.1, 0.1, 1.0, 25]],
    "warm": [[1.05, 0.1, 0.0, 15], [0.05, 0.95, 0.0, 5], [0.0, 0.1, 0.7, 0]],
    "faded": [[0.6, 0.15, 0.05, 50], [0.1, 0.6, 0.1, 45], [0.1, 0.15, 0.5, 60]],
    "crossed": [[1.3, -0.2, 0.0, -10], [0.0, 1.1, 0.0, -5], [0.1, 0.3, 0.5, 40]],
}


def photo_filter(pixels: Pixels, rng: np.random.Generator, name: str | None = None) -> Pixels:
    """One of the colour filters of phone apps: sepia, cold, warm, faded, crossed; None draws one."""
    name = name or str(rng.choice(sorted(_FILTERS)))
    if name not in _FILTERS:
        raise UsageError(f"no photo filter {name!r}: choose one of {', '.join(sorted(_FILTERS))}")
    return cv2.transform(pixels, np.array(_FILTERS[name], np.float32))


# --- a person in the way ---------------------------------------------------------------------------------------------

_HAIR, _SKIN, _TOP, _LEGS, _SHOES = 1, 2, 3, 4, 5
_SKIN_TONES = ((241, 214, 192), (224, 186, 152), (198, 148, 110), (156, 106, 72), (108, 70, 46), (70, 45, 32))
_HAIR_TONES = ((24, 20, 18), (60, 40, 26), (110, 74, 42), (186, 150, 92), (150, 146, 142), (140, 62, 34))
# How far from upright, in degrees, and how far the thighs and shins turn: standing, leaning, sitting, lying.
_POSES = ((0, 4, 6, 5), (18, 10, 12, 8), (6, 8, 75, 80), (84, 12, 20, 20))


def _limb(labels: Pixels, path: Sequence[npt.NDArray[np.float64]], widths: Sequence[float], label: int) -> None:
    """Draw a tapering limb: a convex hull of two discs a segment."""
    for (start, end), (first, last) in zip(pairwise(path), pairwise(widths), strict=True):
        along = end - start
        across = np.array([-along[1], along[0]]) / (np.hypot(*along) + 1e-9)
        quad = np.array([start + across * first, end + across * last, end - across * last, start - across * first])
        cv2.fillConvexPoly(labels, np.rint(quad).astype(np.int32), label)
        for centre, radius in ((start, first), (end, last)):
            cv2.circle(labels, (round(centre[0]), round(centre[1])), max(1, round(radius)), label, -1)


def _turned(degrees: float, length: float) -> npt.NDArray[np.float64]:
    """A vector of ``length``, straight down for 0 degrees."""
    return np.array([math.sin(math.radians(degrees)), math.cos(math.radians(degrees))]) * length


def _person_labels(height: int, width: int, rng: np.random.Generator, height_share: float | None) -> Pixels:
    """Which part of a person covers each pixel, 0 where none does; (height, width) uint8."""
    share = rng.uniform(0.65, 1.1) if height_share is None else height_share
    tilt, tilt_jitter, thigh_turn, shin_turn = _POSES[rng.choice(len(_POSES), p=[0.5, 0.2, 0.17, 0.13])]
    side = rng.choice([-1.0, 1.0])
    tilt = side * tilt + rng.uniform(-1, 1) * tilt_jitter
    build = rng.uniform(0.8, 1.35)
    # Proportions are shares of the body height, seven and a half heads.
    neck = np.array([0.0, 0.17])
    hip = neck + np.array([0.0, 0.32])
    shoulder = rng.uniform(0.095, 0.125) * (0.6 + 0.4 * build)
    pelvis = rng.uniform(0.07, 0.09) * build
    parts: list[tuple[list[npt.NDArray[np.float64]], list[float], int]] = []
    long_trousers = rng.random() < 0.7
    for leg_side in (-1.0, 1.0):
        start = hip + np.array([leg_side * pelvis * 0.55, 0.0])
        thigh = side * thigh_turn * rng.uniform(0.6, 1) + leg_side * rng.uniform(0, 14)
        knee = start + _turned(thigh, 0.245)
        ankle = knee + _turned(thigh - side * shin_turn * rng.uniform(0.5, 1.1), 0.24)
        toe = ankle + np.array([leg_side * 0.03 + side * 0.02, 0.025])
        parts.append(([start, knee, ankle], [0.062 * build, 0.045 * build, 0.03 * build], _LEGS))
        if not long_trousers:
            parts.append(([knee, ankle], [0.042 * build, 0.028 * build], _SKIN))
        parts.append(([ankle, toe], [0.026, 0.022], _SHOES))
    torso = [neck + np.array([0.0, 0.035]), neck + np.array([0.0, 0.17]), hip]
    parts.append(([neck - np.array([0, 0.05]), neck + np.array([0, 0.03])], [0.034, 0.04], _SKIN))
    parts.append((torso, [shoulder * 0.8, shoulder * 0.8, pelvis * 1.15], _TOP))
    collar = neck + np.array([0.0, 0.04])
    parts.append(
        (
            [collar - np.array([shoulder, -0.015]), collar + np.array([shoulder, 0.015])],
            [0.04 * build, 0.04 * build],
            _TOP,
        )
    )
    long_sleeves = rng.random() < 0.5
    for arm_side in (-1.0, 1.0):
        start = collar + np.array([arm_side * shoulder, 0.02])
        raise_by = rng.choice([rng.uniform(5, 30), rng.uniform(60, 165)], p=[0.7, 0.3])
        elbow = start + _turned(arm_side * raise_by, 0.17)
        wrist = elbow + _turned(arm_side * raise_by + rng.uniform(-100, 100) * 0.6, 0.15)
        parts.append(([start, elbow], [0.042 * build, 0.034 * build], _TOP))
        parts.append(([elbow, wrist], [0.033 * build, 0.024], _TOP if long_sleeves else _SKIN))
        parts.append(([wrist, wrist + (wrist - elbow) * 0.25], [0.024, 0.02], _SKIN))

    # Place the body: its length is a share of the picture height; its feet may lie below the border.
    scale = share * height
    turn = math.radians(tilt)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    middle = np.array([0.0, 0.5])
    down = rng.uniform(0.5, 0.62) if share < 1 else rng.uniform(0.45, 0.75)
    at = np.array([width * rng.uniform(0.25, 0.75), height * down])

    def placed(point: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return rotation @ (point - middle) * scale + at

    labels = np.zeros((height, width), np.uint8)
    for path, widths, label in parts:
        _limb(labels, [placed(point) for point in path], [w * scale for w in widths], label)
    head = placed(np.array([rng.uniform(-0.01, 0.01), 0.075]))
    axes = (max(1, round(0.05 * scale)), max(1, round(0.07 * scale)))
    hair_long = rng.random() < 0.4
    hair_axes = (round(axes[0] * 1.22), round(axes[1] * (1.5 if hair_long else 1.12)))
    hair_at = placed(np.array([0.0, 0.085 if hair_long else 0.06]))
    turned_away = rng.random() < 0.35
    cv2.ellipse(labels, (round(hair_at[0]), round(hair_at[1])), hair_axes, tilt, 0, 360, _HAIR, -1)
    if not turned_away:
        face = placed(np.array([0.0, 0.088]))
        cv2.ellipse(labels, (round(face[0]), round(face[1])), axes, tilt, 0, 360, _SKIN, -1)
    else:
        cv2.ellipse(labels, (round(head[0]), round(head[1])), axes, tilt, 0, 360, _HAIR, -1)
    return labels


def person_mask(
    height: int, width: int, rng: np.random.Generator, height_share: float | None = None
) -> npt.NDArray[np.bool_]:
    """Return a (height, width) bool mask that is true where a person stands, sits, leans or lies in the picture.

    ``height_share`` is the body's length as a share of the picture height, above 1 for a person near the camera; None
    draws it. With a generator in the same state this is the very mask that ``person`` covers.
    """
    return _person_labels(height, width, rng, height_share) > 0


def _cloth(shape: tuple[int, int], picture_rows: int, rng: np.random.Generator) -> Floats:
    """Return a plain, striped, checked or speckled cloth, (H, W, 3) float32, fit for a picture of that height."""
    base, second = np.array(_random_colour(rng, 15), np.float32), np.array(_random_colour(rng, 15), np.float32)
    kind = rng.integers(5)
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    period = max(3.0, picture_rows * rng.uniform(0.015, 0.05))
    turn = rng.uniform(0, math.pi)
    wave = np.sin((rows * math.cos(turn) + cols * math.sin(turn)) * 2 * math.pi / period)
    if kind <= 1:
        weight = np.zeros(shape, np.float32)
    elif kind == 2:
        weight = (wave > 0).astype(np.float32)
    elif kind == 3:
        other = np.sin((cols * math.cos(turn) - rows * math.sin(turn)) * 2 * math.pi / period)
        weight = ((wave > 0).astype(np.float32) + (other > 0)) / 2
    else:
        cells = rng.random((max(2, shape[0] // 6), max(2, shape[1] // 6)), dtype=np.float32)
        weight = (cv2.resize(cells, shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.6).astype(np.float32)
    return base + (second - base) * weight[..., None].astype(np.float32)


def person(
    pixels: Pixels,
    rng: np.random.Generator,
    height_share: float | None = None,
    flat: tuple[int, int, int] | None = None,
) -> Pixels:
    """Put a person in front of the room; ``flat`` gives one colour instead of skin, hair and clothes.

    ``person_mask`` with a generator in the same state and the same ``height_share`` returns what is covered.
    """
    rows, cols = pixels.shape[:2]
    labels = _person_labels(rows, cols, rng, height_share)
    covered = labels > 0
    if flat is not None:
        return np.where(covered[..., None], np.array(flat, np.uint8), pixels)
    if not covered.any():
        return pixels.copy()
    # Clothes are made only where the body is: the work follows its size.
    x, y, width, height = cv2.boundingRect(covered.astype(np.uint8))
    labels, covered = labels[y : y + height, x : x + width], covered[y : y + height, x : x + width]
    figure = np.zeros((height, width, 3), np.float32)
    figure[labels == _HAIR] = _HAIR_TONES[rng.integers(len(_HAIR_TONES))]
    figure[labels == _SKIN] = _SKIN_TONES[rng.integers(len(_SKIN_TONES))]
    figure[labels == _SHOES] = _random_colour(rng, 10, 120)
    for part in (_TOP, _LEGS):
        worn = labels == part
        figure[worn] = _cloth((height, width), rows, rng)[worn]
    # Rounded bodies are darker at their edge, and folds make uneven light.
    inside = np.minimum(cv2.distanceTransform(covered.astype(np.uint8), cv2.DIST_L2, 3) / (0.05 * rows + 1), 1)
    folds = cv2.resize(rng.random((9, 9), dtype=np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    figure *= ((0.62 + 0.38 * inside) * (0.85 + 0.3 * folds) * rng.uniform(0.7, 1.05))[..., None]
    alpha = cv2.GaussianBlur(covered.astype(np.float32), (0, 0), max(0.4, rows / 500)) * covered
    out = pixels.copy()
    region = out[y : y + height, x : x + width]
    region[:] = _blend(region, _to_bytes(figure), alpha)
    return out


# --- overlays --------------------------------------------------------------------------------------------------------

_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)
_LETTERS = np.array(list(string.ascii_letters + "     " + string.digits))


def _words(rng: np.random.Generator, length: int) -> str:
    return "".join(rng.choice(_LETTERS, length))


def _write(
    canvas: Pixels, text: str, at: tuple[int, int], letter_px: float, ink: tuple[int, int, int], font: int = 0
) -> None:
    """Write ``text`` with its left base point at ``at`` and capitals ``letter_px`` high."""
    scale = max(letter_px, 2) / 21
    cv2.putText(canvas, text, at, font, scale, ink, max(1, round(scale * 1.6)), cv2.LINE_AA)


def text_overlay(pixels: Pixels, rng: np.random.Generator, lines: int = 3, letter_share: float = 0.07) -> Pixels:
    """Write ``lines`` of random letters over the picture, some on a bar; ``letter_share`` of the height each."""
    rows, cols = pixels.shape[:2]
    out = pixels.copy()
    for _ in range(lines):
        size = rows * letter_share * rng.uniform(0.7, 1.4)
        text = _words(rng, int(rng.integers(6, 19)))
        left, base = int(cols * rng.uniform(-0.02, 0.5)), int(rows * rng.uniform(0.1, 0.97))
        ink = _random_colour(rng) if rng.random() < 0.5 else ((255, 255, 255) if rng.random() < 0.6 else (0, 0, 0))
        if rng.random() < 0.4:
            band = out[max(0, int(base - 1.5 * size)) : max(0, int(base + 0.6 * size))]
            band[:] = band * 0.4
        _write(out, text, (left, base), size, ink, int(rng.choice(_FONTS)))
    return out


def _emoji(canvas: Pixels, alpha: Floats, at: tuple[int, int], radius: int, rng: np.random.Generator) -> None:
    """Draw a face, a heart or a star on ``canvas`` and what it covers on ``alpha``."""
    x, y = at
    kind = rng.choice(["face", "heart", "star"], p=[0.6, 0.2, 0.2])
    if kind == "face":
        for target, ink in ((canvas, (255, 205, 60)), (alpha, 1.0)):
            cv2.circle(target, at, radius, ink, -1, cv2.LINE_AA)
        eye = max(1, radius // 7)
        for way in (-1, 1):
            cv2.circle(canvas, (x + way * radius * 2 // 5, y - radius // 4), eye, (60, 40, 20), -1, cv2.LINE_AA)
        mouth = (radius // 2, max(1, int(radius * rng.uniform(0.15, 0.45))))
        line = -1 if rng.random() < 0.4 else max(1, radius // 8)
        cv2.ellipse(canvas, (x, y + radius // 5), mouth, 0, 0, 180, (110, 50, 20), line, cv2.LINE_AA)
        return
    angle = np.linspace(0, 2 * math.pi, 60 if kind == "heart" else 10, endpoint=False)
    if kind == "heart":
        shape = np.stack(
            [
                16 * np.sin(angle) ** 3,
                -(13 * np.cos(angle) - 5 * np.cos(2 * angle) - 2 * np.cos(3 * angle) - np.cos(4 * angle)),
            ],
            axis=1,
        )
        shape /= 17
    else:
        reach = np.where(np.arange(10) % 2 == 0, 1.0, 0.42)
        shape = np.stack([np.sin(angle) * reach, -np.cos(angle) * reach], axis=1)
    points = np.rint(shape * radius + at).astype(np.int32)
    ink = (225, 40, 60) if kind == "heart" else (250, 200, 40)
    cv2.fillPoly(canvas, [points], ink, cv2.LINE_AA)
    cv2.fillPoly(alpha, [points], 1.0, cv2.LINE_AA)


def emoji_overlay(pixels: Pixels, rng: np.random.Generator, count: int = 4, radius_share: float = 0.1) -> Pixels:
    """Stick ``count`` faces, hearts and stars on the picture; ``radius_share`` is of the shorter side."""
    rows, cols = pixels.shape[:2]
    canvas, alpha = pixels.copy(), np.zeros((rows, cols), np.float32)
    for _ in range(count):
        at = int(rng.integers(0, cols)), int(rng.integers(0, rows))
        radius = max(1, int(min(rows, cols) * radius_share * rng.uniform(0.6, 1.4)))
        _emoji(canvas, alpha, at, radius, rng)
    return _blend(pixels, canvas, alpha)


def watermark(pixels: Pixels, rng: np.random.Generator, opacity: float = 0.45) -> Pixels:
    """Repeat a slanted, half-transparent word all over the picture."""
    rows, cols = pixels.shape[:2]
    side = int(math.hypot(rows, cols)) + 2
    sheet = np.zeros((side, side, 3), np.uint8)
    size, text = max(3.0, min(rows, cols) * rng.uniform(0.05, 0.08)), _words(rng, 8)
    for row, base in enumerate(range(int(size), side + 1, max(4, int(size * 4)))):
        for left in range(-int(size * 4) * (row % 2), side, max(8, int(size * 11))):
            _write(sheet, text, (left, base), size, (255, 255, 255), cv2.FONT_HERSHEY_DUPLEX)
    turned = rotate(sheet, rng, rng.uniform(20, 35), corners="fill")
    top, left = (turned.shape[0] - rows) // 2, (turned.shape[1] - cols) // 2
    alpha = turned[top : top + rows, left : left + cols, 0].astype(np.float32) * np.float32(opacity / 255)
    return _blend(pixels, (255, 255, 255), alpha)


def screenshot(pixels: Pixels, rng: np.random.Generator, area: float = 0.5) -> Pixels:
    """Show the picture on a phone: status bar, title, picture, lines of text; it keeps about ``area`` of the screen."""
    rows, cols = pixels.shape[:2]
    margin = round(cols * rng.choice([0.0, 0.03, 0.08]))
    width = cols + 2 * margin
    height = max(rows + 4, round(rows * cols / area / width))
    dark = rng.random() < 0.5
    paper, ink = ((18, 18, 20), (225, 225, 228)) if dark else ((250, 250, 250), (30, 30, 34))
    faint = (120, 120, 125)
    screen = np.full((height, width, 3), paper, np.uint8)
    free = height - rows
    top = int(free * rng.uniform(0.35, 0.6))
    bar = max(1, int(free * 0.09))
    screen[:bar] = _rgb(np.array(paper) * 0.85)
    _write(screen, f"{rng.integers(24)}:{rng.integers(60):02d}", (max(1, width // 40), int(bar * 0.8)), bar * 0.6, ink)
    battery = (int(width * 0.9), int(bar * 0.25)), (int(width * 0.96), int(bar * 0.75))
    cv2.rectangle(screen, *battery, ink, -1)
    title = max(2.0, bar * 0.8)
    cv2.circle(screen, (int(width * 0.07), int(bar * 2.2)), max(1, int(bar * 0.7)), _random_colour(rng, 60), -1)
    _write(screen, _words(rng, 12), (int(width * 0.14), int(bar * 2.5)), title, ink, cv2.FONT_HERSHEY_DUPLEX)
    line = bar * 1.5
    gaps = [(bar * 3.4, top - line * 0.4), (top + rows + line, height - line * 0.5)]
    for start, end in gaps:
        for base in np.arange(start + line * 0.4, end, line):
            _write(screen, _words(rng, int(rng.integers(10, 28))), (int(width * 0.05), int(base)), line * 0.45, faint)
    screen[top : top + rows, margin : margin + cols] = pixels
    return screen


# --- in another picture ----------------------------------------------------------------------------------------------


def paste_into(pixels: Pixels, rng: np.random.Generator, other: Pixels, area: float = 0.2) -> Pixels:
    """Paste the picture at a random place into ``other``, where it takes ``area`` (0..1) of the whole."""
    rows, cols = pixels.shape[:2]
    other_rows, other_cols = other.shape[:2]
    scale = math.sqrt(area * other_rows * other_cols / (rows * cols))
    width = max(1, min(other_cols, round(cols * scale)))
    height = max(1, min(other_rows, round(rows * scale)))
    top, left = int(rng.integers(0, other_rows - height + 1)), int(rng.integers(0, other_cols - width + 1))
    out = other.copy()
    out[top : top + height, left : left + width] = _resize(pixels, width, height)
    return out


def collage(
    pixels: Pixels,
    rng: np.random.Generator,
    others: Sequence[Pixels],
    area: float = 0.2,
    layout: Literal["2x2", "1x3"] | None = None,
    gap_share: float = 0.01,
) -> Pixels:
    """Put the picture whole into a collage of its own size with others, where it takes about ``area``.

    ``layout`` is 2x2 or 1x3 (in a row or in a column); None draws one. Raises UsageError when ``others`` is empty.
    """
    if len(others) == 0:
        raise UsageError("a collage needs at least one other photograph: pass others=[pixels, ...]")
    rows, cols = pixels.shape[:2]
    layout = layout or ("2x2" if rng.random() < 0.6 else "1x3")
    paper = _random_colour(rng) if rng.random() < 0.3 else ((255, 255, 255) if rng.random() < 0.5 else (0, 0, 0))
    side = math.sqrt(area)
    if layout == "2x2":
        height, width = rows, cols
        x_cut, y_cut = round(cols * side), round(rows * side)
        cells = [(0, 0, x_cut, y_cut), (x_cut, 0, cols - x_cut, y_cut)]
        cells += [(0, y_cut, x_cut, rows - y_cut), (x_cut, y_cut, cols - x_cut, rows - y_cut)]
    else:
        # Equal strips, the picture whole inside the first; pictures that lie are stacked, pictures that stand are put
        # side by side, which keeps the collage's shape near a square.
        strip = max(area, 1 / 3)
        along, across = math.sqrt(area) / strip, strip / math.sqrt(area)
        lies = cols >= rows
        width, height = (cols * across, rows * along) if lies else (cols * along, rows * across)
        width, height = max(3, round(width)), max(3, round(height))
        cuts = [round(share * (height if lies else width)) for share in (0, strip, (1 + strip) / 2, 1)]
        if lies:
            cells = [(0, start, width, end - start) for start, end in pairwise(cuts)]
        else:
            cells = [(start, 0, end - start, height) for start, end in pairwise(cuts)]
    sheet = np.full((height, width, 3), paper, np.uint8)
    gap = round(gap_share * min(height, width) / 2)
    picks = rng.permutation(len(others))
    flip_x, flip_y = rng.random() < 0.5, rng.random() < 0.5
    for number, (x, y, cell_w, cell_h) in enumerate(cells):
        left = width - x - cell_w if flip_x else x
        top = height - y - cell_h if flip_y else y
        inner_w, inner_h = cell_w - 2 * gap, cell_h - 2 * gap
        if inner_w < 1 or inner_h < 1:
            continue
        tile = pixels if number == 0 else others[int(picks[(number - 1) % len(others)])]
        if number == 0:
            scale = min(inner_w / cols, inner_h / rows)
            fitted = _resize(tile, min(inner_w, round(cols * scale)), min(inner_h, round(rows * scale)))
        else:
            fitted = _cover(tile, inner_w, inner_h)
        top += (cell_h - fitted.shape[0]) // 2
        left += (cell_w - fitted.shape[1]) // 2
        sheet[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    return sheet


# --- the table -------------------------------------------------------------------------------------------------------


def fixed(function: Callable[..., Pixels], **parameters: object) -> Alteration:
    """Make an Alteration of a function that needs no other photographs, with its parameters set."""

    def altered(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels] = ()) -> Pixels:
        return function(pixels, rng, **parameters)

    return altered


def chain(*steps: Alteration) -> Alteration:
    """Apply alterations one after another, all from one generator."""

    def altered(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels] = ()) -> Pixels:
        for step in steps:
            pixels = step(pixels, rng, others)
        return pixels

    return altered


def _collage_inset(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels] = ()) -> Pixels:
    return collage(pixels, rng, others, area=0.2)


def _paste_inset(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels] = ()) -> Pixels:
    if len(others) == 0:
        raise UsageError("pasting needs at least one other photograph: pass others=[pixels, ...]")
    return paste_into(pixels, rng, others[int(rng.integers(len(others)))], area=0.2)


ALTERATIONS: dict[str, Alteration] = {
    "jpeg_20": fixed(jpeg, quality=20),
    "resize_quarter": fixed(resize_by, factor=0.25),
    "crop_half": fixed(crop_area, fraction=0.5),
    "crop_quarter": fixed(crop_area, fraction=0.25),
    "crop_tenth": fixed(crop_area, fraction=0.1),
    "mirror": fixed(mirror),
    "flip_vertical": fixed(flip_vertical),
    "rotate_15": fixed(rotate, degrees=15),
    "rotate_90": fixed(rotate, degrees=90),
    "perspective": fixed(perspective, strength=0.25),
    "grey": fixed(grey),
    "colour": fixed(random_colour, strength=1.0),
    "darken": fixed(darken, factor=0.3),
    "filter": fixed(photo_filter),
    "posterise": fixed(posterise, levels=5),
    "blur": fixed(blur, sigma_share=0.012),
    "motion_blur": fixed(motion_blur, length_share=0.06),
    "sharpen": fixed(sharpen, amount=2.0),
    "noise": fixed(noise, sigma=25.0),
    "person": fixed(person, height_share=0.85),
    "text_overlay": fixed(text_overlay, lines=4),
    "emoji_overlay": fixed(emoji_overlay, count=5),
    "watermark": fixed(watermark),
    "screenshot": fixed(screenshot, area=0.45),
    "collage_inset": _collage_inset,
    "paste_inset": _paste_inset,
    "chain_mirror_crop_person": chain(fixed(mirror), fixed(crop_area, fraction=0.5), fixed(person, height_share=0.85)),
    "chain_four": chain(
        fixed(crop_area, fraction=0.6, aspect_jitter=0.2),
        fixed(random_colour, strength=0.8),
        fixed(text_overlay, lines=2),
        fixed(jpeg, quality=30),
    ),
}
"""The named alterations of the benchmarks. Figures are compared across versions by these names: add, never change."""


def rng_for(name: str, seed: int) -> np.random.Generator:
    """Return the generator that ``alter`` uses, so that for instance ``person_mask`` can follow it."""
    return np.random.default_rng([zlib.crc32(name.encode()), seed])


def alter(name: str, pixels: Pixels, seed: int, others: Sequence[Pixels] = ()) -> Pixels:
    """Apply a named alteration of ``ALTERATIONS`` to (H, W, 3) uint8 sRGB pixels; the same seed gives the same bytes.

    Raises UsageError on an unknown name, on pixels of another shape or type, and where a collage has no ``others``.
    """
    if name not in ALTERATIONS:
        raise UsageError(f"no alteration {name!r}: choose one of {', '.join(ALTERATIONS)}")
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise UsageError(f"pixels of shape {pixels.shape}, {pixels.dtype} can't be altered: pass (H, W, 3) uint8 sRGB")
    return ALTERATIONS[name](pixels, rng_for(name, seed), others)
