"""Every limit is in one table, documented, set by --limit, and hit by a file."""

import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
import zlib

import pytest

from imgmatch.errors import UsageError
from imgmatch.evidence import SourceLimits, SourceOptions, walk
from imgmatch.evidence.limits import AllLimits, limits
from indexer.intake.ingest import IngestConfig, ingest
from tests.conftest import ROOT, encode, picture, png_bomb, run, run_json
from tests.indexer.vectors import inside

PICTURE = encode(picture(1, (300, 200)), "JPEG")


def zipped(members, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


# A file that goes past each limit, once the limit is lowered so far, and the kind of issue that says so.
HITS = {
    "max_pixels": (50_000, "too_large", PICTURE),
    "max_bytes": (1_000, "too_large", PICTURE),
    "worker_memory_bytes": (600 << 20, "worker_memory", png_bomb(12_000)),
    "decode_seconds": (1, "worker_timeout", None),
    "max_depth": (1, "limit", zipped({"a.zip": zipped({"b.jpg": PICTURE})})),
    "max_members": (2, "limit", zipped({f"{n}.jpg": b"" for n in range(3)})),
    "members_per_kib_from": (2, "limit", zipped({f"{n}.jpg": b"" for n in range(3)})),
    "max_name_bytes": (10, "limit", zipped({f"{n}.jpg": b"" for n in range(3)})),
    "max_total_bytes": (1_000, "limit", zipped({"a.jpg": PICTURE})),
    "max_member_bytes": (1_000, "limit", zipped({"a.jpg": PICTURE})),
    "max_ratio": (20, "limit", zipped({"a.bmp": bytes(65 << 20)})),
    "ratio_from_bytes": (1_000, "limit", zipped({"a.bmp": bytes(1 << 20)})),
    "max_temp_bytes": (1_000, "limit", gzip.compress(zipped({"a.jpg": PICTURE}))),
}


def slow_picture():
    """A picture of many pixels whose shades must be brought to 8 bits: takes more than a second."""
    rows = zlib.compress(bytes((12_000 * 2 + 1) * 12_000), 1)
    return b"".join(_png_chunks(12_000, 12_000, 16, rows))


def _png_chunks(width, height, depth, rows):
    yield b"\x89PNG\r\n\x1a\n"
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((depth, 0, 0, 0, 0))
    for name, body in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")):
        yield len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")


@pytest.mark.parametrize("name", HITS)
def test_a_file_past_a_limit_is_an_issue_that_names_the_limit(name, case, embedder, tmp_path):
    value, kind, data = HITS[name]
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "past").write_bytes(slow_picture() if data is None else data)
    (sources / "within.png").write_bytes(encode(picture(2, (20, 20)).quantize(2), "PNG"))
    given = limits([f"{name}={value}"])
    config = IngestConfig(limits=given.picture, worker_limits=given.worker, sources=SourceOptions(limits=given.source))
    report = ingest(case, [sources], embedder, config)
    assert inside(case).issues.kinds()[kind] >= 1
    said = " ".join(row.issue.message for row in inside(case).issues.all() if row.issue.error == kind)
    told_as = {"ratio_from_bytes": "max_ratio", "members_per_kib_from": "max_members_per_kib"}
    assert told_as.get(name, name) in said
    assert report.new_items >= 1  # the other file
    assert f'"{name}":{value}' in (case.path / "audit.jsonl").read_text().replace(" ", "")


def test_a_carved_picture_longer_than_its_limit_is_not_found(tmp_path):
    pytest.importorskip("pytsk3", reason="pytsk3 is not installed: pip install 'imgmatch[forensic]'")
    mke2fs = shutil.which("mke2fs") or shutil.which("mke2fs", path="/usr/sbin:/sbin")
    if mke2fs is None:
        pytest.skip("needs the tool mke2fs")
    image = tmp_path / "card.dd"
    with open(image, "wb") as file:
        file.truncate(4 << 20)
    subprocess.run([mke2fs, "-q", "-t", "ext4", "-O", "^has_journal", image], check=True, capture_output=True)
    with open(image, "r+b") as file:
        file.seek(3 << 20)
        file.write(PICTURE)

    def carved(longest):
        options = SourceOptions(carve=True, limits=SourceLimits(max_carved_bytes=longest))
        return [found for found in walk(image, options=options) if found.locator.kind == "carved"]

    assert len(carved(len(PICTURE))) == 1
    assert carved(len(PICTURE) - 1) == []


@pytest.mark.claim("M16")
def test_every_limit_is_documented_with_its_default_and_has_a_file_that_hits_it():
    page = (ROOT / "docs" / "limits.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]*?\(?([\d,]+)\)? \|", page, re.MULTILINE))
    assert {name: int(value.replace(",", "")) for name, value in rows.items()} == AllLimits().named()
    # The others by videos that hit them: tests/imgmatch/test_media.py.
    # Of time and proportion by what claims it: tests/imgmatch/evidence/test_budget.py.
    elsewhere = {"max_carved_bytes", "max_walk_seconds", "max_members_per_kib"}
    media = {"max_frames", "max_frame_pixels", "max_video_bytes", "max_cpu_seconds", "max_memory_bytes"}
    assert set(HITS) | elsewhere | media == set(AllLimits().named())


@pytest.mark.parametrize(
    "text",
    ["max_dept=4", "max_depth", "max_depth=", "max_depth=-1", "max_depth=0", "max_depth=²", "max_depth=" + "9" * 5000],
)
def test_what_is_no_limit_is_refused_and_the_limits_are_listed(text):
    with pytest.raises(UsageError, match="max_temp_bytes"):
        limits([text])


def test_the_bound_against_pixel_bombs_is_only_lowered():
    with pytest.raises(UsageError, match="only be lowered"):
        limits(["max_pixels=178956971"])


def test_limits_are_set_on_the_command_line(tmp_path, photographs):
    case = tmp_path / "case"
    run("init", case)
    report = run_json("ingest", case, photographs, "--limit", "max_pixels=100", "--limit", "decode_seconds=60")
    assert report["unusable"] == report["files"] == 12
    (entry,) = [json.loads(line) for line in (case / "audit.jsonl").read_text().splitlines() if '"ingest"' in line]
    assert "decode_seconds" in json.dumps(entry)


@pytest.mark.claim("M18")
def test_temporary_files_have_no_name_and_are_gone_after_a_kill(tmp_path):
    """Unpacked content beyond 8 MiB lies in a file that no folder lists: nobody else can open it, nothing stays."""
    if os.name != "posix" or not os.path.isdir("/proc/self/fd"):
        pytest.skip("looks into /proc")
    archive = tmp_path / "sources" / "large.zip.gz"
    archive.parent.mkdir()
    archive.write_bytes(
        gzip.compress(zipped({f"{n}.bmp": os.urandom(1 << 20) for n in range(20)}, zipfile.ZIP_STORED), 1)
    )
    script = (
        "import os, sys\n"
        "from imgmatch.evidence import walk\n"
        "found = next(iter(walk(sys.argv[1])))\n"
        "links = [os.readlink(f.path) for f in os.scandir('/proc/self/fd') if os.path.lexists(f.path)]\n"
        "print(*[link for link in links if sys.argv[2] in link], sep='\\n', flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script, archive, scratch],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -9, done.stderr
    assert "(deleted)" in done.stdout, done.stderr
    assert list(scratch.iterdir()) == []
