"""What is in front of a view, or around it: people, text, stickers, screens, other pictures.

Some are those that benchmarks draw; most are drawn otherwise, here: a model is to know text and people, not one
generator's hand, and a benchmark is to measure that.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from imgmatch.lab.alterations import overlays, people
from imgmatch.lab.alterations.tools import blend, rgb, some_colour
from imgmatch.lab.training.augment.geometry import Generator, Pixels, Points, Shown, between, log_between
from imgmatch.lab.training.augment.light import lamp

_SKIN = ((96, 64, 48), (141, 98, 72), (190, 140, 110), (224, 180, 150), (240, 205, 180))


def person(rng: Generator, image: Pixels, filler: Pixels | None, largest: float = 1.6) -> Pixels:
    """A figure in front: standing, cut by the frame, sitting or lying; plain, patterned or a flat silhouette.

    ``largest`` is the figure's greatest height as a multiple of the picture's.
    """
    if rng.random() < 0.4:
        tallest = log_between(rng, 0.5, largest)
        flat = some_colour(rng) if rng.random() < 0.15 else None
        return people.person(image, rng, tallest, flat)
    size = image.shape[0]
    tall = log_between(rng, 0.35, largest) * size
    head = tall / between(rng, 6.2, 7.8)
    broad = head * between(rng, 2.0, 3.4)
    angle = 0.0 if rng.random() < 0.7 else between(rng, -100, 100)
    rotation = cv2.getRotationMatrix2D((0.0, 0.4 * tall), angle, 1.0)[:, :2]
    place = np.array([between(rng, 0.1, 0.9) * size, between(rng, 0.25, 0.8) * size])

    def put(points: Points) -> npt.NDArray[np.int32]:
        return np.rint((points - [0, 0.4 * tall]) @ rotation.T + place).astype(np.int32)

    plain = rng.random() < 0.25
    flat = rgb([np.zeros(3), np.full(3, 255), rng.integers(0, 256, 3)][int(rng.integers(3))])
    skin = flat if plain else _SKIN[int(rng.integers(len(_SKIN)))]
    hair, shirt, legs = (flat if plain else some_colour(rng, 0, high) for high in (160, 256, 256))
    arms = skin if rng.random() < 0.5 else shirt
    mask, figure = np.zeros(image.shape[:2], np.uint8), image.copy()
    hip, neck = np.array([0.0, 0.47 * tall]), np.array([rng.normal(0, 0.08) * tall, 0.16 * tall])
    spread = broad * between(rng, 0.15, 0.6)
    for side in (-1, 1):
        thigh = hip + np.array([side * broad * 0.22, 0])
        knee = hip + np.array([side * spread + rng.normal(0, 0.03) * tall, 0.26 * tall])
        foot = knee + np.array([rng.normal(0, 0.05) * tall, 0.27 * tall])
        thick = max(int(head * between(rng, 0.75, 1.1)), 1)
        for on, ink in ((figure, legs), (mask, (255,))):
            cv2.polylines(on, [put(np.array([thigh, knee, foot]))], False, ink, thick, cv2.LINE_AA)
    for side in (-1, 1):
        shoulder = neck + np.array([side * broad * 0.42, 0.03 * tall])
        swing, bend = rng.uniform(-1.9, 1.9), rng.uniform(-1.2, 1.2)
        elbow = shoulder + 0.17 * tall * np.array([side * abs(np.sin(swing)), np.cos(swing)])
        hand = elbow + 0.17 * tall * np.array([side * np.sin(swing + bend), np.cos(swing + bend)])
        thick = max(int(head * between(rng, 0.45, 0.75)), 1)
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
    return blend(image, figure, np.divide(mask, 255, dtype=np.float32))


def _at(point: npt.ArrayLike) -> tuple[int, int]:
    x, y = (int(v) for v in np.asarray(point))
    return x, y


def _texture(rng: Generator, filler: Pixels, size: int) -> Pixels:
    side = int(rng.integers(32, filler.shape[0] // 2))
    x, y = rng.integers(0, filler.shape[0] - side, 2)
    return cv2.resize(filler[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_LINEAR)


_WORDS = ("hotel", "SALE", "2021-07-14", "IMG_0042", "@user", "room 312", "lol", "REC", "www.example.org", "#home")


def text(rng: Generator, image: Pixels) -> Pixels:
    """One to four lines of text, some on a bar."""
    if rng.random() < 0.4:
        if rng.random() < 0.3:
            return overlays.watermark(image, rng, between(rng, 0.2, 0.7))
        return overlays.text_overlay(image, rng, int(rng.integers(1, 7)), between(rng, 0.04, 0.14))
    drawn = image.copy()
    size = image.shape[0]
    for _ in range(int(rng.integers(1, 5))):
        line = " ".join(_WORDS[int(i)] for i in rng.integers(0, len(_WORDS), int(rng.integers(1, 5))))
        font = int(rng.choice(overlays.FONTS))
        scale = log_between(rng, 0.25, 1.8) * size / 200
        thick = max(1, round(scale * between(rng, 1, 3)))
        (width, height), below = cv2.getTextSize(line, font, scale, thick)
        x, y = int(rng.integers(-width // 3, max(size - width // 2, 1))), int(rng.integers(height, size))
        if rng.random() < 0.4:
            bar = some_colour(rng)
            left, right = (0, size) if rng.random() < 0.5 else (x - 3, x + width + 3)
            cv2.rectangle(drawn, (left, y - height - 3), (right, y + below), bar, -1)
        ink = (255, 255, 255) if rng.random() < 0.5 else some_colour(rng)
        cv2.putText(drawn, line, (x, y), font, scale, ink, thick, cv2.LINE_AA)
    return drawn


def stickers(rng: Generator, image: Pixels) -> Pixels:
    """Round faces, bars, boxes and blurred patches: emoji, stickers, censoring."""
    if rng.random() < 0.4:
        return overlays.emoji_overlay(image, rng, int(rng.integers(1, 9)), between(rng, 0.05, 0.2))
    drawn = image.copy()
    size = image.shape[0]
    for _ in range(int(rng.integers(1, 5))):
        x, y = (int(v) for v in rng.integers(0, size, 2))
        radius = int(log_between(rng, 0.05, 0.25) * size)
        ink = some_colour(rng)
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
            wide, high = (int(log_between(rng, 0.06, 0.45) * size) for _ in range(2))
            cv2.rectangle(drawn, (x - wide, y - high), (x + wide, y + high), ink, -1)
        else:
            part = drawn[max(y - radius, 0) : y + radius, max(x - radius, 0) : x + radius]
            if part.size:
                coarse = cv2.resize(part, (5, 5), interpolation=cv2.INTER_AREA)
                drawn[max(y - radius, 0) : y + radius, max(x - radius, 0) : x + radius] = cv2.resize(
                    coarse, part.shape[1::-1], interpolation=cv2.INTER_NEAREST
                )
    return drawn


def screenshot(rng: Generator, view: Shown) -> Shown:
    """The picture on a screen: bars above and below, lines of text, round buttons, squashed with it."""
    image = view.pixels
    size = image.shape[0]
    if rng.random() < 0.4:
        screen = overlays.screenshot(image, rng, between(rng, 0.35, 0.8))
        return Shown(cv2.resize(screen, (size, size), interpolation=cv2.INTER_AREA), None)
    dark = rng.random() < 0.5
    shade = int(rng.integers(0, 50)) if dark else int(rng.integers(205, 256))
    ink = (225, 225, 225) if dark else (50, 50, 50)
    canvas = np.full_like(image, shade)
    top, bottom = (int(between(rng, 0.03, 0.32) * size) for _ in range(2))
    left, right = (0, 0) if rng.random() < 0.5 else tuple(int(between(rng, 0, 0.2) * size) for _ in range(2))
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
                cv2.circle(canvas, (x0, y), min(thick * 3, (high - low) // 2), some_colour(rng), -1)
            elif rng.random() < 0.5:
                word = _WORDS[int(rng.integers(len(_WORDS)))]
                cv2.putText(canvas, word, (x0, y), cv2.FONT_HERSHEY_SIMPLEX, size / 500, ink, 1, cv2.LINE_AA)
            else:
                cv2.line(canvas, (x0, y), (int(rng.integers(x0, size)), y), ink, thick)
    return view.placed(canvas, (left / size, top / size, 1 - right / size, 1 - bottom / size))


def inset(rng: Generator, view: Shown, filler: Pixels, low: float = 0.22, high: float = 0.75) -> Shown:
    """The picture pasted into another one, or beside others in a grid."""
    image = view.pixels
    size = image.shape[0]
    canvas = cv2.resize(filler, (size, size), interpolation=cv2.INTER_AREA)
    share = between(rng, low, high)
    shape = log_between(rng, 0.75, 1.33)
    width, height = (min(int(size * np.sqrt(share * f)), size - 1) for f in (shape, 1 / shape))
    x, y = int(rng.integers(0, size - width + 1)), int(rng.integers(0, size - height + 1))
    if rng.random() < 0.4:
        x, y = (0 if rng.random() < 0.5 else size - width), (0 if rng.random() < 0.5 else size - height)
    if rng.random() < 0.3:
        edge = int(rng.integers(1, 5))
        ink = (255, 255, 255) if rng.random() < 0.6 else (0, 0, 0)
        cv2.rectangle(canvas, (x - edge, y - edge), (x + width + edge, y + height + edge), ink, -1)
    canvas[y : y + height, x : x + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return view.placed(canvas, (x / size, y / size, (x + width) / size, (y + height) / size))


def ghost(rng: Generator, image: Pixels, filler: Pixels) -> Pixels:
    """Another picture shining through, as in SSCD's mixed images."""
    other = cv2.resize(filler, image.shape[1::-1], interpolation=cv2.INTER_AREA)
    share = between(rng, 0.1, 0.4)
    return cv2.addWeighted(image, 1 - share, other, share, 0)
