"""The life of an encrypted case on a disk of its own, temporary folder, home and core files with it: what it knows is
nowhere on that disk as a device, deleted blocks, journal and swap of its file system included.
"""

import contextlib
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgmatch.picture.pdq import pdq_of
from imgmatch.vault import age
from tests.cli.test_review import Live
from tests.conftest import encode, textured
from tests.images import acquired, partitioned
from tests.starting import Starter

pytestmark = pytest.mark.slow
WORDS = {
    "name": "quite-singular-name", "label": "a-label-of-its-own", "note": "a note that nobody else writes",
    "purpose": "rooms of a singular inquiry", "reason": "a reason like no other", "upload": "uploaded-from-elsewhere",
    "folder": "a-folder-of-evidence", "packed": "packed-into-an-archive", "recipient": "an office across the border",
}  # fmt: skip
DISK_BYTES = 256 << 20
RUN_BYTES = 16


def grams(data: bytes) -> np.ndarray:
    """The 8 bytes at every place, as numbers: each run of 16 bytes, wherever it lies, holds one whole that begins at a
    multiple of eight there.
    """
    places = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), 8))
    varied = np.sort(places, axis=1)
    whole = places.view(np.uint64).ravel()
    return whole[(np.diff(varied.astype(np.int16), axis=1) != 0).sum(axis=1) >= 4]  # blanks and zeros tell nothing


class Scanner:
    """Finds runs of 16 bytes of known texts, at any place of each, at any place of a device."""

    def __init__(self, known: dict[str, bytes]) -> None:
        self.known = known
        self._all = np.unique(np.concatenate([grams(data) for data in known.values()]))
        self._sieve = np.zeros(1 << 26, bool)
        self._sieve[self._sieved(self._all)] = True

    @staticmethod
    def _sieved(numbers):
        return (numbers * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(38)

    def found(self, device: Path) -> dict[str, bytes]:
        """Names of the texts of which a run stands on it, and that."""
        data = np.fromfile(device, np.uint8)
        blocks = data[: len(data) // 4096 * 4096].reshape(-1, 4096)
        used = np.flatnonzero(blocks.any(axis=1))
        met: dict[str, bytes] = {}
        for part in np.split(used, np.flatnonzero(np.diff(used) != 1) + 1) if len(used) else ():
            self._look(data[part[0] * 4096 : (part[-1] + 1) * 4096].tobytes(), met)
        return met

    def _look(self, data: bytes, met: dict[str, bytes]) -> None:
        here = np.frombuffer(data, np.uint64)
        hits = np.flatnonzero(self._sieve[self._sieved(here)])
        near = np.searchsorted(self._all, here[hits])
        same = self._all[np.minimum(near, len(self._all) - 1)] == here[hits]
        for place in (hits[same] * 8).tolist():
            for name, text in self.known.items():
                if name not in met and (run := _run(text, data, place)):
                    met[name] = run


def _run(text: bytes, data: bytes, place: int) -> bytes:
    """16 bytes around a place of ``data`` that stand in a text too; empty where none do."""
    runs = (data[at : at + RUN_BYTES] for at in range(max(0, place - RUN_BYTES + 8), place + 1))
    return next((run for run in runs if len(run) == RUN_BYTES and run in text), b"")


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    """A folder, a ZIP, an E01, and what goes with them: on another disk."""
    folder = tmp_path_factory.mktemp("evidence") / WORDS["folder"]
    folder.mkdir()
    (folder / "in").mkdir()
    for seed in range(6):
        data = encode(textured(seed), "JPEG", quality=92)
        (folder / "in" / f"{WORDS['name']}-{seed}.jpg").write_bytes(data)
    with zipfile.ZipFile(folder / "more.zip", "w") as packed:
        packed.writestr(f"{WORDS['packed']}.png", encode(textured(20), "PNG"))
    acquired(partitioned(folder / "disk"), folder / "image")
    rows = "".join(f"{WORDS['name']}-{seed}.jpg,{WORDS['label']}-{seed}\n" for seed in range(3))
    (folder / "labels.csv").write_text("file,label\n" + rows)
    (folder / f"{WORDS['upload']}.jpg").write_bytes(encode(textured(1, (300, 240)), "JPEG", quality=80))
    return folder


class Disk:
    """An ext4 file system in a file, and commands whose temporary folder, home and working folder lie on it."""

    def __init__(self, file: Path, at: Path) -> None:
        self.file, self.at = file, at
        with file.open("wb") as made:
            made.truncate(DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "nodiscard", file], check=True)
        at.mkdir()
        mounted = subprocess.run(["mount", "-o", "loop", file, at], capture_output=True, check=False)
        if mounted.returncode:
            pytest.skip(f"no file system can be mounted from a file here: {mounted.stderr.decode().strip()}")
        for name in ("tmp", "home", "cwd"):
            (at / name).mkdir()

    def synced(self) -> Path:
        """All of it as it lies on the device."""
        os.sync()
        return self.file

    def close(self) -> None:
        subprocess.run(["umount", "-l", self.at], check=True)
        self.at.rmdir()


class Life:
    """Commands on a disk, each a process of its own, as a user would start it; and their kills."""

    def __init__(self, disk: Disk, out: Path) -> None:
        self.disk, self.out = disk, out
        self.starter = Starter()
        self.random = random.Random(7)

    def kill(self, *words):
        """A command that is killed on its way."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.starter.run(_told(words), self.disk.at / "cwd", None, self.random.uniform(0.03, 0.35), os.environ)
        for made in self.out.glob("once*"):  # it was not killed, then
            shutil.rmtree(made) if made.is_dir() else made.unlink()

    def run(self, *words, killed=False):
        """One command, from start to end; with ``killed`` after one that was killed."""
        if killed:
            self.kill(*words)
        done = self.starter.run(_told(words), self.disk.at / "cwd", None, 120, os.environ)
        assert done.returncode == 0, (words, done.stderr.decode())


def _told(words):
    return [os.fsencode(str(word)) for word in words]


def _texts(told):
    """Every text in what JSON held, but for names of fields."""
    if isinstance(told, dict | list):
        for each in told.values() if isinstance(told, dict) else told:
            yield from _texts(each)
    elif isinstance(told, str):
        yield told


def needles(evidence: Path, plain: Path, log: bytes, thumbnails: list[bytes]) -> dict[str, bytes]:
    """What is not to be on the disk: each kind of what the case knows."""
    pictures = sorted((evidence / "in").iterdir())
    pixels = [np.asarray(Image.open(path).convert("RGB")) for path in pictures]
    found = {word: text.encode() + b"\0" * 16 for word, text in WORDS.items()}
    found |= {f"{word}, as UTF-16": text.encode("utf-16-le") for word, text in WORDS.items()}
    sums = [(path.read_bytes(), kind) for path in pictures for kind in ("sha256", "md5", "sha1")]
    hashes = [hashlib.new(kind, data) for data, kind in sums]
    found["hashes, in digits"] = b" ".join(each.hexdigest().encode() for each in hashes)
    found["hashes"] = b"".join(each.digest() for each in hashes)
    found["PDQ"] = b"".join(pdq_of(each).hash + b"/" + pdq_of(each).hash.hex().encode() for each in pixels)
    found["pixels"] = b"".join(each.tobytes() for each in pixels)
    found["files"] = b"".join(path.read_bytes() for path in pictures)
    found["thumbnails"] = b"".join(thumbnails)
    rows = [np.load(path) for path in sorted(plain.glob("segments/*/*.npy"))]
    found["vectors"] = b"".join(each.tobytes() for each in rows)
    found["vectors, in 32 bits"] = b"".join(each.astype(np.float32).tobytes() for each in rows)
    # What lies open is no secret of the log: the case's id, public keys of age, random names and numbers.
    uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    told = "\0".join(text for line in log.splitlines() for text in _texts(json.loads(line)))
    found["log"] = re.sub(rf"{uuid}|age1[0-9a-z]+|x/[0-9a-f]{{32}}|\b[0-9a-f]{{16}}\b", "", told).encode()
    return found


@pytest.fixture
def disk(tmp_path, monkeypatch):
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("mkfs.ext4") or not shutil.which("mount"):
        pytest.skip("needs root, ext4 and loop devices")
    made = Disk(tmp_path / "disk.ext4", Path("/tmp") / f"d{os.getpid()}")
    for name, folder in (("TMPDIR", "tmp"), ("HOME", "home")):
        monkeypatch.setenv(name, str(made.at / folder))
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    yield made
    resource.setrlimit(resource.RLIMIT_CORE, (limits[0], resource.RLIM_INFINITY))
    made.close()


@pytest.fixture
def office(tmp_path, monkeypatch):
    secret, public = age.new_identity()
    (tmp_path / "key").write_text(secret)
    monkeypatch.setenv("IMGMATCH_IDENTITY", str(tmp_path / "key"))
    return public


def paged(life, case, evidence, *, end):
    """A sitting at the page with an upload, a search, a look and a decision; returns the small pictures it gave."""
    live = Live(case, "--reason", WORDS["reason"], cwd=life.disk.at / "cwd").enter()
    name = f"{WORDS['upload']}.jpg"
    status, _, data = live.ask("POST", f"/queries?name={name}", (evidence / name).read_bytes())
    assert status == 200, data
    query = json.loads(data)["query"]
    status, data = live.post("/searches", {"query": query})
    assert status == 200, data
    given = [live.ask("GET", f"/items/{item}/picture")[2] for item in (1, 2, 3)]
    live.process.send_signal(end)
    live.process.communicate(timeout=60)
    return given


@pytest.mark.claim("D17")
def test_nothing_that_a_case_knows_is_on_its_disk(disk, evidence, office, tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    case, other, delivery = (disk.at / name for name in ("case", "other", "twin"))
    life = Life(disk, out)
    told = ["--purpose", WORDS["purpose"]]
    life.run("init", case, "--encrypt", *told)
    life.run("init", other, "--encrypt", *told)
    ingest = ["--deleted", "--labels", evidence / "labels.csv"]
    life.run("ingest", case, evidence / "in", *ingest, killed=True)
    life.run("ingest", case, evidence / "image.E01", evidence / "more.zip", "--deleted", killed=True)
    life.run("ingest", other, evidence / "in", killed=True)
    life.run("index", "build", case, "--kind", "hnsw", killed=True)
    upload = evidence / f"{WORDS['upload']}.jpg"
    life.run("search", case, upload, "--reason", WORDS["reason"], "--report", out / "once", killed=True)
    small = paged(life, case, evidence, end=signal.SIGKILL) + paged(life, case, evidence, end=signal.SIGABRT)
    life.run("decide", case, "2", "3", "rejected", "--examiner", "Ada", "--note", WORDS["note"], killed=True)
    release = ["--recipient", WORDS["recipient"], "--purpose", WORDS["purpose"]]
    pack = ["--format", "pack", "--thumbnails", "--locators", "--labels", "--decisions"]
    life.run("export", case, *pack, *release, "-o", out / "once", killed=True)
    life.run("link", case, other, killed=True)
    life.run("export", other, "--format", "pack", "--to", office, *release, "-o", out / "theirs.pack")
    life.run("link", case, out / "theirs.pack", "--identity", tmp_path / "key", killed=True)
    life.kill("delete", case, "--item", "2", "--reason", WORDS["reason"])
    life.run("delete", case, "--item", "3", "--reason", WORDS["reason"])
    life.run("delete", case, "--finish")
    life.run("merge", case, other, killed=True)
    life.run("index", "compact", case, killed=True)
    life.run("access", "rotate", case, killed=True)
    life.run("check", case)
    log = out / "log.jsonl"
    life.run("audit", "export", case, "-o", log)
    life.run("audit", "verify", case)
    assert b"merge" in log.read_bytes()
    assert not list(disk.at.rglob("core*"))

    twin = tmp_path / "twin"
    monkeypatch.delenv("IMGMATCH_IDENTITY")
    life = Life(disk, out)  # as the environment is now
    life.run("init", twin)
    life.run("ingest", twin, evidence / "in")
    scanner = Scanner(needles(evidence, twin, log.read_bytes(), small))
    assert scanner.found(disk.synced()) == {}

    # The same scanner finds what a plain case leaves, deleted or not; and a core file would have been written.
    subprocess.run([sys.executable, "-c", "import os; os.abort()"], cwd=disk.at / "cwd", check=False)
    assert list((disk.at / "cwd").iterdir()) or not Path("/proc/sys/kernel/core_pattern").read_text().startswith("core")
    life.run("init", delivery, *told)
    life.run("ingest", delivery, evidence / "in", "--labels", evidence / "labels.csv")
    shutil.rmtree(delivery)
    met = scanner.found(disk.synced())
    assert {"name", "label", "purpose", "folder", "vectors", "log"} <= met.keys()
