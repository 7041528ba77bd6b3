"""Faces: where they are in items and how they are shown, the people that they were put together to, what examiners said
of pairs of them. There are none in a case whose gate was never opened (``indexer.case.gate``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from imgmatch.types import Box, Decision
from indexer.catalogue.decisions import DecisionRow, standing_of
from indexer.catalogue.meta import MetaWrites
from indexer.catalogue.sql import Reads, Writes
from indexer.catalogue.table import Gone, Kept, Table

_STAYS = Kept("what is known of a face stays in the case whose gate was opened for it")

TABLES = (
    # A face bears the id of its vector. Its box and points are in pixels of the upright full-size picture.
    Table(
        "faces",
        {
            14: """
            CREATE TABLE faces (
                vector_id INTEGER PRIMARY KEY,
                item_id INTEGER NOT NULL REFERENCES items,
                number INTEGER NOT NULL,
                x_px INTEGER NOT NULL, y_px INTEGER NOT NULL, width_px INTEGER NOT NULL, height_px INTEGER NOT NULL,
                points TEXT NOT NULL,
                confidence REAL NOT NULL,
                size_px REAL NOT NULL,
                sharpness REAL NOT NULL,
                yaw REAL NOT NULL, pitch REAL NOT NULL, roll REAL NOT NULL,
                cut REAL NOT NULL,
                quality REAL NOT NULL,
                unfit TEXT NOT NULL
            ) STRICT;
            CREATE INDEX faces_by_item ON faces (item_id);
            """
        },
        delete=Gone("item"),
        merge=_STAYS,
        compact=Kept(),
    ),
    # A group of faces of one person, without a name unless an examiner gives one.
    Table(
        "people",
        {
            14: """
            CREATE TABLE people (
                person_id INTEGER PRIMARY KEY,
                label TEXT NOT NULL,
                made_utc TEXT NOT NULL
            ) STRICT;
            """
        },
        delete=Kept("a person may be met again"),
        merge=_STAYS,
        compact=Kept(),
    ),
    # Whose face it is: as grouping put it, or as an examiner did, which grouping leaves as it is.
    Table(
        "people_faces",
        {
            14: """
            CREATE TABLE people_faces (
                vector_id INTEGER PRIMARY KEY,
                item_id INTEGER NOT NULL REFERENCES items,
                person_id INTEGER NOT NULL REFERENCES people,
                by_examiner INTEGER NOT NULL
            ) STRICT;
            CREATE INDEX people_faces_by_person ON people_faces (person_id);
            CREATE INDEX people_faces_by_item ON people_faces (item_id);
            """
        },
        delete=Gone("item"),
        merge=_STAYS,
        compact=Kept(),
    ),
    # What examiners said of two faces, each named by its content and its box. Rows are only added, but for an erasure.
    Table(
        "face_decisions",
        {
            14: """
            CREATE TABLE face_decisions (
                decision_id INTEGER PRIMARY KEY,
                query_sha256 BLOB NOT NULL,
                query_box TEXT NOT NULL,
                item_sha256 BLOB NOT NULL,
                item_box TEXT NOT NULL,
                verdict TEXT NOT NULL
                    CHECK (verdict IN ('confirmed', 'possible', 'rejected', 'seen', 'withdrawn')),
                note TEXT NOT NULL,
                examiner TEXT NOT NULL,
                account TEXT NOT NULL,
                decided_utc TEXT NOT NULL
            ) STRICT;
            CREATE TRIGGER face_decisions_are_not_changed BEFORE UPDATE ON face_decisions
                BEGIN SELECT RAISE(ABORT, 'decisions are only added'); END;
            """
        },
        delete=Gone("content", columns=("query_sha256", "item_sha256")),
        merge=_STAYS,
        compact=Kept(),
    ),
)

OneFace = tuple[str, Box]
"""A face by its content (SHA-256) and its box."""

_COLUMNS = (
    "vector_id, item_id, number, x_px, y_px, width_px, height_px, points, confidence, size_px, sharpness, yaw, pitch,"
    " roll, cut, quality, unfit"
)
_OF_A_MODEL = ("calibrations", "generations", "profiles", "tombstones", "vectors", "segments", "models")


@dataclass(frozen=True, slots=True)
class FaceRow:
    """A face in an item; the fields are those of ``imgmatch.models.face.Face``. ``number`` counts from 1, from
    left to right in its picture.
    """

    face_id: int
    item_id: int
    number: int
    box: Box
    points: tuple[tuple[float, float], ...]
    confidence: float
    size_px: float
    sharpness: float
    yaw: float
    pitch: float
    roll: float
    cut: float
    quality: float
    unfit: str


class PersonRow(NamedTuple):
    """A person: id, the examiner's label ("": none), how many faces and items, how many were put there by hand."""

    person_id: int
    label: str
    faces: int
    items: int
    by_hand: int


class FaceDecisionRow(NamedTuple):
    """What an examiner said of two faces: the boxes of both, and the row as of two contents."""

    query_box: Box
    item_box: Box
    row: DecisionRow

    @property
    def faces(self) -> tuple[OneFace, OneFace]:
        """The two, each by its content and its box."""
        return (self.row.query_sha256, self.query_box), (self.row.item_sha256, self.item_box)


def _face(row: Sequence[Any]) -> FaceRow:
    points = tuple((float(x), float(y)) for x, y in json.loads(row[7]))
    return FaceRow(row[0], row[1], row[2], (row[3], row[4], row[5], row[6]), points, *row[8:])


class FaceReads(Reads):
    """Which faces and people there are."""

    def count(self) -> int:
        """How many faces there are."""
        return int(self._rows("SELECT count(*) FROM faces")[0][0])

    def all(self) -> Iterator[FaceRow]:
        """Every face, in the order of their ids."""
        return map(_face, self._stream(f"SELECT {_COLUMNS} FROM faces ORDER BY vector_id"))

    def by_id(self, face_ids: Iterable[int]) -> dict[int, FaceRow]:
        """Some faces, by their ids."""
        sql = f"SELECT {_COLUMNS} FROM faces WHERE vector_id IN (SELECT value FROM json_each(?))"
        return {row[0]: _face(row) for row in self._rows(sql, (json.dumps(list(map(int, face_ids))),))}

    def of(self, item_ids: Iterable[int]) -> dict[int, list[FaceRow]]:
        """The faces of each item, from left to right."""
        ids = list(map(int, item_ids))
        found: dict[int, list[FaceRow]] = {item_id: [] for item_id in ids}
        sql = f"SELECT {_COLUMNS} FROM faces WHERE item_id IN (SELECT value FROM json_each(?)) ORDER BY item_id, number"
        for row in self._rows(sql, (json.dumps(ids),)):
            found[row[1]].append(_face(row))
        return found

    def ids(self) -> list[int]:
        """Ids of the faces that are fit to be compared, ascending."""
        return [row[0] for row in self._rows("SELECT vector_id FROM faces WHERE unfit = '' ORDER BY 1")]

    def owned(self) -> Iterator[tuple[int, int, int]]:
        """Every face, ascending: its id, the item that it is in, and whether it is fit to be compared (0, 1)."""
        return self._stream("SELECT vector_id, item_id, unfit = '' FROM faces ORDER BY vector_id")

    def owners(self) -> dict[int, int]:
        """The item that each face is in."""
        return dict(self._rows("SELECT vector_id, item_id FROM faces"))

    def unread_items(self, model_id: int, profile: str, after: int, limit: int) -> list[int]:
        """Items in which no face was looked for in this way yet, ascending, after an id."""
        sql = (
            "SELECT item_id FROM items WHERE item_id > ? AND NOT EXISTS (SELECT 1 FROM profiles p"
            " WHERE p.item_id = items.item_id AND model_id = ? AND profile IN (?, 'faces thorough')) ORDER BY 1 LIMIT ?"
        )
        return [row[0] for row in self._rows(sql, (after, model_id, profile, limit))]

    def unread_count(self, model_id: int, item_id: int | None = None) -> int:
        """How many items (of one) were not looked through for faces yet."""
        one = "" if item_id is None else " AND item_id = ?"
        sql = (
            "SELECT count(*) FROM items WHERE NOT EXISTS (SELECT 1 FROM profiles p"
            f" WHERE p.item_id = items.item_id AND model_id = ?){one}"
        )
        return int(self._rows(sql, (model_id, *(() if item_id is None else (item_id,))))[0][0])

    def people(self) -> list[PersonRow]:
        """Every person who has a face, the one with the most first."""
        rows = self._rows(
            "SELECT person_id, label, count(*), count(DISTINCT item_id), sum(by_examiner) FROM people"
            " JOIN people_faces USING (person_id) GROUP BY person_id ORDER BY 3 DESC, 1"
        )
        return [PersonRow(*row) for row in rows]

    def person(self, person_id: int) -> str | None:
        """A person's label; None where there is no such person."""
        row = self._one("SELECT label FROM people WHERE person_id = ?", (person_id,))
        return None if row is None else str(row[0])

    def person_of(self, face_ids: Iterable[int] | None = None) -> dict[int, tuple[int, bool]]:
        """Of each face (of some) that belongs to somebody: who, and whether an examiner says so."""
        some = "" if face_ids is None else " WHERE vector_id IN (SELECT value FROM json_each(?))"
        chosen = () if face_ids is None else (json.dumps(list(face_ids)),)
        rows = self._rows(f"SELECT vector_id, person_id, by_examiner FROM people_faces{some}", chosen)
        return {row[0]: (row[1], bool(row[2])) for row in rows}

    def of_person(self, person_id: int) -> list[int]:
        """The faces of a person."""
        sql = "SELECT vector_id FROM people_faces WHERE person_id = ? ORDER BY 1"
        return [row[0] for row in self._rows(sql, (person_id,))]

    def decisions(self) -> Iterator[FaceDecisionRow]:
        """Every decision on two faces, oldest first."""
        sql = (
            "SELECT query_box, item_box, decision_id, lower(hex(query_sha256)), lower(hex(item_sha256)), verdict, note,"
            " examiner, account, decided_utc FROM face_decisions ORDER BY decision_id"
        )
        for query_box, item_box, *row in self._stream(sql):
            yield FaceDecisionRow(tuple(json.loads(query_box)), tuple(json.loads(item_box)), DecisionRow(*row))

    def standing(self, face: OneFace, *, second_reader: str) -> dict[OneFace, Decision]:
        """What stands of a face with each other one, either way round."""
        pairs: dict[OneFace, list[DecisionRow]] = {}
        for said in self.decisions():
            one, other = said.faces
            if face in (one, other):
                pairs.setdefault(other if one == face else one, []).append(said.row)
        found = {other: standing_of(rows, second_reader) for other, rows in pairs.items()}
        return {other: stands for other, stands in found.items() if stands is not None}


class FaceWrites(Writes, FaceReads):
    """Adding faces and people, and erasing all of it."""

    def add(self, rows: Iterable[FaceRow]) -> None:
        """Add faces of vectors that were just added."""
        self._run_all(
            f"INSERT INTO faces ({_COLUMNS}) VALUES ({', '.join('?' * 17)})",
            (
                (
                    row.face_id, row.item_id, row.number, *row.box, json.dumps(row.points), row.confidence, row.size_px,
                    row.sharpness, row.yaw, row.pitch, row.roll, row.cut, row.quality, row.unfit,
                )
                for row in rows
            ),
        )  # fmt: skip

    def add_person(self, now_utc: str, label: str = "") -> int:
        """A new person."""
        return self._insert("INSERT INTO people (label, made_utc) VALUES (?, ?)", (label, now_utc))

    def label(self, person_id: int, label: str) -> None:
        """Give a person the examiner's own label."""
        self._run("UPDATE people SET label = ? WHERE person_id = ?", (label, person_id))

    def put(self, faces: Iterable[tuple[int, int]], person_id: int, *, by_examiner: bool) -> None:
        """Say whose faces (id, item) these are."""
        self._run_all(
            "INSERT OR REPLACE INTO people_faces VALUES (?, ?, ?, ?)",
            ((face_id, item_id, person_id, int(by_examiner)) for face_id, item_id in faces),
        )

    def ungroup(self) -> None:
        """Take back what grouping said; people who have no face left then wait for ``drop_empty``."""
        self._run("DELETE FROM people_faces WHERE NOT by_examiner")

    def forget_people(self, people: Iterable[int]) -> None:
        """Forget people whose faces are another's now, with their labels."""
        self._run_all("DELETE FROM people WHERE person_id = ?", ((person,) for person in people))

    def drop_empty(self) -> None:
        """Forget people without a face and without a label."""
        self._run("DELETE FROM people WHERE label = '' AND person_id NOT IN (SELECT person_id FROM people_faces)")

    def decide(self, said: FaceDecisionRow) -> int:
        """Add what an examiner said of two faces; returns its id."""
        row = said.row
        contents = bytes.fromhex(row.query_sha256), bytes.fromhex(row.item_sha256)
        return self._insert(
            "INSERT INTO face_decisions (query_sha256, query_box, item_sha256, item_box, verdict, note, examiner,"
            " account, decided_utc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                contents[0], json.dumps(said.query_box), contents[1], json.dumps(said.item_box), row.verdict, row.note,
                row.examiner, row.account, row.decided_utc,
            ),
        )  # fmt: skip

    def erase(self, model_ids: Sequence[int]) -> int:
        """Remove every face, person and decision on faces, and all that models of faces have made; returns how many
        faces. Numbers that were given are not given again. Files of vectors are removed by who calls.
        """
        MetaWrites(self._transaction).keep_highest()
        count = self._run("DELETE FROM faces")
        for table in ("people_faces", "people", "face_decisions"):
            self._run(f"DELETE FROM {table}")
        for model_id in model_ids:
            self._run("DELETE FROM verified WHERE name IN (SELECT name FROM segments WHERE model_id = ?)", (model_id,))
            for table in _OF_A_MODEL:
                self._run(f"DELETE FROM {table} WHERE model_id = ?", (model_id,))
        return count
