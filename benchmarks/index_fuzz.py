"""Mutate bytes of index, manifest, segment and catalogue of a case: does a search crash, or pass off a wrong answer?

Every outcome must be one of: refused (an error that names the file), rebuilt (a line names the index file, every row is
compared, the answer is right) or right. A crash of the process ends the benchmark. A catalogue holds no hash of its own
rows: there, what is counted is whether vectors and similarities are right, not each text beside them.

python -m benchmarks.index_fuzz [--mutations N] [--json FILE]
"""

from __future__ import annotations

import collections
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from imgmatch.errors import ImgmatchError
from imgmatch.types import Digests, Evidence, Image, ModelSpec
from indexer.care.indexing import BuildConfig, build
from indexer.case.case import Case
from indexer.case.run import Batch, NewItem
from indexer.index.open import CaseIndex

DIM = 16
SPEC = ModelSpec("fuzz", "objects", DIM, 32, "x", "0" * 64, "", "")
TARGETS = ("index", "manifest", "segment", "catalogue")
_SAVE_EVERY = 500
_PATTERNS = {
    "index": "indexes/*/*/index.faiss",
    "manifest": "indexes/*/*/manifest.json",
    "segment": "segments/*/*.npy",
    "catalogue": "catalogue.sqlite",
}


def fill(case: Case, vectors: np.ndarray, start: int = 0, spec: ModelSpec = SPEC, commit: int = 65_536) -> None:
    """Commit vectors as items without any picture behind them, of contents ``start`` and on."""
    import hashlib

    from imgmatch.locator import Locator

    empty = Image(np.empty((0, 0, 3), np.uint8), (8, 8), 1, "PNG")

    def gone() -> None:
        raise FileNotFoundError

    with case.writing(), case.run("ingest", "benchmark") as run:
        for first in range(0, len(vectors), commit):
            items = []
            for place in range(first, min(first + commit, len(vectors))):
                sha256 = hashlib.sha256(b"%d" % (start + place)).hexdigest()
                found = Evidence(Locator("file", f"/media/{start + place}.jpg"), 1, None, 1, 1, gone)  # type: ignore[arg-type]
                items.append(NewItem(Digests(sha256, "0" * 32, "0" * 40, 1), empty, vectors[place], [found]))
            run.commit(Batch(items=items), case.add_shelf(spec))
        run.entry.counts = {"new_items": len(vectors)}


class Fuzz:
    """A small case with an index and a tail, its right answers, and mutations of copies of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(600, DIM)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        self.queries = rows[::40]
        with Case.create(folder / "case", model=SPEC) as case:
            fill(case, rows[:500])
            build(case, SPEC, BuildConfig("ivf", jobs=1))
            fill(case, rows[500:], start=500)
            self.expected = CaseIndex(case.shelf(SPEC)).search(self.queries, 1)
            case.catalogue.checkpoint()
        self.number = 0

    def copy(self) -> Path:
        """A copy of the case as it was."""
        self.number += 1
        where = self.folder / f"copy{self.number}"
        shutil.copytree(self.folder / "case", where)
        return where

    def once(self, target: str) -> tuple[str, str]:
        """Mutate a copy and search it: the outcome, and what was said."""
        copy = self.copy()
        try:
            path = self.random.choice(sorted(copy.glob(_PATTERNS[target])))
            what = self.mutate(path)
            kind, said = self.outcome(copy, target)
            return kind, f"{path.name} {what}: {said}"
        finally:
            shutil.rmtree(copy)

    def mutate(self, path: Path) -> str:
        """Flip, overwrite, cut or add bytes."""
        data = bytearray(path.read_bytes())
        way = self.random.choice(("flip", "flip", "overwrite", "cut", "add"))
        at = self.random.randrange(len(data))
        if way == "flip":
            data[at] ^= 1 << self.random.randrange(8)
        elif way == "overwrite":
            length = self.random.randint(1, 64)
            data[at : at + length] = self.random.randbytes(min(length, len(data) - at))
        elif way == "cut":
            del data[at:]
        else:
            data += self.random.randbytes(self.random.randint(1, 64))
        path.write_bytes(bytes(data))
        return f"{way} at {at}"

    def outcome(self, copy: Path, target: str) -> tuple[str, str]:
        """Open and search: what comes of it."""
        said: list[str] = []
        try:
            with Case.open(copy) as case:
                similarities, ids = CaseIndex(case.shelf(SPEC), said.append).search(self.queries, 1)
        except ImgmatchError as error:
            # The catalogue names the other files: where it is wrong, what it names may be what is missing.
            named = str(copy) in str(error) or target == "catalogue"
            return ("refused" if named and "\n" not in str(error) else "wrong"), str(error)
        right = np.array_equal(ids, self.expected[1]) and np.allclose(similarities, self.expected[0], atol=1e-5)
        if not right:
            return "wrong", "another answer"
        return ("rebuilt" if said else "right"), " ".join(said)


def main() -> None:
    """Fuzz and report."""
    parser = report.parser("Fuzz of a case's files")
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    outcomes: dict[str, collections.Counter[str]] = {target: collections.Counter() for target in TARGETS}
    wrong = []
    with tempfile.TemporaryDirectory() as scratch:
        fuzz = Fuzz(Path(scratch), arguments.seed)
        for number in range(arguments.mutations):
            target = TARGETS[number % len(TARGETS)]
            try:
                kind, said = fuzz.once(target)
            except Exception as error:  # noqa: BLE001 - anything but imgmatch's own errors is what is looked for
                kind, said = "wrong", f"{type(error).__name__}: {error}"
            outcomes[target][kind] += 1
            if kind == "wrong":
                wrong.append(f"{target}: {said}".replace(scratch, ""))
            if (number + 1) % _SAVE_EVERY == 0:
                report.save("index_fuzz", _figures(number + 1, arguments.seed, wrong, outcomes), arguments.json)
    kinds = ("refused", "rebuilt", "right", "wrong")
    rows = [[target, *(outcomes[target][kind] for kind in kinds)] for target in TARGETS]
    report.table(f"{arguments.mutations} mutations", ["file", *kinds], rows)
    for line in wrong[:20]:
        print(f"  wrong: {line}")
    report.finish("index_fuzz", _figures(arguments.mutations, arguments.seed, wrong, outcomes), arguments.json)
    sys.exit(1 if wrong else 0)


def _figures(
    mutations: int, seed: int, wrong: list[str], outcomes: dict[str, collections.Counter[str]]
) -> dict[str, Any]:
    told = {target: dict(counts) for target, counts in outcomes.items()}
    return {"mutations": mutations, "seed": seed, "wrong": len(wrong), "outcomes": told}


if __name__ == "__main__":
    main()
