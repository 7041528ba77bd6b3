"""Mutants of files that a command is given, and of what lies in another case: VICS files, packs, descriptions of
models, calibrations, manifests of indexes, catalogues. Does each end in one line, with nothing taken over?

python -m benchmarks.hostile_given [--inputs N] [--kind KIND]... [--seed N] [--json FILE]
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.casestate import inside
from benchmarks.hostile_files import mutate
from benchmarks.index_fuzz import DIM, SPEC, fill
from imgmatch.errors import CaseError, ImgmatchError
from imgmatch.models.descriptions import read_spec, write_spec
from indexer.care.indexing import BuildConfig, build
from indexer.care.merge import merge
from indexer.case.case import CATALOGUE, Case
from indexer.catalogue import Catalogue
from indexer.index.open import CaseIndex
from indexer.intake.known.formats import entries, recognise
from indexer.out.exchange.pack import write_pack
from indexer.out.exchange.unpack import open_other
from indexer.out.exchange.vics_file import VicsFile
from indexer.search.background import background, set_background

_MOST_CPU_S = 30
_MOST_MB = 1_500
_DEEP = "deep"
_ODD: tuple[Any, ...] = (
    None, True, 0, -1, 5, 1 << 31, 1 << 63, 1 << 64, 10**90, 1e300, -0.0, "", "x", "\0", "\u202e", "\x1b[2J", "\ud800",
    "../../etc/passwd", "9" * 5_000, "x" * 70_000, [], [[]], [5], [None], {}, {"x": None}, {"": {}}, _DEEP,
    float("nan"), float("inf"),
)  # fmt: skip


def odd(value: Any, rng: random.Random) -> Any:
    """A JSON value with one to three parts changed, dropped, doubled or put elsewhere."""
    made = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = [place for place in _places(made) if place]
        if not places:
            return rng.choice(_ODD)
        *way, last = rng.choice(places)
        of = made
        for name in way:
            of = of[name]
        match rng.randrange(6):
            case 0:
                del of[last]
            case 1 if isinstance(of, dict):
                of[rng.choice(("", "x", "\0", "__class__", "k" * 300))] = of[last]
            case 1:
                of.append(of[last])
            case 2:
                of[last] = json.loads(json.dumps(_at(made, rng.choice(places))))
            case _:
                of[last] = rng.choice(_ODD)
    return made


def _at(value: Any, way: tuple[Any, ...]) -> Any:
    for name in way:
        value = value[name]
    return value


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at]
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in list(parts)[:200]:
        found += _places(part, (*at, name))
    return found


def text_of(value: Any) -> bytes:
    """As JSON, and nothing that JSON can't say is left out: depths without end, NaN."""
    return json.dumps(value).replace(f'"{_DEEP}"', "[" * 50_000).encode()


class Mutants:
    """A small case with an index and a calibration, what is exported of it, and mutants of all of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        rows = np.random.default_rng(seed).normal(size=(300, DIM)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        self.queries = rows[::50]
        with Case.create(folder / "other", model=SPEC) as case:
            fill(case, rows[:250])
            build(case, SPEC, BuildConfig("ivf", jobs=1))
            fill(case, rows[250:], start=250)
            set_background(case, SPEC)
            write_pack(case, folder / "a.pack")
            case.catalogue.checkpoint()
        with _catalogue(folder / "other") as db:
            field = json.dumps({"software": {"value": "x", "source": "EXIF"}})
            db.rows("INSERT OR REPLACE INTO metadata SELECT item_id, ? FROM items", (field,))
            db.rows("INSERT INTO labels SELECT item_id, 'a.csv', 'hotel', 'x' FROM items")
        with Case.create(folder / "case", model=SPEC) as case:
            fill(case, rows[:20])
            case.catalogue.checkpoint()
        write_spec(SPEC, folder / "spec.json")
        with zipfile.ZipFile(folder / "a.pack") as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}
        self.media = [
            {"MediaID": n, "MD5": f"{n:032x}", "SHA1": f"{n:040x}", "Category": n % 5, "Comments": "é",
             "Tags": ["a"], "Exifs": [{"PropertyName": "Make", "PropertyValue": "x"}], "AlternativeHashes":
             [{"HashName": "PhotoDNA", "HashValue": "AAAA"}], "MediaFiles": [{"FileName": "a.jpg"}]}
            for n in range(6)
        ]  # fmt: skip

    def vics(self, rng: random.Random) -> None:
        """As a file to import, and as a list of known contents."""
        kind = rng.choice(("Media", "Cases"))
        value = self.media if kind == "Media" else [{"CaseNumber": "1", "Media": self.media}]
        whole = {"@odata.context": f"http://x/DataModels/2.0.xml/US/$metadata#{kind}", "value": value}
        path = self.folder / "a.json"
        path.write_bytes(self._bytes(whole, rng))
        for read in (lambda: list(VicsFile(path)), lambda: list(entries(path, recognise(path)))):
            _one_line(read)

    def pack(self, rng: random.Random) -> None:
        """A pack whose hashes agree with what was changed, or whose bytes were changed anyhow."""
        path, members = self.folder / "b.pack", dict(self.members)
        if rng.random() < 0.3:
            path.write_bytes(mutate((self.folder / "a.pack").read_bytes(), rng, [b"PK\1\2", bytes(64)]))
        else:
            manifest = json.loads(members.pop("manifest.json"))
            name = rng.choice(sorted(members))
            if rng.random() < 0.5:
                members[name] = mutate(members[name], rng, list(members.values()))
                told = {"bytes": len(members[name]), "sha256": hashlib.sha256(members[name]).hexdigest()}
                manifest["members"][name] = told
            else:
                manifest = odd(manifest, rng)
            with zipfile.ZipFile(path, "w") as archive:
                for name, data in {**members, "manifest.json": text_of(manifest)}.items():
                    archive.writestr(name, data)
        _one_line(lambda: self._searched(path))

    def model(self, rng: random.Random) -> None:
        """A description of a model."""
        path = self.folder / "b.json"
        path.write_bytes(self._bytes(json.loads((self.folder / "spec.json").read_bytes()), rng))
        _one_line(lambda: read_spec(path))

    def index(self, rng: random.Random) -> None:
        """A manifest of an index that has the hash which the catalogue names: the index is not used, or rightly."""
        with self._copy("other") as copy:
            (path,) = copy.glob("indexes/*/*/manifest.json")
            path.write_bytes(self._bytes(json.loads(path.read_bytes()), rng))
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            _write(copy, "UPDATE generations SET manifest_sha256 = ?", sha256)
            _one_line(lambda: self._searched_case(copy))

    def calibration(self, rng: random.Random) -> None:
        """What the catalogue says of false matches."""
        with self._copy("other") as copy:
            with _catalogue(copy) as db:
                told = json.loads(db.rows("SELECT calibration_json FROM calibrations")[0][0])
            _write(copy, "UPDATE calibrations SET calibration_json = ?", self._bytes(told, rng).decode("latin-1"))

            def asked() -> None:
                with Case.open(copy) as case:
                    background(case, SPEC)

            _one_line(asked)

    def catalogue(self, rng: random.Random) -> None:
        """Values of another case's catalogue that is merged and compared with."""
        with self._copy("other") as theirs, self._copy("case") as ours:
            with _catalogue(theirs) as db:
                tables = ("items", "sightings", "runs", "models", "metadata", "labels", "segments", "vectors", "meta")
                table = rng.choice(tables)
                column = rng.choice([row[1] for row in db.rows(f"PRAGMA table_info({table})")])
                bare = table in ("labels", "meta")  # without row numbers
                sql = f"SELECT {'NULL' if bare else 'rowid'}, {column} FROM {table} LIMIT 1"
                rowid, value = db.rows(sql)[0]
                if isinstance(value, str) and column.endswith("_json"):
                    value = self._bytes(json.loads(value), rng).decode("latin-1")
                elif isinstance(value, int):
                    value = rng.choice((0, -1, 1 << 31, 1 << 62, (1 << 63) - 1, -(1 << 63)))
                elif isinstance(value, bytes):
                    value = mutate(value or b"\0", rng, [bytes(32)])
                else:
                    value = mutate((value or "x").encode(), rng, [b"\x1b[2J"]).decode("latin-1")
                try:
                    where = "" if rowid is None else f" WHERE rowid = {rowid}"
                    db.rows(f"UPDATE OR IGNORE {table} SET {column} = ?{where}", (value,))
                except CaseError:
                    return

            def merged() -> None:
                with Case.open(ours) as case, Case.open(theirs, read_only=True) as read:
                    merge(case, read)

            _one_line(merged)
            _one_line(lambda: self._searched(theirs))
            with Case.open(ours) as case:
                inside(case).require_sound()

    def _bytes(self, whole: Any, rng: random.Random) -> bytes:
        return mutate(text_of(whole), rng, [b"[{]},:"]) if rng.random() < 0.25 else text_of(odd(whole, rng))

    def _searched(self, path: Path) -> None:
        with open_other(path, SPEC) as other:
            _answers(other, self.queries)

    def _searched_case(self, path: Path) -> None:
        with Case.open(path) as case:
            _answers(case, self.queries)

    def _copy(self, name: str) -> Any:
        return _Copy(self.folder / name, self.folder / f"{name}.copy")


class _Copy:
    def __init__(self, source: Path, target: Path) -> None:
        self.source, self.target = source, target

    def __enter__(self) -> Path:
        shutil.rmtree(self.target, ignore_errors=True)
        return Path(shutil.copytree(self.source, self.target))

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.target, ignore_errors=True)


def _answers(case: Case, queries: Any) -> None:
    similarities, _ = CaseIndex(case.shelf(SPEC)).search(queries, 3)
    if not np.isfinite(similarities[:, :1]).all():
        raise AssertionError("similarities that are none")


@contextmanager
def _catalogue(case: Path) -> Iterator[Catalogue]:
    catalogue = Catalogue(case / CATALOGUE)
    try:
        yield catalogue
        catalogue.checkpoint()
    finally:
        catalogue.close()


def _write(case: Path, sql: str, value: Any) -> None:
    with _catalogue(case) as db:
        db.rows(sql, (value,))


def _one_line(work: Callable[[], Any]) -> None:
    try:
        work()
    except ImgmatchError as error:
        if "\n" in str(error) or len(str(error)) > 4_000:
            raise AssertionError(f"more than a line: {str(error)[:200]}") from error


KINDS: dict[str, Callable[[Mutants, random.Random], None]] = {
    "VICS": Mutants.vics, "pack": Mutants.pack, "model": Mutants.model, "index": Mutants.index,
    "calibration": Mutants.calibration, "catalogue": Mutants.catalogue,
}  # fmt: skip


def run(inputs: int, seed: int, folder: Path, kinds: list[str]) -> dict[str, Any]:
    """So many mutants of each kind: what fell, and the most memory."""
    mutants, faults, examples = Mutants(folder, seed), Counter[str](), []
    began = time.process_time()

    def too_long(*_: object) -> None:
        raise AssertionError(f"more than {_MOST_CPU_S} s")

    signal.signal(signal.SIGVTALRM, too_long)
    for kind in kinds:
        for number in range(inputs):
            signal.setitimer(signal.ITIMER_VIRTUAL, _MOST_CPU_S)
            try:
                KINDS[kind](mutants, random.Random(f"{seed} {kind} {number}"))
            except Exception as error:  # noqa: BLE001  (anything but imgmatch's own errors is what is looked for)
                what = f"{kind}: {type(error).__name__}"
                faults[what] += 1
                if faults[what] <= 5:
                    examples.append(f"{what}, number {number}: {' '.join(str(error).split())[:200]}")
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(f"  {kind}: {inputs:,}, faults: {dict(faults)}, at most {most} MB", flush=True)
        if most > _MOST_MB:
            faults[f"{kind}: memory"] += 1
            examples.append(f"{kind}: {most} MB")
    return {
        "inputs_each": inputs, "kinds": kinds, "seed": seed, "faults": dict(faults), "examples": examples,
        "most_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "cpu_s": round(time.process_time() - began, 1),
    }  # fmt: skip


def main() -> None:
    """Try all, and report; exit with 1 on any fault."""
    parser = report.parser("Mutants of what commands are given")
    parser.add_argument("--inputs", type=int, default=2_000, help="of each kind")
    parser.add_argument("--kind", action="append", default=[], choices=KINDS)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        figures = run(arguments.inputs, arguments.seed, Path(scratch), arguments.kind or list(KINDS))
    print(*(f"  {example}" for example in figures["examples"]), sep="\n")
    report.finish("hostile_given", figures, arguments.json)
    sys.exit(1 if figures["faults"] else 0)


if __name__ == "__main__":
    main()
