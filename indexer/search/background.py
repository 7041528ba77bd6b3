"""The background of a case: a sample of unrelated pictures that says how often a score arises by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.errors import UsageError
from imgmatch.match.calibration import MIN_PICTURES, Calibration, Flags, Matrix, calibrate, normalised, usual
from imgmatch.match.copies import COPY_SIMILARITY
from imgmatch.picture.pdq import BITS, DISTANCE, LEAST_QUALITY
from imgmatch.types import FalseMatchRate, Match, ModelSpec, Reference
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.catalogue import CalibrationRow
from indexer.catalogue.clock import now_utc
from indexer.search import decisions
from indexer.search.copies import Copies
from indexer.search.order import NOT_VERIFIED, standing, void

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Vector

    Places = npt.NDArray[np.intp]

SAMPLE = 2000
LOOKS = 96
"""So many pairs that are as alike as copies are looked at, whether they are any; the rest goes by their share."""
_SOUGHT = 4
"""For about so many of each kind of pair geometry is sought: a look at hashes and greys takes a twentieth of that."""
_SAYS_NOTHING = FalseMatchRate(1.0, 0.0, 1.0)
_LIKENESS = (COPY_SIMILARITY, 0.95, 0.98)
"""The share of copies is that among pairs about as alike."""
_GROWN = 0.1
_METHOD = 2
"""How scores are normalised and copies told: a calibration by an older version is made again."""


@dataclass(frozen=True, slots=True)
class Background:
    """A calibration and the pictures it came from: (n, dim) float32 unit vectors and their SHA-256, in one order.

    ``looked_at`` pairs were looked at to tell copies from what is only alike.
    """

    calibration: Calibration
    vectors: Matrix
    sha256: tuple[str, ...]
    source: str
    made_utc: str
    looked_at: int

    @property
    def reference(self) -> Reference:
        """What the rates that it gives come from."""
        return Reference(self.source, self.calibration.pictures, self.calibration.pairs, self.made_utc)

    def normalise(self, sha256: str, vector: Vector, score: float) -> float:
        """A score of a query (its content and vector) less what is usual for it: one figure a pair, whatever else is
        found, which falls with the score.
        """
        similarities = np.einsum("nd,d->n", self.vectors, vector)  # BLAS would wake threads for so little
        if sha256 in self.sha256:
            similarities[self.sha256.index(sha256)] = -2
        return score - float(usual(similarities[np.newaxis].astype(np.float32))[0])

    def judge(
        self,
        sha256: str,
        vector: Vector,
        matches: Sequence[Match],
        gallery: int,
        tries: float = 1,
        empty: bool = False,
    ) -> list[Match]:
        """Give each match of a query, which may be ``empty``, its false-match rate, and the false matches to expect
        among ``gallery`` items. A rate depends on the query and the score alone, and grows as that falls.

        ``tries`` parts of the query were searched with: a score is the best of them, and rates are multiplied by that
        (Bonferroni). Where the query is nearly empty every other such picture is as alike; of what geometry found to be
        a template's, or nearly empty, no rate is claimed.
        """
        above = self.normalise(sha256, vector, 0.0)
        judged = []
        for match in matches:
            rate: FalseMatchRate | None = self.calibration.rate(above + match.score).of_several(tries)
            if standing(match)[0] == NOT_VERIFIED:
                rate = None if void(match) else _SAYS_NOTHING if empty else rate
            told = None if rate is None else _among(rate, gallery, above + match.score)
            judged.append(replace(match, false_match=told))
        return judged

    def rate(self, above: float, similarity: float, compared: int) -> FalseMatchRate:
        """The rate of one pair of an item and another one, and the false ones to expect among all pairs compared.
        ``above`` is the item's ``normalise`` of 0.
        """
        value = above + similarity
        return _among(self.calibration.rate(value), compared, value)

    def check(self, max_fmr: float) -> None:
        """Raises UsageError when the background can't show a rate as low as this."""
        used = self.calibration
        if max_fmr < used.bound:
            raise UsageError(
                f"--max-fmr {max_fmr:g} is lower than this background can show: with {used.pictures:,} "
                f"pictures fewer than 1 in {1 / used.bound:,.0f}; raise it, or calibrate on more pictures"
            )


def check_limit(case: Case, background: Background | None, max_fmr: float | None) -> None:
    """Raises UsageError when matches of a case can't be held against this false-match rate (None: any can)."""
    if max_fmr is None:
        return
    if background is None:
        raise UsageError(
            f"{too_few(case)}; leave out --max-fmr, or run: imgmatch calibrate {case.path} --background OTHER"
        )
    background.check(max_fmr)


def too_few(case: Case) -> str:
    """Why nothing is said of false matches in a case without a background."""
    return f"{case.path}: fewer than {MIN_PICTURES} unrelated pictures, too few to state false-match rates"


def _among(rate: FalseMatchRate, compared: int, normalised: float) -> FalseMatchRate:
    expected = None if rate.rate is None else rate.rate * compared
    return replace(rate, expected=expected, expected_upper=rate.upper * compared, normalised=normalised)


def background(case: Case, spec: ModelSpec, use: Use | None = None) -> Background | None:
    """The case's background by a model: the stored one, made again when its source grew or shrank by a tenth.

    Of a case that is only read, with the ``use`` of it, what is made is not stored. None where there are too few
    unrelated pictures. Raises CaseError when the named reference case is gone.
    """
    case.require("search")  # which may have to measure one first
    shelf = case.find_shelf(spec)
    stored = None if shelf is None else shelf.calibration()
    if stored is not None and stored.background:
        with Case.open(stored.background) as other:
            return _background(case, other, spec, stored, use=use)
    return _background(case, case, spec, stored, use=use)


def set_background(case: Case, spec: ModelSpec, reference: Path | None = None, pictures: int = SAMPLE) -> Background:
    """Calibrate now, on the case itself or on a reference case, which is only read.

    Raises UsageError when it holds fewer than MIN_PICTURES unrelated pictures by this model.
    """
    if reference is None:
        made = _background(case, case, spec, None, pictures)
    else:
        with Case.open(reference) as other:
            made = _background(case, other, spec, None, pictures)
    if made is None:
        raise UsageError(
            f"{reference or case.path}: too few unrelated pictures by {spec.name} to state a false-match rate "
            f"({MIN_PICTURES} are needed); name a larger case with --background"
        )
    return made


def _background(
    case: Case,
    source: Case,
    spec: ModelSpec,
    stored: CalibrationRow | None,
    pictures: int = SAMPLE,
    use: Use | None = None,
) -> Background | None:
    shelf = source.find_shelf(spec)
    if shelf is None:
        return None
    items = shelf.item_count()
    fresh = stored is not None and abs(items - stored.items) <= _GROWN * stored.items
    if stored is not None:
        pictures = max(SAMPLE, int(stored.record["pictures"]))
    sample = shelf.sample(pictures)
    ids = [item_id for item_id, _ in sample]
    first: dict[int, int] = {}
    for item_id, vector_id, *region in shelf.vectors_of(ids):
        if region[0] is None:
            first.setdefault(item_id, vector_id)
    sample = [row for row in sample if row[0] in first]
    chosen = np.array([first[item_id] for item_id, _ in sample], dtype=np.int64)
    rows, found = shelf.store().gather(chosen)
    vectors = rows[found].astype(np.float32)
    sample = [row for row, there in zip(sample, found.tolist(), strict=True) if there]
    if len(sample) < MIN_PICTURES:
        return None
    known = dict(stored.record) if stored is not None else {}
    method, looked_at = known.pop("method", None), known.pop("looked_at", 0)
    if stored is not None and fresh and method == _METHOD:
        made, made_utc = Calibration.of(known), stored.made_utc
    else:
        where, made_utc = "" if source is case else str(source.path.resolve()), now_utc()
        try:
            if use is not None:
                made, looked_at = _measured(use if source is case else source.beside(use), sample, vectors)
            else:
                about = {"background": where or "this case", "case_id": source.catalogue.meta.all().get("case_id")}
                recorded = case.change("calibrate", arguments={"pictures": pictures}, subject=about, model=spec)
                ours = case.add_shelf(spec)
                with recorded as change:
                    made, looked_at = _measured(change if source is case else source.beside(change), sample, vectors)
                    change.entry.counts = {
                        "pictures": made.pictures,
                        "pairs": made.pairs,
                        "left_out": made.left_out,
                        "looked_at": looked_at,
                    }
                    table = made.record() | {"looked_at": looked_at, "method": _METHOD}
                    ours.set_calibration(change.writer, CalibrationRow(where, items, table, made_utc))
        except UsageError:
            return None
    case_name = "this case" if source is case else str(source.path)
    return Background(made, vectors, tuple(content for _, content in sample), case_name, made_utc, looked_at)


def _measured(use: Use, sample: Sequence[tuple[int, str]], vectors: Matrix) -> tuple[Calibration, int]:
    """The scores of a sample's unrelated pairs, and how many pairs were looked at to tell copies."""
    similarities = vectors @ vectors.T
    related, looked_at = _related(use, sample, similarities)
    return calibrate(normalised(similarities, related)), looked_at


def _related(use: Use, sample: Sequence[tuple[int, str]], similarities: Matrix) -> tuple[Flags, int]:
    """Pairs that may show the same: items with a label in common, pairs an examiner confirmed, and copies; and how many
    pairs were looked at to tell the copies.
    """
    related: Flags = np.zeros(similarities.shape, bool)
    places: dict[str, list[int]] = {}
    number_of = {content: number for number, (_, content) in enumerate(sample)}
    labels = use.catalogue.labels.of([item_id for item_id, _ in sample])
    for number, (item_id, content) in enumerate(sample):
        for value in labels[item_id].get("label", ()):
            places.setdefault(value, []).append(number)
        for other in decisions.confirmed(use, content) & number_of.keys():
            related[number, number_of[other]] = related[number_of[other], number] = True
    for members in places.values():
        related[np.ix_(members, members)] = True
    firsts, seconds = np.nonzero(np.triu((similarities >= COPY_SIMILARITY) & ~related, 1))
    pairs, looked_at = _copies(use, sample, firsts, seconds, similarities[firsts, seconds])
    related[firsts[pairs], seconds[pairs]] = related[seconds[pairs], firsts[pairs]] = True
    return related, looked_at


def _copies(
    use: Use, sample: Sequence[tuple[int, str]], one: Places, other: Places, similarities: Matrix
) -> tuple[Places, int]:
    """Which pairs of places in a sample, as alike as copies are, are taken for copies, and how many were looked at.

    ``LOOKS`` pairs are looked at, spread evenly over how alike they are and whether their hashes are near; which, is
    nobody's choice, and the same every time. Of the others of a kind as many are taken for copies as there are copies
    among those looked at and one more that is none: too few rather than too many. Where no picture can be read again,
    those are copies whose hashes are nearest.
    """
    copies, ids = Copies(use), [item_id for item_id, _ in sample]
    mixed = np.lexsort((other, one, (one * 2_654_435_761 + other * 40_503) % 2**32))
    one, other = one[mixed], other[mixed]
    near = _hashes_near(use, ids, one, other)
    kinds = np.searchsorted(_LIKENESS, similarities[mixed], side="right") * 2 + near
    found = np.unique(kinds).tolist()
    out: list[int] = []
    for kind in found:
        rows = np.flatnonzero(kinds == kind)
        told: list[bool | None] = []
        before = copies.sought
        while len(told) < min(len(rows), LOOKS // len(found)) and copies.sought - before < _SOUGHT:
            batch = rows[len(told) : len(told) + _SOUGHT]
            told += copies.told([(ids[one[row]], ids[other[row]]) for row in batch])
        looked, rest = rows[: len(told)], rows[len(told) :]
        out += looked[[copy is True for copy in told]].tolist()
        seen = len(told) - told.count(None)
        out += rest[: len(rest) * told.count(True) // (seen + 1)].tolist()
    return mixed[np.array(out, np.intp)], copies.looked - copies.unseen


def _hashes_near(use: Use, ids: Sequence[int], one: Places, other: Places) -> Flags:
    """Which pairs of places among items have PDQ hashes as near as those of copies: (pairs,) bool."""
    table, good = np.zeros((len(ids), BITS // 8), np.uint8), np.zeros(len(ids), bool)
    hashes = use.catalogue.facts.pdqs(ids)
    for place, item_id in enumerate(ids):
        found = hashes.get(item_id)
        if found is not None and found.quality >= LEAST_QUALITY:
            table[place], good[place] = np.frombuffer(found.hash, np.uint8), True
    words = table.view(np.uint64)
    apart = np.bitwise_count(words[one] ^ words[other]).sum(axis=1)
    near: Flags = good[one] & good[other] & (apart <= DISTANCE)
    return near
