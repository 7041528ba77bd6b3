"""Manual pages, made from the commands: what ``--help`` says, as ``man imgmatch`` and ``man imgmatch-ingest`` show it.

    python -m cli.manual FOLDER

writes them; a wheel has them in share/man/man1 (hatch_build.py).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

import imgmatch
from cli.app import app

_EXIT_CODES = (
    ("0", "done"),
    ("1", "an error, said in one line; or what was verified is not as it was"),
    ("2", "a wrong option, or a name that occurs nowhere"),
    ("3", "with --strict: evidence could not be used"),
    ("130", "stopped by Ctrl-C, or by SIGTERM after what was in hand"),
    ("143", "ended by SIGTERM"),
)


def pages() -> dict[str, str]:
    """Every page by the name of its file: one of the program, one of each command and group."""
    root = typer.main.get_command(app)
    found = {f"{'-'.join(name)}.1": _page(name, command) for name, command in _commands(root, ("imgmatch",))}
    return dict(sorted(found.items()))


def write(folder: Path) -> list[Path]:
    """Write every page into a folder; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="ascii")
        written.append(folder / name)
    return written


def _commands(command: Any, name: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield name, command
    for word, below in getattr(command, "commands", {}).items():
        yield from _commands(below, (*name, word))


def _page(name: tuple[str, ...], command: Any) -> str:
    called, title = " ".join(name), "-".join(name)
    lines = [
        f'.TH "{title.upper()}" 1 "" "imgmatch {imgmatch.__version__}" "imgmatch"',
        ".SH NAME",
        f"{_escaped(title)} \\- {_escaped(_first_sentence(command.help or ''))}",
        ".SH SYNOPSIS",
        f".B {_escaped(called)}",
        _escaped(_synopsis(command)),
        ".SH DESCRIPTION",
        *_paragraphs(command.help or ""),
    ]
    below = getattr(command, "commands", {})
    if below:
        lines.append(".SH COMMANDS")
        for word, each in below.items():
            shown = f"{called} {word}"
            lines += [".TP", f".B {_escaped(shown)}", _escaped(_first_sentence(each.help or ""))]
    arguments = [p for p in command.params if p.param_type_name == "argument" and getattr(p, "help", None)]
    options = [p for p in command.params if p.param_type_name == "option" and not getattr(p, "hidden", False)]
    if arguments:
        lines.append(".SH ARGUMENTS")
        for parameter in arguments:
            lines += [".TP", f".I {_escaped(_argument(parameter))}", _escaped(parameter.help)]
    if options:
        lines.append(".SH OPTIONS")
        for parameter in options:
            lines += [".TP", f".B {_escaped(_option(parameter))}", _escaped(_told(parameter))]
    lines += [".SH EXIT STATUS"]
    for code, meaning in _EXIT_CODES:
        lines += [".TP", f".B {code}", _escaped(meaning)]
    others = sorted({"imgmatch", "-".join(name[:-1]) or "imgmatch"} - {title})
    if others:
        lines += [".SH SEE ALSO", ", ".join(f"\\fB{_escaped(other)}\\fR(1)" for other in others)]
    return "\n".join(lines) + "\n"


def _synopsis(command: Any) -> str:
    parts = ["[OPTIONS]"] if any(p.param_type_name == "option" for p in command.params) else []
    parts += [_argument(p) for p in command.params if p.param_type_name == "argument"]
    if getattr(command, "commands", {}):
        parts.append("COMMAND [ARGS]...")
    return " ".join(parts)


def _argument(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _option(parameter: Any) -> str:
    text = ", ".join(sorted(parameter.opts, key=len))
    if parameter.secondary_opts:
        text += " / " + ", ".join(parameter.secondary_opts)
    if not getattr(parameter, "is_flag", False):
        text += f" {parameter.metavar or parameter.name.upper()}"
    return text


def _told(parameter: Any) -> str:
    text = parameter.help or ""
    default = parameter.default
    if (
        isinstance(default, str | int | float)
        and not isinstance(default, bool)
        and default != ""
        and "default" not in text
    ):
        text += f" Default: {default}."
    return text


def _paragraphs(text: str) -> Iterator[str]:
    for number, part in enumerate(re.split(r"\n\s*\n", text.strip())):
        if number:
            yield ".PP"
        yield _escaped(" ".join(part.split()))


def _first_sentence(text: str) -> str:
    first = " ".join(text.strip().split("\n\n")[0].split())
    return re.split(r"(?<=[^.])\. ", first)[0].rstrip(".")


def _escaped(text: str) -> str:
    """Text that roff shows as it is; a line that would be an order to it begins with nothing."""
    shown = text.replace("\\", "\\e").replace("-", "\\-")
    shown = "".join(letter if letter.isascii() else f"\\[u{ord(letter):04X}]" for letter in shown)
    return f"\\&{shown}" if shown[:1] in (".", "'") else shown


if __name__ == "__main__":
    write(Path(sys.argv[1]))
