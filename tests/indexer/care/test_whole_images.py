"""A disk image is held against the hashes that it stores of all its bytes, also where no picture lies."""

import zlib

import pytest

from tests.conftest import encode, picture, run
from tests.imgmatch.evidence.test_disk_images import call

pytest.importorskip("pytsk3", reason="needs the extra forensic (pytsk3)")


def test_check_reads_whole_images_and_compares_the_hashes_that_they_store(tmp_path):
    disk, folder, case = tmp_path / "disk.dd", tmp_path / "e", tmp_path / "case"
    folder.mkdir()
    disk.write_bytes(bytes(2 << 20))
    call("mkfs.vfat", "-F", "12", disk)
    (tmp_path / "a.jpg").write_bytes(encode(picture(1), "JPEG"))
    call("mcopy", "-i", disk, tmp_path / "a.jpg", "::/A.JPG")
    call("ewfacquire", "-u", "-q", "-c", "deflate:fast", "-t", folder / "d", disk)
    assert run("init", case).returncode == 0
    assert run("ingest", case, folder).returncode == 0
    assert run("check", case, "--sources").returncode == 0
    (path,) = folder.iterdir()
    data = bytearray(path.read_bytes())
    at = data.rindex(b"hash".ljust(16, b"\0")) + 76
    data[at] ^= 1
    data[at + 32 : at + 36] = zlib.adler32(data[at : at + 32]).to_bytes(4, "little")
    path.write_bytes(data)
    done = run("check", case, "--sources")
    assert done.returncode == 1
    said = (done.stdout + done.stderr).decode()
    assert "MD5 of all its bytes" in said
    assert "A.JPG" not in said  # what lies in it is as it was
