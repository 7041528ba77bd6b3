"""What an evaluation measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from imgmatch.lab.evaluation.dataset import Dataset
from imgmatch.lab.evaluation.ranking import Ranking
from imgmatch.types import ModelSpec


@dataclass(frozen=True, slots=True)
class Unusable:
    """A picture that could not be read: in which part of the data set (gallery, queries, background), and why."""

    part: str
    path: str
    fault: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured. ``tables`` has the measures of each task; ``rankings`` the fate of each of its queries.

    ``unusable`` lists the pictures that are missing or broken: as queries they count as misses, in the gallery as right
    answers that were not found.
    """

    dataset: Dataset
    model: ModelSpec
    runtime: str
    tables: dict[str, dict[str, float]]
    rankings: dict[str, list[Ranking]] = field(repr=False)
    unusable: list[Unusable] = field(repr=False)
    elapsed_s: float

    @property
    def figures(self) -> dict[str, float]:
        """All measures by "task measure", with the counts of pictures, as one flat record."""
        measured = {f"{task} {name}": value for task, table in self.tables.items() for name, value in table.items()}
        return {**self.counts, **measured}

    @property
    def counts(self) -> dict[str, int]:
        """Pictures in each part, and how many of all could not be used."""
        found = {
            "gallery": len(self.dataset.gallery),
            "queries": len(self.dataset.queries),
            "unusable": len(self.unusable),
        }
        return {**found, "background": len(self.dataset.background)} if self.dataset.background else found

    def record(self) -> dict[str, Any]:
        """All figures and what they were measured with, fit for JSON."""
        return {
            "dataset": self.dataset.name,
            "protocol": self.dataset.protocol,
            "model": self.model.name,
            "weights_sha256": self.model.weights_sha256,
            "runtime": self.runtime,
            "counts": self.counts,
            "figures": self.tables,
            "elapsed_s": round(self.elapsed_s, 1),
        }
