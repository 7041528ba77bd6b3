"""One error family. Every message names the file or value at fault, what is wrong, and what to do, in one line."""

from __future__ import annotations

import errno
from collections.abc import Sequence

# What no content of a file can bring about: of space, memory and open files.
_MACHINE = {errno.ENOSPC, errno.ENOMEM, errno.EMFILE, errno.ENFILE, getattr(errno, "EDQUOT", errno.ENOSPC)}
# Of a disk that evidence lies on: there may be a bad place on it, or it may be gone.
_DISK = {errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ETIMEDOUT, getattr(errno, "ESTALE", errno.EIO)}

UNPROVEN = "unproven"
"""The kind of error of a place whose checksum failed, or was never reached, after what lies in it was given out: all of
that may be wrong.
"""

_NAMED = 10


class ImgmatchError(Exception):
    """Base of every error that imgmatch raises on purpose; the command line prints it as one line and exits with 1."""

    kind = "needs_package"
    """What its issue is of where it keeps a piece of evidence from being read."""
    what = ""
    """What such issues are counted by beside their kind: short, and the same for all that are alike."""
    exit_code = 1
    """What the command line ends with."""


class EvidenceError(ImgmatchError):
    """A piece of evidence can't be read or decoded. ``kind`` is a short stable word for tables and filters, ``stage``
    says what was being done with it: walk, read or decode. ``what`` is the format of kind ``unsupported``, the limit of
    kind ``limit``.
    """

    def __init__(self, kind: str, message: str, stage: str = "decode", what: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.stage = stage
        self.what = what


class MissingPackageError(ImgmatchError):
    """A package that is optional is not installed; ``what`` is the extra that brings it."""

    def __init__(self, message: str, what: str) -> None:
        super().__init__(message)
        self.what = what


class MachineError(ImgmatchError):
    """This machine is at fault (no space, no memory, too many open files), not the evidence: the run ends, and nothing
    is said of the file in hand.
    """


class SourceDiskError(MachineError):
    """The disk that a piece of evidence lies on does not give it. Nothing is said of that piece: who goes on with the
    others says in the end which they were, and fails.
    """

    kind = "source_disk"


class ModelError(ImgmatchError):
    """A model is unknown, its weights are missing or altered, or it returned something that is not an embedding."""


class CaseError(ImgmatchError):
    """A case can't be created, opened or written, or its files are damaged."""


class RefusedError(CaseError):
    """What is asked of a case may not be done: not by whoever asks, not alone, or not any more."""


class UsageError(ImgmatchError):
    """An argument is out of range or does not fit the case."""


class UnknownNameError(UsageError, ModelError):
    """What is named occurs nowhere; the message says what is nearest among what there is."""

    exit_code = 2

    def __init__(self, kind: str, name: str, there_are: Sequence[str]) -> None:
        import difflib  # takes a start some time

        folded: dict[str, str] = {}
        for other in there_are:
            folded.setdefault(other.casefold(), other)
        close = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)
        says = f"no {kind} {name!r}"
        if close:
            says += f"; did you mean {' or '.join(repr(folded[other]) for other in close)}?"
        elif there_are:
            more = f" and {len(there_are) - _NAMED} more" if len(there_are) > _NAMED else ""
            says += f"; there are: {', '.join(there_are[:_NAMED])}{more}"
        else:
            says += "; there are none"
        super().__init__(says)


def unsupported(what: str, says: str = "not looked into", stage: str = "decode") -> EvidenceError:
    """The error of something that is known and not read: ``what`` names it as a person would (``LUKS volume
    (encrypted)``), the same for all of them; ``says`` is the rest of the sentence, where more is known of this one.
    """
    return EvidenceError("unsupported", f"{what}; {says}", stage, what)


def over(limit: str, message: str, stage: str = "decode") -> EvidenceError:
    """The error of what goes past a limit, named as in imgmatch.limits; the message names it too."""
    return EvidenceError("limit", message, stage, limit)


def locked(passwords: int, what: str = "is encrypted", stage: str = "decode") -> EvidenceError:
    """The error of what none of so many given passwords opens; they are counted, and never shown."""
    if not passwords:
        return EvidenceError("password", f"{what}; give its password with --password-file", stage)
    tried = "1 password" if passwords == 1 else f"{passwords:,} passwords"
    return EvidenceError("password", f"{what}, and none of the given passwords opens it ({tried} tried)", stage)


def raise_if_machine(error: BaseException) -> None:
    """Raise MachineError where an error, or one that it came of, is this machine's and not of the evidence in hand:
    SourceDiskError where it is the disk's that the evidence lies on.
    """
    if isinstance(error, MemoryError):
        raise MachineError("this machine can't go on: not enough memory; free some, and run it again") from error
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MachineError):
            raise cause
        if isinstance(cause, OSError) and cause.errno in _MACHINE:
            raise MachineError(f"this machine can't go on: {why(cause)}; free some, and run it again") from error
        if isinstance(cause, OSError) and of_disk(cause):
            raise SourceDiskError(f"its disk can't read it: {why(cause)}") from error
        cause = cause.__cause__ or cause.__context__


def disk_fault(error: BaseException) -> SourceDiskError | None:
    """What of an error is the fault of the disk that evidence lies on. Raises any other MachineError."""
    try:
        raise_if_machine(error)
    except SourceDiskError as fault:
        return fault
    return None


def of_disk(error: OSError) -> bool:
    """Is an error of a disk, and not of what lies on it?"""
    return error.errno in _DISK


def why(error: OSError) -> str:
    """What the system says of an error, in lower case."""
    return (error.strerror or str(error)).lower()
