"""The cases that a service holds: open, their index in memory once for all who ask."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.options.several import one_model, opened_cases, searchers_of
from cli.render.notes import note
from cli.serve.messages import CaseTold
from imgmatch.errors import UsageError
from indexer.case.use import Use
from indexer.review.pictures import Pictures
from indexer.search.background import background as background_of
from indexer.search.searcher import Searcher
from indexer.search.several import SeveralCases

if TYPE_CHECKING:
    from imgmatch.models.base import Embedder
    from indexer.case.case import Case

_GROWN = 0.1


@dataclass(slots=True)
class Held:
    """One case: what searches it, and ``items`` when its background was last looked at."""

    name: str
    case: Case
    use: Use
    searcher: Searcher
    pictures: Pictures
    items: int
    lock: threading.Lock = field(default_factory=threading.Lock)


class Holding:
    """Cases by their names. Used by many threads at once."""

    def __init__(self, held: Mapping[str, Held], embedder: Embedder) -> None:
        self._held = held
        self._embedder = embedder

    @property
    def names(self) -> list[str]:
        """Every case."""
        return list(self._held)

    def case(self, name: str) -> Case:
        """One of them."""
        return self._held[name].case

    def pictures(self, name: str) -> Pictures:
        """Its pictures, for a person's eyes."""
        return self._held[name].pictures

    def several(self, names: Sequence[str]) -> SeveralCases:
        """What searches these."""
        return SeveralCases({name: self._searcher(self._held[name]) for name in names}, self._embedder)

    def told(self, name: str, reveal: bool) -> CaseTold:
        """What a person who may search a case is told of it as a whole."""
        catalogue, spec = self.case(name).catalogue, self._embedder.spec
        counts, meta = catalogue.counts(), catalogue.meta.all()
        return {
            "case": name,
            "items": counts["items"],
            "sightings": counts["sightings"],
            "issues": counts["issues"],
            "model": spec.name,
            "weights_sha256": spec.weights_sha256,
            "purpose": meta.get("purpose", ""),
            "created_utc": meta.get("created_utc", ""),
            "reveal": reveal,
        }

    def ended(self, why: str, counts: Mapping[str, int]) -> None:
        """What the entries at the end of the service are to say."""
        for held in self._held.values():
            held.use.entry.details = {"why": why}
            held.use.entry.counts = counts

    def _searcher(self, held: Held) -> Searcher:
        """What searches it now; with its background measured again where the case has grown by a tenth."""
        items = held.searcher.items
        if abs(items - held.items) > _GROWN * held.items:
            with held.lock:
                if abs(items - held.items) > _GROWN * held.items:
                    rates = background_of(held.case, self._embedder.spec)
                    held.searcher = Searcher(held.case, self._embedder, held.searcher.index, background=rates)
                    held.items = items
        return held.searcher


def named(paths: Sequence[str]) -> dict[str, str]:
    """Paths of cases by the names that they are asked for by: NAME=PATH, else the name of the folder. Raises UsageError
    where two have one name, or a name is none.
    """
    found: dict[str, str] = {}
    for text in paths:
        name, equals, path = text.partition("=")
        if not equals or Path(text).exists():
            name, path = Path(text).absolute().name, text
        if not name or "/" in name or not name.isprintable() or name == "*":
            raise UsageError(f"{text}: {name!r} is no name of a case; give NAME=PATH")
        if name in found:
            raise UsageError(f"{text}: another case is called {name!r} too; give NAME=PATH")
        found[name] = path
    return found


@contextmanager
def held_cases(paths: Sequence[str], model: str | None, arguments: Mapping[str, Any]) -> Iterator[Holding]:
    """Cases, open, each with an entry in its log that a service holds it. Raises CaseError or UsageError, naming it,
    where one can't be searched.
    """
    by_name = named(paths)
    with opened_cases(list(by_name.values())) as opened, ExitStack() as uses:
        cases = {name: opened[path] for name, path in by_name.items()}
        for case in cases.values():
            case.require("serve")
        embedder = one_model(cases, model, "cpu", threads=1)
        searchers = searchers_of(cases, embedder, None)
        held = {}
        for name, case in cases.items():
            about = {**arguments, "case": name}
            use = uses.enter_context(case.use("serve", arguments=about, model=embedder.spec, ends="serve_end"))
            items = searchers[name].items
            held[name] = Held(name, case, use, searchers[name], Pictures(use), items)
            note(f"Holds {name}: {items:,} items, {searchers[name].index.rows:,} vectors")
        yield Holding(held, embedder)
