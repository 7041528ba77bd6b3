"""Every promise in docs/threats.md names a test that exists."""

import ast
import re

from tests.conftest import ROOT


def test_each_promise_names_a_test_that_exists():
    text = (ROOT / "docs" / "threats.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(rows) > 70
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)
        assert named, f"no test: {row}"
        for file, test in named:
            functions = (node for node in ast.walk(ast.parse((ROOT / file).read_text())) if hasattr(node, "name"))
            assert test in {node.name for node in functions}, f"{file} has no {test}"


def test_the_readme_promises_nothing_but_what_is_listed():
    holds = (ROOT / "README.md").read_text().split("## What it does with your material")[1].split("\n## ")[0]
    assert "[threats](docs/threats.md)" in holds
