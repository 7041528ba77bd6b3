"""Extractions and backups of phones: a picture's place is the one that it had on the phone."""

import hashlib
import io
import plistlib
import sqlite3
import struct
import tarfile
import zipfile
import zlib

import pytest

from imgmatch.evidence import walk
from imgmatch.evidence.options import SourceOptions
from imgmatch.evidence.reopen import Reopener
from imgmatch.types import Evidence, Issue
from tests.conftest import encode, picture, run, run_json

PICTURES = [encode(picture(n), "JPEG") for n in range(4)]


def found(path):
    """Place below a file, time and content of pictures in it; each is found again by its place."""
    members, again = {}, Reopener()
    for member in walk(path):
        if isinstance(member, Evidence):
            with member.open() as stream, again.reopen(member.locator).open() as second:
                data = stream.read()
                assert second.read() == data
            members[str(member.locator).partition("|")[2]] = (member.modified_utc, data)
    return members


def issues(path):
    return [entry for entry in walk(path) if isinstance(entry, Issue)]


def report(files, prefix=""):
    """A report.xml as Cellebrite's Physical Analyzer writes it."""
    entity = '<!DOCTYPE x [<!ENTITY a "b">]>' if prefix else ""
    made = f'<?xml version="1.0" encoding="utf-8"?>{entity}<project xmlns="http://pa.cellebrite.com/report/2.0"><taggedFiles>'
    for path, local, deleted, digests in files:
        made += (
            f'<file fs="userdata" path="{path}" size="9" id="1" extractionId="0" deleted="{deleted}"><accessInfo>'
            '<timestamp name="CreationTime">2019-01-01T00:00:00+00:00</timestamp>'
            '<timestamp name="ModifyTime">2020-05-06T09:08:09.000+02:00</timestamp></accessInfo><metadata>'
            f'<item name="Local Path"><![CDATA[{local}]]></item>'
            + "".join(f'<item name="{name}"><![CDATA[{value}]]></item>' for name, value in digests.items())
            + "</metadata></file>"
        )
    return made + "</taggedFiles></project>"


@pytest.fixture
def ufdr(tmp_path):
    path = tmp_path / "a.ufdr"
    sha = {"SHA256": hashlib.sha256(PICTURES[0]).hexdigest(), "MD5": hashlib.md5(PICTURES[0]).hexdigest().upper()}
    files = [
        ("/data/media/0/DCIM/IMG_1.jpg", "files\\Image\\one.jpg", "Intact", sha),
        ("/data/media/0/DCIM/IMG_2.jpg", "files\\Image\\two.jpg", "Deleted", {"MD5": "0" * 32}),
        ("/gone", "files\\Image\\none.jpg", "Intact", {}),
    ]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in zip(("one", "two", "three"), PICTURES, strict=False):
            archive.writestr(f"files/Image/{name}.jpg", data)
        archive.writestr("report.xml", report(files))
    return path


def test_a_ufdr_gives_places_times_and_states_of_the_phone(ufdr):
    members = found(ufdr)
    time = "2020-05-06T07:08:09.000000Z"
    assert members["phone:/data/media/0/DCIM/IMG_1.jpg@files/Image/one.jpg"] == (time, PICTURES[0])
    assert members["deleted:/data/media/0/DCIM/IMG_2.jpg@files/Image/two.jpg"] == (time, PICTURES[1])
    assert members["zip:files/Image/three.jpg"][1] == PICTURES[2]
    wrong = [entry for entry in issues(ufdr) if entry.error == "hash_mismatch"]
    assert [entry.locator.at.partition("@")[0] for entry in wrong] == ["/data/media/0/DCIM/IMG_2.jpg"]
    assert "MD5" in wrong[0].message


def test_a_case_shows_the_place_on_the_phone(ufdr, tmp_path):
    case = tmp_path / "case"
    assert run("init", case).returncode == 0
    assert run("ingest", case, ufdr).returncode == 0
    sha256 = hashlib.sha256(PICTURES[1]).hexdigest()
    (sighting,) = run_json("show", case, sha256)["sightings"]
    assert "/data/media/0/DCIM/IMG_2.jpg" in sighting["locator"]
    assert sighting["deleted"] is True
    assert "hash_mismatch" in run("issues", case).stdout.decode()
    assert run("check", case, "--sources").returncode == 0


@pytest.mark.parametrize(
    "text", [report([("/a", "files/a.jpg", "Intact", {})], "x"), report([("/a", "files/a.jpg", "", {})])[:-30], "<a/>"]
)
def test_a_damaged_report_or_another_leaves_pictures_where_they_lie(tmp_path, text):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("report.xml", text)
        archive.writestr("files/a.jpg", PICTURES[0])
    assert PICTURES[0] in [data for _, data in found(path).values()]
    assert [entry.error for entry in issues(path)] == ([] if text == "<a/>" else ["broken_document"])


def backup(folder, old=False):
    """A backup as iTunes lays it out; its pictures lie under hashes."""
    paths = ["Media/DCIM/100APPLE/IMG_0001.JPG", "Media/PhotoData/x|y.JPG", "Library/words.txt"]
    contents = [PICTURES[0], PICTURES[1], b"no picture"]
    if old:
        made = b"mbdb\5\0"
        for path in paths:
            texts = [b"CameraRollDomain", path.encode(), None, None, None]
            made += b"".join(b"\xff\xff" if one is None else struct.pack(">H", len(one)) + one for one in texts)
            made += struct.pack(">HQIIIIIQBB", 0x81A4, 1, 1, 1, 1588748889, 0, 0, 9, 4, 0)
        (folder / "Manifest.mbdb").write_bytes(made)
    else:
        db = sqlite3.connect(folder / "Manifest.db")
        db.execute("CREATE TABLE Files (fileID TEXT PRIMARY KEY, domain, relativePath, flags INTEGER, file BLOB)")
    for path, data in zip(paths, contents, strict=True):
        name = hashlib.sha1(f"CameraRollDomain-{path}".encode()).hexdigest()
        if not old:
            objects = ["$null", {"LastModified": 1588748889, "Size": len(data)}]
            about = plistlib.dumps({"$objects": objects}, fmt=plistlib.FMT_BINARY)
            db.execute("INSERT INTO Files VALUES (?, 'CameraRollDomain', ?, 1, ?)", (name, path, about))
        place = folder / name if old else folder / name[:2] / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)
    if not old:
        db.commit()
        db.close()


@pytest.mark.parametrize("old", [False, True])
def test_a_backup_in_a_folder_gives_domain_and_path(tmp_path, old):
    backup(tmp_path, old)
    members = found(tmp_path)
    time = "2020-05-06T07:08:09.000000Z"
    assert members["phone:CameraRollDomain/Media/DCIM/100APPLE/IMG_0001.JPG"] == (time, PICTURES[0])
    assert members["phone:CameraRollDomain/Media/PhotoData/x%7Cy.JPG"] == (time, PICTURES[1])
    plain = [str(entry.locator) for entry in walk(tmp_path) if isinstance(entry, Evidence) and not entry.locator.parent]
    assert len(plain) == 3  # each file where it lies, too


@pytest.mark.parametrize("prefix", ["", "Backup/0011/"])
def test_a_backup_in_an_archive_gives_domain_and_path(tmp_path, prefix):
    folder = tmp_path / "backup"
    folder.mkdir()
    backup(folder)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, prefix + str(path.relative_to(folder)))
    places = [place.partition("@")[0] for place in found(tmp_path / "a.zip")]
    assert "phone:CameraRollDomain/Media/DCIM/100APPLE/IMG_0001.JPG" in places


def test_an_encrypted_backup_is_named(tmp_path):
    about = {"IsEncrypted": True, "BackupKeyBag": b"k" * 40}
    (tmp_path / "Manifest.plist").write_bytes(plistlib.dumps(about, fmt=plistlib.FMT_BINARY))
    said = [(entry.error, entry.message) for entry in issues(tmp_path)]
    assert any(error == "unsupported" and "encrypted iOS backup" in message for error, message in said)


@pytest.mark.parametrize("version", [1, 3, 5])
@pytest.mark.parametrize("packed", [True, False])
def test_a_backup_of_android(tmp_path, version, packed):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number, data in enumerate(PICTURES):
            info = tarfile.TarInfo(f"apps/com.example/f/{number}.jpg")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    body = zlib.compress(buffer.getvalue()) if packed else buffer.getvalue()
    path = tmp_path / "a.ab"
    path.write_bytes(b"ANDROID BACKUP\n%d\n%d\nnone\n" % (version, packed) + body)
    members = found(path)
    assert members["ab:backup.tar|tar:apps/com.example/f/2.jpg"][1] == PICTURES[2]
    assert len(members) == 4
    path.write_bytes(b"ANDROID BACKUP\n5\n1\nAES-257\nAA\nBB\n10000\nCC\nDD\n" + body)
    assert [entry.error for entry in issues(path)] == ["unsupported"]
    path.write_bytes(b"ANDROID BACKUP\n5\n1\nAES-256\nAA\nBB\n10000\nCC\nDD\n" + body)
    assert [entry.error for entry in issues(path)] == ["broken_archive"]


def encrypted(body, password, version, packed):
    """An encrypted backup, as Android writes it."""
    ciphers = pytest.importorskip("cryptography.hazmat.primitives.ciphers", reason="needs the extra archives")

    def sealed(data, key, start):
        left = 16 - len(data) % 16
        cipher = ciphers.Cipher(ciphers.algorithms.AES(key), ciphers.modes.CBC(start)).encryptor()
        return cipher.update(data + bytes([left]) * left)

    def derived(letters, salt):
        return hashlib.pbkdf2_hmac("sha1", letters, salt, 1000, 32)

    key, starts, salts = bytes(range(110, 142)), (bytes(range(16)), bytes(range(50, 66))), (b"s" * 64, b"c" * 64)
    as_java = "".join(chr(byte if byte < 128 else 0xFF00 + byte) for byte in key).encode()
    checksum = derived(as_java if version >= 2 else key, salts[1])
    kept = b"".join(bytes([len(one)]) + one for one in (starts[1], key, checksum))
    letters = password.encode() if version >= 2 else password.encode("latin-1")
    kept = sealed(kept, derived(letters, salts[0]), starts[0])
    lines = [
        b"ANDROID BACKUP",
        b"%d" % version,
        b"%d" % packed,
        b"AES-256",
        *(one.hex().upper().encode() for one in salts),
    ]
    lines += [b"1000", starts[0].hex().upper().encode(), kept.hex().upper().encode(), b""]
    return b"\n".join(lines) + sealed(body, key, starts[1])


@pytest.mark.parametrize(("version", "packed"), [(1, True), (3, True), (5, False)])
def test_an_encrypted_backup_of_android_opens_with_its_password(tmp_path, version, packed):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("apps/com.example/f/0.jpg")
        info.size = len(PICTURES[0])
        archive.addfile(info, io.BytesIO(PICTURES[0]))
    body = zlib.compress(buffer.getvalue()) if packed else buffer.getvalue()
    path = tmp_path / "a.ab"
    path.write_bytes(encrypted(body, "Schlüssel", version, packed))
    assert [entry.error for entry in issues(path)] == ["password"]
    for given, says in ((("x", "y"), ["password"]), (("x", "Schlüssel"), [])):
        members = list(walk(path, options=SourceOptions(passwords=given)))
        assert [member.error for member in members if isinstance(member, Issue)] == says
        contents = [member.open().read() for member in members if isinstance(member, Evidence)]
        assert contents == ([PICTURES[0]] if not says else [])
    path.write_bytes(path.read_bytes()[:-1500])
    told = 0  # what is missing of it is not passed over: where it is walked, or where it is read
    for entry in walk(path, options=SourceOptions(passwords=given)):
        try:
            told += isinstance(entry, Issue) or not entry.open().read()
        except OSError:
            told += 1
    assert told


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_backup_in_a_tar_gives_domain_and_path(tmp_path, mode):
    folder = tmp_path / "backup"
    folder.mkdir()
    backup(folder)
    with tarfile.open(tmp_path / "a.tar", mode) as archive:
        archive.add(folder, "Backup/0011")
    members = found(tmp_path / "a.tar")
    places = {place.rpartition("|")[2]: told for place, told in members.items()}
    assert places["phone:CameraRollDomain/Media/DCIM/100APPLE/IMG_0001.JPG"] == (
        "2020-05-06T07:08:09.000000Z",
        PICTURES[0],
    )
    assert sum(data == PICTURES[1] for _, data in members.values()) == 2  # where it lies, too
