"""Whether this process decodes evidence in workers (it does, unless its user says otherwise): what is asked by whoever
decodes, and by the audit log, which says so of all that was done without.
"""

from __future__ import annotations

_isolated = True


def isolated() -> bool:
    """Whether pictures are decoded in workers."""
    return _isolated


def set_isolated(wanted: bool) -> None:
    """Decode in workers from now on, or in this process."""
    global _isolated
    _isolated = wanted
