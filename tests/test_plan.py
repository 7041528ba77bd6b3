"""The plan for many rows says what results hold, and names settings that a server has."""

import re

import pytest

from benchmarks import plan
from tests.conftest import ROOT

SCALE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_results():
    assert plan.with_tables(SCALE) == SCALE, "run: python -m benchmarks.plan"
    assert (len(list(plan.measured())) > 4, len(list(plan.plan()))) == (True, 9)


def test_more_rows_take_as_much_more():
    rows = {(row["rows"], row["kind"]): row for row in plan.plan()}
    for kind in plan.PER_ROW:
        small, large = rows[10_000_000, kind], rows[1_000_000_000, kind]
        assert large["memory_gb"] == pytest.approx(100 * small["memory_gb"], rel=0.02)
        assert large["query_nodes"] * plan.NODE_GB * plan.SHARE >= large["memory_gb"]


def test_the_operators_settings_are_those_of_the_server():
    yaml = pytest.importorskip("yaml", reason="yaml is not installed: pip install 'imgmatch[cluster]'")
    milvus = pytest.importorskip("milvus", reason="no Milvus server: pip install milvus (Linux on x86_64 only)")
    from pathlib import Path

    template = (Path(milvus.__file__).parent / "data" / "config.yaml.template").read_text(encoding="utf-8")
    known = yaml.safe_load(re.sub(r"{{\s*\w+(\(\w+\))?(:\s*([^}]*?))?\s*}}", r"\3", template))
    blocks = re.findall(r"^```\n(.*?)^```", SCALE, re.DOTALL | re.MULTILINE)
    (own,) = [yaml.safe_load(block) for block in blocks if block.startswith("common:")]
    (values,) = [yaml.safe_load(block) for block in blocks if block.startswith("cluster:")]

    def unknown(wanted, there, at=""):
        for name, value in wanted.items():
            if name not in there:
                yield f"{at}{name}"
            elif isinstance(value, dict):
                yield from unknown(value, there[name], f"{at}{name}.")

    assert list(unknown(own, known)) == []
    assert list(unknown(yaml.safe_load(values["extraConfigFiles"]["user.yaml"]), known)) == []
    assert list(unknown({"dataCoord": {"segment": {"maxSiz": 1}}}, known)) == ["dataCoord.segment.maxSiz"]
