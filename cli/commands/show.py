"""``imgmatch show``: everything known of one item."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from cli.options.common import CaseArg, open_case
from cli.options.output import Output
from cli.render.formats import Format
from cli.render.table import shortened

_PLACES = ("seen at", "in the image", "place")
_WIDE = 120


def show(
    case: CaseArg,
    item: Annotated[
        str, typer.Argument(metavar="ITEM", help="Id, start of the SHA-256, path or locator; of a disk image its path.")
    ],
    *,
    out: Output,
) -> None:
    """Everything known of one item: digests, places, labels, metadata, lists, decisions."""
    from indexer.out.show import show as all_of

    with open_case(case) as opened:
        record = all_of(opened, item)
    if out.format is Format.table:
        narrow = sys.stdout.isatty() and out.output is None and shutil.get_terminal_size().columns < _WIDE
        lines = _narrow(list(_lines(record)), shutil.get_terminal_size().columns) if narrow else _lines(record)
        out.many(lines, ["field", "value", *([] if narrow else ["source"])])
    else:
        out.one(record)


def _narrow(lines: list[dict[str, Any]], columns: int) -> Iterator[dict[str, Any]]:
    """Rows for a narrow terminal: places lose their beginning, never a part of a name; who says so comes below."""
    room = columns - max(len(line["field"]) for line in lines) - 4
    for line in lines:
        is_place = line["field"] in _PLACES
        yield {"field": line["field"], "value": shortened(line["value"], room) if is_place else line["value"]}
        if line.get("source") and not line["field"].startswith("image "):
            yield {"field": "", "value": line["source"]}


def _of_image(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a disk image says of itself, and what is known of its bytes."""
    from imgmatch.evidence.stated import HASHES

    yield from record["facts"].items()
    yield from ((f"{HASHES[name]} that it stores", value) for name, value in record["hashes"].items())
    yield from ((f"{HASHES[name]} made {record['made_utc']}", value) for name, value in record["made"].items())
    yield "all its bytes", record["verified"]


def _lines(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A row a fact: sightings, images, labels, metadata, lists and decisions each on lines of their own."""
    if "disk_bytes" in record:
        names = ("place", "kind", "file_bytes", "disk_bytes")
        yield from ({"field": name, "value": record[name]} for name in names)
        yield from ({"field": what, "value": said} for what, said in _of_image(record))
        return
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
        elif name == "containers":
            for image in value:
                yield {"field": "in the image", "value": image["place"], "source": image["kind"]}
                for what, said in _of_image(image):
                    yield {"field": f"image {what}", "value": said, "source": image["path"]}
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
