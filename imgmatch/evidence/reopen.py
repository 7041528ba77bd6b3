"""Evidence found again: ``reopen(locator)`` opens what it lies in, and finds it there."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

from imgmatch.errors import EvidenceError
from imgmatch.evidence import files
from imgmatch.evidence.budget import Budget
from imgmatch.evidence.options import DEFAULT_OPTIONS, SourceOptions
from imgmatch.locator import Locator
from imgmatch.streams import one_line
from imgmatch.types import Evidence

if TYPE_CHECKING:
    from imgmatch.evidence.container import Container


class Reopener:
    """Finds evidence again, one locator after another. Containers stay open for the next, the last few of them: what
    is asked for in the order it was walked costs one pass through each.
    """

    _KEPT = 16

    def __init__(self, options: SourceOptions = DEFAULT_OPTIONS) -> None:
        # What a run found is found again, whatever that run was told to look for.
        self._options = replace(options, inside=True, deleted=True, frames=True, documents=True, previews=True)
        self._open: OrderedDict[tuple[Locator, tuple[str, ...]], Container] = OrderedDict()
        """By their place and the locator kinds of what lies in them: a file may be several containers."""

    def reopen(self, locator: Locator) -> Evidence:
        """The evidence at a place. Raises EvidenceError when it, or what it lay in, is gone or can't be read."""
        if locator.parent is None:
            return files.reopen(locator)
        try:
            return self._container(locator.parent, locator).member(locator)
        except EvidenceError as error:
            text = str(error)
            says = text if text.startswith("file:") else f"{locator}: {text}"
            raise EvidenceError(error.kind, says, what=error.what) from error
        except Exception as error:
            for key in [key for key in self._open if key[0] == locator.parent]:
                del self._open[key]
            raise EvidenceError("unreadable", f"{locator}: {one_line(error)}") from error

    def _container(self, place: Locator, member: Locator) -> Container:
        from imgmatch.evidence.recognise import recognise  # every kind of container: a file in a folder needs none

        outer = self.reopen(place)
        for key, before in self._open.items():
            if key[0] == place and member.kind in key[1] and _same(before.outer, outer):
                self._open.move_to_end(key)
                return before
        # Nothing is looked for that a place does not name; but what was found by looking is opened again.
        for container in recognise(outer, replace(self._options, carve=True)).containers:
            if member.kind in container.kinds:
                opened = container.open(outer, self._options, Budget(self._options.limits))
                self._open[place, container.kinds] = opened
                if len(self._open) > self._KEPT:
                    self._open.popitem(last=False)
                return opened
        raise EvidenceError("gone", f"{place}: is no longer what it was when {member.at!r} was found in it")


def _same(before: Evidence, now: Evidence) -> bool:
    def looks(evidence: Evidence) -> tuple[int | None, ...]:
        return evidence.size_bytes, evidence.modified_ns, evidence.changed_ns

    return looks(before) == looks(now)


def reopen(locator: Locator, options: SourceOptions = DEFAULT_OPTIONS) -> Evidence:
    """Find evidence again where it was seen, in whatever it lay. Raises EvidenceError when it is gone."""
    return Reopener(options).reopen(locator)
