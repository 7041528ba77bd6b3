"""``imgmatch show``: everything known of one item."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from cli.options.common import CaseArg, open_case
from cli.options.output import Output
from cli.render.formats import Format


def show(
    case: CaseArg,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="Id, start of the SHA-256, path or locator.")],
    *,
    out: Output,
) -> None:
    """Everything known of one item: digests, places, labels, metadata, lists, decisions."""
    from indexer.out.show import show as all_of

    with open_case(case) as opened:
        record = all_of(opened, item)
    if out.format is Format.table:
        out.many(_lines(record), ["field", "value", "source"])
    else:
        out.one(record)


def _lines(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A row a fact: sightings, labels, metadata, lists and decisions each on lines of their own."""
    for name, value in record.items():
        if name == "metadata":
            for field, told in (value or {}).items():
                found = f", found {told['found']}" if "found" in told else ""
                yield {"field": field, "value": told["value"], "source": f"{told['source']}{found}"}
        elif name == "labels":
            for said in value:
                for column, text in said["columns"].items():
                    yield {"field": f"label {column}", "value": text, "source": said["source"]}
        elif name == "sightings":
            for seen in value:
                yield {"field": "seen at", "value": seen["place"], "source": seen["modified_utc"]}
        elif name == "lists":
            for hit in value:
                yield {"field": "list", "value": hit["list"], "source": hit["reason"]}
        elif name == "decisions":
            for made in value:
                yield {
                    "field": made["verdict"],
                    "value": made["with_sha256"],
                    "source": f"{made['examiner']} ({made['account']}) {made['decided_utc']} {made['note']}".strip(),
                }
        elif value is not None:
            yield {"field": name, "value": value}
