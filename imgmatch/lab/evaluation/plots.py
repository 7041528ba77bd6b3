"""Plots of an evaluation: recall at k, precision and recall, and the worst errors side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from imgmatch.errors import EvidenceError
from imgmatch.lab.evaluation.dataset import Picture
from imgmatch.lab.evaluation.measures import predictions, recall_at
from imgmatch.lab.evaluation.ranking import Ranking
from imgmatch.lab.evaluation.vectors import load_pixels
from imgmatch.lab.metrics import precision_recall
from imgmatch.locator import readable
from imgmatch.optional import require

if TYPE_CHECKING:
    from imgmatch.lab.evaluation.result import Evaluation
    from imgmatch.types import Pixels

_NAMED = 8  # more lines than that are drawn thin and grey: nobody can tell so many colours apart
_SIDE_PX = 320
# What is left of a blurred picture: enough to tell a pale room from a dark one, not to see what or who is in it.
_BLURRED_PX = 8


@dataclass(frozen=True, slots=True)
class WorstError:
    """A query that was answered wrongly: its task and ranking."""

    task: str
    ranking: Ranking


def worst_errors(evaluation: Evaluation, count: int = 12) -> list[WorstError]:
    """The queries whose right answer ranks last, of each task in turn; broken pictures and hits are left out."""
    by_task: list[Iterator[WorstError]] = []
    for task, rankings in evaluation.rankings.items():
        wrong = [r for r in rankings if r.usable and r.wrong and r.positives and (r.first_rank or np.inf) > 1]
        wrong.sort(key=lambda r: (-(r.first_rank or np.inf), -(r.wrong[1] if r.wrong else 0.0)))
        by_task.append(iter([WorstError(task, r) for r in wrong]))
    found: dict[int, WorstError] = {}
    while by_task and len(found) < count:
        for errors in list(by_task):
            # A query may be in several tasks; each picture is shown once.
            error = next((e for e in errors if e.ranking.query not in found), None)
            if error is None:
                by_task.remove(errors)
            else:
                found[error.ranking.query] = error
    return list(found.values())[:count]


def draw_recall(evaluation: Evaluation, path: Path) -> None:
    """Write a PNG of recall at k, k from 1 to 100, of each task."""
    top = min(100, len(evaluation.dataset.gallery))
    ks = np.unique(np.geomspace(1, max(top, 1), 40).round().astype(int))
    lines = {
        task: (ks, np.array([recall_at(rankings, k) for k in ks]))
        for task, rankings in evaluation.rankings.items()
        if any(r.positives for r in rankings)
    }
    # The tasks that go worst are the ones to look at.
    order = sorted(lines, key=lambda task: float(lines[task][1][0]))
    figure, axes = _axes(evaluation)
    _draw(axes, lines, order)
    axes.set(xscale="log", xlabel="k", ylabel="recall at k", ylim=(0, 1.02), xlim=(1, max(top, 2)))
    ticks = [k for k in (1, 2, 5, 10, 20, 50, 100) if k <= max(top, 2)]
    axes.set_xticks(ticks, labels=[str(k) for k in ticks])
    axes.minorticks_off()
    figure.savefig(path, dpi=110, metadata={"Software": None})


def draw_precision_recall(evaluation: Evaluation, path: Path) -> None:
    """Write a PNG of precision over recall as the threshold falls, over the nearest answers of all queries of a task,
    and so up to the recall that these reach. Dashed: scores less the similarity to the background.
    """
    lines: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    dashed: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for task, rankings in evaluation.rankings.items():
        for into, normalised in ((lines, False), (dashed, True)):
            if normalised and not evaluation.dataset.background:
                continue
            scores, correct, positives = predictions(rankings, normalised=normalised)
            if positives and scores.size:
                precision, recall = precision_recall(scores, correct, positives)
                into[task] = (recall, precision)
    order = sorted(lines, key=lambda task: float(lines[task][0][-1]))
    figure, axes = _axes(evaluation)
    _draw(axes, lines, order)
    for number, task in enumerate(order[:_NAMED]):
        if task in dashed:
            axes.plot(*dashed[task], "--", color=f"C{number}", label=f"{task}, normalised")
    if dashed:
        axes.legend(fontsize=7)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
    figure.savefig(path, dpi=110, metadata={"Software": None})


def draw_worst(evaluation: Evaluation, path: Path, *, count: int = 12, reveal: bool = False) -> int:
    """Write a PNG contact sheet of the worst errors: query, its nearest wrong answer, the right one with its rank.

    Pictures are blurred beyond recognition unless ``reveal``. Returns how many errors it shows; without any there is no
    file.
    """
    errors = worst_errors(evaluation, count)
    if not errors:
        return 0
    dataset = evaluation.dataset
    height = 2.5 * len(errors) + 0.5
    # Places by hand: matplotlib takes seconds to lay out so many.
    figure = _figure((9.0, height), layout=None)
    figure.subplots_adjust(left=0.02, right=0.98, bottom=0.1 / height, top=1 - 0.8 / height, wspace=0.05, hspace=0.3)
    grid = figure.subplots(len(errors), 3, squeeze=False)
    for row, error in zip(grid, errors, strict=True):
        ranking = error.ranking
        query = dataset.queries[ranking.query]
        right = ranking.right or (_a_right_one(evaluation, error), None)
        shown: list[tuple[Picture | None, str]] = [
            (query, f"query: {error.task}\n{_name(query)}"),
            (_entry(dataset.gallery, ranking.wrong), f"nearest wrong: {_score(ranking.wrong)}\n"),
            (
                _entry(dataset.gallery, right),
                f"right: rank {ranking.first_rank}, {_score(ranking.right)}\n"
                if ranking.right
                else "right: unusable\n",
            ),
        ]
        for axes, (picture, title) in zip(row, shown, strict=True):
            axes.set_axis_off()
            name = _name(picture) if picture is not None and picture is not query else ""
            axes.set_title(title + name, fontsize=7)
            pixels = None if picture is None else _thumbnail(picture, reveal)
            if pixels is None:
                axes.text(0.5, 0.5, "can't be shown", ha="center", va="center", transform=axes.transAxes)
            else:
                axes.imshow(pixels)
    note = "" if reveal else " (pictures blurred)"
    figure.suptitle(f"{evaluation.model.name} on {dataset.name}: worst errors{note}", fontsize=10, y=1 - 0.15 / height)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return len(errors)


def _a_right_one(evaluation: Evaluation, error: WorstError) -> int:
    task = next(task for task in evaluation.dataset.tasks if task.name == error.task)
    return int(task.truth.relevant(error.ranking.query)[0])


def _entry(gallery: Sequence[Picture], answer: tuple[int, float | None] | None) -> Picture | None:
    return None if answer is None else gallery[answer[0]]


def _score(answer: tuple[int, float] | None) -> str:
    return "none" if answer is None else f"{answer[1]:.3f}"


def _name(picture: Picture) -> str:
    path = Path(picture.path)
    text = readable(f"{path.parent.name}/{path.name}")
    # matplotlib takes text between dollar signs as mathematics.
    return textwrap.shorten(text, 44, placeholder="...").replace("$", r"\$") or text[-44:].replace("$", r"\$")


def _thumbnail(picture: Picture, reveal: bool) -> Pixels | None:
    try:
        pixels = load_pixels(picture, _SIDE_PX)
    except (OSError, EvidenceError):
        return None
    height, width = pixels.shape[:2]
    scale = _SIDE_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if not reveal:
        pixels = cv2.resize(pixels, (_BLURRED_PX, _BLURRED_PX), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _draw(axes: Any, lines: dict[str, tuple[np.ndarray, np.ndarray]], order: list[str]) -> None:
    for task in order[_NAMED:]:
        axes.plot(*lines[task], color="0.8", linewidth=0.8, label="_other")
    for number, task in enumerate(order[:_NAMED]):
        axes.plot(*lines[task], color=f"C{number}", marker="." if len(lines[task][0]) < 60 else None, label=task)
    if order:
        title = f"the worst {_NAMED} of {len(order)}" if len(order) > _NAMED else None
        axes.legend(fontsize=7, title=title, title_fontsize=7)


def _axes(evaluation: Evaluation) -> tuple[Any, Any]:
    figure = _figure((7.0, 4.5))
    axes = figure.subplots()
    axes.set_title(f"{evaluation.model.name} on {evaluation.dataset.name}", fontsize=10)
    axes.grid(alpha=0.3)
    return figure, axes


def _figure(size: tuple[float, float], layout: str | None = "constrained") -> Any:
    """A figure with its own canvas: pyplot, and with it any global state, is left alone."""
    agg = require("matplotlib.backends.backend_agg", "train")
    figure = require("matplotlib.figure", "train").Figure(figsize=size, layout=layout)
    agg.FigureCanvasAgg(figure)
    return figure
