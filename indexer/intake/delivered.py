"""Evidence that was read on another machine: as it was found there, with what was made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from imgmatch.errors import MachineError
from imgmatch.types import Digests, Evidence


@dataclass(frozen=True, slots=True)
class Delivered(Evidence):
    """``digests`` are those of its content, where it could be read; ``made`` is what became of it there (None: it was
    not asked for). It can't be opened here.
    """

    digests: Digests | None = None
    made: object = None


def elsewhere() -> BinaryIO:
    """What opens evidence that lies with another machine: nothing does."""
    raise MachineError("a file that another machine reads was to be opened here; report this")
