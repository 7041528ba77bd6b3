"""What a search found, for people and for programs (docs/formats.md)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.render.formats import Format, Record, emit, target
from cli.render.table import text_table
from imgmatch.match.calibration import expected_text, false_match_text
from indexer.intake.csvfile import cell, printable, write_csv

if TYPE_CHECKING:
    from imgmatch.types import FalseMatchRate, Verification
    from indexer.search.request import SearchResult
    from indexer.search.sets import LabelResult

SEARCH_COLUMNS = (
    "query", "rank", "score", "item_id", "label", "path", "sightings", "reasons", "sha256", "locator",
    "query_region_px", "region_px", "false_match_rate", "false_match_upper", "expected_false_matches", "found_by",
    "labels",
)  # fmt: skip


def emit_search(results: Iterable[SearchResult], format: Format, output: Path | None) -> None:
    """Write search results as they come: for JSON and JSON Lines, one object a query, each on one line."""
    with target(output) as file:
        if format is Format.csv:
            write_csv(file, (row for result in results for row in _match_rows(result)), SEARCH_COLUMNS)
            return
        for result in results:
            if format is Format.table:
                file.write(_search_table(result))
            else:
                file.write(json.dumps(search_record(result), ensure_ascii=False) + "\n")
            file.flush()


def search_record(result: SearchResult) -> dict[str, Any]:
    """One query's result in the documented JSON form (docs/formats.md)."""
    record: dict[str, Any] = {
        "query": result.locator.path,
        "queries": [locator.path for locator in result.queries],
        "locator": str(result.locator),
        "sha256": result.sha256,
        "model": result.model,
        "elapsed_ms": result.elapsed_ms,
        "masked": result.masked,
        "issue": None,
        "matches": [
            {
                "rank": match.rank,
                "score": round(match.score, 6),
                "item_id": match.item_id,
                "sha256": match.sha256,
                "label": "; ".join(match.labels.get("label", ())) or None,
                "labels": {name: list(values) for name, values in match.labels.items()},
                "sightings": [
                    {
                        "locator": str(sighting.locator),
                        "path": sighting.locator.path,
                        "modified_utc": sighting.modified_utc,
                        "own": sighting.own,
                        "deleted": sighting.locator.deleted,
                    }
                    for sighting in match.sightings
                ],
                "candidates": [
                    {
                        "similarity": round(candidate.similarity, 6),
                        "query_region_px": candidate.query_region_px,
                        "region_px": candidate.region_px,
                    }
                    for candidate in match.candidates
                ],
                "verification": None if match.verification is None else verification_record(match.verification),
                "false_match": false_match_record(match.false_match),
                "found_by": match.query.path if match.query else None,
                "reasons": list(match.reasons),
                "metadata": match.metadata,
            }
            for match in result.matches
        ],
    }
    if result.issue is not None:
        record["issue"] = {"stage": result.issue.stage, "error": result.issue.error, "message": result.issue.message}
    return record


def false_match_record(rate: FalseMatchRate | None) -> dict[str, Any] | None:
    """A false-match rate in the documented JSON form; ``text`` is the sentence that an examiner can quote."""
    if rate is None:
        return None
    return {
        "rate": rate.rate,
        "lower": rate.lower,
        "upper": rate.upper,
        "expected": rate.expected,
        "expected_upper": rate.expected_upper,
        "text": false_match_text(rate),
    }


def verification_record(verification: Verification) -> dict[str, Any]:
    """All but the lines, which ``imgmatch explain`` draws."""
    record = dataclasses.asdict(verification)
    del record["lines"]
    return record


def _match_rows(result: SearchResult) -> Iterator[Record]:
    record = search_record(result)
    for match in record["matches"]:
        first = next((s for s in match["sightings"] if not s["own"]), match["sightings"][0])
        yield {
            **match,
            "query": record["query"],
            "score": f"{match['score']:.4f}",
            "path": first["path"],
            "locator": first["locator"],
            "sightings": len(match["sightings"]),
            "query_region_px": _box_text(match["candidates"][0]["query_region_px"]),
            "region_px": _box_text(match["candidates"][0]["region_px"]),
            "reasons": "; ".join(match["reasons"]),
            "false_match_rate": (match["false_match"] or {}).get("rate"),
            "false_match_upper": (match["false_match"] or {}).get("upper"),
            "expected_false_matches": (match["false_match"] or {}).get("expected"),
        }


def _box_text(box: Sequence[int] | None) -> str:
    return "" if box is None else ",".join(map(str, box))


def _search_table(result: SearchResult) -> str:
    name = printable(result.locator.path or str(result.locator))
    if result.issue is not None:
        return f"{name}\n  not searched: {printable(result.issue.message)}\n\n"
    rows = list(_match_rows(result))
    masked = f", {result.masked:.0%} of it left out" if result.masked else ""
    head = f"{name}   {len(rows)} leads by {result.model}{masked}, {result.elapsed_ms:.0f} ms\n"
    if result.queries:
        head = f"{len(result.queries)} queries together   {head.split('   ', 1)[1]}"
    rated = any(row["false_match"] for row in rows)
    columns = ["rank", "score", *(["by chance", "expected"] if rated else []), "item"]
    columns += [*(["label"] if any(row["label"] for row in rows) else []), "found at"]
    columns += ["context"] if any(row["labels"].keys() - {"label"} for row in rows) else []
    columns += [name for name in ("query_region_px", "region_px") if any(row[name] for row in rows)]
    columns += [*(["found by"] if result.queries else []), "note"]
    cells = []
    for row, match in zip(rows, result.matches, strict=True):
        more = f" (+{row['sightings'] - 1} more)" if row["sightings"] > 1 else ""
        rate = match.false_match
        chance = {"by chance": false_match_text(rate), "expected": expected_text(rate) if rate else ""}
        shown = {
            **row,
            **chance,
            "found by": row["found_by"],
            "item": row["item_id"],
            "found at": f"{row['path']}{more}",
            "note": row["reasons"],
            "context": {name: values for name, values in row["labels"].items() if name != "label"},
        }
        cells.append([cell(shown[column]) for column in columns])
    return head + text_table(cells, columns) + "\n"


def emit_labels(results: Iterable[LabelResult], format: Format, output: Path | None) -> None:
    """Write rankings of labels: one row a label, with its best pictures; JSON has those pictures in full."""

    def records() -> Iterator[dict[str, Any]]:
        for found in results:
            head = search_record(found.result)
            for label in found.labels:
                best = label.matches[0]
                yield {
                    "query": head["query"],
                    "rank": label.rank,
                    "column": found.column,
                    "value": label.label,
                    "score": round(label.score, 6),
                    "by_chance": false_match_text(best.false_match),
                    "pictures": label.pictures,
                    "items": [match.item_id for match in label.matches],
                    "path": best.sightings[0].locator.path,
                    "matches": [m for m in head["matches"] if m["item_id"] in {x.item_id for x in label.matches}],
                }

    emit(records(), ["query", "rank", "value", "score", "by_chance", "pictures", "items", "path"], format, output)
