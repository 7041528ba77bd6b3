"""Pictures out of disks whose tables, boot sectors or superblocks are damaged: by the copies of these, and said so."""

import hashlib
import shutil
import struct
import subprocess
import uuid
import zlib

import pytest

from imgmatch.evidence import Reopener, SourceOptions, walk
from imgmatch.types import Evidence, Issue
from tests.conftest import encode, picture

pytest.importorskip("pytsk3", reason="needs the extra forensic (pytsk3)")
PICTURES = {f"IMG{n}.JPG": encode(picture(70 + n, (160, 120)), "JPEG") for n in range(3)}
SHA = {hashlib.sha256(data).hexdigest() for data in PICTURES.values()}
MIB = 1 << 20


def call(name, *arguments):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not found:
        pytest.skip(f"needs the tool {name}")
    subprocess.run([found, *map(str, arguments)], check=True, capture_output=True, timeout=120)


def pictures_of(path, **options):
    """SHA-256 of what is found, and the issues as text; each place is found again."""
    found, issues = {}, []
    again = Reopener(SourceOptions(**options))
    for member in walk(path, options=SourceOptions(**options)):
        if isinstance(member, Issue):
            issues.append(f"{member.error}: {member.message}")
            continue
        with member.open() as stream:
            digest = hashlib.sha256(stream.read()).hexdigest()
        with again.reopen(member.locator).open() as stream:
            assert hashlib.sha256(stream.read()).hexdigest() == digest
        found[digest] = str(member.locator)
    return found, issues


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("content")
    for name, data in PICTURES.items():
        (folder / name).write_bytes(data)
    return folder


def fat(path, bits, megabytes, folder, *options):
    path.write_bytes(bytes(megabytes * MIB))
    call("mkfs.vfat", "-F", bits, *options, path)
    call("mcopy", "-i", path, *folder.iterdir(), "::/")
    return bytearray(path.read_bytes())


def ext(path, megabytes, folder, *options):
    path.write_bytes(bytes(megabytes * MIB))
    call("mke2fs", "-q", "-F", "-t", "ext4", "-d", folder, *options, path)
    return bytearray(path.read_bytes())


def ntfs(path, folder):
    path.write_bytes(bytes(8 * MIB))
    call("mkntfs", "-q", "-F", "-f", path)
    for name in PICTURES:
        call("ntfscp", "-f", path, folder / name, name)
    return bytearray(path.read_bytes())


def exfat():
    """A volume of 4 MiB in clusters of 4 KiB, after the specification: boot regions, FAT, bitmap, root, files."""
    sectors, heap, clusters = 8192, 256, (8192 - 256) // 8
    boot = bytearray(512)
    boot[:11] = b"\xeb\x76\x90EXFAT   "
    struct.pack_into("<QQIIIIII", boot, 64, 0, sectors, 24, 64, heap, clusters, 3, 0x1234)
    struct.pack_into("<HHBBBB", boot, 104, 0x100, 0, 9, 3, 1, 0x80)
    boot[510:] = b"\x55\xaa"
    region = bytes(boot) + (bytes(510) + b"\x55\xaa") * 8 + bytes(1024)
    total = 0
    for place, byte in enumerate(region):
        if place not in (106, 107, 112):
            total = ((total << 31 | total >> 1) + byte) & 0xFFFFFFFF
    region += struct.pack("<I", total) * 128
    volume = bytearray(sectors * 512)
    volume[: 2 * len(region)] = region * 2
    root, data, next_cluster = bytearray(), {}, 5
    root += struct.pack("<BB18xIQ", 0x81, 0, 2, (clusters + 7) // 8)
    root += struct.pack("<B3xI12xIQ", 0x82, 0, 4, 128)
    for name, content in PICTURES.items():
        stream = struct.pack("<BBBBHHQII", 0xC0, 3, 0, len(name), 0, 0, len(content), 0, next_cluster)
        stream += struct.pack("<Q", len(content))
        named = struct.pack("<BB", 0xC1, 0) + name.encode("utf-16-le").ljust(30, b"\0")
        entry = struct.pack("<BBHHHIIIBBBBB7x", 0x85, 2, 0, 0x20, 0, *[0x5A210000] * 3, 0, 0, 0x80, 0x80, 0x80)
        both, checksum = entry + stream + named, 0
        for place, byte in enumerate(both):
            if place not in (2, 3):
                checksum = ((checksum << 15 | checksum >> 1) + byte) & 0xFFFF
        root += both[:2] + struct.pack("<H", checksum) + both[4:]
        data[next_cluster] = content
        next_cluster += -(-len(content) // 4096)
    data |= {2: ((1 << (next_cluster - 2)) - 1).to_bytes((clusters + 7) // 8, "little"), 3: bytes(root), 4: bytes(128)}
    for cluster, content in data.items():
        at = heap * 512 + (cluster - 2) * 4096
        volume[at : at + len(content)] = content
    struct.pack_into("<5I", volume, 24 * 512, 0xFFFFFFF8, *[0xFFFFFFFF] * 4)
    return volume


@pytest.fixture(scope="module")
def volumes(tmp_path_factory, folder):
    """One volume of each kind, by its name, made when it is asked for."""
    base, made = tmp_path_factory.mktemp("volumes"), {}
    how = {
        "fat12": lambda path: fat(path, 12, 2, folder),
        "fat16": lambda path: fat(path, 16, 16, folder),
        "fat32": lambda path: fat(path, 32, 40, folder),
        "fat32 of 4096": lambda path: fat(path, 32, 300, folder, "-S", "4096"),
        "ext4": lambda path: ext(path, 12, folder, "-b", "1024"),
        "ext4 of 2048": lambda path: ext(path, 40, folder, "-b", "2048"),
        "ext4 of 4096": lambda path: ext(path, 140, folder, "-b", "4096"),
        "ntfs": lambda path: ntfs(path, folder),
        "exfat": lambda path: exfat(),
    }

    def volume(name):
        if name not in made:
            made[name] = how[name](base / name.replace(" ", "-"))
        return bytearray(made[name])

    return volume


def zeroed(volume, start, size):
    volume[start : start + size] = bytes(size)


def garbled(volume, start, size):
    volume[start : start + size] = b"\xa7" * size


def signature(volume, _, __):
    volume[510:512] = b"\x55\xba"


@pytest.mark.parametrize("where", ["alone", "partition"])
@pytest.mark.parametrize(
    ("name", "damage", "start", "size"),
    [
        ("fat12", signature, 0, 0),
        ("fat16", signature, 0, 0),
        ("fat32", signature, 0, 0),
        ("fat32", zeroed, 0, 512),
        ("fat32", garbled, 0, 512),
        ("fat32", garbled, 11, 40),
        ("fat32", garbled, 14, 2),
        ("exfat", signature, 0, 0),
        ("exfat", zeroed, 0, 12 * 512),
        ("exfat", garbled, 88, 4),
        ("exfat", garbled, 0, 11),
        ("ntfs", signature, 0, 0),
        ("ntfs", zeroed, 0, 512),
        ("ntfs", garbled, 3, 90),
        ("ext4", zeroed, 1024, 1024),
        ("ext4", garbled, 1024, 4096),
        ("ext4", zeroed, 1024 + 56, 2),
        ("ext4 of 2048", zeroed, 0, 2048),
    ],
)
def test_a_volume_is_read_by_what_it_keeps_a_copy_of(tmp_path, volumes, name, damage, start, size, where):
    volume = volumes(name)
    damage(volume, start, size)
    if where == "partition":
        volume = bytes(mbr((0x83, 2048, len(volume) // 512))) + bytes(2047 * 512) + volume
    image = tmp_path / "disk.dd"
    image.write_bytes(volume)
    found, issues = pictures_of(image)
    assert found.keys() >= SHA
    assert any("damaged" in issue for issue in issues), issues
    assert image.read_bytes() == volume, "written to"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("fat32 of 4096", 4096), ("ext4 of 4096", 8192)])
def test_a_large_volume_is_read_by_what_it_keeps_a_copy_of(tmp_path, volumes, name, size):
    volume = volumes(name)
    garbled(volume, 0, size)
    (tmp_path / "disk.dd").write_bytes(volume)
    found, issues = pictures_of(tmp_path / "disk.dd")
    assert found.keys() >= SHA
    assert any("damaged" in issue for issue in issues), issues


def mbr(*entries, signature=b"\x55\xaa"):
    head = bytearray(512)
    for number, (kind, start, count) in enumerate(entries):
        struct.pack_into("<B3xB3xII", head, 446 + 16 * number, 0, kind, start, count)
    head[510:] = signature
    return head


def gpt(size, parts, unit=512):
    """The head and the tail of a disk with a GPT."""
    entries = b"".join(
        uuid.UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7").bytes_le
        + uuid.UUID(int=number + 1).bytes_le
        + struct.pack("<QQQ", start, last, 0)
        + f"part {number}".encode("utf-16-le").ljust(72, b"\0")
        for number, (start, last) in enumerate(parts)
    ).ljust(128 * 128, b"\0")
    last = size // unit - 1
    table = 128 * 128 // unit

    def header(own, other, at):
        fields = [b"EFI PART", 0x10000, 92, 0, 0, own, other, 2 + table, last - 1 - table]
        fields += [uuid.UUID(int=9).bytes_le, at, 128, 128, zlib.crc32(entries)]
        raw = struct.pack("<8sIIIIQQQQ16sQIII", *fields)
        return (raw[:16] + struct.pack("<I", zlib.crc32(raw)) + raw[20:]).ljust(unit, b"\0")

    head = bytes(mbr((0xEE, 1, min(last, 0xFFFFFFFF)))).ljust(unit, b"\0")
    return head + header(1, last, 2) + entries, entries + header(last, 1, last - table)


def disk_of(volume, unit=512):
    """A disk with one volume at 1 MiB under a GPT."""
    size = MIB + len(volume) + MIB
    start = MIB // unit
    head, tail = gpt(size, [(start, start + len(volume) // unit - 1)], unit)
    disk = bytearray(size)
    disk[: len(head)], disk[MIB : MIB + len(volume)], disk[size - len(tail) :] = head, volume, tail
    return disk


@pytest.mark.parametrize("unit", [512, 4096])
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda disk, unit: None, None),
        (lambda disk, unit: zeroed(disk, 0, unit), "MBR"),
        (lambda disk, unit: zeroed(disk, unit, unit), "copy"),
        (lambda disk, unit: garbled(disk, unit + 40, 4), "copy"),
        (lambda disk, unit: garbled(disk, 2 * unit + 40, 4), "copy"),
        (lambda disk, unit: zeroed(disk, 0, 2 * unit + 16384), "copy"),
        (lambda disk, unit: zeroed(disk, len(disk) - unit, unit), "copy of the GPT"),
    ],
)
def test_a_gpt_is_read_by_its_copy(tmp_path, volumes, unit, damage, says):
    disk = disk_of(volumes("fat16"), unit)
    damage(disk, unit)
    image = tmp_path / "disk.dd"
    image.write_bytes(disk)
    found, issues = pictures_of(image)
    assert found.keys() >= SHA
    assert all("|partition:1@1048576|fs:/" in place for place in found.values())
    assert not issues if says is None else any(says in issue for issue in issues), issues


def test_a_hybrid_mbr_adds_what_the_gpt_does_not_name(tmp_path, volumes):
    first, second = volumes("fat16"), volumes("fat12")
    disk = disk_of(first)
    disk = disk[: -len(gpt(len(disk), [])[1])] + second + disk[-len(gpt(len(disk), [])[1]) :]
    beyond = (len(disk) - len(gpt(len(disk), [])[1]) - len(second)) // 512
    disk[:512] = mbr((0xEE, 1, 2047), (0x0C, 2048, len(first) // 512), (0x01, beyond, len(second) // 512))
    (tmp_path / "disk.dd").write_bytes(disk)
    places = [str(member.locator) for member in walk(tmp_path / "disk.dd") if isinstance(member, Evidence)]
    assert sum("|partition:1@1048576|" in place for place in places) == 3
    assert sum(f"|partition:2@{beyond * 512}|" in place for place in places) == 3


def test_an_mbr_counts_sectors_of_the_size_that_its_disk_has(tmp_path, volumes):
    volume = volumes("fat16")
    (tmp_path / "disk.dd").write_bytes(mbr((0x0E, 256, len(volume) // 4096)) + bytes(MIB - 512) + volume)
    found, issues = pictures_of(tmp_path / "disk.dd")
    assert found.keys() >= SHA
    assert not issues


def test_an_mbr_with_a_damaged_signature_is_read_and_named(tmp_path, volumes):
    volume = volumes("fat16")
    head = mbr((0x0E, 2048, len(volume) // 512), signature=b"\x55\xba")
    (tmp_path / "disk.dd").write_bytes(head + bytes(MIB - 512) + volume)
    found, issues = pictures_of(tmp_path / "disk.dd")
    assert found.keys() >= SHA
    assert any("55 ba" in issue for issue in issues)


def test_logical_partitions_that_lead_back_to_themselves_end(tmp_path, volumes):
    volume = volumes("fat12")
    count = len(volume) // 512
    first = mbr((0x01, 64, count), (0x05, 64 + count, count + 64))
    loop = mbr((0x01, 64, count), (0x05, 0, count + 64))
    disk = mbr((0x05, 128, 2 * count + 128)) + bytes(127 * 512)
    disk += first + bytes(63 * 512) + volume + loop + bytes(63 * 512) + volume
    (tmp_path / "disk.dd").write_bytes(disk)
    found, issues = pictures_of(tmp_path / "disk.dd")
    assert found.keys() >= SHA
    places = [str(member.locator) for member in walk(tmp_path / "disk.dd") if isinstance(member, Evidence)]
    assert len(places) == 6
    assert any("leads back to itself" in issue for issue in issues)


@pytest.mark.parametrize("whole", [True, False])
def test_apples_partition_map(tmp_path, volumes, whole):
    volume = volumes("fat16")

    def entry(count, start, length, kind):
        return struct.pack(">2sHIII32s32s", b"PM", 0, count, start, length, b"name", kind).ljust(512, b"\0")

    head = (struct.pack(">2sHI", b"ER", 512, 90000) if whole else b"").ljust(512, b"\0")
    head += entry(2, 1, 63, b"Apple_partition_map") + entry(2, 2048, len(volume) // 512, b"Apple_HFS")
    (tmp_path / "disk.dd").write_bytes(head.ljust(MIB, b"\0") + volume)
    found, issues = pictures_of(tmp_path / "disk.dd")
    assert found.keys() >= SHA
    assert any("Apple" in issue for issue in issues) is not whole


@pytest.mark.parametrize("absolute", [True, False])
def test_a_disklabel_in_a_partition(tmp_path, volumes, absolute):
    volume = volumes("fat16")
    base = 2048 if absolute else 0
    label = bytearray(512)
    struct.pack_into("<I", label, 0, 0x82564557)
    struct.pack_into("<I", label, 40, 512)
    struct.pack_into("<IHH", label, 132, 0x82564557, 0, 4)
    struct.pack_into("<IIIB", label, 148 + 16 * 2, 4096 + len(volume) // 512, base, 0, 0)
    struct.pack_into("<IIIB", label, 148 + 16 * 3, len(volume) // 512, base + 1024, 0, 8)
    inner = bytes(512) + label + bytes(1022 * 512) + volume + bytes(4096 * 512 - 1024 * 512)
    (tmp_path / "disk.dd").write_bytes(mbr((0xA5, 2048, len(inner) // 512)) + bytes(MIB - 512) + inner)
    found, _ = pictures_of(tmp_path / "disk.dd")
    assert found.keys() >= SHA
    assert all("|partition:1@1048576|partition:1@524288|fs:" in place for place in found.values())


def test_partitions_that_overlap_or_lie_outside_are_named(tmp_path, volumes):
    volume = volumes("fat16")
    count = len(volume) // 512
    head = mbr((0x0E, 2048, count), (0x0E, 4096, count), (0x83, 10 * count, count))
    (tmp_path / "disk.dd").write_bytes(head + bytes(MIB - 512) + volume)
    found, issues = pictures_of(tmp_path / "disk.dd")
    assert found.keys() >= SHA
    assert any("overlap" in issue for issue in issues)
    assert any("behind the end" in issue for issue in issues)
    assert any("ends" in issue and "before the partition" in issue for issue in issues)


def test_carving_covers_what_no_partition_and_no_file_system_does(tmp_path, volumes):
    volume = volumes("fat16")
    count = len(volume) // 512
    between, unknown, behind = (encode(picture(80 + n, (160, 120)), "JPEG") for n in range(3))
    disk = bytearray(mbr((0x0E, 2048, count), (0x83, 4096 + count, 2048)) + bytes(MIB - 512) + volume)
    disk += bytes(2 * MIB + 2 * MIB)
    disk[512 * (2048 + count + 10) :][: len(between)] = between
    for data, sector in ((between, 2048 + count + 10), (unknown, 4096 + count + 8), (behind, 4096 + count + 2048 + 4)):
        disk[512 * sector : 512 * sector + len(data)] = data
    (tmp_path / "disk.dd").write_bytes(disk)
    found, issues = pictures_of(tmp_path / "disk.dd", carve=True)
    places = [found.get(hashlib.sha256(data).hexdigest(), "") for data in (between, unknown, behind)]
    assert "|carved:" in places[0]
    assert "|partition:2@" in places[1]
    assert "|carved:" in places[1]
    assert "|carved:" in places[2]
    assert any("known file system" in issue for issue in issues)
    without, _ = pictures_of(tmp_path / "disk.dd")
    assert without.keys() == SHA


def sparse(disk, block=4096):
    """An image as img2simg writes it."""
    chunks, number = [], 0
    blocks = [bytes(disk[at : at + block]) for at in range(0, len(disk), block)]
    while number < len(blocks):
        kind = 0 if not any(blocks[number]) else 1 if blocks[number] == blocks[number][:4] * (block // 4) else 2
        end = number
        while end < len(blocks) and (blocks[end] == blocks[number] if kind < 2 else any(blocks[end])):
            end += 1
        data = [b"", blocks[number][:4], b"".join(blocks[number:end])][kind]
        chunks.append(struct.pack("<HHII", [0xCAC3, 0xCAC2, 0xCAC1][kind], 0, end - number, 12 + len(data)) + data)
        number = end
    head = struct.pack("<IHHHHIIII", 0xED26FF3A, 1, 0, 28, 12, block, len(blocks), len(chunks), 0)
    return head + b"".join(chunks)


def test_a_sparse_image_of_android(tmp_path, volumes):
    volume = volumes("fat16")
    volume[-8192:] = b"fill" * 2048
    image = tmp_path / "userdata.simg"
    image.write_bytes(sparse(volume))
    assert image.stat().st_size < len(volume) // 4
    found, issues = pictures_of(image)
    assert found.keys() >= SHA
    assert not issues
    image.write_bytes(sparse(volume)[:-5000])
    issues = [member.message for member in walk(image) if isinstance(member, Issue)]
    assert any("missing" in issue for issue in issues)


@pytest.mark.parametrize(
    ("at", "magic", "name"),
    [
        (65600, b"_BHRfS_M", "btrfs file system"),
        (1024, b"\x10\x20\xf5\xf2", "F2FS file system"),
        (0, b"hsqs", "SquashFS file system"),
        (4096, b"\xfc\x4e\x2b\xa9\1\0\0\0", "member of a Linux RAID"),
    ],
)
def test_a_volume_that_is_not_read_is_named_in_its_partition(tmp_path, at, magic, name):
    volume = bytearray(b"\x11" * MIB)
    volume[at : at + len(magic)] = magic
    (tmp_path / "disk.dd").write_bytes(mbr((0x83, 2048, 2048)) + bytes(MIB - 512) + volume)
    found, issues = pictures_of(tmp_path / "disk.dd")
    assert not found
    assert any(f"unsupported: {name}" in issue for issue in issues), issues
