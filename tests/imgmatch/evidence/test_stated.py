"""What disk images say of themselves, also where it is damaged or written by other programs."""

import hashlib
import struct
import zlib

import pytest

from imgmatch.evidence import SourceOptions, files, walk
from imgmatch.evidence.stated import digested, state
from imgmatch.locator import Locator
from imgmatch.parsers.disks import stated
from tests.images import acquired, partitioned
from tests.imgmatch.evidence.test_disk_images import call


@pytest.fixture(scope="module")
def e01(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stated")
    return acquired(partitioned(folder / "made"), folder / "in" / "evidence")


def said(path):
    return state(files.reopen(Locator.file(path)), SourceOptions())


def rewritten(data, kind, make):
    """An E01 whose headers of a kind hold something else, with right checksums where it fits their place."""
    at = 13
    while True:
        name, following, size = struct.unpack_from("<16sQQ", data, at)
        if name.rstrip(b"\0") == kind:
            packed = make(zlib.decompress(data[at + 76 : at + size])).ljust(size - 76, b"\0")[: size - 76]
            data[at + 76 : at + size] = packed
        if following <= at:
            return bytes(data)
        at = following


@pytest.mark.parametrize(
    "make", [lambda raw: b"no zlib", lambda raw: zlib.compress(b"\xff\xfe\x00\xd8main"), lambda raw: zlib.compress(b"")]
)
def test_a_damaged_header_leaves_the_other_one(e01, tmp_path, make):
    (tmp_path / "d.E01").write_bytes(rewritten(bytearray(e01.read_bytes()), b"header2", make))
    found = said(tmp_path / "d.E01")
    assert found.facts["examiner"] == "Ada Lovelace"
    assert not found.facts["acquired"].endswith("Z")  # the old header's clock is of a zone that nobody wrote down
    (tmp_path / "d.E01").write_bytes(rewritten(bytearray((tmp_path / "d.E01").read_bytes()), b"header", make))
    found = said(tmp_path / "d.E01")
    assert (found.facts, set(found.hashes)) == ({}, {"md5", "sha1"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1\r\nmain\r\nc\tn\te\tm\r\n7\t\tAda\t2002 3 4 10 19 59\r\n", ("7", "Ada", "2002-03-04T10:19:59.000000")),
        ("3\nmain\nc\te\tm\n7\tAda\t1000000000\n\n", ("7", "Ada", "2001-09-09T01:46:40.000000Z")),
        ("3\nmain\nc\te\tm\n7\tAda\t2002 13 4 10 19 59\n", ("7", "Ada", "2002 13 4 10 19 59")),
        ("3\nmain\nc\te\n7\n", ("7", None, None)),
        ("main\n", (None, None, None)),
        ("", (None, None, None)),
    ],
)
def test_headers_of_every_version_are_read(text, expected):
    found = stated._main(text)
    assert (found.get("case number"), found.get("examiner"), found.get("acquired")) == expected


def test_an_ex01_says_it_by_libewf(monkeypatch):
    """No tool here makes an Ex01: what libewf tells of one stands in for it."""

    class Handle:
        def get_header_value(self, key):
            told = {"case_number": "7", "examiner_name": " Ada ", "acquiry_date": "Mon Nov 30 00:07:53 2026"}
            return told.get(key)

    reader = stated.Ewf2.__new__(stated.Ewf2)
    reader._handle = Handle()
    found = dict(reader.stated())
    assert (found["case number"], found["examiner"]) == ("7", "Ada")
    assert found["acquired"].endswith("Z")


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    return partitioned(tmp_path_factory.mktemp("disk"))


def converted(kind):
    def make(disk, folder):
        call("qemu-img", "convert", "-O", kind, disk, folder / f"d.{kind}")
        return folder / f"d.{kind}"

    return make


def in_parts(disk, folder):
    data = disk.read_bytes()
    for number, at in enumerate(range(0, len(data), 2 << 20), start=1):
        (folder / f"d.{number:03d}").write_bytes(data[at : at + (2 << 20)])
    return folder / "d.001"


def locked(disk, folder):
    """As a LUKS header says that it begins; nobody has its password."""
    path = folder / "d.luks"
    path.write_bytes(b"LUKS\xba\xbe\0\1" + disk.read_bytes()[8:])
    return path


MAKERS = {
    "qcow2": (converted("qcow2"), "QCOW2"),
    "vpc": (converted("vpc"), "VHD"),
    "vdi": (converted("vdi"), "VDI"),
    "vmdk": (converted("vmdk"), "VMDK"),
    "parts": (in_parts, "image in parts"),
    "raw": (lambda disk, folder: disk, "raw image"),
    "locked": (locked, "raw image (LUKS volume)"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_kind_of_image_is_met_once_and_hashed_as_the_disk_it_holds(disk, tmp_path, name):
    make, kind = MAKERS[name]
    path = make(disk, tmp_path)
    met = []
    for _ in walk(path, image=met.append):
        pass
    assert [found.locator.at for found in met] == [str(path)]
    assert said(path).kind.startswith(kind)
    right = hashlib.sha256(disk.read_bytes() if name != "locked" else path.read_bytes()).hexdigest()
    made = digested(files.reopen(Locator.file(path)), SourceOptions())["sha256"]
    if name == "vpc":  # its size is one that cylinders, heads and sectors can tell
        assert len(made) == 64
        assert said(path).facts["created by"]
    else:
        assert made == right
