"""Files and everything inside them: ``walk(path)`` unfolds containers, ``reopen(locator)`` finds a member again."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module

from imgmatch.errors import EvidenceError, ImgmatchError
from imgmatch.evidence import files, recognise
from imgmatch.evidence.container import Budget, Container
from imgmatch.evidence.options import DEFAULT_OPTIONS, SourceOptions
from imgmatch.locator import Locator
from imgmatch.streams import one_line
from imgmatch.types import Evidence, Issue

PassOver = Callable[[Evidence, bool], bool]
"""Is told of a container before it is opened, and whether it is a picture too; says whether to pass it over."""


def walk(
    path: str | os.PathLike[str],
    *,
    leave_out: str | os.PathLike[str] | None = None,
    options: SourceOptions = DEFAULT_OPTIONS,
    pass_over: PassOver | None = None,
) -> Iterator[Evidence | Issue]:
    """Find every file under ``path`` (or ``path`` itself), and every file in archives and disk images among
    them, in the same order every time.

    A container is given as what is in it; what of it can't be had is an Issue at its place. ``leave_out`` is a folder
    to pass over (the case's own). ``pass_over`` is asked, on the thread that walks, about every video, moving picture,
    document, and archive that is not large. Raises UsageError when ``path`` does not exist.
    """
    for found in files.walk(path, leave_out=leave_out):
        if isinstance(found, Issue) or not options.inside:
            yield found
        else:
            yield from _unfold(found, options, Budget(options.limits), 0, pass_over)


def _unfold(
    found: Evidence, options: SourceOptions, budget: Budget, depth: int, pass_over: PassOver | None
) -> Iterator[Evidence | Issue]:
    # Whatever a parser raises on hostile bytes is an Issue of the container that holds them.
    try:
        format_of = recognise.recognise(found, options)
    except Exception:  # noqa: BLE001  (reading it again says why)
        format_of = None
    if format_of is None:
        yield found
        return
    if format_of.elsewhere:  # a further part of a set that is read with its first
        return
    if format_of.itself:
        yield found
    if pass_over is not None and format_of.is_whole(found.size_bytes) and pass_over(found, format_of.itself):
        return
    if depth >= options.limits.max_depth:
        yield Issue(
            found.locator, "walk", "limit", f"lies deeper than max_depth ({options.limits.max_depth}); not opened"
        )
        return
    empty = not format_of.itself
    try:
        for member in _open(format_of, found, options).members():
            empty = False
            if isinstance(member, Issue):
                budget.count(0)
                yield member
            else:
                budget.count(member.size_bytes)
                yield from _unfold(member, options, budget, depth + 1, pass_over)
        if empty:  # no file ends as neither items nor issues
            yield Issue(found.locator, "walk", "not_a_picture", "nothing to look into is in it")
    except EvidenceError as error:
        yield Issue(found.locator, "walk", error.kind, str(error))
    except ImgmatchError as error:
        yield Issue(found.locator, "walk", "needs_package", str(error))
    except MemoryError:
        yield Issue(found.locator, "walk", "limit", "not enough memory to open it")
    except Exception as error:  # noqa: BLE001
        yield Issue(found.locator, "walk", "broken_archive", f"can't be read further: {one_line(error)}")


def _open(format_of: recognise.Format, outer: Evidence, options: SourceOptions) -> Container:
    opener: type[Container] = getattr(import_module(f"imgmatch.evidence.formats.{format_of.module}"), format_of.name)
    return opener(outer, options)


class Reopener:
    """Finds evidence again, one locator after another. Containers stay open for the next, the last few of them: what
    is asked for in the order it was walked costs one pass through each.
    """

    _KEPT = 16

    def __init__(self, options: SourceOptions = DEFAULT_OPTIONS) -> None:
        # What a run found is found again, whatever that run was told to look for.
        self._options = replace(options, inside=True, frames=True, documents=True, previews=True)
        self._open: OrderedDict[Locator, Container] = OrderedDict()

    def reopen(self, locator: Locator) -> Evidence:
        """The evidence at a place. Raises EvidenceError when it, or what it lay in, is gone or can't be read."""
        if locator.parent is None:
            return files.reopen(locator)
        try:
            return self._container(locator.parent, locator).member(locator)
        except EvidenceError as error:
            text = str(error)
            raise EvidenceError(error.kind, text if text.startswith("file:") else f"{locator}: {text}") from error
        except Exception as error:
            self._open.pop(locator.parent, None)
            raise EvidenceError("unreadable", f"{locator}: {one_line(error)}") from error

    def _container(self, place: Locator, member: Locator) -> Container:
        now = self.reopen(place)
        before = self._open.get(place)
        if before is not None and _same(before.outer, now):
            self._open.move_to_end(place)
            return before
        format_of = recognise.recognise(now, self._options)
        if format_of is None or format_of.elsewhere:
            raise EvidenceError("gone", f"{place}: is no longer what it was when {member.at!r} was found in it")
        self._open[place] = _open(format_of, now, self._options)
        if len(self._open) > self._KEPT:
            self._open.popitem(last=False)
        return self._open[place]


def _same(before: Evidence, now: Evidence) -> bool:
    def looks(found: Evidence) -> tuple[int | None, ...]:
        return found.size_bytes, found.modified_ns, found.changed_ns

    return looks(before) == looks(now)


def reopen(locator: Locator, options: SourceOptions = DEFAULT_OPTIONS) -> Evidence:
    """Find evidence again where it was seen, in whatever it lay. Raises EvidenceError when it is gone."""
    return Reopener(options).reopen(locator)
