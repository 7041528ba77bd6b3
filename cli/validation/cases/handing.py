"""Cases of decisions, exports, limits and security."""

from __future__ import annotations

import base64
import csv
import io
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from cli.validation.bench import Assertion, Bench, NotTestedError, case, drawing, require, surroundings

_SECONDS_A_BOMB = 120
_MEMORY_MB = 1000
_BLURRED, _GREY = 40, 4
"""Of 255: a step from pixel to pixel that a blurred picture does not have, and what JPEG makes of grey."""
_WATCH = """
import sys
def watch(event, given):
    if event == "socket.getaddrinfo" or (
        event in ("socket.connect", "socket.sendto") and isinstance(given[1], tuple)
    ):
        with open({told!r}, "a") as file:
            file.write(f"{{event}} {{given[1] if event != 'socket.getaddrinfo' else given[0]}}\\n")
sys.addaudithook(watch)
"""


@case("R25.1", "A match is confirmed with a note; a search, the list and an export show it",
      "all three name the decision; the list has who, when and the note")  # fmt: skip
def decided(bench: Bench) -> str:
    """A decision is kept and shown."""
    made, query = bench.copy_of_demonstration(), bench.queries()[0]
    item = bench.imgmatch("search", made, query, "-k", 1, "--format", "json").object()["matches"][0]["item_id"]
    bench.imgmatch("decide", made, query, item, "confirmed", "--note", "same lamp", "--examiner", "E. Examiner")
    match = bench.imgmatch("search", made, query, "-k", 1, "--format", "json").object()["matches"][0]
    listed = bench.imgmatch("decide", made, "--list", "--format", "jsonl").objects()
    bench.imgmatch("export", made, query, "--format", "csv", "--table", "decisions", "-o", bench.folder / "tables")
    (table,) = (bench.folder / "tables").rglob("decisions.csv")
    require(match["decision"] == "confirmed", f"the search says {match['decision']}")
    require("E. Examiner" in str(listed) and "same lamp" in str(listed), f"the list says {listed}")
    require("confirmed" in table.read_text(encoding="utf-8"), "the export says nothing")
    return "search, list and export agree"


@case("R26.1", "The first match is rejected and the search asked again", "another first; the rejected one is counted")
def rejected(bench: Bench) -> str:
    """What was rejected is counted."""
    made, query = bench.copy_of_demonstration(), bench.queries()[0]
    item = bench.imgmatch("search", made, query, "-k", 1, "--format", "json").object()["matches"][0]["item_id"]
    bench.imgmatch("decide", made, query, item, "rejected", "--examiner", "E. Examiner")
    again = bench.imgmatch("search", made, query, "-k", 5, "--format", "json").object()
    require(item not in [match["item_id"] for match in again["matches"]], "it is offered again")
    left = [one["item_id"] for one in again["left_out"]["rejected"]]
    require(left == [item], f"left out: {left}")
    return "left out and counted"


@case("R27.1", "A report of three queries, as it is by default",
      "no address outside it; every picture in it grey and blurred", f"steps of {_BLURRED} of 255 a pixel")  # fmt: skip
def report(bench: Bench) -> str:
    """A report reaches for nothing."""
    made, target = bench.copy_of_demonstration(), bench.folder / "report"
    bench.imgmatch("export", made, *bench.queries()[:3], "-o", target)
    pages = [target] if target.is_file() else list(target.rglob("*.html"))
    require(pages, "no page")
    for page in pages:
        text = page.read_text(encoding="utf-8")
        outside = re.findall(r"""(?:src|href|action)\s*=\s*["']?((?:https?:)?//[^"'\s>]+)""", text)
        outside += re.findall(r"""url\(\s*["']?((?:https?:)?//[^"')]+)""", text)
        require(not outside, f"{page.name} names {outside[:3]}")
    pictures = [data for page in pages for data in _pictures_of(page)]
    require(len(pictures) >= 3, f"{len(pictures)} pictures")
    sharp = max(_sharpness(Image.open(io.BytesIO(data))) for data in pictures)
    least = min(_sharpness(Image.open(query)) for query in bench.queries()[:3])
    require(sharp < _BLURRED, f"a picture changes by {sharp:.0f} of 255 from pixel to pixel, or has colours")
    require(least > 2 * _BLURRED, "the photographs are too plain to tell")
    return f"nothing outside; {len(pictures)} pictures, grey, steps of at most {sharp:.0f} of 255 a pixel"


def _pictures_of(page: Path) -> list[bytes]:
    """Pictures in a page, and those beside it."""
    held = re.findall(r"data:image/(?:jpeg|png|webp|gif);base64,([A-Za-z0-9+/=]+)", page.read_text(encoding="utf-8"))
    beside = [file for file in page.parent.rglob("*") if file.suffix in (".jpg", ".jpeg", ".png", ".webp")]
    return [base64.b64decode(one) for one in held] + [file.read_bytes() for file in beside]


def _sharpness(picture: Image.Image) -> float:
    """The largest step from a pixel to its neighbour, of 255; 255 where there are colours."""
    pixels = np.asarray(picture.convert("RGB"), dtype=np.int16)
    if np.ptp(pixels, axis=2).max() > _GREY:
        return 255.0
    return float(max(abs(np.diff(pixels[..., 0], axis=axis)).max() for axis in (0, 1)))


@case(
    "R28.1",
    "Labels that begin with =, +, -, @ in a CSV of a search and in all exported tables",
    "none of its cells begins so",
)
def formulas(bench: Bench) -> str:
    """No cell starts a formula."""
    folder = bench.folder / "evidence"
    folder.mkdir()
    rows = []
    for number, label in enumerate(["=1+1", "+cmd", "-2", "@SUM(A1)"]):
        drawing(number).save(folder / f"{number}.png")
        rows.append([f"{number}.png", label])
    with (bench.folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file", "label"], *rows])
    made = bench.case(folder, options=("--labels", str(bench.folder / "labels.csv")))
    told = [bench.imgmatch("search", made, folder / "0.png", "-k", 4, "--no-verify", "--format", "csv").out]
    bench.imgmatch("export", made, "--format", "csv", "-o", bench.folder / "tables")
    told += [file.read_text(encoding="utf-8-sig") for file in (bench.folder / "tables").rglob("*.csv")]
    cells = [cell for text in told for row in list(csv.reader(io.StringIO(text)))[1:] for cell in row]
    require(any("SUM(A1)" in cell for cell in cells), "the labels are not there")
    wrong = [cell for cell in cells if cell[:1] in ("=", "@", "+") or re.match(r"-\D", cell)]
    require(not wrong, f"cells {wrong[:4]}")
    return f"{len(cells)} cells"


@case("R29.1", "A ZIP of 5 MB that unpacks to 5 GB of zeros", "an issue; the picture beside it is an item",
      f"{_SECONDS_A_BOMB} s, {_MEMORY_MB:,} MB")  # fmt: skip
def bomb(bench: Bench) -> str:
    """An archive without end."""
    folder = bench.folder / "evidence"
    folder.mkdir()
    block = bytes(1 << 20)
    with (
        zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file,
        file.open("a.jpg", "w", force_zip64=True) as member,
    ):
        for _ in range(5 << 10):
            member.write(block)
    return _bounded(bench, folder)


@case("R30.1", "A PNG that claims 200,000 x 200,000 pixels", "an issue; the picture beside it is an item",
      f"{_SECONDS_A_BOMB} s, {_MEMORY_MB:,} MB")  # fmt: skip
def giant(bench: Bench) -> str:
    """A picture that claims too much."""
    folder = bench.folder / "evidence"
    folder.mkdir()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 200_000, 200_000, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
    (folder / "giant.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b""))
    return _bounded(bench, folder)


def _bounded(bench: Bench, folder: Path) -> str:
    """An ingest of one file that asks for too much, and of a picture: within time and memory, and each told of."""
    drawing(1).save(folder / "good.png")
    made = bench.folder / "case"
    bench.imgmatch("init", made)
    began = time.monotonic()
    peak = bench.peak_mb("ingest", made, folder)
    took = time.monotonic() - began
    told = [issue["error"] for issue in bench.issues(made)]
    require(bench.items(made) == 1 and len(told) == 1, f"{bench.items(made)} items, issues {told}")
    require(took < _SECONDS_A_BOMB and peak < _MEMORY_MB, f"{took:.0f} s, {peak:.0f} MB")
    return f"{told[0]}, {took:.0f} s, {peak:.0f} MB"


@case("R31.1", "Twelve ZIPs in each other, a picture in the last", "an issue that names the depth; no crash")
def deep(bench: Bench) -> str:
    """A stated depth."""
    folder = bench.folder / "evidence"
    folder.mkdir()
    inner = bench.folder / "inner"
    drawing(1).save(inner, "PNG")
    for number in range(12):
        outer = bench.folder / f"outer{number}"
        with zipfile.ZipFile(outer, "w") as file:
            file.write(inner, "inner.zip" if number else "a.png")
        inner = outer
    shutil.copy(inner, folder / "deep.zip")
    made = bench.case(folder)
    told = [f"{issue['error']} {issue['what']}" for issue in bench.issues(made)]
    require(any("depth" in one for one in told), f"issues {told}")
    return told[0]


@case("R32.1", "init, ingest, search and a report where there is no network at all (a network namespace of its own)",
      "all end with 0; none asks for a name or an address")  # fmt: skip
def no_network(bench: Bench) -> str:
    """Nothing needs a network, nor tries one."""
    apart = [bench.tool("unshare"), "-rn"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        raise NotTestedError("this account can't make a network namespace")
    files = bench.photographs(4)
    made, told = bench.folder / "case", bench.folder / "asked"
    hook = bench.folder / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(_WATCH.format(told=str(told)), encoding="utf-8")
    watched = {"PYTHONPATH": os.pathsep.join([str(hook), surroundings()["PYTHONPATH"]])}
    asks = [
        *apart,
        sys.executable,
        "-c",
        "import socket\ntry: socket.create_connection(('127.0.0.1', 9))\nexcept OSError: 0",
    ]
    subprocess.run(asks, env={**surroundings(), **watched}, check=True)
    require(told.exists(), "what asks for an address was not seen")
    told.unlink()
    for words in (
        ("init", made), ("ingest", made, files[0].parent), ("search", made, files[0]),
        ("export", made, files[0], "-o", bench.folder / "report"),
    ):  # fmt: skip
        bench.imgmatch(*words, under=apart, environment=watched)
    asked = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    require(not asked, f"asked for: {asked[:3]}")
    return "4 commands, none asked"


@case("R33.1", "The rights of a new case's folder", "its owner's only (0700)")
def owner_only(bench: Bench) -> str:
    """Nobody else may enter."""
    if os.name != "posix":
        raise NotTestedError("rights of another kind on this system")
    bench.imgmatch("init", bench.folder / "case")
    mode = stat.S_IMODE((bench.folder / "case").stat().st_mode)
    require(mode == 0o700, f"{mode:o}")
    return f"{mode:04o}"


@case("R34.1", "imgmatch doctor", "'confinement' is right")
def confined(bench: Bench) -> str:
    """What decodes reaches nothing."""
    found = {row["what"]: row for row in bench.imgmatch("doctor", "--format", "jsonl", ends=None).objects()}
    held = found["confinement"]
    require(held["state"] == "right", held["says"])
    return str(held["says"])


@case("R35.1", "imgmatch models verify", "the SHA-256 of all weights is right")
def weights(bench: Bench) -> str:
    """Weights are those that were shipped."""
    told = bench.imgmatch("models", "verify").out.splitlines()
    require(told and all("weights are right" in line for line in told), f"{told}")
    return f"{len(told)} models"


@case(
    "R36.1",
    "A source is deleted from a case of four, then compact",
    "not found; its name in no file but the log",
)
def deleted(bench: Bench) -> str:
    """What is deleted is gone."""
    files = bench.photographs(4)
    secret = files[0].rename(files[0].with_name("quite-singular-name.jpg"))
    made = bench.case(secret.parent)
    bench.imgmatch("delete", made, "--source", secret, "--reason", "validation")
    bench.imgmatch("index", made, "compact")
    found = bench.imgmatch("search", made, secret, "-k", 10, "--no-verify", "--format", "json").object()["matches"]
    require(len(found) == 3, f"{len(found)} items left")
    holding = [
        file.name for file in made.rglob("*")
        if file.is_file() and file.name != "audit.jsonl" and b"quite-singular" in file.read_bytes()
    ]  # fmt: skip
    require(not holding, f"its name is in {holding}")
    return "3 items left, no trace of the name"


CASES: tuple[Assertion, ...] = (
    decided, rejected, report, formulas, bomb, giant, deep, no_network, owner_only, confined, weights, deleted,
)  # fmt: skip
