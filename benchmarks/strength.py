"""Does a strength in words hold? What share of true matches are "nothing convincing", of false ones "geometry agrees",
and how many searches for what is not there say so.

python -m benchmarks.strength [--every N] [--rooms N] [--rows FILE] [--json FILE]

True matches are altered copies of house and room photographs, the two photographs of a place, and other views of
rendered rooms; false ones the nearest of all other pictures, for each query. ``--rows`` keeps what was measured of each
pair: where the file is there already, only the words are reckoned anew.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

from benchmarks import photographs, report
from benchmarks.retrieval import SEED, embed_all
from benchmarks.verify import _features, of_pixels
from imgmatch.evidence import walk
from imgmatch.lab.alterations import ALTERATIONS, alter
from imgmatch.lab.hotels.geometry import correspondences
from imgmatch.match.calibration import calibrate, normalised, usual
from imgmatch.match.copies import COPY_SIMILARITY
from imgmatch.match.interval import clopper_pearson
from imgmatch.match.sharing import look
from imgmatch.match.strength import Level, strength
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.types import FalseMatchRate, Issue, Match, Verification
from indexer.search.query import read_query

if TYPE_CHECKING:
    from imgmatch.types import Pixels

_FALSE = 5
"""So many of the nearest wrong pictures of each query are looked at."""
_SHARED = 0.15
"""Views of a rendered room count as one of it where they share so much."""
Row = dict[str, Any]


class Case:
    """Pictures as a case holds them, by place in a list: houses, rooms, places, a first view of each rendered room."""

    def __init__(self, rooms: int) -> None:
        self.embedder = load_model(DEFAULT_MODEL)
        self.houses, self.rooms = photographs.houses(), photographs.rooms(rooms)
        self.places = photographs.places()
        self.rendered = photographs.rendered_rooms(photographs.SAMPLE, 3, shared=0.0)
        self.files = [*self.houses, *self.rooms, *(path for path, _, _ in self.places)]
        read = (i.pixels for i in photographs.pictures(self.files, self.embedder.spec.input_px))
        self.vectors = embed_all(self.embedder, [*read, *(views[0].pixels() for views in self.rendered)])
        self.features = lru_cache(2000)(self._features)
        similarities = self.vectors @ self.vectors.T
        self.background = calibrate(normalised(similarities, similarities >= COPY_SIMILARITY))
        self._scratch = Path(tempfile.mkdtemp()) / "query.png"

    def _features(self, place: int) -> Any:
        if place < len(self.files):
            return _features(self.files[place])
        return of_pixels(self.rendered[place - len(self.files)][0].pixels())

    def rows(self, kind: str, pixels: Pixels, right: Sequence[int], apart: Sequence[int] = ()) -> Iterator[Row]:
        """What is measured of a query and its true matches, and the nearest others but those ``apart``."""
        Pillow.fromarray(pixels).save(self._scratch, compress_level=1)
        query = read_query(next(iter(walk(self._scratch))), self.embedder)
        assert not isinstance(query, Issue)
        costs = np.array([[query.cost(box)] for box in query.boxes], np.float32)
        similarities = query.vectors @ self.vectors.T
        scores = (similarities - costs).max(axis=0)
        others = np.delete(similarities[0], [*apart])
        common = float(usual(others[np.newaxis])[0])
        points = query.features()
        wrong = [int(n) for n in np.argsort(-scores, kind="stable") if n not in right and n not in apart][:_FALSE]
        for place in [*right, *wrong]:
            found = look(points, self.features(place)).found
            rate = self.background.rate(float(scores[place]) - common).of_several(query.tries)
            yield {
                "kind": kind, "true": place in right, "score": round(float(scores[place]), 4),
                "verified": found.verified, "inliers": found.inliers, "void": found.void,
                "rate": [rate.rate, rate.lower, rate.upper],
            }  # fmt: skip


def measured(case: Case, every: int) -> Iterator[Row]:
    """Rows of all sets, each with its ``set`` and the number of its ``query``."""
    number = 0

    def of(name: str, *about: Any) -> Iterator[Row]:
        nonlocal number
        number += 1
        yield from ({"set": name, "query": number, **row} for row in case.rows(*about))

    first = len(case.houses) + len(case.rooms)
    for one, (path, place, _) in enumerate(case.places):
        right = [first + n for n, row in enumerate(case.places) if row[1] == place and n != one]
        yield from of("places", "place", next(photographs.pictures([path])).pixels, right, [first + one])
    for one, (stored, *others) in enumerate(case.rendered):
        for person, other in enumerate(others):
            if correspondences(stored, other)[1] >= _SHARED:
                shown = alter("person", other.pixels(), SEED + one) if person else other.pixels()
                yield from of("rendered rooms", "view", shown, [len(case.files) + one])
    names = [path.name for path in case.houses]
    twice = {names.index(a): names.index(b) for pair in photographs.HOUSES_DOUBLES for a, b in (pair, pair[::-1])}
    for name, start, paths in (("copies", 0, case.houses), ("rooms", len(case.houses), case.rooms)):
        chosen = list(range(0, len(paths), every if not start else 5 * every))
        originals = {n: next(photographs.pictures([paths[n]])).pixels for n in chosen}
        for alteration in ALTERATIONS:
            for step, one in enumerate(chosen):
                around = [chosen[(step + further) % len(chosen)] for further in range(1, 5)]
                shown = alter(alteration, originals[one], SEED + one, others=[originals[n] for n in around])
                inset = around if alteration.endswith("_inset") else []
                apart = {start + n for n in inset} | {twice[n] for n in [one, *inset] if not start and n in twice}
                yield from of(name, alteration, shown, [start + one], sorted(apart - {start + one}))


def _level(row: Row) -> Level:
    found = Verification(row["verified"], "", False, 0, row["inliers"], None, None, 0.0, "", void=row["void"])
    return strength(Match(1, 1, "", row["score"], verification=found, false_match=FalseMatchRate(*row["rate"]))).level


def told(rows: Sequence[Row]) -> dict[str, Any]:
    """What the words say of the pairs of a set, and of its queries were what they show not there."""
    true, false = ([_level(row) for row in rows if row["true"] is wanted] for wanted in (True, False))
    best: dict[int, bool] = defaultdict(bool)
    for row in rows:
        if not row["true"]:
            best[row["query"]] |= _level(row) is not Level.NOTHING

    def share(name: str, levels: Sequence[Level], level: Level) -> dict[str, Any]:
        count = levels.count(level)
        upper = clopper_pearson(np.array([float(count)]), np.array([float(len(levels))]))[1][0]
        return {name: count, f"{name}_share": count / len(levels), f"{name}_upper_95": float(upper)}

    return {
        "true": len(true),
        **share("true_nothing_convincing", true, Level.NOTHING),
        **share("true_geometry", true, Level.GEOMETRY),
        "false": len(false),
        **share("false_geometry", false, Level.GEOMETRY),
        "nothing_convincing_found_where_it_is_not_there": 1 - sum(best.values()) / len(best),
    }


def main() -> None:
    """Measure and report."""
    parser = report.parser("Strength in words")
    parser.add_argument("--every", type=int, default=30, help="alter each so-manieth house photograph")
    parser.add_argument("--rooms", type=int, default=900, help="room photographs in the case")
    parser.add_argument("--rows", type=Path, metavar="FILE", help="keep what was measured, or take it from there")
    arguments: argparse.Namespace = parser.parse_args()
    if arguments.rows is not None and arguments.rows.exists():
        rows = json.loads(arguments.rows.read_text(encoding="utf-8"))
    else:
        rows = list(measured(Case(arguments.rooms), arguments.every))
        if arguments.rows is not None:
            arguments.rows.write_text(json.dumps(rows), encoding="utf-8")
    sets = {name: told([row for row in rows if row["set"] == name]) for name in dict.fromkeys(r["set"] for r in rows)}
    photographed = [row for row in rows if row["set"] != "rendered rooms"]
    figures: dict[str, Any] = {
        "seed": SEED,
        "pairs": len(rows),
        "sets": {**sets, "all photographs": told(photographed)},
    }
    columns = ["true", "true_nothing_convincing", "false", "false_geometry"]
    shown = [[name, *(found[c] for c in columns), list(found.values())[-1]] for name, found in figures["sets"].items()]
    report.table("Strength in words", ["set", *columns, "nothing convincing found where it is not"], shown)
    report.finish("strength", figures, arguments.json)


if __name__ == "__main__":
    main()
