"""Pictures on discs (ISO 9660), and what of a disc is not read."""

import hashlib
import struct

import pytest

from imgmatch.evidence import Reopener, walk
from imgmatch.types import Issue
from tests.conftest import encode, picture

pytest.importorskip("pytsk3", reason="needs the extra forensic (pytsk3)")
PICTURES = {f"IMG{n}.JPG": encode(picture(90 + n, (160, 120)), "JPEG") for n in range(3)}
SECTOR = 2048


def both(value, size):
    return value.to_bytes(size, "little") + value.to_bytes(size, "big")


def record(name, sector, size, flags):
    raw = both(sector, 4) + both(size, 4) + bytes([126, 11, 29, 1, 2, 3, 0, flags, 0, 0]) + both(1, 2)
    raw += bytes([len(name)]) + name + bytes(1 - len(name) % 2)
    return bytes([len(raw) + 2, 0]) + raw


def iso(extra=()):
    """A disc after ECMA-119, with pictures in its root; ``extra`` descriptors stand behind the first."""
    root, files = 16 + 2 + len(extra) + 2, {}
    sector = root + 1
    for name, data in PICTURES.items():
        files[name] = sector
        sector += -(-len(data) // SECTOR)

    folder = record(b"\0", root, SECTOR, 2) + record(b"\1", root, SECTOR, 2)
    folder += b"".join(record(name.encode() + b";1", files[name], len(data), 0) for name, data in PICTURES.items())

    def descriptor():
        raw = b"\1CD001\1\0" + b" " * 64 + bytes(8) + both(sector, 4)
        raw += bytes(32) + both(1, 2) + both(1, 2) + both(SECTOR, 2) + both(10, 4)
        raw += struct.pack("<II", root - 2, 0) + struct.pack(">II", root - 1, 0) + record(b"\0", root, SECTOR, 2)
        return raw.ljust(881, b" ") + b"\1" + bytes(SECTOR - 882)

    parts = [descriptor(), *(raw.ljust(SECTOR, b"\0") for raw in extra)]
    parts += [b"\xffCD001\1".ljust(SECTOR, b"\0")]
    parts += [(b"\1\0" + struct.pack(f"{order}IH", root, 1)).ljust(SECTOR, b"\0") for order in "<>"]
    parts += [folder.ljust(SECTOR, b"\0")]
    parts += [data.ljust(-(-len(data) // SECTOR) * SECTOR, b"\0") for data in PICTURES.values()]
    return bytes(16 * SECTOR) + b"".join(parts)


def found_in(path):
    members = list(walk(path))
    files = {}
    for member in members:
        if not isinstance(member, Issue):
            with member.open() as stream:
                files[member.locator.at] = hashlib.sha256(stream.read()).hexdigest()
    return files, [f"{one.error}: {one.message}" for one in members if isinstance(one, Issue)]


WANTED = {hashlib.sha256(data).hexdigest() for data in PICTURES.values()}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "/IMG0.JPG"),
        ({"extra": [b"\2CD001\2"]}, "/IMG0.JPG"),  # ISO 9660:1999
        ({"extra": [b"\0CD001\1EL TORITO SPECIFICATION"]}, "/IMG0.JPG"),
    ],
)
def test_a_disc_is_read(tmp_path, options, name):
    (tmp_path / "a.iso").write_bytes(iso(**options))
    files, issues = found_in(tmp_path / "a.iso")
    assert set(files.values()) == WANTED
    assert name in files
    assert not issues


def test_a_disc_is_read_where_it_also_boots_as_a_disk_does(tmp_path):
    disc = bytearray(iso())
    struct.pack_into("<B3xB3xII", disc, 446, 0x80, 0x17, 0, len(disc) // 512)
    disc[510:512] = b"\x55\xaa"
    (tmp_path / "a.iso").write_bytes(disc)
    assert set(found_in(tmp_path / "a.iso")[0].values()) == WANTED


def test_what_of_a_disc_is_not_read_is_named(tmp_path):
    disc = iso()
    bridge = bytearray(disc.ljust(60 * SECTOR, b"\0"))
    (tmp_path / "sessions.iso").write_bytes(disc + b"\1" * (2 << 20))
    assert any("further session" in issue for issue in found_in(tmp_path / "sessions.iso")[1])
    bridge[31 * SECTOR : 31 * SECTOR + 7] = b"\0NSR02\1"
    (tmp_path / "bridge.iso").write_bytes(bridge)
    files, issues = found_in(tmp_path / "bridge.iso")
    assert set(files.values()) == WANTED
    assert issues == ["broken_image: the UDF file system can't be read: its anchor is damaged or missing"]


@pytest.mark.parametrize(("mode", "size"), [(1, 2352), (2, 2352), (1, 2448)])
def test_a_cd_in_raw_sectors_is_read_as_the_disc_that_it_is(tmp_path, mode, size):
    data, raw = iso(), bytearray()
    for at in range(0, len(data), 2048):
        head = b"\0" + b"\xff" * 10 + b"\0" + bytes(3) + bytes([mode]) + bytes(8 * (mode == 2))
        raw += (head + data[at : at + 2048]).ljust(size, b"\xee")
    raw += bytes(range(1, 41)) * (size // 8)  # five sectors of sound
    (tmp_path / "disc.bin").write_bytes(raw[: len(raw) // size * size])
    found = list(walk(tmp_path))
    places = [member.locator for member in found if not isinstance(member, Issue)]
    assert [str(place).partition("disc.bin|")[2] for place in places] == [f"cd:disk|fs:/{name}" for name in PICTURES]
    again = Reopener()
    for place, data in zip(places, PICTURES.values(), strict=True):
        with again.reopen(place).open() as stream:
            assert stream.read() == data
    assert [issue.locator.at for issue in found if isinstance(issue, Issue)] == ["tracks"]
