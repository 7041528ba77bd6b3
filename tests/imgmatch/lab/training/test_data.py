"""Pictures for training: found, checked, packed once, and every fault told in one line."""

import numpy as np
import pytest
from PIL import Image

from imgmatch.errors import UsageError
from imgmatch.lab.training.data import MINIMUM, find, held_out, pack, read_labels


def write_pictures(folder, count, size=(48, 36)):
    for seed in range(count):
        pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        path = folder / f"kind{seed % 3}" / f"{seed:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    write_pictures(root, MINIMUM)
    return root


def test_packs_pictures_with_their_sets_and_shapes(folder, tmp_path):
    found = pack([folder], tmp_path)
    assert found.pixels.shape == (MINIMUM, 256, 256, 3)
    assert found.pixels.dtype == np.uint8
    assert len(set(found.groups.tolist())) == 3
    assert found.aspects == pytest.approx(48 / 36)
    assert (found.labels == -1).all()
    assert len(found.sha256) == 64


def test_a_pack_is_reused_until_a_file_changes(folder, tmp_path):
    first = pack([folder], tmp_path)
    made = (tmp_path / "pictures.npy").stat().st_mtime_ns
    assert pack([folder], tmp_path).sha256 == first.sha256
    assert (tmp_path / "pictures.npy").stat().st_mtime_ns == made
    write_pictures(folder / "more", 3)
    assert len(pack([folder], tmp_path)) == MINIMUM + 3


def test_unreadable_and_tiny_pictures_are_listed_and_skipped(tmp_path):
    root = tmp_path / "pictures"
    write_pictures(root, MINIMUM)
    (root / "broken.jpg").write_bytes(b"\xff\xd8 broken")
    Image.new("RGB", (8, 300)).save(root / "thin.png")
    found = pack([root], tmp_path / "cache")
    assert len(found) == MINIMUM
    assert sorted(line.split(":")[0].rsplit("/")[-1] for line in found.skipped) == ["broken.jpg", "thin.png"]


def test_no_such_folder(tmp_path):
    with pytest.raises(UsageError, match="gone: no such file or folder"):
        find([tmp_path / "gone"])


def test_folder_without_pictures(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(UsageError, match="no picture in it"):
        find([tmp_path])


def test_too_few(tmp_path):
    write_pictures(tmp_path / "pictures", 5)
    with pytest.raises(UsageError, match=f"5 usable pictures; training needs at least {MINIMUM}"):
        pack([tmp_path / "pictures"], tmp_path / "cache")


def test_labels(folder, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("file,label\nkind0/000.png,Grand\nkind1/001.png,Plaza\nkind0/003.png,Grand\n")
    found = pack([folder], tmp_path / "cache", table)
    assert found.label_names == ("Grand", "Plaza")
    named = {file: int(label) for file, label in zip(found.files, found.labels, strict=True) if label >= 0}
    assert named == {"kind0/000.png": 0, "kind1/001.png": 1, "kind0/003.png": 0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\na,b\n", "no column 'file' in its first line"),
        ("file,hotel\na,b\n", "no column 'label' in its first line"),
        ("", "no column 'file'.*empty"),
        ("file,label\na,b\nc,\n", "line 3 lacks a file or a label"),
    ],
)
def test_labels_at_fault(tmp_path, text, message):
    table = tmp_path / "labels.csv"
    table.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_labels(table)


def test_labels_of_other_files(folder, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("file,label\nelsewhere.png,Grand\n")
    with pytest.raises(UsageError, match="none of its 1 files is among the pictures"):
        pack([folder], tmp_path / "cache", table)


def test_what_is_kept_aside_does_not_depend_on_the_rest():
    names = [f"{n}.jpg" for n in range(2000)]
    aside = held_out(names, 0.1)
    assert 0.07 < aside.mean() < 0.13
    assert (held_out(names[500:], 0.1) == aside[500:]).all()
