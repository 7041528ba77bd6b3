"""Kills encryption, decryption, re-keying, revoking and destruction at random moments, and looks at what is left.

Each try forks a process that does one of these to a copy of a small case and is killed (SIGKILL) somewhere between its
beginning and its end. Then the case must open, in the one state or the other, with its items, vectors and a log that
holds; and, where it is encrypted, no known plaintext may be in its folder any more.

    python -m benchmarks.vault_kills --times 100 --out benchmarks/results/vault_kills.json
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imgmatch.errors import CaseError
from imgmatch.types import Digests, Evidence, Image, ModelSpec
from imgmatch.vault import age, unlock
from imgmatch.vault.ring import Identity
from indexer.care.destroy import begin, finish, is_begun
from indexer.case.case import Case
from indexer.case.place import Owner
from indexer.case.run import Batch, NewItem
from indexer.case.sealing import decrypt, encrypt, rekey
from indexer.index.build import BuildConfig

DIM = 64
ITEMS = 3000
SPEC = ModelSpec("killed", "objects", DIM, 32, "x", "0" * 64, "", "")
NAME = "a-name-that-nothing-may-hold"


def made(folder: Path, owner: Owner | None) -> np.ndarray:
    """A case of a few thousand vectors with an index, plain or encrypted; returns its vectors."""
    from imgmatch.locator import Locator
    from indexer.care.indexing import build

    vectors = np.random.default_rng(7).normal(size=(ITEMS, DIM))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    with Case.create(folder, model=SPEC, owner=owner) as case:
        with case.writing(), case.run("ingest", "kills") as run:
            for start in range(0, ITEMS, 1000):
                items = []
                for number in range(start, start + 1000):
                    place = Evidence(Locator.file(f"/media/{NAME}/{number}.jpg"), 1, None, 1, 1, _gone)
                    digests = Digests(f"{number:064x}", "0" * 32, "0" * 40, 1)
                    image = Image(np.empty((0, 0, 3), np.uint8), (8, 8), 1, "PNG")
                    items.append(NewItem(digests, image, vectors[number], [place]))
                run.commit(Batch(items=items), case.add_shelf(SPEC))
        build(case, SPEC, BuildConfig(kind="hnsw"))
    return vectors


def _gone() -> Any:
    raise FileNotFoundError(2, "No such file or directory")


def known_in(folder: Path, needles: list[bytes]) -> list[str]:
    """Files in which one of some runs of bytes stands."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            found += [str(path) for needle in needles if needle in data]
    return found


class Kills:
    """Two cases, one plain and one encrypted, and what is done to copies of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        secret, public = age.new_identity()
        colleague, theirs = age.new_identity()
        self.identity, self.colleague = Identity(secret), Identity(colleague)
        self.owner = Owner("Ada", public)
        unlock.ask_by(lambda _, attempt: None if attempt else self.identity)
        made(folder / "plain", None)
        vectors = made(folder / "sealed", self.owner)
        with Case.open(folder / "sealed") as case:
            assert case.place.ring is not None
            assert case.place.keys is not None
            ring = case.place.ring.granted(case.place.keys, "Grace", theirs)
            ring.write(case.path)
            self.grace = ring.people(case.place.keys)[1].number
        rows = vectors.astype(np.float16)
        self.needles = [NAME.encode(), *(rows[number].tobytes()[:16] for number in range(0, ITEMS, 97))]
        self.took: dict[str, float] = {}
        self.ways: dict[str, tuple[str, Callable[[Path], None]]] = {
            "encrypt": ("plain", lambda path: self._with(path, lambda case: encrypt(case, self.owner))),
            "decrypt": ("sealed", lambda path: self._with(path, decrypt)),
            "rotate": ("sealed", lambda path: self._with(path, rekey)),
            "revoke": ("sealed", lambda path: self._with(path, lambda case: rekey(case, {self.grace: "Grace"}))),
            "destroy": ("sealed", self._destroy),
        }

    def _with(self, path: Path, act: Callable[[Case], object]) -> None:
        with Case.open(path) as case:
            act(case)

    def _destroy(self, path: Path) -> None:
        with Case.open(path) as case:
            begin(case, "over")
        finish(path, path.with_name("certificate"))

    def once(self, way: str) -> str:
        """One try; returns the state that the case was left in. AssertionError where that is none."""
        source, act = self.ways[way]
        path = self.folder / "case"
        for left in (path, path.with_name("certificate")):
            shutil.rmtree(left, ignore_errors=True)
        shutil.copytree(self.folder / source, path)
        whole = way not in self.took
        started = time.perf_counter()
        child = os.fork()
        if child == 0:
            try:
                act(path)
                os._exit(0)
            except BaseException as error:  # noqa: BLE001
                print(f"{way}: {error!r}", file=sys.stderr)
                os._exit(1)
        if not whole:
            time.sleep(self.random.uniform(0, 1.05) * self.took[way])
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        if whole:
            assert status == 0, f"{way} fails of itself"
            self.took[way] = time.perf_counter() - started
        return self.looked_at(way, path)

    def looked_at(self, way: str, path: Path) -> str:
        """The state of a case after a kill, all of it looked at."""
        unlock.ask_by(lambda _, attempt: None if attempt else self.identity)
        if way == "destroy" and (not path.exists() or is_begun(path)):
            if path.exists():
                assert not self._opens(path), "opens though it is destroyed"
                finish(path, path.with_name("again"))
                shutil.rmtree(path.with_name("again"))
            assert not path.exists()
            return "destroyed"
        with Case.open(path) as case:
            sealed = case.place.ring is not None
            assert case.catalogue.counts()["items"] == ITEMS
            (shelf,) = case.shelves()
            assert not [fault for segment in shelf.segments() if (fault := shelf.check(segment))]
            assert not case.catalogue.integrity()
            assert not case.log.verify().faults
            state = "encrypted" if sealed else "plain"
        allowed = {"encrypt": ("plain", "encrypted"), "decrypt": ("plain", "encrypted")}.get(way, ("encrypted",))
        assert state in allowed, state
        names = {each.name for each in path.iterdir()}
        if sealed:
            assert not known_in(path, self.needles), "plaintext is left"
            assert len([name for name in names if name.startswith("sealed-")]) == 1, names
        else:
            assert not [name for name in names if name.startswith("sealed-")], names
        if way == "revoke":
            unlock.ask_by(lambda _, attempt: None if attempt else self.colleague)
            out = not self._opens(path)
            assert out == (len(json.loads((path / "vault.json").read_bytes())["ring"]["people"]) == 1)
            return "revoked" if out else "not yet revoked"
        return state

    def _opens(self, path: Path) -> bool:
        try:
            Case.open(path).close()
        except CaseError:
            return False
        return True


def run(times: int, folder: Path, seed: int = 20) -> dict[str, Any]:
    """So many kills, spread over what can be killed, and one of each that is let go on."""
    unlock._FIRST_WAIT_S = 0.0
    kills = Kills(folder, seed)
    states: Counter[str] = Counter()
    for number in range(times + len(kills.ways)):
        way = list(kills.ways)[number % len(kills.ways)]
        states[f"{way}: {kills.once(way)}"] += 1
    return {"kills": times, "states": dict(sorted(states.items())), "took_s": kills.took}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(given.times, Path(folder), given.seed)
    text = json.dumps(result, indent=1)
    print(text)
    if given.out is not None:
        given.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
