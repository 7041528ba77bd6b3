"""Every kind of evidence, whole and damaged, through the command: what the documentation says comes out of it does."""

import re

import pytest

from benchmarks import evidence


@pytest.mark.slow
def test_the_table_of_the_documentation_is_what_comes_out(tmp_path):
    outcomes, faults = evidence.run(tmp_path)
    assert not faults
    assert len(outcomes) > 100
    written = {}
    for line in evidence.written_table().splitlines():
        group = re.match(r"\| ([a-z, ]+) \| whole ", line)
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if group:
            head = cells
        elif len(cells) > 1 and not line.startswith("|---"):
            written |= {(head[0], cells[0], fault): cell for fault, cell in zip(head[1:], cells[1:], strict=True)}
    for outcome in outcomes:
        assert written[outcome.group, outcome.name, outcome.fault] == outcome.cell, outcome
