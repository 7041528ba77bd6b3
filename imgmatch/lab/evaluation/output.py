"""An evaluation on disk: figures as JSON and as a table, the rank of each query, the broken pictures, and plots."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from imgmatch.errors import UsageError
from imgmatch.lab.evaluation.plots import draw_precision_recall, draw_recall, draw_worst
from imgmatch.lab.evaluation.result import Evaluation
from imgmatch.locator import readable
from imgmatch.optional import require
from imgmatch.version import __version__


def check_output(folder: Path) -> None:
    """Make the folder. Raises UsageError when that can't be done, ImgmatchError when matplotlib is not installed."""
    require("matplotlib", "train")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: can't be made ({error.strerror}); give a folder for the figures") from error


def write_output(evaluation: Evaluation, folder: Path, *, reveal: bool = False) -> None:
    """Write figures.json, figures.txt, ranks.csv, unusable.csv, recall.png, precision-recall.png and, where there are
    errors, worst.png.

    Pictures in worst.png are blurred beyond recognition unless ``reveal``. Files of an earlier evaluation are replaced.
    Raises UsageError when the folder can't be written.
    """
    check_output(folder)
    try:
        record = {"imgmatch": __version__, **evaluation.record()}
        (folder / "figures.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        (folder / "figures.txt").write_text(figures_table(evaluation), encoding="utf-8")
        _write_csv(folder / "ranks.csv", _RANKS, _ranks(evaluation))
        root = evaluation.dataset.root
        faults = ((u.part, shown(u.path, root), u.fault) for u in evaluation.unusable)
        _write_csv(folder / "unusable.csv", ("part", "file", "fault"), faults)
        draw_recall(evaluation, folder / "recall.png")
        draw_precision_recall(evaluation, folder / "precision-recall.png")
        (folder / "worst.png").unlink(missing_ok=True)
        draw_worst(evaluation, folder / "worst.png", reveal=reveal)
    except OSError as error:
        raise UsageError(f"{folder}: can't be written ({error.strerror}); give another folder") from error


def figures_table(evaluation: Evaluation) -> str:
    """The measures as text, a row for each task, with what was measured and how."""
    columns = list(dict.fromkeys(name for table in evaluation.tables.values() for name in table))
    lines = [["task", *columns]]
    for task, table in evaluation.tables.items():
        lines.append([task, *(_cell(table.get(name)) for name in columns)])
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns) + 1)]
    text = [f"{evaluation.model.name} on {evaluation.dataset.name}: {evaluation.dataset.protocol}.", ""]
    for line in lines:
        cells = [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
        text.append("  ".join(cells).rstrip())
    text += ["", ", ".join(f"{name} {count:,}" for name, count in evaluation.counts.items())]
    return "\n".join(text) + "\n"


def shown(path: str, root: Path) -> str:
    """A file's path within its data set, as text that any file can hold."""
    relative = os.path.relpath(path, root)
    text = path if relative.startswith("..") else relative
    return readable(text)


_RANKS = ("task", "query", "alteration", "usable", "first_rank", "positives", "found", "right", "right_score", "wrong",
          "wrong_score")  # fmt: skip


def _ranks(evaluation: Evaluation) -> Iterable[Sequence[object]]:
    dataset = evaluation.dataset
    for task, rankings in evaluation.rankings.items():
        for ranking in rankings:
            query = dataset.queries[ranking.query]
            row: list[object] = [
                task,
                shown(query.path, dataset.root),
                query.alteration or "",
                int(ranking.usable),
                "" if ranking.first_rank is None else ranking.first_rank,
                ranking.positives,
                len(ranking.ranks),
            ]
            for answer in (ranking.right, ranking.wrong):
                if answer is None:
                    row += ["", ""]
                else:
                    row += [shown(dataset.gallery[answer[0]].path, dataset.root), f"{answer[1]:.6f}"]
            yield row


def _write_csv(path: Path, columns: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(lines)


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
