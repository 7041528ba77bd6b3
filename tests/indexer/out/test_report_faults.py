"""Reports when something is missing: one clear line, and never a half-written result under the final name."""

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest

from imgmatch.errors import UsageError
from indexer.intake.ingest import ingest
from indexer.out.report import ReportConfig, html, write_report
from indexer.search.request import SearchRequest
from indexer.search.searcher import Searcher
from tests.conftest import ROOT, run


@pytest.fixture
def searched(case, embedder, photographs):
    ingest(case, [photographs], embedder)
    return case, list(Searcher(case, embedder).search([photographs / "03.jpg"], SearchRequest(4))), embedder.spec


def one_line(done):
    assert done.returncode == 1, done
    said = done.stderr.decode()
    errors = [line for line in said.splitlines() if "too few to state" not in line]  # a note on a small case
    assert len(errors) == 1, said
    assert "Traceback" not in said
    return errors[0]


def test_an_empty_case(case, photographs, tmp_path):
    said = one_line(run("export", case.path, photographs / "01.jpg", "-o", tmp_path / "r"))
    assert "nothing to search yet" in said
    assert not (tmp_path / "r").exists()
    done = run("export", case.path, "-o", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    assert "0 unique pictures" in (tmp_path / "r" / "index.html").read_text()


def test_all_sources_gone(searched, photographs, tmp_path):
    case, results, spec = searched
    shutil.rmtree(photographs)
    page = write_report(case, results, spec, tmp_path / "r")
    # Of each lead both pictures, and in the appendix each item.
    assert page.read_text().count("the source is not at hand, or has changed") == 3 * len(results[0].matches)
    said = one_line(run("export", case.path, photographs / "01.jpg", "-o", tmp_path / "s"))
    assert str(photographs / "01.jpg") in said
    assert not (tmp_path / "s").exists()


def test_no_right_to_write(searched, tmp_path):
    case, results, spec = searched
    if os.geteuid() == 0:
        target = tmp_path / "file" / "r"
        target.parent.write_text("a file, no folder")  # root may write everywhere: the other way to have no right
    else:
        target = tmp_path / "locked" / "r"
        target.parent.mkdir(mode=0o500)
    with pytest.raises(UsageError, match="can't be written"):
        write_report(case, results, spec, target)
    one_line(run("export", case.path, "-o", target))


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from cli.main import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on file sizes")
@pytest.mark.parametrize("limit", [1, 1500, 6000])
def test_a_disk_that_fills_half_way(searched, tmp_path, limit, photographs):
    """A limit on the size of any file stands for it: the first, a later and the largest file fail to be written."""
    case, _, _ = searched
    log = case.path / "audit.jsonl"
    size = log.stat().st_size if log.stat().st_size > limit else 0
    command = ["export", case.path, photographs / "01.jpg", "-o", tmp_path / "r", "-k", 3]
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(limit), *map(str, command)], cwd=ROOT, capture_output=True, timeout=300
    )
    assert "internal error" not in one_line(done)
    assert not (tmp_path / "r").exists()
    assert not [name for name in os.listdir(tmp_path) if ".part" in name]
    assert log.stat().st_size >= size
    with case.use("after"):
        pass
    assert case.log.verify().faults == []


def test_a_page_that_cannot_be_written_leaves_nothing(searched, tmp_path, monkeypatch):
    case, results, spec = searched
    before = sorted(os.listdir(tmp_path))
    real = html._render

    def torn(*arguments):
        yield next(iter(real(*arguments)))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(html, "_render", torn)
    with pytest.raises(UsageError, match="No space left on device"):
        write_report(case, results, spec, tmp_path / "r", ReportConfig(reveal=True))
    assert sorted(os.listdir(tmp_path)) == before
    written = [json.loads(line)["action"] for line in case.log.path.read_text().splitlines()]
    assert "report" in written
    assert "report_written" not in written
