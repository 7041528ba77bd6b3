"""Drawn people: faces that the detector finds and the network tells apart, of nobody."""

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

_TONES = ((224, 186, 152), (198, 148, 110), (156, 106, 72), (241, 214, 192), (108, 70, 46))
_HAIR = ((30, 22, 18), (90, 60, 30), (170, 130, 70), (60, 40, 35))
_EYES = ((70, 45, 25), (60, 90, 120), (80, 100, 60), (40, 25, 15))
_SIDE, _X, _Y = 512, 256, 270


@functools.cache
def portrait(person: int, look: int = 0, size: int = 256) -> Image.Image:
    """A person, the same for the same number; of another ``look`` turned a little, otherwise lit, smiling more."""
    rng = np.random.default_rng(person)

    def some(least, most):
        return float(rng.uniform(least, most))

    tone = np.array(_TONES[int(rng.integers(5))])
    hair, iris = _HAIR[int(rng.integers(4))], _EYES[int(rng.integers(4))]
    back, shirt = (tuple(int(x) for x in rng.integers(20, 200, 3)) for _ in range(2))
    wide, tall, low = some(120, 160), some(165, 205), some(10, 60)

    def skin(share):
        return tuple(int(min(255, x * share)) for x in tone)

    made = Image.new("RGB", (_SIDE, _SIDE), back)
    pen = ImageDraw.Draw(made)
    pen.rectangle([_X - 55, _Y + 120, _X + 55, _SIDE], fill=skin(0.8))
    pen.ellipse([_X - 230, _Y + 190, _X + 230, _Y + 520], fill=shirt)
    pen.ellipse([_X - wide - 22, _Y - tall - 30, _X + wide + 22, _Y + low], fill=hair)
    pen.ellipse([_X - wide, _Y - tall, _X + wide, _Y + tall], fill=skin(1))
    pen.chord([_X - wide, _Y - tall, _X + wide, _Y + tall], 200, 340, fill=hair)
    made = _shaded(made.filter(ImageFilter.GaussianBlur(4)), wide, tall, (0, 1, -1)[look % 3])
    _features(ImageDraw.Draw(made), some, skin, hair, iris, (0.0, 1.0, 0.5)[look % 3], tone)
    made = made.filter(ImageFilter.GaussianBlur(2.2))
    made = made.rotate((0, 8, -6)[look % 3], Image.Resampling.BICUBIC, fillcolor=back)
    return made.resize((size, size), Image.Resampling.LANCZOS)


def _shaded(made, wide, tall, light):
    down, across = np.mgrid[0:_SIDE, 0:_SIDE]
    x, y = (across - _X) / wide, (down - _Y) / tall
    share = 1 - 0.35 * np.clip(x**2, 0, 1) ** 2 - 0.15 * np.clip(y, 0, 1) + 0.12 * x * light
    pixels = np.asarray(made).astype(float)
    pixels = np.where((x**2 + y**2 < 1)[..., None], pixels * share[..., None], pixels)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _features(pen, some, skin, hair, iris, smile, tone):
    apart, eyes = some(56, 74), _Y - some(25, 40)
    wide, high = some(24, 36), some(9, 16)
    brow, thick, slope = some(26, 40), int(some(6, 18)), some(-8, 8)
    for side in (-1, 1):
        x = _X + side * apart
        pen.ellipse([x - wide - 10, eyes - high - 14, x + wide + 10, eyes + high + 12], fill=skin(0.82))
        pen.ellipse([x - wide, eyes - high, x + wide, eyes + high], fill=(235, 232, 228))
        pen.ellipse([x - high * 1.05, eyes - high * 1.05, x + high * 1.05, eyes + high * 1.05], fill=iris)
        pen.ellipse([x - 5, eyes - 5, x + 5, eyes + 5], fill=(8, 8, 8))
        pen.arc([x - wide, eyes - high - 3, x + wide, eyes + high + 3], 180, 360, fill=(30, 20, 18), width=5)
        line = [x - side * (wide + 4), eyes - brow + slope, x, eyes - brow - 8, x + side * (wide + 8), eyes - brow + 2]
        pen.line(line, fill=hair, width=thick, joint="curve")
    nose, broad = eyes + some(60, 82), some(18, 34)
    pen.polygon([(_X - 8, eyes + 5), (_X + 8, eyes + 5), (_X + broad, nose), (_X - broad, nose)], fill=skin(0.93))
    pen.ellipse([_X - broad, nose - 16, _X + broad, nose + 12], fill=skin(0.9))
    for side in (-1, 1):
        x = _X + side * broad * 0.55
        pen.ellipse([x - 6, nose - 2, x + 6, nose + 8], fill=skin(0.45))
    mouth, reach = nose + some(46, 62), some(38, 60)
    lip = tuple(int(x) for x in tone * (0.8, 0.5, 0.5))
    pen.ellipse([_X - reach, mouth - some(8, 15), _X + reach, mouth + some(10, 19) + smile * 8], fill=lip)
    line = [_X - reach, mouth - smile * 8, _X, mouth + 2, _X + reach, mouth - smile * 8]
    pen.line(line, fill=(70, 30, 30), width=5, joint="curve")


def group(people, look: int = 0, size: int = 256) -> Image.Image:
    """People side by side in one picture, from left to right."""
    made = Image.new("RGB", (size * len(people), size), (90, 90, 90))
    for place, person in enumerate(people):
        made.paste(portrait(person, look, size), (place * size, 0))
    return made
