"""Exchange files that no program writes: one line that names the file, in little memory."""

import subprocess
import sys
import tracemalloc

import pytest

from benchmarks import attack_files
from imgmatch.errors import UsageError
from indexer.intake.known.formats import entries, recognise
from indexer.intake.labels import UnusedRow, read_labels
from indexer.intake.manifests import read_manifest
from indexer.out.exchange.unpack import open_pack
from indexer.out.exchange.vics_file import VicsFile
from tests.conftest import ROOT

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


@pytest.mark.claim("X1")
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


@pytest.mark.parametrize("read", [read_labels, read_manifest])
def test_a_table_whose_first_line_has_no_end_is_refused_in_one_line(tmp_path, read):
    path = tmp_path / "t.csv"
    attack_files._line(b"file,label", 48 << 20)(path)
    error = within(16 << 20, lambda: list(read(path)))
    assert isinstance(error, UsageError)
    assert str(path) in str(error)
    assert "\n" not in str(error)


# In a process of its own: a parser in C ends it where it fails.
_MUTANTS = """
import json, pathlib, random, sys
from imgmatch.errors import UsageError
from indexer.intake.known.formats import entries, recognise
from indexer.out.exchange.vics_file import VicsFile
chance, path, ended = random.Random(int(sys.argv[2])), pathlib.Path(sys.argv[1]), 0
media = [{"MediaID": n, "MD5": f"{n:032x}", "Category": n % 5, "Comments": "\\u00e9\\ud83d\\ude00 \\u4e2d",
          "Tags": ["a", {"b": [1.5e3, None]}], "Exifs": [{"PropertyName": "Make", "PropertyValue": "x"}],
          "MediaFiles": [{"FileName": "a.jpg"}]} for n in range(12)]
whole = json.dumps({"@odata.context": "http://x/DataModels/2.0.xml/US/$metadata#Media", "value": media}).encode()
parts = [b"[" * 40, b"{\\"a\\":" * 40, b"9" * 5000, b"1e999", b"1e-999999999", b"0" * 200, b"\\\\ud800", b"\\\\u00",
         b"\\xff\\xfe", b"\\0", b"\\xef\\xbb\\xbf", b"\\xed\\xa0\\x80", b"18446744073709551616", b"NaN", b"true",
         b"-", b"\\"", b"\\\\", b"]", b"}", b",", b":", b""]
for _ in range(int(sys.argv[3])):
    data = bytearray(whole)
    for _ in range(chance.randrange(1, 6)):
        at, size = chance.randrange(len(data) + 1), chance.choice([0, 0, 1, 2, 40, 4000])
        copied = chance.randrange(len(whole))
        parts[-1] = chance.choice([bytes([chance.randrange(256)]), whole[copied:copied + size]])
        data[at:at + size] = chance.choice([chance.choice(parts), parts[-1]])
    path.write_bytes(data)
    for read in (lambda: list(VicsFile(path)), lambda: list(entries(path, recognise(path)))):
        try:
            read()
        except UsageError:
            ended += 1
print(ended)
"""


def test_no_mutant_of_a_vics_file_ends_the_process(tmp_path):
    command = [sys.executable, "-c", _MUTANTS, str(tmp_path / "a.json"), "1", "300"]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-2000:].decode()
    assert int(done.stdout) > 300


def test_a_pack_of_very_many_members_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(attack_files, "_BLOCK", 1 << 20)
    path = tmp_path / "a.pack"
    attack_files._pack(b"{}", 600_000)(path)

    def opened():
        with open_pack(path, None):
            pass

    assert "directory" in str(within(8 << 20, opened))
