"""The language of what people read: the review page, the lead sheet, the overview. Everything for programs is English.

    choose("de"); say("No match")

English is built in. The others are compiled catalogues beside this module (``languages/de.mo``), read by the standard
library. A word that no catalogue has stays English. What depends on a number is written ``{0} [0 picture|pictures]``:
the first for one, the second for more of the value 0, in every language by itself (``counted``).
"""

from __future__ import annotations

import gettext
import locale
import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from imgmatch.errors import UsageError

ENGLISH: Final = "en"
LANGUAGES: Final = {ENGLISH: "English", "de": "Deutsch", "es": "español", "fr": "français"}
VARIABLE: Final = "IMGMATCH_LANGUAGE"
NO_BREAK: Final = "\u00a0"
_FOLDER: Final = Path(__file__).with_name("languages")
_PLACE: Final = re.compile(r"{(\d)}")
_CHOICE: Final = re.compile(r"\[(\d) ([^\[\]|]*)\|([^\[\]|]*)\]")
_ONE: Final = {"fr": ("0", "1")}
"""Numbers that a language treats as one; elsewhere that is 1 alone."""

_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_PER_CENT: Final = re.compile(r"\d+%")
_DECIMAL: Final = re.compile(r"(-?\d+|\d{1,3}(?:,\d{3})+)\.(\d+)")

_chosen: list[str] = []


def choose(name: str | None) -> None:
    """Take a language, ``auto`` for that of the system; None for what IMGMATCH_LANGUAGE says, else English.

    Raises UsageError on one that there is not.
    """
    name = name or os.environ.get(VARIABLE) or ENGLISH
    wanted = _of_the_system() if name == "auto" else re.split(r"[_.\-@]", name.lower())[0]
    if wanted not in LANGUAGES:
        raise UsageError(f"no language {name!r}; there are: auto, {', '.join(LANGUAGES)}")
    _chosen[:] = [wanted]


def current() -> str:
    """The language that was taken, by its two letters."""
    if not _chosen:
        choose(None)
    return _chosen[0]


def say(message: str) -> str:
    """A message in the language that was taken."""
    found = _catalogue(current())
    return message if found is None or not message else found.gettext(message)


def counted(message: str, values: Sequence[object]) -> str:
    """A message with the words that its values ask for: ``[0 picture|pictures]`` becomes one of the two."""
    one = _ONE.get(current(), ("1",))
    return _CHOICE.sub(lambda found: found[2 if str(values[int(found[1])]) in one else 3], message)


def filled(message: str, *values: object) -> str:
    """A message in the language that was taken, with its values and the words that they ask for."""
    return counted(say(message), values).format(*map(shown, values))


def shown(value: object) -> object:
    """A value as the language that was taken writes it: in others than English 2,430 would be two and a half, so that
    thousands stand apart by a narrow space (ISO 80000-1, 7.3.1), and a per cent sign by one that doesn't break.
    Anything but such a number stays as it is.
    """
    if current() == ENGLISH or not isinstance(value, str):
        return value
    if _THOUSANDS.fullmatch(value):
        return type(value)(value.replace(",", "\u202f"))
    return type(value)(f"{value[:-1]}{NO_BREAK}%") if _PER_CENT.fullmatch(value) else value


def decimal(number: float, places: int) -> str:
    """A number with so many decimals, by a comma in others than English. What programs read is never made by this."""
    return _comma(f"{number:.{places}f}")


def size(words: str) -> str:
    """What ``size_text`` says of a number of bytes, in the language that was taken: ``26.5 KiB``."""
    number, _, unit = words.partition(" ")
    return f"{shown(_comma(number))} {say(unit)}"


def spaced(sign: str) -> str:
    """A colon or semicolon with the space behind it, and the one before it that French has."""
    return f"{NO_BREAK if current() == 'fr' else ''}{sign} "


def phrase(text: str) -> str:
    """A sentence that another part made of a message and its values, in the language that was taken: each part
    between ``; `` by itself. What is not known stays as it is.
    """
    if current() == ENGLISH:
        return text
    return spaced(";").join(_whole(part) for part in text.split("; "))


def _whole(text: str) -> str:
    said = say(text)
    if said != text:
        return said
    for pattern, message in _phrases(current()):
        if found := pattern.fullmatch(text):
            return filled(message, *map(_whole, found.groups()))
    return str(shown(_comma(text)))


def _comma(text: str) -> str:
    """A number with decimals as the language that was taken writes it; anything else as it is."""
    found = None if current() == ENGLISH else _DECIMAL.fullmatch(text)
    return f"{shown(found[1])},{found[2]}" if found else text


@cache
def _catalogue(name: str) -> gettext.GNUTranslations | None:
    if name == ENGLISH:
        return None
    with (_FOLDER / f"{name}.mo").open("rb") as file:
        return gettext.GNUTranslations(file)


@cache
def _phrases(name: str) -> list[tuple[re.Pattern[str], str]]:
    """Messages of ``phrases.txt`` that hold values, the longest first, as patterns."""
    lines = (_FOLDER / "phrases.txt").read_text(encoding="utf-8").splitlines()
    wanted = sorted((line for line in lines if _PLACE.search(line)), key=len, reverse=True)
    return [(re.compile("".join(_pattern(line))), line) for line in wanted]


def _pattern(line: str) -> Iterator[str]:
    """A message as a pattern: values are groups, and either word of a choice will do."""
    for part in re.split(r"({\d}|\[\d [^\[\]]*\])", line):
        if _PLACE.fullmatch(part):
            yield "(.+?)"
        elif choice := _CHOICE.fullmatch(part):
            yield f"(?:{re.escape(choice[2])}|{re.escape(choice[3])})"
        else:
            yield re.escape(part)


def _of_the_system() -> str:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if said := os.environ.get(name):
            break
    else:
        said = locale.getlocale()[0] or ""
    found = re.split(r"[_.\-@]", said.lower())[0]
    return found if found in LANGUAGES else ENGLISH
