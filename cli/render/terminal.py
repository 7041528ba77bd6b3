"""The one way out for text: whoever writes it, a library too, nothing in it moves the cursor or turns the line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from indexer.out.jsontext import OUT_OF_SIGHT

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]|\r(?!\n)")


class Seen:
    """A text stream whose writers can write nothing but ends of lines, tabs and letters that can be seen."""

    def __init__(self, stream: TextIO) -> None:
        self.drawn = stream
        """The stream as it is, for what is drawn on a terminal and holds no text of others."""

    def write(self, text: str) -> int:
        """Write text, with an escape for each letter that is none."""
        self.drawn.write(OUT_OF_SIGHT.sub(_escaped, _CONTROLS.sub(_escaped, text)))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each line in turn."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.drawn, name)


def guard() -> None:
    """From now on standard output and standard error are ``Seen``; names of any bytes can be printed. What was closed
    leads nowhere, and no file that is opened later takes its place.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  (for as long as the program runs)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, Seen(stream))


def drawn() -> TextIO:
    """Standard error for what is drawn there."""
    stream = sys.stderr
    return stream.drawn if isinstance(stream, Seen) else stream


def _escaped(letter: re.Match[str]) -> str:
    return letter[0].encode("unicode_escape", "surrogatepass").decode("ascii")
