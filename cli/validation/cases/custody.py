"""Cases of custody: evidence stays as it is, and what was done with it can be shown."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import time
from pathlib import Path

from cli.validation.bench import PROGRAM, Assertion, Bench, NotTestedError, case, drawing, require, surroundings


def _state(folder: Path) -> dict[str, tuple[int, int, int, str]]:
    found = {}
    for file in [folder, *sorted(folder.rglob("*"))]:
        info = file.stat()
        digest = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
        found[str(file)] = (info.st_size, info.st_mtime_ns, info.st_mode, digest)
    return found


@case("R10.1", "Twelve photographs are ingested, searched with, explained, reported and checked against the case",
      "names, sizes, times, rights and SHA-256 of all of them as before")  # fmt: skip
def unaltered(bench: Bench) -> str:
    """Sources are only read."""
    files = bench.photographs(12)
    before = _state(files[0].parent)
    made = bench.case(files[0].parent)
    bench.imgmatch("search", made, files[0], "-k", 3)
    bench.imgmatch("explain", made, files[0], 1, "-o", bench.folder / "why.png")
    bench.imgmatch("export", made, files[1], "-o", bench.folder / "report")
    bench.imgmatch("check", made, "--sources")
    require(_state(files[0].parent) == before, "a source has changed")
    return "12 files as before"


@case("R11.1", "SHA-256, SHA-1 and MD5 of six files, computed by Python's hashlib", "the same as the case says")
def digests(bench: Bench) -> str:
    """Digests are those of the bytes."""
    files = bench.photographs(6)
    made = bench.case(files[0].parent)
    for number in range(1, 7):
        shown = bench.imgmatch("show", made, number, "--format", "json").object()
        data = Path(shown["sightings"][0]["path"]).read_bytes()
        for name in ("sha256", "sha1", "md5"):
            require(shown[name] == hashlib.new(name, data).hexdigest(), f"{name} of {shown['sightings'][0]['path']}")
    return "18 digests agree"


@case("R12.1", "Of four files one changes in a byte, one goes; then check --sources",
      "exit code 1, both named, the other two not")  # fmt: skip
def changed_sources(bench: Bench) -> str:
    """Changed and lost sources are found."""
    files = bench.photographs(4)
    made = bench.case(files[0].parent)
    data = bytearray(files[0].read_bytes())
    data[len(data) // 2] ^= 1
    files[0].write_bytes(data)
    files[1].unlink()
    told = bench.imgmatch("check", made, "--sources", "--format", "jsonl", ends=1).objects()
    kinds = {
        name: fault["kind"] for fault in told for name in (file.name for file in files) if name in fault["message"]
    }
    require(kinds == {files[0].name: "changed", files[1].name: "gone"}, f"found {kinds}")
    return "1 changed, 1 gone"


@case("R13.1", "A search, an explanation, a report, a look at an item and at the issues",
      "an entry of each with account, time and digest of the query")  # fmt: skip
def recorded(bench: Bench) -> str:
    """Each use leaves an entry."""
    made, query = bench.copy_of_demonstration(), bench.queries()[0]
    before = len(bench.imgmatch("audit", "show", made, "--format", "jsonl").objects())
    bench.imgmatch("search", made, query)
    bench.imgmatch("explain", made, query, 1, "-o", bench.folder / "why.png")
    bench.imgmatch("export", made, query, "-o", bench.folder / "report")
    bench.imgmatch("show", made, 1)
    bench.imgmatch("issues", made)
    entries = bench.imgmatch("audit", "show", made, "--format", "jsonl").objects()[before:]
    actions = {entry["action"] for entry in entries}
    require({"search", "explain", "report", "show", "issues"} <= actions, f"actions {sorted(actions)}")
    require(all(entry["time_utc"] and entry.get("actor") for entry in entries), "an entry without time or account")
    digest = hashlib.sha256(query.read_bytes()).hexdigest()
    asked = (entry for entry in entries if entry["action"] in ("search", "explain"))
    without = [entry["action"] for entry in asked if digest not in json.dumps(entry)]
    require(not without, f"without the query's digest: {without}")
    return f"{len(entries)} entries: {', '.join(sorted(actions))}"


@case("R14.1", "A copy of the log with one letter changed, one with its last line cut off",
      "audit verify ends with 1 for both, with 0 for the log itself")  # fmt: skip
def forged_log(bench: Bench) -> str:
    """An altered log is found."""
    made = bench.copy_of_demonstration()
    bench.imgmatch("audit", "verify", made)
    log = made / "audit.jsonl"
    right = log.read_bytes()
    log.write_bytes(right.replace(b'"action"', b'"Action"', 1))
    bench.imgmatch("audit", "verify", made, ends=1)
    log.write_bytes(b"".join(right.splitlines(keepends=True)[:-1]))
    bench.imgmatch("audit", "verify", made, ends=1)
    return "both found"


@case("R15.1", "The statement of an ingest, then with a number altered", "it adds up and verifies; altered it does not")
def statement(bench: Bench) -> str:
    """A statement adds up, and shows changes."""
    files = bench.photographs(5)
    (files[0].parent / "text.txt").write_text("no picture")
    made = bench.case(files[0].parent)
    bench.imgmatch("audit", "statement", made, "1", "-o", bench.folder / "statement")
    file = bench.folder / "statement" / "statement.json"
    bench.imgmatch("audit", "verify-statement", file, "--case", made)
    body = json.loads(file.read_text(encoding="utf-8"))
    require(body["adds_up"] is True, "it does not add up")
    text = file.read_text(encoding="utf-8")
    altered = text.replace('"files_skipped": 1', '"files_skipped": 0', 1)
    require(altered != text, "it does not say how many files were skipped")
    file.write_text(altered, encoding="utf-8")
    bench.imgmatch("audit", "verify-statement", file, "--case", made, ends=1)
    return "adds up; the change is found"


@case("R16.1", "An ingest of 1,100 pictures killed (SIGKILL) once the first are in the case, then run again; another "
      "that was not killed", "the same items and digests in the same order, nothing twice")  # fmt: skip
def killed(bench: Bench) -> str:
    """A run that was cut off goes on."""
    if not hasattr(signal, "SIGKILL"):
        raise NotTestedError("this system has no SIGKILL")
    folder = bench.folder / "evidence"
    folder.mkdir()
    for number in range(1100):
        drawing(number, 64).save(folder / f"{number:04}.png")
    whole, cut = bench.folder / "whole", bench.folder / "cut"
    for made in (whole, cut):
        bench.imgmatch("init", made)
    words = [*PROGRAM, "ingest", str(cut), str(folder)]
    running = subprocess.Popen(words, env=surroundings(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (before := bench.items(cut)) and running.poll() is None:
        time.sleep(0.1)
    running.kill()
    if running.wait() == 0:
        raise NotTestedError("it had ended before it could be killed")
    bench.imgmatch("ingest", cut, folder)
    bench.imgmatch("ingest", whole, folder)
    tables = []
    for made in (whole, cut):
        bench.imgmatch("export", made, "--format", "csv", "--table", "items", "-o", bench.folder / f"{made.name}-items")
        (table,) = (bench.folder / f"{made.name}-items").rglob("items.csv")
        tables.append(table.read_text(encoding="utf-8"))
        bench.imgmatch("check", made)
    require(tables[0] == tables[1], "the tables of items differ")
    return f"killed with {before} in the case; {len(tables[0].splitlines()) - 1} items in both"


CASES: tuple[Assertion, ...] = (unaltered, digests, changed_sources, recorded, forged_log, statement, killed)
