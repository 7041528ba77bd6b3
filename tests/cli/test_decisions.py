"""Decisions reach whoever reads of a case: searches, every export, and what was left out for them is counted."""

import csv
import io
import json

import pytest

from tests.conftest import encode, run, run_json, textured

NOTE = "same lamp, same crack in the wall"


@pytest.fixture(scope="module")
def decided(tmp_path_factory):
    """A case of five pictures and a query from outside of it; one match of the query is confirmed, two are rejected,
    one of them at first as the other.
    """
    made = tmp_path_factory.mktemp("decided")
    (made / "seized").mkdir()
    for number in range(5):
        (made / "seized" / f"{number}.jpg").write_bytes(encode(textured(number), "JPEG"))
    (made / "query.jpg").write_bytes(encode(textured(0), "JPEG", quality=60))
    assert run("init", made / "case").returncode == 0
    (made / "labels.csv").write_text(
        "file,label\n" + "".join(f"seized/{number}.jpg,Room {number}\n" for number in range(5))
    )
    assert run("ingest", made / "case", made / "seized", "--labels", made / "labels.csv").returncode == 0
    for item, verdict, note in ((1, "rejected", "too dark"), (1, "confirmed", NOTE), (2, "rejected", "other bed")):
        done = run(
            "decide", made / "case", made / "query.jpg", item, verdict, "--note", note, "--examiner", "E. Xaminer"
        )
        assert done.returncode == 0, done.stderr
    assert run("decide", made / "case", "3", made / "query.jpg", "rejected").returncode != 0  # an item comes second
    assert run("decide", made / "case", made / "query.jpg", "3", "rejected").returncode == 0
    return made


def export(decided, format, *more):
    out = decided / f"out-{format}-{len(more)}"
    done = run("export", decided / "case", *more, "--format", format, "-o", out)
    assert done.returncode == 0, done.stderr
    return out, done.stderr.decode()


def test_a_search_says_who_decided_what_and_when_and_counts_what_it_left_out(decided):
    found = run_json("search", decided / "case", decided / "query.jpg")
    first = found["matches"][0]
    assert (first["item_id"], first["decision"], first["decided_by"], first["decision_note"]) == (
        1, "confirmed", "E. Xaminer", NOTE
    )  # fmt: skip
    assert first["decided_utc"].startswith("20")
    assert {match["item_id"] for match in found["matches"]} == {1, 4, 5}
    left_out = found["left_out"]["rejected"]
    assert {(one["item_id"], one["decision"], one["decision_note"]) for one in left_out} == {
        (2, "rejected", "other bed"), (3, "rejected", "")
    }  # fmt: skip
    assert all(one["decided_by"] and one["path"].endswith(".jpg") for one in left_out)
    table = run("search", decided / "case", decided / "query.jpg").stdout.decode()
    assert f"confirmed by E. Xaminer, {first['decided_utc'][:10]}: {NOTE}" in " ".join(table.split())
    assert "left out: 2 rejected by an examiner" in table


def test_rejected_ones_are_listed_when_they_are_asked_for(decided):
    found = run_json("search", decided / "case", decided / "query.jpg", "--with-rejected")
    assert {match["item_id"]: match["decision"] for match in found["matches"]} == {
        1: "confirmed", 2: "rejected", 3: "rejected", 4: None, 5: None
    }  # fmt: skip
    assert found["left_out"] == {"rejected": [], "likelier_by_chance": 0}


@pytest.mark.parametrize("more", [["--format", "csv"], ["--by", "label"], ["--together", "--format", "csv"]])
def test_where_a_list_has_no_place_for_it_a_line_beside_it_counts_what_was_left_out(decided, more):
    done = run("search", decided / "case", decided / "query.jpg", *more)
    assert b"left out: 2 rejected by an examiner" in done.stderr


def test_labels_say_what_was_decided_of_their_pictures(decided):
    (first, *_) = run_json("search", decided / "case", decided / "query.jpg", "--by", "label")
    assert (first["value"], first["strength"][-6:]) == ("Room 0", "points")
    assert first["decision"].startswith("item 1 confirmed by E. Xaminer, ")


def test_tables_have_decisions_with_matches_and_say_which_stand(decided):
    out, _ = export(decided, "csv", decided / "query.jpg")
    rows = list(csv.DictReader(io.StringIO((out / "matches.csv").read_text())))
    by_item = {row["item_id"]: row for row in rows}
    assert (by_item["1"]["decision"], by_item["1"]["decided_by"], by_item["1"]["decision_note"]) == (
        "confirmed", "E. Xaminer", NOTE
    )  # fmt: skip
    assert {(row["item_id"], row["rank"]) for row in rows if row["decision"] == "rejected"} == {("2", ""), ("3", "")}
    rows = list(csv.DictReader(io.StringIO((out / "decisions.csv").read_text())))
    assert [(row["verdict"], row["stands"]) for row in rows] == [
        ("rejected", "False"), ("confirmed", "True"), ("rejected", "True"), ("rejected", "True")
    ]  # fmt: skip


@pytest.mark.parametrize("searched", [True, False])
def test_case_uco_has_every_decision_also_of_a_query_that_the_case_does_not_hold(decided, searched):
    out, said = export(decided, "case-uco", *([decided / "query.jpg"] if searched else []))
    assert "4 decisions" in said
    nodes = json.loads(out.read_text())["@graph"]
    ids = {node["@id"]: node for node in nodes}
    assert len(ids) == len(nodes)
    made = [node for node in nodes if "as a match" in node.get("core:description", "")]
    assert [node["core:description"] for node in made] == [
        "rejected as a match (does not stand): too dark", f"confirmed as a match: {NOTE}",
        "rejected as a match: other bed", "rejected as a match",
    ]  # fmt: skip
    assert ids[made[0]["core:createdBy"]["@id"]]["core:name"].startswith("E. Xaminer (account ")
    (query,) = {node["core:source"]["@id"] for node in made}
    facets = ids[query]["core:hasFacet"]
    digests = [one["types:hashValue"]["@value"] for facet in facets for one in facet.get("observable:hash", [])]
    assert len(digests) == 1
    named = [facet["observable:fileName"] for facet in facets if "observable:fileName" in facet]
    assert named == (["query.jpg"] if searched else [])
    actions = [node["core:description"] for node in nodes if node.get("core:name") == "search"]
    assert ["left out: 2 rejected by an examiner" in one for one in actions] == [True] * searched
    matches = [node["core:description"] for node in nodes if "lead, not a verdict" in node.get("core:description", "")]
    assert sum("confirmed by E. Xaminer" in one for one in matches) == searched


def test_vics_carries_them_as_comments_and_says_which_were_replaced(decided):
    out, _ = export(decided, "vics")
    (about,) = json.loads(out.read_text())["value"]
    comments = [media.get("Comments", "") for media in about["Media"]]
    assert "confirmed as a match of SHA-256 " in comments[0]
    assert NOTE in comments[0]
    assert comments[0].count("does not stand") == 1
    assert "rejected as a match" in comments[1]


def test_a_sheet_by_label_has_one_lead_a_label_in_their_order(decided):
    sheet = decided / "sheet.html"
    done = run(
        "search", decided / "case", decided / "query.jpg", "--by", "label", "--report", sheet, "--format", "json"
    )
    assert done.returncode == 0, done.stderr
    labels = [found["value"] for found in json.loads(done.stdout)]
    leads = sheet.read_text().split("<article")[1:]
    assert [next(label for label in labels if label in lead.partition("</h3>")[0]) for lead in leads] == labels
    assert f"note: {NOTE}" in leads[0]
