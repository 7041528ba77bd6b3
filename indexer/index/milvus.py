"""A collection on a Milvus server or cluster: the only module that speaks to one, by the only socket there is.

One collection holds the vectors of one model, of any number of cases. A row's key is the namespace of its case (a
random UUID, minted when the case joins the collection) and its vector id, which a case never gives twice: so any number
of workstations write at once, none meets another's keys, and sending a row again changes nothing.

A server sees keys and vectors, never a picture, a name or a label.

Tried with ``TRIED``. Only what all of them answer alike is relied on: partitions are named by us, since 2.3 puts rows
that come by upsert where their partition key does not say; a hit's key is read by its place, since 2.3 does not name
it; every question is asked with strong consistency, so that rows count before they are sealed; no answer holds more
than ``MOST`` rows.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from imgmatch.errors import CaseError, ImgmatchError, UsageError
from imgmatch.optional import require
from imgmatch.types import ModelSpec
from indexer.catalogue import RemoteRow
from indexer.index.protocol import Ids, Queries
from indexer.index.segments import Rows
from indexer.index.served import Served, served

TRIED = ("Milvus 2.3.5 (standalone)", "Milvus Lite 3.2")
TOKEN = "IMGMATCH_MILVUS_TOKEN"
# The most that Milvus returns for a query.
MOST = 16_384
_FORMAT = 2
# A case's rows lie together in one of these parts of a collection: a search of one case looks at few others' rows.
_PARTS = 64
_CONNECT_S = 10.0
_ANSWER_S = 120.0
_MADE_S = 5.0  # between a collection and its index, when another workstation makes them
# Rows sent together: some megabytes, well below the 64 MiB that a server takes in one message.
_ROWS = 4096
# A server's clock ticks five times a second, and to be sure of all that was sent a question waits for the next tick.
# What was sent longer ago than a server may lag behind (5 s, its own "bounded") needs no such wait.
_FRESH_S = 15.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# No proxy; and no pings while nothing is asked: the client's default of ten seconds makes a server hang up.
_GRPC = {"grpc.enable_http_proxy": 0, "grpc.keepalive_time_ms": 2**31 - 1, "grpc.keepalive_permit_without_calls": False}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")


def checked_uri(uri: str) -> str:
    """A server's address as a user gives it. Raises UsageError where it is none, or holds a password."""
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"{uri!r} is no address of a server ({error}); give https://HOST:PORT") from error
    if parts.username or parts.password:
        raise UsageError(f"the address of {parts.hostname} holds a user or password; put it into {TOKEN} instead")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{uri!r} is no address of a Milvus server; give https://HOST:PORT")
    if parts.query or parts.fragment:
        raise UsageError(f"{uri!r} is no address of a Milvus server; leave out what follows ? or #")
    return uri.rstrip("/")


def checked_name(collection: str) -> str:
    """The first part of a collection's name. Raises UsageError on what Milvus would refuse."""
    if not _NAME.match(collection) or len(collection) > 64:
        raise UsageError(f"{collection!r} can't name a collection; use up to 64 letters, digits and _")
    return collection


class Collection:
    """The rows of one case by one model in the collection of that model; made on the server where it is missing.

    Every method raises CaseError, in one line that names server and collection, when the server can't be reached,
    refuses the token, or keeps something else under that name.
    """

    def __init__(self, remote: RemoteRow, spec: ModelSpec, rows: int = 0) -> None:
        """Connect, and check the collection, or make it, for so many rows at first."""
        self.remote = remote
        self.name = f"{remote.collection}_{re.sub(r'[^A-Za-z0-9]', '_', spec.name)}_{spec.weights_sha256[:12]}"
        self._part = f"part_{int(remote.namespace[:8], 16) % _PARTS:02}"
        self._spec = spec
        self._library = _pymilvus()
        self._counted = time.monotonic()
        with self._naming():
            self._client = _connect(self._library, remote.uri)
            if not self._exists():
                self._create(served(rows))
            self._check(self._client.describe_collection(self.name, timeout=_ANSWER_S))
            self._soon(lambda: self._client.list_indexes(self.name, timeout=_ANSWER_S))
            self._make_part()
            self._client.load_collection(self.name, timeout=_ANSWER_S)
            self.index = self._index()

    @property
    def where(self) -> str:
        """Server and collection, for a person."""
        return f"{self.remote.uri} collection {self.name}"

    def send(self, ids: Ids, rows: Rows) -> None:
        """Put (n, dim) rows under their ids, ascending; those that are there are replaced by the same.

        Where none of them can be there they are inserted: a row that replaces another is a deleted row too, for a
        server that does not look, and it builds a segment's index again where many are.
        """
        if not len(ids):
            return
        new = not self.count(int(ids[0]), int(ids[-1]))
        with self._naming():
            put = self._client.insert if new else self._client.upsert
            for start in range(0, len(ids), _ROWS):
                part = slice(start, start + _ROWS)
                vectors = np.asarray(rows[part], dtype=np.float32)
                data = [
                    {"key": self._key(i), "namespace": self.remote.namespace, "vector_id": i, "vector": vector}
                    for i, vector in zip(ids[part].tolist(), vectors, strict=True)
                ]
                put(self.name, data, partition_name=self._part, timeout=_ANSWER_S)

    def settle(self) -> None:
        """Ask the server to seal what was sent, so that it is indexed; searches see it before that too."""
        try:
            with self._naming():
                self._client.flush(self.name, timeout=_ANSWER_S, retry_on_rate_limit=False, _async=True)
        except _BusyError:  # a cluster bounds how often; it seals by itself
            pass

    def remove(self, ids: Sequence[int]) -> None:
        """Take rows out; those that are not there don't matter."""
        with self._naming():
            for start in range(0, len(ids), _ROWS):
                keys = [self._key(i) for i in ids[start : start + _ROWS]]
                self._client.delete(self.name, ids=keys, partition_name=self._part, timeout=_ANSWER_S)

    def remove_above(self, vector_id: int) -> None:
        """Take out this case's rows with higher ids; of 0, all."""
        with self._naming():
            chosen = f"{self._own()} and vector_id > {vector_id}"
            self._client.delete(self.name, filter=chosen, partition_name=self._part, timeout=_ANSWER_S)

    def count(self, first: int = 0, last: int | None = None) -> int:
        """How many rows of this case are there, of all ids, or of those from ``first`` to ``last``."""
        among = "" if last is None else f" and vector_id >= {first} and vector_id <= {last}"
        with self._naming():
            answer = self._client.query(
                self.name,
                filter=self._own() + among,
                partition_names=[self._part],
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=_ANSWER_S,
            )
            self._counted = time.monotonic()
            return int(answer[0]["count(*)"])

    def ids_between(self, first: int, last: int) -> Ids:
        """Vector ids of this case's rows from ``first`` to ``last``, at most 16,384 apart, ascending."""
        with self._naming():
            answer = self._client.query(
                self.name,
                filter=f"{self._own()} and vector_id >= {first} and vector_id <= {last}",
                partition_names=[self._part],
                output_fields=["vector_id"],
                limit=MOST,
                consistency_level="Strong",
                timeout=_ANSWER_S,
            )
        return np.array(sorted(row["vector_id"] for row in answer), dtype=np.int64)

    def nearest(self, queries: Queries, count: int) -> Ids:
        """(Q, count) ids of this case's rows near (Q, dim) queries, in the server's order, -1 where no more are."""
        near = np.full((len(queries), count), -1, dtype=np.int64)
        with self._naming():
            answer = self._client.search(
                self.name,
                data=[np.ascontiguousarray(query, dtype=np.float32) for query in queries],
                anns_field="vector",
                limit=count,
                filter=self._own(),
                partition_names=[self._part],
                search_params={"metric_type": "IP", "params": self.index.breadth(count)},
                consistency_level="Strong" if time.monotonic() - self._counted < _FRESH_S else "Bounded",
                timeout=_ANSWER_S,
            )
        for row, hits in zip(near, answer, strict=True):
            found = [int(key.rpartition(":")[2]) for key in hits.ids]
            row[: len(found)] = found
        return near

    def _key(self, vector_id: int) -> str:
        return f"{self.remote.namespace}:{vector_id}"

    def _own(self) -> str:
        return f'namespace == "{self.remote.namespace}"'

    def _about(self) -> dict[str, Any]:
        spec = self._spec
        return {"imgmatch": _FORMAT, "model": spec.name, "weights_sha256": spec.weights_sha256, "dim": spec.dim}

    def make_again(self, kind: str, rows: int) -> None:
        """Give the collection an index of another kind, for so many rows. Meanwhile nobody can search it. Raises
        UsageError on a kind that there is not, and as every method where the server does not have it.
        """
        wanted, before = served(rows, kind), self.index
        with self._naming():
            self._client.release_collection(self.name, timeout=_ANSWER_S)
            try:
                for name in self._client.list_indexes(self.name, timeout=_ANSWER_S):
                    self._client.drop_index(self.name, name, timeout=_ANSWER_S)
                try:
                    self._client.create_index(self.name, self._params(wanted), timeout=_ANSWER_S, sync=False)
                except self._library.MilvusException:
                    self._client.create_index(self.name, self._params(before), timeout=_ANSWER_S, sync=False)
                    raise
            finally:
                self._client.load_collection(self.name, timeout=_ANSWER_S)
            self.index = self._index()

    def pending(self, rows: int) -> int:
        """How many of so many rows, of all cases of the collection, the server has yet to seal or to bring into its
        index.
        """
        with self._naming():
            told = self._described()
        done = int(told.get("indexed_rows", 0) or 0) - int(told.get("pending_index_rows", 0) or 0)
        return min(rows, max(0, rows - done))

    def _described(self) -> dict[str, Any]:
        for name in self._client.list_indexes(self.name, timeout=_ANSWER_S):
            return dict(self._client.describe_index(self.name, name, timeout=_ANSWER_S) or {})
        return {}

    def _index(self) -> Served:
        told = self._described()
        return Served(str(told.get("index_type") or "HNSW"), told)

    def _params(self, index: Served) -> Any:
        made = self._library.MilvusClient.prepare_index_params()
        built = {name: value for name, value in index.params.items() if name in ("M", "efConstruction", "nlist")}
        made.add_index("vector", index_type=index.name, metric_type="IP", params=built)
        return made

    def _create(self, index: Served) -> None:
        types = self._library.DataType
        about = json.dumps(self._about(), sort_keys=True)
        schema = self._library.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False, description=about)
        schema.add_field("key", types.VARCHAR, max_length=64, is_primary=True)
        schema.add_field("namespace", types.VARCHAR, max_length=32)
        schema.add_field("vector_id", types.INT64)
        schema.add_field("vector", types.FLOAT_VECTOR, dim=self._spec.dim)
        params = self._params(index)
        try:
            self._client.create_collection(
                self.name, schema=schema, index_params=params, consistency_level="Strong", timeout=_ANSWER_S
            )
        except self._library.MilvusException:
            if not self._soon(self._exists):
                raise

    def _make_part(self) -> None:
        if self._has_part():
            return
        try:
            self._client.create_partition(self.name, self._part, timeout=_ANSWER_S)
        except self._library.MilvusException:
            if not self._soon(self._has_part):
                raise

    def _has_part(self) -> bool:
        return bool(self._client.has_partition(self.name, self._part, timeout=_ANSWER_S))

    def _soon(self, there: Callable[[], object]) -> bool:
        """Whether something is there, or will be in a moment: another workstation may be making it."""
        until = time.monotonic() + _MADE_S
        while not there():
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return True

    def _exists(self) -> bool:
        return bool(self._client.has_collection(self.name, timeout=_ANSWER_S))

    def _check(self, found: dict[str, Any]) -> None:
        fields = {field["name"]: field for field in found["fields"]}
        if not {"key", "namespace", "vector_id", "vector"} <= fields.keys():
            raise CaseError(f"{self.where}: was not made by imgmatch; choose another name with --collection")
        dim = int(fields["vector"].get("params", {}).get("dim", 0))
        # The name holds the weights' hash already; Lite keeps no description, and a format before had a partition key.
        about = found.get("description") or json.dumps(self._about(), sort_keys=True)
        other = about != json.dumps(self._about(), sort_keys=True) or fields["namespace"].get("is_partition_key")
        if other or dim != self._spec.dim:
            raise CaseError(
                f"{self.where}: holds {dim}-d vectors of another model or format, not {self._spec.dim}-d ones of "
                f"{self._spec.name!r}; choose another name with --collection"
            )

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Errors of the library and the network in one line that says what to do."""
        import grpc

        try:
            yield
        except (self._library.MilvusException, grpc.RpcError) as error:
            raise _named(self.where, error) from error


class _BusyError(CaseError):
    """The server wants to be asked less often."""


# What a server or the way to it says, and what that means and asks for; the first that fits.
_FAULTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("unauthenticated", "auth check", "not authenticated", "permission", "privilege"),
        f"the server refuses the token; set {TOKEN} to user:password or an API key that may use this collection",
    ),
    (
        ("certificate", "handshake", "ssl_error", "wrong_version_number"),
        "the server can't be reached by TLS: its certificate is not trusted here, or it speaks http only; name the "
        "laboratory's authority in GRPC_DEFAULT_SSL_ROOTS_FILE_PATH, or give the address that it has",
    ),
    (
        ("http1.x", "unimplemented", "received http2 header with status"),
        "what answers there is no Milvus server that imgmatch knows; check the port (19530, unless it was changed)",
    ),
    (
        ("no space left", "disk quota", "memory quota", "quota exceeded", "out of memory"),
        "the server is full; make room on it, then run: imgmatch index build CASE",
    ),
    (
        ("not loaded", "not fully loaded", "not available", "no available", "not ready", "notready", "not healthy"),
        "the server is not ready, as after a start; wait a minute and try again",
    ),
    (
        ("fail connecting", "unavailable", "deadline", "connection", "timeout"),
        "the server can't be reached; check the address, the network and https or http, and whether it runs",
    ),
)


def _named(where: str, error: BaseException) -> CaseError:
    """What befell, in one line; the library hides the server's own words behind its own."""
    chain: list[BaseException] = []
    more: list[BaseException | None] = [error]
    while more:
        cause = more.pop()
        if cause is not None and cause not in chain:  # it raises errors from themselves
            chain.append(cause)
            more += [cause.__cause__, cause.__context__]
    texts = [str(getattr(cause, "message", "") or cause) for cause in chain]
    line = next((line.strip() for line in texts[0].splitlines() if line.strip()), "no reason given")[:200]
    said = "\n".join(texts).lower()
    if getattr(error, "code", None) == 8 or "rate limit" in said:
        return _BusyError(f"{where}: the server is busy ({line}); try again later")
    for words, meaning in _FAULTS:
        if any(word in said for word in words):
            return CaseError(f"{where}: {meaning}")
    return CaseError(f"{where}: {line}; see the server's log")


def _pymilvus() -> Any:
    # It would read settings from any .env file above it, and print every error with its traceback.
    before = os.environ.get("PYTHON_DOTENV_DISABLED")
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it would write lines beside the one that says what befell
    try:
        library = require("pymilvus", "milvus")
    finally:
        if before is None:
            del os.environ["PYTHON_DOTENV_DISABLED"]
        else:
            os.environ["PYTHON_DOTENV_DISABLED"] = before
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL + 1)
    return library


def _connect(library: Any, uri: str) -> Any:
    token = os.environ.get(TOKEN, "")
    if token and uri.startswith("http:") and urlsplit(uri).hostname not in _LOOPBACK:
        raise ImgmatchError(f"{uri}: the token in {TOKEN} would go over the network unencrypted; use https")
    # No proxy: vectors go to the address that the user chose, and nowhere else.
    return library.MilvusClient(uri=uri, token=token, timeout=_CONNECT_S, grpc_options=_GRPC)
