"""tar as it is met: links, sparse files, old and foreign headers, archives behind archives, damage."""

import gzip
import io
import os
import shutil
import subprocess
import tarfile

import pytest

from imgmatch.evidence import Reopener, walk
from imgmatch.types import Evidence, Issue
from tests.conftest import encode, picture
from tests.imgmatch.evidence.test_archives import content

PICTURES = [encode(picture(80 + n), "JPEG", quality=90) for n in range(4)]
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "pax": tarfile.PAX_FORMAT, "GNU": tarfile.GNU_FORMAT}


def tar(*members, format=tarfile.PAX_FORMAT) -> bytes:
    """Members (name, data) or (name, type, name of the target)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, *what in members:
            info = tarfile.TarInfo(name)
            if len(what) == 1:
                info.size = len(what[0])
                archive.addfile(info, io.BytesIO(what[0]))
            else:
                info.type, info.linkname = what
                archive.addfile(info)
    return buffer.getvalue()


def walked(tmp_path, data):
    """Place to content, or to the kind of the issue; each found again."""
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    again, found = Reopener(), {}
    for one in walk(path):
        place = str(one.locator).rpartition("|")[2]
        if isinstance(one, Issue):
            found[place] = one.error
        else:
            found[place] = content(one)
            assert content(again.reopen(one.locator)) == found[place]
    return found


@pytest.mark.parametrize("format", FORMATS)
def test_a_hard_link_is_what_it_leads_to_and_one_that_leads_nowhere_is_an_issue(tmp_path, format):
    data = tar(
        ("./a.jpg", PICTURES[0]),
        ("b.jpg", tarfile.LNKTYPE, "a.jpg"),
        ("c.jpg", tarfile.LNKTYPE, "b.jpg"),
        ("out.jpg", tarfile.LNKTYPE, "../elsewhere.jpg"),
        ("later.jpg", tarfile.LNKTYPE, "z.jpg"),
        ("itself.jpg", tarfile.LNKTYPE, "itself.jpg"),
        ("soft.jpg", tarfile.SYMTYPE, "a.jpg"),
        ("a.jpg", PICTURES[1]),
        ("d.jpg", tarfile.LNKTYPE, "a.jpg"),
        ("z.jpg", PICTURES[2]),
        format=FORMATS[format],
    )
    wanted = {
        "tar:./a.jpg": PICTURES[0],
        "tar:b.jpg": PICTURES[0],
        "tar:c.jpg": PICTURES[0],
        "tar:out.jpg": "link",
        "tar:later.jpg": "link",
        "tar:itself.jpg": "link",
        "tar:a.jpg": PICTURES[1],
        "tar:d.jpg": PICTURES[1],
        "tar:z.jpg": PICTURES[2],
    }
    assert walked(tmp_path, data) == wanted
    # Packed ones are read forwards once: what a link leads to stands there already.
    packed = {
        name: data if isinstance(data, bytes) and name[4] not in "bcd" else "link" for name, data in wanted.items()
    }
    assert walked(tmp_path, gzip.compress(data)) == packed


@pytest.mark.parametrize("packed", [False, True])
def test_an_archive_behind_an_archive_is_read_too(tmp_path, packed):
    data = tar(("a.jpg", PICTURES[0])) + bytes(3 << 20) + tar(("b.jpg", PICTURES[1])) + tar(("a.jpg", PICTURES[2]))
    wanted = {"tar:a.jpg": PICTURES[0], "tar:b.jpg": PICTURES[1], "tar:a.jpg;2": PICTURES[2]}
    assert walked(tmp_path, gzip.compress(data) if packed else data) == wanted


@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_header_costs_its_member_and_is_said(tmp_path, packed):
    data = bytearray(tar(*[(f"{n}.jpg", PICTURES[n]) for n in range(3)]))
    data[data.index(b"1.jpg") + 100] ^= 0xFF
    found = walked(tmp_path, gzip.compress(bytes(data)) if packed else bytes(data))
    (issue,) = [place for place, what in found.items() if what == "broken_archive"]
    assert {place: what for place, what in found.items() if place != issue} == {
        "tar:0.jpg": PICTURES[0],
        "tar:2.jpg": PICTURES[2],
    }


@pytest.mark.parametrize("packed", [False, True])
def test_something_else_behind_the_end_is_said(tmp_path, packed):
    data = tar(("a.jpg", PICTURES[0])) + b"something else" * 100
    found = walked(tmp_path, gzip.compress(data) if packed else data)
    assert found.pop("tar:a.jpg") == PICTURES[0]
    assert list(found.values()) == ["broken_archive"]


def test_a_member_of_a_type_that_nobody_knows_is_a_file(tmp_path):
    data = bytearray(tar(("a.jpg", PICTURES[0]), ("b.jpg", PICTURES[1])))
    data[156] = ord("Z")
    checksum = sum(data[:148]) + 8 * 32 + sum(data[156:512])
    data[148:156] = b"%06o\0 " % checksum
    assert walked(tmp_path, bytes(data)) == {"tar:a.jpg": PICTURES[0], "tar:b.jpg": PICTURES[1]}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("version", ["--format=gnu", "0.0", "0.1", "1.0"])
def test_sparse_files_are_whole(tmp_path, version, packed):
    if not shutil.which("tar"):
        pytest.skip("needs the tool tar")
    with open(tmp_path / "a.bin", "wb") as file:
        file.truncate(1 << 20)
        for at, data in ((0, PICTURES[0]), (300_000, PICTURES[1])):
            file.seek(at)
            file.write(data)
    wanted = (tmp_path / "a.bin").read_bytes()
    (tmp_path / "b.jpg").write_bytes(PICTURES[2])
    how = [version] if version.startswith("-") else ["--format=posix", f"--sparse-version={version}"]
    subprocess.run(["tar", *how, "-S", "-cf", "s.tar", "a.bin", "b.jpg"], cwd=tmp_path, check=True, timeout=60)
    os.unlink(tmp_path / "a.bin")
    data = (tmp_path / "s.tar").read_bytes()
    assert len(data) < 1 << 20
    found = walked(tmp_path, gzip.compress(data) if packed else data)
    assert found == {"tar:a.bin": wanted, "tar:b.jpg": PICTURES[2], f"behind:300000+{len(PICTURES[1])}": PICTURES[1]}


def test_times_of_a_tar_are_utc_before_1970_and_after_2038_too(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, when in (("a", -86_400), ("b", 4_102_444_800), ("c", 1 << 60)):
            info = tarfile.TarInfo(name)
            info.mtime = when
            archive.addfile(info, io.BytesIO())
    path = tmp_path / "a.tar"
    path.write_bytes(buffer.getvalue())
    assert [one.modified_utc for one in walk(path) if isinstance(one, Evidence)] == [
        "1969-12-31T00:00:00.000000Z",
        "2100-01-01T00:00:00.000000Z",
        None,
    ]
