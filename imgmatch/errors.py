"""One error family. Every message names the file or value at fault, what is wrong, and what to do, in one line."""

from __future__ import annotations

import errno

# What no content of a file can bring about: of space, memory and open files.
_MACHINE = {errno.ENOSPC, errno.ENOMEM, errno.EMFILE, errno.ENFILE, getattr(errno, "EDQUOT", errno.ENOSPC)}


class ImgmatchError(Exception):
    """Base of every error that imgmatch raises on purpose; the command line prints it as one line and exits with 1."""


class EvidenceError(ImgmatchError):
    """A piece of evidence can't be read or decoded. ``kind`` is a short stable word for tables and filters, ``stage``
    says what was being done with it: walk, read or decode.
    """

    def __init__(self, kind: str, message: str, stage: str = "decode") -> None:
        super().__init__(message)
        self.kind = kind
        self.stage = stage


class MachineError(ImgmatchError):
    """This machine is at fault (no space, no memory, too many open files), not the evidence: the run ends, and nothing
    is said of the file in hand.
    """


class ModelError(ImgmatchError):
    """A model is unknown, its weights are missing or altered, or it returned something that is not an embedding."""


class CaseError(ImgmatchError):
    """A case can't be created, opened or written, or its files are damaged."""


class UsageError(ImgmatchError):
    """An argument is out of range or does not fit the case."""


def raise_if_machine(error: BaseException) -> None:
    """Raise MachineError where an error, or one that it came of, is this machine's and not of the evidence in hand."""
    if isinstance(error, MemoryError):
        raise MachineError("this machine can't go on: not enough memory; free some, and run it again") from error
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MachineError):
            raise cause
        if isinstance(cause, OSError) and cause.errno in _MACHINE:
            raise MachineError(f"this machine can't go on: {why(cause)}; free some, and run it again") from error
        cause = cause.__cause__ or cause.__context__


def why(error: OSError) -> str:
    """What the system says of an error, in lower case."""
    return (error.strerror or str(error)).lower()
