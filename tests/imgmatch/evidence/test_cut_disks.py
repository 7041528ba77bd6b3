"""A disk that ends in the middle of a file, by every file system that tools here make: files before it are whole."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from imgmatch.evidence import walk
from imgmatch.evidence.read import read
from imgmatch.types import Evidence
from tests.conftest import encode
from tests.imgmatch.evidence.test_disk_images import call

pytest.importorskip("pytsk3", reason="needs the extra forensic (pytsk3)")


def photograph(seed):
    return encode(Image.fromarray(np.random.default_rng(seed).integers(0, 256, (160, 240, 3), dtype=np.uint8)), "BMP")


FILES = {f"P{seed}.BMP": photograph(seed) for seed in range(4)}


def fat(image, folder):
    call("mkfs.vfat", image)
    for name in FILES:
        call("mcopy", "-i", image, folder / name, "::/")


def ext4(image, folder):
    call("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", folder, image)


def ntfs(image, folder):
    call("mkntfs", "-q", "-F", "-f", image)
    for name in FILES:
        call("ntfscp", "-f", image, folder / name, name)


@pytest.mark.parametrize("make", [fat, ext4, ntfs], ids=lambda make: make.__name__)
def test_a_disk_that_ends_in_a_file_gives_those_before_it_whole_and_says_what_is_missing(tmp_path, make):
    folder, image = tmp_path / "in", tmp_path / "disk.dd"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    image.write_bytes(bytes(8 << 20))
    make(image, folder)
    whole = image.read_bytes()
    at = {name: whole.find(data) for name, data in FILES.items()}
    order = sorted((name for name in FILES if at[name] > 0), key=at.__getitem__)  # ext4 lays one in pieces
    assert len(order) >= 3
    cut = at[order[1]] + 70_000
    image.write_bytes(whole[:cut])
    found = {}
    for entry in walk(image):
        if isinstance(entry, Evidence):
            try:
                found[entry.locator.at.rpartition("/")[2]] = read(entry)
            except Exception as error:  # noqa: BLE001
                found[entry.locator.at.rpartition("/")[2]] = error
    before, broken, *behind = (found[name] for name in order)
    assert before.digests.sha256 == hashlib.sha256(FILES[order[0]]).hexdigest()
    assert not before.lost
    assert [(lost.start, lost.end) for lost in broken.lost] == [(70_000 // 512 * 512, len(FILES[order[1]]))]
    assert broken.data[:69_632] == FILES[order[1]][:69_632]
    assert all(getattr(error, "kind", None) == "unreadable" for error in behind)
