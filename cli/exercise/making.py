"""The exercise as a folder: made, and marked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from cli.exercise.questions import Question, questions
from imgmatch.errors import CaseError, UsageError
from imgmatch.given import load
from imgmatch.lab.exercise import roles, write_photographs

_KEPT = "exercise.json"
_MOST_BYTES = 1 << 16


class Marked(NamedTuple):
    """A question, what was answered, and whether that is right."""

    question: Question
    given: str
    right: bool


def make(folder: Path, seed: int) -> None:
    """Write the exercise of a seed into a new or empty folder: photographs, ``story.html``, ``story.txt``,
    ``answers.txt``. Raises CaseError where something is there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CaseError(f"{folder}: is there and not empty; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_photographs(folder, seed)
    told = roles(seed)
    words = {"questions": questions(told), "asked": told.asked}
    for name in ("story.html", "story.txt", "answers.txt"):
        env = Environment(
            loader=PackageLoader("cli.exercise"), autoescape=name.endswith("html"), undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        )  # fmt: skip
        (folder / name).write_text(env.get_template(f"{name}.j2").render(words), encoding="utf-8")
    (folder / _KEPT).write_text(json.dumps({"imgmatch_exercise": 1, "seed": seed}) + "\n", encoding="utf-8")


def key(folder: Path) -> tuple[Question, ...]:
    """The questions of an exercise that was made, with what is right. Raises UsageError on another folder."""
    try:
        kept = load(folder / _KEPT, _MOST_BYTES)
        if kept["imgmatch_exercise"] != 1 or not isinstance(kept["seed"], int):
            raise ValueError("of another version")
        return questions(roles(kept["seed"]))
    except OSError as error:
        raise UsageError(f"{folder}: holds no exercise; make one with: imgmatch exercise {folder}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{folder / _KEPT}: can't be read ({error}); make the exercise again") from error


def mark(folder: Path, answers: Path) -> list[Marked]:
    """Every question with what a sheet answers. Raises UsageError on what is no sheet of answers."""
    try:
        if answers.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{answers}: is too large for a sheet of answers; fill in answers.txt")
        text = answers.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{answers}: can't be read ({error.strerror}); fill in answers.txt") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{answers}: is no text; fill in answers.txt and save it as text (UTF-8)") from error
    given = dict(_lines(text))
    asked = key(folder)
    if not given.keys() & {question.name for question in asked}:
        raise UsageError(f"{answers}: holds no answer such as “hotel: NAME”; fill in answers.txt")
    return [
        Marked(one, given.get(one.name, ""), bool(given.get(one.name)) and one.is_right(given[one.name]))
        for one in asked
    ]


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, colon, given = line.partition(":")
        if colon and not line.lstrip().startswith("#"):
            yield " ".join(name.lower().split()), given.strip()
