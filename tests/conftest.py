"""What all tests share: development photographs, bad files, and imgmatch run from outside."""

import contextlib
import io
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image, ImageDraw

from imgmatch.workers.choice import set_isolated
from tests import remembered, starting

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items):
    """Files with slow tests first, so that no worker of pytest begins one of them when the others are done."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def isolated_again():
    """A command that was run in this process with --no-isolation leaves nothing behind."""
    yield
    set_isolated(True)


@pytest.fixture(autouse=True)
def remembering(request):
    """Networks and SIFT are themselves where tests are about them; elsewhere what they gave is remembered."""
    if (ROOT / "tests" / "imgmatch") in request.path.parents:
        yield
    else:
        with remembered.remembering():
            yield


@pytest.fixture(scope="session", autouse=True)
def on_disk():
    """This process opens cases and packs that are encrypted, and goes on as others do: with core files, and with
    temporary files on the disk. What a command keeps off it, processes of their own show.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("memory", "unlock"):
            patch.setattr(f"imgmatch.vault.{name}.keep_off_disk", lambda: None)
        yield


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The development photographs; the test is skipped where there are none."""
    folder = Path(os.environ.get("IMGMATCH_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "houses").is_dir():
        pytest.skip("no development photographs: set IMGMATCH_DATA")
    return folder


def picture(seed: int, size: tuple[int, int] = (96, 72)) -> Image.Image:
    """A small picture of smooth random colours, unlike that of any other seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def scene(seed, size=(640, 480)):
    """Shapes of many sizes: a picture with enough detail for PDQ's full quality."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", size, tuple(rng.integers(0, 256, 3).tolist()))
    for _ in range(60):
        patch = Image.new("RGB", tuple(rng.integers(20, 260, 2).tolist()), tuple(rng.integers(0, 256, 3).tolist()))
        picture.paste(patch, tuple(rng.integers(-40, size[0], 2).tolist()))
    return picture


def textured(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A picture full of corners, unlike that of any other seed: something to verify."""
    rng = np.random.default_rng(seed)
    made = Image.new("RGB", size, tuple(rng.integers(0, 256, 3).tolist()))
    pen = ImageDraw.Draw(made)
    for _ in range(160):
        x, y = rng.integers(0, size[0]), rng.integers(0, size[1])
        corners = [(int(x + dx), int(y + dy)) for dx, dy in rng.integers(-24, 25, (int(rng.integers(3, 6)), 2))]
        pen.polygon(corners, fill=tuple(rng.integers(0, 256, 3).tolist()))
    return made


def encode(image: Image.Image, format: str, **options) -> bytes:
    """A picture as a file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def with_wrong_checksum(data: bytes, chunk: bytes) -> bytes:
    """A PNG whose first chunk of this name has a wrong CRC."""
    at = data.index(chunk)
    length = struct.unpack(">I", data[at - 4 : at])[0]
    bad = bytearray(data)
    bad[at + 4 + length] ^= 0xFF
    return bytes(bad)


def png_bomb(side: int) -> bytes:
    """A small PNG file that says it is side x side pixels, and is."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(side // 8 + 1) * side, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture
def photographs(tmp_path) -> Path:
    """A folder of twelve small pictures, two of them with the same content, in two folders."""
    folder = tmp_path / "photographs"
    (folder / "deeper").mkdir(parents=True)
    for seed in range(10):
        (folder / f"{seed:02}.jpg").write_bytes(encode(picture(seed), "JPEG", quality=90))
    (folder / "deeper" / "10.png").write_bytes(encode(picture(10), "PNG"))
    (folder / "deeper" / "copy-of-03.jpg").write_bytes((folder / "03.jpg").read_bytes())
    return folder


def run(*arguments, stdin: bytes | None = None, **options) -> subprocess.CompletedProcess:
    """Run the command as a user would, in a process of its own."""
    words = [*map(os.fsencode, map(os.fspath, map(_text, arguments)))]
    cwd, timeout = options.pop("cwd", ROOT), options.pop("timeout", 300)
    environment = options.get("env") or os.environ
    if options.keys() <= {"env"} and (starter := starting.starter(environment)) is not None:
        return starter.run(words, cwd, stdin, timeout, environment)
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *words],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        timeout=timeout,
        check=False,
        **options,
    )


def _text(argument):
    return str(argument) if isinstance(argument, int) else argument


def run_json(*arguments, **options):
    """Run the command with JSON output; it must succeed. Returns what it printed."""
    result = run(*arguments, "--format", "json", **options)
    assert result.returncode == 0, result.stderr.decode()
    return json.loads(result.stdout)


def workers() -> set[psutil.Process]:
    """The workers of this process that are up, without what they are forked from."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # gone since, or about to be
            words, above = " ".join(child.cmdline()), child.ppid()
            if "imgmatch.workers.child" in words and not ("import breed" in words and above == os.getpid()):
                found.add(child)
    return found


def snapshot(folder: Path) -> dict[str, tuple]:
    """Content, mode and times of everything in a folder, to show that nothing touched it."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        info = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK) else None
        found[str(path)] = (info.st_mtime_ns, info.st_ctime_ns, info.st_mode, info.st_size, content)
    return found
