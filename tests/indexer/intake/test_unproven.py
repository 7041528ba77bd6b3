"""What came out of a packed archive before its checksum failed is kept, and called partial."""

import bz2
import gzip
import json
import lzma

import pytest

from benchmarks.evidence_stores import tarred
from tests.conftest import encode, picture, run, run_json

PICTURES = {f"{n}.bmp": encode(picture(70 + n, (120, 90)), "BMP") for n in range(4)}


def _partials(case, items):
    found = {}
    for number in range(1, items + 1):
        told = run_json("show", case, number, "--format", "json")
        for sighting in told["sightings"]:
            found[sighting["locator"].rpartition("/")[2]] = told["partial"]
    return found


def _case(tmp_path, **files):
    folder = tmp_path / "in"
    folder.mkdir()
    for name, data in files.items():
        (folder / name.replace("_", ".")).write_bytes(data)
    assert run("init", tmp_path / "case").returncode == 0
    done = run("ingest", tmp_path / "case", folder, "--format", "json")
    assert done.returncode == 0, done.stderr
    return tmp_path / "case", json.loads(done.stdout)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"])
@pytest.mark.parametrize("fault", ["cut", "checksum"])
def test_what_nothing_proves_is_partial(tmp_path, pack, fault):
    whole = pack(tarred(PICTURES))
    damaged = whole[:-30] if fault == "cut" else whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:]
    case, said = _case(tmp_path, a_tgz=damaged)
    issues = [json.loads(line) for line in run("issues", case, "--format", "jsonl").stdout.splitlines()]
    assert issues
    partials = _partials(case, said["new_items"])
    assert said["partial"] == len(partials)
    if partials:
        assert all(why and "may be wrong" in why for why in partials.values())
        assert {issue["error"] for issue in issues} == {"unproven"}
    else:
        assert {issue["error"] for issue in issues} == {"unreadable"}  # nothing was given out before


def test_what_is_proven_elsewhere_is_whole(tmp_path):
    case, said = _case(tmp_path, a_tgz=gzip.compress(tarred(PICTURES))[:-8], b_bmp=PICTURES["1.bmp"])
    partials = _partials(case, said["new_items"])
    assert len(partials) == 5
    assert sum(why is None for why in partials.values()) == 2  # both places of what is proven by one


def test_a_sound_archive_is_whole(tmp_path):
    case, said = _case(tmp_path, a_tgz=gzip.compress(tarred(PICTURES)))
    assert (said["new_items"], said["partial"]) == (4, 0)
    assert set(_partials(case, said["new_items"]).values()) == {None}
