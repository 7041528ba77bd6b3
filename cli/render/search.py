"""What a search found, for people and for programs (docs/formats.md)."""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cli.render.formats import Format, emit, target
from cli.render.table import shortened, text_table
from imgmatch.match.calibration import false_match_text
from imgmatch.match.rooms import BEGINS
from imgmatch.match.strength import leads, strength
from indexer.intake.csvfile import cell, printable, write_csv
from indexer.out.jsontext import json_text
from indexer.search import fields

_OVERVIEW = ("query", "strength", "score", "case", "item", "label", "decision", "found at")
_REJECTED = ("item_id", "sha256", "path", "locator", "decision", "decided_by", "decided_utc", "decision_note", "case")

_LABEL_COLUMNS = (
    "query", "rank", "value", "strength", "score", "as_rooms", "by_chance", "decision", "pictures", "items"
)  # fmt: skip

if TYPE_CHECKING:
    from imgmatch.locator import Locator
    from imgmatch.types import Match
    from indexer.search.request import SearchResult
    from indexer.search.sets import LabelResult


def emit_search(results: Iterable[SearchResult], format: Format, output: Path | None) -> None:
    """Write search results as they come, one object a query, each on one line; JSON of several is a list of them."""
    with target(output) as file:
        if format is Format.csv:
            write_csv(file, (row for result in results for row in _rows(result)), ["query", "answer", *fields.CSV])
            return
        if format is Format.json:
            _json(file, (json_text(search_record(result)) for result in results))
            return
        best: list[list[str]] = []
        for result in results:
            if format is Format.table:
                file.write(_search_table(result))
                best.append(_best(result))
            else:
                file.write(json_text(search_record(result)) + "\n")
            file.flush()
        if len(best) > 1:
            file.write(f"{len(best)} queries, the best match of each\n{_overview(best)}")


def _json(file: IO[str], objects: Iterator[str]) -> None:
    """One object, or a list of several, written as they come."""
    first, second = next(objects, ""), next(objects, None)
    if second is None:
        file.write(f"{first}\n" if first else "[]\n")
        return
    file.write(f"[\n{first},\n{second}")
    for each in objects:
        file.write(f",\n{each}")
        file.flush()
    file.write("\n]\n")


def _rows(result: SearchResult) -> Iterator[dict[str, Any]]:
    """The rows of a query: one a match, and one alone where there is none, so that no query goes without a word."""
    head = {"query": _at(result.locator), "answer": result.answer}
    yield from ({**head, **fields.cells(match, fields.CSV)} for match in result.matches)
    if not result.matches:
        yield head


def _best(result: SearchResult) -> list[str]:
    """A row of the overview: the strongest match, which is the first that is a lead."""
    name = _name(result)
    lead = next((match for match in result.matches if strength(match).convincing), None)
    if lead is None:
        return [name, result.answer, "", "", "", "", result.left_out.words, ""]
    shown = fields.cells(lead, ["strength", "score", "case", "item_id", "label", "decided", "found_at"])
    return [name, *(cell(value) for value in shown.values())]


def _overview(best: list[list[str]]) -> str:
    """The table of these rows; without a column for the case where one alone was searched."""
    at = _OVERVIEW.index("case")
    shown = [n for n in range(len(_OVERVIEW)) if n != at or any(row[at] for row in best)]
    return text_table([[row[n] for n in shown] for row in best], [_OVERVIEW[n] for n in shown])


def _decisions(matches: Iterable[Match]) -> list[str]:
    """What examiners decided of the pictures of a label, each with its item."""
    of = ((f"item {m.item_id}{f' of {m.case}' if m.case else ''}", m.decision) for m in matches)
    return [f"{item} {decision.words}" for item, decision in of if decision is not None]


def _name(result: SearchResult) -> str:
    return printable("; ".join(place.words for place in result.queries or (result.locator,)))


def _at(locator: Locator) -> str:
    return locator.path or locator.words


def search_record(result: SearchResult) -> dict[str, Any]:
    """One query's result in the documented JSON form (docs/formats.md)."""
    record: dict[str, Any] = {
        "query": _at(result.locator),
        "queries": [_at(locator) for locator in result.queries],
        "locator": str(result.locator),
        "sha256": result.sha256,
        "model": result.model,
        "elapsed_ms": result.elapsed_ms,
        "masked": result.masked,
        "issue": None,
        "answer": result.answer,
        "leads": leads(result.matches),
        "matches": [fields.values(match, fields.JSON) for match in result.matches],
        "left_out": {
            "rejected": [fields.values(match, _REJECTED) for match in result.left_out.rejected],
            "likelier_by_chance": result.left_out.by_rate,
        },
        "background": None if result.background is None else asdict(result.background),
        "cases": [asdict(case) for case in result.cases],
    }
    if result.issue is not None:
        record["issue"] = {"stage": result.issue.stage, "error": result.issue.error, "message": result.issue.message}
    return record


def _search_table(result: SearchResult) -> str:
    name = _name(replace(result, queries=()))
    if result.issue is not None:
        return f"{name}\n  not searched: {printable(result.issue.message)}\n\n"
    masked = f", {result.masked:.0%} of it left out" if result.masked else ""
    found = f"{result.answer}, by {result.model}{masked}, {result.elapsed_ms:.0f} ms\n"
    left_out = f"  left out: {result.left_out.words}\n" if result.left_out.words else ""
    head = f"{len(result.queries)} queries together" if result.queries else name
    rows = [[cell(value) for value in fields.cells(match, list(fields.TABLE)).values()] for match in result.matches]
    shown = [n for n, field in enumerate(fields.TABLE) if field == "reasons" or any(row[n] for row in rows)]
    headings = list(fields.TABLE.values())
    if sys.stdout.isatty():
        head = shortened(head, max(20, shutil.get_terminal_size().columns - len(found) - 3))
    table = text_table([[row[n] for n in shown] for row in rows], [headings[n] for n in shown])
    rates = any(match.false_match is not None for match in result.matches)
    against = _against(result) if rates else ""
    return f"{head}   {found}{table}{against}{left_out}\n"


def _against(result: SearchResult) -> str:
    """What the rates come from, a line a case."""
    if result.background is not None:
        return f"  by chance: of {result.background.words}\n"
    backgrounds = ((one.case, one.background) for one in result.cases)
    return "".join(
        f"  by chance, in {printable(case)}: {'not stated' if known is None else f'of {known.words}'}\n"
        for case, known in backgrounds
    )


def _short(words: str) -> str:
    """What is likely of two rooms, without its rate."""
    return words.removeprefix(BEGINS).partition(":")[0]


def emit_labels(results: Iterable[LabelResult], format: Format, output: Path | None) -> None:
    """Write rankings of labels: one row a label, with its best pictures; JSON has those pictures in full."""
    if format is Format.table:
        with target(output) as file:
            for found in results:
                file.write(_labels_table(found))
        return

    def records() -> Iterator[dict[str, Any]]:
        for found in results:
            yield from _label_records(found)

    every = records()
    first = next(every, None)
    own = ["cases"] if first is not None and first["cases"] else []
    columns = [*_LABEL_COLUMNS, *own, "path"]
    emit(() if first is None else itertools.chain([first], every), columns, format, output)


def _label_records(found: LabelResult) -> Iterator[dict[str, Any]]:
    head = search_record(found.result)
    for label in found.labels:
        best = label.matches[0]
        shown = {(match.case or None, match.item_id) for match in label.matches}
        yield {
            "query": _name(found.result),
            "queries": head["queries"],
            "rank": label.rank,
            "column": found.column,
            "value": label.label,
            **fields.values(best, ["strength", "level", "verified", "inliers"]),
            "score": round(label.score, 6),
            "as_rooms": "".join(_short(reason) for reason in best.reasons if reason.startswith(BEGINS)),
            "by_chance": false_match_text(best.false_match),
            "decision": "; ".join(_decisions(label.matches)),
            "pictures": label.pictures,
            "items": [match.item_id for match in label.matches],
            "cases": [match.case for match in label.matches if match.case],
            "path": best.sightings[0].locator.path,
            "place": best.sightings[0].locator.words,
            "matches": [m for m in head["matches"] if (m["case"], m["item_id"]) in shown],
        }


def _labels_table(found: LabelResult) -> str:
    """For people: the query above, what the column is called, and no column in which nothing stands."""
    columns = {name: found.column if name == "value" else name for name in (*_LABEL_COLUMNS[1:], "cases")}
    columns |= {"as_rooms": "as rooms go", "by_chance": "by chance", "place": "found at"}
    every = [{**record, "score": f"{record['score']:.4f}"} for record in _label_records(found)]
    rows = [[cell(record[name]) for name in columns] for record in every]
    shown = [number for number in range(len(columns)) if any(row[number] for row in rows)]
    headings = list(columns.values())
    table = text_table([[row[n] for n in shown] for row in rows], [headings[n] for n in shown])
    return f"{_name(found.result)}   by {found.column}\n{table}\n"
