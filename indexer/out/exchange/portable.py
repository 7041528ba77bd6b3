"""A portable case: a page of leads and pictures that any browser opens, without imgmatch and without a network.

One HTML file with everything in it, or a folder of a page and its small pictures. The page is a fixed script over JSON
that stands in it; what comes from evidence is only ever text there, and its policy lets it load nothing from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imgmatch
from imgmatch.cores import usable_cores
from imgmatch.evidence.read import Finder
from imgmatch.types import Match, ModelSpec
from indexer.case.account import account
from indexer.case.case import Case
from indexer.case.terms import DATES, TOLD
from indexer.case.use import Use
from indexer.catalogue.clock import now_utc
from indexer.index.protocol import Progress
from indexer.out.atomic import whole_file, whole_folder
from indexer.out.exchange.snapshot import item_batches, require_items
from indexer.out.jsontext import json_text
from indexer.out.released import hand_out
from indexer.out.report.pictures import faces_shown, thumbnails
from indexer.search.fields import values

if TYPE_CHECKING:
    from indexer.search.request import SearchResult

_MADE_AT_ONCE = 256
_PLACES = 50
_OF_MATCH = ("rank", "score", "strength", "item_id", "verified", "inliers", "reasons", "decided", "by_chance")


@dataclass(frozen=True, slots=True)
class PortableConfig:
    """What goes into it: small pictures, blurred, or (``reveal``) also clear ones, which the page shows only when asked
    to; places, labels and decisions, unless they are left out.
    """

    thumbnails: bool = False
    reveal: int = 0
    places: bool = True
    labels: bool = True
    decisions: bool = True


@dataclass(slots=True)
class Portable:
    """What was written."""

    items: int = 0
    queries: int = 0
    leads: int = 0
    thumbnails: int = 0
    sha256: str = ""
    """Of the page."""


@dataclass(slots=True)
class _Pictures:
    """Small pictures, by SHA-256: beside the page, or as data in it."""

    beside: Path | None
    of: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, sha256: str, made: tuple[bytes, bytes | None] | None) -> None:
        """Keep what ``thumbnails`` made of a content, if anything."""
        if made is None:
            return
        own = self.of[sha256] = {}
        for name, data in zip(("blurred", "clear"), made, strict=True):
            if data is None:
                continue
            if self.beside is None:
                own[name] = f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"
            else:
                path = f"pictures/{name}/{sha256}.jpg"
                (self.beside / path).parent.mkdir(parents=True, exist_ok=True)
                (self.beside / path).write_bytes(data)
                own[name] = path


def write_portable(
    case: Case,
    target: Path,
    config: PortableConfig,
    *,
    results: Iterable[SearchResult] = (),
    model: ModelSpec | None = None,
    progress: Progress | None = None,
) -> Portable:
    """Write a page of all items and of ``results`` (leads, by ``model``): into one new file where ``target`` ends in
    .html, else into a new folder, as index.html. Recorded before, with what is shown, and after, with its SHA-256.
    Raises UsageError where the target exists or can't be written, and where the case has no item.
    """
    require_items(case)
    shown = "none" if not config.thumbnails else "to be revealed" if config.reveal else "blurred"
    told = {"places": config.places, "labels": config.labels, "decisions": config.decisions}
    arguments = {"format": "portable", "thumbnails": shown, **told}
    if config.thumbnails and config.reveal:
        arguments["faces"] = faces_shown(config.reveal)
    recorded = case.use(
        "export", arguments=arguments, subject={"target": str(target.absolute())}, model=model, ends="exported"
    )
    if target.suffix.lower() in (".html", ".htm"):
        with whole_file(target) as file, recorded as use, use.catalogue.snapshot():
            made = _write(use, config, results, None, file.write, progress)
            hand_out(use, "portable", target, file)
            return made
    folder = whole_folder(target)
    with folder as draft, (draft / "index.html").open("wb") as page, recorded as use, use.catalogue.snapshot():
        made = _write(use, config, results, draft, page.write, progress)
        page.flush()
        hand_out(use, "portable", target, draft)
        return made


def _write(
    use: Use,
    config: PortableConfig,
    results: Iterable[SearchResult],
    beside: Path | None,
    put: Callable[[bytes], Any],
    progress: Progress | None,
) -> Portable:
    done, digest = Portable(), hashlib.sha256()
    pictures, finder = _Pictures(beside), Finder(use.limits)

    def write(text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        digest.update(data)
        put(data)

    head, _, tail = files(__package__).joinpath("portable.html").read_text("utf-8").partition("/*DATA*/")
    write(head)
    meta = use.catalogue.meta.all()
    about = {name: meta.get(name, "") for name in ("case_id", *TOLD, *DATES)}
    about |= {f"made_{name}": str(use.entry.arguments.get(name, "")) for name in ("reason", "recipient", "purpose")}
    about |= {"made_utc": now_utc(), "made_by": f"imgmatch {imgmatch.__version__}, {account()}"}
    about["log"] = str(use.head) if use.head else ""
    write(f'{{"about":{_json(about)},"leads":[')
    for result in results:
        if config.thumbnails and result.sha256 is not None:
            made = thumbnails(result.sha256, [result.locator], config.reveal, finder)
            pictures.add(result.sha256, made)
        record = {**_lead(result, config), "picture": pictures.of.pop(result.sha256 or "", None)}
        write(("," if done.queries else "") + _json(record))
        done.queries += 1
        done.leads += len(result.matches)
    write('],"items":[')
    for batch in item_batches(use, progress):
        if config.thumbnails:
            _make(use, list(batch), config.reveal, pictures)
        for record in _items(use, list(batch), config):
            record["picture"] = pictures.of.pop(record["sha256"], None)
            done.thumbnails += record["picture"] is not None
            write(("," if done.items else "") + _json(record))
            done.items += 1
    write("]}")
    write(tail)
    done.sha256 = digest.hexdigest()
    use.entry.details = {"page_sha256": done.sha256}
    counts = {"items": done.items, "queries": done.queries, "leads": done.leads, "thumbnails": done.thumbnails}
    use.entry.counts = counts
    return done


def _json(value: Any) -> str:
    """JSON that stands in a script of type application/json: nothing in it ends the element."""
    return json_text(value).replace("<", "\\u003c")


def _lead(result: SearchResult, config: PortableConfig) -> dict[str, Any]:
    return {
        "query": result.locator.words if config.places else "",
        "sha256": result.sha256,
        "issue": None if result.issue is None else result.issue.message,
        "matches": [_match(match, config) for match in result.matches],
    }


def _match(match: Match, config: PortableConfig) -> dict[str, Any]:
    record = values(match, _OF_MATCH)
    if not config.decisions:
        record["decided"] = None
    if not config.places:
        record["reasons"] = []  # some name the archive that it lies in
    return record


def _items(use: Use, ids: list[int], config: PortableConfig) -> Iterator[dict[str, Any]]:
    catalogue = use.catalogue
    items = catalogue.items.by_id(ids)
    seen = catalogue.sightings.of(ids)
    labels = catalogue.labels.of(ids) if config.labels else {}
    for item_id in ids:
        item = items[item_id]
        standing = catalogue.decisions.standing(item.sha256) if config.decisions else {}
        places = [sighting.locator.words for sighting in seen[item_id][:_PLACES]] if config.places else []
        yield {
            "id": item_id,
            "sha256": item.sha256,
            "md5": item.md5,
            "format": item.format,
            "size": item.size_bytes,
            "px": [item.width_px, item.height_px],
            "partial": item.partial,
            "places": places,
            "more": max(0, len(seen[item_id]) - len(places)),
            "labels": [[name, value] for name, said in labels.get(item_id, {}).items() for value in said],
            "decisions": [[other, decision.words] for other, decision in standing.items()],
        }


def _make(use: Use, ids: list[int], reveal: int, pictures: _Pictures) -> None:
    finder = Finder(use.limits)
    items, seen = use.catalogue.items.by_id(ids), use.catalogue.sightings.of(ids)
    wanted = [(items[item_id].sha256, [one.locator for one in seen[item_id]]) for item_id in ids]
    with ThreadPoolExecutor(usable_cores(), "portable") as pool:
        for start in range(0, len(wanted), _MADE_AT_ONCE):
            some = wanted[start : start + _MADE_AT_ONCE]
            made = pool.map(lambda entry: thumbnails(entry[0], entry[1], reveal, finder), some)
            for (sha256, _), two in zip(some, made, strict=True):
                pictures.add(sha256, two)
