"""Entries of a log whose texts can be taken out later without breaking the chain.

An entry is chained by the SHA-256 of what it comes to once each of its texts is replaced by a commitment: the SHA-256
of a random salt and the text. The salts stand in the entry, so that everyone can verify it. Where a text is redacted,
its commitment takes its place and its salt is gone: the chain still holds, and nobody can find the text by trying, as
they could from a hash alone. Lines keep their length.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from imgmatch.given import loads

SALTS = "salts"
REDACTED = "#"
"""What a text that was redacted is: an object of its commitment alone, under this name."""
GONE = "(erased)"
"""What stands for it where an entry is read."""
LEAST_LETTERS = 8
"""Shorter texts have no salt: they are words of the program, or too short to name anything."""
_SALT_BYTES, _COMMITMENT_LETTERS = 16, 44
_NEVER = {"entry", "time_utc", "actor", "declared", "action", "version", "before", "model", "weights_sha256", SALTS}
_DIGEST = re.compile(r"[0-9a-fA-F]+\Z")


def line_of(entry: Mapping[str, Any]) -> bytes:
    """An entry as a line of the log, with a salt for each of its texts that may have to go one day."""
    salts = {way: secrets.token_hex(_SALT_BYTES) for way, text in _texts(entry) if _may_name(text)}
    return _dumped({**entry, SALTS: salts} if salts else entry) + b"\n"


def digest(line: bytes) -> str:
    """The SHA-256 that the next entry names of a line: of its commitments where it has salts, else of the line as it
    stands, which is so too of one that is not what this module writes.
    """
    entry = _written(line)
    if entry is None:
        return hashlib.sha256(line).hexdigest()
    salts = entry.pop(SALTS)
    met: set[str] = set()

    def committed(way: str, text: str) -> Any:
        if way not in salts:
            return text
        met.add(way)
        return _commitment(salts[way], text)

    made = {name: value if name in _NEVER else _replaced(value, committed, name) for name, value in entry.items()}
    return hashlib.sha256(_dumped(made) + b"\n" if met == set(salts) else line).hexdigest()


def redacted(line: bytes, names_something: Callable[[dict[str, Any], str, str], bool]) -> bytes:
    """A line without the texts of which ``names_something`` (the entry, their way in it, the text) says so: as long,
    and with the same digest. The line itself where nothing of it can be redacted.
    """
    entry = _salted(line)
    if entry is None:
        return line
    salts = entry.pop(SALTS)
    gone = {way for way, text in _texts(entry) if way in salts and names_something(entry, way, text)}
    if not gone:
        return line
    left = _replaced(entry, lambda way, text: _commitment(salts[way], text) if way in gone else text)
    kept = {way: salt for way, salt in salts.items() if way not in gone}
    return _dumped({**left, SALTS: kept}).ljust(len(line) - 1) + b"\n"


def legible(line: bytes) -> dict[str, Any]:
    """An entry for whoever reads it: without salts, redacted texts say so. Raises ValueError of what is no JSON,
    KeyError and TypeError of what is no entry.
    """
    entry = loads(line)
    entry["entry"]
    if f'"{REDACTED}"'.encode() in line:
        entry = _replaced(entry, lambda way, text: text, hide=True)
    return {name: value for name, value in entry.items() if name != SALTS}


def _salted(line: bytes) -> dict[str, Any] | None:
    """An entry all of whose salts are of texts in it; None of anything else."""
    entry = _written(line)
    return entry if entry is not None and set(entry[SALTS]) <= dict(_texts(entry)).keys() else None


def _written(line: bytes) -> dict[str, Any] | None:
    """An entry that has salts and is written as this module writes it; None of anything else."""
    if b'"' + SALTS.encode() + b'"' not in line:
        return None
    try:
        entry = loads(line)
        as_written = isinstance(entry, dict) and line.rstrip(b" \n") == _dumped(entry)
    except (ValueError, TypeError, RecursionError):
        return None
    salts = entry.get(SALTS) if as_written else None
    right = isinstance(salts, dict) and all(isinstance(salt, str) for salt in salts.values())
    return entry if right else None


def _may_name(text: str) -> bool:
    return len(text) >= LEAST_LETTERS and not _DIGEST.match(text)


def _commitment(salt: str, text: str) -> dict[str, str]:
    of = salt.encode() + b"\0" + text.encode("utf-8", "surrogatepass")
    return {REDACTED: base64.b64encode(hashlib.sha256(of).digest()).decode()}


def _is_commitment(value: Mapping[Any, Any]) -> bool:
    """Does it stand for a text that was redacted? Something else may bear that name too."""
    held = value.get(REDACTED)
    return len(value) == 1 and isinstance(held, str) and len(held) == _COMMITMENT_LETTERS


def _texts(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text of an entry that is not the program's own, with its way: names and places in lists, by ``/``."""
    found: list[tuple[str, str]] = []

    def note(way: str, text: str) -> str:
        found.append((way, text))
        return text

    _replaced({name: value for name, value in entry.items() if name not in _NEVER}, note)
    yield from found


def _replaced(value: Any, by: Callable[[str, str], Any], way: str = "", *, hide: bool = False) -> Any:
    if isinstance(value, str):
        return by(way, value)
    below = f"{way}/" if way else ""
    if isinstance(value, Mapping):
        if _is_commitment(value):
            return GONE if hide else value
        return {str(name): _replaced(each, by, below + str(name), hide=hide) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(each, by, f"{below}{place}", hide=hide) for place, each in enumerate(value)]
    return value


def _dumped(entry: Any) -> bytes:
    return json.dumps(entry, sort_keys=True).encode("ascii")
