"""Frames of videos and moving pictures: the same from a folder and an archive, found again, within limits."""

import gzip
import hashlib
import io
import os
import signal
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from imgmatch.errors import EvidenceError
from imgmatch.evidence import Reopener, SourceLimits, SourceOptions, walk
from imgmatch.locator import Locator
from imgmatch.parsers.alike import NEAR_BITS, bits_apart, frame_hash, luma_of
from imgmatch.parsers.pieces import Settings
from imgmatch.streams import Shared
from imgmatch.types import Evidence, Issue
from imgmatch.workers.parse import extract
from tests.conftest import encode, workers

SIZE = (352, 288)
FPS = 10


def scene(seed: int, size=SIZE) -> Image.Image:
    """Patches of colour, unlike those of any other seed: as full of detail as a photograph, to a hash."""
    coarse = np.random.default_rng(seed).integers(0, 256, (18, 22, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


SCENES = [scene(seed) for seed in range(4)]


def film(path, codec="libx264", scenes=SCENES, seconds=2.0, rotate=0, size=SIZE, **options):
    """A video that shows each scene for some seconds."""
    av = pytest.importorskip("av", reason="needs the extra video (av)")
    with av.open(str(path), "w") as out:
        track = out.add_stream(codec, rate=FPS)
        track.width, track.height = size
        track.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        track.options = {"threads": "1", **options}
        track.bit_rate = 4_000_000
        if rotate:
            track.set_display_rotation(rotate)
        for shown in scenes:
            frame = np.asarray(shown.resize(size))
            for _ in range(int(FPS * seconds)):
                out.mux(track.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(track.encode())
    return path


def read(found: Evidence) -> bytes:
    with found.open() as stream:
        return b"".join(iter(lambda: stream.read(1 << 16), b""))


def split(path, **options) -> tuple[list[Evidence], list[Issue]]:
    found = list(walk(path, options=SourceOptions(**options)))
    return [f for f in found if isinstance(f, Evidence)], [f for f in found if isinstance(f, Issue)]


def digests(path, **options) -> dict[str, str]:
    """Innermost place to SHA-256; each is found again by its printed locator, from the last to the first."""
    found, issues = split(path, **options)
    assert not issues
    again = Reopener()
    for one in reversed(found):
        assert read(again.reopen(Locator.parse(str(one.locator)))) == read(one)
    return {f.locator.at: hashlib.sha256(read(f)).hexdigest() for f in found}


def scenes_in(found, scenes=SCENES) -> list[int]:
    """Which scene each frame shows."""
    shown = []
    for one in found:
        pixels = np.asarray(Image.open(io.BytesIO(read(one)))).astype(int)
        apart = [np.abs(pixels - np.asarray(one)).mean() for one in scenes]
        assert min(apart) < 12
        shown.append(int(np.argmin(apart)))
    return shown


# Key frames where a scene begins: encoders leave them out when scenes are as short as here.
KEYS = {"libx264": {"g": "20", "keyint_min": "1"}, "libvpx": {"g": "20"}}
FORMATS = {
    "a.mp4": "libx264",
    "a.mov": "libx264",
    "a.avi": "mpeg4",
    "b.avi": "mjpeg",
    "a.mkv": "libx264",
    "a.webm": "libvpx",
    "a.3gp": "h263",
    "a.mpg": "mpeg2video",
    "a.ts": "mpeg2video",
}


@pytest.mark.parametrize("name", FORMATS)
def test_each_scene_of_a_video_is_one_frame(tmp_path, name):
    path = film(tmp_path / name, FORMATS[name], **KEYS.get(FORMATS[name], {}))
    found, issues = split(path)
    assert not issues
    assert scenes_in(found) == [0, 1, 2, 3]
    times = [int(one.locator.at) for one in found]
    assert [round(ms / 2000) for ms in times] == [0, 1, 2, 3]
    assert str(found[0].locator) == f"file:{path}|frame:0"
    assert found[0].modified_utc is not None
    assert len(digests(path)) == 4


def test_a_video_in_archives_gives_the_very_same_frames(tmp_path):
    path = film(tmp_path / "a.mp4", g="20")
    before = path.stat()
    wanted = digests(path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "in/a.mp4")
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        archive.add(path, "a.mp4")
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(tarred.getvalue()))
    assert digests(tmp_path / "a.zip") == wanted
    assert digests(tmp_path / "a.tar.gz") == wanted
    after = path.stat()
    assert (after.st_mtime_ns, after.st_ctime_ns, after.st_size) == (
        before.st_mtime_ns,
        before.st_ctime_ns,
        before.st_size,
    )


def test_scenes_between_key_frames_that_are_far_apart_are_seen(tmp_path):
    path = film(tmp_path / "a.mp4", "libx264", seconds=8, g="100000", keyint_min="100000", sc_threshold="0", bf="2")
    assert scenes_in(split(path)[0]) == [0, 1, 2, 3]
    assert len(digests(path)) == 4


def test_near_equal_and_plain_frames_are_dropped_and_scenes_that_come_back(tmp_path):
    black = Image.new("RGB", SIZE)
    path = film(tmp_path / "a.avi", "mjpeg", [black, SCENES[0], SCENES[1], SCENES[0], black], seconds=1)
    assert scenes_in(split(path)[0]) == [0, 1]
    assert len(digests(film(tmp_path / "b.avi", "mjpeg", [black], seconds=1))) == 1


def test_a_minute_gives_so_many_frames_spread_over_it_and_each_is_found_again_whatever_was_asked(tmp_path):
    scenes = [scene(seed) for seed in range(30)]
    path = film(tmp_path / "a.avi", "mjpeg", scenes, seconds=0.5)
    assert len(digests(path, frames_per_minute=5)) == 5
    # A camera that moves makes frames that differ; the scene after them has its place all the same.
    wide = scene(99, (1056, 288))
    moving = [wide.crop((x, 0, x + 352, 288)) for x in range(0, 200, 7)]
    path = film(tmp_path / "b.avi", "mjpeg", [*moving, SCENES[0]], seconds=0.1)
    found, _ = split(path, frames_per_minute=4)
    assert len(found) == 4
    assert scenes_in(found[-1:]) == [0]


def test_frames_are_turned_as_the_phone_was_held(tmp_path):
    (plain,), _ = split(film(tmp_path / "a.mp4", scenes=SCENES[:1]))
    (turned,), _ = split(film(tmp_path / "b.mp4", scenes=SCENES[:1], rotate=90))
    upright = np.asarray(Image.open(io.BytesIO(read(plain)))).astype(int)
    seen = np.asarray(Image.open(io.BytesIO(read(turned)))).astype(int)
    assert np.abs(seen - np.rot90(upright)).mean() < 1


def test_limits_keep_what_came_before(tmp_path):
    path = film(tmp_path / "a.avi", "mjpeg")

    def limited(**limits):
        found, issues = split(path, limits=SourceLimits(**limits))
        return len(found), [(issue.error, str(issue.locator)) for issue in issues], issues

    count, errors, issues = limited(max_frames=2)
    assert (count, errors) == (2, [("limit", f"file:{path}")])
    assert "max_frames" in issues[0].message
    size = path.stat().st_size
    count, errors, issues = limited(max_video_bytes=size // 2)
    assert (count, errors) == (2, [("limit", f"file:{path}")])
    assert "max_video_bytes" in issues[0].message
    count, errors, _ = limited(max_frame_pixels=1000)
    assert (count, errors) == (0, [("broken_video", f"file:{path}")])
    count, errors, issues = limited(max_cpu_seconds=0)
    assert (count, errors) == (0, [("limit", f"file:{path}")])
    assert "max_cpu_seconds" in issues[0].message
    assert split(path, frames=False)[0][0].locator == Locator.file(path)


@pytest.mark.slow
def test_a_picture_that_needs_too_much_memory_is_an_issue(tmp_path):
    pytest.importorskip("resource", reason="needs a system with resource limits")
    before = workers()
    path = tmp_path / "a.tif"
    pages = [Image.new("1", (8000, 8000), colour) for colour in (0, 1)]
    pages[0].save(path, save_all=True, append_images=pages[1:], compression="tiff_deflate")
    found, issues = split(path, limits=SourceLimits(max_memory_bytes=400 << 20))
    assert ([f.locator.kind for f in found], [i.error for i in issues]) == (["file"], ["limit"])
    assert "max_memory_bytes" in issues[0].message
    assert workers() <= before  # what could not be had may be missing there for good


@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.ts", "b.avi"])
def test_a_truncated_video_gives_its_frames_and_an_issue(tmp_path, name):
    path = film(tmp_path / name, FORMATS[name], seconds=3, **KEYS.get(FORMATS[name], {}))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    found, issues = split(path)
    assert scenes_in(found[:1]) == [0]
    assert 1 <= len(found) < 4
    if name != "a.ts":  # a transport stream does not say how long it should be
        assert [issue.error for issue in issues] == ["broken_video"]


def test_a_video_of_which_nothing_can_be_decoded_is_an_issue(tmp_path):
    whole = film(tmp_path / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])  # its index was at the end
    (tmp_path / "noise.mp4").write_bytes(whole[:32] + os.urandom(5000))
    (tmp_path / "noise.mkv").write_bytes(b"\x1a\x45\xdf\xa3" + os.urandom(5000))
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "sound.mp4"), "w") as out:
        track = out.add_stream("aac", rate=44100)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 44100
        out.mux(track.encode(silence))
        out.mux(track.encode())
    found, issues = split(tmp_path)
    assert {f.locator.at for f in found if f.locator.kind == "frame"} == set(digests(tmp_path / "a.mp4"))
    assert {os.path.basename(str(i.locator)): i.error for i in issues} == {
        "cut.mp4": "broken_video",
        "noise.mp4": "broken_video",
        "noise.mkv": "broken_video",
        "sound.mp4": "not_a_picture",
    }


@pytest.mark.parametrize("text", ["#EXTM3U\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile '{}'\n"])
def test_a_list_of_other_files_opens_none_of_them(tmp_path, text):
    path = film(tmp_path / "a.ts", "mpeg2video")
    (tmp_path / "list").write_text(text.format(path))
    found, issues = split(tmp_path / "list")
    assert ([f.locator for f in found], issues) == ([Locator.file(tmp_path / "list")], [])
    with open(tmp_path / "list", "rb") as stream, pytest.raises(EvidenceError, match="can't be opened"):
        list(extract("video", Shared(stream), Settings(12, SourceLimits())))


def test_a_reader_that_dies_costs_one_issue_and_is_replaced(tmp_path):
    if not hasattr(signal, "SIGKILL"):
        pytest.skip("needs a system with SIGKILL")
    noise = [Image.fromarray(np.random.default_rng(n).integers(0, 256, (480, 640, 3), np.uint8)) for n in range(6)]
    path = film(tmp_path / "a.avi", "mjpeg", noise, seconds=0.2, size=(640, 480))
    before = workers()
    # Other limits, another process: told by that from those that are up.
    found = walk(path, options=SourceOptions(limits=SourceLimits(max_memory_bytes=(4 << 30) + 1)))
    first = next(found)
    assert isinstance(first, Evidence)
    (reader,) = workers() - before
    reader.kill()
    rest = list(found)
    assert isinstance(rest[-1], Issue)
    assert rest[-1].error == "crashed"
    assert len(digests(film(tmp_path / "b.mp4", g="20"))) == 4


@pytest.mark.slow
def test_a_reader_ends_with_the_program_that_started_it(tmp_path):
    psutil = pytest.importorskip("psutil", reason="needs psutil")
    import subprocess
    import sys

    path = film(tmp_path / "a.mp4")
    script = (
        "import sys; from imgmatch.evidence import walk; from tests.conftest import workers; list(walk(sys.argv[1]));"
        "print(*[c.pid for c in workers()], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.getcwd()
    ) as program:
        pids = [int(pid) for pid in program.stdout.readline().split()]
        readers = [psutil.Process(pid) for pid in pids]
        assert readers
        program.kill()
    _, alive = psutil.wait_procs(readers, timeout=60)
    assert not alive


def unwritten(format: str) -> bool:
    from PIL import features

    return format == "AVIF" and not features.check("avif")


MOVING = {
    "a.gif": {"format": "GIF", "duration": 500},
    "a.webp": {"format": "WEBP", "duration": 500, "lossless": True},
    "a.png": {"format": "PNG", "duration": 500},
    "a.avif": {"format": "AVIF", "duration": 500, "quality": 90},
    "a.tif": {"format": "TIFF"},
}


@pytest.mark.parametrize("name", MOVING)
def test_distinct_frames_of_a_moving_picture_lie_behind_the_file_itself(tmp_path, name):
    frames = [SCENES[1], SCENES[0], SCENES[2], SCENES[2], SCENES[3]]
    options = dict(MOVING[name])
    if unwritten(options["format"]):
        pytest.skip("this Pillow has no AVIF")
    path = tmp_path / name
    SCENES[0].save(path, options.pop("format"), save_all=True, append_images=frames, **options)
    found, issues = split(path)
    assert not issues
    assert found[0].locator == Locator.file(path)
    assert read(found[0]) == path.read_bytes()
    # Pages have no time, and are all given.
    assert scenes_in(found[1:]) == ([1, 0, 2, 2, 3] if name == "a.tif" else [1, 2, 3])
    assert {f.locator.kind for f in found[1:]} == {"frame"}
    digests(path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, name)
    assert list(digests(tmp_path / "a.zip").values()) == list(digests(path).values())
    found, issues = split(path, limits=SourceLimits(max_frames=1))
    assert (len(found), [i.error for i in issues]) == (2, ["limit"])
    assert [f.locator for f in split(path, frames=False)[0]] == [Locator.file(path)]


def test_heif_with_several_images(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif", reason="writes HEIC for this test (pillow-heif)")
    several = pillow_heif.HeifFile()
    for one in SCENES[:3]:
        several.add_from_pillow(one)
    several.save(tmp_path / "a.heic", quality=90)
    found, _ = split(tmp_path / "a.heic")
    assert [f.locator.kind for f in found] == ["file", "frame", "frame"]
    assert scenes_in(found[1:]) == [1, 2]
    digests(tmp_path / "a.heic")


def test_pictures_of_one_frame_are_themselves_only(tmp_path):
    for kind in ("GIF", "PNG", "WEBP", "TIFF", "JPEG"):
        (tmp_path / kind).write_bytes(encode(SCENES[0], kind))
    assert sorted(digests(tmp_path)) == sorted(str(p) for p in tmp_path.iterdir())


def test_a_broken_moving_picture_stays_itself_and_says_so(tmp_path):
    path = tmp_path / "a.gif"
    SCENES[0].save(path, save_all=True, append_images=SCENES[1:], duration=500)
    path.write_bytes(path.read_bytes()[:-30_000])
    found, issues = split(path)
    assert found[0].locator == Locator.file(path)
    assert 2 <= len(found) <= 4
    assert {issue.error for issue in issues} <= {"broken_picture"}
    again = Reopener()
    assert [read(again.reopen(f.locator)) for f in found] == [read(f) for f in found]


def test_the_hash_tells_pictures_apart_and_bears_compression():
    hashes = np.stack([frame_hash(luma_of(one)) for one in SCENES])
    for n, one in enumerate(SCENES):
        small = Image.open(io.BytesIO(encode(one.resize((120, 90)), "JPEG", quality=40)))
        apart = bits_apart(frame_hash(luma_of(small)), hashes)
        assert apart[n] <= NEAR_BITS
        assert (np.delete(apart, n) > NEAR_BITS).all()
