"""Labelled faces read from disk, each layout as its makers publish it; nothing is downloaded.

Groups and ages are those that a data set states of its pictures. None is guessed, and none is kept in a case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from imgmatch.errors import UsageError

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".pgm", ".ppm", ".tif", ".tiff")
_MOST_LINES = 20_000_000


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture of one person: whom it shows, of which group, at which age in years, as far as the data set says so."""

    path: Path
    person: str
    group: str = ""
    age: int | None = None


Pair = tuple[int, int, bool]
"""Places of two pictures, and whether they show one person."""


@dataclass(frozen=True, slots=True)
class FaceSet:
    """Pictures, and the pairs of them that its protocol compares; without a protocol (empty): all of them."""

    name: str
    pictures: tuple[Labelled, ...]
    pairs: tuple[Pair, ...] = ()


def read_faces(folder: Path, layout: str) -> FaceSet:
    """Read a data set of a layout. Raises UsageError where it is not of that layout, or there is none such."""
    reader = LAYOUTS.get(layout)
    if reader is None:
        raise UsageError(f"{layout!r} is no layout of faces; there are: {', '.join(LAYOUTS)}")
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the folder of the data set")
    found = reader(folder)
    if len({one.person for one in found.pictures}) < 2:
        raise UsageError(f"{folder}: holds pictures of {len({p.person for p in found.pictures})} people as {layout}")
    return found


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())


def _lines(path: Path) -> Iterator[list[str]]:
    """Words of each line that is not empty. Raises UsageError where it can't be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file):
                if number >= _MOST_LINES:
                    raise UsageError(f"{path}: longer than {_MOST_LINES:,} lines")
                if line.strip():
                    yield line.split()
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); give the whole data set") from error


def _folders(folder: Path) -> FaceSet:
    """A folder a person; above it, as far as there are such, a folder a group."""
    found = []
    for path in _pictures(folder):
        parts = path.relative_to(folder).parts
        if len(parts) > 1:
            found.append(Labelled(path, "/".join(parts[:-1]), parts[0] if len(parts) > 2 else ""))
    return FaceSet("folders", tuple(found))


def _lfw(folder: Path) -> FaceSet:
    """Labeled Faces in the Wild: NAME/NAME_0001.jpg, and pairs.txt (name n m; name n name m) where it lies beside."""
    pictures = _folders(folder).pictures
    protocol = next((path for path in (folder / "pairs.txt", folder.parent / "pairs.txt") if path.is_file()), None)
    if protocol is None:
        return FaceSet("lfw", pictures)
    place = {one.path.stem: number for number, one in enumerate(pictures)}
    return FaceSet("lfw", pictures, tuple(_named_pairs(protocol, place)))


def _named_pairs(protocol: Path, place: dict[str, int]) -> Iterator[Pair]:
    for words in _lines(protocol):
        if len(words) == 3:
            names, same = (f"{words[0]}_{int(words[1]):04d}", f"{words[0]}_{int(words[2]):04d}"), True
        elif len(words) == 4:
            names, same = (f"{words[0]}_{int(words[1]):04d}", f"{words[2]}_{int(words[3]):04d}"), False
        else:
            continue  # how many folds and pairs there are
        if all(name in place for name in names):
            yield place[names[0]], place[names[1]], same


def _rfw(folder: Path) -> FaceSet:
    """Racial Faces in-the-Wild: GROUP/PERSON/PERSON_0001.jpg, and txts/GROUP/GROUP_pairs.txt as those of LFW."""
    root = folder / "data" if (folder / "data").is_dir() else folder
    found = tuple(one for one in _folders(root).pictures if one.group and one.group != "txts")
    pairs: list[Pair] = []
    for group in sorted({one.group for one in found}):
        protocol = folder / "txts" / group / f"{group}_pairs.txt"
        if protocol.is_file():
            place = {one.path.stem: number for number, one in enumerate(found) if one.group == group}
            pairs += _named_pairs(protocol, place)
    return FaceSet("rfw", found, tuple(pairs))


def _bfw(folder: Path) -> FaceSet:
    """Balanced Faces in the Wild: GROUP_SEX/PERSON/0001_01.jpg, eight groups."""
    return FaceSet("bfw", tuple(one for one in _folders(folder).pictures if one.group))


def _named(folder: Path, name: str, pattern: str) -> FaceSet:
    """Pictures whose names say whom they show and how old."""
    form, found = re.compile(pattern), []
    for path in _pictures(folder):
        fits = form.fullmatch(path.stem)
        if fits:
            found.append(Labelled(path, fits["person"], fits.groupdict().get("group") or "", int(fits["age"])))
    return FaceSet(name, tuple(found))


def _agedb(folder: Path) -> FaceSet:
    """AgeDB: NUMBER_Name_AGE_SEX.jpg. AgeDB-30 are its pairs 30 years apart: see the table by years."""
    return _named(folder, "agedb", r"\d+_(?P<person>.+)_(?P<age>\d{1,3})_[a-zA-Z]")


def _morph(folder: Path) -> FaceSet:
    """MORPH: PERSON_NUMBERSEXAGE.jpg, as 009055_1M54."""
    return _named(folder, "morph", r"(?P<person>\d+)_\d+(?P<group>[MF])(?P<age>\d{1,3})")


def _calfw(folder: Path) -> FaceSet:
    """Cross-Age LFW: pictures, and pairs_CALFW.txt: two lines a pair, name and fold (0: two people)."""
    pictures = [Labelled(path, re.sub(r"_\d+$", "", path.stem)) for path in _pictures(folder)]
    place = {one.path.name: number for number, one in enumerate(pictures)}
    protocol = next(iter(sorted(folder.rglob("pairs_CALFW.txt"))), None)
    if protocol is None:
        raise UsageError(f"{folder}: has no pairs_CALFW.txt; give the whole data set")
    rows = [words for words in _lines(protocol) if len(words) == 2]
    pairs = [
        (place[one[0]], place[other[0]], one[1] != "0")
        for one, other in zip(rows[::2], rows[1::2], strict=False)
        if one[0] in place and other[0] in place
    ]
    return FaceSet("calfw", tuple(pictures), tuple(pairs))


def _ijbc(folder: Path) -> FaceSet:
    """IJB-C, as it is commonly prepared: loose_crop/N.jpg, meta/ijbc_face_tid_mid.txt (picture, template, medium) and
    ijbc_template_pair_label.txt. A template is a person here, by its first picture.
    """
    meta = folder / "meta"
    templates: dict[str, int] = {}
    found: list[Labelled] = []
    for words in _lines(meta / "ijbc_face_tid_mid.txt"):
        path = folder / "loose_crop" / Path(words[0]).name
        if len(words) >= 2 and words[1] not in templates and path.is_file():
            templates[words[1]] = len(found)
            found.append(Labelled(path, words[1]))
    pairs = tuple(
        (templates[words[0]], templates[words[1]], words[2] == "1")
        for words in _lines(meta / "ijbc_template_pair_label.txt")
        if len(words) == 3 and words[0] in templates and words[1] in templates
    )
    return FaceSet("ijbc", tuple(found), pairs)


LAYOUTS: dict[str, Callable[[Path], FaceSet]] = {
    "folders": _folders,
    "lfw": _lfw,
    "agedb": _agedb,
    "calfw": _calfw,
    "ijbc": _ijbc,
    "rfw": _rfw,
    "bfw": _bfw,
    "morph": _morph,
}
"""How labelled faces lie on a disk."""
