"""Hash lists as programs, spreadsheets and people write them: what each says of a content, and what is no hash."""

import base64
import hashlib
import json

import pytest

from imgmatch.errors import UsageError
from indexer.intake.ingest import ingest
from indexer.intake.known import import_list
from indexer.intake.known.formats import Entry, Malformed, PdqEntry, entries, pdq_entries, recognise
from tests.conftest import encode, picture

ABC = {name: hashlib.new(name, b"abc").hexdigest() for name in ("md5", "sha1", "sha256")}
XYZ = {name: hashlib.new(name, b"xyz").hexdigest() for name in ("md5", "sha1", "sha256")}
EMPTY = {name: hashlib.new(name, b"").hexdigest() for name in ("md5", "sha1", "sha256")}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252")


def read(path):
    """The digests of a list, and where it holds none."""
    found = list(entries(path, recognise(path)))
    return [e.digest.hex() for e in found if isinstance(e, Entry)], [e.where for e in found if isinstance(e, Malformed)]


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        *(
            (name, "md5")
            for name in ("MD5", "md5", "MD5 Hash", "MD5_HASH", "Hash (MD5)", "Hash Value (MD5)", "File MD5")
        ),
        *((name, "md5") for name in ("md5sum", "MD5 Checksum", "MD5-Digest", "Entry MD5", "MD5 (hex)", "MD5Hash")),
        *((name, "sha1") for name in ("SHA1", "SHA-1", "SHA 1 Hash", "sha1sum", "Hash Value (SHA-1)", "Media SHA1")),
        *((name, "sha256") for name in ("SHA256", "SHA-256 Hash", "sha_256", "SHA2-256", "SHA256 value")),
        *((name, "sha1") for name in ("Hash", "Hash Value", "Hash1", "Checksum", "Prüfsumme", "Hashwert", "SHA")),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_are_known_by_what_programs_call_them(tmp_path, header, kind, delimiter):
    path = tmp_path / "list.csv"
    rows = [
        ["Name", "PhotoDNA Hash", header, "Hash Set"],
        ["Hôtel", XYZ["sha256"], f'"{ABC[kind].upper()}"', XYZ["md5"]],
    ]
    path.write_text("\n".join(map(delimiter.join, rows)) + "\n")
    assert read(path) == ([ABC[kind]], [])


@pytest.mark.parametrize(
    "header", ["PhotoDNA", "PhotoDNA Hash", "Hash Set", "Parent MD5", "ssdeep", "MD5 of container"]
)
def test_hashes_of_something_else_are_not_those_of_the_file(tmp_path, header):
    path = tmp_path / "list.csv"
    path.write_text(f"{header},MD5\n{XYZ['md5']},{ABC['md5']}\n")
    assert read(path) == ([ABC["md5"]], [])


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_a_list_is_read_in_any_letters(tmp_path, encoding, ends):
    path = tmp_path / "list"
    for text, expected in (
        (f'sep=;\nName;MD5 Hash;Category\n"Hôtel; 3";{ABC["md5"]};Kölner\n\nx;{XYZ["md5"].upper()};\n', ["abc", "xyz"]),
        (f"# häufig\n{ABC['md5']}\n\n{XYZ['md5']} *ä.jpg\n", ["abc", "xyz"]),
    ):
        path.write_bytes(text.replace("\n", ends).encode(encoding))
        assert read(path) == ([{"abc": ABC, "xyz": XYZ}[name]["md5"] for name in expected], [])
        if "Category" in text:
            first = next(entries(path, recognise(path)))
            assert first.category == "Kölner"


HASHDEEP = f"""%%%% HASHDEEP-1.0
%%%% size,md5,sha256,filename
## Invoked from: /media
## $ hashdeep -r .
##
3,{ABC["md5"]},{ABC["sha256"]},/media/a, "b".jpg
3,{XYZ["md5"]},{XYZ["sha256"]},"/media/x.jpg
"""
POWERSHELL = f"""
Algorithm       Hash                                                                   Path
---------       ----                                                                   ----
SHA256          {ABC["sha256"].upper()}       C:\\a.jpg
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HASHDEEP, [ABC["sha256"], XYZ["sha256"]]),
        (POWERSHELL, [ABC["sha256"]]),
        (f'#TYPE X\n"Algorithm","Hash","Path"\n"MD5","{ABC["md5"].upper()}","C:\\a"\n', [ABC["md5"]]),
        (f"SHA1 hash of C:\\a.jpg:\n{ABC['sha1']}\nCertUtil: -hashfile command completed\n", [ABC["sha1"]]),
        (f"{ABC['md5']}|/media/a b.jpg|12|r/r|0|0|3\n", [ABC["md5"]]),
        (f"{ABC['sha256']} *a.jpg\n\\{XYZ['sha256']}  b\\n.jpg\n", [ABC["sha256"], XYZ["sha256"]]),
        (f"SHA2-256(a (1).jpg)= {ABC['sha256']}\n", [ABC["sha256"]]),
        (f"       3  {ABC['md5']}  a.jpg\n", [ABC["md5"]]),
        (f"sha256:{ABC['sha256']}\nmd5:{XYZ['md5']}\n", [ABC["sha256"], XYZ["md5"]]),
        (f"\"{ABC['md5']}\"\n'{XYZ['md5']}'\n0x{ABC['md5'].upper()}\n", [ABC["md5"], XYZ["md5"], ABC["md5"]]),
        ("\n".join(base64.b64encode(bytes.fromhex(d)).decode() for d in ABC.values()) + "\n", list(ABC.values())),
        (f"{':'.join(ABC['md5'][n : n + 2] for n in range(0, 32, 2))}\n", [ABC["md5"]]),
        (f"{ABC['md5']}\n{ABC['md5'].upper()}\n", [ABC["md5"]] * 2),
        (f"MD5,SHA-1,SHA1\n{ABC['md5']},,{ABC['sha1']}\n", [ABC["sha1"]]),
    ],
)
def test_what_programs_write_is_read(tmp_path, text, expected):
    path = tmp_path / "list"
    path.write_text(text)
    assert read(path)[0] == expected
    path.write_bytes(text.encode("utf-16"))
    assert read(path)[0] == expected


@pytest.mark.parametrize(
    ("md5", "sha1", "expected"),
    [
        (ABC["md5"], "0" * 40, ABC["md5"]),
        (ABC["md5"], "F" * 40, ABC["md5"]),
        (ABC["md5"], "", ABC["md5"]),
        (ABC["md5"], EMPTY["sha1"], ABC["md5"]),
        (EMPTY["md5"], ABC["sha1"], ABC["sha1"]),
        (EMPTY["md5"], EMPTY["sha1"], EMPTY["sha1"]),
        ("0" * 32, "0" * 40, None),
    ],
)
def test_what_stands_in_place_of_a_hash_is_none(tmp_path, md5, sha1, expected):
    expected = ([expected], []) if expected else ([], ["line 2"])
    path = tmp_path / "list.csv"
    path.write_text(f"MD5,SHA1\n{md5},{sha1}\n")
    assert read(path) == expected
    pytest.importorskip("ijson", reason="needs the extra exchange (ijson)")
    path.write_text(json.dumps([{"MD5": md5, "SHA1": sha1}]))
    assert read(path) == (expected[0], ["entry 1"] if not expected[0] else [])


def test_the_hash_of_nothing_names_empty_files_alone(case, embedder, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(encode(picture(1), "JPEG"))
    (folder / "empty.jpg").write_bytes(b"")
    (tmp_path / "list.csv").write_text(
        "".join(f"{d}\n" for name in EMPTY for d in (EMPTY[name], "0" * len(EMPTY[name])))
    )
    done = import_list(case, tmp_path / "list.csv", "ignore", "junk")
    assert (done.hashes, done.malformed) == (3, 3)
    report = ingest(case, [folder], embedder)
    assert (report.files, report.new_items, report.ignored) == (2, 1, 1)


def test_pdq_lists_come_in_the_same_letters(tmp_path):
    path = tmp_path / "list.csv"
    for text in (f"sep=;\nPDQ Hash;Quality;Category\n{'ab' * 32};90;Kölner\n", f"{'ab' * 32};90;a.jpg\n"):
        for encoding in ENCODINGS:
            path.write_bytes(text.replace("\n", "\r\n").encode(encoding))
            assert recognise(path) == "pdq"
            category = "Kölner" if "Category" in text else None
            assert list(pdq_entries(path)) == [PdqEntry(bytes.fromhex("ab" * 32), 90, category)]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("cased", [str, str.lower, str.upper])
def test_vics_in_any_letters_and_cases_gives_its_hashes(tmp_path, encoding, cased):
    pytest.importorskip("ijson", reason="needs the extra exchange (ijson)")

    def named(value):
        if isinstance(value, dict):
            return {cased(name): named(part) for name, part in value.items()}
        return [named(part) for part in value] if isinstance(value, list) else value

    media = [
        {"MD5": ABC["md5"], "Category": 1, "Series": "Kölner", "MediaFiles": [{"MD5": EMPTY["md5"]}]},
        {"SHA1": "0" * 40, "AlternativeHashes": [{"HashName": "SHA-256", "HashValue": XYZ["sha256"]}, 5, None]},
        {"AlternativeHashes": {"HashName": "md5", "HashValue": base64.b64encode(bytes.fromhex(XYZ["md5"])).decode()}},
    ]
    document = {
        "odata.metadata": "x/DataModels/2.0.xml#Cases",
        "value": [{"CaseID": "1"}, {"CaseID": "2", "Media": media}],
    }
    path = tmp_path / "list.json"
    path.write_bytes(json.dumps(named(document), ensure_ascii=False).encode(encoding))
    assert read(path)[0] == [ABC["md5"], XYZ["sha256"], XYZ["md5"]]


def test_a_workbook_is_a_list_too(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="needs the extra exchange (openpyxl)")
    book = openpyxl.Workbook()
    for row in (["Name", "MD5 Hash", "Category"], ["a", ABC["md5"].upper(), 1], [], ["b", XYZ["md5"], None]):
        book.active.append(row)
    book.save(tmp_path / "list.xlsx")
    found = list(entries(tmp_path / "list.xlsx", recognise(tmp_path / "list.xlsx")))
    assert found == [Entry(bytes.fromhex(ABC["md5"]), "1"), Entry(bytes.fromhex(XYZ["md5"]))]


def test_a_damaged_workbook_and_an_old_one_are_named(tmp_path):
    path = tmp_path / "list.xlsx"
    for data, said in (
        (b"PK\x03\x04" + bytes(100), "no Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 9, "xls"),
    ):
        path.write_bytes(data)
        with pytest.raises(UsageError, match=said) as raised:
            recognise(path)
        assert str(path) in str(raised.value)
