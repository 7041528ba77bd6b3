"""What ``from imgmatch import ...`` and ``from indexer import ...`` promise."""

import os
import re
import subprocess
import sys

import imgmatch
import indexer
from tests.conftest import ROOT, encode, textured


def test_every_name_that_is_promised_is_there_and_documented():
    for package in (imgmatch, indexer):
        for name in package.__all__:
            promised = getattr(package, name)
            assert name == "__version__" or promised.__doc__
        assert set(package.__all__) == set(package._HOMES)


def test_importing_the_packages_loads_nothing_heavy():
    code = "import sys, imgmatch, indexer; print([m for m in ('numpy', 'faiss', 'sqlite3', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_the_example_in_the_readme_runs(tmp_path):
    example = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)[1]
    assert len([line for line in example.splitlines() if line.strip()]) <= 12
    (tmp_path / "photographs").mkdir()
    for seed in range(3):
        (tmp_path / f"photographs/{seed}.jpg").write_bytes(encode(textured(seed), "JPEG"))
    (tmp_path / "query.jpg").write_bytes(encode(textured(1).crop((20, 10, 300, 220)), "JPEG"))
    done = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, text=True, cwd=tmp_path, timeout=300, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    first = done.stdout.splitlines()[0].split()
    assert first[0] == "1"
    assert first[-1].endswith("photographs/1.jpg")
