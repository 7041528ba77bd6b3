"""Which frames of a moving picture are worth a picture of their own.

The hash is made as PDQ is (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019):
64 x 64 luminance, 16 x 16 low frequencies of its DCT, one bit each by their median. It is not PDQ: averaging by area
stands for PDQ's filter, so that nothing has to be compiled, and nothing of it is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from PIL import Image as Pillow

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.types import Pixels

LUMA_PX = 64
NEAR_BITS = 31
"""Hashes no further apart (of 256 bits) are of near-equal pictures: the distance that PDQ's authors recommend."""
SCENE_BITS = 80
"""Hashes further apart are of different scenes; unrelated pictures are about 128 apart, half of all bits."""
_PLAIN_SPREAD = 2.0
_MINUTE_MS = 60_000
Frame = TypeVar("Frame")

_BASIS = np.cos(np.pi / LUMA_PX * np.outer(np.arange(1, 17), np.arange(LUMA_PX) + 0.5))


def luma_of(picture: Pillow.Image) -> Pixels:
    """(64, 64) uint8: the luminance of a picture, averaged by area."""
    return np.asarray(picture.convert("L").resize((LUMA_PX, LUMA_PX), Pillow.Resampling.BOX))


def is_plain(luma: Pixels) -> bool:
    """Nothing to see: black, white, one colour."""
    return float(luma.std()) < _PLAIN_SPREAD


def frame_hash(luma: Pixels) -> npt.NDArray[np.uint8]:
    """(32,) uint8, 256 bits, of (64, 64) uint8."""
    low = _BASIS @ luma.astype(np.float64) @ _BASIS.T
    return np.packbits(low > np.median(low))


def bits_apart(one: npt.NDArray[np.uint8], others: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Differing bits of a hash (32,) and others (N, 32)."""
    return np.bitwise_count(one ^ others).sum(axis=1, dtype=np.int64)


class Selection(Generic[Frame]):
    """Chooses frames that are neither plain nor near-equal to one chosen before; of each minute those most unlike.

    Frames come in the order of time. A minute's are held until it is over, at most ``per_minute`` of them: when there
    is one too many, of the two most alike the later goes, and where none are alike, of the two nearest in time. So a
    camera that moves through a room leaves room for the scenes after it.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._chosen = np.empty((0, 32), np.uint8)
        self._minute = -1
        self._hashes = np.empty((0, 32), np.uint8)
        self._frames: list[Frame] = []
        self._times: list[int] = []

    def offer(self, luma: Pixels, frame: Frame, at_ms: int | None = None) -> list[Frame]:
        """Offer a frame with its (64, 64) uint8 luminance; returns what is chosen for good by now.

        What has no time is always chosen, at once.
        """
        out = []
        if at_ms is not None and at_ms // _MINUTE_MS != self._minute:
            out = self.rest()
            self._minute = at_ms // _MINUTE_MS
        if is_plain(luma):
            return [frame] if at_ms is None else out
        made = frame_hash(luma)
        if at_ms is None:
            out = self.rest()
            self._chosen = np.vstack([self._chosen, made])
            return [*out, frame]
        known = np.vstack([self._chosen, self._hashes])
        if (bits_apart(made, known) <= NEAR_BITS).any():
            return out
        self._hashes = np.vstack([self._hashes, made])
        self._frames.append(frame)
        self._times.append(at_ms)
        if len(self._frames) > self._per_minute:
            self._let_go()
        return out

    def rest(self) -> list[Frame]:
        """What is held and now chosen for good."""
        out, self._frames = self._frames, []
        self._chosen = np.vstack([self._chosen, self._hashes])
        self._hashes, self._times = self._hashes[:0], []
        return out

    def _let_go(self) -> None:
        """Of the two most alike the later; where none are alike, of the two nearest in time."""
        apart = (
            np.array([bits_apart(one, self._hashes) for one in self._hashes]).clip(max=SCENE_BITS).astype(np.float64)
        )
        times = np.array(self._times, np.float64)
        apart += np.abs(times[:, None] - times) / _MINUTE_MS  # less than a bit
        apart[np.triu_indices(len(apart))] = np.inf  # each with those before it only
        last = int(apart.min(axis=1).argmin()) if len(apart) > 1 else 0
        self._hashes = np.delete(self._hashes, last, axis=0)
        del self._frames[last], self._times[last]


def distinct(frames: Iterable[tuple[Pixels, Frame, int | None]], per_minute: int) -> Iterator[Frame]:
    """Those of frames with their luminance and time that ``Selection`` chooses; the first where it chooses none.
    What is held when a fault ends them comes before it is raised.
    """
    selection = Selection[Frame](per_minute)
    first: Frame | None = None
    any_chosen = False
    fault: Exception | None = None
    try:
        for luma, frame, at_ms in frames:
            first = frame if first is None else first
            for chosen in selection.offer(luma, frame, at_ms):
                any_chosen = True
                yield chosen
    except Exception as error:  # noqa: BLE001  (decoders raise about everything on broken data)
        fault = error
    yield from selection.rest() or ([] if any_chosen or first is None else [first])
    if fault is not None:
        raise fault
