"""Where a scene is seen from two sides: which surfaces agree, in words, in numbers and in the drawing."""

import cv2
import numpy as np
import pytest

from imgmatch import language
from imgmatch.lab.hotels.views import places
from imgmatch.match.drawing import SURFACES, draw
from imgmatch.match.features import extract
from imgmatch.match.surfaces import surfaces
from imgmatch.match.verify import query_features, verify

WIDTH, HEIGHT = 480, 360
K = np.array([[400.0, 0, WIDTH / 2], [0, 400.0, HEIGHT / 2], [0, 0, 1]])
LEFT = np.array([[-2.0, -1, 3], [0, -1, 4], [0, 1, 4], [-2, 1, 3]])
RIGHT = np.array([[0.0, -1, 4], [2, -1, 3], [2, 1, 3], [0, 1, 4]])


def camera(x: float, turn: float):
    """World to pixels, from beside the middle and turned."""
    cos, sin = np.cos(turn), np.sin(turn)
    rotation = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    return lambda points: _divided((points - [x, 0, 0]) @ rotation.T @ K.T)


def _divided(points):
    return points[:, :2] / points[:, 2:]


def corner(project, shown=((0, "r00"), (1, "r01"))):
    """The corner of a room: two walls, each with a picture of its own all over it."""
    canvas = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    for wall, place in zip((LEFT, RIGHT), shown, strict=True):
        texture = cv2.resize(places()[place][0].pixels(), (400, 400))
        flat = np.array([[0, 0], [400, 0], [400, 400], [0, 400]], np.float32)
        matrix = cv2.getPerspectiveTransform(flat, project(wall).astype(np.float32))
        seen = cv2.warpPerspective(np.ones((400, 400), np.uint8), matrix, (WIDTH, HEIGHT)) > 0
        canvas[seen] = cv2.warpPerspective(texture, matrix, (WIDTH, HEIGHT))[seen]
    return canvas


def verified(query, item):
    return verify(query_features(query, query.shape[1::-1]), extract(item, item.shape[1::-1]))


HERE, THERE = camera(-0.9, 0.22), camera(0.9, -0.22)


@pytest.fixture(scope="module")
def found():
    return verified(corner(HERE), corner(THERE))


def _inside(outline, project, wall):
    hull = project(wall).astype(np.float32)
    return all(cv2.pointPolygonTest(hull, (float(x), float(y)), True) > -3 for x, y in outline)


def test_each_wall_of_a_corner_is_a_surface_outlined_where_it_lies(found):
    assert found.verified
    assert len(found.surfaces) == 2
    walls = [[wall for wall in (LEFT, RIGHT) if _inside(surface.query, HERE, wall)] for surface in found.surfaces]
    assert [len(of) for of in walls] == [1, 1]
    assert walls[0][0] is not walls[1][0]
    for surface, (wall,) in zip(found.surfaces, walls, strict=True):
        assert _inside(surface.item, THERE, wall)
        assert surface.points <= len(surface.lines)
    first, second = (surface.points for surface in found.surfaces)
    assert first >= second >= 8
    assert found.reason.endswith(f"; 2 surfaces agree: {first} + {second} points")


def test_a_wall_that_differs_is_no_surface():
    found = verified(corner(HERE), corner(THERE, ((0, "r00"), (2, "r02"))))
    assert found.verified
    assert len(found.surfaces) == 1
    assert _inside(found.surfaces[0].query, HERE, LEFT)
    assert "surface" not in found.reason


def test_of_a_mirrored_query_they_lie_where_the_query_shows_them():
    query = corner(HERE)
    found = verified(np.ascontiguousarray(query[:, ::-1]), corner(THERE))
    assert (found.verified, found.mirrored) == (True, True)
    assert found.surfaces
    for surface in found.surfaces:
        back = [(WIDTH - x, y) for x, y in surface.query]
        assert any(_inside(back, HERE, wall) and _inside(surface.item, THERE, wall) for wall in (LEFT, RIGHT))


def test_one_print_at_two_places_of_a_page_is_no_two_surfaces():
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(20, 120, 12.0), np.arange(20, 120, 12.0)))
    printed = np.column_stack([x, y])
    source, target = np.concatenate([printed, printed]), np.concatenate([printed, printed + np.array([200, 0])])
    frames = ((WIDTH, HEIGHT), (WIDTH, HEIGHT))
    order = np.random.default_rng(1).permutation(len(source))
    lines = np.column_stack([source, target])[order]
    assert len(surfaces(lines[:, :2], lines[:, 2:], lines, frames)) < 2
    assert len(surfaces(source[:81], target[:81], np.column_stack([source, target])[:81], frames)) == 1


def test_planes_are_sought_where_all_that_is_known_is_that_points_agree():
    """And points at all depths between them are of none."""
    rng = np.random.default_rng(5)
    weights = rng.dirichlet(np.ones(4), (2, 40))
    scattered = rng.uniform([-1.5, -1, 1.5], [1.5, 1, 2.5], (15, 3))
    world = np.concatenate([weights[0] @ LEFT, weights[1] @ RIGHT, scattered])
    source, target = HERE(world), THERE(world)
    order = rng.permutation(len(world))
    lines = np.column_stack([source, target])[order]
    parts = surfaces(source[order], target[order], lines, ((WIDTH, HEIGHT), (WIDTH, HEIGHT)))
    assert len(parts) == 2
    for surface in parts:
        assert any(_inside(surface.query, HERE, wall) for wall in (LEFT, RIGHT))
    assert surfaces(source[:0], target[:0], lines[:0], ((WIDTH, HEIGHT), (WIDTH, HEIGHT))) == ()


def test_the_drawing_gives_each_its_colour(found):
    blank = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    size = (WIDTH, HEIGHT)
    drawn = np.asarray(draw(blank, blank, found, None, [], (size, size)))
    alone = np.asarray(draw(blank, blank, verified(corner(HERE), corner(HERE)), None, [], (size, size)))
    for colour in SURFACES[:2]:
        assert (drawn == colour).all(axis=2).sum() > 100
    assert not (drawn == SURFACES[2]).all(axis=2).any()
    assert not (alone == SURFACES[1]).all(axis=2).any()


@pytest.mark.parametrize("name", ["de", "fr", "es"])
def test_the_words_are_translated(found, name):
    language.choose(name)
    try:
        assert "surfaces agree" not in language.phrase(found.reason)
    finally:
        language.choose("en")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "points",
    [np.zeros((50, 2)), np.column_stack([np.arange(50.0), np.arange(50.0)]), np.repeat([[1.0, 2], [300, 4]], 30, 0)],
    ids=["one place", "a line", "two places"],
)
def test_points_that_span_no_plane_are_no_surface(points):
    for target in (points, np.random.default_rng(1).uniform(0, 300, points.shape)):
        assert surfaces(points, target, np.column_stack([points, target]), ((WIDTH, HEIGHT), (WIDTH, HEIGHT))) == ()
