"""A container is one module and one line: what it declares is all that walking and finding again go by."""

import inspect
import os
import pkgutil
import random
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks.hostile_files import mutate, seeds
from imgmatch.evidence import DEFAULT_OPTIONS, Reopener, SourceOptions, formats, recognise, walk
from imgmatch.evidence.container import Container
from imgmatch.types import Evidence, Issue
from tests.conftest import ROOT, encode, picture

DECLARED = [
    value
    for module in pkgutil.iter_modules(formats.__path__, "imgmatch.evidence.formats.")
    for _, value in inspect.getmembers(import_module(module.name), inspect.isclass)
    if issubclass(value, Container) and value.__module__ == module.name and hasattr(value, "name")
]


def test_every_container_that_declares_itself_is_asked_once():
    assert len(recognise.FORMATS) == len(set(recognise.FORMATS))
    assert set(recognise.FORMATS) == set(DECLARED)


@pytest.mark.parametrize("container", recognise.FORMATS, ids=lambda container: container.name)
def test_what_a_container_declares_is_there(container):
    assert container.name
    assert container.kinds or not container.opens
    assert container.switch is None or hasattr(DEFAULT_OPTIONS, container.switch)
    if container.needs is not None:
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert container.needs[1] in extras


def _begins(container):
    return [*container.begins, *container.magic] or [bytes([first]) for first in range(256)]


@pytest.mark.parametrize("container", recognise.FORMATS, ids=lambda container: container.name)
def test_a_file_is_asked_whatever_it_may_be_by_its_first_byte(container):
    for begin in _begins(container):
        assert container in recognise.that_may_begin_with(begin[0], recognise.FORMATS)


def test_asking_by_the_first_byte_leaves_nothing_out(tmp_path, monkeypatch):
    rng = random.Random(1)
    heads = [begin for container in recognise.FORMATS for begin in container.magic + container.begins]
    heads += [bytes([first]) for first in range(256)] + [
        b"X\0\0\x18ftypheic",
        b"....ftypavis",
        b"G" + b"\0" * 187 + b"G",
    ]
    odd = [rng.choice(heads) + rng.randbytes(rng.choice((0, 3, 40, 600, 5000, 70_000))) for _ in range(300)]
    pool = [data for kind in seeds().values() for data in kind]
    files = [*heads, *odd, *pool, *(mutate(data, rng, pool) for data in pool for _ in range(3))]
    for number, data in enumerate(files):
        (tmp_path / f"{number:05}").write_bytes(data)
    found = list(walk(tmp_path, options=SourceOptions(inside=False)))
    quick = [recognise.recognise(entry, DEFAULT_OPTIONS) for entry in found]
    monkeypatch.setattr(recognise, "that_may_begin_with", lambda first, formats, text=False: formats)
    assert quick == [recognise.recognise(entry, DEFAULT_OPTIONS) for entry in found]
    assert len({container for seen in quick for container in seen.containers}) > 15


class Box(Container):
    """Lines of hexadecimal behind a magic: as a new module would declare it."""

    name = "box"
    kinds = ("box",)
    magic = (b"BOX:",)
    switch = "documents"

    def members(self):
        """One a line."""
        data = self.access().read_at(4, 1 << 20)
        for number, line in enumerate(data.split()):
            if line == b"-":
                yield self.issue(str(number), "lost", "nothing is there")
                continue
            content = bytes.fromhex(line.decode())
            self._content = Bytes(content)
            yield self.extent(str(number), self._content, 0, len(content))


class Bytes:
    def __init__(self, data):
        self.data, self.size = data, len(data)

    def read_at(self, offset, size):
        return self.data[offset : offset + size]


class Stuck(Box):
    """Something behind the end of a picture: evidence of its own too."""

    name, kinds, itself, switch = "picture with a box", ("stuck",), True, None

    @classmethod
    def recognise(cls, look):
        """By what stands at the end."""
        return look.head.startswith(b"\x89PNG") and look.at(-4, 4) == b"BOX!"

    def members(self):
        """The box."""
        yield self.extent("box", self.access(), 0, 8)


@pytest.fixture
def box(monkeypatch):
    monkeypatch.setattr(recognise, "FORMATS", (Stuck, Box, *recognise.FORMATS))


def test_a_new_container_is_walked_nested_and_found_again(box, tmp_path):
    inner = b"BOX: " + b" ".join([b"aa", b"-", b"bbcc"])
    path = tmp_path / "a.box"
    path.write_bytes(b"BOX: " + inner.hex().encode() + b" dd")
    found = list(walk(path))
    assert [str(f.locator).partition("|")[2] for f in found] == ["box:0|box:0", "box:0|box:1", "box:0|box:2", "box:1"]
    assert [type(f) for f in found] == [Evidence, Issue, Evidence, Evidence]
    with Reopener().reopen(found[2].locator).open() as stream:
        assert stream.read() == b"\xbb\xcc"
    (whole,) = walk(path, options=SourceOptions(documents=False))
    assert whole.locator.kind == "file"


def test_a_file_may_be_a_picture_and_two_containers(box, monkeypatch, tmp_path):
    first = encode(picture(1), "PNG", save_all=True, append_images=[picture(2)])
    path = tmp_path / "a.png"
    path.write_bytes(first + b"BOX!")
    found = list(walk(path))
    assert [f.locator.kind for f in found] == ["file", "stuck", "frame"]
    again = Reopener()
    for one in found:
        assert isinstance(again.reopen(one.locator), Evidence)


def test_folders_of_any_depth_are_walked(tmp_path):
    folders = [f"{tmp_path}{'/d' * depth}" for depth in range(1, 1_200)]
    for folder in folders:
        os.mkdir(folder)
    try:
        Path(folders[-1], "a.jpg").touch()
        assert [f.locator.at for f in walk(tmp_path)] == [f"{folders[-1]}/a.jpg"]
    finally:  # shutil.rmtree can't
        Path(folders[-1], "a.jpg").unlink(missing_ok=True)
        for folder in reversed(folders):
            os.rmdir(folder)
