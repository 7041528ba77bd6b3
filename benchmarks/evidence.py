"""Every kind of evidence, whole and damaged: what comes out of it, and what is said.

python -m benchmarks.evidence [--only TEXT] [--write] [--json FILE]

All inputs are ingested in one run, by the command. Of each it says how many of its pictures came in as they are, how
many of them in part, how many were drawn from it (frames, pages, parts), and which issues were made. Three things hold
of every input, and end the program with 1 where they don't: pictures that are missing are told of by an issue; no item
has other bytes than the picture, unless it is called partial or what holds it can't tell; and no source changes.
``--write`` puts the table into docs/sources.md, by which the tests hold it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import report
from benchmarks.casestate import inside
from benchmarks.evidence_inputs import FAULTS, Input, UnavailableError, sha256
from benchmarks.evidence_more import further
from benchmarks.evidence_packed import packed
from benchmarks.evidence_stills import odd, several, stills
from benchmarks.evidence_stores import archives, disks, documents, unread
from imgmatch.locator import Locator
from indexer.case.case import Case

PAGE = Path(__file__).parents[1] / "docs" / "sources.md"
BEGIN, END = "<!-- evidence: begin -->", "<!-- evidence: end -->"
_DRAWN = ("frame", "page", "preview", "pdf", "video", "behind")


@dataclass(frozen=True)
class Outcome:
    """What came of one input: of so many ``pictures`` those that came in as they are (``whole``), those that did so in
    part (``partial``), others that were made of it (``drawn``), and the kinds of ``issues``.
    """

    group: str
    name: str
    fault: str
    pictures: int
    whole: int
    partial: int
    drawn: int
    issues: tuple[str, ...]

    @property
    def cell(self) -> str:
        """As it stands in the table: how many of how many, and what was said."""
        counts = [f"{self.whole + self.drawn} of {self.pictures}"]
        if self.partial:
            counts.append(f"{self.partial} in part")
        return "; ".join((*counts, *self.issues))


def inputs() -> Iterator[Input]:
    """All of them."""
    for group in (stills, several, odd, archives, documents, disks, unread, further, packed):
        yield from group()


def run(folder: Path, only: str = "") -> tuple[list[Outcome], list[str]]:
    """Ingest all inputs; what came of each, and what doesn't hold. ``folder`` is empty scratch space."""
    evidence = folder / "evidence"
    written: dict[str, Input] = {}
    for number, made in enumerate(inputs()):
        if only not in f"{made.group} {made.name}":
            continue
        place = evidence / f"{number:03}"
        place.mkdir(parents=True)
        try:
            made.write(place)
        except UnavailableError as error:
            print(f"  left out: {made.name}: {error}", file=sys.stderr)
            place.rmdir()
            continue
        written[place.name] = made
    before = _state(evidence)
    command = [sys.executable, "-m", "cli.main"]
    subprocess.run([*command, "init", str(folder / "case")], check=True, capture_output=True)
    done = subprocess.run(
        [*command, "ingest", str(folder / "case"), str(evidence), "--no-index"], capture_output=True, text=True
    )
    faults = [] if done.returncode == 0 else [f"ingest ended with {done.returncode}: {done.stderr[-300:]}"]
    if _state(evidence) != before:
        faults.append("a source has changed")
    outcomes = _outcomes(folder / "case", evidence, written, faults)
    return outcomes, faults


def _state(folder: Path) -> dict[str, tuple[int, int, str]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_size, sha256(path.read_bytes()))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _outcomes(case: Path, evidence: Path, written: dict[str, Input], faults: list[str]) -> list[Outcome]:
    whole: dict[str, set[str]] = {name: set() for name in written}
    partial: dict[str, set[str]] = {name: set() for name in written}
    drawn: Counter[str] = Counter()
    issues: dict[str, Counter[str]] = {name: Counter() for name in written}
    with Case.open(case) as opened:
        catalogue = inside(opened)
        sightings = list(catalogue.sightings.all())
        items = catalogue.items.by_id({sighting.item_id for sighting in sightings})
        for sighting in sightings:
            name = _input_of(sighting.locator, evidence)
            made = written[name]
            if items[sighting.item_id].partial is not None:
                partial[name].add(sighting.sha256)
            elif sighting.sha256 in made.pictures:
                whole[name].add(sighting.sha256)
            elif (made.checked or made.fault == FAULTS[0]) and not made.drawn and sighting.locator.kind not in _DRAWN:
                faults.append(f"{made.name}: {sighting.locator} has other bytes than any picture in it")
            else:
                drawn[name] += 1
        for row in catalogue.issues.all():
            issues[_input_of(row.issue.locator, evidence)][row.issue.error] += 1
    found = []
    for name, made in written.items():
        said = tuple(sorted(issues[name]))
        counts = (len(made.pictures) + made.drawn, len(whole[name]), len(partial[name]), drawn[name])
        outcome = Outcome(made.group, made.name, made.fault, *counts, said)
        if outcome.whole + outcome.partial + outcome.drawn < outcome.pictures and not said:
            faults.append(f"{made.name}: pictures are missing, and nothing is said: {outcome}")
        found.append(outcome)
    return found


def _input_of(locator: Locator, evidence: Path) -> str:
    return Path(locator.outermost.at).relative_to(evidence).parts[0]


def table(outcomes: list[Outcome]) -> str:
    """The table of docs/sources.md: a line for each kind of file, a column for each fault."""
    lines = []
    for group in dict.fromkeys(outcome.group for outcome in outcomes):
        cells: dict[str, dict[str, str]] = {}
        for outcome in outcomes:
            if outcome.group == group:
                cells.setdefault(outcome.name, {})[outcome.fault] = outcome.cell
        faults = [fault for fault in FAULTS if any(fault in row for row in cells.values())]
        lines += ["", f"| {group} | {' | '.join(faults)} |", "|---" * (len(faults) + 1) + "|"]
        lines += [f"| {name} | {' | '.join(row.get(fault, '') for fault in faults)} |" for name, row in cells.items()]
    return "\n".join(lines[1:])


def written_table() -> str:
    """The table as docs/sources.md has it."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()


def main() -> None:
    """Measure and report; exit with 1 where something doesn't hold."""
    parser = report.parser("Every kind of evidence, whole and damaged")
    parser.add_argument("--only", default="", help="inputs whose group and name have this text in them")
    parser.add_argument("--write", action="store_true", help="put the table into docs/sources.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        outcomes, faults = run(Path(scratch), arguments.only)
    print(table(outcomes))
    print(*(f"  {fault}" for fault in faults), sep="\n")
    if arguments.write:
        head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{table(outcomes)}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    figures = {"inputs": len(outcomes), "faults": faults, "outcomes": [asdict(outcome) for outcome in outcomes]}
    report.finish("evidence", figures, arguments.json)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
