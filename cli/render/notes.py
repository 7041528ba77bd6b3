"""What is said beside a result, and how a command ends."""

from __future__ import annotations

import sys

from indexer.intake.csvfile import printable

EXIT_ERROR = 1
EXIT_UNREADABLE = 3
EXIT_INTERRUPTED = 130


def note(message: str) -> None:
    """One line to standard error; whatever a name in it holds, nothing but letters that can be seen."""
    sys.stderr.write(f"{printable(message)}\n")
    sys.stderr.flush()
