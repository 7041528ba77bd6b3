"""Attacks on the main process: files that claim to be without end. Does each end in time, within a memory cap, with an
issue or one line that says so?

The cap holds for the process that is started, not for its workers, whose memory the system limits. It is measured
from outside, and a process that goes over it is killed.

python -m benchmarks.attack [--part PART] [--only TEXT]... [--cap MB] [--limit SECONDS] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import attack_page, report
from benchmarks.attack_files import INGEST, Attack, attacks

_LOOK_SECONDS = 0.02


def measured(command: Sequence[str], cap_mb: int, limit_s: float, folder: Path) -> dict[str, Any]:
    """Run imgmatch: how it ended, what it said, the most memory of its main process in MB (resident), and seconds: of
    the clock, and of processors, those of workers that ended before it among them.
    """
    started, peak, ended = time.monotonic(), 0, ""
    environment = {**os.environ, "TMPDIR": str(folder), "IMGMATCH_HOME": str(folder / "home")}
    with (folder / "out").open("wb+") as out, (folder / "err").open("wb+") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", *command], stdout=out, stderr=err, env=environment
        )
        while not (waited := os.wait4(process.pid, os.WNOHANG))[0]:
            peak = max(peak, _peak_mb(process.pid))
            if peak > cap_mb or time.monotonic() - started > limit_s:
                ended = "too much memory" if peak > cap_mb else "too long"
                process.kill()
            time.sleep(_LOOK_SECONDS)
        _, status, used = waited
        code = process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        said, told = out.read(1 << 24), err.read(1 << 20).decode(errors="replace")
    if not ended and (code < 0 or code > 3 or "Traceback" in told or "internal error" in told):
        ended = f"crashed ({code})"
    return {
        "ended": ended or "held",
        "code": code,
        "said": _said(said, told),
        "out": said[:100_000].decode(errors="replace"),
        "peak_mb": peak,
        "seconds": round(time.monotonic() - started, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
    }


def _peak_mb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM")), 0)


def _said(out: bytes, err: str) -> str:
    """The kinds of issues, or the last line of an error."""
    try:
        kinds = json.loads(out)["issues_by_kind"]
    except (ValueError, KeyError, TypeError):
        lines = err.strip().splitlines() or out.decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else ""
    return ", ".join(f"{kind} {count:,}" for kind, count in sorted(kinds.items()))


def tried(attack: Attack, cap_mb: int, limit_s: float) -> dict[str, Any]:
    """Write an attack, put it to a new case, and look at the case afterwards."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        case, file = folder / "case", folder / attack.file
        subprocess.run([sys.executable, "-m", "cli.main", "init", str(case)], check=True, capture_output=True)
        attack.write(file)
        (folder / "empty").mkdir()
        places = {"CASE": str(case), "FILE": str(file), "FOLDER": str(folder / "empty")}
        command = [places.get(word, word) for word in attack.command]
        found = measured(command, cap_mb, limit_s, folder)
        after = measured(["issues", str(case), "--by", "kind", "--format", "json"], cap_mb, limit_s, folder)
        if found["ended"] == "held" and after["ended"] != "held":
            found["ended"] = f"afterwards issues: {after['ended']}"
        if "ingest" in command and after["code"] == 0 and json.loads(after["out"]):
            found["said"] = " ".join(after["out"].split())[:300]
        found["said"] = found["said"].replace(f"{folder}{os.sep}", "")
        del found["out"]
        return {"attack": attack.name, "file_bytes": _size(file), **found}


def _size(path: Path) -> int:
    info = path.stat()
    return min(info.st_size, info.st_blocks * 512) if path.is_file() else sum(map(_size, path.iterdir()))


def main() -> None:
    """Try all, and report; exit with 1 where one did not hold."""
    arguments = _arguments()
    rows = []
    for attack in attacks():
        part = "evidence" if attack.command[: len(INGEST)] == INGEST else "given"
        if arguments.part not in (part, "all") or not any(text in attack.name for text in arguments.only or [""]):
            continue
        row = tried(attack, arguments.cap, arguments.limit)
        rows.append(row)
        print(f"  {attack.name}: {row['ended']}, {row['peak_mb']} MB, {row['seconds']} s, {row['said']}", flush=True)
    rows += _on_the_page(arguments)
    report.table(
        f"Attacks on the main process, which may take {arguments.cap:,} MB and {arguments.limit:.0f} s",
        ["attack", "file kB", "ended", "peak MB", "seconds"],
        [[row["attack"], row["file_bytes"] >> 10, row["ended"], row["peak_mb"], row["seconds"]] for row in rows],
    )
    outcomes = Counter(row["ended"] for row in rows)
    report.finish(
        "attack" if arguments.part == "all" else f"attack-{arguments.part}",
        {"cap_mb": arguments.cap, "limit_s": arguments.limit, "outcomes": dict(outcomes),
         "most_mb": max((row["peak_mb"] for row in rows), default=0), "attacks": rows},
        arguments.json,
    )  # fmt: skip
    sys.exit(0 if set(outcomes) <= {"held"} else 1)


def _on_the_page(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """What benchmarks.attack_page tries, in rows as the others: they are about secrets, not about memory."""
    if arguments.part not in ("page", "all") or not any(text in "page" for text in arguments.only or ["page"]):
        return []
    return [{"file_bytes": 0, "peak_mb": 0, "seconds": 0, **row} for row in attack_page.run()]


def _arguments() -> argparse.Namespace:
    parser = report.parser("Attacks on the main process")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="attacks with this in their name")
    parts = ("evidence", "given", "page", "all")
    parser.add_argument("--part", default="all", choices=parts, help="what ingest opens, commands are given, the page")
    parser.add_argument("--cap", type=int, default=1_000, metavar="MB", help="memory of the main process")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that a command may take")
    return parser.parse_args()


if __name__ == "__main__":
    main()
