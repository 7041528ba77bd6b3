"""Hotels as data: what is drawn from seeds, what rooms share, where cameras and people stand. No Blender."""

import math
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from imgmatch.errors import ImgmatchError
from imgmatch.lab.hotels import models, places
from imgmatch.lab.hotels.camera import Camera, free
from imgmatch.lab.hotels.design import hotel
from imgmatch.lab.hotels.meshes import SHAPES
from imgmatch.lab.hotels.models import LICENCES, ROLES, Catalogue, role_keys
from imgmatch.lab.hotels.scene import Finish, Thing, mirrored
from imgmatch.lab.hotels.visits import visit

SIZES = {"bin": (0.25, 0.25, 0.35), "lying": (0.7, 1.7, 0.5), "standing": (0.5, 0.4, 1.75), "armchair": (0.8, 0.8, 0.9),
         "sofa": (1.9, 0.9, 0.8), "chair": (0.45, 0.5, 0.9)}  # fmt: skip


@pytest.fixture(scope="module")
def furniture(tmp_path_factory):
    """A catalogue with every model that a role names, as a folder with the .sh3f files; the OBJ files are empty."""
    folder = tmp_path_factory.mktemp("sh3f")
    lines = {name: [] for name in LICENCES}
    number = 0
    for role in ROLES:
        width, depth, height = SIZES.get(role, (0.5, 0.4, 0.6))
        for key in role_keys(role):
            catalogue, name = key.split("/")
            number += 1
            rows = {"model": f"/x/{name}.obj", "width": width * 100, "depth": depth * 100, "height": height * 100}
            lines[catalogue] += [f"{field}#{number}={value}" for field, value in rows.items()]
    for name, rows in lines.items():
        with zipfile.ZipFile(folder / f"{name}.sh3f", "w") as archive:
            archive.writestr("PluginFurnitureCatalog.properties", "\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def catalogue(furniture, tmp_path_factory):
    folder = tmp_path_factory.mktemp("furniture")
    models.unpack(furniture, folder)
    return Catalogue(folder)


def scenes(design, catalogue, place):
    numbers = sorted(set(places.visits_of(design, place)))
    return {number: places.scene(design, catalogue, place, number) for number in numbers}


def every_place(catalogue, hotels=4):
    for number in range(hotels):
        design = hotel(1, number)
        for place in places.places(design):
            yield design, place, scenes(design, catalogue, place)


def test_a_design_is_drawn_from_its_seed():
    assert hotel(1, 7) == hotel(1, 7)
    assert len({repr(hotel(1, number)) for number in range(20)} | {repr(hotel(2, 0))}) == 21


def test_a_hotel_in_the_public_domain_has_only_such_models():
    for number in range(10):
        assert all(key.startswith("BlendSwap-CC-0/") for key in hotel(1, number, only_cc0=True).models.values())


def test_people_are_adults():
    people = {key for role in ("standing", "sitting", "on the ground", "lying") for key in role_keys(role)}
    assert people
    assert not [key for key in people if any(word in key.lower() for word in ("boy", "girl", "child", "kid"))]


def test_every_hotel_has_its_places():
    for number in range(30):
        plan = places.places(hotel(1, number))
        assert 8 <= len(plan) <= 16
        assert {"guest room", "bathroom"} < {place.kind for place in plan}
        assert all(3 <= place.views <= 6 for place in plan)


def test_a_scene_is_drawn_from_its_seeds(catalogue):
    design = hotel(1, 3)
    for place in places.places(design):
        assert places.scene(design, catalogue, place, 1) == places.scene(design, catalogue, place, 1)


def test_rooms_of_a_hotel_share_their_design_and_are_told_apart(catalogue):
    for number in range(5):
        design = hotel(1, number)
        rooms = [place for place in places.places(design) if place.kind == "guest room"][:6]
        made = [places.scene(design, catalogue, place, 0) for place in rooms]
        looks = set(design.finishes.values())
        for scene in made:
            walls = {finish for thing in scene.things if thing.role == "room" for finish in thing.finishes}
            assert walls <= looks
            beds = [thing for thing in scene.things if thing.name.startswith("bed") and thing.shape == "soft"]
            assert beds
            assert {thing.model for thing in scene.things if thing.name == "chair"} <= set(design.models.values())
        own = [{(thing.name, thing.at, thing.size, thing.seed) for thing in scene.things if thing.role == "wear"}
               for scene in made]  # fmt: skip
        assert len({frozenset(marks) for marks in own}) == len(made)
        views = {finish.seed for scene in made for thing in scene.things if thing.role == "outside"
                 for finish in thing.finishes}  # fmt: skip
        assert len(views) == len(made)
        assert len({scene.size for scene in made}) == len(made)


def test_what_does_not_move_stands_where_it_stood_at_another_visit(catalogue):
    compared = 0
    for _, _, at in every_place(catalogue, 8):
        if len(at) < 2:
            continue
        fixed = [{(thing.name, thing.at, thing.turn, thing.size) for thing in scene.things
                  if not thing.movable and thing.role not in ("lamp", "outside")} for scene in at.values()]  # fmt: skip
        assert fixed[0] == fixed[1]
        compared += 1
    assert compared > 10


def test_visits_differ():
    design = hotel(1, 0)
    assert visit(design, 1, 0) == visit(design, 1, 0)
    assert len({repr(visit(design, 1, number)) for number in range(10)}) == 10
    assert {visit(design, room, 0).time for room in range(60)} == {"sun", "day", "dusk", "night"}


def test_instances_keep_their_numbers_from_visit_to_visit(catalogue):
    for _, _, at in every_place(catalogue, 2):
        numbers = places.numbering(list(at.values()))
        assert len(set(numbers.values())) == len(numbers)
        assert {thing.name for scene in at.values() for thing in scene.things} <= set(numbers)
        assert max(number for name, number in numbers.items() if not name.startswith("person")) < places.PERSON


def test_no_camera_stands_in_furniture_or_a_wall(catalogue):
    count = 0
    for design, place, at in every_place(catalogue):
        made = places.shots(design, catalogue, place, at, 256)
        assert len(made) == place.views
        assert [shot.stem for shot in made] == [f"{place.name}-v{index}" for index in range(place.views)]
        for shot in made:
            scene = at[shot.visit]
            assert free(shot.camera, scene, 0.12)
            for thing in scene.things:
                low, high = thing.bounds()
                inside = (low < shot.camera.at).all() and (high > shot.camera.at).all()
                assert not (inside and thing.solid), thing
            count += 1
    assert count > 100


def test_views_are_drawn_from_their_seeds(catalogue):
    design = hotel(1, 2)
    place = places.places(design)[0]
    at = scenes(design, catalogue, place)
    assert places.shots(design, catalogue, place, at, 256) == places.shots(design, catalogue, place, at, 256)


def test_half_of_the_views_have_somebody_in_front(catalogue):
    shots = [shot for design, place, at in every_place(catalogue, 6)
             for shot in places.shots(design, catalogue, place, at, 256)]  # fmt: skip
    share = np.mean([bool(shot.people) for shot in shots])
    assert 0.35 < share < 0.65
    for shot in shots:
        for person in shot.people:
            low, high = person.bounds()
            assert not ((low < shot.camera.at).all() and (high > shot.camera.at).all())
            assert shot.camera.sees((low + high) / 2)


def test_nobody_is_in_front_where_only_the_public_domain_is_asked_for(furniture, tmp_path):
    models.unpack(furniture, tmp_path)
    public = Catalogue(tmp_path, only_cc0=True)
    design = hotel(1, 0, only_cc0=True)
    for place in places.places(design):
        at = scenes(design, public, place)
        assert all(
            not thing.model or public[thing.model].licence == "CC0-1.0" for s in at.values() for thing in s.things
        )
        assert not any(shot.people for shot in places.shots(design, public, place, at, 128))


def test_a_camera_projects_where_it_looks():
    camera = Camera((1.0, 2.0, 1.5), (4.0, 3.0, 1.0), 0.1, math.radians(70), 256, 192)
    rays = camera.rays(3, 3)
    ahead = np.array(camera.target) - camera.at
    assert np.allclose(rays[4], ahead / np.linalg.norm(ahead))
    assert camera.sees(np.array(camera.target))
    assert not camera.sees(np.array(camera.at) - ahead)
    rotation = camera.rotation()
    assert np.allclose(rotation.T @ rotation, np.eye(3))
    assert np.isclose(np.linalg.det(rotation), 1)
    assert rotation[2, 1] < 0  # down is down


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mesh_is_whole_and_as_large_as_it_says(shape):
    extra = {"wall": (-0.3, 0.3, 0.2, 0.9), "frame": (0.03, 0.05), "curtain": (5.0, 0.04),
             "duvet": (0.2, 0.2, 0.01, 0.0), "pillow": (0.004, 0.0)}.get(shape, ())  # fmt: skip
    thing = Thing("x", shape, (0, 0, 0), (1.6, 0.8, 1.2), (Finish(), Finish(), Finish()), extra=extra)
    mesh = SHAPES[shape](thing)
    assert np.isfinite(mesh.vertices).all()
    assert mesh.uv.shape == (len(mesh.vertices), 2)
    assert all(0 <= corner < len(mesh.vertices) for face in mesh.faces for corner in face)
    assert not mesh.parts or len(mesh.parts) == len(mesh.faces)
    width = np.ptp(mesh.vertices[:, 0])
    assert 1.4 < width < 2.1
    if shape not in ("sheet", "duvet"):
        assert mesh.vertices[:, 2].min() > -1e-6
        assert 1.0 < np.ptp(mesh.vertices[:, 2]) < 1.35


def test_a_hole_in_a_wall_is_where_it_is_also_in_the_room_next_door():
    wall = Thing("w", "wall", (2.0, 4.0, 0), (4.0, 0, 2.5), (Finish(),), extra=(-1.5, -0.5, 0.0, 2.0))

    def area(thing):
        total = 0.0
        mesh = SHAPES["wall"](thing)
        for face in mesh.faces:
            x, _, z = mesh.vertices[list(face)].T
            total += np.ptp(x) * np.ptp(z)
        return total

    assert np.isclose(area(wall), 4.0 * 2.5 - 2.0)
    (other,) = mirrored([wall], 4.0)
    assert other.extra == (0.5, 1.5, 0.0, 2.0)
    assert np.isclose(area(other), area(wall))
    assert mirrored([other], 4.0)[0] == replace(wall, turn=0.0)


def test_a_catalogue_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ImgmatchError, match="sweethome3d-furniture"):
        models.unpack(tmp_path, tmp_path / "out")
    with pytest.raises(ImgmatchError, match="no furniture catalogue"):
        Catalogue(tmp_path)
