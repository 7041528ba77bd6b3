"""Hostile replies: workers of every kind that say what no parser says, and an ingest that hears it.
Does anything end the run, or break what is asked of the case afterwards?

python -m benchmarks.attack_replies [--replies N] [--seed N] [--json FILE]
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import copy
import io
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, cast

from imgmatch.workers import process, wire
from imgmatch.workers.child import Pipe
from imgmatch.workers.confine import Confinement

_Done = tuple[int, str, bytes]
_MODES = ("rb", "wb", "rb", "wb")
_ABOUT = {"stored_size_px": [40, 30], "orientation": 1, "format": "JPEG", "partial": None}
_FACTS = {
    "metadata": {
        "camera_make": {"value": "Maker", "source": "EXIF Make"},
        "latitude": {"value": 51.5, "source": "EXIF GPSLatitude", "found": "51 30 0 N"},
        "taken": {"value": "2024-05-06T07:08:09", "source": "EXIF DateTimeOriginal"},
    },
    "pdq": {"hash": "0f" * 32, "quality": 80},
}
_END = {"say": "end", "error": None, "message": "", "what": ""}
_FOUND = {"say": "found", "kind": "frame", "at": "1", "modified": "2024-05-06T07:08:09.000000Z", "error": None,
          "message": "", "what": ""}  # fmt: skip
_META = {"inode": 5, "folder": False, "file": True, "allocated": True, "size": 600, "modified": 1700000000,
         "streams": [["s", 5, 1]]}  # fmt: skip
_ANSWERS = {
    "about": {"slots": False, "ext": False, "root": 2, "inodes": [1, 40], "blocks": [0, 9], "block_bytes": 512},
    "folder": [{"name": "a.jpg", "names": 5, "named_file": True, "gone": False, "meta": _META}],
    "ext_names": [["a.jpg", 5]],
    "metas": [[5, _META]],
    "orphans": [_META],
    "owned": [[1, 2]],
    "table": [[512, 1024]],
    "extents": [None, "a.vmdk"],
    "size": 600,
}
_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 1e308, 1e400, -1e400, float("nan"), 2**31, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63)),
    *(10**300, "", "x", "\ud800", "\udcff\udc00", "\0\x1b[2J\x07", "\u202egpj", "a" * 300_000, "../../etc/passwd"),
    *("file:/x|zip:y", "|", "%", "%ZZ", "A B:C", "0" * 40, "-1", "1e9", "99999999999999999999", "2024-13-45T99:99:99Z"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "=cmd|' /C calc'!A0", "<script>alert(1)</script>", "\r\n\t"),
    *([], {}, [[]], [None] * 1000, {"say": "end"}, {"": ""}, {"value": None}, {"value": {"a": [1]}, "source": 3}),
)
_KINDS = ("frame", "preview", "pdf", "mail", "thumb", "sevenzip", "video", "x", "A|b", "")


def _deep(chance: random.Random) -> Any:
    made: Any = 1
    for _ in range(chance.choice((5, 50, 200))):
        made = [made] if chance.random() < 0.5 else {"value": made, "source": "x"}
    return made


def spoiled(told: Any, chance: random.Random, most: int = 3) -> Any:
    """A message with some of its values, fields and parts changed."""
    told = copy.deepcopy(told)
    for _ in range(chance.randint(1, most)):
        holder, key = chance.choice(list(_places(told)) or [(None, None)])
        what = chance.random()
        value = _deep(chance) if what < 0.1 else copy.deepcopy(chance.choice(_VALUES))
        if holder is None or what > 0.98:
            told = value
        elif what < 0.7:
            holder[key] = value
        elif what < 0.8 and isinstance(holder, dict):
            holder[str(value)[:50]] = holder.pop(key)
        elif what < 0.9:
            del holder[key]
        elif isinstance(holder, list):
            holder.extend([holder[key]] * chance.choice((1, 2, 500)))
    return told


def _places(told: Any) -> Iterator[tuple[Any, Any]]:
    parts = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    for key, part in list(parts):
        yield told, key
        yield from _places(part)


def _say(pipe: Pipe, header: Any, data: bytes, chance: random.Random) -> None:
    """A message with lengths that may be wrong."""
    text = json.dumps(header).encode("ascii")
    length, size = len(text), len(data)
    if chance.random() < 0.06:
        length = chance.choice((0, 1, length + 1, 1 << 20, (1 << 32) - 1))
    if chance.random() < 0.06:
        size = chance.choice((0, 1, size + 1, 1 << 31, 1 << 63, (1 << 64) - 1))
    if chance.random() < 0.03:
        text = chance.choice((b"\xff" * length, b"[" * length, b'{"a":NaN}', b"{" * 50_000, text[:-1]))
    short = length > len(text) or size > len(data)
    wire.write(pipe._to, wire._LENGTHS.pack(length % (1 << 32), size % (1 << 64)) + text + data)
    if chance.random() < 0.02:
        wire.write(pipe._to, wire.TICK * chance.choice((1, 1000)))
    if short and chance.random() < 0.995:  # else it is waited for until its time is over
        raise EOFError


def serve(request: dict[str, Any], pipe: Pipe, chance: random.Random) -> bool:
    """As a worker of any kind: say something; whether it goes on after that."""
    if "call" in request:
        _answer_question(request, pipe, chance)
    elif "open" in request:
        _say(pipe, _END if chance.random() < 0.9 else spoiled(_END, chance), b"", chance)
    elif "parser" in request:
        _find(request, pipe, chance)
    else:
        _decode(request, pipe, chance)
    return chance.random() > 0.05


def _decode(request: dict[str, Any], pipe: Pipe, chance: random.Random) -> None:
    pictures = [{**_ABOUT, "height": 30, "width": 40} for _ in request["sides_px"]]
    told = {**_END, "image": _ABOUT, "facts": _FACTS, "pictures": pictures}
    side = request["input_px"] or 0
    size = 3 * (side * side + 1_200 * len(pictures))
    _say(pipe, told if chance.random() < 0.15 else spoiled(told, chance), chance.randbytes(size), chance)


def _find(request: dict[str, Any], pipe: Pipe, chance: random.Random) -> None:
    kind = {"sevenzip": "sevenzip", "pdf": "pdf", "mail": "mail"}.get(request["parser"], "frame")
    for number in range(chance.randint(1, 12)):
        told: dict[str, Any] = {
            **_FOUND,
            "kind": kind if chance.random() < 0.9 else chance.choice(_KINDS),
            "at": str(number),
        }
        what = chance.random()
        if what < 0.15:
            told |= {"error": "broken_picture", "message": "it is \ud800 broken"}
        elif what < 0.3:
            told = {"say": "part"}
        elif what < 0.4:
            told = {"say": "read", "of": 0, "offset": 0, "size": 10}
        told = told if chance.random() < 0.5 else spoiled(told, chance)
        _say(pipe, told, b"\xff\xd8\xff" + chance.randbytes(40) if chance.random() < 0.9 else b"", chance)
        if isinstance(told, dict) and told.get("say") == "read":
            _, size = wire.receive(pipe._from)
            wire.receive_bytes(pipe._from, size)
    _say(
        pipe,
        _END if chance.random() < 0.5 else spoiled({**_END, "error": "limit", "message": "m"}, chance),
        b"",
        chance,
    )


def _answer_question(request: dict[str, Any], pipe: Pipe, chance: random.Random) -> None:
    name = request["call"]
    if name == "read":
        size = chance.choice((0, 1, int(request["with"][-1]), int(request["with"][-1]) + 1))
        answer = chance.randbytes(min(size, 1 << 20))
    else:
        right = _ANSWERS.get(name, [])
        answer = json.dumps(right if chance.random() < 0.4 else spoiled(right, chance)).encode("ascii")
    _say(pipe, _END if chance.random() < 0.8 else spoiled(_END, chance), answer, chance)


# --- the side that hears it


class _Worker:
    """Stands for a process of a worker: a thread at the other end of its pipes, as thousands of them must be lost."""

    def __init__(self, seed: int) -> None:
        ends = [*os.pipe(), *os.pipe()]
        self.requests, to, answers, self._sink = (
            os.fdopen(end, mode, 0) for end, mode in zip(ends, _MODES, strict=True)
        )
        self.stdin, self.stdout = to, answers
        self._code: int | None = None
        self._pipe = Pipe(cast(IO[bytes], io.BufferedReader(self.requests)), self._sink)
        threading.Thread(target=self._serve, args=(random.Random(seed),), daemon=True).start()

    def _serve(self, chance: random.Random) -> None:
        try:
            goes_on = True
            while goes_on:
                header, size = wire.receive(self._pipe._from)
                wire.receive_bytes(self._pipe._from, size)
                goes_on = serve(header or {}, self._pipe, chance)
        except (OSError, ValueError, EOFError, wire.WireError):  # or out of step by what it said: a worker ends of it
            pass
        self._code = -9 if self._code is None else self._code
        self._sink.close()

    def poll(self) -> int | None:
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        return self._code or 0

    def kill(self) -> None:
        self._code = -9
        with contextlib.suppress(OSError):  # what waits for it meets the end
            os.write(self.stdin.fileno(), b"")
            self._sink.close()


def taken_over() -> None:
    """In a program, before anything is asked: all workers are hostile from now on. It tells how often it heard one."""
    seeds = itertools.count(int(os.environ["SEED"]))

    def start(self: Any) -> None:
        process.in_starter(lambda: None)
        self._process = made = _Worker(next(seeds))
        self.pid = 1 << 22 | next(seeds)
        self._to, self._from = made.stdin, io.BufferedReader(made.stdout, wire.BUFFER_BYTES)
        self.confinement = Confinement("none", False, False, False, False, False, 0)
        process._alive.add(self)
        self._busy = False

    process.Process.start = start  # type: ignore[method-assign]
    heard, receive = [0], wire.receive

    def counted(stream: Any) -> Any:
        heard[0] += 1
        return receive(stream)

    vars(wire)["receive"] = counted
    atexit.register(lambda: Path(os.environ["HEARD"]).write_text(str(heard[0])))


def _files(folder: Path, first: int, count: int) -> None:
    """Files of all that a worker reads, each of a content of its own."""
    boot = bytearray(512)
    boot[3:11], boot[510:512] = b"NTFS    ", b"\x55\xaa"
    begins = (b"\xff\xd8\xff", b"II*\0", b"%PDF-1.4\n", b"7z\xbc\xaf\x27\x1c", b"\x1a\x45\xdf\xa3", bytes(boot),
              b"From: a@b\nTo: c@d\nSubject: x\n\n", b"\xff\xd8\xff")  # fmt: skip
    folder.mkdir()
    for number in range(first, first + count):
        text = begins[number % len(begins)] + b"%d " % number * 300
        (folder / f"{number:06}.bin").write_bytes(text)


def _python(
    code: str, arguments: Sequence[object], limit_s: float, heard: Path, seed: int = 0
) -> tuple[int, str, bytes]:
    command = [sys.executable, "-c", f"{code}from cli.main import main; main()", *map(str, arguments)]
    environment = {**os.environ, "HEARD": str(heard), "SEED": str(seed)}
    try:
        done = subprocess.run(command, capture_output=True, timeout=limit_s, env=environment)
    except subprocess.TimeoutExpired:
        return -1, "hang", b""
    return done.returncode, done.stderr.decode(errors="replace"), done.stdout


def run(replies: int, seed: int, folder: Path, chunk: int = 400, limit_s: float = 1_200.0) -> dict[str, Any]:
    """Let an ingest hear so many replies at least, then ask the case everything. ``folder`` is an empty one."""
    case, heard, total, number = folder / "case", folder / "heard", 0, seed * 1_000_000
    faults: list[str] = []
    subprocess.run([sys.executable, "-m", "cli.main", "init", str(case)], check=True, capture_output=True)
    patch = "from benchmarks import attack_replies; attack_replies.taken_over(); "
    while total < replies and not faults:
        evidence = folder / f"evidence{number}"
        _files(evidence, number, chunk)
        number += chunk
        limits = ["--limit", "max_cpu_seconds=5", "--limit", "decode_seconds=5"]
        code, said, _ = _python(patch, ["ingest", case, evidence, "--no-index", *limits], limit_s, heard, number)
        total += int(heard.read_text()) if heard.exists() else 0
        if code or "Traceback" in said or "internal error" in said:
            faults.append(f"ingest: {code} {said[-300:]}")
    faults += _asked(case, folder, limit_s, heard)
    shown = _python("", ["status", case, "--format", "json"], limit_s, heard)[2]
    return {"replies": total, "faults": faults, "seed": seed, "status": json.loads(shown or b"{}")}


def _asked(case: Path, folder: Path, limit_s: float, heard: Path) -> Iterator[str]:
    """What went wrong with what is asked of the case."""
    from PIL import Image

    with io.BytesIO() as made:
        Image.new("RGB", (64, 48), (200, 30, 30)).save(made, "PNG")
        (folder / "query.png").write_bytes(made.getvalue())
    query = folder / "query.png"
    asked: list[list[object]] = [
        ["issues", case],
        ["issues", case, "--format", "json"],
        ["status", case],
        *(["show", case, item, "--format", "json"] for item in range(1, 6)),
        ["search", case, query, "--format", "json", "--meta", "camera_make"],
        ["search", case, query, "--meta", "latitude=51*"],
        ["check", case, "--sources"],
        ["audit", "verify", case],
        ["groups", case, "--format", "json"],
        ["export", case, query, "-o", folder / "html"],
        ["export", case, "-o", folder / "tables", "--format", "csv"],
        ["export", case, "-o", folder / "tables2", "--format", "jsonl"],
        ["export", case, "-o", folder / "vics.json", "--format", "vics"],
        ["export", case, "-o", folder / "case.jsonld", "--format", "case-uco"],
        ["export", case, "-o", folder / "pack", "--format", "pack", "--locators"],
    ]
    for words in asked:
        code, said, out = _python("", words, limit_s, heard)
        text = said + out.decode(errors="replace")
        if code not in (0, 1, 3) or "Traceback" in text or "internal error" in said:
            yield f"{' '.join(map(str, words[:1]))} {words[2:]}: {code} {said[-300:]}"


def main() -> None:
    """Say, hear, ask and report; exit with 1 on any fault."""
    from benchmarks import report

    arguments = _arguments(report.parser("Hostile replies of workers"))
    with tempfile.TemporaryDirectory() as scratch:
        figures = run(arguments.replies, arguments.seed, Path(scratch))
    print(f"  {figures['replies']:,} replies; faults: {figures['faults'] or 'none'}")
    report.finish("attack_replies", figures, arguments.json)
    sys.exit(1 if figures["faults"] else 0)


def _arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    parser.add_argument("--replies", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
