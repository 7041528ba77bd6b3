"""Project VIC files of 100,000 media in and out: time and peak memory, each in a process of its own.

``python -m benchmarks.exchange --json benchmarks/results/exchange.json``. The file is generated in the published layout
(#Cases, 2.0), as exporters write it: PhotoDNA, alternative hashes, MediaFiles, fields that are not known here. A run
with a fifth of the media shows whether memory grows with their number.
"""

from __future__ import annotations

import base64
import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import report
from imgmatch.models import DEFAULT_MODEL, model_spec
from indexer.case.case import Case
from indexer.out.exchange.project_vic import export_vics, import_vics
from indexer.out.exchange.vics_file import Media, VicsFile

_CONTEXT = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Cases"


def generate(path: Path, count: int, seed: int = 1) -> None:
    """Write a case of ``count`` made-up media, indented as exporters do."""
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{{"@odata.context": "{_CONTEXT}", "value": [{{"CaseID": "made-up", "Media": [\n')
        for number, record in enumerate(_records(count, seed)):
            file.write((",\n" if number else "") + json.dumps(record, indent=2))
        file.write('\n], "TotalMediaFiles": %d}]}\n' % count)  # noqa: UP031


def _records(count: int, seed: int) -> Iterator[dict[str, Any]]:
    rnd = random.Random(seed)
    for number in range(count):
        md5 = f"{rnd.getrandbits(128):032X}"
        yield {
            "MediaID": number + 1,
            "Category": number % 6,
            "MD5": md5,
            "SHA1": f"{rnd.getrandbits(160):040X}",
            "PhotoDNA": base64.b64encode(rnd.randbytes(144)).decode(),
            "MediaSize": rnd.randrange(1, 1 << 24),
            "MimeType": "image/jpeg",
            "Series": f"Series {number % 50}",
            "Tags": "made up, tag",
            "Comments": "",
            "VictimIdentified": "false",
            "IsPrecategorized": "true",
            "DateUpdated": "2025-01-02T03:04:05Z",
            "AlternativeHashes": [{"HashName": "SHA256", "HashValue": f"{rnd.getrandbits(256):064x}"}],
            "MadeUpField": {"kept": [number, 0.5]},
            "MediaFiles": [
                {
                    "MD5": md5,
                    "FileName": f"{number}.jpg",
                    "FilePath": f"E:\\DCIM\\{number // 1000}\\{number}.jpg",
                    "Created": "2025-01-02T03:04:05Z",
                    "Written": "2025-01-02T03:04:05Z",
                    "Accessed": "2025-01-02T03:04:05Z",
                    "Unallocated": False,
                }
            ],
        }


def measured(what: str, case: Path, file: Path) -> dict[str, Any]:
    """Import or export in a process of its own; seconds and peak resident memory of the whole process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.exchange", "--one", what, str(case), str(file)],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _one(what: str, case: Path, file: Path) -> None:
    with Case.open(case) as opened:
        before = _peak_mb()
        started, cpu = time.perf_counter(), time.process_time()
        if what == "import":
            import_vics(opened, file)
        else:
            export_vics(opened, file, all_known=True)
        figures = {
            "seconds": round(time.perf_counter() - started, 2),
            "cpu_seconds": round(time.process_time() - cpu, 2),
            "before_mb": before,
            "peak_mb": _peak_mb(),
        }
    print(json.dumps(figures))


def _peak_mb() -> float:
    """Peak resident memory of this process since it began; what ``getrusage`` says begins with its parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return round(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024, 1)


def _same(one: Path, other: Path) -> bool:
    """Are the media records equal, field by field, in their order?"""
    pairs = itertools.zip_longest(VicsFile(one), VicsFile(other))
    return all(isinstance(a, Media) and isinstance(b, Media) and a.record == b.record for a, b in pairs)


def main() -> None:
    """Measure."""
    parser = report.parser(__doc__ or "")
    parser.add_argument("--media", type=int, default=100_000)
    parser.add_argument("--one", nargs=3, metavar=("WHAT", "CASE", "FILE"), help="internal")
    arguments = parser.parse_args()
    if arguments.one:
        _one(arguments.one[0], Path(arguments.one[1]), Path(arguments.one[2]))
        return
    figures: dict[str, Any] = {"media": arguments.media, "load_before": report.load()}
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in (arguments.media // 5, arguments.media):
            made, out, case = folder / f"{count}.json", folder / f"{count}-out.json", folder / f"case-{count}"
            generate(made, count)
            Case.create(case, model=model_spec(DEFAULT_MODEL)).close()
            run: dict[str, Any] = {"file_mb": round(made.stat().st_size / 1e6, 1)}
            run |= {what: measured(what, case, file) for what, file in (("import", made), ("export", out))}
            run["records_equal"] = _same(made, out)
            figures[str(count)] = run
            for what in ("import", "export"):
                one = run[what]
                rows.append([f"{what} {count:,}", one["seconds"], one["cpu_seconds"], one["before_mb"], one["peak_mb"]])
    figures["load_after"] = report.load()
    report.table("Project VIC files", ["", "s", "CPU s", "MB before", "MB peak"], rows)
    report.finish("exchange", figures, arguments.json)


if __name__ == "__main__":
    main()
