"""What a picture stands for: the places, advertisements, telephone numbers, accounts and devices that label tables and
manifests name beside it, the camera that its file names, or else the source that it was found in.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from imgmatch.locator import Locator, readable
from imgmatch.types import Sighting

PLACE, ROOM, TELEPHONE, ADVERTISEMENT, ACCOUNT = "place", "room", "telephone", "advertisement", "account"
DEVICE, CAMERA, MODEL, SOURCE, GROUP = "device", "camera", "camera model", "source", "group"
MOST_SOURCES = 20
"""So many sources of one picture count."""
MOST_NAME = 200
"""Longer names are cut."""

# By the words of a column's name, the first kind that has one of them; a column with a word of _APART tells no kind.
_WORDS = {
    TELEPHONE: "phone telephone telephones phones tel mobile msisdn whatsapp",
    ACCOUNT: "account accounts user username users profile handle email mail nickname nick telegram instagram seller",
    ADVERTISEMENT: "ad ads advert adverts advertisement advertisements listing post posting url link",
    DEVICE: "device devices imei serial",
    ROOM: "room rooms",
    PLACE: "label hotel hotels motel place venue apartment property address",
}
_APART = frozenset(("count", "date", "description", "model", "note", "notes", "price", "size", "text", "time", "title"))
_DATES = frozenset(("date", "day", "posted", "published", "seen", "taken", "time", "timestamp", "when"))
_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_DAY = re.compile(r"\s*(\d{4})[-/.:](\d\d?)[-/.:](\d\d?)(?!\d)")
_SEVERAL = re.compile(r"\s*;\s*")
_CALLABLE = re.compile(r"[\d\s()+./-]+\Z")
_FEWEST_DIGITS = 5


class Entity(NamedTuple):
    """Something that pictures stand for: its kind, and what is the same however it is written."""

    kind: str
    key: str


Named = tuple[Entity, str]
"""An entity, and how it is written here."""


def words_of(column: str) -> list[str]:
    """The words of a column's name, folded."""
    return [word.casefold() for word in _WORD.findall(_HUMP.sub(" ", column))]


def kind_of(column: str) -> str | None:
    """What the values of a column are, by its name; None where that does not say."""
    words = set(words_of(column))
    if words & _APART:
        return None
    return next((kind for kind, those in _WORDS.items() if words & set(those.split())), None)


def is_date(column: str) -> bool:
    """Does a column say a day, by its name?"""
    return bool(set(words_of(column)) & _DATES)


def of_labels(labels: Mapping[str, Sequence[str]], kinds: Mapping[str, str]) -> Iterator[Named]:
    """The entities that labels name, by the kinds of their columns. A column of telephones that holds no numbers names
    devices. A room is one of the place that stands beside it, as every hotel has a room 5.
    """
    house = _house(labels, kinds)
    for column, values in labels.items():
        kind = kinds.get(column)
        if kind is None:
            continue
        for value in values:
            for part in (value,) if kind in (PLACE, ROOM) else _SEVERAL.split(value):
                name = " ".join(part.split())[:MOST_NAME]
                if name:
                    number = _number(name) if kind == TELEPHONE else ""
                    known = DEVICE if kind == TELEPHONE and not number else kind
                    if kind == ROOM and house:
                        name = f"{house}, {name}"[:MOST_NAME]
                    yield Entity(known, number or folded(name)), name


def _house(labels: Mapping[str, Sequence[str]], kinds: Mapping[str, str]) -> str:
    """The place that a picture's rooms are in: of several columns the one that most likely names it."""
    order = _WORDS[PLACE].split()
    columns = [column for column, values in labels.items() if kinds.get(column) == PLACE and any(values)]
    ranks = {column: min((order.index(w) for w in words_of(column) if w in order), default=99) for column in columns}
    if not columns:
        return ""
    values = labels[min(columns, key=lambda column: (ranks[column], column))]
    return " / ".join(sorted({" ".join(value.split()) for value in values if value.strip()}, key=folded))


def folded(name: str) -> str:
    """A name without regard to case, width and spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _number(name: str) -> str:
    """A telephone number by its digits, with a + for a country's; empty where it is none."""
    plain = unicodedata.normalize("NFKC", name)
    digits = "".join(str(unicodedata.digit(char)) for char in plain if char.isdigit())
    if not _CALLABLE.match(plain) or len(digits) < _FEWEST_DIGITS:
        return ""
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    return f"+{digits}" if plain.lstrip("( ").startswith("+") else digits


def of_metadata(metadata: Mapping[str, Mapping[str, Any]]) -> Iterator[Named]:
    """The camera that a file names: one device where a serial number is there, else a model, as many cameras are."""
    make, model, serial = (
        " ".join(str(metadata.get(f"camera_{part}", {}).get("value", "")).split())[:MOST_NAME]
        for part in ("make", "model", "serial")
    )
    camera = model if folded(model).startswith(folded(make)) else f"{make} {model}".strip()
    if set(serial) - set("0 -."):
        name = f"{camera}, serial {serial}" if camera else f"serial {serial}"
        yield Entity(CAMERA, folded(name)), name
    elif camera:
        yield Entity(MODEL, folded(camera)), camera


def of_places(sightings: Sequence[Sighting], case: str) -> dict[Named, None]:
    """The sources of a picture: folders, and files that hold others; of a pack, the case that it came from."""
    found: dict[Named, None] = {}
    for sighting in sightings:
        name = _source(sighting.locator, case)
        found[Entity(SOURCE, name), name] = None
        if len(found) == MOST_SOURCES:
            break
    return found


def _source(locator: Locator, case: str) -> str:
    outer = locator.outermost
    if outer.kind != "file":
        return f"a pack of {case}"
    at = readable(outer.at)
    if locator.parent is not None:
        return at
    cut = max(at.rfind("/"), at.rfind("\\"))
    return at[:cut] or at[: cut + 1]


def day_of(metadata: Mapping[str, Mapping[str, Any]], labels: Mapping[str, Sequence[str]]) -> str | None:
    """The day of a picture, YYYY-MM-DD: when it was taken by its own account, else by a column that says a date."""
    said = [str(metadata.get("taken", {}).get("value", ""))]
    said += [value for column, values in labels.items() if is_date(column) for value in values]
    for text in said:
        found = _DAY.match(text)
        if found and 1 <= int(found[2]) <= 12 and 1 <= int(found[3]) <= 31 and int(found[1]) >= 1826:
            return f"{found[1]}-{int(found[2]):02}-{int(found[3]):02}"
    return None
