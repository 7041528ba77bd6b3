"""The wheel alone, with what it requires and nothing else: the main job works; what needs more says so."""

import importlib.metadata
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cli.completion import PLACES

pytest.importorskip("hatchling", reason="hatchling is not installed: pip install 'imgmatch[dev]'")
ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def required(wheel_requires):
    """Every distribution that these requirements bring, by name."""
    found, waiting = {}, list(wheel_requires)
    while waiting:
        one = Requirement(waiting.pop())
        name = canonicalize_name(one.name)
        if name not in found and (one.marker is None or one.marker.evaluate({"extra": ""})):
            found[name] = importlib.metadata.distribution(one.name)
            waiting += found[name].requires or ()
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The Python of an environment that holds the wheel and what it requires: links to what is installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    built = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "dist"]
    subprocess.run(built, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    asked = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    install = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-index", "--no-deps", wheel]
    subprocess.run(install, check=True, capture_output=True)
    (own,) = importlib.metadata.distributions(name="imgmatch", path=[str(site)])
    for distribution in required(own.requires or ()).values():
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(distribution.locate_file(top))
    return python


@pytest.fixture
def run(installed, tmp_path):
    def go(*words, code=0):
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        command = [installed.parent / "imgmatch", *map(str, words)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stderr

    return go


def test_manual_pages_and_completion_come_along(installed):
    for place in PLACES.values():
        assert "_IMGMATCH_COMPLETE" in (installed.parents[1] / place).read_text()
    made = installed.parents[1] / "share" / "man" / "man1"
    assert (made / "imgmatch.1").is_file()
    assert "--exclude".replace("-", "\\-") in (made / "imgmatch-ingest.1").read_text()


def test_the_wheel_brings_no_torch(installed):
    probe = "import importlib.util as u; print([n for n in ('torch', 'triton', 'timm', 'scipy') if u.find_spec(n)])"
    assert subprocess.run([installed, "-c", probe], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_the_main_job_runs(run, tmp_path):
    run("demo", "d")
    pictures = next(path for path in (tmp_path / "d").rglob("*.jpg")).parent
    run("init", "case")
    run("ingest", "case", pictures)
    query = next(pictures.glob("*.jpg"))
    assert query.name in run("search", "case", query)
    run("export", "case", query, "--format", "html", "-o", "report.html")
    assert (tmp_path / "report.html").exists()
    assert "right" in run("doctor", "case", "--format", "csv")
    page = run("review", "case", "--no-browser", "--most-hours", "0.01", "--idle-minutes", "0.01")
    assert "http://127." in page


@pytest.mark.parametrize(
    "words",
    [
        ("models", "train", ".", "-o", "x"),
        ("models", "download", "vgg11"),
        ("models", "add", "f.pth", "--timm", "a"),
    ],
)
def test_what_needs_torch_says_so_in_a_line(run, tmp_path, words):
    (tmp_path / "f.pth").write_bytes(b"")
    said = run(*words, code=1)
    assert "imgmatch[train]" in said
    assert said.count("\n") == 1


def test_doctor_names_what_is_missing(run):
    rows = run("doctor", "--format", "csv").splitlines()
    assert any(row.startswith("extra train,missing") and "torch" in row for row in rows)


def test_the_same_tree_gives_the_same_wheel_twice(tmp_path):
    for name in ("a", "b"):
        built = [sys.executable, "-m", "hatchling", "build", "-d", tmp_path / name]
        subprocess.run(built, cwd=ROOT, check=True, capture_output=True)
    first, second = ({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("a", "b"))
    assert len(first) == 2
    assert first == second
