"""One small hotel by Blender, where `bpy` and Debian's furniture are installed."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from imgmatch.lab.hotels.models import SOURCE
from imgmatch.lab.hotels.views import views

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("bpy") is None, reason="needs bpy"),
    pytest.mark.skipif(not (SOURCE / "Scopia.sh3f").exists(), reason="needs sweethome3d-furniture"),
]


def rendered(folder, *options):
    command = [sys.executable, "-m", "imgmatch.lab.hotels", str(folder), "--hotels", "1", "--seed", "5", "--rooms", "2"]
    done = subprocess.run([*command, "--views", "2", "--px", "64", "--samples", "1", *options], env=os.environ,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return list(views(folder))


def test_a_hotel_is_rendered_with_depth_and_instances_that_fit(tmp_path):
    found = rendered(tmp_path)
    assert len(found) == 4
    for view in found:
        depth, ids = view.geometry()
        assert depth.shape == ids.shape == (view.fields["height"], view.fields["width"])
        assert (ids > 0).mean() > 0.98
        assert depth.min() > 0.2
        assert set(np.unique(ids[ids > 0]).tolist()) <= set(range(1, 1004))
        assert view.fields["licences"]
    # What one view sees of the floor lies at the height 0 in the world, by depth, lens and pose alone.
    checked = 0
    for view in found:
        depth, ids = view.geometry()
        rows, cols = np.nonzero(ids == view.fields["instances"].get("floor", [-1])[0])
        if len(rows) < 20:
            continue
        pixels = np.stack([cols + 0.5, rows + 0.5, np.ones(len(rows))], axis=1)
        rays = pixels @ np.linalg.inv(view.intrinsics()).T * depth[rows, cols, None].astype(float)
        world = rays @ view.pose()[:3, :3].T + view.pose()[:3, 3]
        assert np.median(np.abs(world[:, 2])) < 0.02
        checked += 1
    assert checked


def test_rendering_goes_on_where_it_stopped(tmp_path):
    found = rendered(tmp_path)
    again = {view.stem: view.picture.read_bytes() for view in found}
    lost = found[1]
    lost.picture.unlink()
    (lost.folder / "whole").unlink()
    kept = found[0].picture.stat().st_mtime_ns
    found = rendered(tmp_path)
    assert {view.stem for view in found} == set(again)
    assert next(view for view in found if view.stem != lost.stem).picture.stat().st_mtime_ns == kept
    assert next(view for view in found if view.stem == lost.stem).picture.read_bytes() == again[lost.stem]
