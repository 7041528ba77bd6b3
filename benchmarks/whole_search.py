"""What a user finds: altered copies and other views of rooms, sought by the commands themselves.

python -m benchmarks.whole_search [--distractors N] [--every N] [--hotels DIR] [--json FILE]

Ingests the house photographs, other room photographs and one view of each rendered room, in the fast and in the
thorough profile, and searches with all that is on by default: three sizes, parts of the query, verification of the
nearest. Counts how often the right picture comes first, and how often it does so verified.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from benchmarks import photographs, report
from benchmarks.retrieval import SEED
from imgmatch.lab.alterations import alter
from imgmatch.lab.hotels.views import View
from imgmatch.picture.image import decode

COPIES = ("crop_quarter", "crop_tenth", "collage_inset", "paste_inset", "chain_mirror_crop_person", "chain_four")
ROOMS = "room, other view with a person"
PROFILES = ("fast", "thorough")


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    rooms = photographs.rendered_rooms(arguments.hotels)
    figures: dict[str, Any] = {"distractors": arguments.distractors, "rooms": len(rooms), "found": {}}
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        folder = Path(scratch)
        gallery = photographs.rooms(arguments.distractors)
        beside = [path for path in photographs.rooms() if path not in set(gallery)][::11]
        wanted = _queries(folder, photographs.houses()[:: arguments.every], beside, rooms)
        figures["queries"] = Counter(kind for kind, _ in wanted.values())
        sources = [photographs.data_folder() / "houses", folder / "rooms"]
        others = folder / "others"
        others.mkdir()
        for path in gallery:
            shutil.copy(path, others / photographs.name(path).replace("/", "-"))
        for profile in PROFILES:
            case = folder / profile
            _run("init", case, "--purpose", "benchmark")
            _run("ingest", case, *sources, others, "--profile", profile)
            output = _run("search", case, folder / "queries", "-k", 1, "--format", "jsonl")
            figures["found"][profile] = _found(output, wanted, figures["queries"])
            report.save("whole_search", figures, arguments.json)
    rows = [
        [kind, count, *(figures["found"][profile][kind][way] for profile in PROFILES for way in ("first", "verified"))]
        for kind, count in figures["queries"].items()
    ]
    columns = ["query", "queries", *(f"{profile}: {way}" for profile in PROFILES for way in ("first", "verified"))]
    report.table("Right picture in first place", columns, rows)
    report.finish("whole_search", {**figures, "load_average": report.load()}, arguments.json)


def _queries(
    folder: Path, houses: list[Path], beside: list[Path], rooms: list[list[View]]
) -> dict[str, tuple[str, str]]:
    """Write all queries; name of each to what it is and the file that is to be found. Writes the rooms' first views.

    ``beside``: photographs that are in no case, to stand in collages.
    """
    (folder / "queries").mkdir()
    (folder / "rooms").mkdir()
    wanted = {}
    for number, path in enumerate(houses):
        pixels = decode(path.read_bytes()).pixels
        near = [decode(beside[(number * 4 + n) % len(beside)].read_bytes()).pixels for n in range(4)]
        for kind in COPIES:
            name = f"{kind}-{number:04d}.png"
            Pillow.fromarray(alter(kind, pixels, SEED + number, near)).save(folder / "queries" / name, compress_level=1)
            wanted[name] = kind, str(path)
    for number, views in enumerate(rooms):
        one, other = (view.pixels() for view in views)
        target, name = folder / "rooms" / f"{number:04d}.png", f"room-{number:04d}.png"
        Pillow.fromarray(one).save(target, compress_level=1)
        Pillow.fromarray(alter("person", other, SEED + number)).save(folder / "queries" / name, compress_level=1)
        wanted[name] = ROOMS, str(target)
    return wanted


def _found(output: str, wanted: dict[str, tuple[str, str]], counts: dict[str, int]) -> dict[str, dict[str, float]]:
    first: Counter[str] = Counter()
    verified: Counter[str] = Counter()
    for line in output.splitlines():
        result = json.loads(line)
        kind, target = wanted[Path(result["query"]).name]
        for match in result["matches"][:1]:
            if any(sighting["path"] == target for sighting in match["sightings"]):
                first[kind] += 1
                verified[kind] += bool((match["verification"] or {}).get("verified"))
    return {
        kind: {"first": round(first[kind] / count, 3), "verified": round(verified[kind] / count, 3)}
        for kind, count in counts.items()
    }


def _run(*arguments: object) -> str:
    command = [sys.executable, "-m", "cli.main", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def _arguments() -> argparse.Namespace:
    parser = report.parser("Searches as a user makes them")
    parser.add_argument("--distractors", type=int, default=1000, help="so many room photographs more in the case")
    parser.add_argument("--every", type=int, default=4, help="alter each so-manieth house photograph")
    photographs.add_hotels(parser)
    parser.add_argument("--scratch", type=Path, help="folder for the cases and queries")
    return parser.parse_args()


if __name__ == "__main__":
    main()
