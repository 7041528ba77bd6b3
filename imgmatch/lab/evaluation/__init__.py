"""Models measured on public data sets, read in the layout that they are published in, by their published protocols."""

from imgmatch.lab.evaluation.dataset import Dataset, Labels, LayoutError, Pairs, Picture, Task, with_distractors
from imgmatch.lab.evaluation.datasets import DATASETS, Source, load_dataset
from imgmatch.lab.evaluation.evaluate import evaluate, run_evaluation
from imgmatch.lab.evaluation.ranking import Ranking
from imgmatch.lab.evaluation.result import Evaluation, Unusable

__all__ = [
    "DATASETS",
    "Dataset",
    "Evaluation",
    "Labels",
    "LayoutError",
    "Pairs",
    "Picture",
    "Ranking",
    "Source",
    "Task",
    "Unusable",
    "evaluate",
    "load_dataset",
    "run_evaluation",
    "with_distractors",
]
