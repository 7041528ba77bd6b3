"""The overview as a page: one HTML file without scripts, that asks for nothing from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import imgmatch
from imgmatch.cores import usable_cores
from imgmatch.evidence.read import Finder
from imgmatch.types import ModelSpec
from imgmatch.vault import memory
from indexer.case.account import account
from indexer.catalogue.clock import now_utc
from indexer.out.overview.drawing import graph, months
from indexer.out.overview.entities import (
    ACCOUNT,
    ADVERTISEMENT,
    CAMERA,
    DEVICE,
    GROUP,
    MODEL,
    PLACE,
    ROOM,
    SOURCE,
    TELEPHONE,
    Entity,
)
from indexer.out.overview.gathering import A_TIE
from indexer.out.overview.making import Overview
from indexer.out.overview.records import entity_record, pair_record, record
from indexer.out.released import hand_out
from indexer.out.report.html import environment
from indexer.out.report.pictures import Within, keep_thumbnail

LISTED = 300
"""So many ties, entities and groups stand on a page; JSON and CSV have them all."""
_NAME = 34
"""Longer names are cut in drawings."""
_MARKS = {kind: kind for kind in (PLACE, ROOM, TELEPHONE, ADVERTISEMENT, ACCOUNT, DEVICE, CAMERA, SOURCE, GROUP)}
_MARKS[MODEL] = "model"


def write_page(overview: Overview, file: BinaryIO, target: Path, model: ModelSpec, *, thumbnails: bool) -> str:
    """Write the page into a file that is to be ``target``; returns its SHA-256, which is recorded too. With
    ``thumbnails`` it has the pictures that match, blurred and grey in their very bytes; else none.
    """
    digest = hashlib.sha256()
    with ExitStack() as ends:
        kept = Within(ends.enter_context(memory.file(target.absolute().parent)))
        shown = _keep(overview, kept) if thumbnails else frozenset()
        for part in (
            environment()
            .get_template("overview.html.j2")
            .generate(**_about(overview, model), src=kept.src, shown=shown)
        ):
            data = part.encode("utf-8", "backslashreplace")
            digest.update(data)
            file.write(data)
    overview.use.entry.details = {"page_sha256": digest.hexdigest()}
    hand_out(overview.use, "overview", target, file)
    return digest.hexdigest()


def _about(overview: Overview, model: ModelSpec) -> Mapping[str, Any]:
    tied = overview.tied
    listed = [entity for entity in tied if entity.kind != GROUP][:LISTED]
    numbers = {entity: number for number, entity in enumerate([*listed, *overview.gathered.groups], start=1)}
    groups = list(overview.gathered.groups.items())
    made = now_utc()

    def name(entity: Entity) -> str:
        return overview.told(entity).name

    def short(entity: Entity) -> str:
        said = name(entity)
        if len(said) <= _NAME:
            return said
        return f"…{said[1 - _NAME :]}" if entity.kind == SOURCE else f"{said[: _NAME - 1]}…"

    return {
        "overview": overview,
        "model": model,
        "footer": f"imgmatch overview, made {made}",
        "made_utc": made,
        "account": account(),
        "version": imgmatch.__version__,
        "metas": [use.catalogue.meta.all() for use in overview.uses],
        "counts": [use.catalogue.counts() for use in overview.uses],
        "told": overview.use.entry.arguments,
        "head": overview.use.head,
        "rates": [
            (case, its.reference.words)
            for case, its in zip(overview.cases, overview.backgrounds, strict=True)
            if its is not None
        ],
        "graph": graph(overview.ties, len(tied), lambda entity: len(short(entity))),
        "months": months({entity: overview.told(entity).days for entity in tied}),
        "ties": (record(overview, at, tie) for at, tie in enumerate(overview.ties[:LISTED], start=1)),
        "summary": list(enumerate(overview.ties[:LISTED], start=1)),
        "entities": [(entity, entity_record(overview, entity, tied[entity])) for entity in listed],
        "groups": [(group, [pair_record(overview, pair) for pair in pairs]) for group, pairs in groups[:LISTED]],
        "more": {
            "ties": len(overview.ties) - LISTED,
            "entities": sum(entity.kind != GROUP for entity in tied) - len(listed),
            "groups": len(groups) - LISTED,
        },
        "numbers": numbers,
        "name": name,
        "short": short,
        "a_tie": A_TIE,
        "marks": _MARKS,
    }


def _keep(overview: Overview, kept: Within) -> frozenset[str]:
    """Keep the pictures of all pairs that are shown; returns those (SHA-256) that could be had."""
    wanted: dict[str, tuple[int, int]] = {}
    for tie in overview.ties[:LISTED]:
        for pair in tie.pairs:
            for sha256, item in zip((pair.link.item.sha256, pair.link.other.sha256), pair.items, strict=True):
                wanted.setdefault(sha256, item)
    for pairs in list(overview.gathered.groups.values())[:LISTED]:
        for pair in pairs:
            for sha256, item in zip((pair.link.item.sha256, pair.link.other.sha256), pair.items, strict=True):
                wanted.setdefault(sha256, item)
    finders = [Finder(use.limits) for use in overview.uses]

    def keep(one: tuple[str, tuple[int, int]]) -> str | None:
        sha256, (number, item_id) = one
        places = [seen.locator for seen in overview.uses[number].catalogue.sightings.of([item_id])[item_id]]
        return sha256 if keep_thumbnail(kept, sha256, places, 0, finders[number]) is not None else None

    with ThreadPoolExecutor(usable_cores(), "overview") as pool:
        return frozenset(sha256 for sha256 in pool.map(keep, sorted(wanted.items())) if sha256 is not None)
