"""Archives give each of their entries, whatever it is called, whatever locks it and whenever it says it was made."""

import base64
import gzip
import hashlib
import io
import lzma
import struct
import tarfile
import warnings
import zipfile
import zlib

import pytest

from imgmatch.evidence import Reopener, SourceOptions, walk
from imgmatch.types import Evidence, Issue
from tests.conftest import encode, picture
from tests.imgmatch.evidence.test_archives import content

PICTURES = [encode(picture(60 + n), "JPEG", quality=90) for n in range(3)]
PASSWORDS = ("no", "first", "bärig", "ümlaut")


class ZipCrypto:
    """The encryption of APPNOTE.TXT, 6.1."""

    def __init__(self, password: bytes):
        self.keys = [0x12345678, 0x23456789, 0x34567890]
        for byte in password:
            self.update(byte)

    @staticmethod
    def crc(value: int, byte: int) -> int:
        return (zlib.crc32(bytes([byte]), value ^ 0xFFFFFFFF) ^ 0xFFFFFFFF) & 0xFFFFFFFF

    def update(self, byte: int) -> None:
        self.keys[0] = self.crc(self.keys[0], byte)
        self.keys[1] = ((self.keys[1] + (self.keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        self.keys[2] = self.crc(self.keys[2], self.keys[1] >> 24)

    def encrypt(self, data: bytes) -> bytes:
        made = bytearray()
        for byte in data:
            key = (self.keys[2] | 2) & 0xFFFF
            made.append(byte ^ ((key * (key ^ 1)) >> 8 & 0xFF))
            self.update(byte)
        return bytes(made)


def make_zip(entries, before=b"", zip64=False) -> bytes:
    """Entries (name as bytes, data, and what differs: password, flags, extra, date, time), stored."""
    body, directory = bytearray(before), bytearray()
    for name, data, options in entries:
        crc, flags, extra = zlib.crc32(data), options.get("flags", 0), options.get("extra", b"")
        packed = data
        if password := options.get("password"):
            flags |= 1
            packed = ZipCrypto(password).encrypt(bytes(11) + bytes([crc >> 24]) + data)
        date, time = options.get("date", (44 << 9) | (5 << 5) | 6), options.get("time", (7 << 11) | (8 << 5) | 4)
        sizes = (crc, len(packed), len(data))
        offset = len(body) - len(before)
        local_name = options.get("local_name", name)
        body += struct.pack("<4s5H3I2H", b"PK\3\4", 20, flags, 0, time, date, *sizes, len(local_name), 0) + local_name
        body += packed
        if zip64:
            extra = struct.pack("<2H3Q", 1, 24, len(data), len(packed), offset) + extra
            sizes, offset = (crc, 0xFFFFFFFF, 0xFFFFFFFF), 0xFFFFFFFF
        head = (b"PK\1\2", 20, 20, flags, 0, time, date, *sizes, len(name), len(extra), 0, 0, 0, 0, offset)
        directory += struct.pack("<4s6H3I5H2I", *head) + name + extra
    start, count = len(body) - len(before), len(entries)
    end = b""
    if zip64:
        end += struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(directory), start)
        end += struct.pack("<4sIQI", b"PK\6\7", 0, start + len(directory), 1)
        start = 0xFFFFFFFF
    end += struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count & 0xFFFF, count & 0xFFFF, len(directory), start, 0)
    return bytes(body + directory + end)


def aes_zip(names, password=None) -> bytes:
    pyzipper = pytest.importorskip("pyzipper", reason="needs the extra archives (pyzipper)")
    buffer = io.BytesIO()
    with pyzipper.AESZipFile(buffer, "w", compression=8, encryption=pyzipper.WZ_AES) as archive:
        for number, (name, data) in enumerate(zip(names, PICTURES, strict=True)):
            archive.setpassword(password or PASSWORDS[1 + number].encode())
            archive.writestr(name, data)
    return buffer.getvalue()


def plain_zip(names) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in zip(names, PICTURES, strict=True):
            archive.writestr(name, data)
    return buffer.getvalue()


def locked_zip(names, zip64=False) -> bytes:
    return make_zip(
        [
            (name.encode(), data, {"password": password, "flags": 0x800})
            for name, data, password in zip(names, PICTURES, [b"first", b"b\xe4rig", "ümlaut".encode()], strict=True)
        ],
        zip64=zip64,
    )


def tarred(names, format=tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, data in zip(names, PICTURES, strict=True):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def sevenzipped(names, password=None) -> bytes:
    py7zr = pytest.importorskip("py7zr", reason="needs the extra archives (py7zr)")
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w", password=password, header_encryption=password is not None) as archive:
        for number, data in enumerate(PICTURES):
            archive.writestr(data, f"{number}.jpg")
        for info, name in zip(archive.header.files_info.files, names, strict=True):
            info["filename"] = name
    return buffer.getvalue()


ARCHIVES = {
    "zip": plain_zip,
    "zip, ZipCrypto, a password each": locked_zip,
    "zip64, ZipCrypto": lambda names: locked_zip(names, zip64=True),
    "zip, AES, a password each": aes_zip,
    "zip, AES, one password": lambda names: aes_zip(names, b"first"),
    "tar, pax": tarred,
    "tar, GNU": lambda names: tarred(names, tarfile.GNU_FORMAT),
    "tar.gz": lambda names: gzip.compress(tarred(names)),
    "7z": sevenzipped,
    "7z, locked": lambda names: sevenzipped(names, "ümlaut"),
}
NAMES = {
    "none": (["", "a.jpg", ""], ["", "a.jpg", ";2"]),
    "of a folder": (["a/", "..", "a/../a"], ["a/", "..", "a/../a"]),
    "equal": (["a.jpg"] * 3, ["a.jpg", "a.jpg;2", "a.jpg;3"]),
    "equal to a number": (["a.jpg", "a.jpg;2", "a.jpg"], ["a.jpg", "a.jpg;2", "a.jpg;3"]),
    "cases": (["a.jpg", "A.JPG", "a.JPG"], ["a.jpg", "A.JPG", "a.JPG"]),
    "absolute and up": (["/a.jpg", "../a.jpg", "C:\\a.jpg"], ["/a.jpg", "../a.jpg", "C:\\a.jpg"]),
    "letters": (["ä.jpg", "写真.jpg", "a\u0308.jpg"], ["ä.jpg", "写真.jpg", "a\u0308.jpg"]),
}


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("kind", ARCHIVES)
def test_each_entry_is_itself_whatever_it_is_called(tmp_path, kind, names):
    given, wanted = NAMES[names]
    if names == "none" and (kind == "zip" or "AES" in kind):
        pytest.skip("what writes these can't leave a name out")
    if kind.startswith("7z"):  # py7zr parts folders by / alone
        wanted = [name.replace("\\", "/") for name in wanted]
    path = tmp_path / "a"
    with warnings.catch_warnings(action="ignore"):
        path.write_bytes(ARCHIVES[kind](given))
    options = SourceOptions(passwords=PASSWORDS)
    found = list(walk(path, options=options))
    assert [(one.locator.at, content(one)) for one in found] == list(zip(wanted, PICTURES, strict=True))
    again = Reopener(options)
    assert [content(again.reopen(one.locator)) for one in reversed(found)] == PICTURES[::-1]


def walked(tmp_path, data, **options):
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    return list(walk(path, options=SourceOptions(**options)))


def test_one_locked_entry_that_no_password_opens_is_one_issue(tmp_path):
    found = walked(tmp_path, locked_zip(["a.jpg"] * 3), passwords=("first", "ümlaut"))
    assert [(one.locator.at, type(one)) for one in found] == [
        ("a.jpg", Evidence),
        ("a.jpg;2", Issue),
        ("a.jpg;3", Evidence),
    ]
    assert found[1].error == "password"


@pytest.mark.parametrize("before", [b"", b"MZ" + bytes(5_000)])
def test_a_directory_is_found_whatever_stands_before_it(tmp_path, before):
    data = make_zip([(b"a.jpg", PICTURES[0], {})], before=b"PK\3\4" * bool(before) + before)
    assert hashlib.sha256(content(walked(tmp_path, data)[0])).digest() == hashlib.sha256(PICTURES[0]).digest()


def unicode_path(raw: bytes, name: str) -> bytes:
    body = b"\x01" + struct.pack("<I", zlib.crc32(raw)) + name.encode()
    return struct.pack("<2H", 0x7075, len(body)) + body


def test_names_are_read_by_what_says_how_they_are_written(tmp_path):
    found = walked(
        tmp_path,
        make_zip(
            [
                ("ä.jpg".encode(), PICTURES[0], {"flags": 0x800}),
                ("ö.jpg".encode(), PICTURES[0], {}),
                ("ü.jpg".encode("cp437"), PICTURES[0], {}),
                (b"_.jpg", PICTURES[0], {"extra": unicode_path(b"_.jpg", "写.jpg")}),
                (b"x.jpg", PICTURES[0], {"extra": unicode_path(b"another", "写.jpg")}),
                (b"\xff.jpg", PICTURES[0], {"flags": 0x800}),
                (b"in the directory.jpg", PICTURES[0], {"local_name": b"in the header.jpg"}),
                (b"", PICTURES[0], {}),
                (b"as a folder.jpg/", PICTURES[0], {}),
                (b"a folder/", b"", {}),
            ]
        ),
    )
    assert [one.locator.at for one in found] == [
        *("ä.jpg", "ö.jpg", "ü.jpg", "写.jpg", "x.jpg", "\udcff.jpg", "in the directory.jpg", "", "as a folder.jpg/"),
    ]
    again = Reopener()
    for one in found:
        assert content(one) == content(again.reopen(one.locator)) == PICTURES[0]


def test_a_name_that_was_read_in_other_letters_before_is_still_found(tmp_path):
    (found,) = walked(tmp_path, make_zip([("ö.jpg".encode(), PICTURES[0], {})]))
    before = type(found.locator)("zip", "ö.jpg".encode().decode("cp437"), found.locator.parent)
    assert content(Reopener().reopen(before)) == PICTURES[0]


def stamp(seconds: int) -> bytes:
    return struct.pack("<2HBi", 0x5455, 5, 1, seconds)


def ntfs(ticks: int) -> bytes:
    return struct.pack("<2HI2H3Q", 0x000A, 32, 0, 1, 24, ticks, ticks, ticks)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def test_a_time_is_utc_only_where_the_archive_says_so(tmp_path, monkeypatch, zone):
    import time

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        after_2038 = {"extra": stamp(-(1 << 31) + 5), "date": (60 << 9) | (1 << 5) | 1}
        found = walked(
            tmp_path,
            make_zip(
                [
                    (b"dos.jpg", PICTURES[0], {}),
                    (b"unix.jpg", PICTURES[0], {"extra": stamp(86_400)}),
                    (b"1969.jpg", PICTURES[0], {"extra": stamp(-86_400)}),
                    (b"2038.jpg", PICTURES[0], after_2038),
                    (b"ntfs.jpg", PICTURES[0], {"extra": ntfs(116_444_736_000_000_000)}),
                    (b"none.jpg", PICTURES[0], {"date": 0, "time": 0}),
                ]
            ),
        )
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [one.modified_utc for one in found] == [
        "2024-05-06T07:08:08.000000",
        "1970-01-02T00:00:00.000000Z",
        "1969-12-31T00:00:00.000000Z",
        "2038-01-19T03:14:13.000000Z",
        "1970-01-01T00:00:00.000000Z",
        None,
    ]


def test_what_can_not_be_unpacked_is_said_of_the_entry(tmp_path):
    data = bytearray(make_zip([(b"a.jpg", PICTURES[0], {}), (b"b.jpg", PICTURES[1], {})]))
    data[data.index(b"PK\1\2") + 10] = 97  # WavPack
    found = walked(tmp_path, bytes(data))
    assert (found[0].locator.at, found[0].error) == ("a.jpg", "unsupported")
    assert content(found[1]) == PICTURES[1]


@pytest.mark.parametrize("mark", ["[Content_Types].xml", "META-INF/manifest.xml"])
def test_everything_in_a_document_is_given_but_its_own_markup(tmp_path, mark):
    inner = plain_zip(["xl/media/1.jpg", "2.jpg", "3.jpg"])
    entries = {
        "mimetype": b"application/vnd.oasis.opendocument.text",
        mark: b'<?xml version="1.0"?><x/>',
        "word/document.xml": b"\xef\xbb\xbf<?xml ?><x/>",
        "_rels/.rels": "<Relationships/>".encode("utf-16"),
        "holiday/IMG_1.jpg": PICTURES[0],
        "ObjectReplacements/Object 1": PICTURES[1],
        "Documents/1/Resources/Images/a.xml": PICTURES[2],
        "word/embeddings/table.xlsx": inner,
        "word/afchunk.mht": b"From: a\nTo: b\nMIME-Version: 1.0\nContent-Type: image/jpeg\n\n",
    }
    data = make_zip([(name.encode(), body, {}) for name, body in entries.items()])
    found = walked(tmp_path, data)
    places = [str(one.locator).partition("|zip:")[2] for one in found]
    assert places == [
        "holiday/IMG_1.jpg",
        "ObjectReplacements/Object 1",
        "Documents/1/Resources/Images/a.xml",
        "word/embeddings/table.xlsx|zip:xl/media/1.jpg",
        "word/embeddings/table.xlsx|zip:2.jpg",
        "word/embeddings/table.xlsx|zip:3.jpg",
        "word/afchunk.mht|mail:1.jpeg",
    ]


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_names_of_a_tar_that_are_not_utf_8_are_kept_byte_by_byte(tmp_path, format):
    found = walked(tmp_path, tarred(["\udcff.jpg", "a\udcfe", "ä"], format))
    assert [(one.locator.at, content(one)) for one in found] == [
        ("\udcff.jpg", PICTURES[0]),
        ("a\udcfe", PICTURES[1]),
        ("ä", PICTURES[2]),
    ]


def test_a_name_of_a_7z_that_is_no_text_costs_nothing(tmp_path):
    py7zr = pytest.importorskip("py7zr", reason="needs the extra archives (py7zr)")
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as archive:
        archive.set_encoded_header_mode(False)
        for number, data in enumerate(PICTURES):
            archive.writestr(data, f"Q{number}.jpg")
    data = bytearray(buffer.getvalue().replace("Q1".encode("utf-16-le"), b"\0\xd81\0"))
    at, size = struct.unpack_from("<QQ", data, 12)
    struct.pack_into("<I", data, 28, zlib.crc32(data[32 + at : 32 + at + size]))
    struct.pack_into("<I", data, 8, zlib.crc32(data[12:32]))
    found = walked(tmp_path, data)
    assert [one.locator.at for one in found] == ["Q0.jpg", "\\ud8001.jpg", "Q2.jpg"]
    again = Reopener()
    assert [content(again.reopen(one.locator)) for one in found] == PICTURES


@pytest.mark.parametrize("joined", ["as cat does", "as programs do, that count from the start of the file"])
def test_archives_before_the_last_one_are_read_too(tmp_path, joined):
    one, two, three = (make_zip([(b"a.jpg", data, {}), (b"b.txt", b"x", {})]) for data in PICTURES)
    data = bytearray(one + two + three)
    if joined != "as cat does":
        for sign, field in ((b"PK\5\6", 16), (b"PK\1\2", 42)):
            at = len(one + two)
            while (at := data.find(sign, at + 1)) >= 0:
                offset = struct.unpack_from("<I", data, at + field)[0]
                struct.pack_into("<I", data, at + field, offset + len(one + two))
    found = {one.locator.at: content(one) for one in walked(tmp_path, data)}
    assert [found[name] for name in ("a.jpg", "a.jpg;2", "a.jpg;3")] == PICTURES[::-1]
    assert len(found) == 6


def test_what_stands_behind_the_end_is_said(tmp_path):
    found = walked(tmp_path, make_zip([(b"a.jpg", PICTURES[0], {})]) + PICTURES[1])
    assert content(found[0]) == PICTURES[0]
    assert (found[1].error, f"{len(PICTURES[1]):,} bytes" in found[1].message) == ("unsupported", True)


def test_a_directory_that_names_nothing_hides_nothing(tmp_path):
    data = make_zip([(b"a.jpg", PICTURES[0], {})])
    found = walked(tmp_path, data[: data.index(b"PK\1\2")] + make_zip([]))
    assert content(found[0]) == PICTURES[0]
    assert [one.error for one in found[1:]] == ["broken_archive"]


@pytest.mark.parametrize(
    "comment", [b"PK\5\6" + b"x" * 40, b"PK\5\6" + bytes(18), b"PK\1\2PK\3\4PK\5\6\1\0\1\0" + bytes(30)]
)
def test_a_comment_that_looks_like_the_end_of_a_directory_is_none(tmp_path, comment):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", PICTURES[0])
        archive.comment = comment
    found = list(walk(path))
    assert [str(each.locator)[-9:] for each in found] == ["zip:a.jpg"]
    assert content(found[0]) == PICTURES[0]


def test_a_name_of_a_7z_that_is_longer_than_any_costs_itself_alone(tmp_path):
    py7zr = pytest.importorskip("py7zr", reason="needs the extra archives (py7zr)")
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as archive:
        for number, data in enumerate(PICTURES):
            archive.writestr(data, f"{'x' * 90_000 if number == 1 else 'Q'}{number}.jpg")
    found = walked(tmp_path, buffer.getvalue())
    assert [content(one) for one in found if not isinstance(one, Issue)] == PICTURES


def one_entry(method: int, packed: bytes, data: bytes, streamed: bool = False) -> bytes:
    """An archive of one file that is packed in some way; ``streamed``: its sizes follow it, and no directory does."""
    crc, name = zlib.crc32(data), b"a.jpg"
    said = (0, 0, 0) if streamed else (crc, len(packed), len(data))
    head = struct.pack("<4s5H3I2H", b"PK\3\4", 63, 8 * streamed, method, 0, 0x5A21, *said, len(name), 0) + name
    if streamed:
        return head + packed + struct.pack("<4s3I", b"PK\7\x08", crc, len(packed), len(data))
    told = (b"PK\1\2", 63, 63, 0, method, 0, 0x5A21, *said, len(name), 0, 0, 0, 0, 0, 0)
    directory = struct.pack("<4s6H3I5H2I", *told) + name
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(directory), len(head) + len(packed), 0)
    return head + packed + directory + end


def ppmd(data: bytes) -> bytes:
    """Behind the two bytes that say how (APPNOTE.TXT, 5.10)."""
    encoder = pytest.importorskip("pyppmd").Ppmd8Encoder(6, 1 << 24)
    return struct.pack("<H", 5 | 15 << 4) + encoder.encode(data) + encoder.flush()


def deflate64(data: bytes) -> bytes:
    """As Windows packs what is large."""
    deflater = pytest.importorskip("inflate64").Deflater()
    return deflater.deflate(data) + deflater.flush()


def zstandard(data: bytes) -> bytes:
    """RFC 8878."""
    return pytest.importorskip("backports.zstd").compress(data)


@pytest.mark.parametrize(("method", "pack"), [(9, deflate64), (93, zstandard), (95, lzma.compress), (98, ppmd)])
@pytest.mark.parametrize("data", [PICTURES[0], encode(picture(64, (700, 540)), "BMP")], ids=["small", "large"])
def test_members_are_unpacked_whatever_packed_them(tmp_path, method, pack, data):
    path = tmp_path / "a.zip"
    packed = pack(data)
    path.write_bytes(one_entry(method, packed, data))
    (found,) = walk(path)
    assert content(found) == data
    assert content(Reopener(SourceOptions()).reopen(found.locator)) == data
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"PK\1\2")])  # without its directory
    found, told = walk(path)
    assert (content(found), told.error) == (data, "broken_archive")
    assert content(Reopener(SourceOptions()).reopen(found.locator)) == data
    middle = len(packed) // 2
    path.write_bytes(one_entry(method, packed[:middle] + bytes(8) + packed[middle + 8 :], data))
    (found,) = walk(path)
    with pytest.raises(OSError, match=r"\w"):
        content(found)


def test_a_small_member_that_unpacks_to_very_much_is_no_more_than_it_says(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(one_entry(9, deflate64(bytes(60_000_000)), bytes(1_000)))
    (found,) = walk(path)
    assert content(found) == bytes(1_000)


@pytest.mark.parametrize("cut", [0, 1, 200])
def test_stored_members_whose_length_follows_them_are_found_without_a_directory(tmp_path, cut):
    whole = one_entry(0, PICTURES[0], PICTURES[0], streamed=True) + one_entry(
        0, PICTURES[1], PICTURES[1], streamed=True
    )
    (tmp_path / "a.zip").write_bytes(whole[: len(whole) - cut])
    found = list(walk(tmp_path / "a.zip"))
    contents = [content(one) for one in found if isinstance(one, Evidence)]
    assert contents[0] == PICTURES[0]
    assert PICTURES[1].startswith(contents[1][: len(PICTURES[1]) - cut])
    assert [one.error for one in found if isinstance(one, Issue)].count("unproven") == (cut == 200)


def test_base64_in_the_markup_of_a_document_is_looked_into(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.docx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<?xml version='1.0'?><a/>")
        text = base64.b64encode(PICTURES[0]).decode()
        archive.writestr("customXml/item1.xml", f"<?xml version='1.0'?><a>{text}</a>")
    found = {str(one.locator).partition("|")[2]: content(one) for one in walk(tmp_path) if isinstance(one, Evidence)}
    assert found["zip:customXml/item1.xml|carried:@24"] == PICTURES[0]
    assert "zip:word/document.xml" not in found
