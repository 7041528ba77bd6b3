"""A model measured on a data set: embed, rank, measure, write down."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imgmatch.errors import UsageError
from imgmatch.lab.evaluation.dataset import Dataset, Picture, batches, with_distractors
from imgmatch.lab.evaluation.datasets import DATASETS, load_dataset
from imgmatch.lab.evaluation.datasets.places import read_distractors
from imgmatch.lab.evaluation.measures import MEASURES
from imgmatch.lab.evaluation.output import check_output, write_output
from imgmatch.lab.evaluation.ranking import Ranking, block_size, rank_block
from imgmatch.lab.evaluation.result import Evaluation, Unusable
from imgmatch.lab.evaluation.vectors import embed_pictures, empty_vectors
from imgmatch.models import load_model

if TYPE_CHECKING:
    import numpy.typing as npt

    from imgmatch.lab.evaluation.vectors import Progress
    from imgmatch.models.base import Embedder


def run_evaluation(
    model_name: str,
    dataset_name: str,
    path: Path,
    output: Path | None = None,
    *,
    reveal: bool = False,
    distractors: Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a model, by name, on a data set, by name, that lies in the folder ``path`` as it was published.

    ``output``: a folder for figures.json, figures.txt, ranks.csv, unusable.csv and plots, in which pictures are blurred
    unless ``reveal``. ``distractors``: a folder of pictures to add to the gallery, right for no query. ``progress`` is
    called with a part's name, how many are done and how many there are.

    Raises UsageError when the data set is not as published or nothing in it can be read, ModelError, and ImgmatchError
    when ``output`` is given and matplotlib is not installed.
    """
    if output is not None:
        check_output(output)  # before an hour's work, not after it
    dataset = load_dataset(dataset_name, path)
    if distractors is not None:
        dataset = with_distractors(dataset, read_distractors(distractors))
    evaluation = evaluate(load_model(model_name), dataset, progress=progress)
    if output is not None:
        write_output(evaluation, output, reveal=reveal)
    return evaluation


def evaluate(
    embedder: Embedder, dataset: Dataset, *, threads: int | None = None, progress: Progress | None = None
) -> Evaluation:
    """Embed a data set's pictures and measure each of its tasks.

    Gallery vectors are kept as float16, as a case keeps them, and those of queries as float32; pictures are decoded as
    an ingest decodes them. Memory does not grow with the size of the data set beyond its list of files and the answers
    kept of each query. Raises UsageError when no query or no gallery picture can be read.
    """
    started = time.monotonic()
    unusable: list[Unusable] = []

    def embed(
        part: str, pictures: Sequence[Picture], kind: type[np.floating] = np.float16
    ) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.bool_]]:
        vectors = empty_vectors(len(pictures), embedder.spec.dim, kind)
        faults = embed_pictures(embedder, pictures, vectors, part=part, progress=progress, threads=threads)
        unusable.extend(Unusable(part, pictures[number].path, fault) for number, fault in faults)
        good = np.ones(len(pictures), np.bool_)
        good[[number for number, _ in faults]] = False
        if pictures and not good.any():
            first, source = unusable[-len(faults)], DATASETS.get(dataset.name)
            hint = f"; {source.title} must hold {source.layout}: {source.how_to_get}" if source else ""
            raise UsageError(f"{first.path}: {first.fault}, and so are all {len(faults)} pictures of the {part}{hint}")
        return vectors, good

    gallery, gallery_good = embed("gallery", dataset.gallery)
    known = _known(dataset)
    fresh = np.flatnonzero(known < 0)
    if fresh.size:
        vectors, good = embed("queries", [dataset.queries[int(number)] for number in fresh], np.float32)
    else:
        vectors, good = gallery[:0], gallery_good[:0]
    where = np.empty(len(dataset.queries), np.int64)
    where[fresh] = np.arange(fresh.size)
    background, background_good = embed("background", dataset.background)
    background = background[background_good]
    asked = [(task, frozenset(task.queries.tolist())) for task in dataset.tasks]
    rankings: dict[str, list[Ranking]] = {task.name: [] for task in dataset.tasks}
    for part in batches(len(dataset.queries), block_size(len(gallery))):
        old, new = known[part], where[part]
        taken = old >= 0
        block = np.empty((len(old), embedder.spec.dim), np.float32)
        usable = np.empty(len(old), np.bool_)
        block[taken], usable[taken] = gallery[old[taken]], gallery_good[old[taken]]
        block[~taken], usable[~taken] = vectors[new[~taken]], good[new[~taken]]
        for task, ranking in rank_block(block, usable, gallery, gallery_good, background, part.start, asked):
            rankings[task.name].append(ranking)
        if progress is not None:
            progress("ranking", part.stop, len(dataset.queries))
    tables = {
        task.name: {"queries": len(rankings[task.name])}
        | {measure: MEASURES[measure](rankings[task.name]) for measure in task.measures}
        for task in dataset.tasks
    }
    return Evaluation(dataset, embedder.spec, embedder.runtime, tables, rankings, unusable, time.monotonic() - started)


def _known(dataset: Dataset) -> npt.NDArray[np.int64]:
    """Gallery number of each query that is a picture of the gallery, unaltered; -1 for the others."""
    asked: dict[Picture, list[int]] = {}
    for number, picture in enumerate(dataset.queries):
        asked.setdefault(picture, []).append(number)
    found = np.full(len(dataset.queries), -1, np.int64)
    for number, picture in enumerate(dataset.gallery):
        for query in asked.get(picture, ()):
            found[query] = number
    return found
