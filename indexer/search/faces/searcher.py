"""A search for people by their faces: every face of the case is compared, and the best of each item ranks it."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from imgmatch.models.base import FaceEmbedder
from imgmatch.models.face import LIKENESS
from imgmatch.picture.metadata import values
from imgmatch.types import Decision
from indexer.case.case import Case
from indexer.case.faces import require_same_model
from indexer.case.use import Use
from indexer.catalogue.decisions import REJECTED
from indexer.catalogue.faces import OneFace
from indexer.catalogue.filters import EVERYTHING, Filter
from indexer.index.protocol import Ids
from indexer.search.faces.asked import ChosenFace, FaceRequest, Person, date_of, person, require_reason
from indexer.search.faces.dates import years_between
from indexer.search.faces.found import FaceMatch, FaceResult
from indexer.search.faces.scores import Rates, rates_of
from indexer.search.faces.tracks import folded

_SPARE = 50
_BLOCK = 65_536

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Faces:
    """Every face that may be compared: ids, ascending, the items that own them, their rows (n, dim) float16, and which
    are fit to be compared.
    """

    ids: Ids
    items: Ids
    rows: npt.NDArray[np.float16]
    fit: npt.NDArray[np.bool_]


class FaceSearcher:
    """Search for people in one case. Holds its faces in memory, so that many searches pay for them once."""

    def __init__(self, case: Case, reader: FaceEmbedder) -> None:
        """Raises CaseError where the gate of the case is closed, or its faces were made with other weights."""
        require_same_model(case, reader)
        self._case, self._reader = case, reader
        self._state: tuple[Any, ...] = ()
        self._unread = 0
        nothing = np.empty(0, np.int64)
        self._known = _Faces(nothing, nothing, np.empty((0, reader.spec.dim), np.float16), np.empty(0, bool))

    def search(
        self,
        wanted: Sequence[Sequence[str | ChosenFace]],
        request: FaceRequest,
        *,
        without: Sequence[Sequence[str]] = (),
        within: Filter = EVERYTHING,
    ) -> FaceResult:
        """Items that show every one of the ``wanted``, each in a face of its own, and none of those ``without``; best
        first, each item once. Whom: names of faces as ``asked.person`` reads them, several of one person together.

        Recorded with its reason before it is answered. Raises UsageError where a face can't be told, or a false-match
        rate is asked for that can't be shown.
        """
        started = time.perf_counter()
        arguments = {
            "reason": require_reason(request.reason),
            **{name: getattr(request, name) for name in ("k", "unfit", "max_fmr")},
            **({"within": dataclasses.asdict(within)} if within else {}),
        }
        shelf = self._case.face_shelf()
        with self._case.use("search faces", arguments=arguments, model=shelf.spec) as use:
            rates = rates_of(shelf.calibration())
            if request.max_fmr is not None:
                rates.check(request.max_fmr, self._case.path)
            people = [person(use, names, self._reader) for names in wanted]
            barred = [person(use, names, self._reader) for names in without]
            use.entry.subject = {
                "people": [[face.told() for face in one.faces] for one in people],
                **({"without": [[face.told() for face in one.faces] for one in barred]} if barred else {}),
            }
            faces, unfit = self._allowed(use, request, within)
            ranked = _ranked(faces, people, barred, request.k * 5 + _SPARE, LIKENESS[shelf.spec.name].alike)
            matches = _described(use, faces, people, ranked, request, rates)
            use.entry.counts = {"matches": len(matches), "compared": len(faces.ids)}
        notes = [f"{face.locator.path or face.locator} face {face.number}: {face.unfit}; what it finds says little"
                 for one in people for face in one.faces if face.unfit]  # fmt: skip
        if self._unread:
            notes.append(f"{self._unread:,} items were not looked through for faces yet: imgmatch faces find")
        if not rates:
            notes.append("no false-match rate can be stated: no background of faces; see imgmatch faces calibrate")
        took = round((time.perf_counter() - started) * 1000, 1)
        asked = tuple(face for one in people for face in one.faces)
        return FaceResult(shelf.spec.name, matches, len(faces.ids), unfit, took, asked, tuple(notes))

    def _allowed(self, use: Use, request: FaceRequest, within: Filter) -> tuple[_Faces, int]:
        """The faces to compare, and how many are left out as unfit."""
        known = self._all(use)
        keep = np.ones(len(known.ids), bool) if request.unfit else known.fit
        unfit = int((~keep).sum())
        if within:
            keep = keep & np.isin(known.ids, use.face_shelf().matching(within), assume_unique=True)
        if keep.all():
            return known, unfit
        return _Faces(known.ids[keep], known.items[keep], known.rows[keep], known.fit[keep]), unfit

    def _all(self, use: Use) -> _Faces:
        """Every face of the case; read again when the case has changed."""
        state = (*sorted(use.catalogue.state().items()), use.catalogue.data_version())
        if self._state != state:
            # Not by way of the index: whoever starts to search a person need not wait for FAISS to be loaded.
            blocks, dead = use.face_shelf().rows_and_dead()
            ids = _joined(
                [ids + np.arange(len(rows)) if isinstance(ids, int) else ids for ids, rows in blocks], self._known.ids
            )
            rows = _joined([np.asarray(rows) for _, rows in blocks], self._known.rows)
            # As numbers at once: dictionaries of 100,000 faces take several times as long.
            owned = np.fromiter(itertools.chain.from_iterable(use.catalogue.faces.owned()), np.int64).reshape(-1, 3)
            _, at, of = np.intersect1d(ids, owned[:, 0], assume_unique=True, return_indices=True)
            live = ~np.isin(ids[at], dead)
            at, (items, fit) = at[live], owned[of[live], 1:].T
            rows = rows if len(at) == len(ids) else rows[at]
            self._unread = use.catalogue.faces.unread_count(use.face_shelf().model_id)
            self._known, self._state = _Faces(ids[at], items, rows, fit != 0), state
        return self._known


def _joined(parts: Sequence[Any], empty: Any) -> Any:
    return np.concatenate(parts) if parts else empty[:0]


def similarities(rows: npt.NDArray[np.float16], vectors: Scores) -> Scores:
    """Cosine of every row with every vector, (n, p) float32. Rows are widened some at a time; a row's score does not
    depend on where it stands.
    """
    made = np.empty((len(rows), len(vectors)), np.float32)
    for start in range(0, len(rows), _BLOCK):
        part = rows[start : start + _BLOCK].astype(np.float32)
        for number, vector in enumerate(vectors):
            made[start : start + _BLOCK, number] = np.einsum("nd,d->n", part, vector)
    return made.round(6)


_Ranked = list[tuple[int, float, tuple[tuple[int, float], ...]]]
"""Items, best first: id, score, and for each person the place of a face among all and its similarity."""


def _ranked(faces: _Faces, people: Sequence[Person], barred: Sequence[Person], most: int, alike: float) -> _Ranked:
    """Items with a face for each of the people; without those with one that the makers of the model would take for that
    of somebody who is ``barred`` (``alike`` or more: no decision of this program's).
    """
    if not len(faces.ids):
        return []
    order = np.lexsort((faces.ids, faces.items))
    items = faces.items[order]
    starts = np.flatnonzero(np.r_[True, items[1:] != items[:-1]])
    near = similarities(faces.rows, np.stack([one.vector for one in people]))[order]
    best = np.maximum.reduceat(near, starts, axis=0).min(axis=1)  # no item can do better than so
    ends = np.r_[starts[1:], len(items)]
    if barred:
        met = similarities(faces.rows, np.stack([one.vector for one in barred]))[order]
        best[np.maximum.reduceat(met, starts, axis=0).max(axis=1) >= alike] = -np.inf
    best[ends - starts < len(people)] = -np.inf
    found: _Ranked = []
    for place in np.argsort(-best, kind="stable").tolist():
        full = len(found) >= most
        if best[place] == -np.inf or (full and found[most - 1][1] >= best[place]):
            break
        rows = np.arange(starts[place], ends[place])
        chosen, score = _assigned(near[rows])
        told = tuple((int(order[rows[row]]), float(near[rows[row], who])) for who, row in enumerate(chosen))
        found.append((int(items[starts[place]]), score, told))
        if len(people) > 1:
            found.sort(key=lambda one: (-one[1], one[0]))
    return found[:most]


def _assigned(near: Scores) -> tuple[tuple[int, ...], float]:
    """A face of its own for each person, so that the least similar of them is as similar as can be: rows, and that
    similarity. ``near`` is (faces, people), with at least as many faces as people.
    """
    people = near.shape[1]
    if people == 1:
        row = int(near[:, 0].argmax())
        return (row,), float(near[row, 0])
    # Of each person the nearest faces, as many as there are people, are enough: one of them is always free.
    candidates = [np.argsort(-near[:, who], kind="stable")[:people].tolist() for who in range(people)]
    ways = (way for way in itertools.product(*candidates) if len(set(way)) == people)

    def worth(way: tuple[int, ...]) -> tuple[float, float]:
        scores = [float(near[row, who]) for who, row in enumerate(way)]
        return min(scores), sum(scores)

    chosen = max(ways, key=worth)
    return chosen, worth(chosen)[0]


def _described(
    use: Use, faces: _Faces, people: Sequence[Person], ranked: _Ranked, request: FaceRequest, rates: Rates
) -> tuple[FaceMatch, ...]:
    """The first ``k``, near frames folded together, with what is known of each."""
    ids = [item_id for item_id, _, _ in ranked]
    sightings, contents = use.catalogue.sightings.of(ids), use.catalogue.items.by_id(ids)
    rows = use.catalogue.faces.by_id(faces.ids[place] for _, _, told in ranked for place, _ in told)
    persons = use.catalogue.faces.person_of(rows)
    decided = _decided(use, people)
    asked = max((one.quality for one in people), default=0.0)
    matches, vectors = [], []
    for item_id, score, told in ranked:
        met = tuple((rows[int(faces.ids[place])], near) for place, near in told)
        decision = decided.get((contents[item_id].sha256, met[0][0].box))
        if not sightings[item_id] or (
            decision is not None and decision.verdict == REJECTED and not request.with_rejected
        ):
            continue
        quality = min(asked, *(face.quality for face, _ in met)) if met else 0.0
        rate = rates.of(score, quality, len(faces.ids))
        if request.max_fmr is not None and (rate is None or rate.stated > request.max_fmr):
            continue
        who = persons.get(met[0][0].face_id)
        matches.append(
            FaceMatch(
                0, item_id, contents[item_id].sha256, score, met, quality, tuple(sightings[item_id]),
                false_match=rate, decision=decision, person=who and who[0], partial=contents[item_id].partial,
            )
        )  # fmt: skip
        vectors.append(faces.rows[told[0][0]].astype(np.float32))
    first = folded(matches, vectors)[: request.k]
    kept = [match.item_id for match in first]
    labels, metadata = use.catalogue.labels.of(kept), use.catalogue.facts.metadata(kept)
    dates = [face.date for one in people for face in one.faces if face.date]
    made = []
    for rank, match in enumerate(first, start=1):
        said = values(metadata.get(match.item_id, {}))
        date = date_of(said, match.sightings[0].modified_utc)
        taken = date_of(said, None)
        made.append(match.with_(rank=rank, labels=labels[match.item_id], date=date, years=years_between(dates, taken)))
    return tuple(made)


def _decided(use: Use, people: Sequence[Person]) -> dict[OneFace, Decision]:
    """What stands of the faces that are asked for with others."""
    wanted, found = use.catalogue.decisions.second_reader(), {}
    for face in (face for one in people for face in one.faces):
        found.update(use.catalogue.faces.standing((face.sha256, face.box), second_reader=wanted))
    return found
