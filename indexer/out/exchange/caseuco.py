"""A case as CASE/UCO JSON-LD (caseontology.org, CASE 1.5 over UCO 1.5): pictures, where they were found, what was done.

Each sighting is an ``observable:RasterPicture`` with its file, content and picture facets; each ingest is an
``investigation:InvestigativeAction`` with a ``ProvenanceRecord`` of what it brought in; each search is such an action
too, whose results are relationships from the query to the pictures that match. The ontology has no words for a score,
a verification or a rate: they stand in descriptions. Identifiers are UUIDs made from the case and the content, so that
the same case gives the same ones.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import imgmatch
from imgmatch.locator import Locator
from imgmatch.match.strength import strength
from imgmatch.types import Match, ModelSpec, Sighting
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.catalogue import ItemRow
from indexer.catalogue.clock import now_utc
from indexer.catalogue.decisions import WITHDRAWN
from indexer.index.protocol import Progress
from indexer.out.atomic import whole_file
from indexer.out.exchange.snapshot import item_batches, require_items
from indexer.out.places import file_name, file_path, mime_type
from indexer.out.released import hand_out

if TYPE_CHECKING:
    from indexer.search.request import SearchResult

_UCO = "https://ontology.unifiedcyberontology.org/uco"
_CONTEXT = {
    "investigation": "https://ontology.caseontology.org/case/investigation/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    **{name: f"{_UCO}/{name}/" for name in ("action", "core", "identity", "observable", "tool", "types")},
}
Node = dict[str, Any]


def export_caseuco(
    case: Case,
    target: str | os.PathLike[str],
    results: Iterable[SearchResult] = (),
    model: ModelSpec | None = None,
    *,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write the case, and ``results`` of searches by ``model``, as one JSON-LD file; returns how many of each.

    Streamed, a node a line: memory does not grow with the case. Recorded in the audit log. Raises UsageError where the
    case has no picture, or the file exists or can't be written.
    """
    path = Path(target)
    require_items(case)
    arguments, subject = {"format": "case-uco"}, {"file": str(path.absolute())}
    recorded = case.use("export", arguments=arguments, subject=subject, model=model, ends="exported")
    with whole_file(path) as file, recorded as use, use.catalogue.snapshot():
        counts = _Graph(use, file, model or case.default_model).write(results, progress)
        use.entry.counts = counts
        hand_out(use, "case-uco", path, file)
    return counts


class _Graph:
    """The graph of one case, written node by node."""

    def __init__(self, use: Use, file: IO[bytes], model: ModelSpec) -> None:
        self._use = use
        self._file = file
        self._model = model
        self._space = uuid.uuid5(uuid.NAMESPACE_URL, use.catalogue.meta.all()["case_id"])
        self._tool = self._id("tool")
        self._first = True
        self._by_content: dict[str, str] = {}

    def write(self, results: Iterable[SearchResult], progress: Progress | None) -> dict[str, int]:
        """Everything, in one pass."""
        counts = {"pictures": 0, "actions": 0, "matches": 0, "decisions": 0}
        self._text(f'{{\n"@context": {json.dumps(_CONTEXT)},\n"@graph": [')
        self._node(self._tool_node())
        for items in item_batches(self._use, progress):
            seen = self._use.catalogue.sightings.of(items)
            labels = self._use.catalogue.labels.of(items)
            for item_id, item in items.items():
                tags = [f"{name}={value}" for name, values in labels[item_id].items() for value in values]
                for sighting in seen[item_id]:
                    self._node(self._picture(item, sighting, tags))
                    counts["pictures"] += 1
        counts["actions"] = self._ingests()
        for result in results:
            counts["actions"] += 1
            counts["matches"] += self._search(result)
        counts["decisions"] = self._decisions()
        self._text("\n]\n}\n")
        return counts

    # --- writing

    def _text(self, text: str) -> None:
        self._file.write(text.encode("utf-8", "backslashreplace"))

    def _node(self, node: Node) -> None:
        self._text(("\n" if self._first else ",\n") + json.dumps(node, ensure_ascii=False))
        self._first = False

    def _id(self, *parts: object) -> str:
        return f"urn:uuid:{uuid.uuid5(self._space, '|'.join(map(str, parts)))}"

    # --- nodes

    def _tool_node(self) -> Node:
        about = f"model {self._model.name}, SHA-256 of its weights {self._model.weights_sha256}"
        return {
            "@id": self._tool,
            "@type": "tool:Tool",
            "core:name": "imgmatch",
            "core:description": f"finds the same picture, room or object; {about}",
            "tool:toolType": "image matching",
            "tool:version": imgmatch.__version__,
        }

    def _picture_id(self, sha256: str, locator: Locator | str) -> str:
        return self._id("picture", sha256, locator)

    def _picture(self, item: ItemRow, sighting: Sighting, tags: list[str]) -> Node:
        own = self._picture_id(item.sha256, sighting.locator)
        node: Node = {
            "@id": own,
            "@type": "observable:RasterPicture",
            "core:hasFacet": [
                self._file_facet(own, sighting.locator, item.size_bytes, sighting.modified_utc),
                {
                    **self._content_facet(own, {"MD5": item.md5, "SHA1": item.sha1, "SHA256": item.sha256}),
                    "observable:mimeType": mime_type(item.format),
                    "observable:sizeInBytes": _whole(item.size_bytes),
                },
                {
                    "@id": self._id(own, "raster"),
                    "@type": "observable:RasterPictureFacet",
                    "observable:pictureHeight": _whole(item.height_px),
                    "observable:pictureWidth": _whole(item.width_px),
                    "observable:pictureType": item.format,
                },
            ],
        }
        if tags:
            node["core:tag"] = tags
        if item.partial:
            node["core:description"] = f"partly read: {item.partial}"
        return node

    def _file_facet(self, own: str, locator: Locator, size: int | None, modified_utc: str | None) -> Node:
        facet: Node = {
            "@id": self._id(own, "file"),
            "@type": "observable:FileFacet",
            "observable:fileName": file_name(locator),
            "observable:filePath": file_path(locator),
            "observable:isDirectory": False,
        }
        if size is not None:
            facet["observable:sizeInBytes"] = _whole(size)
        if modified_utc:
            facet["observable:modifiedTime"] = _time(modified_utc)
        if locator.deleted:
            facet["observable:allocationStatus"] = "unallocated"
        return facet

    def _content_facet(self, own: str, hashes: dict[str, str | None]) -> Node:
        return {
            "@id": self._id(own, "content"),
            "@type": "observable:ContentDataFacet",
            "observable:hash": [
                {
                    "@id": self._id(own, method),
                    "@type": "types:Hash",
                    "types:hashMethod": method,
                    "types:hashValue": {"@type": "xsd:hexBinary", "@value": value.upper()},
                }
                for method, value in hashes.items()
                if value
            ],
        }

    def _ingests(self) -> int:
        """Runs that found pictures, each with a record of what; how many."""
        count = 0
        for run_id, command, version, _, _, started, finished, *_ in self._use.catalogue.runs.all():
            found = (
                self._picture_id(sha256, locator) for sha256, locator in self._use.catalogue.sightings.of_run(run_id)
            )
            first = next(found, None)
            if first is None:
                continue
            record = self._id("record", run_id)
            head = {"@id": record, "@type": "investigation:ProvenanceRecord", "core:name": f"{command}, run {run_id}"}
            # As many objects as pictures: written one by one.
            text = json.dumps({**head, "core:object": []})
            self._text(",\n" + text.removesuffix("]}"))
            self._text(json.dumps({"@id": first}))
            for other in found:
                self._text(", " + json.dumps({"@id": other}))
            self._text("]}")
            action: Node = {
                "@id": self._id("run", run_id),
                "@type": "investigation:InvestigativeAction",
                "core:name": command,
                "core:description": f"by imgmatch {version}",
                "action:startTime": _time(started),
                "action:instrument": {"@id": self._tool},
                "action:result": {"@id": record},
            }
            if finished:
                action["action:endTime"] = _time(finished)
            self._node(action)
            count += 1
        return count

    def _search(self, result: SearchResult) -> int:
        """A search as an action, with its query and its matches; how many matches."""
        query = self._query(result)
        made = [self._match(query, result.sha256 or "", match) for match in result.matches]
        for node in made:
            self._node(node)
        action: Node = {
            "@id": self._id("search", query, now_utc()),
            "@type": "investigation:InvestigativeAction",
            "core:name": "search",
            "core:description": f"by model {result.model}: {result.answer}"
            + (f"; left out: {result.left_out.words}" if result.left_out.words else ""),
            "action:endTime": _time(now_utc()),
            "action:instrument": {"@id": self._tool},
            "action:object": {"@id": query},
        }
        if made:
            action["action:result"] = [{"@id": node["@id"]} for node in made]
        if result.issue is not None:
            action["core:description"] = f"by model {result.model}: not searched, {result.issue.message}"
        self._node(action)
        return len(made)

    def _query(self, result: SearchResult) -> str:
        """The node of a query; written here where the case has no picture at its place."""
        own = self._picture_id(result.sha256 or "", result.locator)
        item_id = self._use.catalogue.items.id_of(result.sha256) if result.sha256 else None
        known = self._use.catalogue.sightings.of([item_id])[item_id] if item_id is not None else []
        if not any(sighting.locator == result.locator for sighting in known):
            facets = [self._file_facet(own, result.locator, None, None)]
            if result.sha256:
                facets.append(self._content_facet(own, {"SHA256": result.sha256}))
            self._node({"@id": own, "@type": "observable:File", "core:hasFacet": facets})
        if result.sha256:
            self._by_content.setdefault(result.sha256, own)
        return own

    def _match(self, query: str, query_sha256: str, match: Match) -> Node:
        said = [f"lead, not a verdict: rank {match.rank}, {strength(match)}, score {match.score:.4f}", *match.reasons]
        if match.false_match is not None:
            said.append(f"false-match rate at most {match.false_match.upper:.2g}")
        if match.decision is not None:
            said.append(match.decision.words)
        return {
            "@id": self._id("match", query, query_sha256, match.sha256),
            "@type": "observable:ObservableRelationship",
            "core:description": "; ".join(said),
            "core:isDirectional": True,
            "core:kindOfRelationship": "Related_To",
            "core:source": {"@id": query},
            "core:target": {"@id": self._picture_id(match.sha256, match.sightings[0].locator)},
        }

    def _decisions(self) -> int:
        """What examiners said of pairs, with who; how many."""
        count = 0
        people: set[str] = set()
        standing = self._use.catalogue.decisions.newest()
        for row in self._use.catalogue.decisions.all():
            places = [self._place(sha256) for sha256 in (row.query_sha256, row.item_sha256)]
            who = f"{row.examiner or 'nobody named'} (account {row.account})"
            person = self._id("person", who)
            if who not in people:
                people.add(who)
                self._node({"@id": person, "@type": "identity:Person", "core:name": who})
            note = f": {row.note}" if row.note else ""
            stood = "" if row.decision_id in standing or row.verdict == WITHDRAWN else " (does not stand)"
            self._node(
                {
                    "@id": self._id("decision", row.decision_id),
                    "@type": "observable:ObservableRelationship",
                    "core:createdBy": {"@id": person},
                    "core:description": f"{row.verdict} as a match{stood}{note}",
                    "core:isDirectional": False,
                    "core:kindOfRelationship": "Related_To",
                    "core:objectCreatedTime": _time(row.decided_utc),
                    "core:source": {"@id": places[0]},
                    "core:target": {"@id": places[1]},
                }
            )
            count += 1
        return count

    def _place(self, sha256: str) -> str:
        """The node of a content: of its picture in the case, of a query that was searched with, or one that is written
        here and knows no more than its SHA-256.
        """
        item_id = self._use.catalogue.items.id_of(sha256)
        if item_id is not None:
            return self._picture_id(sha256, self._use.catalogue.sightings.of([item_id])[item_id][0].locator)
        if sha256 not in self._by_content:
            own = self._by_content[sha256] = self._id("content", sha256)
            facets = [self._content_facet(own, {"SHA256": sha256})]
            self._node({"@id": own, "@type": "observable:File", "core:hasFacet": facets})
        return self._by_content[sha256]


def _whole(number: int) -> Node:
    return {"@type": "xsd:integer", "@value": str(number)}


def _time(utc: str) -> Node:
    return {"@type": "xsd:dateTime", "@value": utc}
