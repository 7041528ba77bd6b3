"""What vectors tell of pictures to whoever gets a pack, and what noise, 8 bits or PDQ hashes alone cost in links.

python -m benchmarks.sharing [--model NAME] [--distractors N] [--learn N] [--epochs N] [--pictures DIR] [--plot FILE]
                             [--json FILE]

The house photographs are what is sent, among so many others. Who receives holds the very pictures, copies of them,
another view of the same place, or nothing but photographs of the same kind, on which a decoder is trained.
``--pictures`` writes reconstructions below originals, to be looked at and not handed on.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import photographs, report
from benchmarks.retrieval import SEED, embed_all
from imgmatch.lab.alterations import alter
from imgmatch.lab.training.inverting import SIDE_PX, Disturb, Floats, trained
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.optional import require
from imgmatch.picture.pdq import BITS, DISTANCE, pdq_of

COPIES = ("resize_quarter", "screenshot", "crop_half", "person", "chain_four")
RATE = 1e-4
"""Links are counted where no more of the pairs of different pictures than this are as alike."""
NOISE = (0.25, 0.5, 1.0, 2.0, 4.0)
_DECODED = (0.0, 0.5, 1.0)
_TILE_PX = 96
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Level:
    """What is done to codes before they leave: a name, and that."""

    name: str
    disturb: Disturb


def noised(share: float) -> Disturb:
    """Noise of so many times a vector's own length, to unit length again."""

    def disturb(vectors: Floats, rng: np.random.Generator) -> Floats:
        noise = rng.normal(0, share / np.sqrt(vectors.shape[1]), vectors.shape).astype(np.float32)
        return unit(vectors + noise)

    return disturb


def to_8_bits(vectors: Floats, _: np.random.Generator) -> Floats:
    """Each value as one of 255, of the largest of its vector."""
    scale = np.abs(vectors).max(axis=1, keepdims=True) / 127
    return unit((np.round(vectors / scale) * scale).astype(np.float32))


def unit(vectors: Floats) -> Floats:
    """Vectors at unit length."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def as_it_is(codes: Floats, _: np.random.Generator) -> Floats:
    """Nothing is done to them."""
    return codes


LEVELS = (Level("none", as_it_is), Level("8 bits", to_8_bits), *(Level(f"{n:g}", noised(n)) for n in NOISE))


@dataclass(slots=True)
class Material:
    """Codes (n, d), unit length, of what is sent, of others, of copies, of two views of places, and of what an attacker
    learns from; with small pictures (n, 3, 48, 48) and kinds of rooms.
    """

    sent: Floats
    others: Floats
    copies: dict[str, Floats]
    views: tuple[Floats, Floats]
    learned: Floats
    small: Floats
    learned_small: Floats
    kinds: Sequence[str]
    learned_kinds: Sequence[str]


Code = Callable[[Sequence[np.ndarray]], Floats]


def gathered(codes: Sequence[Code], distractors: int, learn: int) -> list[Material]:
    """Read every photograph once, for all kinds of codes; so many distractors, so many to learn from at most."""
    houses = [path for path in photographs.houses() if path.name not in {two for _, two in photographs.HOUSES_DOUBLES}]
    sent = [image.pixels for image in photographs.pictures(houses)]
    with (photographs.data_folder() / "rooms" / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    doubles = {two.removeprefix("rooms/") for _, two in photographs.DOUBLES}
    rows = [row for row in rows if row["file"] not in doubles]
    aside = {row["file"] for row in rows[:: max(1, len(rows) // distractors)][:distractors]}
    folder = photographs.data_folder() / "rooms"
    others = [image.pixels for image in photographs.pictures([folder / name for name in sorted(aside)], 256)]
    known = [row for row in rows if row["file"] not in aside]
    known = known[:: max(1, len(known) // learn)][:learn]
    learned = [image.pixels for image in photographs.pictures([folder / row["file"] for row in known], 256)]
    places = photographs.places()
    by_place = [[path for path, name, _ in places if name == place] for place in dict.fromkeys(p for _, p, _ in places)]
    views = [[image.pixels for image in photographs.pictures([two[n] for two in by_place])] for n in (0, 1)]
    altered = {name: [alter(name, pixels, SEED + n) for n, pixels in enumerate(sent)] for name in COPIES}
    small = shrunk(sent), shrunk(learned)
    kinds = [path.stem.split("_")[1] for path in houses], [row["class"] for row in known]
    return [
        Material(
            code(sent), code(others), {name: code(pictures) for name, pictures in altered.items()},
            (code(views[0]), code(views[1])), code(learned), *small, *kinds,
        )
        for code in codes
    ]  # fmt: skip


def shrunk(pictures: Sequence[np.ndarray]) -> Floats:
    """(n, 3, 48, 48), 0..1."""
    small = [cv2.resize(pixels, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA) for pixels in pictures]
    return np.asarray(np.stack(small).transpose(0, 3, 1, 2) / 255, np.float32)


def first(scores: np.ndarray) -> float:
    """Of how many rows the right column, that of the same number, is the highest."""
    return float((scores.argmax(axis=1) == np.arange(len(scores))).mean())


def told(material: Material, level: Level) -> dict[str, Any]:
    """What codes that left as ``level`` has it tell who holds pictures, and how many links they still give."""
    rng = np.random.default_rng(SEED)
    sent, others = level.disturb(material.sent, rng), level.disturb(material.others, rng)
    pack = np.concatenate([sent, others])
    kept = float(np.einsum("nd,nd->n", material.sent, sent).mean())
    same = material.sent @ pack.T
    apart = same[:, len(sent) :]
    least = float(np.quantile(apart, 1 - RATE))
    right = np.arange(len(sent))
    figures: dict[str, Any] = {
        "cosine_kept": kept,
        "least": least,
        "same_picture": {"first": first(same), "linked": float((same[right, right] >= least).mean())},
    }
    for name, codes in material.copies.items():
        scores = codes @ pack.T
        figures[name] = {"first": first(scores), "linked": float((scores[right, right] >= least).mean())}
    here, there = material.views[0], level.disturb(material.views[1], rng)
    figures["same_place"] = first(here @ np.concatenate([there, others]).T)
    figures["kind"] = kind_guessed(material, level, sent, rng)
    return figures


def kind_guessed(material: Material, level: Level, sent: Floats, rng: np.random.Generator) -> float:
    """How often the kind of room is guessed from the code alone, by regression on photographs of known kinds."""
    names = sorted(set(material.kinds))
    of = [number for number, kind in enumerate(material.learned_kinds) if kind in names]
    codes = level.disturb(material.learned[of], rng)
    wanted = np.eye(len(names))[[names.index(material.learned_kinds[number]) for number in of]]
    wanted -= wanted.mean(axis=0)
    weights = np.linalg.solve(codes.T @ codes + 1.0 * np.eye(codes.shape[1]), codes.T @ wanted)
    guessed = (sent @ weights).argmax(axis=1)
    return float(np.mean([names[number] == kind for number, kind in zip(guessed, material.kinds, strict=True)]))


def inverted(material: Material, disturb: Disturb, epochs: int) -> tuple[dict[str, float], Floats]:
    """How near a trained decoder's pictures of what was sent come to it; and those pictures."""
    decode = trained(material.learned, material.learned_small, disturb, epochs=epochs, seed=SEED)
    made = decode(disturb(material.sent, np.random.default_rng(SEED)))
    plain = material.learned_small.mean(axis=0)[None]
    error = ((made - material.small) ** 2).mean(axis=(1, 2, 3))
    of_mean = ((plain - material.small) ** 2).mean(axis=(1, 2, 3))
    flat = [
        (part - part.mean(axis=1, keepdims=True)) for part in (p.reshape(len(p), -1) for p in (made, material.small))
    ]
    alike = unit(flat[0]) @ unit(flat[1]).T
    figures = {
        "psnr_db": float(-10 * np.log10(error).mean()),
        "psnr_of_a_mean_picture_db": float(-10 * np.log10(of_mean).mean()),
        "recognised": first(alike),
        "chance": 1 / len(made),
    }
    return figures, made


def centred(pictures: Floats) -> Floats:
    """Pictures as rows without their mean, at unit length: their products are correlations."""
    flat = pictures.reshape(len(pictures), -1)
    return unit(flat - flat.mean(axis=1, keepdims=True))


def main() -> None:
    """Measure, draw and report."""
    arguments = _arguments()
    embedder = load_model(arguments.model, threads=1)
    kinds: tuple[Code, Code] = (lambda pictures: embed_all(embedder, pictures)), _hashed
    material, hashes = gathered(kinds, arguments.distractors, arguments.learn)
    found = {level.name: told(material, level) for level in LEVELS}
    found["PDQ"] = {**told(hashes, Level("PDQ", as_it_is)), "cosine_kept": None}
    for figures, least in ((found["PDQ"], 1 - 2 * DISTANCE / BITS),):
        figures["within_31_bits"] = {
            name: float((np.einsum("nd,nd->n", codes, hashes.sent) >= least).mean())
            for name, codes in {"same_picture": hashes.sent, **hashes.copies}.items()
        }
    tried = (
        *((f"{share:g}" if share else "none", material, noised(share) if share else as_it_is) for share in _DECODED),
        ("PDQ", hashes, as_it_is),
    )
    for name, made_of, disturb in tried if arguments.epochs else ():
        found[name]["inversion"], made = inverted(made_of, disturb, arguments.epochs)
        print(name, found[name]["inversion"], flush=True)
        if arguments.pictures is not None:
            _write(arguments.pictures / f"{name}.png", made_of.small, made)
    figures = {
        "model": arguments.model, "sent": len(material.sent), "others": len(material.others),
        "learned_from": len(material.learned), "epochs": arguments.epochs, "rate": RATE, "levels": found,
    }  # fmt: skip
    _tell(found)
    if arguments.plot is not None:
        draw(found, arguments.plot)
    report.finish("sharing", figures, arguments.json)


def _hashed(pictures: Sequence[np.ndarray]) -> Floats:
    """PDQ bits as unit vectors: their cosine is 1 less a 128th of the bits that differ."""
    bits = [np.unpackbits(np.frombuffer(pdq_of(pixels).hash, np.uint8)) for pixels in pictures]
    return np.asarray((np.stack(bits).astype(np.float32) * 2 - 1) / np.sqrt(BITS), np.float32)


def _write(path: Path, originals: Floats, made: Floats) -> None:
    """Originals above what was made of them: the nearest ones, and some taken evenly."""
    error = ((made - originals) ** 2).mean(axis=(1, 2, 3))
    chosen = [*np.argsort(error)[:_SHOWN], *range(0, len(made), len(made) // _SHOWN)][: 2 * _SHOWN]

    def line(pictures: Floats, of: Sequence[int]) -> np.ndarray:
        tiles = [cv2.resize(pictures[n].transpose(1, 2, 0), (_TILE_PX, _TILE_PX)) for n in of]
        return np.hstack(tiles)

    rows = [line(part, chosen[at : at + _SHOWN]) for at in (0, _SHOWN) for part in (originals, made)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), (np.vstack(rows)[:, :, ::-1] * 255).astype(np.uint8))


_LINES = {
    "the picture itself, first": lambda f: f["same_picture"]["first"],
    "an easy copy (a quarter of the size), first": lambda f: f["resize_quarter"]["first"],
    "a hard copy (cropped, written over, recoloured), linked": lambda f: f["chain_four"]["linked"],
    "another view of the place, first": lambda f: f["same_place"],
    "kind of room guessed": lambda f: f["kind"],
    "reconstruction recognised": lambda f: f.get("inversion", {}).get("recognised"),
}


def _tell(found: dict[str, dict[str, Any]]) -> None:
    copies = list(COPIES)
    columns = ["what is sent", "same", *copies, "place", "kind", "recognised", "PSNR dB"]
    rows = [
        [
            name, figures["same_picture"]["first"], *(figures[copy]["first"] for copy in copies), figures["same_place"],
            figures["kind"], figures.get("inversion", {}).get("recognised", ""),
            figures.get("inversion", {}).get("psnr_db", ""),
        ]
        for name, figures in found.items()
    ]  # fmt: skip
    report.table("First place, by what is sent", columns, rows)
    linked = [
        [name, f["least"], f["same_picture"]["linked"], *(f[c]["linked"] for c in copies)] for name, f in found.items()
    ]
    report.table(f"Linked at a rate of {RATE:g}", ["what is sent", "least", "same", *copies], linked)


def draw(found: dict[str, dict[str, Any]], path: Path) -> None:
    """What each way of sending tells, and what it still finds."""
    require("matplotlib", "train")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.2), layout="tight")
    axes = figure.subplots()
    names = list(found)
    for label, of in _LINES.items():
        points = [(x, of(found[name])) for x, name in enumerate(names) if of(found[name]) is not None]
        if not points:
            continue
        style = "--" if "first" not in label else "-"
        axes.plot(*zip(*points, strict=True), style, marker="o", markersize=4, label=label)
    axes.set_xticks(
        range(len(names)), [name if name[0] not in "0124" else f"noise {name}" for name in names], fontsize=8
    )
    axes.set(ylim=(0, 1.03), ylabel="share of pictures")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=90)


def _arguments() -> argparse.Namespace:
    parser = report.parser("What vectors tell of pictures")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--distractors", type=int, default=1500)
    parser.add_argument("--learn", type=int, default=6000, metavar="N", help="photographs that an attacker learns from")
    parser.add_argument("--epochs", type=int, default=6, help="of the decoder; 0: none is trained")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="write reconstructions there, to look at")
    parser.add_argument("--plot", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
