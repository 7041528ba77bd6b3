"""Looking for faces in what a case holds already: pictures are read again where they were found."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from imgmatch.cores import usable_cores
from imgmatch.errors import EvidenceError
from imgmatch.evidence import DEFAULT_OPTIONS, SourceOptions
from imgmatch.evidence.read import Finder, only_this_file
from imgmatch.models.base import FaceEmbedder
from imgmatch.models.face import DECODED_PX
from indexer.case.case import Case
from indexer.case.faces import FACES_PROFILE, THOROUGH_FACES, add_faces, require_same_model
from indexer.case.run import Run
from indexer.index.protocol import Progress
from indexer.index.shelf import Shelf
from indexer.intake.embedding import in_order

if TYPE_CHECKING:
    from imgmatch.models.face import FoundFace

_BATCH = 256
_IN_FLIGHT = 8
_FULL_PX = 1 << 20


@dataclass(slots=True)
class FacesFound:
    """What a run did: items that were looked through, faces found and how many of them are not fit to be compared,
    items that could not be read again; ``left`` of all were not come to.
    """

    items: int = 0
    faces: int = 0
    unfit: int = 0
    unread: int = 0
    left: int = 0


def find_faces(
    case: Case,
    reader: FaceEmbedder,
    *,
    thorough: bool = False,
    jobs: int | None = None,
    options: SourceOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> FacesFound:
    """Find the faces of every item that was not looked through yet; ``thorough``: also of those that were, but not in
    tiles at full size. A kill loses the batch in flight; running again goes on. An item that can't be read again is
    counted, and met again by the next run.

    Raises CaseError where the gate of the case is closed, or was opened for another model.
    """
    shelf = require_same_model(case, reader)
    profile = THOROUGH_FACES if thorough else FACES_PROFILE
    done, stop = FacesFound(), stop or threading.Event()
    arguments = {"thorough": thorough, "jobs": jobs or usable_cores()}
    with case.writing(), case.run("find faces", reader.runtime, arguments=arguments, model=shelf.spec) as run:
        total = run.catalogue.counts()["items"]
        search = _Search(run, shelf, reader, Finder(case.limits, options), thorough)
        with ThreadPoolExecutor(jobs or usable_cores(), "faces") as pool:
            after = 0
            while items := run.catalogue.faces.unread_items(shelf.model_id, profile, after, _BATCH):
                after = items[-1]
                search.batch(pool, items, profile, done)
                run.entry.counts = asdict(done)
                if progress:
                    progress("items", done.items + done.unread, total)
                if stop.is_set():
                    break
            done.left = len(run.catalogue.faces.unread_items(shelf.model_id, profile, 0, total))
        run.entry.counts = asdict(done)
    return done


@dataclass(frozen=True, slots=True)
class _Search:
    """What reads one batch of items after another."""

    run: Run
    shelf: Shelf
    reader: FaceEmbedder
    finder: Finder
    thorough: bool

    def batch(self, pool: ThreadPoolExecutor, items: Sequence[int], profile: str, done: FacesFound) -> None:
        """Find the faces of some items, and commit them together."""
        contents = self.run.catalogue.items.by_id(items)
        seen = self.run.catalogue.sightings.of(items)

        def look(item_id: int) -> Sequence[FoundFace] | None:
            places = [sighting.locator for sighting in seen[item_id]]
            try:
                with only_this_file(places[0], "faces"):
                    image = self.finder.image(
                        contents[item_id].sha256, places, _FULL_PX if self.thorough else DECODED_PX
                    )
                    return self.reader.read(image, thorough=self.thorough)
            except EvidenceError:
                return None

        looked: list[tuple[int, Sequence[FoundFace]]] = []
        for item_id, faces in zip(items, in_order(pool, look, items, _IN_FLIGHT), strict=True):
            if faces is None:
                done.unread += 1
            else:
                looked.append((item_id, faces))
        known = self.run.catalogue.faces.of(item_id for item_id, _ in looked)
        before = [face.face_id for faces in known.values() for face in faces]
        with self.run.catalogue.transaction() as writer:
            if before:
                writer.vectors.drop(before)
            new = add_faces(writer, self.shelf, looked, profile)
        done.items += len(looked)
        done.faces += new["faces"]
        done.unfit += new["unfit"]
