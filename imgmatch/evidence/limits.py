"""Every limit on what evidence may cost, by name: the one table (docs/limits.md)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from imgmatch.errors import UsageError
from imgmatch.limits import SourceLimits, WorkerLimits
from imgmatch.picture.image import Limits


@dataclass(frozen=True, slots=True)
class AllLimits:
    """Limits on one picture, on the worker that decodes it, and on what a source unfolds to."""

    picture: Limits = field(default_factory=Limits)
    worker: WorkerLimits = field(default_factory=WorkerLimits)
    source: SourceLimits = field(default_factory=SourceLimits)

    def named(self) -> dict[str, int]:
        """Every limit by its name; a name is used once."""
        return {name: value for part in self._parts() for name, value in dataclasses.asdict(part).items()}

    def changed(self) -> dict[str, int]:
        """Those that are not the default, for a log."""
        default = AllLimits().named()
        return {name: value for name, value in self.named().items() if value != default[name]}

    def widened(self, values: Mapping[str, int]) -> AllLimits:
        """These, with every limit raised to the value that stands for its name, where that is higher."""
        raised = {name: max(now, values.get(name, now)) for name, now in self.named().items()}
        return AllLimits(_with(self.picture, raised), _with(self.worker, raised), _with(self.source, raised))

    def _parts(self) -> tuple[Limits, WorkerLimits, SourceLimits]:
        return self.picture, self.worker, self.source


NOTHING_SET = AllLimits()


def limits(given: Iterable[str]) -> AllLimits:
    """Limits as a user sets them, each ``NAME=N``, the others at their default. Raises UsageError on anything else."""
    made = AllLimits()
    known = made.named()
    values: dict[str, int] = {}
    for text in given:
        name, _, value = text.partition("=")
        # int() of a text that is too long raises.
        if name not in known or not (value.isascii() and value.isdecimal() and len(value) < 19) or int(value) < 1:
            raise UsageError(f"{text!r} is no limit; write NAME=N, N from 1, with one of {', '.join(known)}")
        values[name] = int(value)
    if values.get("max_pixels", 0) > known["max_pixels"]:
        raise UsageError(f"max_pixels={values['max_pixels']}: can only be lowered, from {known['max_pixels']:,}")
    return AllLimits(_with(made.picture, values), _with(made.worker, values), _with(made.source, values))


_Part = TypeVar("_Part", Limits, WorkerLimits, SourceLimits)


def _with(part: _Part, values: dict[str, int]) -> _Part:
    own = {f.name for f in dataclasses.fields(part)}
    return dataclasses.replace(part, **{name: value for name, value in values.items() if name in own})
