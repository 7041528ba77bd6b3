"""Archives give the very files that a folder does, also nested, broken, locked and hostile ones."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import struct
import sys
import tarfile
import zipfile
import zlib

import pytest

from imgmatch.errors import EvidenceError
from imgmatch.evidence import Reopener, SourceLimits, SourceOptions, reopen, walk
from imgmatch.locator import Locator
from imgmatch.types import Evidence, Issue
from tests.conftest import encode, picture

FILES = {f"DCIM/{n}.jpg": encode(picture(n), "JPEG", quality=90) for n in range(3)} | {
    "früh & spät.png": encode(picture(9), "PNG")
}


def content(found: Evidence) -> bytes:
    with found.open() as stream:
        return b"".join(iter(lambda: stream.read(4096), b""))


def digests(path, options=None) -> dict[str, str]:
    """Name at its innermost place to SHA-256; every place is found again by its printed locator."""
    options = options or SourceOptions()
    found = list(walk(path, options=options))
    assert not [f for f in found if isinstance(f, Issue)], found
    again = Reopener(options)
    for one in found:
        place = Locator.parse(str(one.locator))
        assert place == one.locator
        assert content(again.reopen(place)) == content(one)
    assert content(reopen(found[-1].locator, options)) == content(found[-1])
    return {f.locator.at: hashlib.sha256(content(f)).hexdigest() for f in found}


WANTED = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}


def zipped(files=FILES, **options) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files=FILES, mode="w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 86_400
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def sevenzipped(path, files=FILES, **options):
    py7zr = pytest.importorskip("py7zr", reason="needs the extra archives (py7zr)")
    with py7zr.SevenZipFile(path, "w", **options) as archive:
        for name, data in files.items():
            archive.writestr(data, name)
    return path


def zstd(data: bytes) -> bytes:
    return pytest.importorskip("backports.zstd", reason="needs the extra archives (backports.zstd)").compress(data)


MAKE = {
    "zip": lambda: zipped(),
    "tar": lambda: tarred(),
    "tar.gz": lambda: gzip.compress(tarred()),
    "tar.bz2": lambda: bz2.compress(tarred()),
    "tar.xz": lambda: lzma.compress(tarred()),
    "tar.zst": lambda: zstd(tarred()),
    "nested.zip": lambda: zipped({"in/inner.zip": zipped({"deep.tar.gz": gzip.compress(tarred())})}),
}


@pytest.mark.parametrize("kind", MAKE)
def test_an_archive_gives_the_same_files_as_a_folder(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(MAKE[kind]())
    assert digests(path) == WANTED


def test_a_7z_archive_gives_the_same_files(tmp_path):
    assert digests(sevenzipped(tmp_path / "a.7z")) == WANTED


def test_the_chain_names_every_step(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"in/b.tar.gz": gzip.compress(tarred({"c|d.jpg": FILES["DCIM/0.jpg"]}))}))
    (found,) = walk(path)
    assert str(found.locator) == f"file:{path}|zip:in/b.tar.gz|gz:b.tar|tar:c%7Cd.jpg"
    assert found.modified_utc == "1970-01-02T00:00:00.000000Z"
    assert found.modified_ns == path.stat().st_mtime_ns


@pytest.mark.parametrize("encrypt", ["7z", "aes"])
def test_a_password_opens_and_without_it_there_is_an_issue(tmp_path, encrypt):
    path = tmp_path / "locked"
    if encrypt == "7z":
        sevenzipped(path, password="bärig")
    else:
        pyzipper = pytest.importorskip("pyzipper", reason="needs the extra archives (pyzipper)")
        with pyzipper.AESZipFile(path, "w", compression=8, encryption=pyzipper.WZ_AES) as archive:
            archive.setpassword("bärig".encode())
            for name, data in FILES.items():
                archive.writestr(name, data)
    assert {f.error for f in walk(path)} == {"password"}
    assert {f.error for f in walk(path, options=SourceOptions(passwords=("no",)))} == {"password"}
    options = SourceOptions(passwords=("no", "bärig"))
    assert "bärig" not in repr(options)
    assert digests(path, options) == WANTED


def test_names_that_lead_out_are_only_names(tmp_path):
    names = ["../../out.jpg", "/etc/out.jpg", "C:\\out.jpg", "same.jpg", "same.jpg"]
    data = FILES["DCIM/0.jpg"]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, data)
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    (tmp_path / "a.tar").write_bytes(tarred({"../../out.jpg": data, "/etc/out.jpg": data}))
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    assert set(digests(tmp_path / "a.zip")) == {*names, "same.jpg;2"}
    assert set(digests(tmp_path / "a.tar")) == {"../../out.jpg", "/etc/out.jpg"}
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_names_that_lead_out_of_a_7z_are_only_names(tmp_path):
    py7zr = pytest.importorskip("py7zr", reason="needs the extra archives (py7zr)")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as archive:
        archive.writestr(FILES["DCIM/0.jpg"], "aa/bb/out.jpg")
        archive.header.files_info.files[0]["filename"] = "../../out.jpg"
    assert set(digests(tmp_path / "a.7z")) == {"../../out.jpg"}


def errors(path, **limits) -> list[str]:
    found = list(walk(path, options=SourceOptions(limits=SourceLimits(**limits))))
    texts = []
    for one in found:
        if isinstance(one, Issue):
            texts.append(f"{one.error}: {one.message}")
            continue
        try:
            content(one)
        except EvidenceError as error:
            texts.append(f"{error.kind}: {error}")
    return texts


def test_each_limit_is_said_by_its_name(tmp_path):
    (tmp_path / "zeros.zip").write_bytes(zipped({"zeros.bmp": bytes(2 << 20)}))
    (tmp_path / "zeros.gz").write_bytes(gzip.compress(bytes(8 << 20)))
    (tmp_path / "deep.zip").write_bytes(MAKE["nested.zip"]())
    (tmp_path / "many.tar").write_bytes(tarred())
    (tmp_path / "zeros.tar.gz").write_bytes(gzip.compress(tarred({"zeros.bmp": bytes(2 << 20)})))

    def said(name, **limits):
        (text,) = errors(tmp_path / name, **limits)
        assert text.startswith("limit: ")
        assert next(iter(limits)) in text

    said("zeros.zip", max_ratio=100, ratio_from_bytes=1 << 20)
    said("zeros.gz", max_ratio=20, ratio_from_bytes=1 << 20)
    said("deep.zip", max_depth=2)
    said("many.tar", max_members=2)
    said("many.tar", max_total_bytes=6_000)
    said("zeros.tar.gz", max_member_bytes=1 << 20)
    assert errors(tmp_path / "zeros.zip") == []


def test_a_zip_without_its_end_gives_what_is_there(tmp_path):
    whole = zipped()
    path = tmp_path / "cut.zip"
    path.write_bytes(whole[: whole.index(b"PK\x01\x02")])
    found = list(walk(path))
    assert {f.locator.at: hashlib.sha256(content(f)).hexdigest() for f in found[:-1]} == WANTED
    assert isinstance(found[-1], Issue)
    assert found[-1].error == "broken_archive"
    assert content(reopen(found[1].locator)) == FILES["DCIM/1.jpg"]


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_a_cut_archive_gives_what_came_before_the_cut(tmp_path, kind):
    data = MAKE[kind]()
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(data[: len(data) // 2])
    whole, cut, issues = [], [], []
    for found in walk(path):
        if isinstance(found, Issue):
            issues.append(found.error)
            continue
        try:
            whole.append(hashlib.sha256(content(found)).hexdigest())
        except OSError:
            cut.append(found)
    assert len(set(whole) & set(WANTED.values())) >= 1
    if kind == "zip":  # the last one as far as it goes
        assert (len(set(whole) - set(WANTED.values())), issues) == (1, ["unproven", "broken_archive"])
        return
    assert set(whole) < set(WANTED.values())
    assert len(cut) <= 1
    assert issues == ["unproven" if kind == "tar.gz" else "broken_archive"]


def test_a_damaged_member_is_an_error_when_it_is_read_and_the_others_stand(tmp_path):
    data = bytearray(zipped())
    data[data.index(FILES["DCIM/1.jpg"][:0] + b"DCIM/1.jpg") + 400] ^= 0xFF
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    bad = 0
    for found in walk(path):
        try:
            assert hashlib.sha256(content(found)).hexdigest() == WANTED[found.locator.at]
        except OSError:
            bad += 1
    assert bad == 1


def test_a_document_gives_its_pictures_only(tmp_path):
    parts = {"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>", "word/media/image1.jpg": FILES["DCIM/0.jpg"]}
    (tmp_path / "a.docx").write_bytes(zipped(parts))
    assert digests(tmp_path / "a.docx") == {"word/media/image1.jpg": WANTED["DCIM/0.jpg"]}


def test_a_member_that_is_gone_is_named(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(zipped())
    place = Locator("zip", "nowhere.jpg", Locator.file(path))
    with pytest.raises(EvidenceError, match=r"nowhere\.jpg"):
        reopen(place)
    os.unlink(path)
    with pytest.raises(EvidenceError, match="no such file"):
        reopen(place)


ZSTANDARD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
WITHOUT = {
    "zst": (ZSTANDARD, "archives", "Zstandard", lambda: b"\x28\xb5\x2f\xfd" + bytes(64)),
    "7z": ("py7zr", "archives", "7z", lambda: b"7z\xbc\xaf\x27\x1c" + bytes(512)),
    "luks": ("pyluksde", "forensic", "LUKS", lambda: b"LUKS\xba\xbe\x00\x01" + bytes(1 << 16)),
    "bitlocker": ("pybde", "forensic", "BitLocker", lambda: b"\xeb\x58\x90-FVE-FS-" + bytes(1 << 16)),
    "pdf": ("pypdf", "documents", "PDF", lambda: b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer <<>>\n%%EOF\n"),
    "thumbs": ("olefile", "documents", "Thumbs.db", lambda: bytes.fromhex("d0cf11e0a1b11ae1") + bytes(4096)),
    "video": ("av", "video", "video", lambda: b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42" + bytes(512)),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_a_missing_package_is_an_issue_that_names_the_format_and_the_extra(name, tmp_path, monkeypatch):
    module, extra, format_, data = WITHOUT[name]
    path = tmp_path / "evidence"
    path.write_bytes(data())
    monkeypatch.setitem(sys.modules, module, None)
    (issue,) = walk(path)
    assert issue.error == "needs_package"
    assert format_ in issue.message.split(" needs the package ")[0], issue.message
    assert f"imgmatch[{extra}]" in issue.message


def test_a_missing_package_for_a_member_of_a_zip_is_said_of_the_zip(tmp_path, monkeypatch):
    data = bytearray(zipped({"a.jpg": FILES["DCIM/0.jpg"]}))
    for magic, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        struct.pack_into("<H", data, data.index(magic) + at, 93)  # Zstandard
    (tmp_path / "a.zip").write_bytes(data)
    monkeypatch.setitem(sys.modules, ZSTANDARD, None)
    (found,) = walk(tmp_path / "a.zip")
    with pytest.raises(OSError, match="ZIP packed by Zstandard needs the package"):
        content(found)


def test_a_7z_with_a_password_for_each_block(tmp_path):
    py7zr = pytest.importorskip("py7zr", reason="needs the extra archives (py7zr)")
    path = tmp_path / "a.7z"
    pictures = {f"{name}.jpg": encode(picture(60 + number), "JPEG") for number, name in enumerate(("one", "two"))}
    for mode, password, name in (("w", "first", "one.jpg"), ("a", "second", "two.jpg")):
        with py7zr.SevenZipFile(path, mode, password=password) as archive:
            archive.writestr(pictures[name], name)

    def found(*passwords):
        members = list(walk(path, options=SourceOptions(passwords=passwords)))
        issues = [f"{member.error}: {member.message}" for member in members if isinstance(member, Issue)]
        files = [member for member in members if not isinstance(member, Issue)]
        return {member.locator.at: member.open().read() for member in files}, issues

    assert found("wrong", "second", "first") == (pictures, [])
    files, (issue,) = found("wrong", "second")
    assert files == {"two.jpg": pictures["two.jpg"]}
    assert issue.startswith("password: 1 of 2 files in it are encrypted")
    assert "(2 passwords tried)" in issue
    assert found("wrong")[0] == {}
    assert found()[1] == ["password: is encrypted; give its password with --password-file"]
    with py7zr.SevenZipFile(path, "w", password="first") as archive:
        archive.writestr(pictures["one.jpg"], "one.jpg")
    with py7zr.SevenZipFile(path, "a") as archive:
        archive.writestr(pictures["two.jpg"], "two.jpg")
    assert set(found()[0]) == {"two.jpg"}
    assert found("first") == (pictures, [])


def flash(body, how):
    head = bytes([13]) + struct.pack("<I", 8 + len(body))
    if how == "zlib":
        return b"CWS" + head + zlib.compress(body)
    alone = lzma.compress(body, lzma.FORMAT_ALONE)
    return b"ZWS" + head + struct.pack("<I", len(alone) - 13) + alone[:5] + alone[13:]


def test_lzma_by_itself_and_flash_are_unpacked(tmp_path):
    jpegs = [encode(picture(190 + n), "JPEG") for n in range(4)]
    alone = [lzma.compress(jpeg, lzma.FORMAT_ALONE) for jpeg in jpegs[:2]]
    sized = alone[1][:5] + struct.pack("<Q", len(jpegs[1])) + alone[1][13:]
    files = {"a.jpg.lzma": alone[0], "b.jpg.lzma": sized, "c.swf": flash(bytes(5_000) + jpegs[2], "zlib")}
    for name, data in {**files, "d.swf": flash(bytes(5_000) + jpegs[3], "lzma")}.items():
        (tmp_path / name).write_bytes(data)
    found = [member for member in walk(tmp_path) if not isinstance(member, Issue)]
    assert {member.open().read() for member in found} >= set(jpegs)
    (tmp_path / "cut.lzma").write_bytes(alone[0][: len(alone[0]) // 2])
    (cut,) = walk(tmp_path / "cut.lzma")
    with pytest.raises(OSError, match="too early"), cut.open() as stream:
        stream.read()


@pytest.mark.claim("M22")
def test_what_a_zip_holds_and_its_directory_does_not_name_is_found(tmp_path):
    jpegs = [encode(picture(200 + n), "JPEG") for n in range(6)]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, jpeg in enumerate(jpegs[:5]):
            archive.writestr(f"{number}.jpg", jpeg)
        del archive.filelist[3]  # as tools do that take one out of the directory
        del archive.filelist[1]
        archive.filelist.pop()
        archive.comment = jpegs[5]
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    found = list(walk(tmp_path))
    again = Reopener()
    named = {f.locator.at: content(again.reopen(f.locator)) for f in found if not isinstance(f, Issue)}
    assert named == dict(zip(["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg", "comment"], jpegs, strict=True))
    assert {f.what for f in found if isinstance(f, Issue)} == {"files that no directory of a ZIP names"}
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number, jpeg in enumerate(jpegs[:5]):
            info = zipfile.ZipInfo(f"{number}.jpg")
            info.extra = struct.pack("<HH", 0xCAFE, 3000) + bytes(3000)  # as zipalign fills up
            archive.writestr(info, jpeg)
    assert not [f for f in walk(tmp_path) if isinstance(f, Issue)]


def test_a_zstandard_file_behind_frames_to_be_skipped(tmp_path):
    zstd = pytest.importorskip("backports.zstd")
    data = b"\xff\xd8\xff" + bytes(range(256)) * 40
    skipped = b"\x50\x2a\x4d\x18\4\0\0\0abcd" + b"\x5f\x2a\x4d\x18\0\0\0\0"
    (tmp_path / "a.jpg.zst").write_bytes(skipped + zstd.compress(data[:5_000]) + skipped + zstd.compress(data[5_000:]))
    (tmp_path / "b.lz4").write_bytes(skipped + b"\x04\x22\x4d\x18")
    found = list(walk(tmp_path))
    assert [str(one.locator).partition("|")[2] for one in found] == ["zst:a.jpg", ""]
    assert content(found[0]) == data
