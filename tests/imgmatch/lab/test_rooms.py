"""Rendered rooms: the same seeds give the same bytes, and the ground truth agrees with the pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from imgmatch.errors import UsageError
from imgmatch.lab.rooms import KINDS, LIGHTINGS, Camera, Room, homography, overlap

SIZE = (160, 120)


@pytest.fixture(scope="module")
def room() -> Room:
    return Room.random(4, kind="bedroom")


def detail(pixels: np.ndarray) -> np.ndarray:
    """Grey without the slow changes that exposure and vignetting make."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return grey - cv2.GaussianBlur(grey, (0, 0), 8)


def test_same_seeds_same_bytes():
    first = Room.random(11).view(3, SIZE)
    second = Room.random(11).view(3, SIZE)
    assert first.pixels.tobytes() == second.pixels.tobytes()
    assert first.pixels.dtype == np.uint8
    assert first.pixels.shape == (120, 160, 3)
    np.testing.assert_array_equal(first.camera.K, second.camera.K)


def test_other_seed_other_picture():
    pictures = [Room.random(seed).view(view, SIZE).pixels.tobytes() for seed in (1, 2) for view in (1, 2)]
    assert len(set(pictures)) == 4


def test_a_view_does_not_depend_on_the_views_before_it(room):
    alone = Room.random(4, kind="bedroom").view(9, SIZE)
    room.view(1, SIZE)
    pair = [view.pixels.tobytes() for view in room.views(2, 1, 0.0, SIZE)]
    assert room.view(9, SIZE).pixels.tobytes() == alone.pixels.tobytes()
    assert pair == [view.pixels.tobytes() for view in room.views(2, 1, 0.0, SIZE)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_pixel_shows_a_surface_and_most_views_show_furniture(kind):
    several = 0
    for seed in range(4):
        view = Room.random(seed, kind=kind).view(0, SIZE)
        index = view.surface_index()
        assert (index >= 0).all(), "a hole in the room"
        assert view.pixels.std() > 8
        things = {surface.item for name, surface in view.surfaces.items() if view.visible[name] > 0.003}
        several += len(things - {"room", "trim"}) >= 3
    assert several >= 3


def test_depth_agrees_with_the_planes(room):
    view = room.view(2, SIZE)
    depth, index = view.depth_m(), view.surface_index()
    rng = np.random.default_rng(0)
    for row, col in zip(rng.integers(0, 120, 40), rng.integers(0, 160, 40), strict=True):
        surface = view.mesh.surfaces[index[row, col]]
        ray = view.camera.R.T @ np.linalg.inv(view.camera.K) @ (col, row, 1)
        normal = surface.normal
        expected = normal @ (surface.corners_m[0] - view.camera.position_m) / (normal @ ray)
        assert depth[row, col] == pytest.approx(expected, rel=1e-3)


def test_nothing_nearer_is_drawn_over(room):
    """At each of some pixels the surface drawn is the first that the ray meets, by brute force."""
    view = room.view(6, SIZE)
    index = view.surface_index()
    origin = view.camera.position_m
    rng = np.random.default_rng(1)
    agreed = 0
    spots = list(zip(rng.integers(0, 120, 40).tolist(), rng.integers(0, 160, 40).tolist(), strict=True))
    for row, col in spots:
        ray = view.camera.R.T @ np.linalg.inv(view.camera.K) @ (col, row, 1)
        nearest, best = -1, np.inf
        for number, surface in enumerate(view.mesh.surfaces):
            facing = surface.normal @ ray
            if facing > -1e-9 and not surface.two_sided:
                continue
            distance = surface.normal @ (surface.corners_m[0] - origin) / facing
            if not 0.05 < distance < best:
                continue
            hit = np.append(origin + ray * distance, 1.0)
            unit = np.linalg.lstsq(surface.unit_to_world(), hit, rcond=None)[0]
            s, t = unit[:2] / unit[2]
            if not (0 <= s <= 1 and 0 <= t <= 1):
                continue
            if surface.alpha is not None:
                rows, cols = surface.alpha.shape
                if surface.alpha[min(rows - 1, int(t * rows)), min(cols - 1, int(s * cols))] < 128:
                    continue
            nearest, best = number, distance
        agreed += nearest == index[row, col]
    # Pixels on an edge may go to either side.
    assert agreed >= 37


def test_faces_of_furniture_look_outwards(room):
    """The middle of a box lies behind each of its faces."""
    checked = 0
    for item in room.items:
        faces = [s for s in room.mesh.surfaces if s.name.startswith(f"{item.name}.base_")]
        if len(faces) < 3:
            continue
        middle = np.mean([face.corners_m.mean(axis=0) for face in faces], axis=0)
        for face in faces:
            assert (face.corners_m.mean(axis=0) - middle) @ face.normal > 0, face.name
        checked += 1
    assert checked


def test_homography_takes_corners_to_corners(room):
    first, second = room.views(2, 3, 0.3, SIZE)
    name = max(first.visible, key=lambda key: first.visible[key])
    corners = first.mesh.by_name[name].corners_m
    a, depth_a = first.camera.project(corners)
    b, depth_b = second.camera.project(corners)
    ahead = (depth_a > 0.1) & (depth_b > 0.1)
    assert ahead.any()
    mapped = cv2.perspectiveTransform(a[None], homography(first, second, name))[0]
    np.testing.assert_allclose(mapped[ahead], b[ahead], atol=1e-3)


def test_homography_maps_the_pixels():
    """Where both views see a surface, the warped first view looks like the second."""
    correlations = []
    for seed in range(5):
        room = Room.random(seed)
        first, second = room.views(2, seed, 0.45, (240, 180))
        seen_first, seen_second = first.surface_index(), second.surface_index()
        for name in sorted(first.visible, key=lambda key: -first.visible[key])[:6]:
            number = next(n for n, s in enumerate(room.mesh.surfaces) if s.name == name)
            matrix = homography(first, second, name)
            warped = cv2.warpPerspective(detail(first.pixels), matrix, (240, 180))
            mask = cv2.warpPerspective((seen_first == number).astype(np.uint8), matrix, (240, 180)) > 0
            mask &= seen_second == number
            mask = cv2.erode(mask.astype(np.uint8), np.ones((7, 7))) > 0
            target = detail(second.pixels)
            # Bare paint has no detail to compare, only the grain of each photograph.
            patterned = room.mesh.by_name[name].texture.std(axis=(0, 1)).mean() > 10
            if mask.sum() > 300 and patterned:
                correlations.append(np.corrcoef(warped[mask], target[mask])[0, 1])
    assert len(correlations) >= 8
    assert np.median(correlations) > 0.7
    assert min(correlations) > 0.4


def test_wrong_surface_does_not_map(room):
    first, second = room.views(2, 3, 0.3, SIZE)
    floor = homography(first, second, "room.floor")
    ceiling = homography(first, second, "room.ceiling")
    assert not np.allclose(floor, ceiling, rtol=0.05)


def test_overlap_is_a_symmetric_share(room):
    views = [room.view(seed, SIZE) for seed in range(4)]
    for first in views:
        assert overlap(first, first) == pytest.approx(1.0, abs=0.02)
        for second in views:
            assert 0 <= overlap(first, second) <= 1
            assert overlap(first, second) == overlap(second, first)


def test_overlap_of_opposite_cameras_is_nothing(room):
    middle = np.array([room.size_m[0] / 2, room.size_m[1] / 2, 1.5])
    east, aside = np.array([1.0, 0, 0]), np.array([1.0, 0.15, 0])
    first = room.render(Camera.looking(middle, middle + east, 60, 0, SIZE))
    opposite = room.render(Camera.looking(middle, middle - east, 60, 0, SIZE))
    turned = room.render(Camera.looking(middle, middle + aside, 60, 0, SIZE))
    assert overlap(first, opposite) == 0
    assert overlap(first, turned) > 0.7


@pytest.mark.parametrize("least", [0.0, 0.4, 0.9])
def test_views_overlap_as_asked(room, least):
    views = room.views(3, 2, least, SIZE)
    assert len(views) == 3
    for number, first in enumerate(views):
        for second in views[:number]:
            assert overlap(first, second) >= least


def test_rooms_of_one_style_share_finishes_but_not_details():
    first, second = (Room.random(seed, style=8, kind="bedroom") for seed in (1, 2))
    other = Room.random(1, style=9, kind="bedroom")

    def floor(room: Room) -> np.ndarray:
        return room.mesh.by_name["room.floor"].texture.reshape(-1, 3).mean(axis=0)

    assert np.abs(floor(first) - floor(second)).max() < 6
    assert np.abs(floor(first) - floor(other)).max() > 6
    assert first.size_m != second.size_m
    assert [item.name for item in first.items] != [item.name for item in second.items]


def test_given_pictures_hang_on_the_walls():
    red = np.zeros((60, 80, 3), np.uint8)
    red[:] = (250, 5, 5)
    room = next(
        room
        for room in (Room.random(seed, kind="bedroom", pictures=[red]) for seed in range(20))
        if "picture_1.front" in room.mesh.by_name
    )
    shown = room.mesh.by_name["picture_1.front"].texture
    assert (np.abs(shown.astype(int) - (250, 5, 5)).max(axis=2) < 6).mean() > 0.3


def test_lighting_changes_the_light_not_the_geometry(room):
    views = [room.view(5, SIZE, lighting) for lighting in LIGHTINGS]
    np.testing.assert_array_equal(views[0].surface_index(), views[1].surface_index())
    assert len({view.pixels.tobytes() for view in views}) == 3
    assert [view.lighting for view in views] == list(LIGHTINGS)


def test_odd_sizes(room):
    for size in ((1, 1), (37, 64), (600, 40)):
        assert room.view(1, size).pixels.shape == (size[1], size[0], 3)


def test_errors_say_what_to_do(room):
    with pytest.raises(UsageError, match="no kind of room 'cellar': choose one of bedroom, bathroom, living"):
        Room.random(0, kind="cellar")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no lighting 'dusk'"):
        room.view(0, SIZE, "dusk")
    with pytest.raises(UsageError, match=r"min_overlap 1\.5 is out of range"):
        room.views(2, 0, 1.5)
    view = room.view(0, SIZE)
    with pytest.raises(UsageError, match="no surface 'roof'"):
        homography(view, view, "roof")
    stranger = Room.random(99).view(0, SIZE)
    with pytest.raises(UsageError, match="same room"):
        homography(view, stranger, "room.floor")
    with pytest.raises(UsageError, match="same room"):
        overlap(view, stranger)
