"""One error family. Every message names the file or value at fault, what is wrong, and what to do, in one line."""


class ImgmatchError(Exception):
    """Base of every error that imgmatch raises on purpose; the command line prints it as one line and exits with 1."""


class EvidenceError(ImgmatchError):
    """A piece of evidence can't be read or decoded. ``kind`` is a short stable word for tables and filters."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class ModelError(ImgmatchError):
    """A model is unknown, its weights are missing or altered, or it returned something that is not an embedding."""


class CaseError(ImgmatchError):
    """A case can't be created, opened or written, or its files are damaged."""


class UsageError(ImgmatchError):
    """An argument is out of range or does not fit the case."""
