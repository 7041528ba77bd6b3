"""Where a case's index is: files of the case, or a Milvus server."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import FormatOpt, OutputOpt
from cli.progress import count_progress
from cli.render import Format, emit_one
from imgmatch.errors import UsageError

if TYPE_CHECKING:
    from indexer.catalogue import RemoteRow

COLLECTION = "imgmatch"


class Kind(enum.StrEnum):
    """Who keeps the index."""

    faiss = "faiss"
    milvus = "milvus"


KindOpt = Annotated[Kind, typer.Option("--index", help="Files of the case (faiss), or a Milvus server.")]
UriOpt = Annotated[
    str | None,
    typer.Option(
        "--uri", metavar="https://HOST:PORT", help="Of the Milvus server; token in IMGMATCH_MILVUS_TOKEN.",
        show_default=False,
    ),
]  # fmt: skip
CollectionOpt = Annotated[str, typer.Option("--collection", help="First part of the collection's name there.")]


def target(kind: Kind, uri: str | None, collection: str) -> RemoteRow | None:
    """The place that the options name; None: files. Raises UsageError when they don't go together."""
    if kind is Kind.faiss:
        if uri is not None:
            raise UsageError(f"{uri}: an address goes with a Milvus index only; leave --uri out, or choose milvus")
        return None
    if uri is None:
        raise UsageError("a Milvus index needs the address of its server; give --uri https://HOST:PORT")
    from indexer.index.remote import place

    return place(uri, collection)


def where(remote: RemoteRow | None) -> str:
    """Where the index is, in a line."""
    return "faiss" if remote is None else f"milvus at {remote.uri}, collection {remote.collection}"


def move(
    context: typer.Context,
    to: Annotated[Kind, typer.Option("--to", help="Where to.", show_default=False)],
    uri: UriOpt = None,
    collection: CollectionOpt = COLLECTION,
    abandon: Annotated[
        bool, typer.Option("--abandon", help="Leave the rows in the old place: its server is gone.")
    ] = False,
    format: FormatOpt = Format.table,
    output: OutputOpt = None,
) -> None:
    """Bring the index to a Milvus server, or back to files; running it again goes on where it stopped."""
    import dataclasses

    from indexer.care.move import move as run_move
    from indexer.case.case import Case

    place = target(to, uri, collection)
    with Case.open(context.obj) as opened, count_progress() as progress:
        done = run_move(opened, place, abandon=abandon, progress=progress)
    emit_one(dataclasses.asdict(done), format, output)
