"""For whom a service uses a case, and that a request which is sent again is recorded once.

A service runs under one account for many people: their entries name the person beside the account, and the request by
the id that whoever sent it gave it. A request that was recorded, and whose answer was lost with the service or on the
way, comes again with the same id: where it is the same and gives the same, the entry that is there is its entry.
"""

from __future__ import annotations

import json
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from imgmatch.errors import UsageError
from indexer.case.audit import AuditLog
from indexer.case.chain import Head

_MOST_KNOWN = 50_000
"""So many of the last entries of a log are looked through, and so many requests are known."""
_ASKED = ("action", "arguments", "subject", "model", "weights_sha256", "person")
_FOUND = (*_ASKED, "counts")
_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Behalf:
    """A person, the id of what they asked for, and why they did."""

    person: str
    request: str
    reason: str


_BEHALF: ContextVar[Behalf | None] = ContextVar("behalf", default=None)


@contextmanager
def on_behalf_of(person: str, request: str, reason: str = "") -> Iterator[None]:
    """Whatever this thread does with a case inside is recorded as done for this person."""
    token = _BEHALF.set(Behalf(person, request, reason))
    try:
        yield
    finally:
        _BEHALF.reset(token)


def behalf() -> dict[str, str]:
    """What an entry says of for whom it was; nothing where that is whoever runs this program."""
    now = _BEHALF.get()
    return {} if now is None else {"person": now.person, "request": now.request}


def reason() -> str:
    """Why that person asked; empty where they did not say, or there is none."""
    now = _BEHALF.get()
    return "" if now is None else now.reason


def append_once(log: AuditLog, action: str, fields: Mapping[str, Any]) -> Head:
    """As ``AuditLog.append``; what is recorded already of the same request, with the same outcome, is not again.

    Raises UsageError where another thing was asked for by this id: nobody looks at a second thing under the entry of
    a first.
    """
    if "request" not in fields:
        return log.append(action, fields)
    with _LOCK:
        requests = _REQUESTS.setdefault(log, _Requests())
    return requests.append(log, action, fields)


def _differs(one: Mapping[str, Any], other: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    return any(one.get(name) != other.get(name) for name in names)


class _Requests:
    """The requests that stand in a log: those of its last entries when this began, and all since."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._known: OrderedDict[_Key, Mapping[str, Any]] | None = None
        self._underway: set[_Key] = set()

    def append(self, log: AuditLog, action: str, fields: Mapping[str, Any]) -> Head:
        """As ``append_once``. Different requests are written at once, so that they can share a commit; the same one,
        sent twice, waits until the first is on disk.
        """
        wanted = json.loads(json.dumps({**fields, "action": action}))
        with self._turn:
            self._turn.wait_for(lambda: _key(wanted) not in self._underway)
            if self._is_known(log, wanted):
                return log.head()
            self._underway.add(_key(wanted))
        try:
            head = log.append(action, fields)
            with self._turn:
                self._add(wanted)
            return head
        finally:
            with self._turn:
                self._underway.discard(_key(wanted))
                self._turn.notify_all()

    def _is_known(self, log: AuditLog, wanted: Mapping[str, Any]) -> bool:
        if self._known is None:
            log.write_out()  # what a kill left waiting in the catalogue
            self._known = OrderedDict()
            for entry in log.entries(last=_MOST_KNOWN):
                if isinstance(entry.get("request"), str):
                    self._add(entry)
        known = self._known.get(_key(wanted))
        if known is not None and _differs(known, wanted, _ASKED):
            raise UsageError(f"request {wanted['request']}: is that of something else; give each an id of its own")
        return known is not None and not _differs(known, wanted, _FOUND)

    def _add(self, entry: Mapping[str, Any]) -> None:
        assert self._known is not None
        self._known[_key(entry)] = {name: entry.get(name) for name in _FOUND}
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)


def _key(entry: Mapping[str, Any]) -> _Key:
    return str(entry.get("person")), str(entry["request"]), str(entry["action"])


_REQUESTS: weakref.WeakKeyDictionary[AuditLog, _Requests] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()
