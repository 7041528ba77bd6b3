"""Key frames of a video by PyAV (FFmpeg; extra ``video``): where the encoder says that something new begins.

Decoding nothing but key frames costs a fraction of a full decode, and each is decoded alike wherever reading began: a
frame asked for by its time is the very frame that was found.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image as Pillow

from imgmatch.errors import EvidenceError
from imgmatch.extract.near import LUMA_PX, Selection
from imgmatch.extract.pieces import Clock, Piece, Settings, png
from imgmatch.optional import require
from imgmatch.sources.streams import one_line

if TYPE_CHECKING:
    from imgmatch.types import Pixels

# Demuxers that read nothing but the file they are given: no playlists, no lists of files, no devices.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,flv,live_flv,asf,ogg,dv,mxf,rm,gxf"
_Timed = tuple[int, Any]
_HD_ROWS = 720
_UNKNOWN_MATRIX = 2  # as ITU-T H.273 numbers them
_MISSING_SECONDS = 2.0  # of a video that ends this much before it says, some is missing


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece]:
    """Key frames that differ, as PNG, called by their time in ms; with ``at``, the one at that time and no other.

    Raises EvidenceError of kind ``broken_video``, ``limit``, ``gone`` or ``not_a_picture`` (no video track), after what
    could be decoded was given.
    """
    if at is not None:
        yield Piece("frame", at, png(_upright(_frame_at(stream, settings, int(at)))))
        return
    found = _distinct(_Reading(stream, settings).key_frames(), Selection(settings.frames_per_minute))
    for given, (ms, frame) in enumerate(found):
        if given >= settings.max_frames:
            raise EvidenceError("limit", f"gives more than max_frames ({settings.max_frames:,}); the rest is left")
        yield Piece("frame", str(ms), png(_upright(frame)))


def _distinct(frames: Iterator[_Timed], selection: Selection[_Timed]) -> Iterator[_Timed]:
    """Those that are chosen; of a video that shows nothing but one colour, its first."""
    first, any_chosen, last_ms = None, False, -1
    fault: EvidenceError | None = None
    try:
        for ms, frame in frames:
            if ms <= last_ms:  # time runs forwards; what a broken index says twice is one frame
                continue
            last_ms = ms
            first = first or (ms, frame)
            for chosen in selection.offer(_luma(frame), (ms, frame), ms):
                any_chosen = True
                yield chosen
    except EvidenceError as error:  # what is held comes first
        fault = error
    rest = selection.rest()
    yield from rest
    if first is not None and not rest and not any_chosen:
        yield first
    if fault is not None:
        raise fault


def _frame_at(stream: BinaryIO, settings: Settings, ms: int) -> Any:
    """The key frame at a time: looked for from there, and where the index misleads, from the start."""
    for from_ms in (ms, None):
        stream.seek(0)
        with contextlib.suppress(EvidenceError):
            for found, frame in _Reading(stream, settings).key_frames(from_ms):
                if found == ms:
                    return frame
                if from_ms is not None and found > ms:
                    break
    raise EvidenceError("gone", f"no key frame is at {ms} ms any more")


@dataclass(slots=True)
class _Reading:
    stream: BinaryIO
    settings: Settings
    clock: Clock = field(init=False)
    decoded: int = 0
    last_second: float = 0.0
    fault: str | None = None

    def __post_init__(self) -> None:
        self.clock = Clock(self.settings)

    def key_frames(self, from_ms: int | None = None) -> Iterator[tuple[int, Any]]:
        """Time in ms from the start of the video and frame, of every key frame from the last one before ``from_ms`` on.

        Raises EvidenceError at the end when something is wrong with the video.
        """
        av = require("av", "video")
        av.logging.set_level(None)
        try:
            container = av.open(self.stream, options={"format_whitelist": _FORMATS, "protocol_whitelist": "none"},
                                metadata_errors="replace", buffer_size=1 << 18)  # fmt: skip
        except av.error.FFmpegError as error:
            raise EvidenceError("broken_video", f"the video can't be opened: {_reason(error)}") from error
        with container:
            track = container.streams.best("video")
            if track is None or track.codec_context is None:
                raise EvidenceError("not_a_picture", "holds no video track that can be decoded")
            track.codec_context.options = {"max_pixels": str(self.settings.max_frame_pixels)}
            track.codec_context.skip_frame = "NONKEY"
            start = track.start_time or 0
            if from_ms is not None:
                container.seek(start + int((from_ms + 1) / 1000 / track.time_base), stream=track)
            for frame in self._frames(container, track, av.error.FFmpegError):
                self.decoded += 1
                stamp = frame.pts if frame.pts is not None else frame.dts
                # Without a time it is called by its number: so broken a video has no time that could be told.
                ms = self.decoded - 1 if stamp is None else max(0, int((stamp - start) * track.time_base * 1000))
                yield ms, frame
            if from_ms is None:
                self._judge(container, track)

    def _frames(self, container: Any, track: Any, failure: type[Exception]) -> Iterator[Any]:
        size, packets = 0, container.demux(track)
        while True:
            self.clock.check()
            try:
                packet = next(packets)
            except StopIteration:
                return
            except failure as error:
                self.fault = _reason(error)
                return
            size += packet.size
            if size > self.settings.max_video_bytes:
                limit = self.settings.max_video_bytes
                raise EvidenceError("limit", f"reads more than max_video_bytes ({limit:,}); the rest is left")
            if packet.pts is not None:
                self.last_second = max(
                    self.last_second, float((packet.pts - (track.start_time or 0)) * track.time_base)
                )
            try:
                yield from packet.decode()
            except failure as error:
                self.fault = self.fault or _reason(error)

    def _judge(self, container: Any, track: Any) -> None:
        """Say what is wrong, if anything is."""
        if not self.decoded:
            raise EvidenceError("broken_video", f"no frame can be decoded: {self.fault or 'there is none'}")
        if self.fault is not None:
            raise EvidenceError("broken_video", f"the video is damaged ({self.fault}); what can be decoded is kept")
        said = float(track.duration * track.time_base) if track.duration else (container.duration or 0) / 1e6
        if said - self.last_second > max(_MISSING_SECONDS, 0.05 * said):
            raise EvidenceError(
                "broken_video", f"ends after {self.last_second:.1f} of {said:.1f} seconds; what there is is kept"
            )


def _luma(frame: Any) -> Pixels:
    small: Pixels = frame.reformat(LUMA_PX, LUMA_PX, "gray", interpolation="AREA").to_ndarray()
    return small


def _upright(frame: Any) -> Pillow.Image:
    """The whole frame as RGB, turned as its track says (phones store how they were held)."""
    from av.video.reformatter import Colorspace, Interpolation

    # BITEXACT: one video gives one picture, whatever the processor can do.
    how = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT
    matrix = None
    if int(frame.colorspace) == _UNKNOWN_MATRIX:  # as players take it: HD by BT.709, smaller by BT.601
        matrix = Colorspace.ITU709 if min(frame.width, frame.height) >= _HD_ROWS else Colorspace.ITU601
    pixels = frame.to_ndarray(format="rgb24", interpolation=how, src_colorspace=matrix)
    return Pillow.fromarray(np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90) % 4)))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or one_line(error)
