"""How to ingest, and what a run of it did."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imgmatch.cores import usable_cores
from imgmatch.errors import UsageError
from imgmatch.evidence import DEFAULT_OPTIONS, SourceOptions
from imgmatch.evidence.limits import AllLimits
from imgmatch.limits import DEFAULT_WORKER_LIMITS, WorkerLimits
from imgmatch.locator import Locator, readable
from imgmatch.match.regions import FAST, PROFILES
from imgmatch.picture.image import DEFAULT_LIMITS, Limits
from indexer.intake.known import Alert
from indexer.intake.labels import read_labels
from indexer.intake.manifests import read_manifest

ALERTS_NAMED = 100
UNREAD_NAMED = 100_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """Whose workers read, decode and embed. ``scheduler``: its address, its file, or ``local:N``. ``tls``: the folder
    of the laboratory's certificates. ``mixed``: also workers with other packages or another processor, whose vectors
    may differ from those made here. ``tell`` is told of workers that are left out.
    """

    scheduler: str
    tls: Path | None = None
    mixed: bool = False
    tell: Callable[[str], None] = lambda line: None


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """How to ingest. ``jobs`` is the number of threads (default: the cores this process may use).

    ``commit_items`` new items make a commit: what a kill can cost. ``reread`` reads files again that have the same
    place, size and times as when they were last read. ``profile`` is one of PROFILES in imgmatch.match.regions:
    ``thorough`` adds the vectors of regions, also to items that were read ``fast``. ``isolation``: decode in confined
    worker processes, within ``worker_limits``; without it in this process, where a decoder's fault is the run's.
    ``only_pictures``: of what is no picture only how many there are of each type is kept. ``wait`` until nobody else
    writes to the case. ``still`` says which files, by their ways from a given path on, are taken; None: all.
    ``manifest`` says where pictures come from (indexer.intake.manifests); without any path its files are ingested.
    ``cluster``: who does the work, where not this machine alone.
    """

    jobs: int | None = None
    commit_items: int = 512
    reread: bool = False
    labels: Path | None = None
    manifest: Path | None = None
    limits: Limits = DEFAULT_LIMITS
    sources: SourceOptions = DEFAULT_OPTIONS
    profile: str = FAST
    isolation: bool = True
    worker_limits: WorkerLimits = DEFAULT_WORKER_LIMITS
    only_pictures: bool = False
    wait: bool = False
    still: Callable[[str], bool] | None = None
    cluster: ClusterConfig | None = None

    @property
    def beyond(self) -> str | None:
        """The profile, where it adds to the whole picture's vector."""
        return None if self.profile == FAST else self.profile

    @property
    def threads(self) -> int:
        """As many as are asked for, or as there are cores."""
        return self.jobs or usable_cores()

    @property
    def all_limits(self) -> AllLimits:
        """Every limit."""
        return AllLimits(self.limits, self.worker_limits, self.sources.limits)

    def check(self) -> None:
        """Raises UsageError for what is not there. A table of another layout is named now, not after hours of work."""
        if self.profile not in PROFILES:
            raise UsageError(f"no profile {self.profile!r}; there are: {', '.join(PROFILES)}")
        if self.labels is not None:
            next(read_labels(self.labels), None)
        if self.manifest is not None:
            next(read_manifest(self.manifest), None)

    def record(self, paths: Sequence[str | os.PathLike[str]]) -> dict[str, Any]:
        """What the log keeps of it."""
        changed = self.all_limits.changed()
        return {
            "paths": [_absolute(path) for path in paths],
            "reread": self.reread,
            "jobs": self.threads,
            "profile": self.profile,
            "isolation": self.isolation,
            **self.sources.record(),
            **({"only_pictures": True} if self.only_pictures else {}),
            "labels": None if self.labels is None else _absolute(self.labels),
            **({"limits": changed} if changed else {}),
            **({} if self.manifest is None else {"manifest": _absolute(self.manifest)}),
            **({} if self.cluster is None else {"workers": readable(self.cluster.scheduler)}),
            **({"mixed_workers": True} if self.cluster is not None and self.cluster.mixed else {}),
        }


def _absolute(path: str | os.PathLike[str]) -> str:
    return readable(os.path.abspath(os.fsdecode(path)))


@dataclass(slots=True)
class IngestReport:
    """What a run did. Every file met counts in ``files`` and in one of new, known, ignored, unchanged, unusable,
    unread and kept out (their content was erased).

    ``faces`` were found in what is new, where they are looked for. ``deepened`` of the known are items that got
    vectors of regions now. ``ignored`` are left out by a hash list; ``labelled`` rows of label tables and manifests
    were set, ``unused_rows`` were not, as ``tables_told`` says. ``alerts`` counts the files that alert lists name (by
    PDQ: the items), ``alerted`` says which, the first hundred. ``unread`` are those that their disk did not give:
    nothing is kept of them but in the log (``unread_at``).
    """

    files: int = 0
    new_items: int = 0
    known: int = 0
    unchanged: int = 0
    unusable: int = 0
    ignored: int = 0
    kept_out: int = 0
    excluded: int = 0
    """Files and folders that were passed over by their names; they are in no other count."""
    only_pictures: bool = False
    not_pictures: int = 0
    """Files that hold nothing to decode. They are among the unusable, unless pictures only were asked for."""
    unread: int = 0
    partial: int = 0
    new_sightings: int = 0
    new_issues: int = 0
    labelled: int = 0
    unused_rows: int = 0
    deepened: int = 0
    faces: int | None = None
    alerts: int = 0
    read_bytes: int = 0
    access_times: int = 0
    """How many access times of files, folders and links among the sources it may have moved (imgmatch.evidence.quiet).
    """
    interrupted: bool = False
    alerted: list[Alert] = field(default_factory=list)
    unread_at: list[str] = field(default_factory=list)
    tables_told: list[str] = field(default_factory=list)
    issue_kinds: dict[str, int] = field(default_factory=dict)
    """How many files it had issues of each kind of, the most frequent first."""
    unsupported: dict[str, int] = field(default_factory=dict)
    """How many files of each format that is not supported."""
    not_picture_types: dict[str, int] = field(default_factory=dict)
    """How many files that are no pictures have each ending of a name."""

    @property
    def issues(self) -> int:
        """How many files could not be used, but for those that are simply no pictures."""
        return self.unusable - (0 if self.only_pictures else self.not_pictures)

    def counts(self) -> dict[str, int]:
        """The whole numbers of it."""
        names = (each.name for each in dataclasses.fields(self) if each.name != "only_pictures")
        values = ((name, getattr(self, name)) for name in names)
        return {name: int(value) for name, value in values if isinstance(value, int)}

    def disk_fault(self, place: Locator, why: str, *, beside: bool) -> None:
        """Count what a disk did not give, and say where in the log."""
        self.unread += not beside
        said = readable(f"{place}: {why}")
        _log.error("%s", said)
        if len(self.unread_at) < UNREAD_NAMED:
            self.unread_at.append(said)

    def alert(self, alerts: Sequence[Alert]) -> None:
        """Count a file or an item that alert lists name, and say so while there is room."""
        self.alerts += bool(alerts)
        self.alerted += alerts[: max(0, ALERTS_NAMED - len(self.alerted))]
