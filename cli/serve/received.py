"""Results as a service tells them, made what a search on a local case gives: one way to show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cli.serve.messages import BackgroundTold, MatchTold, RejectedTold, ResultTold, VerificationTold
from imgmatch.locator import Locator
from imgmatch.types import (
    Candidate,
    Decision,
    FalseMatchRate,
    Issue,
    Match,
    Reference,
    Sighting,
    Surface,
    Verification,
)
from indexer.search.request import InCase, LeftOut, SearchResult


def result_of(told: ResultTold, queries: Sequence[Locator], contents: Sequence[str]) -> SearchResult:
    """A result of a search with these queries, by their places here and their SHA-256. Raises UsageError for what is no
    locator.
    """
    sent = {sent_as(place): place for place in queries}
    by_words = {there.words: here for there, here in sent.items()}
    locator = sent.get(Locator.parse(told["locator"]), queries[0])
    issue = told["issue"]
    pairs = zip(queries, contents, strict=True)
    searched = [(place, sha256) for place, sha256 in pairs if sent_as(place).words in told["queries"]]
    return SearchResult(
        locator,
        told["sha256"],
        told["model"],
        told["elapsed_ms"],
        tuple(_match(one, by_words) for one in told["matches"]),
        None if issue is None else Issue(locator, issue["stage"], issue["error"], issue["message"]),
        told["masked"],
        tuple(place for place, _ in searched),
        tuple(sha256 for _, sha256 in searched),
        LeftOut(tuple(_rejected(one) for one in told["left_out"]["rejected"]), told["left_out"]["likelier_by_chance"]),
        _reference(told["background"]),
        tuple(InCase(one["case"], one["matches"], _reference(one["background"])) for one in told["cases"]),
    )


def sent_as(place: Locator) -> Locator:
    """What a service calls a query that lies at a place here."""
    return Locator("upload", str(place))


def _match(told: MatchTold, by_words: Mapping[str, Locator]) -> Match:
    rate = told["false_match"]
    names = ("rate", "lower", "upper", "expected", "expected_upper")
    return Match(
        told["rank"],
        told["item_id"],
        told["sha256"],
        told["score"],
        tuple(Sighting(Locator.parse(one["locator"]), one["modified_utc"], one["own"]) for one in told["sightings"]),
        {name: tuple(values) for name, values in told["labels"].items()},
        tuple(
            Candidate(0, told["item_id"], one["similarity"], _box(one["query_region_px"]), _box(one["region_px"]))
            for one in told["candidates"]
        ),
        None if told["verification"] is None else _verification(told["verification"]),
        tuple(told["reasons"]),
        None if rate is None else FalseMatchRate(**{name: rate[name] for name in names}),  # type: ignore[literal-required]
        by_words.get(told["found_by"] or ""),
        told["metadata"],
        told["level"] == "identical",
        None,
        told["parts_score"],
        _decision(told, bool(told["decision_waits"])),
        told["case"] or "",
    )


def _rejected(told: RejectedTold) -> Match:
    seen = (Sighting(Locator.parse(told["locator"]), None),)
    decision = _decision(told, False)
    return Match(0, told["item_id"], told["sha256"], 0.0, seen, decision=decision, case=told["case"] or "")


def _decision(told: MatchTold | RejectedTold, waits: bool) -> Decision | None:
    if told["decision"] is None:
        return None
    by, when, note = told["decided_by"] or "", told["decided_utc"] or "", told["decision_note"] or ""
    return Decision(told["decision"], by, "", when, note, waits=waits)


def _verification(told: VerificationTold) -> Verification:
    made: dict[str, Any] = dict(told)
    if told["transform"] is not None:
        made["transform"] = tuple(map(tuple, told["transform"]))
    surfaces = tuple(
        Surface(one["points"], tuple((x, y) for x, y in one["query"]), tuple((x, y) for x, y in one["item"]))
        for one in told["surfaces"]
    )
    return Verification(**{**made, "outline": tuple(map(tuple, told["outline"])), "surfaces": surfaces})


def _reference(told: BackgroundTold | None) -> Reference | None:
    return None if told is None else Reference(**told)


def _box(told: Any) -> Any:
    return None if told is None else tuple(told)
