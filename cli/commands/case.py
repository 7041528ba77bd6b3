"""A case as a whole: make it, what it holds, delete from it, merge others into it."""

from __future__ import annotations

import dataclasses
import enum
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands.index import build_when_due
from cli.options.common import CaseArg, JobsOpt, ModelOpt, open_case
from cli.options.milvus import Kind, MilvusOptions
from cli.options.output import Output
from cli.render.formats import Format
from cli.render.notes import note
from cli.render.progress import count_progress
from imgmatch.errors import CaseError, UsageError

if TYPE_CHECKING:
    from indexer.case.case import Case
    from indexer.catalogue import RemoteRow


def init(
    case: CaseArg,
    model: ModelOpt = None,
    purpose: Annotated[str, typer.Option(help="What the case is for.")] = "",
    authority: Annotated[str, typer.Option(help="On whose authority or legal basis.")] = "",
    examiner: Annotated[str, typer.Option(help="Who works on it.")] = "",
    portable: Annotated[
        bool, typer.Option("--portable", help="Paths count from the case: a disk with case and sources may travel.")
    ] = False,
    index: Annotated[Kind, typer.Option("--index", help="Files of the case (faiss), or a Milvus server.")] = Kind.faiss,
    *,
    milvus: MilvusOptions,
) -> None:
    """Make a new, empty case."""
    from imgmatch.models import DEFAULT_MODEL, model_spec
    from indexer.case.case import Case
    from indexer.case.home import HOME

    spec = model_spec(model or DEFAULT_MODEL)
    remote = milvus.place(index)
    if remote is not None:
        from indexer.index.milvus import Collection

        Collection(remote, spec)  # before there is a case: a server that can't be used is named at once
    about = {"purpose": purpose, "authority": authority, "examiner": examiner}
    if portable:
        about[HOME] = os.path.abspath(case)
    Case.create(case, model=spec, about=about, remote=remote).close()
    note(f"Made case {case} with model {spec.name}. Next: imgmatch ingest {case} FOLDER")


def status(case: CaseArg, *, out: Output) -> None:
    """What a case holds: counts, model, sizes, last ingest."""
    with open_case(case) as opened:
        catalogue = opened.catalogue
        last = opened.last_run("ingest")
        record: dict[str, Any] = {
            "case": str(case),
            **catalogue.counts(),
            "profiles": catalogue.profiles(),
            "issue_kinds": catalogue.issue_kinds(),
            "unsupported": catalogue.unsupported(),
            "models": [f"{spec.name} ({spec.weights_sha256[:12]})" for _, spec in catalogue.models.all()],
            **opened.sizes(),
            **catalogue.meta.all(),
            "index": _where(catalogue.indexes.remote()),
            "last_ingest": _last_ingest(last) if out.format is Format.table else last,
        }
    out.one(record)


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
    from indexer.out import show

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
        )
        out.many(records, ["error", "stage", "path", "message"], ["what", "sha256", "seen_utc", "run_id", "locator"])


def delete(
    case: CaseArg,
    item: Annotated[list[int] | None, typer.Option(metavar="ID", help="This item.")] = None,
    sha256: Annotated[list[str] | None, typer.Option(help="The item with this content.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="What was found there or below, and nowhere else.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the audit log.")] = "",
    *,
    out: Output,
) -> None:
    """Take items out of a case; no search returns them from then on. Evidence is never touched."""
    from indexer.care.delete import delete as run_delete
    from indexer.catalogue import filters

    if not (item or sha256 or source):
        raise UsageError("nothing to delete is named; give --item, --sha256 or --source")
    for digest in sha256 or ():
        if len(digest) != 64 or not set(digest.lower()) <= set("0123456789abcdef"):
            raise UsageError(f"{digest!r} is no SHA-256; give 64 hexadecimal digits")
    with open_case(case) as opened:
        done = run_delete(
            opened,
            items=item or (),
            sha256=sha256 or (),
            sources=[filters.source(path) for path in source or ()],
            reason=reason,
        )
        _tell_server(opened)
    out.one(done)
    note(f"Their vectors are removed from the disk by: imgmatch index {case} compact")


def _tell_server(case: Case) -> None:
    if case.catalogue.indexes.remote() is not None:
        from indexer.index.remote import follow

        try:
            follow(case.shelves())
        except CaseError as error:  # no search of this case returns them all the same
            note(f"imgmatch: the collection still holds what was deleted: {error}; run: imgmatch index CASE build")


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
    out.many(records, ["case", "items", "known", "sightings", "vectors", "issues", "decisions"])
