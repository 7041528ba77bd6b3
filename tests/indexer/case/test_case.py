import sqlite3
import stat

import pytest

from imgmatch.errors import CaseError
from indexer.case.case import AUDIT, CATALOGUE, Case


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
