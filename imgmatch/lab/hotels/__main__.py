"""`python -m imgmatch.lab.hotels DIR --hotels N --seed S`: render hotels, from where the last call stopped."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from imgmatch.errors import ImgmatchError
from imgmatch.lab.hotels import models, run


def main() -> int:
    """Read the command line and render; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m imgmatch.lab.hotels", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--hotels", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--px", type=int, default=256, help="longer side of a view")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--rooms", type=int, help="places a hotel (default: 8 to 16)")
    parser.add_argument("--views", type=int, help="views a place (default: 3 to 6)")
    parser.add_argument("--cc0", action="store_true", help="only models in the public domain, nobody in front")
    parser.add_argument("--furniture", type=Path, default=models.SOURCE, help="the folder with the .sh3f files")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    settings = run.Settings(asked.seed, asked.px, asked.samples, asked.rooms, asked.views, asked.cc0)

    def said(text: str) -> None:
        sys.stdout.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        sys.stdout.flush()

    try:
        if asked.one is not None:
            run.one(asked.folder, asked.one, settings)
        else:
            run.collection(asked.folder, asked.hotels, settings, asked.jobs, asked.furniture, said)
    except ImgmatchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
