"""UDF: discs as genisoimage and mkudffs make them, and small ones made here of every kind of partition."""

import binascii
import hashlib
import shutil
import struct
import subprocess

import pytest

from imgmatch.evidence import reopen, walk
from imgmatch.evidence.options import SourceOptions
from imgmatch.streams import DamagedError
from imgmatch.types import Issue
from tests.conftest import encode, picture

PICTURES = {f"Bild {n} – ä.jpg": encode(picture(90 + n, (160, 120)), "JPEG") for n in range(3)}
SHA = {hashlib.sha256(data).hexdigest() for data in PICTURES.values()}
BLOCK, FIRST = 2048, 300
WHEN = struct.pack("<Hh8B", 0x1000 | 60, 2024, 5, 6, 9, 8, 7, 0, 0, 0)  # an hour ahead of UTC


def tagged(kind, body, place=0):
    crc = binascii.crc_hqx(body, 0)
    tag = struct.pack("<HHBBHHHI", kind, 3, 0, 0, 1, crc, len(body), place)
    return tag[:4] + bytes([(sum(tag)) & 0xFF]) + tag[5:] + body


def long_ad(size, block, reference):
    return struct.pack("<IIH6x", size, block, reference)


def entry(kind, size, listed, form, streams=b""):
    body = bytes(4) + struct.pack("<HHH", 4, 0, 1) + bytes([0, kind]) + bytes(6) + struct.pack("<H", form)
    body += bytes(20) + struct.pack("<QQQ", size, size, 0) + WHEN * 4 + struct.pack("<II", 1, 0) + bytes(16)
    body += (streams or bytes(16)) + bytes(40) + struct.pack("<II", 0, len(listed)) + listed
    return tagged(266, body)


def named(name, block, reference, flags=0):
    raw = b"\x10" + name.encode("utf-16-be") if name else b""
    body = struct.pack("<HBB", 1, flags, len(raw)) + long_ad(BLOCK, block, reference) + bytes(2) + raw
    made = tagged(257, body)
    return made + bytes(-len(made) % 4)


def regid(name):
    return b"\0" + name.encode().ljust(31, b"\0")


def disc(kind="plain", **odd):
    """A disc with the pictures, the first in a folder; ``kind`` of its partition."""
    blocks = {}  # of the partition
    content, entries = 40, 0
    reference = 0 if kind in ("plain", "sparable") else 1

    def write(at, data):
        for number in range(-(-len(data) // BLOCK)):
            blocks[at + number] = data[number * BLOCK : (number + 1) * BLOCK].ljust(BLOCK, b"\0")

    meta = {}  # blocks of descriptors, by the number that they are called by
    names = list(PICTURES)
    streams = long_ad(BLOCK, 12, reference) if odd.get("stream") else b""
    for number, data in enumerate(PICTURES.values()):
        half = BLOCK if odd.get("pieces") else len(data)
        write(content, data[:half])
        write(content + 20, data[half:])
        pieces = [(half, content), (len(data) - half, content + 20)]
        listed = b"".join(long_ad(size, at, 0) for size, at in pieces if size)
        if odd.get("pieces"):  # the second is told of in a block of its own
            more = struct.pack("<II", 0, 16) + long_ad(*pieces[1], 0)
            blocks[100 + number] = tagged(258, more).ljust(BLOCK, b"\0")
            listed = long_ad(*pieces[0], 0) + long_ad(3 << 30 | BLOCK, 100 + number, 0)
        meta[5 + number] = entry(5, len(data), listed, 1, streams if number == 2 else b"")
        content += 5
    flags = 4 if odd.get("deleted") else 0
    inner = named("", 2, reference, 10) + named(names[0], 5, reference)
    root = named("", 2, reference, 10) + named("DCIM", 3, reference, 2)
    root += named(names[1], 6, reference) + named(names[2], 7, reference, flags)
    meta[0] = tagged(256, bytes(384) + long_ad(BLOCK, 2, reference) + bytes(96))
    meta[2], meta[3] = entry(4, len(root), root, 3), entry(4, len(inner), inner, 3)
    if odd.get("stream"):
        hidden = named("hidden.jpg", 13, reference)
        meta[12], meta[13] = entry(4, len(hidden), hidden, 3), entry(5, len(STREAM), long_ad(len(STREAM), 110, 0), 1)
        write(110, STREAM)
    at = {"metadata": 60, "virtual": 70}.get(kind, entries)
    for number, raw in meta.items():
        blocks[at + number if kind != "virtual" else at + 20 - number] = raw.ljust(BLOCK, b"\0")
    maps = struct.pack("<BBHH", 1, 6, 1, 0)
    used = {"plain": maps, "sparable": b""}.get(kind, maps)
    if kind == "metadata":
        files = struct.pack("<IIIIHB", 30, 31, 0xFFFFFFFF, 1, 1, 0)
        used += b"\2\x40" + bytes(2) + regid("*UDF Metadata Partition") + struct.pack("<HH", 1, 0) + files + bytes(5)
        blocks[30] = b"damaged".ljust(BLOCK, b"\0") if odd.get("mirror") else b""
        for place in (31, *([] if odd.get("mirror") else [30])):
            blocks[place] = entry(250, 20 * BLOCK, struct.pack("<II", 20 * BLOCK, 60), 0).ljust(BLOCK, b"\0")
    elif kind == "virtual":
        used += b"\2\x40" + bytes(2) + regid("*UDF Virtual Partition") + struct.pack("<HH", 1, 0) + bytes(24)
        table = struct.pack("<HH", 152, 0) + bytes(148) + struct.pack("<20I", *(90 - number for number in range(20)))
        blocks[200] = entry(248, len(table), table, 3).ljust(BLOCK, b"\0")
    elif kind == "sparable":
        used = b"\2\x40" + bytes(2) + regid("*UDF Sparable Partition") + struct.pack("<HH", 1, 0)
        used += struct.pack("<HBBII", 32, 1, 0, BLOCK, 290) + bytes(12)
    image = bytearray(BLOCK * (FIRST + 210))

    def put(sector, raw):
        image[sector * BLOCK : sector * BLOCK + len(raw)] = raw

    for number, raw in blocks.items():
        put(FIRST + number, raw)
    if kind == "sparable":  # a packet with descriptors went bad, and lies elsewhere
        image[258 * BLOCK : 290 * BLOCK] = image[FIRST * BLOCK : (FIRST + 32) * BLOCK]
        image[FIRST * BLOCK : (FIRST + 32) * BLOCK] = b"\xbd" * (32 * BLOCK)
        table = regid("*UDF Sparing Table") + struct.pack("<HHI", 1, 0, 1) + struct.pack("<II", 0, 258)
        put(290, tagged(0, table))
    for number, name in enumerate((b"BEA01", b"NSR03", b"TEA01")):
        put(16 + number, b"\0" + name + b"\1")
    logical = bytes(68) + bytes(128) + struct.pack("<I", BLOCK) + bytes(32) + long_ad(BLOCK, 0, reference)
    logical += struct.pack("<II", len(used), 2) + bytes(168) + used
    logical = bytearray(logical)
    struct.pack_into("<I", logical, 268 - 16, 1 if kind in ("plain", "sparable") else 2)
    put(32, tagged(5, struct.pack("<IHH", 1, 1, 0) + bytes(160) + struct.pack("<III", 1, FIRST, 210) + bytes(300)))
    put(33, tagged(6, bytes(logical)))
    put(34, tagged(8, bytes(496)))
    put(256, tagged(2, struct.pack("<IIII", 3 * BLOCK, 32, 3 * BLOCK, 32) + bytes(480), 256))
    return image


STREAM = encode(picture(77, (120, 160)), "PNG")


def found_in(path, **options):
    files, issues = {}, []
    for member in walk(path, options=SourceOptions(**options)):
        if isinstance(member, Issue):
            issues.append(member)
        else:
            with member.open() as stream:
                files[hashlib.sha256(stream.read()).hexdigest()] = member
    return files, issues


@pytest.mark.parametrize(
    ("kind", "odd"),
    [
        ("plain", {}),
        ("plain", {"pieces": True}),
        ("sparable", {}),
        ("virtual", {}),
        ("metadata", {}),
        ("metadata", {"mirror": True}),
    ],
)
def test_files_are_read_whatever_maps_their_blocks(tmp_path, kind, odd):
    (tmp_path / "a.udf").write_bytes(disc(kind, **odd))
    found, issues = found_in(tmp_path / "a.udf")
    assert set(found) == SHA
    assert not issues
    places = {member.locator.at for member in found.values()}
    assert places == {"/DCIM/Bild 0 – ä.jpg", "/Bild 1 – ä.jpg", "/Bild 2 – ä.jpg"}
    assert {member.modified_utc for member in found.values()} == {"2024-05-06T08:08:07.000000Z"}
    for sha, member in found.items():
        with reopen(member.locator).open() as stream:
            assert hashlib.sha256(stream.read()).hexdigest() == sha


def test_what_is_kept_beside_a_file_and_what_was_deleted_is_found(tmp_path):
    (tmp_path / "a.udf").write_bytes(disc(stream=True, deleted=True))
    found, issues = found_in(tmp_path / "a.udf")
    assert set(found) == SHA | {hashlib.sha256(STREAM).hexdigest()}
    assert not issues
    deleted = {member.locator.at for member in found.values() if member.locator.deleted}
    assert deleted == {"/Bild 2 – ä.jpg@7", "/Bild 2 – ä.jpg@7:hidden.jpg"}
    assert len(found_in(tmp_path / "a.udf", deleted=False)[0]) == 2


def test_every_changed_byte_of_what_tells_of_files_is_noticed(tmp_path):
    whole = disc()
    for block in (0, 2, 3, 5):
        changed = bytearray(whole)
        changed[(FIRST + block) * BLOCK + 60] ^= 1
        (tmp_path / "a.udf").write_bytes(changed)
        found, issues = found_in(tmp_path / "a.udf")
        assert set(found) < SHA
        assert [issue.error for issue in issues] in (["broken_image"], ["unreadable_folder"])


def test_a_disc_that_was_cut_off_says_so(tmp_path):
    (tmp_path / "a.udf").write_bytes(disc()[: BLOCK * (FIRST + 46)])
    members = list(walk(tmp_path / "a.udf"))
    assert [member.message for member in members if isinstance(member, Issue)] == [
        f"the image ends {164 * BLOCK:,} bytes before the file system does: what lies there is missing"
    ]
    lost = []
    for member in members:
        if not isinstance(member, Issue):
            with member.open() as stream:
                try:
                    assert hashlib.sha256(stream.read()).hexdigest() in SHA
                except DamagedError:
                    lost.append(member)
    assert 0 < len(lost) < len(SHA)


def bridge(folder, *options):
    """As genisoimage writes it: the same files in ISO 9660 and UDF."""
    if not shutil.which("genisoimage"):
        pytest.skip("genisoimage makes discs")
    (folder / "in" / "DCIM").mkdir(parents=True)
    for name, data in PICTURES.items():
        (folder / "in" / "DCIM" / name).write_bytes(data)
    path = folder / "a.iso"
    subprocess.run(["genisoimage", "-quiet", "-udf", *options, "-o", path, folder / "in"], check=True)
    return path


def test_a_disc_of_two_file_systems_gives_each_file_once_and_what_one_names_alone(tmp_path):
    pytest.importorskip("pytsk3", reason="needs the extra forensic (pytsk3)")
    path = bridge(tmp_path)
    found, issues = found_in(path)
    assert set(found) == SHA
    assert not issues
    assert {member.locator.kind for member in found.values()} == {"fs"}
    hidden = bridge(tmp_path / "hidden", "-hide", "*.jpg")
    found, issues = found_in(hidden)
    assert set(found) == SHA
    assert {member.locator.kind for member in found.values()} == {"udf"}
    with reopen(found[min(SHA)].locator).open() as stream:
        assert hashlib.sha256(stream.read()).hexdigest() == min(SHA)


def test_what_was_udf_before_it_was_partitioned_is_the_disk_that_it_is_now(tmp_path):
    pytest.importorskip("pytsk3", reason="needs the extra forensic (pytsk3)")
    stick = disc()
    struct.pack_into("<B3xB3xII", stick, 446, 0x80, 7, 2048, 100)
    stick[510:512] = b"\x55\xaa"
    (tmp_path / "a.img").write_bytes(stick)
    found, issues = found_in(tmp_path / "a.img")
    assert not found
    assert any(issue.locator.kind == "partition" for issue in issues)
    struct.pack_into("<B3xB3xII", stick, 446, 0x80, 7, 0, len(stick) // 512)  # as mkudffs makes it
    (tmp_path / "b.img").write_bytes(stick)
    assert set(found_in(tmp_path / "b.img")[0]) == SHA
