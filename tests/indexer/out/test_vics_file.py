"""Project VIC files of every writer's habits, and of none."""

import json

import pytest

from imgmatch.errors import UsageError

pytest.importorskip("ijson", reason="ijson is not installed: pip install 'imgmatch[exchange]'")

from indexer.out.exchange import vics_file as vics
from indexer.out.exchange.vics_file import Fault, Media, VicsFile, tags

V20 = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata"
V13 = "http://github.com/ICMEC/ProjectVic/DataModels/1.3.xml"
MD5 = "ADEBF3FA3C9BE7F73825E1CB9E2DEA09"
SHA1 = "2B037F69C566DFDB3A5A79E5360D085959BDDE4C"


def media_list(records):
    return {"odata.metadata": f"{V13}#Media", "value": records}


def case_file(records, **fields):
    return {"@odata.context": f"{V20}#Cases", "value": [{"CaseID": "1", "Media": records, **fields}]}


def read(tmp_path, document, **options):
    path = tmp_path / "known.json"
    text = document if isinstance(document, bytes) else json.dumps(document, **options).encode()
    path.write_bytes(text)
    source = VicsFile(path)
    return source, list(source)


@pytest.mark.parametrize("layout", [media_list, case_file])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_media_are_read_in_both_layouts_with_and_without_a_byte_order_mark(tmp_path, layout, indent, mark):
    record = {"MediaID": 7, "MD5": MD5, "SHA1": SHA1, "Category": 1, "Series": "Blue", "Tags": "a, b", "Odd": [1, 2.5]}
    source, found = read(tmp_path, mark + json.dumps(layout([record, {"MD5": MD5.lower()}]), indent=indent).encode())
    first, second = found
    assert source.version == ("1.3" if layout is media_list else "2.0")
    assert (first.md5, first.sha1) == (MD5.lower(), SHA1.lower())
    assert (first.category, first.series, first.tags) == (1, "Blue", ("a", "b"))
    assert first.record == record
    assert (second.category, second.sha1, second.number) == (None, None, 2)
    at = source.path.read_bytes().split(MD5.lower().encode())[0].count(b"\n") + 1
    assert source.lines({2}) == {2: at + (indent is not None)}
    assert len(source.sha256) == 64


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("cased", [str, str.lower, str.upper])
def test_any_letters_and_fields_in_any_case_are_read(tmp_path, encoding, cased):
    record = {cased("MD5"): MD5, cased("Series"): "Ünïcode", cased("Category"): "2"}
    document = {cased("odata.metadata"): f"{V13}#Cases", cased("value"): [{cased("Media"): [record]}]}
    source, (found,) = read(tmp_path, json.dumps(document, ensure_ascii=False).encode(encoding))
    assert (source.version, found.md5, found.series, found.category) == ("1.3", MD5.lower(), "Ünïcode", 2)
    document = {cased("odata.metadata"): f"{V13}#Media", cased("value"): [record] * 2}
    assert len(read(tmp_path, json.dumps(document, ensure_ascii=False).encode(encoding))[1]) == 2


def test_cases_without_media_are_no_media(tmp_path):
    empty = {"CaseID": "1", "CaseMetadata": []}
    document = {
        **case_file([{"MD5": MD5}]),
        "value": [empty, {**empty, "Media": None}, {**empty, "Media": [{"MD5": MD5}]}],
    }
    _, found = read(tmp_path, document)
    assert [one.md5 for one in found] == [MD5.lower()]
    assert read(tmp_path, {**document, "value": [empty]})[1] == []
    assert read(tmp_path, {**document, "value": []})[1] == []


def test_habits_of_writers_are_no_faults(tmp_path):
    records = [
        {"md5": MD5, "category": "2", "series": {"Name": "Red"}, "tags": [{"Name": "x"}, "y"], "IsSuspected": "false"},
        {"SHA1": SHA1, "Category": None, "Series": 12, "VictimIdentified": True},
        {"AlternativeHashes": [{"HashName": n, "HashValue": v} for n, v in (("PhotoDNA", "A" * 192), ("MD5", MD5))]},
    ]
    _, found = read(tmp_path, case_file(records))
    assert [type(one) for one in found] == [Media] * 3
    assert (found[0].category, found[0].series, found[0].tags) == (2, "Red", ("x", "y"))
    assert (found[1].md5, found[1].series) == (None, "12")
    assert (found[2].md5, found[2].photodna) == (MD5.lower(), "A" * 192)


def test_what_stands_beside_the_media_is_kept_before_and_after_them(tmp_path):
    document = case_file([{"MD5": MD5}], TotalMediaFiles=1, CaseMetadata=[{"PropertyName": "x", "PropertyValue": "y"}])
    document["later"] = {"a": [1]}
    source, _ = read(tmp_path, document)
    assert source.header["later"] == {"a": [1]}
    assert source.header["value"] == [
        {"CaseID": "1", "TotalMediaFiles": 1, "CaseMetadata": [{"PropertyName": "x", "PropertyValue": "y"}]}
    ]


@pytest.mark.parametrize(
    ("record", "field", "kept"),
    [
        ({"MD5": "xyz"}, "MD5", False),
        ({"MD5": 12, "SHA1": SHA1}, "MD5", True),
        ({"MD5": MD5, "SHA1": SHA1[:-1]}, "SHA1", True),
        ({"MD5": MD5, "Category": "worst"}, "Category", True),
        ({"MD5": MD5, "Category": True}, "Category", True),
        ({"MD5": MD5, "Category": -3}, "Category", True),
        ({"Category": 1}, "MD5", False),
        ({"MD5": MD5, "AlternativeHashes": 5}, "AlternativeHashes", True),
        ({"MD5": "0" * 32}, "MD5", False),
        ("text", "", False),
    ],
)
def test_a_wrong_field_is_named_with_record_and_line_and_the_rest_is_kept(tmp_path, record, field, kept):
    lines = [json.dumps({"MD5": MD5}), json.dumps(record), json.dumps({"MD5": MD5})]
    text = f'{{"@odata.context": "{V20}#Media",\n"value": [\n' + ",\n".join(lines) + "\n]}"
    source, found = read(tmp_path, text.encode())
    (fault,) = [one for one in found if isinstance(one, Fault)]
    assert (fault.number, fault.field, source.lines([2])) == (2, field, {2: 4})
    assert field in fault.message
    assert sum(isinstance(one, Media) for one in found) == 2 + kept


def test_broken_json_names_line_byte_and_field(tmp_path):
    text = json.dumps(case_file([{"MD5": MD5, "Category": 1}] * 3), indent=1)
    at = text.index('"Category"', 300)
    broken = text[:at] + "oops" + text[at:]
    with pytest.raises(UsageError) as caught:
        read(tmp_path, broken.encode())
    line = broken[:at].count("\n") + 1
    assert f"known.json, line {line} (byte {at:,}), after the field 'value.Media" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.999])
def test_a_file_that_ends_too_early_is_an_error_wherever_it_ends(tmp_path, cut):
    text = json.dumps(case_file([{"MD5": MD5, "Category": 1}] * 50), indent=1).encode()
    with pytest.raises(UsageError, match=r"known\.json.*(ends in the middle|no VICS file)"):
        read(tmp_path, text[: int(len(text) * cut)])


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"", "no list under the field 'value'"),
        (b"\xff\xd8\xff\xe0 a picture", "not valid JSON"),
        (b'{"value": []}', "neither 'odata.metadata' nor '@odata.context'"),
        (b'{"@odata.context": "http://x/other#Media", "value": []}', "neither"),
        ({"@odata.context": V20.replace("2.0", "3.0"), "value": []}, "3.0 is not known here"),
        (b"[1, 2]", "no list under the field"),
        (json.dumps(case_file([{"MD5": MD5}])).encode() + b"{}", "not valid JSON"),
    ],
)
def test_what_is_no_vics_file_is_one_clear_error(tmp_path, document, message):
    with pytest.raises(UsageError, match=message) as caught:
        read(tmp_path, document)
    assert "\n" not in str(caught.value)


def test_a_record_without_end_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(vics, "MAX_RECORD_BYTES", 1 << 20)
    endless = b'{"@odata.context": "%s#Media", "value": [{"MD5": "%s", "x": [' % (V20.encode(), MD5.encode())
    with pytest.raises(UsageError, match="no media record ends within 1 MiB"):
        read(tmp_path, endless + b"12345678,\n" * 150_000)


def test_tags_are_text_lists_or_objects():
    assert tags("a; b|c, a") == ("a", "b", "c")
    assert tags([{"TagName": "x"}, None, "y"]) == ("x", "y")
    assert tags(None) == ()
