"""The browser is led to the page by a file of this account alone: every account can read the arguments of a program."""

from __future__ import annotations

import sys
import tempfile
import threading
import webbrowser
from contextlib import suppress
from html import escape
from pathlib import Path

_PAGE = """<!doctype html>
<meta charset="utf-8"><meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0;url={address}">
<title>imgmatch review</title><p><a href="{address}">To the review page</a></p>
"""


class Doorstep:
    """The file that leads to the page, until it is taken away."""

    def __init__(self, address: str) -> None:
        self._file = _written(_PAGE.format(address=escape(address)))

    def open(self) -> None:
        """Start the browser, beside: one that does not return must not keep the page waiting; none is no failure."""
        if self._file is not None:
            threading.Thread(target=self._start, args=(self._file.as_uri(),), daemon=True).start()

    @staticmethod
    def _start(uri: str) -> None:
        with suppress(webbrowser.Error, OSError):
            webbrowser.open(uri)

    def remove(self) -> None:
        """Take the file away; what it holds let in once, if at all."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)


def _written(text: str) -> Path | None:
    """A new file that only this account can read; None where none can be made."""
    # A browser in a box of its own (snap) sees the home folder, not the folder for temporary files.
    for folder in (Path.home() if sys.platform.startswith("linux") else None, None):
        with suppress(OSError):
            descriptor, name = tempfile.mkstemp(prefix="imgmatch-review-", suffix=".html", dir=folder)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            return Path(name)
    return None
