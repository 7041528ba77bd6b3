"""Hashes and categories of Project VIC files: any version's list of media, alone or within cases, keys in any case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imgmatch.errors import UsageError
from imgmatch.given import Guarded
from imgmatch.optional import require

# Objects that describe a picture or film; what lies deeper (its copies) bears the same hashes.
_MEDIA = {"value.item", "value.item.media.item", "media.item", "item"}
_HASHES = ("sha256", "sha1", "md5")
_FIELDS = (*_HASHES, "category", "mediaid")


def vics_media(path: Path) -> Iterator[tuple[list[Any], Any]]:
    """Of each medium what it gives as hashes, alternative ones too, and its category. Raises UsageError where the file
    is damaged.
    """
    ijson = require("ijson", "exchange")
    count = 0
    found: dict[str, Any] = {}
    other: dict[str, Any] = {}
    hashes: list[Any] = []
    try:
        with path.open("rb") as file:
            guarded = Guarded(file)
            for prefix, event, value in ijson.parse(guarded, use_float=True):
                container, _, key = prefix.lower().rpartition(".")
                owner, _, last = container.rpartition(".alternativehashes")
                if event in ("string", "number"):
                    if container in _MEDIA and key in _FIELDS:
                        found[key] = value
                    elif last in (".item", "") and owner in _MEDIA and key in ("hashname", "hashvalue"):
                        other[key] = value
                elif event == "end_map" and prefix.lower() in _MEDIA:
                    guarded.guard.values = 0
                    if found or hashes:
                        count += 1
                        yield [*(found.get(name) for name in _HASHES), *hashes], found.get("category")
                    found, hashes = {}, []
                elif event == "end_map" and key in ("item", "alternativehashes") and other:
                    name = "".join(filter(str.isalnum, str(other.get("hashname")))).lower()
                    hashes += [other.get("hashvalue")] if name in _HASHES else []
                    other = {}
    except (ijson.JSONError, UnicodeDecodeError, ValueError) as error:
        what = " ".join(str(error).split())[:120]
        raise UsageError(f"{path}: damaged JSON after {count:,} entries ({what}); get the list again") from error
