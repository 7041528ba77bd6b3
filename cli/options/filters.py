"""Which items a search may return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from indexer.catalogue.filters import Filter


@dataclass(frozen=True, slots=True)
class FilterOptions:
    """What to keep to, and what to leave out."""

    label: Annotated[
        list[str] | None, typer.Option(metavar="[COLUMN=]VALUE", help="Only items with this label, or one of these.")
    ] = None
    since: Annotated[str | None, typer.Option(metavar="DATE", help="Only files changed then or later.")] = None
    until: Annotated[str | None, typer.Option(metavar="DATE", help="Only files changed then or earlier.")] = None
    source: Annotated[list[str] | None, typer.Option(metavar="PATH", help="Only what was found there or below.")] = None
    item: Annotated[list[int] | None, typer.Option(metavar="ID", help="Only these items.")] = None
    meta: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD[=VALUE]", help="Only items with this metadata, as camera_serial=0123; * ends a beginning."
        ),
    ] = None
    on_list: Annotated[
        list[str] | None, typer.Option("--list", metavar="NAME", help="Only items that this hash list names.")
    ] = None
    exclude_label: Annotated[
        list[str] | None, typer.Option(metavar="[COLUMN=]VALUE", help="Not items with this label.")
    ] = None
    exclude_source: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Not what was found there or below.")
    ] = None
    exclude_item: Annotated[list[int] | None, typer.Option(metavar="ID", help="Not these items.")] = None
    exclude_list: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Not items that this hash list names.")
    ] = None

    def filter(self) -> Filter:
        """The filter that the options say. Raises UsageError for what is no date or no field of metadata."""
        from indexer.catalogue import filters

        return filters.Filter(
            labels=tuple(map(filters.label, self.label or ())),
            since=filters.date(self.since) if self.since else None,
            until=filters.date(self.until) if self.until else None,
            sources=tuple(map(filters.source, self.source or ())),
            items=tuple(self.item or ()),
            metadata=tuple(map(filters.metadata, self.meta or ())),
            lists=tuple(self.on_list or ()),
            exclude_labels=tuple(map(filters.label, self.exclude_label or ())),
            exclude_sources=tuple(map(filters.source, self.exclude_source or ())),
            exclude_items=tuple(self.exclude_item or ()),
            exclude_lists=tuple(self.exclude_list or ()),
        )
