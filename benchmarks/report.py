"""How every benchmark says what it measured: tables for people, one JSON object as the last line, a file on request."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import imgmatch
from imgmatch.cores import usable_cores
from indexer.catalogue.clock import now_utc

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("faiss-cpu", "numpy", "onnxruntime", "opencv-python", "pillow", "torch")


def parser(description: str) -> argparse.ArgumentParser:
    """Arguments that every benchmark takes."""
    parsed = argparse.ArgumentParser(description=description)
    parsed.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return parsed


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table; numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(columns), *cells]) for i in range(len(columns))]
    print(f"\n{title}")
    for row in [list(columns), *cells]:
        print(
            "  "
            + "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        )


def finish(name: str, figures: Mapping[str, Any], file: Path | None) -> None:
    """Print all figures, with the machine, versions and command, as one JSON line; write them to ``file`` too."""
    print(json.dumps(save(name, figures, file)))


def save(name: str, figures: Mapping[str, Any], file: Path | None) -> dict[str, Any]:
    """Write the figures so far to ``file``, where there is one, as ``finish`` does at the end; returns the record."""
    record = {
        "benchmark": name,
        "command": "python -m " + " ".join([f"benchmarks.{name.partition('-')[0]}", *_arguments()]),
        "time_utc": now_utc(),
        "machine": machine(),
        "cpu_s": round(time.process_time(), 1),
        "versions": {
            "imgmatch": imgmatch.__version__,
            "python": platform.python_version(),
            **{package: version(package) for package in _PACKAGES},
        },
        **figures,
    }
    if file is not None:
        file.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return record


def machine() -> dict[str, Any]:
    """Processor, cores and memory."""
    found: dict[str, Any] = {"system": platform.system(), "arch": platform.machine(), "cores": usable_cores()}
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        lines = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
        fields = {name.strip(): value.strip() for name, value in lines.items()}
        found["processor"] = fields.get("model name", "")
        found["simd"] = [flag for flag in ("avx2", "avx512f", "avx512_vnni") if flag in fields.get("flags", "").split()]
        memory = Path("/proc/meminfo").read_text(encoding="utf-8").split()
        found["memory_gb"] = round(int(memory[1]) / 1e6, 1)
    except (OSError, ValueError, IndexError):
        found["processor"] = platform.processor()
    return found


def load() -> float:
    """How many programs wanted a core in the last minute: above the cores, times are those of a busy machine."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0


def _arguments() -> list[str]:
    """The arguments without paths: those differ from machine to machine and name its folders."""
    return [argument if "/" not in argument else Path(argument).name for argument in sys.argv[1:]]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)
