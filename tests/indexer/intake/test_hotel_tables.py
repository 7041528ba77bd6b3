"""The hotel table as spreadsheets write it: every row finds its picture, or is told."""

import unicodedata

import pytest

from indexer.intake.ingest import IngestConfig, ingest
from indexer.intake.manifests import read_manifest
from tests.conftest import encode, picture, run, run_json
from tests.indexer.vectors import inside

NAMES = ("Hôtel/01.JPG", "Hôtel/zwei.jpg", "003/a.jpg")
ROWS = (
    ("File", "Label", "City"),
    ("Hôtel\\01.JPG", 'Hôtel "3"; Süd', "Köln"),
    ("Hôtel\\zwei.jpg", "B", ""),
    ("003\\a.jpg", "C", "x"),
)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "in"
    for seed, name in enumerate(NAMES):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(encode(picture(seed), "JPEG"))
    return made


def table(rows, delimiter=";", ends="\r\n"):
    quoted = [
        ['"' + cell.replace('"', '""') + '"' if set(cell) & set('";,\t') else cell for cell in row] for row in rows
    ]
    return ends.join(map(delimiter.join, quoted)) + ends


def labels_of(case):
    named = {row.locator.at.split("/in/")[1]: row.item_id for row in inside(case).sightings.all()}
    return {name: inside(case).labels.of([item])[item].get("label", ()) for name, item in named.items()}


RIGHT = {"Hôtel/01.JPG": ('Hôtel "3"; Süd',), "Hôtel/zwei.jpg": ("B",), "003/a.jpg": ("C",)}


def test_letters_delimiters_and_ends_of_lines_make_no_difference(case, embedder, folder):
    path = folder.parent / "hotels.csv"
    ingest(case, [folder], embedder)
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"):
        for delimiter, ends in ((";", "\r\n"), (",", "\n"), ("\t", "\r"), (";", "\n")):
            for head in ("", f"sep={delimiter}{ends}"):
                path.write_bytes((head + table(ROWS, delimiter, ends)).encode(encoding))
                report = ingest(case, [folder], embedder, IngestConfig(labels=path, manifest=path))
                assert (report.labelled, report.unused_rows, report.tables_told) == (6, 0, [])
                assert labels_of(case) == RIGHT


@pytest.mark.parametrize(
    "name",
    [
        "Hôtel/01.JPG", "hôtel/01.jpg", "HÔTEL\\01.jpg", ".\\Hôtel\\01.JPG", "in/Hôtel/01.JPG", "IN\\hôtel\\01.JPG",
        unicodedata.normalize("NFD", "Hôtel/01.JPG"), "{folder}/Hôtel/01.JPG", "{folder}/hôtel/01.jpg",
        " Hôtel/01.JPG ", "003/../Hôtel/01.JPG",
    ],
)  # fmt: skip
def test_a_file_may_be_named_in_many_ways(case, embedder, folder, name):
    path = folder.parent / "elsewhere" / "hotels.csv"
    path.parent.mkdir()
    path.write_text(table([("file", "label"), (name.format(folder=folder), "A")], ","))
    report = ingest(case, [folder], embedder, IngestConfig(labels=path))
    assert (report.labelled, report.unused_rows) == (1, 0)
    assert labels_of(case)["Hôtel/01.JPG"] == ("A",)


def test_a_name_that_fits_two_files_is_told_and_one_as_it_stands_is_taken(case, embedder, folder):
    (folder / "003" / "A.JPG").write_bytes(encode(picture(9), "JPEG"))
    path = folder.parent / "hotels.csv"
    path.write_text("file,label\n003/A.jpg,A\n003/A.JPG,B\n003/a.jpg,C\n")
    report = ingest(case, [folder], embedder, IngestConfig(labels=path))
    assert (report.labelled, report.unused_rows) == (2, 1)
    assert "differ in upper and lower case only" in report.tables_told[0]
    assert (labels_of(case)["003/A.JPG"], labels_of(case)["003/a.jpg"]) == (("B",), ("C",))


def test_rows_that_name_nothing_are_one_line_apart_from_evidence_and_go_with_a_corrected_table(folder):
    case, path = folder.parent / "case", folder.parent / "hotels.csv"
    run("init", case)
    path.write_text("file,label\n003/a.jpg,C\n" + "".join(f"no\\{n}.jpg,X\n" for n in range(294)))
    done = run("ingest", case, folder, "--labels", path, "--strict")
    assert done.returncode == 0
    (told,) = [line for line in done.stderr.decode().splitlines() if "hotels.csv" in line]
    assert "294 of 295 rows: no such file" in told
    assert "row 3: no\\0.jpg" in told
    assert "and 289 more" in told
    assert run_json("status", case)["issues"] == 0
    (issue,) = run_json("issues", case)
    assert (issue["stage"], issue["error"], issue["path"]) == ("labels", "missing_file", str(path))
    assert run_json("issues", case, "--by", "kind") == []
    run("export", case, "-o", folder.parent / "report")
    page = (folder.parent / "report" / "index.html").read_text()
    assert "294 of 295 rows" in page
    assert "<p>None.</p>" in page[page.index("evidence that could not be used") :]
    path.write_text("file,label\n003/a.jpg,C\n")
    done = run("ingest", case, folder, "--labels", path)
    assert b"hotels.csv" not in done.stderr
    assert run_json("issues", case) == []


def test_a_workbook_labels_and_is_a_manifest(case, embedder, folder):
    openpyxl = pytest.importorskip("openpyxl", reason="needs the extra exchange (openpyxl)")
    path = folder.parent / "hotels.xlsx"
    book = openpyxl.Workbook()
    for row in (*ROWS, (), ("gone.jpg", 12, 3.5)):
        book.active.append(row)
    book.create_sheet("Notes").append(["mine"])
    book.save(path)
    report = ingest(case, [], embedder, IngestConfig(manifest=path))
    assert (report.new_items, report.labelled, report.unused_rows) == (0, 0, 5)  # names are relative to the table
    report = ingest(case, [folder], embedder, IngestConfig(labels=path, manifest=path))
    assert (report.labelled, report.unused_rows) == (6, 4)
    assert labels_of(case) == RIGHT
    assert any("row 6: gone.jpg" in told for told in report.tables_told)
    assert any("the sheet 'Notes' was not read" in told for told in report.tables_told)


@pytest.mark.parametrize(
    ("name", "head", "row"),
    [
        ("a.csv", 'file,label\na.jpg,B\nb.jpg,"', "aaaaaaaaa\n"),
        ("a.csv", "file,label\na.jpg,B\n", "\n"),
        ("a.jsonl", '{"file": "a.jpg"}\n', "[]\n"),
        ("a.jsonl", '{"file": "a.jpg"}\n', "{\n"),
    ],
)
def test_rows_without_end_that_are_none_are_left_with_one_line(tmp_path, name, head, row):
    path = tmp_path / name
    path.write_text(head + row * 250_000)
    rows = list(read_manifest(path))
    assert next(getattr(one, "key", None) for one in rows) == "a.jpg"
    assert "from here on nothing is read" in rows[-1].what
    assert len(rows) < 200_000


def test_a_long_table_of_what_is_elsewhere_is_read_to_its_end(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("file,label\n" + "elsewhere.jpg,B\n" * 120_000 + "\n" * 9 + "last.jpg,C\n")
    assert list(read_manifest(path))[-1].key == "last.jpg"
