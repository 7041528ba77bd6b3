"""Small files that claim to be without end: they cost no memory, and what can't be had is an issue."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import tracemalloc

import pytest

from benchmarks import attack_files
from imgmatch.errors import EvidenceError
from imgmatch.evidence import SourceLimits, SourceOptions, walk
from imgmatch.evidence.formats import tars
from imgmatch.locator import Names
from imgmatch.picture.hashes import digest
from imgmatch.streams import Inflated
from imgmatch.types import Issue

NOISE = bytes(random.Random(3).choices(b"0123456789abcdef", k=1 << 20))
BEHIND = attack_files._small_tar("behind.txt", b"it is here")


def walked(path, options=None):
    """What is found, by place, and the most memory of Python objects on the way."""
    tracemalloc.start()
    found = {}
    for one in walk(path, options=options or SourceOptions()):
        place = str(one.locator).rpartition("|")[2].rpartition(":")[2]
        found[place] = (one.error, one.message) if isinstance(one, Issue) else one.open().read()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found, most


def hashed_of(member):
    with member.open() as stream:
        return digest(stream)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
@pytest.mark.parametrize("packed", [True, False])
def test_a_header_of_a_tar_that_is_too_long_is_passed_over(tmp_path, kind, packed):
    data = attack_files._tar_header(kind, 20 * len(NOISE)) + NOISE * 20 + BEHIND
    path = tmp_path / "a.tar"
    path.write_bytes(gzip.compress(data, 1) if packed else data)
    found, most = walked(path)
    assert found.pop("behind.txt") == b"it is here"
    ((error, message),) = found.values()
    assert (error, "passed over" in message) == ("broken_archive", True)
    assert most < 8 << 20


def test_headers_of_a_tar_that_never_end_cost_no_more_than_themselves(tmp_path):
    path = tmp_path / "a.tar"
    header = attack_files._pax({f"k{number}": "v" * 1_000 for number in range(200)}, tarfile.XGLTYPE)
    path.write_bytes(header * 100 + BEHIND)
    found, most = walked(path)
    assert found.pop("behind.txt") == b"it is here"
    assert most < 8 << 20


@pytest.mark.parametrize("write", [attack_files._tar_gnu_sparse, attack_files._tar_pax_sparse])
def test_a_sparse_map_is_bounded(tmp_path, monkeypatch, write):
    monkeypatch.setattr(attack_files, "_BLOCK", 1 << 20)
    monkeypatch.setattr(tars, "_MOST_PIECES", 10_000)
    path = tmp_path / "a.tar.gz"
    write(path, 2)
    found, most = walked(path)
    assert any("pieces" in told[1] for told in found.values() if isinstance(told, tuple)), found
    assert most < 12 << 20


def test_a_negative_size_in_a_tar_leads_nowhere(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(attack_files._pax({"size": "-2048"}) + BEHIND + BEHIND)
    assert len(walked(path)[0]) >= 1


@pytest.mark.parametrize(("packed", "method"), [(attack_files._bzipped, 12), (attack_files._lzma_of_zip, 14)])
def test_a_member_of_a_zip_unpacks_to_no_more_than_it_says(tmp_path, monkeypatch, packed, method):
    monkeypatch.setattr(attack_files, "_BLOCK", 1 << 20)
    path = tmp_path / "a.zip"
    attack_files._zip_member(packed, method, 1 << 20)(path)
    tracemalloc.start()
    (member,) = walk(path)
    with pytest.raises(OSError, match="CRC"):
        hashed_of(member)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("write", [attack_files._xz, attack_files._zstd])
def test_a_dictionary_that_is_too_large_is_a_limit(tmp_path, monkeypatch, write):
    if write is attack_files._zstd:
        pytest.importorskip("backports.zstd", reason="needs the extra archives (backports.zstd)")
    monkeypatch.setattr(attack_files, "_BLOCK", 1 << 16)
    path = tmp_path / "a.xz"
    write(path)
    (member,) = walk(path)
    with pytest.raises(EvidenceError, match=r"memory|window") as caught:
        hashed_of(member)
    assert caught.value.kind == "limit"


@pytest.mark.parametrize("module", [bz2, lzma])
def test_packed_streams_behind_each_other_are_one_and_what_is_none_is_passed_over(module):
    make = bz2.BZ2Decompressor if module is bz2 else lzma.LZMADecompressor
    data = module.compress(b"one") + module.compress(b"two") + b"\0" * 100_000 + module.compress(b"three")
    assert Inflated(io.BytesIO(data), make, 0).read() == b"onetwothree"
    assert Inflated(io.BytesIO(data + b"neither"), make, 0).read() == b"onetwothree"
    with pytest.raises(EOFError):
        Inflated(io.BytesIO(module.compress(NOISE[:50_000])[:-20]), make, 0).read()


@pytest.mark.claim("M15")
def test_packed_in_packed_takes_no_more_memory_than_once(tmp_path):
    data = b"x"
    for _ in range(6):
        data = lzma.compress(data, preset=9)
    path = tmp_path / "a.xz"
    path.write_bytes(data)
    (found,) = walk(path)
    with pytest.raises(EvidenceError, match="memory"):
        hashed_of(found)


def test_a_7z_of_very_many_files_is_read_in_a_process_of_its_own(tmp_path):
    pytest.importorskip("py7zr", reason="needs the extra archives (py7zr)")
    path = tmp_path / "a.7z"
    attack_files._sevenzip_claims(path)
    options = SourceOptions(limits=SourceLimits(max_memory_bytes=1 << 30))
    ((found,), most) = walked(path, options)[0].values(), walked(path, options)[1]
    assert found[0] in ("limit", "broken_archive")
    assert most < 8 << 20


def test_names_are_told_apart_however_many_there_are():
    places = Names()
    assert [places(name) for name in ("a", "a", "a;2", "b", "a", "a;2")] == ["a", "a;2", "a;2;2", "b", "a;3", "a;2;3"]
    tracemalloc.start()
    given = Names()
    for number in range(20_000):
        assert given("n" * 500 + str(number)) == "n" * 500 + str(number)
    assert tracemalloc.get_traced_memory()[0] < 2 << 20
    tracemalloc.stop()
    assert given("n" * 500 + "7") == "n" * 500 + "7;2"
