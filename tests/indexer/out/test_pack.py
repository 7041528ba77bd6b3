"""Portable cases: what another office gets, and what it does with a bad one."""

import contextlib
import hashlib
import io
import json
import zipfile

import numpy as np
import pytest

from imgmatch.errors import UsageError
from imgmatch.models import load_model
from indexer.care.delete import delete
from indexer.case.case import Case
from indexer.intake.ingest import IngestConfig, ingest
from indexer.out.exchange.pack import PackConfig, write_pack
from indexer.out.exchange.unpack import open_other, open_pack
from indexer.search.groups import links
from tests.indexer.vectors import SPEC, add, clouds, looking


@pytest.fixture
def pair(tmp_path):
    """A case and another one, which share ten vectors and two contents."""
    shared = clouds(7, 10)
    with Case.create(tmp_path / "case", model=SPEC) as case, Case.create(tmp_path / "other", model=SPEC) as other:
        add(case, np.concatenate([clouds(1, 30), shared]))
        add(other, np.concatenate([clouds(2, 40), shared]), start=38, commit=20, folder="/secret/place")
        delete(other, items=[3], sha256=(), sources=[], reason="test")
        yield case, other


def found(case, other):
    return [
        (link.item.item_id, link.other.item_id, link.other.sha256, round(link.similarity, 5), link.other_place.path)
        for link in links(looking(case), looking(other), SPEC, 0.9)
    ]


def test_a_pack_links_as_the_case_itself_without_its_places(pair, tmp_path):
    case, other = pair
    made = write_pack(other, tmp_path / "other.pack")
    assert (made.items, made.vectors, made.thumbnails) == (49, 49, 0)
    assert b"secret" not in (tmp_path / "other.pack").read_bytes()
    assert str(tmp_path).encode() not in (tmp_path / "other.pack").read_bytes()
    expected = found(case, other)
    assert len(expected) >= 10
    with open_other(tmp_path / "other.pack", SPEC) as opened:
        assert found(case, opened) == [(*link[:4], None) for link in expected]
        meta = opened.catalogue.meta.all()
        assert meta["case_id"] == other.catalogue.meta.all()["case_id"]
        assert meta["pack_sha256"] == made.manifest_sha256
        folder = opened.path
    assert not folder.exists()
    with open_other(other.path, SPEC) as opened:
        assert found(case, opened) == expected


def test_locators_come_along_by_choice_and_that_is_recorded(pair, tmp_path):
    case, other = pair
    made = write_pack(other, tmp_path / "other.pack", PackConfig(locators=True))
    with open_pack(tmp_path / "other.pack", SPEC) as opened:
        assert found(case, opened) == found(case, other)
    log = [json.loads(line) for line in (other.path / "audit.jsonl").open()][-2:]
    assert [entry["action"] for entry in log] == ["export", "exported"]
    assert (log[0]["arguments"]["locators"], log[0]["arguments"]["thumbnails"]) == (True, "none")
    assert log[1]["subject"]["manifest_sha256"] == made.manifest_sha256


def test_an_empty_case_is_one_error(tmp_path):
    with Case.create(tmp_path / "case", model=SPEC) as case, pytest.raises(UsageError, match="holds no pictures yet"):
        write_pack(case, tmp_path / "x.pack")
    assert not (tmp_path / "x.pack").exists()


def rewritten(path, change):
    """The pack with its members changed by ``change(members)`` and its manifest made to agree with them."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    change(members, manifest)
    if manifest.pop("honest", True):
        manifest["members"] = {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in members.items()
        }
    target = path.with_name("changed.pack")
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr("manifest.json", json.dumps(manifest))
    return target


def altered_vectors(members, manifest):
    manifest["honest"] = False
    name = next(name for name in members if name.endswith("000001.npy"))
    members[name] = members[name][:-2] + b"\0\0"


def extra_member(members, manifest):
    manifest["honest"] = False
    members["extra"] = b"x"


def newer(members, manifest):
    manifest["version"] = 4


def foreign(members, manifest):
    manifest["format"] = "other"


def pickled(members, manifest):
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    members[next(name for name in members if name.endswith(".items.npy"))] = buffer.getvalue()


def not_unit(members, manifest):
    name = next(name for name in members if name.endswith("000001.npy"))
    rows = np.load(io.BytesIO(members[name]))
    buffer = io.BytesIO()
    np.save(buffer, rows * 3)
    members[name] = buffer.getvalue()


def other_items(members, manifest):
    name = next(name for name in members if name.endswith(".items.npy"))
    items = np.load(io.BytesIO(members[name]))
    buffer = io.BytesIO()
    np.save(buffer, items + 100_000)
    members[name] = buffer.getvalue()


def bad_digest(members, manifest):
    members["items.jsonl"] = members["items.jsonl"].replace(b'"sha256":"', b'"sha256":"zz', 1)


def twice(members, manifest):
    members["items.jsonl"] += members["items.jsonl"].splitlines(keepends=True)[0]


def no_json(members, manifest):
    members["items.jsonl"] = b"{nonsense\n" + members["items.jsonl"]


def wrong_block(members, manifest):
    manifest["models"][0]["vectors"][0]["vectors"] = "../../etc/passwd"


def many_rows(members, manifest):
    manifest["models"][0]["vectors"][0]["rows"] = 10**12


def no_model(members, manifest):
    manifest["models"][0]["spec"] = {"name": "x"}


def no_members(members, manifest):
    manifest["honest"] = False
    del manifest["members"]


@pytest.mark.claim("X7")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (altered_vectors, r"000001\.npy' does not have the SHA-256"),
        (extra_member, "members are not those"),
        (newer, "newer imgmatch .*pack version 4"),
        (foreign, "no pack of imgmatch"),
        (pickled, "Python objects"),
        (not_unit, "not of unit length"),
        (other_items, "names items that it does not hold"),
        (bad_digest, "is no sha256"),
        (twice, "UNIQUE"),
        (no_json, r"items\.jsonl, line 1"),
        (wrong_block, "does not fit together"),
        (many_rows, "does not fit together|float16"),
        (no_model, "which model"),
        (no_members, "damaged or altered"),
    ],
)
def test_a_bad_pack_is_one_line_and_leaves_nothing(pair, tmp_path, monkeypatch, change, message):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    write_pack(pair[1], tmp_path / "other.pack")
    bad = rewritten(tmp_path / "other.pack", change)
    with pytest.raises(UsageError, match=message) as caught, open_pack(bad, SPEC):
        pass
    assert "changed.pack" in str(caught.value)
    assert "scratch" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "scratch").iterdir()) == []


ODD = (None, True, 5, -1, 1e300, "x", [], [5], [None], {}, {"x": None})


def places(value, at=()):
    """The way to everything in a manifest."""
    yield at
    for name, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(part, (*at, name))


@pytest.mark.claim("X8")
def test_odd_values_anywhere_in_a_manifest_are_one_line(pair, tmp_path):
    _, other = pair
    write_pack(other, tmp_path / "a.pack")
    with zipfile.ZipFile(tmp_path / "a.pack") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members["manifest.json"])
    refused = 0
    for number, place in enumerate(places(manifest)):
        for odd in ODD if place == ("models",) else (ODD[number % len(ODD)],):
            made = json.loads(members["manifest.json"])
            if place:
                of = made
                for name in place[:-1]:
                    of = of[name]
                of[place[-1]] = odd
            else:
                made = odd
            with zipfile.ZipFile(tmp_path / "b.pack", "w") as archive:
                for name, data in {**members, "manifest.json": json.dumps(made)}.items():
                    archive.writestr(name, data)
            with contextlib.suppress(UsageError), open_pack(tmp_path / "b.pack", SPEC):
                continue
            refused += 1
    assert refused > 20


@pytest.mark.claim("X9")
def test_bombs_are_refused_before_they_are_unpacked(pair, tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pack", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", "{}")
        archive.writestr("items.jsonl", bytes(50_000_000))
    with pytest.raises(UsageError, match="compressed"), open_pack(tmp_path / "bomb.pack", SPEC):
        pass


@pytest.mark.claim("X10")
def test_any_flipped_or_missing_byte_is_found_or_harmless(pair, tmp_path):
    case, other = pair
    write_pack(other, tmp_path / "other.pack")
    whole = (tmp_path / "other.pack").read_bytes()
    expected = [(*link[:4], None) for link in found(case, other)]
    rng = np.random.default_rng(5)
    bad = tmp_path / "bad.pack"
    refused = 0
    for trial in range(40):
        data = bytearray(whole)
        if trial % 4 == 0:
            del data[int(rng.integers(len(data))) :]
        else:
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        bad.write_bytes(data)
        try:
            with open_pack(bad, SPEC) as opened:
                assert found(case, opened) == expected  # a byte of the ZIP that says nothing, such as a time
        except UsageError:
            refused += 1
    assert refused >= 30


def test_another_model_is_named(pair, tmp_path):
    import dataclasses

    write_pack(pair[1], tmp_path / "other.pack")
    spec = dataclasses.replace(SPEC, weights_sha256="1" * 64)
    message = r"holds vectors by clouds \(0{12}\), not by clouds \(1{12}\)"
    with pytest.raises(UsageError, match=message), open_pack(tmp_path / "other.pack", spec):
        pass


def test_thumbnails_are_blurred_unless_they_are_to_be_seen(tmp_path, photographs):
    from PIL import Image

    embedder = load_model(device="cpu", threads=1)
    with Case.create(tmp_path / "case", model=embedder.spec) as case:
        ingest(case, [photographs], embedder, IngestConfig(jobs=1))
        made = write_pack(case, tmp_path / "blurred.pack", PackConfig(thumbnails=True))
        write_pack(case, tmp_path / "clear.pack", PackConfig(thumbnails=True, reveal=True))
        log = [json.loads(line) for line in (case.path / "audit.jsonl").open()]
    assert [e["arguments"]["thumbnails"] for e in log if e["action"] == "export"] == ["blurred", "clear"]
    assert made.thumbnails == made.items == 11
    sharpness = {}
    for name in ("blurred", "clear"):
        with zipfile.ZipFile(tmp_path / f"{name}.pack") as archive:
            thumbnails = [entry for entry in archive.namelist() if entry.startswith("thumbnails/")]
            assert len(thumbnails) == 11
            shown = Image.open(io.BytesIO(archive.read(thumbnails[0])))
            sharpness[name] = (shown.mode, float(np.abs(np.diff(np.asarray(shown.convert("L"), float))).max()))
        with open_pack(tmp_path / f"{name}.pack", embedder.spec) as opened:
            assert opened.catalogue.counts()["items"] == 11
    assert sharpness["blurred"][0] == "L"
    assert sharpness["clear"][0] == "RGB"
    assert sharpness["blurred"][1] < sharpness["clear"][1]


@pytest.mark.parametrize("vectors", ["", [], {}, "last"])
def test_a_pack_whose_manifest_leaves_vectors_out_is_refused(pair, tmp_path, vectors):
    write_pack(pair[1], tmp_path / "other.pack")
    with zipfile.ZipFile(tmp_path / "other.pack") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members["manifest.json"])
    said = manifest["models"][0]
    said["vectors"] = said["vectors"][:-1] if vectors == "last" else vectors
    members["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(tmp_path / "left.pack", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(UsageError, match="is of none of the models"), open_pack(tmp_path / "left.pack", SPEC):
        pass
