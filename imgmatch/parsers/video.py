"""Key frames of a video by PyAV (FFmpeg; extra ``video``): where the encoder says that something new begins.

Decoding nothing but key frames costs a fraction of a full decode, and each is decoded alike wherever reading began: a
frame asked for by its time is the very frame that was found. Where key frames are rare, frames between them are taken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image as Pillow

from imgmatch.errors import EvidenceError, over
from imgmatch.optional import require
from imgmatch.parsers import covers
from imgmatch.parsers.alike import LUMA_PX, distinct
from imgmatch.parsers.pieces import Clock, Piece, Settings, at_most, png
from imgmatch.streams import one_line

if TYPE_CHECKING:
    from imgmatch.types import Pixels

# Demuxers that read nothing but the file they are given: no playlists, no lists of files, no devices.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,flv,live_flv,asf,ogg,dv,mxf,rm,gxf"
_Timed = tuple[int, Any]
_HD_ROWS = 720
_ATTACHED = 0x400  # AV_DISPOSITION_ATTACHED_PIC: a cover, which is no track
_UNKNOWN_MATRIX = 2  # as ITU-T H.273 numbers them
# Of a video that ends so much before it says, some is missing (sound may go on for a little).
_MISSING_SECONDS, _MISSING_SHARE = 2.0, 0.05
# Common encoders put a key frame every 250 frames at the least. Where there is none for longer, all is decoded.
_GAP_MS = 12_000
_SAMPLE_MS = 1_000
_MAX_GROUP_BYTES = 256 << 20
_REORDER_MS = 2_000  # frames may come this much out of order
_BUFFER_BYTES = 1 << 18


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece]:
    """Covers and the like; frames that differ, as PNG, called by their time in ms; with ``at``, what is called so and
    nothing else.

    Raises EvidenceError of kind ``broken_video``, ``limit``, ``gone`` or ``not_a_picture`` (no video track), after what
    could be decoded was given.
    """
    if at is None or not at.isdecimal():
        yield from (piece for piece in covers.extract(stream, settings) if at in (None, piece.at))
        stream.seek(0)
    if at is not None and not at.isdecimal():
        return
    if at is not None:
        yield Piece("frame", at, png(_upright(_frame_at(stream, settings, int(at)))))
        return
    frames = distinct(_timed(_Reading(stream, settings).frames()), settings.frames_per_minute)
    for ms, frame in at_most(frames, settings):
        yield Piece("frame", str(ms), png(_upright(frame)))


def _timed(frames: Iterator[_Timed]) -> Iterator[tuple[Pixels, _Timed, int]]:
    """With luminance and time, which runs forwards: what a broken index says twice is one frame."""
    last_ms = -1
    for ms, frame in frames:
        if ms > last_ms:
            last_ms = ms
            yield _luma(frame), (ms, frame), ms


def _frame_at(stream: BinaryIO, settings: Settings, ms: int) -> Any:
    """The frame at a time: from the key frame before it, and where the index misleads, from the start."""
    for from_ms, every in ((ms, False), (ms, True), (None, False)):
        stream.seek(0)
        with contextlib.suppress(EvidenceError):
            for found, frame in _Reading(stream, settings).frames(from_ms, every=every):
                if found == ms:
                    return frame
                if from_ms is not None and found > ms + _REORDER_MS:
                    break
    raise EvidenceError("gone", f"no frame is at {ms} ms any more")


@dataclass(slots=True)
class _Reading:
    """One way through a video."""

    stream: BinaryIO
    settings: Settings
    clock: Clock = field(init=False)
    decoded: int = 0
    packets: int = 0
    last_ms: int = 0
    fault: str | None = None
    _track: Any = None
    _failure: Any = None

    def __post_init__(self) -> None:
        self.clock = Clock(self.settings)

    def frames(self, from_ms: int | None = None, *, every: bool = False) -> Iterator[_Timed]:
        """Time in ms from the start of the video and frame: key frames, and one a second where there is none for long;
        with ``every``, all. Begins at the last key frame before ``from_ms``.

        Raises EvidenceError at the end when something is wrong with the video.
        """
        av = require("av", "video")
        av.logging.set_level(None)
        self._failure = av.error.FFmpegError
        try:
            container = av.open(
                self.stream,
                options={"format_whitelist": _FORMATS, "protocol_whitelist": "none"},
                metadata_errors="replace",
                buffer_size=_BUFFER_BYTES,
            )
        except self._failure as error:
            raise EvidenceError("broken_video", f"the video can't be opened: {_reason(error)}") from error
        with container:
            self._track = track = container.streams.best("video")
            is_cover = track is not None and from_ms is None and not every and bool(track.disposition & _ATTACHED)
            if track is None or track.codec_context is None or is_cover:
                raise EvidenceError("not_a_picture", "holds no video track that can be decoded")
            # Side by side is for pictures; and what a file costs is counted over all threads.
            track.codec_context.thread_count = 1
            track.codec_context.options = {"max_pixels": str(self.settings.limits.max_frame_pixels)}
            if from_ms is not None:
                container.seek((track.start_time or 0) + int((from_ms + 1) / 1000 / track.time_base), stream=track)
            for frame in self._every(container) if every else self._key_frames(container):
                self.decoded += 1
                yield self._ms(frame), frame
            if from_ms is None:
                self._judge(container)

    def _ms(self, timed: Any) -> int:
        """Of a frame or packet. Without a time it is called by its number: so broken a video has no time to tell."""
        stamp = timed.pts if timed.pts is not None else timed.dts
        if stamp is None:
            return self.decoded
        return max(0, int((stamp - (self._track.start_time or 0)) * self._track.time_base * 1000))

    def _key_frames(self, container: Any) -> Iterator[Any]:
        codec = self._track.codec_context
        group: list[Any] = []  # what follows a key frame, kept for as long as it may turn out to be long
        group_bytes, key_ms, next_ms, filling = 0, 0, 0, False
        for packet in self._packets(container):
            ms = self._ms(packet)
            if packet.is_keyframe:
                codec.flush_buffers()
                codec.skip_frame = "NONKEY"
                # Each by itself: decoded alike wherever reading began, and handed out at once.
                yield from [*self._decode(packet), *self._decode(None)][:1]
                group, group_bytes, key_ms, filling = [packet], packet.size, ms, False
                next_ms = ms + _SAMPLE_MS
                continue
            if filling:
                group = [packet]
            elif group:
                group.append(packet)
                group_bytes += packet.size
                if group_bytes > _MAX_GROUP_BYTES:
                    group = []
                if ms - key_ms <= _GAP_MS:
                    continue
                codec.flush_buffers()
                codec.skip_frame = "DEFAULT"
                filling = bool(group)
            for each in group:
                for frame in self._decode(each):
                    if self._ms(frame) >= next_ms:
                        next_ms = self._ms(frame) + _SAMPLE_MS
                        yield frame

    def _every(self, container: Any) -> Iterator[Any]:
        for packet in self._packets(container):
            yield from self._decode(packet)
        yield from self._decode(None)

    def _decode(self, packet: Any) -> list[Any]:
        try:
            return list(self._track.codec_context.decode(packet))
        except EOFError:
            return []
        except self._failure as error:
            self.fault = self.fault or _reason(error)
            return []

    def _packets(self, container: Any) -> Iterator[Any]:
        size, packets = 0, container.demux(self._track)
        while True:
            self.clock.check()
            try:
                packet = next(packets)
            except StopIteration:
                return
            except self._failure as error:
                self.fault = _reason(error)
                return
            if not packet.size:  # the end
                continue
            size += packet.size
            self.packets += 1
            if size > self.settings.limits.max_video_bytes:
                limit = self.settings.limits.max_video_bytes
                raise over("max_video_bytes", f"reads more than max_video_bytes ({limit:,}); the rest is left")
            self.last_ms = max(self.last_ms, self._ms(packet))
            yield packet

    def _judge(self, container: Any) -> None:
        """Say what is wrong, if anything is."""
        track = self._track
        if not self.decoded:
            raise EvidenceError("broken_video", f"no frame can be decoded: {self.fault or 'there is none'}")
        if self.fault is not None:
            raise EvidenceError("broken_video", f"the video is damaged ({self.fault}); what can be decoded is kept")
        said, there = float(track.duration * track.time_base) if track.duration else 0, self.last_ms / 1000
        said = max(said, (container.duration or 0) / 1e6)
        if said - there > max(_MISSING_SECONDS, _MISSING_SHARE * said):
            raise EvidenceError("broken_video", f"ends after {there:.1f} of {said:.1f} seconds; what there is is kept")
        if track.frames * (1 - _MISSING_SHARE) > self.packets + 1:
            raise EvidenceError(
                "broken_video", f"ends after {self.packets:,} of {track.frames:,} frames; what there is is kept"
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
