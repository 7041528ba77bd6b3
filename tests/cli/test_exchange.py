"""Import, export and linking with a pack as a user runs them."""

import hashlib
import json
import os
import stat

import pytest

from tests.conftest import encode, picture, run, run_json, snapshot

# Each command is a process of its own.
pytestmark = pytest.mark.slow

CONTEXT = "http://github.com/ICMEC/ProjectVic/DataModels/1.3.xml#Media"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exchange")
    for name, seeds in (("one", range(6)), ("two", range(4, 9))):
        (folder / f"{name}-in").mkdir()
        for seed in seeds:
            (folder / f"{name}-in" / f"{seed}.jpg").write_bytes(encode(picture(seed), "JPEG", quality=90))
        assert run("init", folder / name).returncode == 0
        done = run("ingest", folder / name, folder / f"{name}-in")
        assert done.returncode == 0, done.stderr
    return folder


def known(folder, name, count, broken=False):
    md5 = hashlib.md5((folder / "one-in" / "0.jpg").read_bytes()).hexdigest().upper()
    records = [{"MediaID": 1, "MD5": md5, "Category": 1, "Series": "Blue"}]
    records += [{"MediaID": n, "MD5": f"{n:032X}", "Category": 2} for n in range(2, count + 1)]
    text = json.dumps({"odata.metadata": CONTEXT, "value": records}, indent=1)
    (folder / name).write_text(text[: len(text) // 2] if broken else text)
    return folder / name


def test_a_known_picture_says_so_in_a_search_and_can_be_filtered_by(folder):
    file = known(folder, "known.json", 50)
    before = file.read_bytes()
    done = run("import", folder / "one", file, "--format", "vics", "--print", "json")
    assert done.returncode == 0, done.stderr
    assert file.read_bytes() == before
    assert {name: json.loads(done.stdout)[name] for name in ("version", "media", "items", "faults")} == {
        "version": "1.3",
        "media": 50,
        "items": 1,
        "faults": 0,
    }
    first = run_json("search", folder / "one", folder / "one-in" / "0.jpg")["matches"][0]
    assert first["labels"]["vics_category"] == ["1"]
    assert "known to Project VIC: category 1, series Blue" in first["reasons"]
    found = run_json("search", folder / "one", folder / "one-in" / "3.jpg", "--label", "vics_category=1")
    assert [match["item_id"] for match in found["matches"]] == [first["item_id"]]


@pytest.mark.claim("X3")
def test_a_broken_file_is_one_line_and_changes_nothing(folder):
    file = known(folder, "broken.json", 40, broken=True)
    before = run_json("status", folder / "two")
    done = run("import", folder / "two", file)
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert "broken.json, line " in line
    assert run_json("status", folder / "two")["labelled_items"] == before["labelled_items"]


def test_every_format_is_written_once_and_only_for_its_owner(folder):
    for format in ("case-uco", "csv"):
        target = folder / f"out-{format}"
        done = run("export", folder / "two", "--format", format, "-o", target)
        assert done.returncode == 0, done.stderr
        assert stat.S_IMODE(target.stat().st_mode) & 0o077 == 0
        before = snapshot(target) if target.is_dir() else target.read_bytes()
        again = run("export", folder / "two", "--format", format, "-o", target)
        assert again.returncode == 1
        assert b"exists already" in again.stderr
        assert (snapshot(target) if target.is_dir() else target.read_bytes()) == before
    assert [path for path in folder.iterdir() if path.name.endswith(".part")] == []


def test_a_pack_links_without_its_case(folder):
    assert run("export", folder / "two", "--format", "pack", "-o", folder / "two.pack").returncode == 0
    with_case = run_json("link", folder / "one", folder / "two", "--least", "0.99")
    with_pack = run_json("link", folder / "one", folder / "two.pack", "--least", "0.99")
    assert len(with_case) >= 2
    assert [{**row, "other_path": "", "other_place": f"pack: {row['other_sha256']}"} for row in with_case] == with_pack
    entry = json.loads((folder / "one" / "audit.jsonl").read_text().splitlines()[-1])
    assert (entry["action"], len(entry["subject"]["pack_sha256"])) == ("link", 64)
    done = run("link", folder / "one", folder / "one-in" / "0.jpg")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_options_of_another_format_are_refused(folder):
    for arguments, message in (
        (("--format", "vics", "--thumbnails"), b"--thumbnails is for --format pack"),
        (("--format", "csv", "--table", "matches"), b"name the pictures to search with"),
        (("--format", "vics", "--data-model", "9"), b"'9' is no version"),
    ):
        done = run("export", folder / "one", *arguments, "-o", folder / "no")
        assert done.returncode == 1
        assert message in done.stderr
    assert not (folder / "no").exists()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="rights bind everybody but root")
def test_no_right_to_write_is_one_error(folder):
    (folder / "closed").mkdir(mode=0o500)
    done = run("export", folder / "one", "--format", "vics", "-o", folder / "closed" / "x.json")
    assert done.returncode == 1
    assert b"can't be written (Permission denied)" in done.stderr
