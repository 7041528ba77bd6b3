"""A person looked for from the review page, through the gate of the case: a face is chosen in a query picture by a
click.
"""

from __future__ import annotations

import threading

from imgmatch.errors import EvidenceError, UsageError
from imgmatch.models.faces.reader import FaceReader, load_faces
from indexer.case.case import Case
from indexer.review.queries import Queries
from indexer.search.faces.asked import FaceRequest, Looked, chosen_of, look_at, require_reason
from indexer.search.faces.found import FaceResult
from indexer.search.faces.searcher import FaceSearcher


class People:
    """Faces of query pictures, and searches with them. The model is loaded when it is first needed."""

    def __init__(self, case: Case, queries: Queries) -> None:
        self._case, self._queries = case, queries
        self._lock = threading.Lock()
        self._loaded: tuple[FaceReader, FaceSearcher] | None = None

    def look(self, query_id: int, reason: str, examiner: str) -> Looked:
        """The faces of a query picture, from left to right; recorded with the reason, and none is shown by it.

        Raises CaseError where the gate is closed, UsageError where there is no such picture or it can't be read.
        """
        shelf = self._case.face_shelf()
        picture = self._queries.get(query_id)
        arguments = {"reason": require_reason(reason), "drawn": False, "revealed": [], "examiner": examiner}
        subject = {"picture": str(picture.found.locator), "sha256": picture.sha256}
        with self._case.use("show faces", arguments=arguments, subject=subject, model=shelf.spec) as use:
            found = self._look(query_id)
            use.entry.counts = {"faces": len(found.faces)}
        return found

    def search(self, query_id: int, number: int, request: FaceRequest) -> FaceResult:
        """Search with a face of a query picture, by its number; recorded with the reason. Raises as ``look``."""
        self._case.face_shelf()
        chosen = chosen_of(self._look(query_id), self._queries.get(query_id).name, number)
        return self._tools()[1].search([[chosen]], request)

    def _look(self, query_id: int) -> Looked:
        picture = self._queries.get(query_id)
        try:
            return look_at(picture.found, self._tools()[0])
        except EvidenceError as error:
            raise UsageError(f"{picture.name}: {error}; choose another picture") from error

    def _tools(self) -> tuple[FaceReader, FaceSearcher]:
        with self._lock:
            if self._loaded is None:
                reader = load_faces(self._case.face_shelf().spec.name)
                self._loaded = reader, FaceSearcher(self._case, reader)
            return self._loaded
