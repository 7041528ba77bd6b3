"""Exchange files that no program writes: one line that names the file, in little memory."""

import tracemalloc

import pytest

from benchmarks import attack_files
from imgmatch.errors import UsageError
from indexer.intake.known.formats import entries, recognise
from indexer.intake.labels import UnusedRow, read_labels
from indexer.intake.manifests import read_manifest
from indexer.out.exchange.unpack import open_pack
from indexer.out.exchange.vics_file import VicsFile

pytest.importorskip("ijson", reason="needs the extra exchange (ijson)")
# As they are, but for those of half a gigabyte.
VICS = {
    name: (before, filling, min(times, 24 << 20), after) for name, before, filling, times, after in attack_files._vics()
}


def within(most_bytes, work):
    """What is raised, or comes of it."""
    tracemalloc.start()
    try:
        return work()
    except UsageError as error:
        return error
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < most_bytes


@pytest.mark.parametrize("reader", ["import", "known"])
@pytest.mark.parametrize("name", [name for name in VICS if "empty lists" not in name and "fields" not in name])
def test_a_vics_file_that_no_program_writes_is_refused(tmp_path, name, reader):
    path = tmp_path / "a.json"
    attack_files._around(*VICS[name])(path)
    if reader == "import":
        error = within(96 << 20, lambda: list(VicsFile(path)))
    else:
        error = within(96 << 20, lambda: list(entries(path, recognise(path))))
    assert isinstance(error, UsageError)
    assert str(path) in str(error)
    assert "\n" not in str(error)


def test_rows_of_manifests_and_labels_are_bounded(tmp_path):
    path = tmp_path / "m.jsonl"
    deep = '{"file": "a.jpg", "x": ' + "[" * 200_000 + "\n"
    path.write_text(deep + '{"file": "a.jpg", "x": ' + "9" * 5_000 + "}\n" + '{"file": "b.jpg"}\n')
    rows = within(16 << 20, lambda: list(read_manifest(path)))
    assert [isinstance(row, UnusedRow) for row in rows] == [True, True, False]
    for name, head, read in (("m.csv", "file,a\n", read_manifest), ("l.csv", "file,label\n", read_labels)):
        path = tmp_path / name
        attack_files._line(head.encode() + b"a.jpg,", 48 << 20)(path)
        told = within(16 << 20, lambda path=path, read=read: list(read(path)))
        assert isinstance(told, UsageError) or isinstance(told[0], UnusedRow)


def test_a_pack_of_very_many_members_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(attack_files, "_BLOCK", 1 << 20)
    path = tmp_path / "a.pack"
    attack_files._pack(b"{}", 600_000)(path)

    def opened():
        with open_pack(path, None):
            pass

    assert "directory" in str(within(8 << 20, opened))
