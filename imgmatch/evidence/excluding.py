"""Which files and folders are not to be looked at: by patterns of their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import translate

Excludes = Callable[[str], bool]


def excluder(patterns: Iterable[str]) -> Excludes:
    """Is a place left out? Of a pattern without a slash each name on the way counts (``*.iso``, ``node_modules``), of
    one with a slash the way from any folder on (``cache/*.tmp``); ``*`` stands for any letters, slashes too, ``?`` for
    one. Letters are the same in upper and lower case.
    """
    names: list[str] = []
    ways: list[str] = []
    for pattern in patterns:
        asked = pattern.replace("\\", "/").rstrip("/")
        (ways if "/" in asked else names).append(translate(asked.lstrip("/")))
    by_name = re.compile("|".join(names), re.IGNORECASE | re.DOTALL) if names else None
    by_way = re.compile("|".join(ways), re.IGNORECASE | re.DOTALL) if ways else None

    def excluded(place: str) -> bool:
        parts = [part for part in place.replace("\\", "/").split("/") if part]
        if by_name is not None and any(by_name.match(part) for part in parts):
            return True
        return by_way is not None and any(by_way.match("/".join(parts[start:])) for start in range(len(parts)))

    return excluded
