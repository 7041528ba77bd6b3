"""Near-copies and links, looked at by geometry."""

import pytest
from PIL import Image

from indexer.case.case import Case
from indexer.intake.ingest import ingest
from indexer.search.closer import closer_look, verify_links
from indexer.search.copies import Copies
from indexer.search.groups import Link, NearestLinks, groups, links
from tests.conftest import encode, textured
from tests.indexer.vectors import inside, looking


def write(path, image):
    path.write_bytes(encode(image, "PNG"))
    return path


ORIGINAL = textured(0, (480, 360))
COPIES = {
    "mirrored.png": (ORIGINAL.transpose(Image.Transpose.FLIP_LEFT_RIGHT), ["mirrored"]),
    "half.png": (ORIGINAL.resize((240, 180)), []),
    "turned.png": (ORIGINAL.transpose(Image.Transpose.ROTATE_270), ["turned by 90 degrees clockwise"]),
    "cropped.png": (ORIGINAL.crop((0, 0, 240, 360)), ["cropped: shows 50% of the best one"]),
    "wide.png": (ORIGINAL.resize((480, 240)), ["stretched"]),
    "other.png": (textured(9), None),
}


@pytest.fixture
def filled(case, embedder, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "original.png", ORIGINAL)
    for name, (image, _) in COPIES.items():
        write(folder / name, image)
    ingest(case, [folder], embedder)
    return case


def names(case):
    return {s[0].locator.at.rsplit("/", 1)[1]: i for i, s in inside(case).sightings.of(range(1, 20)).items() if s}


def test_how_a_copy_differs_is_said(filled):
    ids = names(filled)
    items = inside(filled).items.by_id(ids.values())
    look = closer_look(looking(filled))
    for name, (_, said) in COPIES.items():
        found = list(look(items[ids["original.png"]], items[ids[name]]))
        if said is None:
            assert found[0].startswith("not verified: ")
        elif name == "wide.png":
            assert found[0].startswith(("stretched: 149%", "stretched: 150%", "stretched: 151%"))
        else:
            assert found == said


def test_a_picture_with_a_border_and_one_that_is_gone(filled, embedder, tmp_path):
    page = Image.new("RGB", (640, 480), (255, 255, 255))
    page.paste(ORIGINAL.resize((320, 240)), (160, 120))
    ingest(filled, [write(tmp_path / "page.png", page)], embedder)
    ids = names(filled)
    items = inside(filled).items.by_id(ids.values())
    look = closer_look(looking(filled))
    (said,) = look(items[ids["original.png"]], items[ids["page.png"]])
    assert said == "75% of it is something else (a border, a page, other pictures)"
    (tmp_path / "page.png").unlink()
    assert closer_look(looking(filled))(items[ids["original.png"]], items[ids["page.png"]]) == (
        "not looked at: source gone",
    )


def test_groups_say_it(filled, embedder):
    (group,) = [
        g
        for g in groups(
            looking(filled), embedder.spec, Copies(looking(filled)).told, 0.85, compare=closer_look(looking(filled))
        )
        if len(g.members) > 1
    ]
    said = {m.sightings[0].at.rsplit("/", 1)[1]: m.differs for m in group.members}
    assert group.members[0].differs == ()
    assert "mirrored" in said["mirrored.png"]


def test_links_are_in_one_order_and_verified_ones_first(filled, embedder, tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    for seed in range(20, 24):
        write(folder / f"{seed}.png", textured(seed))
    write(folder / "copy.png", ORIGINAL.crop((30, 20, 460, 340)))
    with Case.create(tmp_path / "other", model=embedder.spec) as other:
        ingest(other, [folder], embedder)
        every = NearestLinks().take(links(looking(filled), looking(other), embedder.spec, 0.01))
        count = len(every)
        assert count > 3
        keys = [(-link.similarity, link.item.item_id, link.other.item_id) for link in every]
        assert keys == sorted(keys)
        for order in (every, every[::-1]):
            nearest = NearestLinks(3)
            assert (nearest.take(order), nearest.count) == (every[:3], count)
        judged = verify_links(looking(filled), looking(other), every)
        flags = [link.verification.verified for link in judged]
        assert flags == sorted(flags, reverse=True)
        assert {link.other_place.at.rsplit("/", 1)[1] for link in judged if link.verification.verified} == {"copy.png"}
        rest = [(link.item, link.other) for link in judged if not link.verification.verified]
        assert rest == [(link.item, link.other) for link in every if (link.item, link.other) in rest]
        (folder / "copy.png").unlink()
        gone: list[Link] = verify_links(looking(filled), looking(other), every)
        said = {link.verification.reason for link in gone if link.other_place.at.endswith("copy.png")}
        assert said == {"can't be verified: source gone"}
        assert len(gone) == count
