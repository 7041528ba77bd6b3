"""What the page shows: pieces of HTML from templates, every text escaped and no control character in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import imgmatch
from cli.render.formats import size_text
from cli.review.door import PAGES
from imgmatch.language import filled, phrase, say, size
from imgmatch.match.calibration import false_match_text
from imgmatch.match.drawing import several, some_lines
from imgmatch.match.faces import hides_faces
from imgmatch.match.strength import Level, strength
from imgmatch.picture.metadata import FIELDS, Metadata
from imgmatch.templating import Translated
from indexer.catalogue.decisions import READERS
from indexer.out.report.html import plain
from indexer.review.kept import counts
from indexer.review.queries import MAX_UPLOAD_BYTES
from indexer.review.stacks import MAX_GROUPS

if TYPE_CHECKING:
    from imgmatch.locator import Locator
    from imgmatch.types import Sighting
    from indexer.catalogue.filters import Filter
    from indexer.review import Desk, KeptSearch, QueryPicture
    from indexer.search.comparison import Comparison

_SIGHTINGS = 50
_MEMBERS = 60
_GROUPS = 30
_BROWSED = 18
_LABELS = 30
_TITLES = {
    "matches": "Matches", "decisions": "Decisions", "groups": "Groups", "faces": "Faces", "map": "Map",
    "issues": "Issues", "audit": "Audit trail", "export": "Export",
}  # fmt: skip
_FACTS = {
    "taken": "Taken", "camera_make": "Camera", "camera_model": "Model", "camera_serial": "Serial number",
    "lens_model": "Lens", "camera_owner": "Owner", "software": "Software", "artist": "Author",
    "description": "Description",
}  # fmt: skip
"""Metadata that a reader is shown first; the rest folded in."""
_SAID = {
    Level.IDENTICAL: "the same file",
    Level.GEOMETRY: "verified: geometry agrees",
    Level.ALIKE: "alike, not proven",
}


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
            extensions=[Translated],
        )
        self._templates.filters.update(
            plain=plain,
            place=place,
            container=container,
            chance=lambda rate: phrase(false_match_text(rate)),
            strength=strength,
            named=file_name,
            bytes=lambda count: size(size_text(count)),
        )
        pages = [(path, name, _TITLES[name]) for path, name in PAGES.items()]
        self._templates.globals.update(version=imgmatch.__version__, pages=pages, hides_faces=hides_faces())
        self.fill: dict[str, Callable[[], str]] = {}
        """What other pages hold from the first."""

    def page(self, here: str) -> dict[str, Any]:
        """What fills a whole page, its title, and what its script must know."""
        desk = self._desk
        choices = desk.label_choices()
        case = desk.case.path.name or str(desk.case.path)
        inner = {"matches": self.tray, "groups": lambda: self.groups(0), **self.fill}.get(here, str)()
        meta = desk.case.catalogue.meta.all()
        html = self._templates.get_template(f"{here}.html.j2").render(
            here=here,
            case=case,
            meta=meta,
            items=desk.case.catalogue.counts()["items"],
            model=desk.embedder.spec,
            examiner=desk.examiner,
            inner=inner,
            searches=self.searches(),
            columns=list(dict.fromkeys(column for column, _ in choices)),
            values=choices,
            lists=[row.name for row in desk.use.catalogue.lists.all()],
            fields=FIELDS,
            rated=desk.background is not None,
            two=meta.get(READERS, "no") != "no",
        )
        last = next(iter(desk.searches()), None)
        return {
            "html": html,
            "title": f"{say(_TITLES[here])} · {plain(case)} · imgmatch",
            "examiner": desk.examiner,
            "search": last and last.search_id,
            "most_bytes": MAX_UPLOAD_BYTES,
        }

    def searches(self) -> list[dict[str, Any]]:
        """The searches of this sitting, the newest first, each told from the others; and how far each is verified."""
        every = self._desk.searches()
        return [{"kept": kept, "said": self._strengths(kept), "time": kept.asked_utc[11:16]} for kept in every]

    def piece(self, name: str, **values: Any) -> str:
        """A piece of a page."""
        return self._templates.get_template(f"pieces/{name}.html.j2").render(**values)

    def tray(self) -> str:
        """The query pictures at hand."""
        return self.piece("tray", queries=self._desk.queries.all())

    def browse(self, after: int, wanted: Filter) -> str:
        """Items to choose a query from."""
        catalogue = self._desk.use.catalogue
        ids = catalogue.items.page(after, _BROWSED + 1, wanted)
        shown = ids[:_BROWSED]
        return self.piece(
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
            "name": kept.name,
            "queries": [picture.query_id for picture in kept.queries],
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
            one_of = {one.match.item_id: one for one in shown}
            html = self.piece("labels", labels=part, one_of=one_of, **found)
            total, order = len(labels), [match.item_id for label in part for match in label.matches]
        else:
            part = shown[page * size : (page + 1) * size]
            html = self.piece("cards", shown=part, **found)
            total, order = len(shown), [one.match.item_id for one in part]
        return {
            "html": html,
            "page": page,
            "pages": max(1, -(-total // size)),
            "total": total,
            "items": order,
            "said": self._said(kept, total, by),
            "name": kept.name,
            "asked": "; ".join([*map(phrase, kept.asked), say("asked at {0} UTC").format(kept.asked_utc[11:16])]),
            "queries": [picture.query_id for picture in kept.queries],
            "verified": kept.verified,
        }

    def _said(self, kept: KeptSearch, total: int, by: str) -> str:
        """How much is listed, and what it is worth."""
        if by == "label":
            message = "{0} [0 label|labels] over {1} [1 picture|pictures]"
        else:
            message = "{0} of {1} [1 picture|pictures] in this order"
        text = filled(message, f"{total:,}", f"{len(kept.result.matches):,}")
        if kept.result.masked:
            text += ", " + filled("{0} of the query left out", f"{kept.result.masked:.0%}")
        return say("{0}. Listed: {1}.").format(self._strengths(kept), text)

    def _strengths(self, kept: KeptSearch) -> str:
        """How many matches are of each strength, in words."""
        found = counts(kept.result.matches)
        convincing = sum(found[level] for level in _SAID)
        said = ", ".join(f"{found[level]:,} {say(words)}" for level, words in _SAID.items() if found[level])
        text = say("{0} convincing ({1})").format(f"{convincing:,}", said) if convincing else say("Nothing convincing")
        if convincing and found[Level.NOTHING]:  # without one there is nothing that more could be added to
            text += ", " + say("{0} more not convincing").format(f"{found[Level.NOTHING]:,}")
        return text if kept.verified else say("{0}; geometry has not looked at them yet").format(text)

    def match(self, kept: KeptSearch, item_id: int) -> str:
        """A match side by side with its query, and all that is known of it."""
        found = next((one for one in self._desk.shown(kept) if one.match.item_id == item_id), None)
        query = kept.query_of(item_id)
        return self.piece(
            "compare", kept=kept, query=query, item_id=item_id, shown=found, **self._facts(item_id, query.sha256)
        )

    def item(self, item_id: int) -> str:
        """All that is known of an item."""
        return self.piece("item", item_id=item_id, **self._facts(item_id, None))

    def _facts(self, item_id: int, query_sha256: str | None) -> dict[str, Any]:
        catalogue = self._desk.use.catalogue
        item = catalogue.items.by_id([item_id]).get(item_id)
        seen: list[Sighting] = catalogue.sightings.of([item_id])[item_id] if item else []
        return {
            "item": item,
            "sightings": seen[:_SIGHTINGS],
            "more_sightings": max(0, len(seen) - _SIGHTINGS),
            "labels": catalogue.labels.of([item_id])[item_id],
            "metadata": _metadata(catalogue.facts.metadata([item_id]).get(item_id, {})),
            "decisions": catalogue.decisions.on(item.sha256, query_sha256) if item else [],
        }

    def geometry(self, query: QueryPicture, compared: Comparison) -> dict[str, Any]:
        """Lines and outline in full-size pixels, and what was found, in words."""
        found = compared.verification
        return {
            "query_px": query.size_px,
            "item_px": compared.item.upright_size_px,
            "verified": found.verified,
            "kind": found.kind,
            "reason": phrase(found.reason),
            "tentative": found.tentative,
            "inliers": found.inliers,
            "error_px": None if found.error_px is None else round(found.error_px, 1),
            "overlap": round(found.overlap, 3),
            "score": round(compared.match.score, 4),
            "lines": [{"of": of, "line": line} for of, line in some_lines(found)] if found.verified else [],
            "surfaces": [{"query": surface.query, "item": surface.item} for surface in several(found)],
            "outline": [[round(value, 1) for value in corner] for corner in found.outline] if found.verified else [],
            "heat": compared.heat is not None,
        }

    def groups(self, page: int) -> str:
        """A page of groups as stacks, and how far the finding is."""
        stacks = self._desk.stacks
        progress = stacks.progress()
        part = stacks.page(page * _GROUPS, _GROUPS) if progress.state in ("done", "bounded") else []
        return self.piece(
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
        return self.piece("group", group=group, members=members, more=len(group.members) - len(members))


def _metadata(found: Metadata) -> tuple[list[tuple[str, str]], list[tuple[str, str]], tuple[float, float] | None]:
    """What a file says of itself: what a reader looks at first, the rest, and where it was taken."""
    said = {name: str(field.get("value", "")) for name, field in found.items() if name in FIELDS}
    first = [(words, said[name]) for name, words in _FACTS.items() if said.get(name)]
    rest = [(name.replace("_", " "), value) for name, value in said.items() if name not in _FACTS and value]
    try:
        position = float(said["latitude"]), float(said["longitude"])
    except (KeyError, ValueError):
        return first, rest, None
    return first, rest, position


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
