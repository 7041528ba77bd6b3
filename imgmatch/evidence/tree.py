"""Files and everything inside them: ``walk(path)`` unfolds containers."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from imgmatch.errors import EvidenceError, ImgmatchError, SourceDiskError, disk_fault, raise_if_machine
from imgmatch.evidence import files
from imgmatch.evidence.budget import Budget, left_of
from imgmatch.evidence.container import Container
from imgmatch.evidence.excluding import Excludes, excluder
from imgmatch.evidence.options import DEFAULT_OPTIONS, SourceOptions
from imgmatch.evidence.recognise import Recognised, recognise
from imgmatch.evidence.stated import is_image
from imgmatch.locator import Locator
from imgmatch.streams import one_line
from imgmatch.types import Evidence, Issue

_log = logging.getLogger(__name__)
_LONG_BYTES = 16 << 30
"""A file of more, that is read whole and takes little of the disk, would be read for minutes to hours for nothing."""
PassOver = Callable[[Evidence, bool], bool]
"""Is told of a container before it is opened, and whether it is a picture too; says whether to pass it over."""


@dataclass(frozen=True, slots=True)
class Walked:
    """A place that was walked to its end without a fault: is it evidence of its own (``itself``), and as which
    containers have the options left it closed?
    """

    locator: Locator
    itself: bool = True
    left_closed: tuple[str, ...] = ()


TellWalked = Callable[[Walked], None]
TellImage = Callable[[Evidence], None]


@dataclass(slots=True, eq=False)
class Question:
    """Is a container, which may be a picture too, to be ``passed`` over?"""

    evidence: Evidence
    is_picture: bool
    passed: bool = False


@dataclass(frozen=True, slots=True)
class Telling:
    """Who is told what while sources are walked (``walk``), and whether there are questions at all."""

    walked: TellWalked
    image: TellImage
    left_out: Callable[[str], None]
    asks: bool = False

    def excluded(self, options: SourceOptions) -> Excludes:
        """Which names the options exclude; each is told of."""
        excludes = excluder(options.exclude)

        def excluded(place: str) -> bool:
            out = excludes(place)
            if out:
                self.left_out(place)
            return out

        return excluded


def walk(
    path: str | os.PathLike[str],
    *,
    leave_out: str | os.PathLike[str] | None = None,
    options: SourceOptions = DEFAULT_OPTIONS,
    pass_over: PassOver | None = None,
    walked: TellWalked | None = None,
    left_out: Callable[[str], None] | None = None,
    takes: Callable[[str], bool] | None = None,
    image: TellImage | None = None,
) -> Iterator[Evidence | Issue]:
    """Find every file under ``path`` (or ``path`` itself), and every file in archives and disk images among
    them, in the same order every time.

    A container is given as what is in it; what of it can't be had is an Issue at its place. ``leave_out`` is a folder
    to pass over (the case's own). What a disk does not give is an Issue of kind ``source_disk``: it is never kept, and
    says nothing of the evidence. ``pass_over`` is asked, on the thread that walks, about every video, moving picture,
    document, and archive that is not large. ``walked`` is told of each file and folder that was walked to its end
    without an issue at its place, ``image`` of each image of a disk before it is opened, ``left_out`` of each that the
    options exclude. ``takes`` says of a file in a folder, by its way from ``path`` on, whether it is to be given now.
    Raises UsageError when ``path`` does not exist, MachineError when this machine fails.
    """
    told = Telling(
        walked or (lambda place: None), image or (lambda evidence: None), left_out or (lambda place: None),
        asks=pass_over is not None,
    )  # fmt: skip
    for entry in outermost(path, leave_out=leave_out, options=options, told=told, takes=takes):
        for found in unfold(entry, options, told):
            if not isinstance(found, Question):
                yield found
            elif pass_over is not None:
                found.passed = pass_over(found.evidence, found.is_picture)


def outermost(
    path: str | os.PathLike[str],
    *,
    leave_out: str | os.PathLike[str] | None = None,
    options: SourceOptions = DEFAULT_OPTIONS,
    told: Telling,
    takes: Callable[[str], bool] | None = None,
) -> Iterator[Evidence | Issue]:
    """The first half of ``walk``: files as they lie in folders, none of them opened. Raises as that does."""
    excluded = told.excluded(options)

    def passed(place: str, is_folder: bool) -> bool:
        return excluded(place) or (takes is not None and not is_folder and not takes(place))

    def listed(folder: Locator) -> None:
        told.walked(Walked(folder))

    return files.walk(path, leave_out=leave_out, listed=listed, excluded=passed)


def unfold(file: Evidence | Issue, options: SourceOptions, told: Telling) -> Iterator[Evidence | Issue | Question]:
    """The second half of ``walk``: a file, or what lies in it, at every depth: members come where their container
    stands. Each question is to be answered before the next is asked for.
    """
    if isinstance(file, Issue) or not options.inside:
        yield file
        return
    excluded = told.excluded(options)
    budget = Budget(options.limits, file.size_bytes)
    levels: list[Iterator[Evidence | Issue]] = [iter((file,))]
    while levels:
        try:
            with budget.walking():
                entry = next(levels[-1], None)
            if entry is None:
                levels.pop()
                continue
            if len(levels) > 1:
                budget.meet(entry.locator.at)
                if options.exclude and excluded(entry.locator.at):
                    continue
            seen = _recognised(entry, options) if isinstance(entry, Evidence) else None
            if len(levels) > 1 and isinstance(entry, Evidence) and seen is not None:
                if not seen.is_disk and (claims := budget.claims_too_much(entry, whole=seen.itself)):
                    entry, seen = Issue.walked(entry.locator, claims), None
                else:
                    budget.unpack(entry)
            elif entry is file and seen is not None and seen.itself and file.size_bytes > _LONG_BYTES:
                # Nothing but holes would be read for hours.
                held = Budget(options.limits, files.held_bytes(file))
                if claims := held.claims_too_much(file, whole=True):
                    entry, seen = Issue.walked(file.locator, claims), None
        except EvidenceError as spent:
            yield Issue.walked(file.locator, left_of(spent, reversed(levels)))
            return
        except SourceDiskError as fault:  # as it was looked at
            assert entry is not None
            entry, seen = Issue.walked(entry.locator, fault), None
        if isinstance(entry, Issue) or seen is None:
            yield entry
            continue
        if seen.itself and not seen.elsewhere:
            yield entry
        if seen.fault:
            yield Issue(entry.locator, "walk", "internal", f"what lies in it can't be told: {seen.fault}")
        if not seen.containers:
            if not seen.fault:
                told.walked(Walked(entry.locator, not seen.elsewhere, seen.left_closed))
            continue
        if told.asks and seen.is_hashed(entry.size_bytes):
            question = Question(entry, seen.itself)
            yield question
            if question.passed:
                continue
        if len(levels) > options.limits.max_depth:
            says = f"lies deeper than max_depth ({options.limits.max_depth}); not opened"
            yield Issue(entry.locator, "walk", "limit", says, "max_depth")
            continue
        if is_image(seen, outermost=len(levels) == 1):
            told.image(entry)
        if len(levels) == 1 and seen.is_disk:
            budget.stored_bytes = files.set_bytes(file)
        levels.append(_inside(entry, seen, options, budget, told.walked))


def _recognised(entry: Evidence, options: SourceOptions) -> Recognised:
    try:
        return recognise(entry, options)
    except Exception as error:  # noqa: BLE001  (reading it again says why)
        raise_if_machine(error)
        return Recognised()


def _inside(
    outer: Evidence, seen: Recognised, options: SourceOptions, budget: Budget, walked: TellWalked
) -> Iterator[Evidence | Issue]:
    """Members of what a file is. Whatever a parser raises on hostile bytes is an Issue of the file."""
    faultless = True
    for member in _members(outer, seen.containers, options, budget):
        faultless = faultless and not (isinstance(member, Issue) and member.locator == outer.locator)
        yield member
    if faultless:
        walked(Walked(outer.locator, seen.itself, seen.left_closed))


def _members(
    outer: Evidence, containers: tuple[type[Container], ...], options: SourceOptions, budget: Budget
) -> Iterator[Evidence | Issue]:
    for container in containers:
        empty = not container.itself
        try:
            for member in container.open(outer, options, budget).members():
                empty = False
                yield member
            if empty:  # no file ends as neither items nor issues
                yield Issue(outer.locator, "walk", "not_a_picture", "nothing to look into is in it", container.name)
        except MemoryError:
            yield Issue(outer.locator, "walk", "limit", "not enough memory to open it", "memory")
        except Exception as error:  # noqa: BLE001
            fault = disk_fault(error) or error
            if isinstance(fault, ImgmatchError):
                yield Issue.walked(outer.locator, fault, container.name)
                continue
            _log.debug("%s: not foreseen", outer.locator, exc_info=True)
            says = f"can't be read further: {one_line(error)}"
            yield Issue(outer.locator, "walk", "broken_archive", says, container.name)
