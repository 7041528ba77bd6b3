"""LVM2: a physical volume as pvcreate, vgcreate and lvcreate leave it, written here after lib/format_text of LVM2."""

import struct
import zlib

import pytest

from tests.imgmatch.evidence.test_damaged_volumes import MIB, SHA, ext, folder, pictures_of

pytest.importorskip("pytsk3", reason="needs the extra forensic (pytsk3)")
__all__ = ["folder"]
IDS = "5cuwDx-NzRg-urPl-6UAS-9Aq8-bTEO-8Pn5JZ", "RzEwAe-qwzX-wWJF-7aFH-N3no-YmQB-PF2n62"
AREA, EXTENT = 4096, 4 * MIB


def crc(data):
    return struct.pack("<I", zlib.crc32(data, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF)


def segment(first, count, stripes, kind="striped"):
    places = ", ".join(f'"{part}", {extent}' for part, extent in stripes)
    return (
        f'segment{first} {{ start_extent = {first}\nextent_count = {count}\ntype = "{kind}"\n'
        f"stripe_count = {len(stripes)}\nstripe_size = 128\nstripes = [ {places} ]\n}}\n"
    )


def physical(volumes, content):
    """A physical volume; ``volumes``: name and segments; ``content``: bytes by extent."""
    parts = "".join(
        f'pv{n} {{ id = "{each}"\ndevice = "/dev/sd{n}" # a hint\npe_start = 2048\npe_count = 15\n}}\n'
        for n, each in enumerate(IDS)
    )
    logical = "".join(
        f'{name} {{ id = "x"\nstatus = ["READ", "WRITE", "VISIBLE"]\n{"".join(segments)}}}\n'
        for name, segments in volumes.items()
    )
    text = (
        f'vg {{ id = "y"\nseqno = 7\nextent_size = {EXTENT // 512}\nphysical_volumes {{ {parts} }}\n'
        f"logical_volumes {{ {logical} }}\n}}\n# made here\n"
    ).encode() + b"\0"
    disk = bytearray(MIB + 15 * EXTENT)
    own = IDS[0].replace("-", "").encode() + struct.pack("<QQQQQQQQQ", len(disk), MIB, 0, 0, 0, AREA, MIB - AREA, 0, 0)
    label = struct.pack("<I8s", 32, b"LVM2 001") + own
    label += bytes(492 - len(label))
    disk[512:1024] = b"LABELONE" + struct.pack("<Q", 1) + crc(label) + label
    head = b" LVM2 x[5A%r0N*>" + struct.pack("<IQQ", 1, AREA, MIB - AREA)
    head += struct.pack("<QQ", 512, len(text)) + crc(text) + bytes(4)
    head += bytes(508 - len(head))
    disk[AREA : AREA + 512 + len(text)] = crc(head) + head + text
    for extent, data in content.items():
        disk[MIB + extent * EXTENT : MIB + extent * EXTENT + len(data)] = data
    return disk


@pytest.fixture(scope="module")
def system(tmp_path_factory, folder):
    return bytes(ext(tmp_path_factory.mktemp("plain") / "ext.img", 8, folder))


def striped(data):
    pieces = [data[at : at + 65536] for at in range(0, len(data), 65536)]
    return b"".join(pieces[::2]), b"".join(pieces[1::2])


def test_linear_and_striped_volumes_are_read(tmp_path, system):
    first, second = striped(system)
    volumes = {
        "linear": [segment(0, 1, [("pv0", 3)]), segment(1, 1, [("pv0", 0)])],
        "striped": [segment(0, 2, [("pv0", 5), ("pv0", 8)])],
        "far": [segment(0, 1, [("pv0", 10)]), segment(1, 1, [("pv1", 0)])],
        "thin": [segment(0, 1, [("pv0", 11)], "thin")],
    }
    content = {3: system[:EXTENT], 0: system[EXTENT:], 5: first, 8: second, 10: system[:EXTENT]}
    path = tmp_path / "pv.img"
    path.write_bytes(physical(volumes, content))
    found, issues = pictures_of(path)
    assert set(found) == SHA
    path.write_bytes(physical({"striped": volumes["striped"]}, content))
    assert all("|lvm:vg/striped|fs:/IMG" in place for place in pictures_of(path)[0].values())
    assert pictures_of(path)[1] == []
    assert any("lies in another physical volume (pv1)" in issue for issue in issues)
    assert "unsupported: LVM2 logical volume of kind thin; it is not read" in issues


@pytest.mark.parametrize("place", [AREA + 700, 512 + 40, AREA + 30])
def test_a_changed_byte_in_its_description_is_noticed(tmp_path, system, place):
    disk = physical({"lv": [segment(0, 2, [("pv0", 0)])]}, {0: system})
    disk[place] ^= 1
    (tmp_path / "pv.img").write_bytes(disk)
    issues = pictures_of(tmp_path / "pv.img")[1]
    assert any("does not fit" in issue for issue in issues)


def test_a_volume_group_without_a_description_is_named(tmp_path):
    disk = physical({}, {})
    disk[AREA : AREA + 4096] = bytes(4096)
    (tmp_path / "pv.img").write_bytes(disk)
    (issue,) = pictures_of(tmp_path / "pv.img")[1]
    assert issue.startswith("broken_image: the LVM2 physical volume can't be read: the description at byte 4,096")
