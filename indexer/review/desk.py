"""One reviewer's sitting with one case: what is at hand, searched and decided. Safe to use from threads."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from imgmatch.errors import CaseError, UsageError
from imgmatch.models.base import Embedder
from imgmatch.types import Issue, Match
from indexer.case.case import Case
from indexer.catalogue import DecisionRow
from indexer.catalogue.decisions import VERDICTS
from indexer.out.report import ReportConfig, write_report
from indexer.review.pictures import Pictures
from indexer.review.queries import Queries, QueryPicture
from indexer.review.stacks import Stacks
from indexer.search import decisions
from indexer.search.background import background
from indexer.search.comparison import Comparison, compare
from indexer.search.query import Query
from indexer.search.request import SearchRequest, SearchResult
from indexer.search.searcher import Searcher
from indexer.search.sets import LabelMatch, by_label
from indexer.search.verification import VERIFY_TOP

DEPTH = 500
"""So many matches does a search keep for paging through."""
MAX_SEARCHES = 30
_QUERIES = 2
"""So many queries stay decoded, which may be large; one that is needed later is read again."""
_LOOKED_AT = 8

STATES = ("open", *VERDICTS)


@dataclass(frozen=True, slots=True)
class KeptSearch:
    """A search that was made, as it was asked for."""

    search_id: int
    query: QueryPicture
    request: SearchRequest
    verified: bool
    result: SearchResult


@dataclass(frozen=True, slots=True)
class Shown:
    """A match as it stands now: with what the examiners say of it, also in ``match.decision``."""

    match: Match
    state: str


class Desk:
    """Everything that a review does. Raises CaseError when the case holds no vectors by this model."""

    def __init__(self, case: Case, embedder: Embedder, examiner: str = "") -> None:
        self.case = case
        self.embedder = embedder
        self.examiner = examiner or case.catalogue.meta.all().get("examiner", "")
        self.background = background(case, embedder.spec)
        self._searcher = Searcher(case, embedder, background=self.background)
        self.stacks = Stacks(case, embedder.spec)
        self._ends = ExitStack()
        self.use = self._ends.enter_context(
            case.use("review_start", arguments={"examiner": self.examiner}, ends="review_end")
        )
        self.queries = Queries(self.use)
        self.pictures = Pictures(self.use)
        self._search_lock = threading.Lock()
        self._look_lock = threading.RLock()
        self._searches: OrderedDict[int, KeptSearch] = OrderedDict()
        self._last_search = 0
        self._read: OrderedDict[int, Query] = OrderedDict()
        self._compared: OrderedDict[tuple[int, int], Comparison] = OrderedDict()
        self._labels: tuple[dict[str, int], list[tuple[str, str]]] | None = None

    def close(self, why: str = "closed", refused: Mapping[str, int] | None = None) -> None:
        """Break off what runs beside, and record the end of the sitting, and how often whom it did not let in."""
        self.stacks.stop()
        self.use.entry.arguments = {"why": why, "examiner": self.examiner, "refused": dict(refused or {})}
        self._ends.close()

    # --- who looks

    def entered(self, host: str, port: int) -> None:
        """Record that a tab of a browser came in."""
        arguments = {"host": host, "port": port, "examiner": self.examiner}
        with self.case.use("review_session", arguments=arguments):
            pass

    def refused(self, why: str) -> None:
        """Record that somebody was not let in, once a kind; how often is recorded at the end."""
        with self.case.use("review_refused", arguments={"why": why}):
            pass

    # --- query pictures

    def upload(self, name: str, data: bytes) -> QueryPicture:
        """Take in a picture to search with; its bytes stay in memory. Raises UsageError when it can't be used."""
        return self._recorded(self.queries.upload(name, data))

    def choose(self, text: str) -> QueryPicture:
        """Take an item of the case to search with, as ``Queries.choose``."""
        return self._recorded(self.queries.choose(text))

    def _recorded(self, picture: QueryPicture) -> QueryPicture:
        place = {"query": str(picture.found.locator), "query_sha256": picture.sha256, "item_id": picture.item_id}
        try:
            with self.case.use("review_query", arguments={"examiner": self.examiner}, subject=place):
                return picture
        except CaseError:
            self.queries.remove(picture.query_id)
            raise

    # --- pictures shown as they are

    def reveal_item(self, item_id: int, px: int, grey: bool) -> bytes:
        """An item's clear picture (JPEG); recorded before it is given."""
        arguments = {"px": px, "grey": grey, "examiner": self.examiner}
        with self.case.use("reveal", arguments=arguments) as use:
            made = self.pictures.item(item_id, px, grey)
            sha256 = use.catalogue.items.by_id([item_id])[item_id].sha256
            use.entry.subject = {"item_id": item_id, "sha256": sha256}
        return made

    def reveal_query(self, query_id: int, px: int, grey: bool) -> bytes:
        """A query's clear picture (JPEG); recorded before it is given."""
        picture = self.queries.get(query_id)
        arguments = {"px": px, "grey": grey, "examiner": self.examiner}
        subject = {"query": str(picture.found.locator), "sha256": picture.sha256}
        with self.case.use("reveal", arguments=arguments, subject=subject):
            return self.pictures.query(picture, px, grey)

    # --- searching

    def search(self, query_id: int, request: SearchRequest) -> KeptSearch:
        """Search for up to DEPTH matches; the first answer comes at once, ``verify`` of it later brings geometry.

        Raises UsageError when the query can't be read or what is to be left out does not fit it.
        """
        picture = self.queries.get(query_id)
        request = replace(request, k=DEPTH, verify_top=0, with_rejected=True)
        with self._search_lock:
            started = time.perf_counter()
            query = self._searcher.read(picture.found, request)
            result = self._searcher.answer(query, request, started)
            if isinstance(query, Issue):
                raise UsageError(f"{picture.name}: {query.message}; give a picture that can be read")
            self._last_search += 1
            kept = KeptSearch(self._last_search, picture, request, False, result)
            self._searches[kept.search_id] = kept
            while len(self._searches) > MAX_SEARCHES:
                self._searches.popitem(last=False)
        with self._look_lock:
            self._keep_read(kept, query)
        return kept

    def verify(self, search_id: int) -> KeptSearch:
        """The same search with its nearest matches verified, as ``Searcher`` orders and describes them.

        Nothing else waits meanwhile. Raises UsageError when the query can't be read any more.
        """
        kept = self.kept(search_id)
        if kept.verified:
            return kept
        query = self._query(kept)
        subject = {"query_sha256": kept.query.sha256}
        arguments = {"examiner": self.examiner}
        with self.case.use("verify", arguments=arguments, subject=subject, model=self.embedder.spec) as use:
            ordered = self._searcher.verify(use, query, kept.result.matches, VERIFY_TOP)
            matches = self._searcher.describe(use, query, ordered)
            found = [match.verification for match in matches if match.verification is not None]
            use.entry.counts = {"looked_at": len(found), "verified": sum(one.verified for one in found)}
        verified = replace(kept, verified=True, result=replace(kept.result, matches=matches))
        with self._search_lock:
            if search_id in self._searches:
                self._searches[search_id] = verified
        with self._look_lock:
            for key in [key for key in self._compared if key[0] == search_id]:
                del self._compared[key]  # what is shown closely is what the ranking went by
        return verified

    def kept(self, search_id: int) -> KeptSearch:
        """A search that was made. Raises UsageError when it is not kept any more."""
        found = self._searches.get(search_id)
        if found is None:
            raise UsageError(f"search {search_id}: not kept any more; search again")
        return found

    def searches(self) -> list[KeptSearch]:
        """Those that are kept, newest first."""
        return list(reversed(self._searches.values()))

    def shown(self, kept: KeptSearch, states: Sequence[str] = STATES, min_score: float = -1.0) -> list[Shown]:
        """The matches of a search in these states and with at least this score, in their order."""
        decided = self.use.catalogue.decisions.standing(kept.query.sha256)
        now = (replace(match, decision=decided.get(match.sha256)) for match in kept.result.matches)
        every = (Shown(match, match.decision.verdict if match.decision else "open") for match in now)
        return [shown for shown in every if shown.state in states and shown.match.score >= min_score]

    def by_label(self, kept: KeptSearch, shown: Sequence[Shown], column: str) -> tuple[LabelMatch, ...]:
        """Labels ranked over such matches."""
        found = replace(kept.result, matches=tuple(one.match for one in shown))
        return by_label(found, column, DEPTH).labels

    def label_choices(self) -> list[tuple[str, str]]:
        """Columns and values that labels have, the first thousand; read again when the case has changed."""
        state = self.case.catalogue.state()
        if self._labels is None or self._labels[0] != state:
            self._labels = (state, self.use.catalogue.labels.values(1000))
        return self._labels[1]

    # --- looking closely

    def compare(self, search_id: int, item_id: int) -> Comparison:
        """A search's query and an item, read again and compared; recorded."""
        key = (search_id, item_id)
        with self._look_lock:
            if key not in self._compared:
                kept = self.kept(search_id)
                known = next((m.verification for m in kept.result.matches if m.item_id == item_id), None)
                query = self._query(kept)
                subject = {"query": str(query.locator), "query_sha256": query.sha256, "item_id": item_id}
                arguments = {"reveal": False, "examiner": self.examiner}
                with self.case.use("explain", arguments=arguments, subject=subject, model=self.embedder.spec) as use:
                    made = compare(use, self.embedder, query, item_id, lambda: self._searcher.index, known)
                    use.entry.subject = {**subject, "item_sha256": made.sha256}
                self._compared[key] = made
                if len(self._compared) > _LOOKED_AT:
                    self._compared.popitem(last=False)
            return self._compared[key]

    def _query(self, kept: KeptSearch) -> Query:
        """The query as the search read it: geometry sees the same pixels."""
        with self._look_lock:
            if kept.search_id not in self._read:
                read = self._searcher.read(kept.query.found, kept.request)
                if isinstance(read, Issue):
                    raise UsageError(f"{kept.query.name}: {read.message}; upload or choose it again")
                self._keep_read(kept, read)
            return self._read[kept.search_id]

    def _keep_read(self, kept: KeptSearch, query: Query) -> None:
        self._read[kept.search_id] = query
        if len(self._read) > _QUERIES:
            self._read.popitem(last=False)

    # --- deciding

    def decide(self, query_sha256: str, item_id: int, verdict: str, note: str = "") -> DecisionRow:
        """Confirm or reject, in the examiner's name. Raises UsageError when nobody has said who that is."""
        if not self.examiner:
            raise UsageError("nobody is named as the examiner; say who decides first")
        return decisions.decide(self.case, query_sha256, str(item_id), verdict, note, self.examiner)

    def name_examiner(self, name: str) -> None:
        """Who decides from now on; recorded. Raises UsageError when it is no name."""
        name = name.strip()
        if not name or len(name) > 200 or not name.isprintable():
            raise UsageError("that is no name; give one of up to 200 printable characters")
        with self.case.use("review_examiner", arguments={"examiner": name}):
            pass
        self.examiner = name

    # --- handing over

    def export(self, folder: str, search_ids: Sequence[int], k: int, reveal: bool, images: bool) -> Path:
        """Write an HTML report of searches, the first ``k`` matches each, to a new folder; nothing is overwritten.

        Raises UsageError when the folder exists or can't be written, or is not named in full.
        """
        target = Path(folder).expanduser()
        if not target.is_absolute():
            raise UsageError(f"{folder!r}: name the folder in full, from the root or from ~")
        if not 1 <= k <= DEPTH:
            raise UsageError(f"{k}: give between 1 and {DEPTH} matches a query")
        results = []
        for search_id in search_ids:
            kept = self.kept(search_id)
            matches = [one.match for one in self.shown(kept, ("open", "confirmed"))][:k]
            results.append(replace(kept.result, matches=tuple(matches)))
        return write_report(self.case, results, self.embedder.spec, target, ReportConfig(reveal and images, images))
