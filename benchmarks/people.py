"""Does leaving people out of a query help? Rendered views with people in front: as they are, by their true outlines,
and by those that another program finds.

python -m benchmarks.people --hotels DIR [--outlines FILE] [--model NAME] [--distractors N] [--json FILE]

Each view among all other views and the distractors; another view of its place is right, or of its hotel. FILE is an
.npz with an array (h, w) a view, how surely each pixel is of a person (0 to 255), called HOTEL/STEM (h0003/r00-v1).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import photographs, report
from benchmarks.rooms import Gallery, measure, relations
from imgmatch.lab.hotels.views import View, views
from imgmatch.match.masking import Mask
from imgmatch.models import DEFAULT_MODEL, load_model

SHARES = ((0.0, 0.0), (0.02, 1.0), (0.1, 1.0), (0.2, 1.0))
"""So much of a view people cover; the first are views without any."""
_PERSON = 1000
"""Instances from here on are people."""
_SURE = 128
_MOST = 0.9
"""What leaves less than a tenth of a view is no mask that anybody would confirm."""


def true(view: View) -> Mask:
    """Where people are, (H, W), as the renderer has it."""
    _, ids = view.geometry()
    return _as_large(np.where(ids >= _PERSON, np.uint8(255), np.uint8(0)), view)


def _as_large(sure: np.ndarray, view: View) -> Mask:
    size = (view.fields["width"], view.fields["height"])
    return np.asarray(cv2.resize(sure, size, interpolation=cv2.INTER_LINEAR) >= _SURE)


def _overlap(found: Mask, there: Mask) -> float:
    return float((found & there).sum() / max(1, (found | there).sum()))


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    embedder = load_model(arguments.model, device="cpu")
    found = list(views(arguments.hotels))
    pictures = [view.pixels() for view in found]
    side = embedder.spec.input_px
    others = [image.pixels for image in photographs.pictures(photographs.rooms(arguments.distractors), side)]
    gallery = Gallery(embedder, [*pictures, *others])
    itself, room, hotel = relations(found, len(others))
    ways: dict[str, Callable[[View], Mask | None]] = {"no mask": lambda _: None, "true outlines": true}
    figures: dict[str, Any] = {}
    if arguments.outlines is not None:
        sure = dict(np.load(arguments.outlines))
        ways["outlines found"] = outlines = lambda view: _as_large(sure[f"{view.folder.name}/{view.stem}"], view)
        with_people = [view for view in found if view.fields["person_share"] >= SHARES[1][0]]
        overlaps = [_overlap(outlines(view), true(view)) for view in with_people]
        figures["overlap_quartiles"] = np.round(np.quantile(overlaps, (0.25, 0.5, 0.75)), 3).tolist()
    figures["shares"] = {}
    for least, most in SHARES:
        chosen = [n for n, view in enumerate(found) if least <= view.fields["person_share"] <= most]
        of_share: dict[str, dict[str, Any]] = {}
        figures["shares"][f"{least:g} to {most:g}"] = of_share
        for way, outline in ways.items():
            masks = [mask if (mask := outline(found[n])) is None or mask.mean() <= _MOST else None for n in chosen]
            right, left_out = (room & ~itself)[chosen], itself[chosen]
            measured = measure(gallery, [pictures[n] for n in chosen], right, left_out, hotel[chosen], masks)
            of_share[way] = {"masked": float(np.mean([0.0 if m is None else m.mean() for m in masks])), **measured}
        rows = [[way, how, *of[how].values()] for way, of in of_share.items() for how in of if how != "masked"]
        heads = ["query", "ordered", "queries", "room first", "mAP", "hotel first"]
        report.table(f"People cover {least:g} to {most:g}", heads, rows)
    about = {"model": embedder.spec.name, "weights_sha256": embedder.spec.weights_sha256}
    report.finish("people", {**about, "distractors": len(others), **figures}, arguments.json)


def _arguments() -> argparse.Namespace:
    parser = report.parser("People left out of a query")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--distractors", type=int, default=700, help="so many room photographs more in the gallery")
    parser.add_argument("--outlines", type=Path, default=None, help="where another program sees people (.npz)")
    photographs.add_hotels(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
