"""Where a case's index is: files of the case, or a Milvus server."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from imgmatch.errors import UsageError

if TYPE_CHECKING:
    from indexer.catalogue import RemoteRow


class Kind(enum.StrEnum):
    """Who keeps the index."""

    faiss = "faiss"
    milvus = "milvus"


@dataclass(frozen=True, slots=True)
class MilvusOptions:
    """A server, and a collection on it."""

    uri: Annotated[
        str | None,
        typer.Option(
            "--uri", metavar="https://HOST:PORT", help="Of the Milvus server; token in IMGMATCH_MILVUS_TOKEN.",
        ),
    ] = None  # fmt: skip
    collection: Annotated[str, typer.Option("--collection", help="First part of the collection's name there.")] = (
        "imgmatch"
    )

    def place(self, kind: Kind) -> RemoteRow | None:
        """The place that the options name; None: files. Raises UsageError when they don't go together."""
        if kind is Kind.faiss:
            if self.uri is not None:
                raise UsageError(
                    f"{self.uri}: an address goes with a Milvus index only; leave --uri out, or choose milvus"
                )
            return None
        if self.uri is None:
            raise UsageError("a Milvus index needs the address of its server; give --uri https://HOST:PORT")
        from indexer.index.remote import place

        return place(self.uri, self.collection)
