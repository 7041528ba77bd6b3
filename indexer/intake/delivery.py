"""Deliveries: pictures handed in to an encrypted case by its public key alone.

A delivery is an encrypted case of its own, whose keys are new, held in memory while it is made, and wrapped for the
public key of the case that it is for: nothing of it ever lies on a disk in the clear, and whoever made it can't open it
any more once they are done. A writer of the case takes it in as ``merge`` does, and it is gone then.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import NamedTuple

from imgmatch.errors import CaseError, UsageError
from imgmatch.models.base import Embedder
from imgmatch.vault.ring import NAME, Ring
from indexer.case.case import Case
from indexer.case.place import Owner
from indexer.index.disk import sync_folder
from indexer.intake.config import IngestConfig, IngestReport
from indexer.intake.ingest import Paths, Progress, ingest

INBOX = "inbox"
"""The folder of a case in which deliveries wait to be taken in."""
PART = ".part"


class Delivered(NamedTuple):
    """What was handed in, and where it lies."""

    folder: Path
    report: IngestReport


def public_key(case: Path) -> str:
    """The public key of an encrypted case, which anybody may know. Raises CaseError where it has none."""
    if not (case / NAME).is_file():
        raise CaseError(f"{case}: is no encrypted case; into a plain one: imgmatch ingest {case} PATH")
    return Ring.read(case).inbox


def deliver(
    to: str,
    folder: Path,
    paths: Paths,
    embedder: Embedder,
    config: IngestConfig | None = None,
    *,
    progress: Progress | None = None,
) -> Delivered:
    """Read what lies under ``paths``, as ``ingest`` does, into a new delivery below ``folder``, for the public key
    ``to`` (age1...). It gets its name when it is complete; nothing of one that is cut off can be opened by anybody.

    Raises UsageError where the key is none or nothing was found; other errors as ``ingest``.
    """
    name = f"delivery-{secrets.token_hex(8)}"
    draft = folder / f"{name}{PART}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise UsageError(f"{folder}: can't be written ({error.strerror}); choose another place") from error
    with Case.create(draft, model=embedder.spec, owner=Owner("the case", to)) as case:
        report = ingest(case, paths, embedder, config, progress=progress)
    draft.rename(folder / name)
    sync_folder(folder)
    return Delivered(folder / name, report)


def deliveries(folder: Path) -> list[Path]:
    """What waits in a case's inbox, oldest name first."""
    inbox = folder / INBOX
    return sorted(path for path in inbox.iterdir() if not path.name.endswith(PART)) if inbox.is_dir() else []
