"""People, by their faces, as the page asks for them: only where the gate of the case is open, and with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cli.review.asked import flag, post, text, whole
from indexer.search.faces.asked import FaceRequest

if TYPE_CHECKING:
    from cli.review.views import Views
    from indexer.review import Desk

_SHOWN = 60


class Facing:
    """Its routes, over a desk."""

    def __init__(self, desk: Desk, views: Views) -> None:
        self._desk, self._views = desk, views
        self.routes = [post("/faces/of", self.faces), post("/faces/found", self.found)]

    def faces(self, request: Request, given: dict[str, Any]) -> Response:
        """The faces of a query picture: boxes as shares of its width and height, from left to right; recorded."""
        looked = self._desk.people.look(whole(given, "query"), text(given, "reason"), self._desk.examiner)
        wide, tall = looked.image.upright_size_px
        faces = [
            {
                "number": number,
                "box": [x / wide, y / tall, width / wide, height / tall],
                "unfit": found.face.unfit,
                "quality": found.face.quality,
            }
            for number, found in enumerate(looked.faces, start=1)
            for x, y, width, height in (found.face.box,)
        ]
        return JSONResponse({"faces": faces})

    def found(self, request: Request, given: dict[str, Any]) -> Response:
        """The items that show the person of a face; recorded."""
        wanted = FaceRequest(text(given, "reason"), _SHOWN, flag(given, "unfit"))
        found = self._desk.people.search(whole(given, "query"), whole(given, "face"), wanted)
        return JSONResponse({"matches": len(found.matches), "html": self._views.piece("found_faces", found=found)})
