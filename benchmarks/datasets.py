"""A model on a public data set that lies on this machine: the figures of ``imgmatch models evaluate``, as a benchmark.

python -m benchmarks.datasets MODEL --dataset NAME PATH [--distractors FOLDER] [--output DIR] [--json FILE]
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import report
from imgmatch.errors import ImgmatchError
from imgmatch.lab.evaluation import DATASETS, run_evaluation


def main() -> None:
    """Measure and report."""
    parser = report.parser("A model on a public data set")
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--dataset", required=True, metavar="NAME", help=f"one of {', '.join(DATASETS)}")
    parser.add_argument("path", metavar="PATH", type=Path, help="the data set's folder, as published")
    parser.add_argument("--distractors", type=Path, metavar="FOLDER", help="pictures to add to the gallery")
    parser.add_argument("--output", type=Path, metavar="DIR", help="also write tables and plots there")
    arguments = parser.parse_args()
    try:
        evaluation = run_evaluation(
            arguments.model, arguments.dataset, arguments.path, arguments.output, distractors=arguments.distractors
        )
    except ImgmatchError as error:
        sys.exit(str(error))
    columns = list(dict.fromkeys(name for table in evaluation.tables.values() for name in table))
    rows = [[task, *(table.get(name, "") for name in columns)] for task, table in evaluation.tables.items()]
    report.table(f"{evaluation.model.name} on {DATASETS[arguments.dataset].title}", ["task", *columns], rows)
    report.finish("datasets", evaluation.record(), arguments.json)


if __name__ == "__main__":
    main()
