"""Cases of search and of what a match says."""

from __future__ import annotations

import collections
import csv
import json
from pathlib import Path
from typing import Any

from cli.validation.bench import Assertion, Bench, case, drawing, require


@case("R17.1", "Twelve photographs under other names, searched with the originals",
      "each original's own content first, with a score of at least .999")  # fmt: skip
def identical(bench: Bench) -> str:
    """The same picture stands first."""
    files = bench.photographs(12)
    made = bench.case(files[0].parent)
    originals = bench.photographs(12, "originals")
    found = bench.imgmatch("search", made, bench.folder / "originals", "-k", 1, "--format", "jsonl").objects()
    right = sum(
        Path(one["matches"][0]["sightings"][0]["path"]).name == Path(one["query"]).name
        and one["matches"][0]["score"] >= 0.999
        for one in found
    )
    require(right == len(originals), f"{right} of {len(originals)}")
    return f"{right} of {len(originals)} first"


def _answers(bench: Bench) -> list[dict[str, Any]]:
    """What the demonstration's own searches gave, for each query."""
    lines = (bench.shared / "results.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _room(path: str) -> str:
    return Path(path).parent.name


@case("R18.1", "The demonstration's altered copies (JPEG at 20, mirrored, cropped, with a person drawn over)",
      "each finds the room that it was made from first", "nine of ten")  # fmt: skip
def altered(bench: Bench) -> str:
    """Copies that were altered."""
    asked = [one for one in _answers(bench) if "other-view" not in one["query"]]
    right = [one for one in asked if _room(one["matches"][0]["sightings"][0]["path"]) in Path(one["query"]).name]
    require(len(right) >= 0.9 * len(asked) and asked, f"{len(right)} of {len(asked)}")
    return f"{len(right)} of {len(asked)}"


@case("R19.1", "The demonstration's other views of rooms that are in the case, with a person in front",
      "the room is among the first three", "three of four")  # fmt: skip
def other_views(bench: Bench) -> str:
    """Another photograph of the same room."""
    asked = [one for one in _answers(bench) if "other-view" in one["query"]]
    right = [
        one for one in asked
        if any(_room(match["sightings"][0]["path"]) in Path(one["query"]).name for match in one["matches"])
    ]  # fmt: skip
    require(len(right) >= 0.75 * len(asked) and asked, f"{len(right)} of {len(asked)}")
    return f"{len(right)} of {len(asked)} among the first three"


def _ranking(text: str) -> list[Any]:
    return [[(match["sha256"], match["score"]) for match in json.loads(line)["matches"]] for line in text.splitlines()]


@case("R20.1", "Two cases of the same files, five queries, each asked twice", "four times the same ranking and scores")
def repeated(bench: Bench) -> str:
    """The same again."""
    files = bench.photographs(16)
    rankings = []
    for name in ("one", "two"):
        bench.imgmatch("init", bench.folder / name)
        bench.imgmatch("ingest", bench.folder / name, files[0].parent)
        for _ in range(2):
            words = ("search", bench.folder / name, *bench.queries()[:5], "-k", 10, "--format", "jsonl")
            rankings.append(_ranking(bench.imgmatch(*words).out))
    require(all(ranking == rankings[0] for ranking in rankings), "rankings differ")
    return "4 equal rankings of 5 queries"


@case("R21.1", "A search among one hotel's pictures, and the same search among all",
      "the first holds exactly what the second has of that hotel, in the same order")  # fmt: skip
def filtered(bench: Bench) -> str:
    """A filter leaves out nothing else."""
    made, query = bench.copy_of_demonstration(), bench.queries()[0]
    every = bench.imgmatch("search", made, query, "-k", 1000, "--no-verify", "--format", "json").object()["matches"]
    labels = collections.Counter(match["label"] for match in every)
    label = max(labels, key=lambda one: labels[one])
    words = ("search", made, query, "-k", 1000, "--no-verify", "--label", f"label={label}", "--format", "json")
    chosen = bench.imgmatch(*words).object()["matches"]
    wanted = [match["item_id"] for match in every if match["label"] == label]
    require([match["item_id"] for match in chosen] == wanted, f"{len(chosen)} and {len(wanted)}")
    return f"{len(wanted)} of {len(every)} items"


@case("R22.1", "Twenty drawn pictures that are not in the demonstration's case", "no match is called verified")
def absent(bench: Bench) -> str:
    """What is not there is not found."""
    made, folder = bench.copy_of_demonstration(), bench.folder / "queries"
    folder.mkdir()
    for number in range(20):
        drawing(1000 + number).save(folder / f"{number}.png")
    found = bench.imgmatch("search", made, folder, "-k", 5, "--format", "jsonl").objects()
    wrong = [one["query"] for one in found for match in one["matches"] if (match["verification"] or {}).get("verified")]
    require(len(found) == 20 and not wrong, f"verified: {wrong}")
    return "0 of 100 verified"


@case("R22.2", "The demonstration's other views of rooms, searched with among all hotels but their own",
      "no match is called verified")  # fmt: skip
def elsewhere(bench: Bench) -> str:
    """A room like those of the case, and none of them."""
    made = bench.copy_of_demonstration()
    with (bench.shared / "labels.csv").open(newline="", encoding="utf-8") as file:
        hotels = {row["room"]: row["label"] for row in csv.DictReader(file)}
    compared, wrong = 0, []
    for query in (query for query in bench.queries() if "other-view" in query.name):
        hotel = next(hotels[room] for room in hotels if query.name.startswith(f"{room}-"))
        words = ("search", made, query, "--exclude-label", f"label={hotel}", "-k", 5, "--format", "json")
        matches = bench.imgmatch(*words).object()["matches"]
        compared += len(matches)
        wrong += [query.name for match in matches if (match["verification"] or {}).get("verified")]
    require(compared >= 20 and not wrong, f"verified, of {compared}: {wrong}")
    return f"0 of {compared} verified"


@case("R23.1", "explain of a mirrored copy and its original", "a PNG, more than ten points that agree, mirrored")
def explained(bench: Bench) -> str:
    """A drawing of what agrees."""
    made = bench.copy_of_demonstration()
    query = next(query for query in bench.queries() if "mirror" in query.name)
    item = bench.imgmatch("search", made, query, "-k", 1, "--format", "json").object()["matches"][0]["item_id"]
    target = bench.folder / "why.png"
    bench.imgmatch("explain", made, query, item, "-o", target, "--format", "json")
    match = bench.imgmatch("search", made, query, "-k", 1, "--format", "json").object()["matches"][0]
    checked = match["verification"]
    require(target.read_bytes().startswith(b"\x89PNG"), "no PNG")
    require(checked["verified"] and checked["mirrored"] and checked["inliers"] > 10, f"{checked}")
    return f"{checked['inliers']} points, mirrored"


CASES: tuple[Assertion, ...] = (identical, altered, other_views, repeated, filtered, absent, elsewhere, explained)
