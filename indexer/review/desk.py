"""One reviewer's sitting with one case: what is at hand, searched and decided. Safe to use from threads."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from imgmatch.errors import CaseError, UsageError
from imgmatch.match.faces import hides_faces
from imgmatch.models.base import Embedder
from imgmatch.types import Evidence, Issue, Match
from indexer.case.case import Case
from indexer.catalogue.clock import now_utc
from indexer.catalogue.decisions import REJECTED, VERDICTS
from indexer.out.report import ReportConfig, write_report
from indexer.review.judging import Judging
from indexer.review.kept import KeptSearch
from indexer.review.listing import Listing
from indexer.review.people import People
from indexer.review.pictures import Pictures
from indexer.review.queries import Queries, QueryPicture
from indexer.review.stacks import Stacks
from indexer.search.background import background
from indexer.search.comparison import Comparison, compare
from indexer.search.names import require_names
from indexer.search.query import Query
from indexer.search.request import LeaveOut, SearchRequest, SearchResult
from indexer.search.searcher import Searcher
from indexer.search.sets import LabelMatch, by_label, found_best, fused
from indexer.search.verification import VERIFY_TOP

if TYPE_CHECKING:
    from imgmatch.models.xfeat.matcher import Matcher

DEPTH = 500
"""So many matches does a search keep for paging through."""
MAX_SEARCHES = 30
MAX_SET = 12
"""So many queries are searched together at most."""
_QUERIES = 2
"""So many queries stay decoded, which may be large; one that is needed later is read again."""
_LOOKED_AT = 8

STATES = ("open", *VERDICTS)


@dataclass(frozen=True, slots=True)
class Shown:
    """A match as it stands now: with what the examiners say of it, also in ``match.decision``."""

    match: Match
    state: str
    looked: bool = False
    """The examiner has looked at it and the query in this sitting."""


class Desk:
    """Everything that a review does. Raises CaseError when the case holds no vectors by this model."""

    def __init__(self, case: Case, embedder: Embedder, examiner: str = "", matcher: Matcher | None = None) -> None:
        self.case = case
        self.embedder = embedder
        self.examiner = examiner or case.catalogue.meta.all().get("examiner", "")
        self.background = background(case, embedder.spec)
        self._searcher = Searcher(case, embedder, background=self.background, matcher=matcher)
        self.stacks = Stacks(case, embedder.spec)
        self._ends = ExitStack()
        self.use = self._ends.enter_context(
            case.use("review_start", arguments={"examiner": self.examiner}, ends="review_end")
        )
        self.queries = Queries(self.use)
        self.pictures = Pictures(self.use)
        self.people = People(case, self.queries)
        self.judging = Judging(case, self.use, lambda: self.examiner)
        self.listing = Listing(case, lambda: self.examiner)
        self._search_lock = threading.Lock()
        self._look_lock = threading.RLock()
        self._searches: OrderedDict[int, KeptSearch] = OrderedDict()
        self._last_search = 0
        self._read: OrderedDict[tuple[int, int], Query] = OrderedDict()
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

    def reveal_item(self, item_id: int, px: int, grey: bool, faces: bool = False) -> bytes:
        """An item's clear picture (JPEG), with its ``faces`` or without; recorded before it is given."""
        arguments = {"px": px, "grey": grey, "faces": faces or not hides_faces(), "examiner": self.examiner}
        with self.case.use("reveal", arguments=arguments) as use:
            made = self.pictures.item(item_id, px, grey, faces)
            sha256 = use.catalogue.items.by_id([item_id])[item_id].sha256
            use.entry.subject = {"item_id": item_id, "sha256": sha256}
        self.judging.looked.shown(self.examiner, sha256)
        return made

    def reveal_query(self, query_id: int, px: int, grey: bool, faces: bool = False) -> bytes:
        """A query's clear picture (JPEG), with its ``faces`` or without; recorded before it is given."""
        picture = self.queries.get(query_id)
        arguments = {"px": px, "grey": grey, "faces": faces or not hides_faces(), "examiner": self.examiner}
        subject = {"query": str(picture.found.locator), "sha256": picture.sha256}
        with self.case.use("reveal", arguments=arguments, subject=subject):
            made = self.pictures.query(picture, px, grey, faces)
        self.judging.looked.shown(self.examiner, picture.sha256)
        return made

    # --- searching

    def search(self, query_ids: Sequence[int], request: SearchRequest) -> KeptSearch:
        """Search for up to DEPTH matches, with several queries as one set; the first answer comes at once, ``verify``
        of it later brings geometry.

        Raises UsageError when a query can't be read or what is to be left out does not fit it, and
        UnknownNameError for a name of the filter that occurs nowhere.
        """
        pictures = tuple(self.queries.get(query_id) for query_id in dict.fromkeys(query_ids))
        if not 1 <= len(pictures) <= MAX_SET:
            raise UsageError(f"{len(pictures)} queries: give between 1 and {MAX_SET}")
        if len(pictures) > 1 and request.leave_out != LeaveOut():
            raise UsageError("boxes and strokes are those of one picture; search with several as they are")
        require_names([self.case], request.within)
        request = replace(request, k=DEPTH, verify_top=0, with_rejected=True)
        with self._search_lock:
            started = time.perf_counter()
            read, parts = [], []
            for picture in pictures:
                query = self._searcher.read(picture.found, request)
                part = self._searcher.answer(query, request, started)
                if isinstance(query, Issue):
                    raise UsageError(f"{picture.name}: {query.message}; give a picture that can be read")
                read.append(query)
                parts.append(part)
            self._last_search += 1
            result, finders = _together(parts, request, started)
            kept = KeptSearch(self._last_search, pictures, request, now_utc(), False, tuple(parts), result, finders)
            self._searches[kept.search_id] = kept
            while len(self._searches) > MAX_SEARCHES:
                self._searches.popitem(last=False)
        with self._look_lock:
            for picture, query in zip(pictures, read, strict=True):
                self._keep_read((kept.search_id, picture.query_id), query)
        return kept

    def verify(self, search_id: int) -> KeptSearch:
        """The same search with the nearest matches of each query verified, as ``Searcher`` orders and describes them.

        Nothing else waits meanwhile. Raises UsageError when a query can't be read any more.
        """
        kept = self.kept(search_id)
        if kept.verified:
            return kept
        started = time.perf_counter()
        subject = {"query_sha256": [picture.sha256 for picture in kept.queries]}
        if len(kept.queries) == 1:
            subject = {"query_sha256": kept.query.sha256}  # type: ignore[dict-item]
        arguments = {"examiner": self.examiner, **self._searcher.asks()}
        parts = []
        with self.case.use("verify", arguments=arguments, subject=subject, model=self.embedder.spec) as use:
            looked_at, verified = 0, 0
            for picture, part in zip(kept.queries, kept.parts, strict=True):
                query = self._query(kept, picture)
                ordered = self._searcher.verify(use, query, part.matches, VERIFY_TOP)
                parts.append(replace(part, matches=self._searcher.describe(use, query, ordered)))
                found = [match.verification for match in parts[-1].matches if match.verification is not None]
                looked_at, verified = looked_at + len(found), verified + sum(one.verified for one in found)
            use.entry.counts = {"looked_at": looked_at, "verified": verified}
        result, finders = _together(parts, kept.request, started)
        result = replace(result, elapsed_ms=kept.result.elapsed_ms)
        made = replace(kept, verified=True, parts=tuple(parts), result=result, finders=finders)
        with self._search_lock:
            if search_id in self._searches:
                self._searches[search_id] = made
        with self._look_lock:
            for key in [key for key in self._compared if key[0] == search_id]:
                del self._compared[key]  # what is shown closely is what the ranking went by
        return made

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
        """The matches of a search in these states and with at least this score, in their order. The state "unseen" are
        open ones that the examiner has not looked at in this sitting, "waits" those that a second one is to confirm.
        """
        decided = {picture.query_id: self.use.catalogue.decisions.standing(picture.sha256) for picture in kept.queries}
        found = []
        for match in kept.result.matches:
            picture = kept.query_of(match.item_id)
            decision = decided[picture.query_id].get(match.sha256)
            state = "open" if decision is None else decision.verdict
            looked = self.judging.looked.at_both(self.examiner, picture.sha256, match.sha256)
            one = Shown(replace(match, decision=decision), state, looked)
            waits = decision is not None and decision.waits
            wanted = state in states or ("waits" in states and waits)
            if (wanted or ("unseen" in states and state == "open" and not looked)) and match.score >= min_score:
                found.append(one)
        return found

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
            kept = self.kept(search_id)
            picture = kept.query_of(item_id)
            if key not in self._compared:
                known = next((m.verification for m in kept.result.matches if m.item_id == item_id), None)
                query = self._query(kept, picture)
                subject = {"query": str(query.locator), "query_sha256": query.sha256, "item_id": item_id}
                arguments = {"reveal": False, "examiner": self.examiner}
                with self.case.use("explain", arguments=arguments, subject=subject, model=self.embedder.spec) as use:
                    made = compare(
                        use, self.embedder, query, item_id, lambda: self._searcher.index, known, self._searcher.matcher
                    )
                    use.entry.subject = {**subject, "item_sha256": made.sha256}
                self._compared[key] = made
                if len(self._compared) > _LOOKED_AT:
                    self._compared.popitem(last=False)
            found = self._compared[key]
        self.judging.looked.compared(self.examiner, picture.sha256, found.sha256)
        return found

    def _query(self, kept: KeptSearch, picture: QueryPicture) -> Query:
        """The query as the search read it: geometry sees the same pixels."""
        key = (kept.search_id, picture.query_id)
        with self._look_lock:
            if key not in self._read:
                read = self._searcher.read(picture.found, kept.request)
                if isinstance(read, Issue):
                    raise UsageError(f"{picture.name}: {read.message}; upload or choose it again")
                self._keep_read(key, read)
            return self._read[key]

    def _keep_read(self, key: tuple[int, int], query: Query) -> None:
        self._read[key] = query
        if len(self._read) > _QUERIES:
            self._read.popitem(last=False)

    # --- who decides

    def name_examiner(self, name: str) -> None:
        """Who decides from now on; recorded. Raises UsageError when it is no name."""
        name = name.strip()
        if not name or len(name) > 200 or not name.isprintable():
            raise UsageError("that is no name; give one of up to 200 printable characters")
        with self.case.use("review_examiner", arguments={"examiner": name}):
            pass
        if not self.examiner:
            self.judging.looked.named(name)
        self.examiner = name

    # --- handing over

    def export(
        self,
        folder: str,
        search_ids: Sequence[int],
        k: int,
        reveal: bool,
        images: bool,
        recipient: str = "",
        purpose: str = "",
    ) -> Path:
        """Write an HTML report of searches, the first ``k`` matches each, to a new folder or to a new file whose name
        ends in .html; nothing is overwritten. Uploaded queries are shown in it where pictures may be revealed.
        ``recipient`` and ``purpose``: for whom and what for it is; "": as the sitting was begun with.

        Raises UsageError when the target exists or can't be written, or is not named in full.
        """
        target = Path(folder).expanduser()
        if not target.is_absolute():
            raise UsageError(f"{folder!r}: name the file or folder in full, from the root or from ~")
        if not 1 <= k <= DEPTH:
            raise UsageError(f"{k}: give between 1 and {DEPTH} matches a query")
        results: list[SearchResult] = []
        uploaded: dict[str, Evidence] = {}
        for search_id in search_ids:
            kept = self.verify(search_id)  # what is handed on says what geometry says
            uploaded |= {query.sha256: query.found for query in kept.queries if query.uploaded}
            matches = [one.match for one in self.shown(kept, [s for s in STATES if s != REJECTED])][:k]
            results.append(replace(kept.result, matches=tuple(matches)))
        config = ReportConfig(reveal and images, images, recipient=recipient.strip(), purpose=purpose.strip())
        return write_report(self.case, results, self.embedder.spec, target, config, uploaded)


def _together(
    parts: Sequence[SearchResult], request: SearchRequest, started: float
) -> tuple[SearchResult, dict[int, int]]:
    """The one answer of all queries, and which of them says most for each item."""
    if len(parts) == 1:
        return parts[0], {}
    return fused(parts, request, started), {item_id: at for item_id, (at, _) in found_best(parts).items()}
