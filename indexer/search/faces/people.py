"""People in a case: groups of faces, kept, joined and split by the examiner, and where else each of them is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from imgmatch.errors import UsageError
from imgmatch.models.face import LIKENESS
from imgmatch.picture.metadata import values
from indexer.case.case import Case
from indexer.case.use import Change, Use
from indexer.catalogue.clock import now_utc
from indexer.search.faces.asked import date_of, require_reason
from indexer.search.faces.grouping import alike_in_one, grouped
from indexer.search.faces.tracks import frame_of


@dataclass(frozen=True, slots=True)
class Grouped:
    """What grouping made: people, faces that are somebody's, and fit faces that are nobody's yet."""

    people: int
    faces: int
    alone: int
    alike_in_one_picture: tuple[int, ...] = ()
    """Items in which two faces are alike, and two people all the same until an examiner joins them."""


def group_faces(case: Case, reason: str, least: float | None = None) -> Grouped:
    """Put the faces of a case together to people. What an examiner joined, split or named stays; a person keeps the
    number. Faces that are not fit to be compared stay out. Recorded. ``least`` None: what suits the model of faces.
    Raises UsageError where it is out of range.
    """
    shelf = case.face_shelf()
    likeness = LIKENESS[shelf.spec.name]
    least = likeness.edge if least is None else least
    if not 0.3 <= least <= 1:
        raise UsageError(f"--least is {least}; it must be between 0.3 and 1")
    arguments = {"reason": require_reason(reason), "least": least}
    with case.writing(), case.change("group faces", arguments=arguments, model=shelf.spec) as change:
        catalogue = change.catalogue
        before = catalogue.faces.person_of()
        wanted = sorted({*catalogue.faces.ids(), *(face for face, (_, by) in before.items() if by)})
        rows, there = shelf.store().gather(np.array(wanted, np.int64))
        ids = [face for face, known in zip(wanted, there.tolist(), strict=True) if known]
        owners = catalogue.faces.owners()
        items = np.array([owners[face] for face in ids], np.int64)
        pinned = {place: before[face][0] for place, face in enumerate(ids) if face in before and before[face][1]}
        groups = grouped(rows[there], items, pinned, least, least - (likeness.edge - likeness.mean))
        change.writer.faces.ungroup()
        used: set[int] = set()
        for places in groups:
            members = [ids[place] for place in places]
            person = _person_of(change, members, before, {pinned[p] for p in places if p in pinned}, used)
            used.add(person)
            new = [(face, owners[face]) for face in members if not before.get(face, (0, False))[1]]
            change.writer.faces.put(new, person, by_examiner=False)
        change.writer.faces.drop_empty()
        joined = sum(map(len, groups))
        alike = tuple(alike_in_one(rows[there], items, least))
        done = Grouped(len(groups), joined, len(ids) - joined, alike)
        change.entry.counts = {**asdict(done), "alike_in_one_picture": len(alike)}
    return done


def _person_of(
    change: Change, faces: Sequence[int], before: dict[int, tuple[int, bool]], pinned: set[int], used: set[int]
) -> int:
    """Who a group is: whom an examiner says, else who most of its faces were before, else somebody new."""
    if pinned:
        return min(pinned)
    known = Counter(before[face][0] for face in faces if face in before)
    for person, _ in sorted(known.items(), key=lambda one: (-one[1], one[0])):
        if person not in used and change.writer.faces.person(person) is not None:
            return person
    return change.writer.faces.add_person(now_utc())


def list_people(case: Case, reason: str) -> list[dict[str, Any]]:
    """Every person, who is seen most first: number, label, faces, items, first and last date. Recorded."""
    shelf = case.face_shelf()
    with case.use("list people", arguments={"reason": require_reason(reason)}, model=shelf.spec) as use:
        found = []
        for row in use.catalogue.faces.people():
            dates = sorted(one["date"] for one in _seen(use, row.person_id) if one["date"])
            span = {"first": dates[0] if dates else None, "last": dates[-1] if dates else None}
            found.append({**row._asdict(), **span})
        use.entry.counts = {"people": len(found)}
    return found


def show_person(case: Case, person: int, reason: str) -> list[dict[str, Any]]:
    """Where a person is seen, in the order of dates: item, face, place, labels (as those of a room), and who else is in
    the picture. Recorded. Raises UsageError where there is no such person.
    """
    shelf = case.face_shelf()
    arguments = {"reason": require_reason(reason), "person": person}
    with case.use("show person", arguments=arguments, model=shelf.spec) as use:
        _require(use, person)
        found = _seen(use, person)
        use.entry.counts = {"faces": len(found)}
    return found


def name_person(case: Case, person: int, label: str, reason: str) -> None:
    """Give a person the examiner's own label. The group is kept as it is from then on: grouping adds to it, and takes
    nothing away. Recorded. Raises UsageError where there is no such person.
    """
    shelf, label = case.face_shelf(), " ".join(label.split())
    arguments = {"reason": require_reason(reason), "person": person, "label": label}
    with case.writing(), case.change("name person", arguments=arguments, model=shelf.spec) as change:
        _require(change, person)
        change.writer.faces.label(person, label)
        _put(change, change.catalogue.faces.of_person(person), person)


def join_people(case: Case, people: Sequence[int], reason: str) -> int:
    """Say that people are one: all their faces are those of the first. Kept. Recorded. Returns how many faces that are.

    Raises UsageError where there is no such person, or only one is named.
    """
    shelf = case.face_shelf()
    arguments = {"reason": require_reason(reason), "people": list(people)}
    if len(set(people)) < 2:
        raise UsageError("one person is nobody to join; give the numbers of two or more")
    with case.writing(), case.change("join people", arguments=arguments, model=shelf.spec) as change:
        for person in people:
            _require(change, person)
        faces = [face for person in dict.fromkeys(people) for face in change.catalogue.faces.of_person(person)]
        labels = [label for label in map(change.catalogue.faces.person, people) if label]
        _put(change, faces, people[0])
        if labels:
            change.writer.faces.label(people[0], labels[0])
        change.writer.faces.forget_people(set(people[1:]) - {people[0]})
        change.entry.counts = {"faces": len(faces)}
    return len(faces)


def split_person(case: Case, person: int, faces: Sequence[int], reason: str) -> int:
    """Say that some faces of a person are another's: they are those of a new person, whose number is returned, and the
    two stay apart. Recorded. Raises UsageError where there is no such person, or a face is not that person's.
    """
    shelf = case.face_shelf()
    arguments = {"reason": require_reason(reason), "person": person, "faces": list(faces)}
    with case.writing(), case.change("split person", arguments=arguments, model=shelf.spec) as change:
        _require(change, person)
        known = change.catalogue.faces.of_person(person)
        wrong = sorted(set(faces) - set(known))
        if wrong or not faces or set(faces) == set(known):
            what = f"face {wrong[0]} is not one of them" if wrong else "some of them must go, and some stay"
            raise UsageError(f"person {person} has {len(known)} faces; {what}: see imgmatch faces person {case.path}")
        new = change.writer.faces.add_person(now_utc())
        _put(change, [face for face in known if face not in set(faces)], person)
        _put(change, faces, new)
        change.entry.details = {"new_person": new}
    return new


def _put(change: Change, faces: Sequence[int], person: int) -> None:
    rows = change.catalogue.faces.by_id(faces)
    change.writer.faces.put([(face, rows[face].item_id) for face in faces], person, by_examiner=True)


def _require(use: Use, person: int) -> None:
    if use.catalogue.faces.person(person) is None:
        raise UsageError(f"{person}: no such person in {use.path}; see: imgmatch faces people {use.path}")


def _seen(use: Use, person: int) -> list[dict[str, Any]]:
    faces = use.catalogue.faces.by_id(use.catalogue.faces.of_person(person))
    owners = use.catalogue.faces.person_of()
    items = list(dict.fromkeys(face.item_id for face in faces.values()))
    sightings, labels = use.catalogue.sightings.of(items), use.catalogue.labels.of(items)
    metadata, together = use.catalogue.facts.metadata(items), use.catalogue.faces.of(items)
    found = []
    for face_id, face in sorted(faces.items()):
        seen = sightings[face.item_id]
        others = {owners[other.face_id][0] for other in together[face.item_id] if other.face_id in owners} - {person}
        first = seen[0] if seen else None
        video, time = (None, None) if first is None else frame_of(first.locator)
        found.append(
            {
                "date": date_of(values(metadata.get(face.item_id, {})), first.modified_utc if first else None),
                "item_id": face.item_id,
                "face": face.number,
                "face_id": face_id,
                "quality": face.quality,
                "by_examiner": owners[face_id][1],
                "with": sorted(others),
                "labels": {name: list(said) for name, said in labels[face.item_id].items()},
                "video": video,
                "at_ms": time,
                "path": first.locator.path if first else None,
                "places": [str(one.locator) for one in seen],
            }
        )
    return sorted(found, key=lambda one: (one["date"] or "", one["face_id"]))
