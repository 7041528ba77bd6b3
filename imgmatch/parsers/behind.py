"""A JPEG behind the end of a JPEG: is it only a preview of it, as many cameras leave there?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from imgmatch.errors import EvidenceError
from imgmatch.parsers.pieces import Piece, Settings
from imgmatch.parsers.previews import alike, small
from imgmatch.picture import jpeg
from imgmatch.streams import one_line


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece]:
    """An empty Piece for the JPEG at START+LENGTH where it is smaller than the first picture and shows the same. Raises
    EvidenceError of kind ``broken_picture`` where one of them can't be read.
    """
    data = stream.read()
    start, _, length = (at or "0+0").partition("+")
    other = data[int(start) : int(start) + int(length)]
    large, less = jpeg.frame_of(data), jpeg.frame_of(other)
    if large is None or less is None or max(less.size) >= max(large.size):
        return
    try:
        same = alike(small(data), small(other))
    except (OSError, SyntaxError, ValueError) as error:
        raise EvidenceError("broken_picture", f"can't be compared: {one_line(error)}") from error
    if same:
        yield Piece("behind", at or "", b"")
