"""Pairs of training views: what a picture, or a room, may look like when it is met again.

Every view is one geometric warp out of a stored square picture, so that crop, flip, rotation, perspective and the final
squash to the network's input cost a single interpolation, followed by light, colour, quality and overlays on the small
result. One view takes one to three milliseconds on one core. All randomness comes from the generator that is passed in.

The kinds of pairs (weights in ``PairMix``):

* ``copy``: a mild version of a photograph and a strongly altered one, as in SSCD (Pizzi et al., arXiv 2202.10261).
* ``viewpoint``: the photograph and what it would look like from another position, under a rough box-shaped model of the
  room ("Tour into the picture", Horry et al., SIGGRAPH 1997), in other light, often with a person in the way.
* ``overlap``: two crops that share a part, each under its own homography.
* ``room``: two views of one rendered room, or two photographs that carry the same label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from imgmatch.lab import alterations

Pixels = npt.NDArray[np.uint8]
Views = tuple[Pixels, Pixels]
Points = npt.NDArray[np.float64]
Generator = np.random.Generator


@dataclass(frozen=True, slots=True)
class Source:
    """One stored picture: ``pixels`` (P, P, 3) uint8 squashed to a square, ``aspect`` the true width / height."""

    pixels: Pixels
    aspect: float = 1.0


@dataclass(frozen=True, slots=True)
class PairMix:
    """How often each kind of pair is drawn among single pictures; rendered and labelled pairs come on top."""

    copy: float = 0.66
    viewpoint: float = 0.2
    overlap: float = 0.14


# --- geometry ---------------------------------------------------------------------------------------------------------


def _between(rng: Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _log_between(rng: Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _corners(cx: float, cy: float, width: float, height: float, degrees: float = 0.0) -> Points:
    """The four corners of a box in the true frame (x in 0..aspect, y in 0..1), clockwise from the top left."""
    angle = np.deg2rad(degrees)
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=float) * [width / 2, height / 2]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return half @ turn + [cx, cy]


def _crop(rng: Generator, aspect: float, low: float, high: float) -> Points:
    """A box that covers a share of the area between ``low`` and ``high``, small shares as likely as large ones."""
    share = _log_between(rng, low, high)
    shape = np.clip(aspect * _log_between(rng, 0.6, 1.7), 0.4, 2.6)
    width, height = np.sqrt(share * aspect * shape), np.sqrt(share * aspect / shape)
    width, height = min(width, aspect), min(height, 1.0)
    cx, cy = _between(rng, width / 2, aspect - width / 2), _between(rng, height / 2, 1 - height / 2)
    return _corners(cx, cy, width, height)


def _whole(aspect: float, degrees: float = 0.0, expand: bool = True) -> Points:
    """The whole picture turned by an angle; ``expand`` grows the canvas until no corner is lost."""
    angle = np.deg2rad(degrees)
    cos, sin = abs(np.cos(angle)), abs(np.sin(angle))
    width, height = (aspect * cos + sin, aspect * sin + cos) if expand else (aspect, 1.0)
    return _corners(aspect / 2, 0.5, width, height, degrees)


def _tilt(rng: Generator, corners: Points, amount: float) -> Points:
    """Move each corner by up to ``amount`` of the box's own sides: a homography."""
    right, down = corners[1] - corners[0], corners[3] - corners[0]
    moves = rng.uniform(-amount, amount, (4, 2))
    return corners + moves[:, :1] * right + moves[:, 1:] * down


def _turn(corners: Points, quarter_turns: int, mirrored: bool) -> Points:
    turned = np.roll(corners, quarter_turns, axis=0)
    return turned[[1, 0, 3, 2]] if mirrored else turned


def _warp(rng: Generator, source: Source, corners: Points, size: int, filler: Pixels | None) -> Pixels:
    """Sample the quadrilateral ``corners`` (true frame) of ``source`` into a square of ``size`` pixels."""
    stored = source.pixels.shape[0]
    scaled = corners * [stored / source.aspect, stored]
    low, high = scaled.min(0), scaled.max(0)
    upright = np.allclose(scaled, [[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    if upright and (low >= -0.5).all() and (high <= stored + 0.5).all():
        x0, y0 = np.floor(np.maximum(low, 0)).astype(int)
        x1, y1 = np.minimum(np.ceil(high).astype(int), stored)
        part = source.pixels[y0:y1, x0:x1]
        shrinks = part.shape[0] > size and part.shape[1] > size
        return cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    target = np.array([[0, 0], [size, 0], [size, size], [0, size]], dtype=np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform((scaled - 0.5).astype(np.float32), target)
    return _with_filler(
        rng, lambda image, **border: cv2.warpPerspective(image, matrix, (size, size), **border), source, size, filler
    )


def _with_filler(
    rng: Generator, warp: Callable[..., Pixels], source: Source, size: int, filler: Pixels | None
) -> Pixels:
    """Run ``warp`` with a random way to fill what lies outside the picture."""
    way = rng.random()
    if way < 0.25 or (way >= 0.85 and filler is None):
        return warp(source.pixels, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    if way < 0.85:
        grey = (0, 0, 0) if way < 0.6 else (255, 255, 255) if way < 0.7 else _ink(rng.integers(0, 256, 3))
        return warp(source.pixels, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=grey)
    canvas = cv2.resize(filler, (size, size), interpolation=cv2.INTER_AREA)
    return warp(source.pixels, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT, dst=canvas)


def other_viewpoint(rng: Generator, source: Source, size: int, filler: Pixels | None, strength: float = 1.0) -> Pixels:
    """The picture as seen from another position, if it showed the inside of a box.

    The five visible walls of a random box carry the picture as texture; a second camera looks at them from elsewhere. A
    smooth random disparity on top stands for furniture. Parts that the first camera did not see are filled.
    ``strength`` 0 gives the picture itself.
    """
    aspect = source.aspect
    focal = _between(rng, 0.55, 1.1)
    centre = np.array([_between(rng, 0.35, 0.65), _between(rng, 0.35, 0.6)])
    depth = _between(rng, 1.5, 4.0)
    # The back wall covers this share of the picture's sides; the side walls follow from it.
    back = rng.uniform(0.35, 0.75, 2)
    half_width, half_height = back * [aspect, 1.0] * depth / focal / 2
    camera = rng.normal(0, [0.28 * half_width, 0.16 * half_height, 0.16 * depth]) * strength
    camera = np.clip(
        camera,
        [-0.7 * half_width, -0.6 * half_height, -0.25 * depth],
        [0.7 * half_width, 0.6 * half_height, 0.5 * depth],
    )
    yaw, pitch, roll = np.deg2rad(rng.normal(0, [14, 5, 3])) * strength
    # Turn back towards the middle of the scene after a step aside, as a photographer does.
    yaw -= np.arctan2(camera[0], depth) * _between(rng, 0.3, 1.0)
    zoom = focal * _log_between(rng, 0.75, 1.35) ** strength
    new_aspect = aspect * _log_between(rng, 0.75, 1.33) ** strength

    grid = max(size // 3, 16)
    steps = (np.arange(grid) + 0.5) / grid
    x, y = np.meshgrid((steps - centre[0]) * new_aspect / zoom, (steps - centre[1]) / zoom)
    cos, sin = np.cos(roll), np.sin(roll)
    x, y = cos * x - sin * y, sin * x + cos * y
    z = np.ones_like(x)
    cos, sin = np.cos(pitch), np.sin(pitch)
    y, z = cos * y - sin * z, sin * y + cos * z
    cos, sin = np.cos(yaw), np.sin(yaw)
    x, z = cos * x + sin * z, -sin * x + cos * z

    with np.errstate(divide="ignore", invalid="ignore"):
        to_side = (np.where(x > 0, half_width, -half_width) - camera[0]) / x
        to_level = (np.where(y > 0, half_height, -half_height) - camera[1]) / y
        to_back = np.where(z > 0, (depth - camera[2]) / z, np.inf)
    away = np.minimum(
        np.minimum(np.where(to_side > 0, to_side, np.inf), np.where(to_level > 0, to_level, np.inf)), to_back
    )
    if rng.random() < 0.7:
        bumps = cv2.resize(rng.normal(0, 1, (5, 5)).astype(np.float32), (grid, grid), interpolation=cv2.INTER_CUBIC)
        away = away * np.clip(1 - 0.18 * strength * np.maximum(bumps, 0), 0.5, 1)
    px, py, pz = camera[0] + away * x, camera[1] + away * y, camera[2] + away * z
    seen = pz > 0.05 * depth
    pz = np.where(seen, pz, 1.0)
    stored = source.pixels.shape[0]
    map_x = np.where(seen, (focal * px / pz / aspect + centre[0]) * stored - 0.5, -stored)
    map_y = np.where(seen, (focal * py / pz + centre[1]) * stored - 0.5, -stored)
    maps = np.stack([map_x, map_y], -1).clip(-2 * stored, 3 * stored).astype(np.float32)
    maps = cv2.resize(maps, (size, size), interpolation=cv2.INTER_LINEAR)
    return _with_filler(
        rng, lambda image, **border: cv2.remap(image, maps, None, border.pop("flags"), **border), source, size, filler
    )


# --- light, colour and quality ----------------------------------------------------------------------------------------


def _lut(image: Pixels, curve: npt.NDArray[np.float64]) -> Pixels:
    return cv2.LUT(image, np.clip(curve, 0, 255).astype(np.uint8))


def light(rng: Generator, image: Pixels, strength: float) -> Pixels:
    """Brightness, contrast, gamma and a cast of colour, as one table a channel."""
    ramp = np.arange(256, dtype=np.float64)[:, None] / 255
    gamma = np.exp(rng.normal(0, 0.35 * strength))
    gain = np.exp(rng.normal(0, 0.25 * strength)) * np.exp(rng.normal(0, 0.1 * strength, 3))
    offset = rng.normal(0, 0.08 * strength)
    contrast = np.exp(rng.normal(0, 0.2 * strength))
    curve = ((ramp**gamma * gain + offset - 0.5) * contrast + 0.5) * 255
    return cv2.merge([cv2.LUT(image[..., c], np.clip(curve[:, c], 0, 255).astype(np.uint8)) for c in range(3)])


def darken(rng: Generator, image: Pixels) -> Pixels:
    """A picture taken, or made, much too dark; sometimes with the noise that comes with it."""
    ramp = np.arange(256, dtype=np.float64) / 255
    dark = _lut(image, 255 * ramp ** _between(rng, 1.0, 2.0) * _between(rng, 0.15, 0.6))
    return noise(rng, dark, 0.5) if rng.random() < 0.4 else dark


def colour(rng: Generator, image: Pixels, strength: float) -> Pixels:
    """Saturation, hue and mixed channels, as one 3 x 3 matrix."""
    luma = np.tile([0.299, 0.587, 0.114], (3, 1))
    saturation = np.clip(rng.normal(1, 0.5 * strength), 0, 2.2)
    matrix = luma * (1 - saturation) + np.eye(3) * saturation + rng.normal(0, 0.06 * strength, (3, 3))
    if rng.random() < 0.08 * strength:
        matrix = matrix[rng.permutation(3)]
    return cv2.transform(image, matrix)


def grey(rng: Generator, image: Pixels) -> Pixels:
    """Grey, or one tint over grey."""
    level = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    if rng.random() < 0.7:
        return np.repeat(level, 3, 2)
    return np.clip(level * rng.uniform(0.6, 1.2, 3), 0, 255).astype(np.uint8)


def lamp(rng: Generator, image: Pixels) -> Pixels:
    """Light that falls off across the picture: a flash, a window, a vignette."""
    coarse = 9
    y, x = np.mgrid[0:coarse, 0:coarse] / (coarse - 1)
    distance = np.hypot(x - _between(rng, -0.2, 1.2), y - _between(rng, -0.2, 1.2)) / _between(rng, 0.4, 1.2)
    gain = (1 + _between(rng, 0, 0.7) * np.exp(-(distance**2)) - _between(rng, 0, 0.6) * np.minimum(distance, 1))[
        ..., None
    ]
    gain = np.clip(gain * rng.uniform(0.85, 1.15, 3), 0.1, 2).astype(np.float32)
    return np.clip(image * cv2.resize(gain, image.shape[1::-1]), 0, 255).astype(np.uint8)


def noise(rng: Generator, image: Pixels, strength: float) -> Pixels:
    """Sensor noise, from one small tile that is repeated at a random offset: fast and good enough."""
    tile = rng.normal(0, _between(rng, 3, 28) * strength, (61, 67, 3)).astype(np.int16)
    height, width = image.shape[:2]
    rows, columns = (np.arange(height) * 1) % 61, np.arange(width) % 67
    return np.clip(image + tile[rows][:, columns], 0, 255).astype(np.uint8)


def blur(rng: Generator, image: Pixels) -> Pixels:
    """Out of focus, or moved."""
    size = image.shape[0]
    if rng.random() < 0.75:
        return cv2.GaussianBlur(image, (0, 0), _log_between(rng, 0.5, 0.02 * size))
    length = int(rng.integers(3, max(4, size // 16)))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    middle, reach = (length - 1) / 2, (length - 1) / 2
    start = (round(middle - reach * np.cos(angle)), round(middle - reach * np.sin(angle)))
    end = (round(middle + reach * np.cos(angle)), round(middle + reach * np.sin(angle)))
    cv2.line(kernel, start, end, 1.0, 1)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def jpeg(rng: Generator, image: Pixels, low: int = 8, high: int = 80) -> Pixels:
    """JPEG at a random quality."""
    coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(low, high))])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))


def shrink(rng: Generator, image: Pixels) -> Pixels:
    """Down to a thumbnail and up again."""
    size = image.shape[0]
    small = max(int(size * _log_between(rng, 0.14, 0.7)), 16)
    up = [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC][int(rng.integers(3))]
    return cv2.resize(cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA), (size, size), interpolation=up)


def sharpen(rng: Generator, image: Pixels) -> Pixels:
    """Unsharp mask: what phones and filters do."""
    amount = _between(rng, 0.5, 2.5)
    return cv2.addWeighted(image, 1 + amount, cv2.GaussianBlur(image, (0, 0), _between(rng, 0.7, 2.5)), -amount, 0)


def filters(rng: Generator, image: Pixels) -> Pixels:
    """What picture editors offer: few levels, edges, inverted, equalised."""
    way = rng.random()
    if way < 0.3:
        return alterations.photo_filter(image, rng)
    if way < 0.5:
        levels = int(rng.integers(3, 9))
        return _lut(image, np.floor(np.arange(256) / 256 * levels) * (255 / (levels - 1)))
    if way < 0.75:
        ycc = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
        ycc[..., 0] = cv2.equalizeHist(ycc[..., 0])
        return cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB)
    if way < 0.87:
        return 255 - image
    return cv2.medianBlur(image, 5)


# --- things in front --------------------------------------------------------------------------------------------------

_SKIN = ((96, 64, 48), (141, 98, 72), (190, 140, 110), (224, 180, 150), (240, 205, 180))


def person(rng: Generator, image: Pixels, filler: Pixels | None, largest: float = 1.6) -> Pixels:
    """A figure in front: standing, cut by the frame, sitting or lying; plain, patterned or a flat silhouette.

    ``largest`` is the figure's greatest height as a multiple of the picture's.
    """
    if rng.random() < 0.4:
        tallest = _log_between(rng, 0.5, largest)
        flat = _ink(rng.integers(0, 256, 3)) if rng.random() < 0.15 else None
        return alterations.person(image, rng, tallest, flat)
    size = image.shape[0]
    tall = _log_between(rng, 0.35, largest) * size
    head = tall / _between(rng, 6.2, 7.8)
    broad = head * _between(rng, 2.0, 3.4)
    angle = 0.0 if rng.random() < 0.7 else _between(rng, -100, 100)
    rotation = cv2.getRotationMatrix2D((0.0, 0.4 * tall), angle, 1.0)[:, :2]
    place = np.array([_between(rng, 0.1, 0.9) * size, _between(rng, 0.25, 0.8) * size])

    def put(points: Points) -> npt.NDArray[np.int32]:
        return np.rint((points - [0, 0.4 * tall]) @ rotation.T + place).astype(np.int32)

    plain = rng.random() < 0.25
    flat = _ink([np.zeros(3), np.full(3, 255), rng.integers(0, 256, 3)][int(rng.integers(3))])
    skin = flat if plain else _SKIN[int(rng.integers(len(_SKIN)))]
    hair, shirt, legs = (flat if plain else _ink(rng.integers(0, high, 3)) for high in (160, 256, 256))
    arms = skin if rng.random() < 0.5 else shirt
    mask, figure = np.zeros(image.shape[:2], np.uint8), image.copy()
    hip, neck = np.array([0.0, 0.47 * tall]), np.array([rng.normal(0, 0.08) * tall, 0.16 * tall])
    spread = broad * _between(rng, 0.15, 0.6)
    for side in (-1, 1):
        thigh = hip + np.array([side * broad * 0.22, 0])
        knee = hip + np.array([side * spread + rng.normal(0, 0.03) * tall, 0.26 * tall])
        foot = knee + np.array([rng.normal(0, 0.05) * tall, 0.27 * tall])
        thick = max(int(head * _between(rng, 0.75, 1.1)), 1)
        for on, ink in ((figure, legs), (mask, (255,))):
            cv2.polylines(on, [put(np.array([thigh, knee, foot]))], False, ink, thick, cv2.LINE_AA)
    for side in (-1, 1):
        shoulder = neck + np.array([side * broad * 0.42, 0.03 * tall])
        swing, bend = rng.uniform(-1.9, 1.9), rng.uniform(-1.2, 1.2)
        elbow = shoulder + 0.17 * tall * np.array([side * abs(np.sin(swing)), np.cos(swing)])
        hand = elbow + 0.17 * tall * np.array([side * np.sin(swing + bend), np.cos(swing + bend)])
        thick = max(int(head * _between(rng, 0.45, 0.75)), 1)
        for on, ink in ((figure, arms), (mask, (255,))):
            cv2.polylines(on, [put(np.array([shoulder, elbow, hand]))], False, ink, thick, cv2.LINE_AA)
    broad_at = ((neck, -0.45, 0.02), (neck, 0.45, 0.02), (hip, 0.36, 0.05), (hip, -0.36, 0.05))
    torso = put(np.array([joint + np.array([broad * x, tall * y]) for joint, x, y in broad_at]))
    crown, face = (_at(put((neck - np.array([0, head * up]))[None])[0]) for up in (0.55, 0.42))
    axes = (max(int(head * 0.4), 1), max(int(head * 0.52), 1))
    for on, colours in ((figure, (shirt, hair, skin)), (mask, ((255,), (255,), (255,)))):
        cv2.fillPoly(on, [torso], colours[0], cv2.LINE_AA)
        wide = (int(axes[0] * 1.15), int(axes[1] * 1.15))
        cv2.ellipse(on, crown, wide, angle, 0, 360, colours[1], -1, cv2.LINE_AA)
        cv2.ellipse(on, face, axes, angle, 0, 360, colours[2], -1, cv2.LINE_AA)
    if filler is not None and rng.random() < 0.35:  # patterned clothes: another picture's texture
        figure = cv2.addWeighted(figure, 0.4, _texture(rng, filler, size), 0.6, 0)
    elif rng.random() < 0.5:
        figure = lamp(rng, figure)
    if rng.random() < 0.3:
        mask = cv2.GaussianBlur(mask, (0, 0), 1.0)
    return _blend(image, figure, mask)


def _ink(colour: npt.ArrayLike) -> tuple[int, int, int]:
    red, green, blue = (int(v) for v in np.asarray(colour))
    return red, green, blue


def _at(point: npt.ArrayLike) -> tuple[int, int]:
    x, y = (int(v) for v in np.asarray(point))
    return x, y


def _texture(rng: Generator, filler: Pixels, size: int) -> Pixels:
    side = int(rng.integers(32, filler.shape[0] // 2))
    x, y = rng.integers(0, filler.shape[0] - side, 2)
    return cv2.resize(filler[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_LINEAR)


def _blend(under: Pixels, over: Pixels, mask: Pixels, opacity: float = 1.0) -> Pixels:
    alpha = cv2.merge([mask, mask, mask]).astype(np.float32) * np.float32(opacity / 255)
    return (under + (over.astype(np.float32) - under) * alpha).astype(np.uint8)


_WORDS = (
    "hotel",
    "SALE",
    "2021-07-14",
    "IMG_0042",
    "@user",
    "room 312",
    "lol",
    "REC",
    "www.example.org",
    "copy",
    "#home",
)


def text(rng: Generator, image: Pixels) -> Pixels:
    """One to four lines of text, some on a bar."""
    if rng.random() < 0.4:
        if rng.random() < 0.3:
            return alterations.watermark(image, rng, _between(rng, 0.2, 0.7))
        return alterations.text_overlay(image, rng, int(rng.integers(1, 7)), _between(rng, 0.04, 0.14))
    drawn = image.copy()
    size = image.shape[0]
    for _ in range(int(rng.integers(1, 5))):
        line = " ".join(_WORDS[int(i)] for i in rng.integers(0, len(_WORDS), int(rng.integers(1, 5))))
        font = int(
            rng.choice(
                [cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX]
            )
        )
        scale = _log_between(rng, 0.25, 1.8) * size / 200
        thick = max(1, round(scale * _between(rng, 1, 3)))
        (width, height), below = cv2.getTextSize(line, font, scale, thick)
        x, y = int(rng.integers(-width // 3, max(size - width // 2, 1))), int(rng.integers(height, size))
        if rng.random() < 0.4:
            bar = _ink(rng.integers(0, 256, 3))
            left, right = (0, size) if rng.random() < 0.5 else (x - 3, x + width + 3)
            cv2.rectangle(drawn, (left, y - height - 3), (right, y + below), bar, -1)
        ink = (255, 255, 255) if rng.random() < 0.5 else _ink(rng.integers(0, 256, 3))
        cv2.putText(drawn, line, (x, y), font, scale, ink, thick, cv2.LINE_AA)
    return drawn


def stickers(rng: Generator, image: Pixels) -> Pixels:
    """Round faces, bars, boxes and blurred patches: emoji, stickers, censoring."""
    if rng.random() < 0.4:
        return alterations.emoji_overlay(image, rng, int(rng.integers(1, 9)), _between(rng, 0.05, 0.2))
    drawn = image.copy()
    size = image.shape[0]
    for _ in range(int(rng.integers(1, 5))):
        x, y = (int(v) for v in rng.integers(0, size, 2))
        radius = int(_log_between(rng, 0.05, 0.25) * size)
        ink = _ink(rng.integers(0, 256, 3))
        way = rng.random()
        if way < 0.4:
            yellow = (255, int(rng.integers(180, 230)), int(rng.integers(40, 110)))
            cv2.circle(drawn, (x, y), radius, yellow if rng.random() < 0.7 else ink, -1, cv2.LINE_AA)
            for side in (-1, 1):
                cv2.circle(drawn, (x + side * radius // 3, y - radius // 4), max(radius // 8, 1), (40, 30, 20), -1)
            cv2.ellipse(
                drawn, (x, y + radius // 6), (radius // 2, radius // 3), 0, 10, 170, (60, 30, 20), max(radius // 10, 1)
            )
        elif way < 0.75:
            wide, high = (int(_log_between(rng, 0.06, 0.45) * size) for _ in range(2))
            cv2.rectangle(drawn, (x - wide, y - high), (x + wide, y + high), ink, -1)
        else:
            part = drawn[max(y - radius, 0) : y + radius, max(x - radius, 0) : x + radius]
            if part.size:
                coarse = cv2.resize(part, (5, 5), interpolation=cv2.INTER_AREA)
                drawn[max(y - radius, 0) : y + radius, max(x - radius, 0) : x + radius] = cv2.resize(
                    coarse, part.shape[1::-1], interpolation=cv2.INTER_NEAREST
                )
    return drawn


def screenshot(rng: Generator, image: Pixels) -> Pixels:
    """The picture on a screen: bars above and below, lines of text, round buttons, squashed with it."""
    size = image.shape[0]
    if rng.random() < 0.4:
        shown = alterations.screenshot(image, rng, _between(rng, 0.35, 0.8))
        return cv2.resize(shown, (size, size), interpolation=cv2.INTER_AREA)
    dark = rng.random() < 0.5
    shade = int(rng.integers(0, 50)) if dark else int(rng.integers(205, 256))
    ink = (225, 225, 225) if dark else (50, 50, 50)
    canvas = np.full_like(image, shade)
    top, bottom = (int(_between(rng, 0.03, 0.32) * size) for _ in range(2))
    left, right = (0, 0) if rng.random() < 0.5 else tuple(int(_between(rng, 0, 0.2) * size) for _ in range(2))
    height, width = size - top - bottom, size - left - right
    canvas[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    for low, high in ((0, top), (size - bottom, size)):
        for _ in range(int(rng.integers(1, 5))):
            if high - low < 8:
                continue
            y = int(rng.integers(low + 2, high - 2))
            x0 = int(rng.integers(2, size // 2))
            thick = int(rng.integers(2, max(3, size // 40)))
            if rng.random() < 0.3:
                cv2.circle(
                    canvas,
                    (x0, y),
                    min(thick * 3, (high - low) // 2),
                    _ink(rng.integers(0, 256, 3)),
                    -1,
                )
            elif rng.random() < 0.5:
                cv2.putText(
                    canvas,
                    _WORDS[int(rng.integers(len(_WORDS)))],
                    (x0, y),
                    cv2.FONT_HERSHEY_SIMPLEX,
                    size / 500,
                    ink,
                    1,
                    cv2.LINE_AA,
                )
            else:
                cv2.line(canvas, (x0, y), (int(rng.integers(x0, size)), y), ink, thick)
    return canvas


def inset(rng: Generator, image: Pixels, filler: Pixels, low: float = 0.22, high: float = 0.75) -> Pixels:
    """The picture pasted into another one, or beside others in a grid."""
    size = image.shape[0]
    canvas = cv2.resize(filler, (size, size), interpolation=cv2.INTER_AREA)
    share = _between(rng, low, high)
    shape = _log_between(rng, 0.75, 1.33)
    width, height = (min(int(size * np.sqrt(share * f)), size - 1) for f in (shape, 1 / shape))
    x, y = int(rng.integers(0, size - width + 1)), int(rng.integers(0, size - height + 1))
    if rng.random() < 0.4:
        x, y = (0 if rng.random() < 0.5 else size - width), (0 if rng.random() < 0.5 else size - height)
    if rng.random() < 0.3:
        edge = int(rng.integers(1, 5))
        ink = (255, 255, 255) if rng.random() < 0.6 else (0, 0, 0)
        cv2.rectangle(canvas, (x - edge, y - edge), (x + width + edge, y + height + edge), ink, -1)
    canvas[y : y + height, x : x + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return canvas


def ghost(rng: Generator, image: Pixels, filler: Pixels) -> Pixels:
    """Another picture shining through, as in SSCD's mixed images."""
    other = cv2.resize(filler, image.shape[1::-1], interpolation=cv2.INTER_AREA)
    share = _between(rng, 0.1, 0.4)
    return cv2.addWeighted(image, 1 - share, other, share, 0)


# --- views ------------------------------------------------------------------------------------------------------------


def mild(rng: Generator, source: Source, size: int) -> Pixels:
    """As a gallery holds it: the whole picture or nearly, a little recompressed."""
    if rng.random() < 0.6:
        image = _warp(rng, source, _whole(source.aspect), size, None)
    else:
        image = _warp(rng, source, _crop(rng, source.aspect, 0.6, 1.0), size, None)
    if rng.random() < 0.4:
        image = light(rng, image, 0.4)
    if rng.random() < 0.3:
        image = jpeg(rng, image, 35, 95)
    return image


def geometry(rng: Generator, source: Source, size: int, filler: Pixels | None) -> Pixels:
    """Crop, turn, mirror and tilt: the geometric half of a strong alteration."""
    way = rng.random()
    mirrored = rng.random() < 0.35
    quarter = int(rng.integers(1, 4)) if rng.random() < 0.2 else 0
    aspect = source.aspect
    if way < 0.40:  # small crops are the hardest single alteration: many of them
        corners = _crop(rng, aspect, 0.07, 0.32)
    elif way < 0.62:
        corners = _crop(rng, aspect, 0.25, 1.0)
    elif way < 0.76:
        corners = _whole(
            aspect, _between(rng, -180, 180) if rng.random() < 0.4 else rng.normal(0, 18), rng.random() < 0.6
        )
        return _warp(rng, source, _turn(corners, 0, mirrored), size, filler)
    elif way < 0.88:
        crop = _crop(rng, aspect, 0.2, 0.9)
        centre, (wide, high) = crop.mean(0), crop[2] - crop[0]
        corners = _corners(centre[0], centre[1], wide, high, rng.normal(0, 20))
    else:
        corners = _whole(aspect)
    if rng.random() < 0.25:
        corners = _tilt(rng, corners, 0.22)
    return _warp(rng, source, _turn(corners, quarter, mirrored), size, filler)


def strong(rng: Generator, source: Source, size: int, fillers: Views) -> Pixels:
    """A chain of alterations, from none but geometry to six at once."""
    image = geometry(rng, source, size, fillers[0])
    if rng.random() < 0.35:
        image = person(rng, image, fillers[1])
    if rng.random() < 0.5:
        image = light(rng, image, 1.0)
    if rng.random() < 0.35:
        image = colour(rng, image, 1.0)
    chances: tuple[tuple[float, Callable[[], Pixels]], ...] = (
        (0.10, lambda: lamp(rng, image)),
        (0.12, lambda: grey(rng, image)),
        (0.08, lambda: darken(rng, image)),
        (0.04, lambda: filters(rng, image)),
        (0.05, lambda: ghost(rng, image, fillers[1])),
        (0.10, lambda: inset(rng, image, fillers[1])),
        (0.12, lambda: screenshot(rng, image)),
        (0.14, lambda: text(rng, image)),
        (0.10, lambda: stickers(rng, image)),
        (0.18, lambda: blur(rng, image)),
        (0.06, lambda: sharpen(rng, image)),
        (0.12, lambda: noise(rng, image, 1.0)),
        (0.14, lambda: shrink(rng, image)),
        (0.35, lambda: jpeg(rng, image)),
    )
    for chance, alter in chances:
        if rng.random() < chance:
            image = alter()
    return image


def _atmosphere(rng: Generator, image: Pixels, filler: Pixels, people: float) -> Pixels:
    """Another day in the same room: light, colour balance, camera, and perhaps a person."""
    if rng.random() < people:
        image = person(rng, image, filler, 1.3)
    if rng.random() < 0.8:
        image = light(rng, image, 0.8)
    if rng.random() < 0.35:
        image = lamp(rng, image)
    if rng.random() < 0.3:
        image = colour(rng, image, 0.5)
    if rng.random() < 0.15:
        image = blur(rng, image)
    if rng.random() < 0.2:
        image = noise(rng, image, 0.6)
    return jpeg(rng, image, 20, 95) if rng.random() < 0.3 else image


def pair(rng: Generator, source: Source, size: int, fillers: Views, mix: PairMix) -> Views:
    """Two views of one picture, each (size, size, 3) uint8. ``fillers`` are other pictures of the set."""
    way = rng.random() * (mix.copy + mix.viewpoint + mix.overlap)
    # The stored shape is often wrong (squashed by whoever made the set), and rotation and crops depend on it.
    source = Source(source.pixels, float(np.clip(source.aspect * _log_between(rng, 0.7, 1.45), 0.5, 2.2)))
    if way < mix.copy:
        first = mild(rng, source, size) if rng.random() < 0.7 else strong(rng, source, size, fillers[::-1])
        return first, strong(rng, source, size, fillers)
    if way < mix.copy + mix.viewpoint:
        if rng.random() < 0.6:
            first = mild(rng, source, size)
        else:
            first = _atmosphere(rng, other_viewpoint(rng, source, size, fillers[1], 0.6), fillers[1], 0.1)
        return first, _atmosphere(rng, other_viewpoint(rng, source, size, fillers[0]), fillers[0], 0.4)
    first_box, second_box = _overlapping(rng, source.aspect)
    first = _warp(rng, source, _tilt(rng, first_box, 0.1), size, fillers[0])
    second = _warp(rng, source, _tilt(rng, second_box, 0.18), size, fillers[1])
    return _atmosphere(rng, first, fillers[0], 0.05), _atmosphere(rng, second, fillers[1], 0.3)


def _overlapping(rng: Generator, aspect: float) -> tuple[Points, Points]:
    """Two boxes that share at least a third of the smaller one."""
    for _ in range(20):
        first, second = _crop(rng, aspect, 0.25, 0.75), _crop(rng, aspect, 0.2, 0.75)
        shared = np.prod(np.clip(np.minimum(first[2], second[2]) - np.maximum(first[0], second[0]), 0, None))
        if shared >= 0.35 * min(np.prod(first[2] - first[0]), np.prod(second[2] - second[0])):
            break
    else:
        second = first
    return first, second


def room_pair(rng: Generator, first: Source, second: Source, size: int, fillers: Views) -> Views:
    """Two pictures of one room (rendered, or labelled the same), each lightly altered, with people in the way."""
    views = []
    for source, filler, people in ((first, fillers[0], 0.1), (second, fillers[1], 0.45)):
        box = _crop(rng, source.aspect, 0.55, 1.0) if rng.random() < 0.5 else _whole(source.aspect)
        image = _warp(rng, source, _tilt(rng, box, 0.08) if rng.random() < 0.3 else box, size, filler)
        views.append(_atmosphere(rng, image, filler, people))
    return views[0], views[1]
