"""What is kept of a rendered hotel, and that a kill costs one view at most."""

import importlib.util
import json

import numpy as np
import pytest

from imgmatch.errors import ImgmatchError
from imgmatch.lab.hotels.manifest import HotelFolder
from imgmatch.lab.hotels.run import Settings, collection
from imgmatch.lab.hotels.views import views

FACTS = {"seed": 1, "hotel": 4}


def kept(folder, stem):
    fields = {"stem": stem, "place": "r00", "kind": "guest room", "intrinsics": np.eye(3).tolist(),
              "pose": np.eye(4).tolist()}  # fmt: skip
    folder.keep(
        fields, np.full((6, 8, 3), 90, np.uint8), np.full((6, 8), 1.5, np.float16), np.full((6, 8), 7, np.uint16)
    )


@pytest.fixture
def folder(tmp_path):
    folder = HotelFolder(tmp_path, 4)
    folder.claim()
    assert folder.start(FACTS) == set()
    kept(folder, "r00-v0")
    kept(folder, "r00-v1")
    return folder


def test_views_are_read_back(folder, tmp_path):
    assert list(views(tmp_path)) == []
    folder.finish(3)
    first, second = views(tmp_path)
    assert (first.hotel, first.place, first.kind, first.stem, second.stem) == (
        4,
        "r00",
        "guest room",
        "r00-v0",
        "r00-v1",
    )
    assert first.picture.read_bytes()[:2] == b"\xff\xd8"
    depth, ids = first.geometry()
    assert (depth.dtype, ids.dtype) == (np.float16, np.uint16)
    assert depth.max() == 1.5
    assert ids.max() == 7
    assert np.array_equal(first.pose(), np.eye(4))


def test_a_cut_line_and_a_missing_file_are_rendered_again(folder, tmp_path):
    lines = folder.path / "views.jsonl"
    with lines.open("a") as file:
        file.write('{"stem": "r00-v2", "pla')
    assert HotelFolder(tmp_path, 4).start(FACTS) == {"r00-v0", "r00-v1"}
    assert len(lines.read_text().splitlines()) == 2
    (folder.path / "r00-v1.npz").unlink()
    assert HotelFolder(tmp_path, 4).start(FACTS) == {"r00-v0"}
    assert [json.loads(line)["stem"] for line in lines.read_text().splitlines()] == ["r00-v0"]


def test_a_hotel_begun_with_other_settings_is_left_alone(folder, tmp_path):
    with pytest.raises(ImgmatchError, match="other settings"):
        HotelFolder(tmp_path, 4).start({**FACTS, "seed": 2})
    assert HotelFolder(tmp_path, 4).start(FACTS) == {"r00-v0", "r00-v1"}


def test_what_rendering_needs_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImgmatchError, match="bpy"):
        collection(tmp_path / "new", 1, Settings(1), 1, tmp_path, print)
    assert not (tmp_path / "new").exists()
