"""A search that a service makes, as one on a case of this machine is made: the same requests and the same results."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any

from cli.serve.client import Client, ServiceError, new_key
from cli.serve.messages import MAX_QUERIES, MAX_UPLOAD_BYTES, ResultTold, SearchTold
from cli.serve.received import result_of, sent_as
from imgmatch.errors import EvidenceError, UsageError
from imgmatch.evidence import walk
from imgmatch.evidence.limits import AllLimits
from imgmatch.evidence.read import read
from imgmatch.locator import Locator
from imgmatch.types import Evidence, Issue
from indexer.catalogue.filters import Filter
from indexer.search.request import SearchRequest, SearchResult

_LIMITS = AllLimits()
_LIMITS = dataclasses.replace(_LIMITS, picture=dataclasses.replace(_LIMITS.picture, max_bytes=MAX_UPLOAD_BYTES))


class Asking:
    """Searches by a service in some of its cases, or in all that may be searched (none named)."""

    def __init__(self, client: Client, cases: Sequence[str], reason: str, column: str | None) -> None:
        """Asks the service which cases there are. Raises ServiceError, in one line, where it can't be asked, or has
        none of that name for who asks.
        """
        self._client, self._cases, self._reason, self._column = client, list(cases), reason, column
        told = client.cases()
        known = {one["case"]: one for one in told["cases"]}
        for case in cases:
            if case not in known:
                there = ", ".join(known) or "none"
                raise ServiceError(f"{client.address}/{case}: no such case for {told['person']}; there are: {there}")
        if not known:
            raise ServiceError(f"{client.address}: has no case for {told['person']}; ask its operator")
        self.model = next(iter(known.values()))["model"]

    def search(self, queries: Sequence[str | os.PathLike[str]], request: SearchRequest) -> Iterator[SearchResult]:
        """As ``Searcher.search``."""
        for found in _walk(queries):
            picture = _read(found)
            if isinstance(picture, Issue):
                yield self._unread(picture)
            else:
                yield from self._asked([picture], request, together=False)

    def together(self, queries: Sequence[str | os.PathLike[str]], request: SearchRequest) -> Iterator[SearchResult]:
        """As ``sets.together``."""
        pictures = []
        for found in _walk(queries):
            picture = _read(found)
            if isinstance(picture, Issue):
                yield self._unread(picture)
            else:
                pictures.append(picture)
        if len(pictures) > MAX_QUERIES:
            raise UsageError(f"{len(pictures)} queries: a service takes sets of up to {MAX_QUERIES}; give fewer")
        if pictures:
            yield from self._asked(pictures, request, together=True)

    def _unread(self, issue: Issue) -> SearchResult:
        return SearchResult(issue.locator, None, self.model, 0.0, issue=issue)

    def _asked(
        self, pictures: Sequence[tuple[Locator, bytes]], request: SearchRequest, *, together: bool
    ) -> Iterator[SearchResult]:
        """One request: its pictures are sent, again where the service has lost them, then it is asked."""
        contents = [self._client.send(data) for _, data in pictures]
        places = [place for place, _ in pictures]
        queries = [
            {"sha256": sha256, "name": sent_as(place).at} for place, sha256 in zip(places, contents, strict=True)
        ]
        asked = {**_words(request), "queries": queries, "together": together, "column": self._column}
        asked["reason"] = self._reason
        if self._cases:
            asked["cases"] = self._cases
        key, told = new_key(), None
        while told is None:
            try:
                told = self._client.ask(SearchTold, "/v1/searches", asked, key)
            except ServiceError as error:
                if error.status != 409 or not error.missing:
                    raise
                for (_, data), sha256 in zip(pictures, contents, strict=True):
                    if sha256 in error.missing:
                        self._client.send(data)
        results: list[ResultTold] = told["results"]
        for result in results:
            yield result_of(result, places, contents)


def _walk(queries: Sequence[str | os.PathLike[str]]) -> Iterator[Evidence | Issue]:
    for path in queries:
        yield from walk(path)


def _read(found: Evidence | Issue) -> tuple[Locator, bytes] | Issue:
    """A picture's place and bytes, or why it can't be sent."""
    if isinstance(found, Issue):
        return found
    try:
        data = read(found, _LIMITS).data
        if data is None:
            what = f"more than {MAX_UPLOAD_BYTES >> 20} MiB, which no service takes"
            raise EvidenceError("limit", what, "read", "max_bytes")
    except EvidenceError as error:
        return Issue.of(found.locator, error)
    return found.locator, data


def _words(request: SearchRequest) -> dict[str, Any]:
    """A request as it is sent. Raises UsageError for what a service does not take."""
    out = request.leave_out
    if out.mask is not None:
        raise UsageError(f"{out.mask}: a service takes no mask; give boxes with --ignore-box")
    return {
        "k": request.k,
        "regions": request.regions,
        "verify_top": request.verify_top,
        "max_fmr": request.max_fmr,
        "with_rejected": request.with_rejected,
        "ignore_boxes": out.boxes,
        "box": out.outside,
        "within": {name: value for name, value in _within(request.within).items() if value},
    }


def _within(within: Filter) -> dict[str, Any]:
    """A filter in the words of the options that make it."""
    return {
        "label": [f"{column}={value}" for column, value in within.labels],
        "since": within.since,
        "until": within.until,
        "source": list(within.sources),
        "item": list(within.items),
        "meta": [name if value is None else f"{name}={value}" for name, value in within.metadata],
        "on_list": list(within.lists),
        "exclude_label": [f"{column}={value}" for column, value in within.exclude_labels],
        "exclude_source": list(within.exclude_sources),
        "exclude_item": list(within.exclude_items),
        "exclude_list": list(within.exclude_lists),
    }
