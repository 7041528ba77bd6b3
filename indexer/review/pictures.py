"""Pictures for a reviewer's eyes: blurred and grey in their very bytes, or clear when that was asked for."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image as Pillow

from imgmatch.errors import UsageError
from imgmatch.evidence.read import Finder, read
from imgmatch.match.drawing import Heat
from imgmatch.match.faces import without_faces
from imgmatch.types import Image
from indexer.case.use import Use
from indexer.out.report.pictures import blur, jpeg
from indexer.review.queries import QueryPicture

CLEAR_PX = (320, 4000)
"""Least and most length of a clear picture's longer side."""
_KEPT = 4096


class Pictures:
    """Reads pictures again where they were found. The last blurred ones are kept, a few kilobytes each, in memory."""

    def __init__(self, use: Use) -> None:
        self._use = use
        self._finder = Finder(use.limits)
        self._blurred: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def item(self, item_id: int, clear_px: int | None = None, grey: bool = False, faces: bool = False) -> bytes:
        """An item's picture as JPEG, blurred unless ``clear_px`` says how long it may be; then its faces stay hidden,
        unless ``faces`` are to be seen, or can't be found here.

        Raises UsageError when there is no such item, EvidenceError when no source has its content any more.
        """
        item = self._use.catalogue.items.by_id([item_id]).get(item_id)
        if item is None:
            raise UsageError(f"{item_id}: no such item in {self._use.path}")

        def decoded(min_side_px: int) -> Image:
            seen = self._use.catalogue.sightings.of([item_id])[item_id]
            return self._finder.image(item.sha256, (sighting.locator for sighting in seen), min_side_px)

        return self._shown(item.sha256, decoded, clear_px, grey, faces)

    def query(
        self, picture: QueryPicture, clear_px: int | None = None, grey: bool = False, faces: bool = False
    ) -> bytes:
        """A query picture as JPEG, as ``item``."""

        def decoded(min_side_px: int) -> Image:
            return read(picture.found, self._finder.limits).image(min_side_px)

        return self._shown(picture.sha256, decoded, clear_px, grey, faces)

    def _shown(
        self, sha256: str, decoded: Callable[[int], Image], clear_px: int | None, grey: bool, faces: bool
    ) -> bytes:
        if clear_px is not None:
            clear_px = min(max(clear_px, CLEAR_PX[0]), CLEAR_PX[1])
            picture = Pillow.fromarray(decoded(clear_px).pixels)
            picture.thumbnail((clear_px, clear_px), Pillow.Resampling.LANCZOS)
            if not faces:
                picture = Pillow.fromarray(without_faces(np.asarray(picture)))
            return jpeg(picture.convert("L") if grey else picture, 88)
        with self._lock:
            if sha256 in self._blurred:
                self._blurred.move_to_end(sha256)
                return self._blurred[sha256]
        made = jpeg(blur(Pillow.fromarray(decoded(CLEAR_PX[0]).pixels)), 70)
        with self._lock:
            self._blurred[sha256] = made
            if len(self._blurred) > _KEPT:
                self._blurred.popitem(last=False)
        return made


def heat_png(values: Heat, peak: float) -> bytes:
    """A heat map (h, w), as colours that lie over a picture: PNG with the share of ``peak`` as opacity."""
    spread = np.clip(cv2.resize(values, (160, 160), interpolation=cv2.INTER_CUBIC) / max(peak, 1e-9), 0, 1)
    colours = cv2.cvtColor(cv2.applyColorMap((spread * 255).astype(np.uint8), cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    alpha = (60 + 150 * spread).astype(np.uint8)
    buffer = io.BytesIO()
    Pillow.fromarray(np.dstack([colours, alpha])).save(buffer, "PNG")
    return buffer.getvalue()
