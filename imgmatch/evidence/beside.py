"""What lies beside a file, in its folder or in the container that it was found in: parts of a set, extents, a base."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator

from imgmatch.evidence import files, quiet
from imgmatch.locator import Locator
from imgmatch.types import Evidence, Issue, Siblings

_FOLDER = re.compile(r"(?s).*[/\\]")
_OF_SETS = re.compile(
    r"\.(?:\d{2,5}|[a-zA-Z]\d{2,3}|[a-zA-Z]x\d\d|[a-zA-Z]{2,4}|[zZ](?:ip|IP)|vmdk|qcow2?|vdi|vhdx?|img|dd|raw)\Z"
    r"|(?:\A|[/\\])x[a-z]{2,4}\Z",
    re.IGNORECASE,
)
_FIRST = re.compile(r"\.(?:0{1,4}[01]|[zZ]0{1,2}1|[eEsSlL]x?01|a{2,4})\Z|(?:\A|[/\\])xa{1,3}\Z")
_MOST_MET, _MOST_NAMED = 10_000, 100_000


def of(evidence: Evidence) -> Siblings | None:
    """What lies beside it; None where that can't be told."""
    if evidence.beside is not None:
        return evidence.beside
    path = files.path_of(evidence)
    return None if path is None else InFolder(path)


def folder_of(at: str) -> str:
    """The folder that a place lies in, with what parts it from names."""
    match = _FOLDER.match(at)
    return match[0] if match else ""


class InFolder:
    """Files in the folder of a file on this machine. A link counts where it leads to where the set lies: one that leads
    out is refused wherever it is met.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def met(self, at: str) -> bool:
        """Is there such a file?"""
        return os.access(at, os.F_OK) and self._may(at)

    def size(self, at: str) -> int | None:
        """How long a file is; None where there is none."""
        return os.path.getsize(at) if os.path.isfile(at) and self._may(at) else None

    def named(self, at: str) -> Evidence | None:
        """The file of this name, if there is one."""
        return files.reopen(Locator.file(at)) if self.size(at) is not None else None

    def names(self) -> list[str]:
        """All files."""
        listed = quiet.entries(os.path.dirname(self._path))
        return [entry.path for entry in listed if not entry.is_folder and (not entry.is_link or self._may(entry.path))]

    def all(self) -> Iterator[Evidence]:
        """Every file there."""
        return (found for found in map(self.named, self.names()) if found is not None)

    def _may(self, at: str) -> bool:
        if not os.path.islink(at):
            return True
        there = os.path.realpath(at)
        near = (os.path.realpath(os.path.dirname(self._path)), os.path.dirname(os.path.realpath(self._path)))
        return any(os.path.dirname(there) == folder or there.startswith(folder + os.sep) for folder in near)


class InContainer:
    """Members of a container, of which those are kept that may be of a set: ``walk`` goes through all of them, anew."""

    def __init__(self, walk: Callable[[], Iterator[Evidence | Issue]]) -> None:
        self._walk = walk
        self._met: set[str] = set()
        self._named: dict[str, Evidence] | None = None

    def meet(self, at: str) -> None:
        """Note a member, if it may be the first of a set."""
        if _FIRST.search(at[-8:]) and len(self._met) < _MOST_MET:
            self._met.add(at)

    def met(self, at: str) -> bool:
        """Was there a member of this name so far, that may be the first of a set?"""
        return at in self._met or (self._named is not None and at in self._named)

    def size(self, at: str) -> int | None:
        """How long a member is; None where there is none."""
        found = self._sets().get(at)
        return None if found is None else found.size_bytes

    def named(self, at: str) -> Evidence | None:
        """The member of this name, if it is one that may be of a set."""
        return self._sets().get(at)

    def names(self) -> Iterable[str]:
        """All of those."""
        return self._sets().keys()

    def all(self) -> Iterator[Evidence]:
        """Every member there is."""
        return (member for member in self._walk() if not isinstance(member, Issue))

    def _sets(self) -> dict[str, Evidence]:
        if self._named is None:
            self._named = {}
            for member in self.all():
                at = member.locator.at
                if _OF_SETS.search(at[-8:]) and len(self._named) < _MOST_NAMED:
                    self._named[at] = member
        return self._named
