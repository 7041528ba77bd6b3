"""What the columns of hash lists are called by the programs that write them."""

from __future__ import annotations

import csv
import re

from imgmatch.given import delimiter_of, legible

CATEGORY, PDQ, QUALITY = "category", "pdq", "quality"
DIGESTS = ("sha256", "sha1", "md5", "hash")
"""Columns of digests; ``hash`` holds any."""

# "MD5 Hash", "Hash Value (SHA-1)", "File MD5", "sha256sum", "Hash1", "Hashwert": words without weight around the kind.
# Not "Parent MD5", "MD5 of the container", "Hash set": such are of something else.
_WORDS = (
    "hash|wert|sum|value|digest|checksum|fingerprint|hex|base64|code|file|datei|entry|media|item|content|picture|"
    "computed|original|of|the|bit|lower|upper|case"
)
_SAYS = "hash|hashes|checksum|digest|fingerprint|hachage|empreinte|pruefsumme|prüfsumme"
_DIGEST = re.compile(rf"(?:{_WORDS})*?(?:(md5)|(sha1)|(sha(?:2)?256)|sha2?|(?:{_SAYS})\d?)(?:{_WORDS}|\d)*")
_MOST_NAME = 60
_CATEGORIES = {"category", "vicscategory", "classification", "mediacategory", "grade"}
_PDQS = {"pdq", "pdqhash", "pdqhex", "pdqvalue", "hashpdq"}


def named(header: str, delimiter: str | None = None) -> dict[str, list[int]]:
    """The columns that the first line of a list names: ``DIGESTS``, category, pdq, quality; the places of each. Others
    are left out, whatever their hashes are of (PhotoDNA, ssdeep, hash sets).
    """
    found: dict[str, list[int]] = {}
    for place, cell in enumerate(cells_of(header, delimiter)):
        name = re.sub(r"[\W_]", "", legible(cell)).lower()
        if name in _CATEGORIES:
            kind: str | None = CATEGORY
        elif name in _PDQS:
            kind = PDQ
        elif name == QUALITY:
            kind = QUALITY
        else:
            kind = _digest(name)
        if kind is not None:
            found.setdefault(kind, []).append(place)
    return found


def cells_of(line: str, delimiter: str | None = None) -> list[str]:
    """The cells of a line that holds a whole row. Raises csv.Error."""
    return next(csv.reader((line,), delimiter=delimiter or delimiter_of(line)), [])


def _digest(name: str) -> str | None:
    found = _DIGEST.fullmatch(name) if len(name) <= _MOST_NAME else None
    if found is None:
        return None
    return "md5" if found[1] else "sha1" if found[2] else "sha256" if found[3] else "hash"
