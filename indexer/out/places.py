"""Locators and formats in the words of other programs: file name, path, MIME type."""

from __future__ import annotations

import re

from PIL import Image

from imgmatch.locator import Locator, readable

# A drive or a share: only there is a backslash no part of a name.
_WINDOWS = re.compile(r"[A-Za-z]:\\|\\\\")


def file_name(locator: Locator) -> str:
    """The last part of the innermost place, whichever system's separators it has."""
    separator = "\\" if _WINDOWS.match(locator.at) else "/"
    return readable(locator.at.rstrip(separator).rpartition(separator)[2] or locator.at)


def file_path(locator: Locator) -> str:
    """The whole way to it: container after container, each followed by a bar."""
    own = readable(locator.at)
    return own if locator.parent is None else f"{file_path(locator.parent)}|{own}"


def mime_type(format: str) -> str:
    """The MIME type of a picture format as items have it."""
    Image.init()
    if format == "MPO":  # a JPEG file with further pictures behind the first
        return "image/jpeg"
    return Image.MIME.get(format) or f"image/{format.lower()}"
