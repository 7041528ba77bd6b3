"""What the README claims: each row of its table, with where each figure lies in benchmarks/results.

A figure is a field ``{result:path/of/keys|format}``: the file ``results/result.json``, the keys down to the figure, and
how it is written. So no figure can stand in the table that no result holds.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).with_name("results")
_FIELD = re.compile(r"{([a-z_0-9-]+):([^|}]+)\|([^}]*)}")
_HEAD = "| what | figure | script |\n|---|---|---|\n"
_APART = ("crop_fifth", "crop_tenth", "collage_inset", "paste_inset")


class Claim(NamedTuple):
    """A row: what is claimed, its figure, and the script that measures it."""

    what: str
    figure: str
    script: str


CLAIMS = (
    Claim(
        "copies of 240 photographs among {retrieval:distractors|,} others, lowest recall@1 of 25 "
        "alterations (a chain of four; single ones {retrieval:lowest single|.3f} and more)",
        "{retrieval:lowest|.3f}",
        "retrieval",
    ),
    Claim(
        "crop to a tenth of the area; inset of a fifth in a collage; whole pictures only",
        "{retrieval:copies_recall_at_1/crop_tenth|.3f}; {retrieval:copies_recall_at_1/collage_inset|.3f}",
        "retrieval",
    ),
    Claim(
        "another photograph of the same place, among {retrieval:distractors|,} others: mAP all / indoor",
        "{retrieval:places/all/map|.3f} / {retrieval:places/indoor/map|.3f}",
        "retrieval",
    ),
    Claim(
        "inset of a fifth in a collage / crop to a tenth with regions (`thorough` for the crop; "
        "{regions:distractors|} others)",
        "{regions:copies_recall_at_1/collage_inset/query_regions|.3f} / "
        "{regions:copies_recall_at_1/crop_tenth/thorough|.3f}",
        "regions",
    ),
    Claim(
        "a search as a user makes it, fast / thorough profile, among 761 "
        "({whole_search:queries/crop_tenth|} queries each): crop to a tenth, inset of a "
        "fifth in a collage, in first place",
        "{whole_search:found/fast/crop_tenth/first|.3f}, "
        "{whole_search:found/fast/collage_inset/first|.3f} / "
        "{whole_search:found/thorough/crop_tenth/first|.3f}, "
        "{whole_search:found/thorough/collage_inset/first|.3f}",
        "whole_search",
    ),
    Claim(
        "the same pictures, ordered by parts as a search now orders them, against by score alone, among "
        "{rooms:distractors|}: crop to a tenth; to a fifth; hard pairs of places, mAP",
        "{rooms:copies/crop_tenth/by parts/first|.3f}, {rooms:copies/crop_tenth/by score/first|.3f}; "
        "{rooms:copies/crop_fifth/by parts/first|.3f}, {rooms:copies/crop_fifth/by score/first|.3f}; "
        "{rooms:hard_pairs/all/by parts/map|.3f}, {rooms:hard_pairs/all/by score/map|.3f}",
        "rooms",
    ),
    Claim(
        "rendered hotels that no weights were trained on ({rooms-searched:hotels|} hotels, "
        "{rooms-searched:places|} rooms), a person in front, among {rooms-searched:distractors|,} photographs of "
        "rooms, ordered as by a search ({rooms-searched:rooms/as searched/queries|} queries): the room first; its "
        "mAP; the hotel first",
        "{rooms-searched:rooms/as searched/first|.3f}; {rooms-searched:rooms/as searched/map|.3f}; "
        "{rooms-searched:rooms/as searched/hotel_first|.3f}",
        "rooms --verify",
    ),
    Claim(
        'strength in words: true matches called "nothing convincing"; false ones called "geometry agrees"',
        "{strength:sets/all photographs/true_nothing_convincing|} of "
        "{strength:sets/all photographs/true|}; {strength:sets/all photographs/false_geometry|} of "
        "{strength:sets/all photographs/false|,}",
        "strength",
    ),
    Claim(
        "embedding, 2 cores (on the Xeon; float32)",
        "{speed:figures/imgmatch-rooms-int8/images_per_s_2|.0f} images/s, "
        "{speed:ratio/images_per_s_2|.1f} times SSCD int8 at 288 px "
        "({speed-float32:figures/imgmatch-rooms/images_per_s_2|.0f}, "
        "{speed-float32:ratio/images_per_s_2|.1f} times)",
        "speed",
    ),
    Claim(
        "what 8 bits cost: mean recall@1 of eight alterations; mAP of places",
        "{precision:figures/int8/copies_mean|.3f} from {precision:figures/float32/copies_mean|.3f}; "
        "{precision:figures/int8/places/all/map|.3f} from {precision:figures/float32/places/all/map|.3f}",
        "precision",
    ),
    Claim(
        "ingest, end to end, 2 cores (on the Xeon), with hashes, PDQ, metadata and isolation; decoding "
        "alone; inference alone",
        "{ingest:ingest_images_per_s|.0f} images/s; {ingest:decode_images_per_s|.0f}; "
        "{ingest:inference_images_per_s|.0f}",
        "ingest",
    ),
    Claim(
        "ingest of {ingest_rivals:files|,} photographs without VNNI, with all of that; immaculate by a network / "
        "by PDQ alone; imagededup by a network / by pHash alone",
        "{ingest_rivals:programs/imgmatch/files_per_s|.0f} files/s; "
        "{ingest_rivals:programs/immaculate, sscd_distilled/files_per_s|.0f} / "
        "{ingest_rivals:programs/immaculate, pdq/files_per_s|.0f}; "
        "{ingest_rivals:programs/imagededup, CNN/files_per_s|.0f} / "
        "{ingest_rivals:programs/imagededup, PHash/files_per_s|.0f}",
        "ingest_rivals",
    ),
    Claim(
        "12-megapixel JPEGs (on the Xeon), against full decoding",
        "{ingest:large_speedup|.1f} times as fast",
        "ingest",
    ),
    Claim(
        "peak memory of an ingest of {ingest:files|,} files, workers apart",
        "{ingest:peak_memory_mb/1000|.0f} MB",
        "ingest",
    ),
    Claim(
        "kill -9 at {kill:kills|} random moments, then a rerun: cases that differ",
        "{kill:different_after_rerun|}",
        "kill",
    ),
    Claim(
        "index of {index:rows|,} rows, two threads: queries/s at recall@10 of {index:ours/recall_at_10|}; "
        "hnswlib at {index:hnswlib/recall_at_10|}, usearch at {index:usearch/recall_at_10|}",
        "{index:ours/queries_per_s|,.0f}; {index:hnswlib/queries_per_s|,.0f}, {index:usearch/queries_per_s|.0f}",
        "index",
    ),
    Claim(
        "its build; hnswlib, usearch",
        "{index:ours/build_s|.0f} s; {index:hnswlib/build_s|.0f} s, {index:usearch/build_s|.0f} s",
        "index",
    ),
    Claim(
        "bathrooms, kitchens, bedrooms of different houses wrongly called verified, of "
        "{verify:unrelated/pairs|,} nearest pairs",
        "{verify:unrelated/called_verified|} (at most 1 in {verify:unrelated/at most 1 in|,.0f} at 95 %)",
        "verify",
    ),
    Claim(
        "kill -9 at {index_kill:kills|} random moments of build, delete, compact and merge: cases that differ",
        "{index_kill:wrong|len}",
        "index_kill",
    ),
    Claim(
        "Project VIC file of {exchange:media|,} media: in / out; peak memory",
        "{exchange:100000/import/seconds|.0f} s / {exchange:100000/export/seconds|.1f} s; "
        "{exchange:100000/import/peak_mb|.0f} MB",
        "exchange",
    ),
    Claim(
        "report of {report_size:reports/many queries/queries|} queries x 20 matches: time, size; revealed",
        "{report_size:reports/many queries/seconds|.1f} s, "
        "{report_size:reports/many queries/megabytes|.1f} MB; "
        "{report_size:reports/many queries, revealed/seconds|.1f} s, "
        "{report_size:reports/many queries, revealed/megabytes|.1f} MB",
        "report_size",
    ),
    Claim(
        "review page, {review_speed:rows|,} items: first results, median",
        "{review_speed:search_median_s|.2f} s",
        "review_speed",
    ),
    Claim(
        "{hostile:inputs|,} hostile inputs (mutants of 13 formats, bombs; on the Xeon): crashes, hangs, "
        "writes elsewhere, files without a record",
        "{hostile:examples|len}",
        "hostile",
    ),
    Claim(
        "{index_fuzz:mutations|,} mutations of a case's files: crashes, wrong results",
        "{index_fuzz:wrong|}",
        "index_fuzz",
    ),
    Claim(
        "ingest from E01 / deflated E01 / ZIP, against the same folder",
        "{sources:sets/rooms/ratio_to_folder/ingest/E01|.2f} / "
        "{sources:sets/rooms/ratio_to_folder/ingest/E01 deflated|.2f} / "
        "{sources:sets/rooms/ratio_to_folder/ingest/zip|.2f} times",
        "sources",
    ),
    Claim(
        "ingest with isolated decoding (on the Xeon), time against without; of 12 megapixels",
        "{isolation:seconds_ratio|.2f}; {isolation:large_seconds_ratio|.2f} times",
        "isolation",
    ),
    Claim(
        "index of 10 million rows, two threads (on the Xeon): recall@10; one query; build; resident (not "
        "backed by files)",
        "{index-scale:sizes/10000000/recall_at_10|.3f}; {index-scale:sizes/10000000/one_query_ms|.1f} ms; "
        "{index-scale:minutes of the largest|.0f} min; {index-scale:gigabytes of the largest|.1f} GB "
        "({index-scale:own gigabytes of the largest|.2f} GB)",
        "index --scale",
    ),
    Claim(
        "a search as a whole in a million items, beyond the network (on the Xeon), warm / cold process",
        "{search_speed:warm_median_ms|.1f} ms / {search_speed:cold_s|.1f} s",
        "search_speed",
    ),
)
"""Every row, in the order of the README."""


@cache
def result(name: str) -> dict[str, Any]:
    """A result, with what is reckoned from its figures for the table."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    if name == "retrieval":
        copies = {what: value for what, value in found["copies_recall_at_1"].items() if what not in _APART}
        found["lowest"] = min(copies.values())
        found["lowest single"] = min(value for what, value in copies.items() if not what.startswith("chain"))
    elif name == "verify":
        found["unrelated"]["at most 1 in"] = 1 / found["unrelated"]["upper_95"]
    elif name == "index-scale":
        largest = found["sizes"]["10000000"]
        found["minutes of the largest"] = largest["build_s"] / 60
        found["gigabytes of the largest"] = largest["resident_mb"] / 1000
        found["own gigabytes of the largest"] = largest["anonymous_mb"] / 1000
    return found


def said(text: str) -> str:
    """A text with its figures. Raises KeyError, naming the field, where a result does not hold one."""

    def figure(field: re.Match[str]) -> str:
        value: Any = result(field[1])
        for key in field[2].split("/"):
            if key not in value:
                raise KeyError(field[0])
            value = value[key]
        return str(len(value)) if field[3] == "len" else format(value, field[3])

    return _FIELD.sub(figure, text)


def named(claim: Claim) -> list[str]:
    """The results that a row rests on."""
    return list(dict.fromkeys(field[1] for field in _FIELD.finditer(claim.what + claim.figure)))


def table() -> str:
    """The README's table."""
    rows = (f"| {said(claim.what)} | {said(claim.figure)} | `benchmarks.{claim.script}` |\n" for claim in CLAIMS)
    return _HEAD + "".join(rows)


def with_table(readme: str) -> str:
    """The README with its table as the results have it."""
    start = readme.index(_HEAD)
    end = start + len(_HEAD)
    while readme[end] == "|":
        end = readme.index("\n", end) + 1
    return readme[:start] + table() + readme[end:]
