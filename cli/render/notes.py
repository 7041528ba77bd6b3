"""What is said beside a result, and how a command ends."""

from __future__ import annotations

import sys

from indexer.intake.csvfile import printable

_ALWAYS = ("imgmatch:", "ALERT")
EXIT_ERROR = 1
EXIT_UNREADABLE = 3
EXIT_INTERRUPTED = 130


_quiet = False


def be_quiet() -> None:
    """From now on hints and summaries are left out; errors, warnings, alerts and results are not."""
    global _quiet
    _quiet = True


def tell(text: str) -> None:
    """A summary for people, to standard output."""
    if not _quiet:
        sys.stdout.write(text)
        sys.stdout.flush()


def note(message: str) -> None:
    """One line to standard error; whatever a name in it holds, nothing but letters that can be seen. What begins with
    the program's name is a warning or an error, all else a hint.
    """
    if _quiet and not message.startswith(_ALWAYS):
        return
    sys.stderr.write(f"{printable(message)}\n")
    sys.stderr.flush()
