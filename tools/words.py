"""The words of the pages in other languages: ``python tools/words.py`` brings imgmatch/languages up to date.

Reads every message out of templates, scripts and phrases.txt, puts new ones into the .po files, takes out what nobody
says any more, and compiles the .mo files that are shipped. ``--check`` changes nothing and ends with 1 where something
is missing. Needs Babel (``imgmatch[dev]``).
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
FOLDER = ROOT / "imgmatch" / "languages"
TEMPLATES = (ROOT / "cli" / "review" / "templates", ROOT / "indexer" / "out" / "report" / "templates")
SCRIPTS = ROOT / "cli" / "review" / "static"


def said() -> dict[str, str]:
    """Every message, and the first file that says it."""
    from imgmatch.templating import messages, script_messages

    found: dict[str, str] = {}
    for folder in TEMPLATES:
        for file in sorted(folder.rglob("*.html.j2")):
            for message in messages(file.read_text(encoding="utf-8")):
                found.setdefault(message, file.name)
    for file in sorted(SCRIPTS.glob("*.js")):
        for message in script_messages(file.read_text(encoding="utf-8")):
            found.setdefault(message, file.name)
    for line in (FOLDER / "phrases.txt").read_text(encoding="utf-8").splitlines():
        found.setdefault(line, "phrases.txt")
    return found


class _Plain(Catalog):
    """A catalogue that says nothing of when and by what it was written, so that it is the same each time."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        """What a reader of the file must know."""
        return [("Language", str(self.locale)), ("Content-Type", "text/plain; charset=utf-8")]


def catalogue(language: str) -> Catalog:
    """What there is of a language; empty where it is new."""
    file = FOLDER / f"{language}.po"
    if not file.exists():
        return Catalog(language, charset="utf-8", fuzzy=False)
    with file.open("rb") as opened:
        return read_po(opened, language)


def compiled(language: str) -> bytes:
    """The .mo file of a language, of all its messages that are translated."""
    plain = _Plain(language, charset="utf-8", fuzzy=False)
    for message in catalogue(language):
        if message.id:
            plain.add(message.id, message.string)
    made = io.BytesIO()
    write_mo(made, plain)
    return made.getvalue()


def faults(language: str) -> list[str]:
    """What is wrong with a language: messages that are missing, left over, or have other values or tags."""
    have = catalogue(language)
    wanted = said()
    found = [f"missing: {message}" for message in wanted if not (have.get(message) and have.get(message).string)]
    for message in have:
        if message.id and message.id not in wanted:
            found.append(f"nobody says: {message.id}")
        elif (
            message.id
            and message.string
            and any(
                _fixed(_of_number(message.id, number)) != _fixed(_of_number(message.string, number))
                for number in (1, 2)
            )
        ):
            found.append(f"other values or tags: {message.id}")
    return found


def _of_number(text: str, number: int) -> str:
    """A message as it is where all its values are a number: of ``[0 picture|pictures]`` the one or the other."""
    from imgmatch.language import counted

    return counted(text, [number] * 10)


def _fixed(text: str) -> list[str]:
    return sorted(re.findall(r"{\d}|</?[a-z]+[^>]*>|<code>.*?</code>", text))


def update(language: str) -> None:
    """Bring the .po and the .mo of a language up to date."""
    before, after = catalogue(language), _Plain(language, charset="utf-8", fuzzy=False)
    after.header_comment = f"# The words of imgmatch, {language}. Not yet checked by an examiner who speaks it."
    for message, file in said().items():
        old = before.get(message)
        after.add(message, old.string if old else "", locations=[(file, 0)])
    with (FOLDER / f"{language}.po").open("wb") as opened:
        write_po(opened, after, width=0, include_lineno=False, sort_output=False)
    (FOLDER / f"{language}.mo").write_bytes(compiled(language))


def main() -> None:
    """Update, or check."""
    from imgmatch.language import ENGLISH, LANGUAGES

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    wrong = 0
    for language in LANGUAGES:
        if language == ENGLISH:
            continue
        if not asked.check:
            update(language)
        for fault in faults(language):
            wrong += 1
            sys.stdout.write(f"{language}: {fault}\n")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
