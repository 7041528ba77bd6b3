"""What the page shows: pieces of HTML from templates, every text escaped and no control character in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import imgmatch
from imgmatch.match.calibration import false_match_text
from indexer.case import newest
from indexer.case.case import AUDIT
from indexer.out.report.html import plain
from indexer.review.stacks import MAX_GROUPS

if TYPE_CHECKING:
    from imgmatch.locator import Locator
    from imgmatch.types import Sighting
    from indexer.catalogue.filters import Filter
    from indexer.review import Desk, KeptSearch
    from indexer.search.comparison import Comparison

_SIGHTINGS = 50
_MEMBERS = 60
_GROUPS = 30
_BROWSED = 18
_ENTRIES = 50
_LABELS = 30
_TITLES = {"matches": "Matches", "groups": "Groups", "audit": "Audit trail", "export": "Export"}
_ALWAYS = {"entry", "time_utc", "actor", "action", "version", "before"}


class Views:
    """Renders a desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._templates = Environment(
            loader=PackageLoader("cli.review"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            plain=plain, place=place, container=container, chance=false_match_text, named=file_name, bytes=size_text
        )
        self._templates.globals.update(version=imgmatch.__version__)

    def page(self, here: str) -> dict[str, Any]:
        """What fills a whole page, its title, and what its script must know."""
        desk = self._desk
        choices = desk.label_choices()
        case = desk.case.path.name or str(desk.case.path)
        last = next(iter(desk.searches()), None)
        inner = {"matches": self.tray, "groups": lambda: self.groups(0), "audit": lambda: self.audit(None)}.get(
            here, str
        )()
        html = self._templates.get_template(f"{here}.html.j2").render(
            here=here,
            case=case,
            meta=desk.case.catalogue.meta.all(),
            items=desk.case.catalogue.counts()["items"],
            model=desk.embedder.spec,
            examiner=desk.examiner,
            inner=inner,
            searches=desk.searches(),
            columns=list(dict.fromkeys(column for column, _ in choices)),
            values=choices,
            rated=desk.background is not None,
        )
        return {
            "html": html,
            "title": f"{_TITLES[here]} · {plain(case)} · imgmatch",
            "examiner": desk.examiner,
            "search": last and last.search_id,
            "query": last and last.query.query_id,
        }

    def _piece(self, name: str, **values: Any) -> str:
        return self._templates.get_template(f"pieces/{name}.html.j2").render(**values)

    def tray(self) -> str:
        """The query pictures at hand."""
        return self._piece("tray", queries=self._desk.queries.all())

    def browse(self, after: int, wanted: Filter) -> str:
        """Items to choose a query from."""
        catalogue = self._desk.use.catalogue
        ids = catalogue.items.page(after, _BROWSED + 1, wanted)
        shown = ids[:_BROWSED]
        return self._piece(
            "browse",
            ids=shown,
            sightings=catalogue.sightings.of(shown),
            next=shown[-1] if len(ids) > _BROWSED else None,
            after=after,
        )

    def searched(self, kept: KeptSearch) -> dict[str, Any]:
        """What the page must know of a search."""
        return {
            "search": kept.search_id,
            "verified": kept.verified,
            "elapsed_ms": kept.result.elapsed_ms,
            "found": len(kept.result.matches),
        }

    def results(
        self, kept: KeptSearch, states: Sequence[str], least: float, by: str, column: str, page: int, size: int
    ) -> dict[str, Any]:
        """A page of matches, or of labels."""
        desk = self._desk
        shown = desk.shown(kept, states, least)
        found: dict[str, Any] = {"kept": kept, "column": column, "page": page}
        if by == "label":
            labels = desk.by_label(kept, shown, column)
            part: Sequence[Any] = labels[page * size : (page + 1) * size]
            state_of = {one.match.item_id: one.state for one in shown}
            html = self._piece("labels", labels=part, state_of=state_of, **found)
            total, order = len(labels), [match.item_id for label in part for match in label.matches]
        else:
            part = shown[page * size : (page + 1) * size]
            html = self._piece("cards", shown=part, **found)
            total, order = len(shown), [one.match.item_id for one in part]
        return {
            "html": html,
            "page": page,
            "pages": max(1, -(-total // size)),
            "total": total,
            "items": order,
            "said": self._said(kept, total, by),
        }

    def _said(self, kept: KeptSearch, total: int, by: str) -> str:
        what = "label" if by == "label" else "match" if total == 1 else "matches"
        text = f"{total:,} {what}{'s' if by == 'label' and total != 1 else ''}"
        text += f" in {kept.result.elapsed_ms / 1000:.2f} s"
        if kept.result.masked:
            text += f", {kept.result.masked:.0%} of the query left out"
        if kept.verified:
            good = sum(m.verification is not None and m.verification.verified for m in kept.result.matches)
            text += f"; {good} verified by geometry"
        return text

    def match(self, kept: KeptSearch, item_id: int) -> str:
        """A match side by side with its query, and all that is known of it."""
        found = next((one for one in self._desk.shown(kept) if one.match.item_id == item_id), None)
        return self._piece(
            "compare", kept=kept, item_id=item_id, shown=found, **self._facts(item_id, kept.query.sha256)
        )

    def item(self, item_id: int) -> str:
        """All that is known of an item."""
        return self._piece("item", item_id=item_id, **self._facts(item_id, None))

    def _facts(self, item_id: int, query_sha256: str | None) -> dict[str, Any]:
        catalogue = self._desk.use.catalogue
        item = catalogue.items.by_id([item_id]).get(item_id)
        seen: list[Sighting] = catalogue.sightings.of([item_id])[item_id] if item else []
        return {
            "item": item,
            "sightings": seen[:_SIGHTINGS],
            "more_sightings": max(0, len(seen) - _SIGHTINGS),
            "labels": catalogue.labels.of([item_id])[item_id],
            "decisions": catalogue.decisions.on(item.sha256, query_sha256) if item else [],
        }

    def geometry(self, kept: KeptSearch, compared: Comparison) -> dict[str, Any]:
        """Lines and outline in full-size pixels, and what was found, in words."""
        found = compared.verification
        return {
            "query_px": kept.query.size_px,
            "item_px": compared.item.upright_size_px,
            "verified": found.verified,
            "kind": found.kind,
            "reason": found.reason,
            "tentative": found.tentative,
            "inliers": found.inliers,
            "error_px": None if found.error_px is None else round(found.error_px, 1),
            "overlap": round(found.overlap, 3),
            "similarity": round(compared.similarity, 4),
            "lines": [[round(value, 1) for value in line] for line in found.lines] if found.verified else [],
            "outline": [[round(value, 1) for value in corner] for corner in found.outline] if found.verified else [],
            "heat": compared.heat is not None,
        }

    def groups(self, page: int) -> str:
        """A page of groups as stacks, and how far the finding is."""
        stacks = self._desk.stacks
        progress = stacks.progress()
        part = stacks.page(page * _GROUPS, _GROUPS) if progress.state in ("done", "bounded") else []
        return self._piece(
            "groups",
            progress=progress,
            groups=part,
            page=page,
            pages=max(1, -(-progress.groups // _GROUPS)),
            most=MAX_GROUPS,
        )

    def group(self, number: int) -> str:
        """One group, spread out."""
        group = self._desk.stacks.get(number)
        members = group.members[:_MEMBERS]
        return self._piece("group", group=group, members=members, more=len(group.members) - len(members))

    def audit(self, end: int | None) -> str:
        """Entries of the log, the newest first."""
        path = self._desk.case.path / AUDIT
        entries, begin = newest.page(path, _ENTRIES, end)
        shown = [
            {
                **{name: entry.get(name, "") for name in _ALWAYS},
                "details": [(name, _value(value)) for name, value in entry.items() if name not in _ALWAYS],
            }
            for entry in entries
        ]
        return self._piece("audit", entries=shown, begin=begin)


def place(locator: Locator) -> str:
    """Where something is, in full, as words for a reader."""
    return plain(locator.words)


def file_name(locator: Locator) -> str:
    """The last part of where something is, in words."""
    return place(locator).rpartition(" > ")[2].rstrip("/").rpartition("/")[2]


def container(locator: Locator) -> str:
    """The folder or container that something is in."""
    folder = place(locator).rpartition(" > ")[2].rstrip("/").rpartition("/")[0].rpartition("/")[2]
    return folder or (file_name(locator.parent) if locator.parent is not None else "")


def size_text(count: int) -> str:
    """A length in bytes, rounded for a reader."""
    value = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if value < 1024:
            return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} GiB"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
