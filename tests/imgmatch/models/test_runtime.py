"""ONNX Runtime writes nothing and asks nobody when imgmatch loads it."""

import os
import subprocess
import sys

from tests.conftest import ROOT


def test_loading_a_model_leaves_no_trace_in_home_or_temporary_folder(tmp_path):
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.mkdir()
    scratch.mkdir()
    environment = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home), "TMPDIR": str(scratch)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    script = "from imgmatch.models import load_model; load_model(device='cpu', threads=1)"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, check=True, timeout=120)
    assert list(home.rglob("*")) == []
    assert list(scratch.rglob("*")) == []
