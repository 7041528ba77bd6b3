"""What is said beside a result, and how a command ends."""

from __future__ import annotations

import sys

EXIT_ERROR = 1
EXIT_UNREADABLE = 3
EXIT_INTERRUPTED = 130


def note(message: str) -> None:
    """One line to standard error."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()
