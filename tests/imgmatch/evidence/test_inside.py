"""Pictures at odd places: behind a few bytes, in songs, in Office documents, in RTF, in text, in what nothing knows."""

import binascii
import sqlite3
import struct

import pytest

from imgmatch.evidence import Reopener, walk
from imgmatch.evidence.options import SourceOptions
from imgmatch.types import Issue
from tests.conftest import encode, picture
from tests.imgmatch.evidence.test_documents import compound

JPEG, PNG = encode(picture(1, (320, 240)), "JPEG", quality=95), encode(picture(2, (160, 120)), "PNG")
GIF, BMP = encode(picture(3), "GIF"), encode(picture(4), "BMP")


def found_in(path, **options):
    """Contents by place, each found again by its place whatever was looked for, and the errors."""
    found, errors, again = {}, [], Reopener()
    for member in walk(path, options=SourceOptions(**options)):
        if isinstance(member, Issue):
            errors.append(f"{member.error}: {member.message}")
        elif member.locator.parent is not None:
            with member.open() as stream, again.reopen(member.locator).open() as second:
                found[str(member.locator).partition("|")[2]] = stream.read()
                assert second.read() == found[str(member.locator).partition("|")[2]]
    return found, errors


def tagged(frames, size=None):
    """A song with tags (ID3v2.3)."""
    body = b"".join(name + struct.pack(">IH", len(data), 0) + data for name, data in frames)
    length = len(body)
    sizes = bytes(length >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + sizes + body + b"\xff\xfb\x90\x64" * 500


@pytest.mark.parametrize(
    ("name", "data", "wanted"),
    [
        ("a.jpg", b"\n" + JPEG, [JPEG]),
        ("a.dat", b"HEADER\0\1\2" + bytes(200) + PNG + b"tail", [PNG]),
        ("cache", b"v1" + bytes(3000) + JPEG + bytes(7) + GIF + bytes(9) + PNG, [JPEG, GIF, PNG]),
        ("a.mp3", tagged([(b"APIC", b"\0image/jpeg\0\3\0" + JPEG)]), [JPEG]),
        ("b.mp3", tagged([(b"USLT", b"la " * 9000), (b"APIC", b"\0image/png\0\3\0" + PNG)]), [PNG]),
        ("a.flac", b"fLaC\x86" + struct.pack(">I", len(PNG) + 42)[1:] + bytes(42) + PNG, [PNG]),
    ],
)
def test_a_picture_behind_the_first_bytes_is_found_and_what_follows(tmp_path, name, data, wanted):
    (tmp_path / name).write_bytes(data)
    found, errors = found_in(tmp_path)
    assert list(found.values()) == wanted
    assert all(place.startswith("inside:") for place in found)
    assert not errors


def test_anywhere_in_what_nothing_knows_only_where_that_is_asked_for(tmp_path):
    data = bytes(range(256)) * 9000 + JPEG + bytes(77) + PNG + b"\xff\xd8\xff\xe0 no end"
    (tmp_path / "page.sys").write_bytes(data)
    assert found_in(tmp_path)[0] == {}
    assert list(found_in(tmp_path, carve=True)[0].values()) == [JPEG, PNG]
    (tmp_path / "page.sys").write_bytes(b"only text, with GIF8 and BM in it\n" * 9000)
    assert found_in(tmp_path, carve=True) == ({}, [])


def test_a_store_that_is_known_by_its_name_is_named(tmp_path):
    (tmp_path / "thumbnails.data").write_bytes(bytes(64) + b"\7\7\7\xff" * 5000)
    (tmp_path / "IconCache.db").write_bytes(b"\x34\0\0\0WIN4" + bytes(9000) + PNG)
    found, errors = found_in(tmp_path)
    assert not found
    assert [error.partition(";")[0] for error in errors] == [
        "unsupported: icon cache of Windows (IconCache.db)",
        "unsupported: QuickLook cache of macOS (bitmaps)",
    ]
    assert list(found_in(tmp_path, carve=True)[0].values()) == [PNG]


def hexed(data):
    text = data.hex().encode()
    return b"\n".join(text[at : at + 128] for at in range(0, len(text), 128))


def test_pictures_and_objects_in_rich_text(tmp_path):
    dib = struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, 24, 0, 48, 0, 0, 0, 0) + bytes(range(48))
    emf = b"\1\0\0\0" + bytes(36) + b" EMF" + bytes(100)
    text = b"{\\rtf1 Hello {\\pict\\jpegblip\\picw9 " + hexed(JPEG) + b"}{\\pict\\dibitmap0 " + hexed(dib)
    text += b"}{\\pict\\emfblip " + hexed(emf) + b"}{\\pict\\pngblip\\bin%d " % len(PNG) + PNG + b"}}"
    (tmp_path / "a.rtf").write_bytes(text)
    found, errors = found_in(tmp_path)
    assert {JPEG, PNG} <= set(found.values())
    assert any(data.startswith(b"BM") and data.endswith(dib) for data in found.values())
    assert errors == ["unsupported: Windows metafile (EMF); it is not read"]


def test_uuencoded_files_in_a_text(tmp_path):
    lines = b"".join(binascii.b2a_uu(JPEG[at : at + 45]) for at in range(0, len(JPEG), 45))
    (tmp_path / "a.txt").write_bytes(b"words before\nbegin 644 a.jpg\n" + lines + b"`\nend\nwords behind\n")
    found, errors = found_in(tmp_path)
    assert list(found.values()) == [JPEG]
    assert not errors
    (tmp_path / "a.txt").write_bytes(b"begin 644 times\nwe begin again\n" * 99)
    assert found_in(tmp_path) == ({}, [])


def test_a_rollback_journal_whose_header_was_made_zeros(tmp_path):
    database = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    database.execute("PRAGMA page_size=1024")
    database.execute("PRAGMA journal_mode=PERSIST")
    database.execute("CREATE TABLE t (x BLOB)")
    database.execute("INSERT INTO t VALUES (?)", (JPEG,))
    database.execute("PRAGMA secure_delete=OFF")
    database.execute("UPDATE t SET x = ?", (bytes(len(JPEG)),))
    database.close()
    journal = (tmp_path / "a.db-journal").read_bytes()
    assert not any(journal[:28])
    (tmp_path / "a.db").unlink()
    assert JPEG in found_in(tmp_path)[0].values()
    (tmp_path / "a.db-journal").rename(tmp_path / "f0001.bin")  # as what was recovered is called
    assert JPEG in found_in(tmp_path)[0].values()
    (tmp_path / "f0001.bin").unlink()
    (tmp_path / "a.db-journal").write_bytes(bytes(4096))
    assert found_in(tmp_path) == ({}, ["not_a_picture: nothing to look into is in it"])
    (tmp_path / "a.db-journal").write_bytes(bytes(512) + bytes(range(256)) * 40)
    assert found_in(tmp_path)[1] == ["broken_document: its header is zeros, and no page of it was told"]


def test_a_journal_of_large_pages_that_are_mostly_zeros(tmp_path):
    database = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=PERSIST")
    database.execute("CREATE TABLE t (x BLOB)")
    database.execute("INSERT INTO t VALUES (?)", (JPEG,))
    database.execute("PRAGMA secure_delete=ON")
    database.execute("DELETE FROM t")
    database.close()
    (tmp_path / "a.db").unlink()
    assert list(found_in(tmp_path)[0].values()) == [JPEG]


def padded(data):
    return data.ljust(max(4096, len(data)), b"\0")


def record(kind, data):
    return struct.pack("<HH", kind, len(data)) + data


def office(folder, **streams):
    pytest.importorskip("olefile", reason="needs the extra documents (olefile)")
    (folder / "a.doc").write_bytes(compound({name.replace("__", "/"): padded(data) for name, data in streams.items()}))
    return found_in(folder)


def test_pictures_in_office_documents_up_to_2003(tmp_path):
    blips = struct.pack("<HHI", 0x46A0, 0xF01D, 17 + len(JPEG)) + bytes(17) + JPEG
    blips += struct.pack("<HHI", 0x6E00, 0xF01E, 17 + len(PNG)) + bytes(17) + PNG
    dib = BMP[14:]
    blips += struct.pack("<HHI", 0x7A80, 0xF01F, 17 + len(dib)) + bytes(17) + dib
    blips += struct.pack("<HHI", 0x3D40, 0xF01A, 60) + bytes(60)
    found, errors = office(tmp_path, Pictures=blips, **{"PowerPoint Document": bytes(9)})
    assert {JPEG, PNG, BMP} <= set(found.values())
    assert errors == ["unsupported: Windows metafile (EMF); it is not read"]
    drawing = b"\x0f\0\0\xf0" + bytes(40) + JPEG
    book = record(0x0809, bytes(16)) + record(0x00EB, drawing[:3000])
    book += b"".join(record(0x003C, drawing[at : at + 3000]) for at in range(3000, len(drawing), 3000)) + record(
        10, b""
    )
    found, errors = office(tmp_path, Workbook=book)
    assert list(found.values()) == [JPEG]
    label = b"\2\0a.jpg\0C:\\a.jpg\0\0\0\3\0" + struct.pack("<I", 6) + b"C:\\a.j" + struct.pack("<I", len(GIF)) + GIF
    native = struct.pack("<I", len(label)) + label
    found, errors = office(tmp_path, **{"ObjectPool___1": bytes(9), "Item__\x01Ole10Native": native, "Data": JPEG})
    assert sorted(found.values()) == sorted([GIF, padded(JPEG)])
    assert not errors


def test_an_office_document_that_is_encrypted_is_named(tmp_path):
    word = b"\xec\xa5" + bytes(9) + b"\1" + JPEG
    for streams in ({"WordDocument": word}, {"Workbook": record(0x0809, bytes(16)) + record(0x2F, bytes(54))}):
        found, errors = office(tmp_path, **streams)
        assert not found
        assert errors == [
            "unsupported: Office document (encrypted); its pictures are encrypted with it; it is not read"
        ]
