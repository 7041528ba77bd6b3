"""The index of each model that is in use: in files, or on a Milvus server."""

from __future__ import annotations

from typing import NamedTuple

from indexer.catalogue.meta import MetaWrites
from indexer.catalogue.sql import Reads, Writes
from indexer.catalogue.table import Kept, Table

_OWN = Kept("an index is built from vectors; it is brought along by building")

TABLES = (
    # The index of each model that is in use: a folder below indexes/, and the hash of its manifest.
    Table(
        "generations",
        {
            2: """
            CREATE TABLE generations (
                model_id INTEGER PRIMARY KEY REFERENCES models,
                name TEXT NOT NULL,
                manifest_sha256 TEXT NOT NULL,
                made_utc TEXT NOT NULL
            ) STRICT;
            """
        },
        delete=Kept(),
        merge=_OWN,
        compact=Kept("ids stay what they are"),
    ),
    # Collections on a Milvus server that hold this case's vectors: the one in use ('current'), the one that a move
    # fills ('coming'), and the one that it has left but not yet emptied ('leaving'). Never a token.
    Table(
        "remotes",
        {
            5: """
            CREATE TABLE remotes (
                role TEXT PRIMARY KEY CHECK (role IN ('current', 'coming', 'leaving')),
                uri TEXT NOT NULL,
                collection TEXT NOT NULL,
                namespace TEXT NOT NULL
            ) STRICT, WITHOUT ROWID;
            """
        },
        delete=Kept(),
        merge=_OWN,
        compact=Kept(),
    ),
    # Up to which vector id a model's rows have certainly been sent there.
    Table(
        "sent",
        {
            5: """
            CREATE TABLE sent (
                namespace TEXT NOT NULL,
                model_id INTEGER NOT NULL REFERENCES models,
                vector_id INTEGER NOT NULL,
                PRIMARY KEY (namespace, model_id)
            ) STRICT, WITHOUT ROWID;
            """
        },
        delete=Kept(),
        merge=_OWN,
        compact=Kept(),
    ),
)


class GenerationRow(NamedTuple):
    """The index of a model that is in use: its folder below ``indexes/`` and the hash of its manifest."""

    name: str
    manifest_sha256: str


class RemoteRow(NamedTuple):
    """Where a Milvus server keeps this case's vectors; ``namespace`` begins each of their keys."""

    uri: str
    collection: str
    namespace: str


class IndexReads(Reads):
    """Which indexes are in use."""

    def generation(self, model_id: int) -> GenerationRow | None:
        """The index of a model that is in use."""
        row = self._one("SELECT name, manifest_sha256 FROM generations WHERE model_id = ?", (model_id,))
        return None if row is None else GenerationRow(*row)

    def names(self) -> set[str]:
        """Folders of all indexes in use."""
        return {row[0] for row in self._rows("SELECT name FROM generations")}

    def remote(self, role: str = "current") -> RemoteRow | None:
        """The Milvus collection in use; or the one that a move is filling ("coming"), or emptying ("leaving")."""
        row = self._one("SELECT uri, collection, namespace FROM remotes WHERE role = ?", (role,))
        return None if row is None else RemoteRow(*row)

    def sent(self, namespace: str, model_id: int) -> int:
        """Up to which vector id a model's rows have been sent to a collection; 0: none."""
        row = self._one("SELECT vector_id FROM sent WHERE namespace = ? AND model_id = ?", (namespace, model_id))
        return 0 if row is None else int(row[0])


class IndexWrites(Writes, IndexReads):
    """Putting indexes to use; what is open notices by the counter."""

    def set_generation(self, model_id: int, name: str | None, manifest_sha256: str, now_utc: str) -> None:
        """Put an index to use instead of the one before; None: none."""
        MetaWrites(self._transaction).next_number("generations")
        self._run("DELETE FROM generations WHERE model_id = ?", (model_id,))
        if name is not None:
            self._run("INSERT INTO generations VALUES (?, ?, ?, ?)", (model_id, name, manifest_sha256, now_utc))

    def set_remote(self, role: str, remote: RemoteRow | None) -> None:
        """Say which Milvus collection is in use, or part of a move; None: none."""
        MetaWrites(self._transaction).next_number("generations")
        self._run("DELETE FROM remotes WHERE role = ?", (role,))
        if remote is not None:
            values = (role, remote.uri, remote.collection, remote.namespace)
            self._run("INSERT INTO remotes VALUES (?, ?, ?, ?)", values)

    def set_sent(self, namespace: str, model_id: int, vector_id: int) -> None:
        """Note that a model's rows have been sent up to this one."""
        self._run("INSERT OR REPLACE INTO sent VALUES (?, ?, ?)", (namespace, model_id, vector_id))

    def forget_sent(self, namespace: str) -> None:
        """Nothing of this case is in that collection any more."""
        self._run("DELETE FROM sent WHERE namespace = ?", (namespace,))
