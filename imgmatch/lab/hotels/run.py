"""Rendering a collection of hotels: one hotel after the other, each whole before the next, resumable at every view."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imgmatch.errors import ImgmatchError
from imgmatch.lab.hotels import models, places
from imgmatch.lab.hotels.blender import require_blender
from imgmatch.lab.hotels.design import hotel
from imgmatch.lab.hotels.manifest import HotelFolder
from imgmatch.lab.hotels.phone import developed
from imgmatch.lab.hotels.visits import visit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from imgmatch.lab.hotels.cycles import Renderer
    from imgmatch.lab.hotels.design import Design
    from imgmatch.lab.hotels.models import Catalogue
    from imgmatch.lab.hotels.places import Place, Shot


@dataclass(frozen=True)
class Settings:
    """What a collection is rendered with: it goes into each hotel's `hotel.json`."""

    seed: int
    px: int = 256
    samples: int = 8
    rooms: int | None = None
    views: int | None = None
    only_cc0: bool = False

    def options(self) -> list[str]:
        """Return the command line that gives these settings to another process."""
        words = ["--seed", str(self.seed), "--px", str(self.px), "--samples", str(self.samples)]
        for name in ("rooms", "views"):
            if getattr(self, name):
                words += [f"--{name}", str(getattr(self, name))]
        return words + (["--cc0"] if self.only_cc0 else [])


def render_hotel(
    collection: Path, number: int, settings: Settings, catalogue: Catalogue, said: Callable[[str], None]
) -> int:
    """Render what is missing of one hotel; return how many views that were. Needs `bpy`, once a process."""
    from imgmatch.lab.hotels.cycles import Renderer

    folder = HotelFolder(collection, number)
    folder.claim()
    if folder.whole:
        return 0
    started = time.monotonic()
    design = hotel(settings.seed, number, settings.only_cc0)
    plan = places.places(design, settings.rooms, settings.views)
    done = folder.start(_facts(settings, number, design, plan))
    made = 0
    with Renderer(design, catalogue, settings.samples) as renderer:
        for place in plan:
            for line in _render_place(folder, done, renderer, place, settings.px):
                made += 1
                said(f"hotel {number} {line}")
    folder.finish(time.monotonic() - started)
    return made


def _facts(settings: Settings, number: int, design: Design, plan: list[Place]) -> dict[str, Any]:
    return {
        "seed": settings.seed,
        "hotel": number,
        "px": settings.px,
        "samples": settings.samples,
        "only_cc0": settings.only_cc0,
        "design": design.seed,
        "layout": design.layout,
        "models": design.models,
        "places": [[place.name, place.kind, place.number, place.views] for place in plan],
    }


def _render_place(folder: HotelFolder, done: set[str], renderer: Renderer, place: Place, px: int) -> Iterator[str]:
    """Render the missing views of a place; say of each that it is done."""
    design, catalogue = renderer.design, renderer.catalogue
    scenes = {now: places.scene(design, catalogue, place, now) for now in sorted(set(places.visits_of(design, place)))}
    numbers = places.numbering(list(scenes.values()))
    missing = [shot for shot in places.shots(design, catalogue, place, scenes, px) if shot.stem not in done]
    built = None
    for shot in missing:
        if shot.visit != built:
            renderer.build(scenes[shot.visit], numbers)
            built = shot.visit
        started = time.process_time()
        view = renderer.render(shot.camera, shot.people, shot.flash)
        picture = developed(view.light, np.random.default_rng(shot.seed))
        fields = _fields(design, catalogue, place, shot, numbers, scenes[shot.visit].things)
        shown = {int(value): int(count) for value, count in zip(*np.unique(view.ids, return_counts=True), strict=True)}
        fields["instances"] = {name: [at, shown[at]] for name, at in numbers.items() if at in shown}
        fields["person_share"] = round(sum(n for at, n in shown.items() if at >= places.PERSON) / view.ids.size, 4)
        fields["cpu_s"] = round(time.process_time() - started, 2)
        folder.keep(fields, picture, view.depth, view.ids)
        yield f"{shot.stem} {place.kind} {fields['cpu_s']} s"


def _fields(
    design: Design, catalogue: Catalogue, place: Place, shot: Shot, numbers: dict[str, int], things: Iterable[Any]
) -> dict[str, Any]:
    camera = shot.camera
    now = visit(design, place.number + 100 * len(place.kind), shot.visit)
    pieces = [*things, *shot.people]
    keys = {thing.model for thing in pieces if thing.model}
    return {
        "stem": shot.stem,
        "place": place.name,
        "kind": place.kind,
        "visit": shot.visit,
        "time": now.time,
        "curtain_open": now.curtain,
        "flash": round(shot.flash, 2),
        "width": camera.width,
        "height": camera.height,
        "field_of_view": round(camera.field_of_view, 4),
        "intrinsics": camera.intrinsics().round(4).tolist(),
        "pose": camera.pose().round(6).tolist(),
        "people": [person.model for person in shot.people],
        "movable": sorted({numbers[thing.name] for thing in pieces if thing.movable}),
        "models": sorted(keys),
        "licences": sorted({catalogue[key].licence for key in keys} | {"own"}),
    }


def collection(
    folder: Path, hotels: int, settings: Settings, jobs: int, source: Path, said: Callable[[str], None]
) -> None:
    """Render hotels 0 to ``hotels`` - 1 into a folder, ``jobs`` at a time, each in a process of its own.

    A process a hotel keeps Blender's memory small and a crash to one hotel. Raises ImgmatchError when one fails twice,
    and where Blender or the furniture is not installed.
    """
    require_blender()
    folder.mkdir(parents=True, exist_ok=True)
    catalogue = folder / "furniture"
    models.unpack(source, catalogue)
    waiting = [number for number in range(hotels) if not HotelFolder(folder, number).whole]
    said(f"{len(waiting)} of {hotels} hotels to render")
    running: dict[subprocess.Popen[bytes], int] = {}
    failed: dict[int, int] = {}
    started, done = time.monotonic(), 0
    while waiting or running:
        while waiting and len(running) < jobs:
            number = waiting.pop(0)
            command = [
                sys.executable,
                "-m",
                "imgmatch.lab.hotels",
                str(folder),
                "--one",
                str(number),
                *settings.options(),
            ]
            with (folder / "render.log").open("ab") as log:
                running[subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)] = number
        time.sleep(1)
        for process in [process for process in running if process.poll() is not None]:
            number = running.pop(process)
            if process.returncode == 0:
                done += 1
                hours = (time.monotonic() - started) / 3600
                said(f"hotel {number} whole; {done} in {hours:.2f} h, {len(waiting) + len(running)} to go")
                continue
            failed[number] = failed.get(number, 0) + 1
            if failed[number] > 1:
                for other in running:
                    other.terminate()
                raise ImgmatchError(f"hotel {number} failed twice; see {folder / 'render.log'}")
            waiting.insert(0, number)


def one(folder: Path, number: int, settings: Settings) -> None:
    """Render one hotel in this process, and stop between two views when the process that asked for it is gone."""
    parent = os.getppid()
    # Blender writes a hundred lines a view to standard output; ours go where it led, its own nowhere.
    log = os.fdopen(os.dup(1), "w")
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)

    def said(text: str) -> None:
        log.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        log.flush()
        if os.getppid() != parent:
            raise ImgmatchError("the process that asked for this is gone")

    catalogue = models.Catalogue(folder / "furniture", settings.only_cc0)
    render_hotel(folder, number, settings, catalogue, said)
