"""Manifests: what they say of pictures is kept, found and shown; rows that name nothing are issues."""

import json
import re

import pytest

from imgmatch.errors import UsageError
from indexer.catalogue.filters import Filter
from indexer.intake.ingest import IngestConfig, ingest
from indexer.intake.labels import LabelRow, UnusedRow
from indexer.intake.manifests import manifest_files, read_manifest
from indexer.out.show import item_record
from tests.conftest import encode, picture, run, run_json, snapshot
from tests.indexer.vectors import inside, looking

CSV = """advertisement,path,url,phone,date
A1,photographs/01.jpg,https://example.org/1,+32 470 1,2024-05-06
A2,photographs/01.jpg,https://example.org/2,+32 470 2,
A3,photographs/copy of nothing.jpg,,,
A4,,https://example.org/4.jpg,,
A5,https://example.org/5.jpg,,,
A6,https://example.org/6.jpg
A7,photographs/note.txt,,,
"""


@pytest.fixture
def manifest(photographs):
    (photographs / "note.txt").write_text("no picture")
    path = photographs.parent / "ads.csv"
    path.write_text(CSV)
    return path


def issues_of(case):
    """Kinds and rows that are told as examples, of the manifest."""
    return {
        row.issue.error: [int(number) for number in re.findall(r"row (\d+):", row.issue.message)]
        for row in inside(case).issues.all()
        if row.issue.stage == "manifest"
    }


WRONG = {"missing_file": [4], "no_file": [5, 6, 7], "no_item": [8]}


def test_context_goes_to_items_and_bad_rows_become_issues(case, embedder, photographs, manifest):
    before = snapshot(photographs)
    report = ingest(case, [photographs], embedder, IngestConfig(manifest=manifest))
    assert (report.new_items, report.labelled, report.unused_rows, report.unusable) == (11, 2, 5, 1)
    item_id = inside(case).items.id_of(
        next(s.sha256 for s in inside(case).sightings.all() if "01.jpg" in str(s.locator))
    )
    labels = inside(case).labels.of([item_id])[item_id]
    assert labels["advertisement"] == ("A1", "A2")
    assert labels["phone"] == ("+32 470 1", "+32 470 2")
    assert labels["date"] == ("2024-05-06",)
    said = {
        row["columns"]["advertisement"]: row["columns"]["phone"]
        for row in item_record(looking(case), item_id)["labels"]
    }
    assert said == {"A1": "+32 470 1", "A2": "+32 470 2"}  # which belongs to which is kept
    assert list(inside(case).vectors.matching(1, Filter(labels=(("phone", "+32 470 2"),)))) == [item_id]
    assert issues_of(case) == WRONG
    assert snapshot(photographs) == before


def test_a_second_run_changes_nothing_and_a_mended_row_clears_its_issue(case, embedder, photographs, manifest):
    for _ in range(2):
        ingest(case, [photographs], embedder, IngestConfig(manifest=manifest))
        assert issues_of(case) == WRONG
    manifest.write_text(CSV.replace("copy of nothing", "03"))
    ingest(case, [photographs], embedder, IngestConfig(manifest=manifest))
    assert issues_of(case) == {kind: rows for kind, rows in WRONG.items() if kind != "missing_file"}


def test_without_a_path_the_files_of_the_manifest_are_ingested(case, embedder, photographs, manifest):
    report = ingest(case, [], embedder, IngestConfig(manifest=manifest))
    assert (report.files, report.new_items, report.unusable, report.labelled) == (2, 1, 1, 2)
    assert [place.rsplit("/")[-1] for place in manifest_files(manifest)] == ["01.jpg", "note.txt"]


def test_json_lines(tmp_path):
    path = tmp_path / "ads.jsonl"
    rows = [
        {"File": "a.jpg", "phones": ["1", "2"], "price": 12.5, "seen": None, "geo": {"city": "Gent"}},
        ["no", "object"],
        {"sha256": "ab" * 32, "file": "b.jpg", "id": 7},
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n{broken\n\n")
    first, second, third, fourth = read_manifest(path)
    assert first == LabelRow(1, "a.jpg", {"phones": "1; 2", "price": "12.5", "geo": '{"city": "Gent"}'}, "a.jpg")
    assert third == LabelRow(3, "ab" * 32, {"file": "b.jpg", "id": "7"}, "ab" * 32)
    assert all(isinstance(row, UnusedRow) and row.kind == "malformed_row" for row in (second, fourth))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ads.csv", "name,phone\na,1\n", "must name its columns"),
        ("ads.csv", "path,path\na,1\n", "must name its columns"),
        ("ads.csv", "", "must name its columns"),
        ("ads.txt", "path\na\n", "a manifest is a .csv or a .jsonl file"),
        ("gone.csv", None, "can't be read"),
    ],
)
def test_what_is_no_manifest_is_refused(case, embedder, tmp_path, photographs, name, text, message):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=message):
        ingest(case, [photographs], embedder, IngestConfig(manifest=path))


def test_the_command_line_prints_the_context(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for seed in range(2):
        (folder / f"{seed}.jpg").write_bytes(encode(picture(seed), "JPEG"))
    (tmp_path / "ads.jsonl").write_text('{"path": "in/0.jpg", "advertisement": "A1\\u001b[31m", "phone": "+32 1"}\n')
    case = tmp_path / "case"
    run("init", case)
    assert run_json("ingest", case, "--manifest", tmp_path / "ads.jsonl")["labelled"] == 1
    found = run("search", case, folder / "0.jpg", "--label", "phone=+32 1", "--no-verify")
    assert "phone: +32 1" in found.stdout.decode()
    assert b"\x1b" not in found.stdout
    assert run("ingest", case).returncode == 1
