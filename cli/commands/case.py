"""A case as a whole: make it, what it holds, delete from it, merge others into it."""

from __future__ import annotations

import dataclasses
import enum
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands.index import build_when_due
from cli.options.common import CaseArg, JobsOpt, ModelOpt, open_case
from cli.options.milvus import Kind, MilvusOptions
from cli.options.output import Output
from cli.options.service import ServiceOptions, is_address, one_service
from cli.options.terms import TermOptions
from cli.options.unlocking import EncryptOpt, RecipientOpt, new_owner, prepare
from cli.render.formats import Format
from cli.render.journal import types
from cli.render.notes import note
from cli.render.progress import count_progress
from imgmatch.errors import CaseError, UsageError
from imgmatch.vault.keys import LockedError

if TYPE_CHECKING:
    from indexer.case.case import Case
    from indexer.catalogue import IssueRow, RemoteRow

_DEEP = 4
"""So many folders deep cases are looked for."""


def init(
    case: CaseArg,
    model: ModelOpt = None,
    portable: Annotated[
        bool, typer.Option("--portable", help="Paths count from the case: a disk with case and sources may travel.")
    ] = False,
    encrypt: EncryptOpt = False,
    recipient: RecipientOpt = None,
    index: Annotated[Kind, typer.Option("--index", help="Files of the case (faiss), or a Milvus server.")] = Kind.faiss,
    *,
    terms: TermOptions,
    milvus: MilvusOptions,
) -> None:
    """Make a new, empty case."""
    from imgmatch.models import DEFAULT_MODEL, model_spec
    from indexer.case.case import Case
    from indexer.case.home import HOME, here

    spec = model_spec(model or DEFAULT_MODEL)
    remote = milvus.place(index)
    if remote is not None:
        from indexer.index.milvus import Collection

        Collection(remote, spec)  # before there is a case: a server that can't be used is named at once
    about = terms.told()
    if portable:
        about[HOME] = here(case)
    if recipient is not None and not encrypt:
        raise UsageError("--recipient says who opens an encrypted case; give --encrypt too")
    owner = new_owner(recipient) if encrypt else None
    Case.create(case, model=spec, about=about, remote=remote, owner=owner).close()
    note(
        f"Made {'encrypted ' if encrypt else ''}case {case} with model {spec.name}. Next: imgmatch ingest {case} FOLDER"
    )


def status(
    cases: Annotated[
        list[str],
        typer.Argument(metavar="CASE...", help="Cases, or folders of cases or https://HOST:PORT: a line for each."),
    ],
    *,
    service: ServiceOptions,
    out: Output,
) -> None:
    """What a case holds: counts, model, sizes, last ingest; or which cases there are, and what they do."""
    from indexer.case.place import is_case

    if any(map(is_address, cases)):
        _of_service(cases, service, out)
        return
    found: list[Path] = []
    for path in map(Path, cases):
        below = [path] if is_case(path) or not path.is_dir() else _cases_below(path)
        found += [case for case in below if case.absolute() not in {each.absolute() for each in found}]
    if len(cases) == 1 and found == [Path(cases[0])]:
        if (numbers := _numbers_alone(found[0])) is not None:
            out.one(numbers)
            return
        with _as_it_is(found[0]) as opened:
            out.one(_status(found[0], opened, table=out.format is Format.table))
        return
    faults = 0
    rows = []
    for path in found:
        try:
            if (numbers := _numbers_alone(path)) is not None:
                rows.append({**numbers, "state": "", "why": ""})
                continue
            with _as_it_is(path) as opened:
                record = _status(path, opened, table=False)
                last = record["last_ingest"]
                rows.append({**record, "state": last["state"] if last else "", "why": last["why"] if last else ""})
        except CaseError as error:
            faults += 1
            rows.append({"case": str(path), "state": "damaged", "why": str(error)})
    out.many(rows, ["case", "items", "sightings", "issues", "models", "state", "why"], ["created_utc", "purpose"])
    if faults:
        raise CaseError(f"{faults} of {len(found)} cases can't be read; see the list above")


def _of_service(addresses: Sequence[str], service: ServiceOptions, out: Output) -> None:
    """The cases of a service, a line each."""
    from cli.serve.client import Client

    there, names = one_service(addresses)
    client = Client(there, service.token(), service.ca, lambda words: note(f"imgmatch: {words}"))
    told = client.cases()
    client.close()
    known = [one for one in told["cases"] if not names or one["case"] in names]
    if missing := set(names) - {one["case"] for one in known}:
        raise UsageError(f"{there}/{min(missing)}: no such case for {told['person']}")
    out.many(known, ["case", "items", "sightings", "issues", "model", "purpose"], ["created_utc", "reveal"])


def _cases_below(folder: Path) -> list[Path]:
    """Cases in a folder, and in folders of it that are none. Raises UsageError where there is none."""
    from indexer.case.place import is_case

    found = []
    for path, folders, _ in os.walk(folder):
        if is_case(Path(path)):
            found.append(Path(path))
            folders.clear()
        elif len(Path(path).relative_to(folder).parts) >= _DEEP:
            folders.clear()
        folders.sort()
    if not found:
        raise UsageError(f"{folder}: not a case, and none lies in it; make one with: imgmatch init {folder}")
    return found


def _numbers_alone(path: Path) -> dict[str, Any] | None:
    """Of an encrypted case, for who holds the key of its log alone."""
    from indexer.case.readlog import log_alone

    prepare()
    alone = log_alone(path) if path.is_dir() else None
    return None if alone is None else {"case": str(path), "case_id": alone.case_id, **alone.numbers}


@contextmanager
def _as_it_is(path: Path) -> Iterator[Case]:
    """A case, opened without a change where its disk is full or it can't be written."""
    try:
        opened = open_case(path)
        opened.catalogue.counts()
    except LockedError:  # it would be asked for again
        raise
    except CaseError:
        opened = open_case(path, read_only=True)
    with opened:
        yield opened


def _status(path: Path, opened: Case, *, table: bool) -> dict[str, Any]:
    from indexer.case.gate import gate_of
    from indexer.case.terms import Terms

    catalogue = opened.catalogue
    last = opened.last_run("ingest")
    return {
        "case": str(path),
        **catalogue.counts(),
        **({"faces": catalogue.face_count()} if gate_of(catalogue.meta.all()) else {}),
        "profiles": catalogue.profiles(),
        "issue_kinds": catalogue.issue_kinds(),
        "unsupported": catalogue.unsupported(),
        "models": [f"{spec.name} ({spec.weights_sha256[:12]})" for _, spec in catalogue.models.all()],
        **opened.sizes(),
        **catalogue.meta.all(),
        **({"over": why} if (why := Terms.of(catalogue.meta.all()).over()) else {}),
        "index": _where(catalogue.indexes.remote()),
        "last_ingest": _last_ingest(last) if table else last,
    }


def _where(remote: RemoteRow | None) -> str:
    return "faiss" if remote is None else f"milvus at {remote.uri}, collection {remote.collection}"


def _last_ingest(last: dict[str, Any] | None) -> str:
    if last is None:
        return "none yet"
    new = f", {last['counts'].get('new_items', 0)} new items" if last["counts"] else ""
    if last["state"] == "finished":
        return f"run {last['run_id']}, finished {last['finished_utc']}{new}"
    when = f"started {last['started_utc']}" + (f", ended {last['finished_utc']}" if last["finished_utc"] else "")
    on = "" if last["state"] == "running" else "; run it again to go on"
    return f"run {last['run_id']}, {last['state']}: {last['why']}; {when}{new}{on}"


class By(enum.StrEnum):
    """What issues can be counted by."""

    kind = "kind"


def issues(
    case: CaseArg,
    kind: Annotated[str | None, typer.Option(help="Only issues of this kind.")] = None,
    by: Annotated[By | None, typer.Option(help="Count files by kind, and by format, limit or package.")] = None,
    *,
    out: Output,
) -> None:
    """List the evidence that could not be used, and why; or count it."""
    from indexer.catalogue import plainly_no_picture
    from indexer.out import show

    counted_types: Counter[str] = Counter()
    programs = out.format is not Format.table or kind is not None

    def no_picture(row: IssueRow) -> bool:
        plain = plainly_no_picture(row.issue)
        if plain:
            counted_types[row.issue.what or "others"] += 1
        return plain

    with open_case(case) as opened:
        if by is not None:
            counted = [row._asdict() for row in show.issues_by_kind(opened) if kind in (None, row.error)]
            out.many(counted, ["error", "what", "files"])
            return
        records = (
            {
                "error": row.issue.error,
                "what": row.issue.what,
                "stage": row.issue.stage,
                "path": row.issue.locator.path,
                "place": row.issue.locator.words,
                "message": row.issue.message,
                "sha256": row.sha256,
                "seen_utc": row.seen_utc,
                "run_id": row.run_id,
                "beside": row.beside,
                "locator": str(row.issue.locator),
            }
            for row in show.issues(opened, kind)
            if programs or not no_picture(row)
        )
        out.many(records, ["error", "stage", "path", "message"], ["what", "sha256", "seen_utc", "run_id", "locator"])
    if counted_types:
        told = f"{sum(counted_types.values()):,} files are no pictures ({types(counted_types)})"
        note(f"{told}; list them with --kind not_a_picture")


def merge(
    case: CaseArg,
    others: Annotated[list[Path], typer.Argument(metavar="OTHER...", help="Cases to add; they are only read.")],
    index: Annotated[
        bool, typer.Option("--index/--no-index", help="Build the index afterwards when it is due.")
    ] = True,
    jobs: JobsOpt = None,
    *,
    out: Output,
) -> None:
    """Add other cases' items, sightings, labels, issues, decisions, vectors; run again, it goes on where it stopped."""
    from imgmatch.cores import usable_cores
    from indexer.care.merge import merge as run_merge

    records = []
    with open_case(case) as opened:
        for path in others:
            with open_case(path, read_only=True) as other, count_progress() as progress:
                done = run_merge(opened, other, progress=progress)
            records.append({"case": str(path), **dataclasses.asdict(done)})
        if index:
            for shelf in opened.shelves():
                build_when_due(opened, shelf.spec, jobs or usable_cores(), threading.Event())
    out.many(records, ["case", "items", "known", "sightings", "vectors", "issues", "decisions", "kept_out"])
