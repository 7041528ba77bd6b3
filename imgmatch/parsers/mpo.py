"""Further pictures of a Multi-Picture file (CIPA DC-007): JPEG files behind a JPEG, as its index names them."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator

from imgmatch.parsers.pieces import Piece, Trouble
from imgmatch.parsers.previews import alike, segments, small, stated_orientation, turned_as
from imgmatch.picture import directories as tags

_ENTRY = 16
_TYPE, _LARGE_THUMBNAIL = 0xFFFFFF, (0x010001, 0x010002)


def pictures(data: bytes, only: str | None = None) -> Iterator[Piece | Trouble]:
    """Pictures but the first, called by their number from 0, as they lie in the file, with its orientation where they
    state none. What the index calls a large thumbnail is given where it shows something else than the first picture.
    """
    start = next((at + 4 for marker, at in segments(data) if marker == 0xE2 and data[at : at + 4] == b"MPF\0"), None)
    order = None if start is None else tags.order_of(data, start)
    if start is None or order is None:
        return
    with contextlib.suppress(struct.error):
        entries = bytes(tags.first(data, start).tags.get(tags.MP_ENTRIES, ()))
        for number in range(1, len(entries) // _ENTRY):
            if only is not None and only != str(number):
                continue
            kind, length, at = struct.unpack_from(order + "III", entries, _ENTRY * number)
            found = data[start + at : start + at + length]
            if not at or not found.startswith(b"\xff\xd8"):
                yield Trouble("frame", str(number), "broken_picture", "no picture is where the file says one is")
            elif only is not None or kind & _TYPE not in _LARGE_THUMBNAIL or not _shows_the_same(data, found):
                yield Piece("frame", str(number), turned_as(found, stated_orientation(data)))


def _shows_the_same(data: bytes, found: bytes) -> bool:
    try:
        return alike(small(data), small(found))
    except (OSError, SyntaxError, ValueError):  # whoever decodes it says so
        return False
