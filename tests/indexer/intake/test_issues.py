"""What is said of a file at each stage stands side by side, and a file counts once, wherever it is counted."""

import io
import json
import zipfile

import pytest

from imgmatch.evidence import SourceOptions, quiet
from imgmatch.locator import Locator
from imgmatch.types import Evidence, Issue
from indexer.care.statement import write_statement
from indexer.intake.finding import Places
from indexer.intake.ingest import IngestConfig, ingest
from tests.conftest import encode, picture, run, run_json
from tests.indexer.vectors import inside


def pages(*seeds) -> bytes:
    """A TIFF of several pages, without compression: what is behind a cut is gone."""
    first, *others = (picture(seed) for seed in seeds)
    return encode(first, "TIFF", save_all=True, append_images=others)


def said(case) -> list[tuple]:
    """What stands of each place: name, stage, kind, whether a digest is there, and whether it counts besides."""
    return sorted(
        (row.issue.locator.at.rsplit("/", 1)[-1], row.issue.stage, row.issue.error, row.sha256 is not None, row.beside)
        for row in inside(case).issues.all()
    )


def add_up(case, tmp_path) -> None:
    for row in inside(case).runs.all():
        made = write_statement(case, row[0], tmp_path / f"statement {row[0]} of {len(inside(case).runs.all())}")
        assert made["adds_up"], made["checks"]


def moving(*seeds) -> bytes:
    """A PNG of several pictures."""
    first, *others = (picture(seed) for seed in seeds)
    return encode(first, "PNG", save_all=True, append_images=others)


@pytest.fixture
def cut(tmp_path):
    """A moving picture of which neither the first nor any further picture can be read."""
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "cut.png").write_bytes(moving(1, 2)[:120])
    return folder


def test_a_file_that_fails_twice_is_told_of_twice_and_counts_once(case, embedder, cut, tmp_path):
    report = ingest(case, [cut], embedder)
    told = said(case)
    assert [stage for _, stage, *_ in told] == ["decode", "walk"], told
    assert [(digest, beside) for *_, digest, beside in told] == [(True, False), (False, True)]
    assert (report.files, report.unusable, report.new_issues) == (1, 1, 1)
    assert case.catalogue.counts()["issues"] == 1
    add_up(case, tmp_path)
    again = ingest(case, [cut], embedder)
    assert (again.files, again.unchanged, again.unusable) == (1, 1, 0)
    assert said(case) == told
    add_up(case, tmp_path)


def test_a_stage_that_is_done_without_a_fault_settles_its_own_issues_alone(case, embedder, cut, tmp_path):
    ingest(case, [cut], embedder)
    (cut / "cut.png").write_bytes(moving(1, 2))
    ingest(case, [cut], embedder)
    assert said(case) == []
    add_up(case, tmp_path)
    assert [row["settled_since"] for row in inside(case).runs.skipped(1)] == [True, True]


def test_an_item_of_which_a_page_can_not_be_read_counts_as_an_item(case, embedder, tmp_path):
    folder = tmp_path / "evidence"
    folder.mkdir()
    whole = pages(3, 4)
    (folder / "pages.tif").write_bytes(whole[:-2000])
    report = ingest(case, [folder], embedder)
    assert report.new_items >= 1
    assert report.files == report.new_items + report.known + report.unusable
    assert report.unusable == 0
    assert [beside for *_, beside in said(case)] == [True]
    add_up(case, tmp_path)
    again = ingest(case, [folder], embedder)
    assert (again.unusable, again.files) == (0, again.unchanged)
    add_up(case, tmp_path)
    (folder / "pages.tif").write_bytes(whole)
    ingest(case, [folder], embedder)
    assert said(case) == []


def test_a_container_with_two_faults_counts_once(case, embedder, tmp_path):
    folder = tmp_path / "evidence"
    folder.mkdir()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.jpg", encode(picture(5), "JPEG"))
    (folder / "a.zip").write_bytes(b"PK\3\4" + bytes(300) + packed.getvalue() + bytes(50))
    report = ingest(case, [folder], embedder)
    told = said(case)
    assert [(name, error, beside) for name, _, error, _, beside in told] == [
        ("", "broken_archive", False),  # what stands before the archive
        ("a.zip", "broken_archive", True),
        ("a.zip", "unsupported", False),  # what stands behind it
    ]
    assert (report.files, report.new_items, report.unusable) == (3, 1, 2)
    assert case.catalogue.counts()["issues"] == 2
    add_up(case, tmp_path)
    (folder / "a.zip").write_bytes(packed.getvalue())
    ingest(case, [folder], embedder)
    assert [name for name, *_ in said(case)] == [""]  # nothing is at that place any more
    add_up(case, tmp_path)


def test_what_is_left_closed_this_time_goes_on_being_said(case, embedder, tmp_path):
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "moving.png").write_bytes(moving(6, 7)[:-2000])
    (folder / "old.zip").write_bytes(b"PK\3\4" + bytes(100))
    ingest(case, [folder], embedder)
    told = said(case)
    assert [name for name, *_ in told] == ["", "moving.png", "old.zip"]
    ingest(case, [folder], embedder, IngestConfig(sources=SourceOptions(frames=False)))
    assert said(case) == told
    ingest(case, [folder], embedder, IngestConfig(sources=SourceOptions(inside=False)))
    assert [row for row in said(case) if row[1] == "walk"] == [row for row in told if row[1] == "walk"]
    add_up(case, tmp_path)


def test_a_folder_that_can_be_listed_again_is_no_issue_any_more(case, embedder, tmp_path, monkeypatch):
    folder = tmp_path / "evidence"
    (folder / "closed").mkdir(parents=True)
    (folder / "link").symlink_to(folder / "later")
    with monkeypatch.context() as patch:
        entries = quiet.entries

        def refuse(path):
            if path.endswith("closed"):
                raise PermissionError(13, "Permission denied")
            return entries(path)

        patch.setattr(quiet, "entries", refuse)
        ingest(case, [folder], embedder)
    assert [(name, error) for name, _, error, *_ in said(case)] == [
        ("closed", "unreadable_folder"),
        ("link", "dangling_link"),
    ]
    (folder / "later").write_bytes(encode(picture(8), "PNG"))
    ingest(case, [folder], embedder)
    assert said(case) == []


def found(at: str, parent: Locator | None = None) -> Evidence:
    return Evidence(Locator("zip" if parent else "file", at, parent), 1, None, None, None, io.BytesIO)


def issue(place: Locator) -> Issue:
    return Issue(place, "walk", "broken_picture", "no")


def test_a_place_counts_once():
    places = Places()
    outer = found("/a.tif")
    page, below = found("1", outer.locator), found("x", Locator("zip", "1", outer.locator))
    other = found("/b")
    met = [outer, page, below, issue(page.locator), issue(outer.locator), issue(outer.locator), other]
    assert [places.first(one) for one in met] == [True, True, True, False, False, False, True]
    gone = Locator("zip", "gone", other.locator)
    assert [places.first(issue(place)) for place in (gone, gone, other.locator, gone)] == [True, False, False, False]
    assert places.first(issue(Locator.file("/c")))


def test_what_is_not_supported_is_counted_by_what_it_is(tmp_path):
    folder, case = tmp_path / "evidence", tmp_path / "case"
    folder.mkdir()
    for name in ("a.zip", "b.zip"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("a.jpg", encode(picture(9), "JPEG"))
            archive.writestr("b.jpg", encode(picture(9), "JPEG"))
        data = (folder / name).read_bytes()
        for magic, at in ((b"PK\3\4", 8), (b"PK\1\2", 10)):  # the first member's method
            place = data.index(magic) + at
            data = data[:place] + b"\x61\0" + data[place + 2 :]
        (folder / name).write_bytes(data)
    assert run("init", case).returncode == 0
    what = "ZIP member packed by method 97"
    done = run("ingest", case, folder, "--limit", "max_depth=1", "--format", "json")
    told = json.loads(done.stdout)
    assert (told["issue_kinds"], told["unsupported"]) == ({"unsupported": 2}, {what: 2})
    assert f"unsupported: {what} (2)" in done.stderr.decode()
    status = run_json("status", case)
    assert (status["issue_kinds"], status["unsupported"]) == ({"unsupported": 2}, {what: 2})
    assert run_json("issues", case, "--by", "kind") == [{"error": "unsupported", "what": what, "files": 2}]
    with zipfile.ZipFile(folder / "deep.zip", "w") as archive:
        archive.write(folder / "a.zip")
    run("ingest", case, folder, "--limit", "max_depth=1")
    counted = {(row["error"], row["what"]): row["files"] for row in run_json("issues", case, "--by", "kind")}
    assert counted == {("unsupported", what): 2, ("limit", "max_depth"): 1}
    assert run_json("issues", case, "--by", "kind", "--kind", "limit")[0]["files"] == 1
    assert "max_depth" in run("issues", case, "--by", "kind").stdout.decode()
    assert {row["what"] for row in run_json("issues", case)} == {what, "max_depth"}
    assert [row["action"] for row in run_json("audit", "show", case)][-1] == "issues_shown"
