import sqlite3
import stat
import subprocess
import sys

import pytest

from imgmatch.errors import CaseError
from indexer.case.case import AUDIT, CATALOGUE, Case
from tests.conftest import ROOT
from tests.indexer.vectors import SPEC


@pytest.mark.claim("U13")
def test_a_case_is_for_its_owner_only_and_says_what_it_is(tmp_path, embedder):
    about = {"purpose": "test", "authority": "", "examiner": "A. N. Other"}
    with Case.create(tmp_path / "case", model=embedder.spec, about=about) as case:
        meta = case.catalogue.meta.all()
        assert meta["purpose"] == "test"
        assert meta["examiner"] == "A. N. Other"
        assert "authority" not in meta
        assert case.default_model == embedder.spec
    assert stat.S_IMODE((tmp_path / "case").stat().st_mode) == 0o700
    assert (tmp_path / "case" / AUDIT).read_text().count('"init"') == 1


def test_a_folder_that_holds_something_is_left_alone(tmp_path, embedder):
    (tmp_path / "note.txt").write_text("keep")
    with pytest.raises(CaseError, match="not empty"):
        Case.create(tmp_path, model=embedder.spec)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_what_is_no_case_is_named_with_what_to_do(tmp_path):
    with pytest.raises(CaseError, match="no such folder; make one with: imgmatch init"):
        Case.open(tmp_path / "nowhere")
    with pytest.raises(CaseError, match="not a case"):
        Case.open(tmp_path)


def test_a_damaged_catalogue_is_named(case):
    path = case.path / CATALOGUE
    case.close()
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(CaseError, match=r"catalogue\.sqlite: damaged catalogue"):
        Case.open(case.path)


def test_a_case_of_a_newer_version_is_refused(case):
    case.close()
    with sqlite3.connect(case.path / CATALOGUE) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(CaseError, match="newer imgmatch"):
        Case.open(case.path)


def test_there_is_one_writer_at_a_time(case):
    with case.writing(), Case.open(case.path) as second:
        with pytest.raises(CaseError, match="another imgmatch is writing"), second.writing():
            pass
        assert second.catalogue.counts()["items"] == 0  # reading goes on


def test_vectors_of_other_weights_are_not_mixed(case, embedder):
    import dataclasses

    other = dataclasses.replace(embedder.spec, weights_sha256="0" * 64)
    with pytest.raises(CaseError, match="other weights"):
        case.add_shelf(other)


FULL = """
import os, resource, signal, sys
from indexer.case.case import Case
from imgmatch.errors import CaseError
from tests.indexer.vectors import SPEC
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for size in (0, 100, 5000, 40_000, 120_000, 200_000, 260_000, 300_000, 400_000, 600_000):
    place = f"{sys.argv[1]}/{size}"
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        Case.create(place, model=SPEC, about={"purpose": "full"}).close()
        made = True
    except CaseError as error:
        made = False
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if not made and not os.path.exists(f"{place}/catalogue.sqlite"):
        assert not os.path.exists(place), (size, os.listdir(place))
        Case.create(place, model=SPEC).close()
    with Case.open(place) as case:
        assert case.log.verify().faults == [], size
        assert case.catalogue.integrity() == [], size
    print(size, made)
"""


@pytest.mark.claim("U7")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the size of files as Linux does")
def test_a_case_begun_on_a_full_disk_is_a_whole_one_or_none(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {line.split()[1] for line in done.stdout.splitlines()} == {"True", "False"}


def test_what_an_init_that_was_killed_has_left_is_taken_away_and_nothing_else(tmp_path):
    (tmp_path / "begun" / "segments").mkdir(parents=True)
    for name in ("catalogue.sqlite.new", "catalogue.sqlite.new-wal", "audit.jsonl"):
        (tmp_path / "begun" / name).write_bytes(b"torn")
    Case.create(tmp_path / "begun", model=SPEC).close()
    for name in ("audit.jsonl", "picture.jpg"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_bytes(b"there")
        with pytest.raises(CaseError, match="not empty"):
            Case.create(tmp_path / name, model=SPEC)
        assert (tmp_path / name / name).read_bytes() == b"there"
