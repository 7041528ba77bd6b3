"""Where results go and what they look like: by the name of the file, on a narrow terminal, for many queries."""

import csv
import io
import json
import os
import pty
import shlex
import subprocess
import sys

import pytest
from PIL import Image, ImageDraw

from cli.render.table import shortened, text_table
from imgmatch.errors import UsageError
from tests.conftest import ROOT, encode, run, run_json, textured
from tests.test_recorded import commands, invoke


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("output")
    deep = made / "pictures of the telephone" / "DCIM and more" / "100APPLE"
    deep.mkdir(parents=True)
    for number in range(3):
        (deep / f"IMG_{number:04}.JPG").write_bytes(encode(textured(number), "JPEG"))
    (made / "labels.csv").write_text(
        "file,label\n"
        + "".join(f"pictures of the telephone/DCIM and more/100APPLE/IMG_{n:04}.JPG,Hotel {n}\n" for n in range(3))
    )
    (made / "q0.jpg").write_bytes(encode(textured(0), "JPEG", quality=60))
    (made / "q1.jpg").write_bytes(encode(textured(1), "JPEG", quality=60))
    assert run("init", made / "case").returncode == 0
    assert run("ingest", made / "case", deep, "--labels", made / "labels.csv").returncode == 0
    return made


def test_a_file_is_written_as_its_name_says(folder):
    assert run("decide", folder / "case", folder / "q0.jpg", "1", "confirmed").returncode == 0
    for name in ("a.csv", "a.json", "a.JSONL", "a.txt"):
        assert run("search", folder / "case", folder / "q0.jpg", "-o", folder / name).returncode == 0
    first = next(csv.DictReader(io.StringIO((folder / "a.csv").read_text())))
    assert (first["verified"], first["decision"], int(first["inliers"]) > 8) == ("True", "confirmed", True)
    for name in ("a.json", "a.JSONL"):
        assert json.loads((folder / name).read_text())["matches"][0]["decision"] == "confirmed"
    assert "3 leads, by" in (folder / "a.txt").read_text()
    assert run("status", folder / "case", "-o", folder / "s.json").returncode == 0
    assert json.loads((folder / "s.json").read_text())["items"] == 3
    assert run("status", folder / "case", "-o", folder / "t.json", "--format", "csv").returncode == 0
    assert (folder / "t.json").read_text().startswith("case,")


@pytest.mark.parametrize("command", [["search", "--report"], ["export", "-o"]])
def test_an_output_that_exists_is_refused_before_the_search(folder, command):
    there = folder / "there"
    there.mkdir(exist_ok=True)
    (there / "mine.txt").write_text("mine")
    before = (folder / "case" / "audit.jsonl").stat().st_size if (folder / "case" / "audit.jsonl").exists() else None
    done = run(command[0], folder / "case", folder / "q0.jpg", command[1], there)
    assert done.returncode == 1
    assert b"exists already" in done.stderr
    assert done.stdout == b""
    if before is not None:
        assert (folder / "case" / "audit.jsonl").stat().st_size == before


OTHERWISE = {
    "explain": "{case} {query} 1",
    "export": "{case} {query}",
    "audit statement": "{case} 1",
    "audit export": "{case}",
    "models quantise": "imgmatch-rooms {query}",
    "models evaluate": "imgmatch-rooms {query} --dataset inria-holidays",
}
"""Commands whose -o is not that of all others, and how they are called."""
GOES_ON = {"models train", "deliver"}
"""A run that goes on in its folder; one that puts a new folder into it."""


def test_no_output_of_any_command_replaces_what_is_there(folder, tmp_path):
    writes = {
        name: next(one for one in command.params if "-o" in one.opts)
        for name, command in commands()
        if any("-o" in one.opts for one in command.params)
    }
    assert len(writes) > 40
    for name, option in writes.items():
        own = option.callback is None
        assert own == (name in {*OTHERWISE, *GOES_ON}), f"{name}: its -o is to be OutputOpt, or tried here"
    there = tmp_path / "there.png"
    for name, rest in {**OTHERWISE, "search": "{case} {query}", "overview": "{case}"}.items():
        there.write_text("mine")
        words = rest.format(case=folder / "case", query=folder / "q0.jpg").split()
        refused = invoke(*name.split(), *words, "-o", there).exception
        assert isinstance(refused, UsageError), name
        assert "exists already" in str(refused), name
        assert there.read_text() == "mine", name
    picture = (folder / "q0.jpg").read_bytes()
    assert run("explain", folder / "case", folder / "q0.jpg", 1, "-o", folder / "q0.jpg").returncode == 1
    assert (folder / "q0.jpg").read_bytes() == picture, "evidence was written over"


def test_labels_say_what_is_verified_and_sets_name_all_queries(folder):
    done = run("search", folder / "case", folder / "q0.jpg", folder / "q1.jpg", "--together", "--by", "label")
    table = done.stdout.decode()
    name, head, *_ = table.splitlines()
    assert name == f"{folder / 'q0.jpg'}; {folder / 'q1.jpg'}   by label"
    assert {"rank", "label", "strength", "score"} <= set(head.split())
    assert "query" not in head.split()
    assert table.count("q0.jpg") == 1, "the query stands once, above its labels"
    assert "geometry agrees, " in table


def test_many_queries_end_with_an_overview(folder):
    (folder / "broken.jpg").write_bytes(b"no picture")
    table = run("search", folder / "case", folder / "q0.jpg", folder / "q1.jpg", folder / "broken.jpg").stdout.decode()
    overview = table[table.index("3 queries, the best match of each") :]
    assert "Hotel 0" in overview
    assert "Hotel 1" in overview
    assert "not searched" in overview
    assert "the best match of each" not in run("search", folder / "case", folder / "q0.jpg").stdout.decode()


def test_what_is_not_in_the_case_is_said_to_be_nothing_convincing_in_every_format(folder, tmp_path):
    """The nearest are listed all the same, each in words; none is called a lead."""
    absent = tmp_path / "absent.jpg"
    room = Image.new("RGB", (400, 300), (200, 180, 150))
    pen = ImageDraw.Draw(room)
    pen.polygon([(0, 300), (130, 190), (270, 190), (400, 300)], fill=(120, 80, 50))
    pen.rectangle((150, 60, 250, 140), fill=(150, 200, 250), outline=(255, 255, 255), width=6)
    pen.rectangle((40, 170, 120, 260), fill=(90, 20, 30))
    absent.write_bytes(encode(room, "JPEG"))
    found = run_json("search", folder / "case", absent)
    assert (found["answer"], found["leads"]) == ("nothing convincing found", 0)
    assert {(match["strength"], match["level"]) for match in found["matches"]} == {("nothing convincing", "nothing")}
    assert found["matches"]
    rows = list(csv.DictReader(io.StringIO(run("search", folder / "case", absent, "--format", "csv").stdout.decode())))
    assert {(row["answer"], row["strength"]) for row in rows} == {("nothing convincing found", "nothing convincing")}
    table = run("search", folder / "case", absent, folder / "q0.jpg").stdout.decode()
    head, overview = table.splitlines()[0], table[table.index("2 queries, the best match of each") :]
    assert "nothing convincing found" in head
    assert "lead" not in head
    assert "nothing convincing found" in overview
    assert "geometry agrees, " in overview


def test_a_query_without_a_match_has_its_row(folder, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    done = run("search", folder / "case", tmp_path / "broken.jpg", folder / "q0.jpg", "--format", "csv")
    first, *rest = csv.DictReader(io.StringIO(done.stdout.decode()))
    assert (first["answer"], first["rank"]) == ("not searched", "")
    assert rest[0]["answer"] == "3 leads"


def test_explain_says_what_the_search_said_of_the_same_part(folder, tmp_path):
    asked = (folder / "q0.jpg", "--box", "10,10,200,150", "--ignore-box", "20,20,40,40", "--format", "json")
    first, *_ = run_json("search", folder / "case", *asked[:-2])["matches"]
    done = run("explain", folder / "case", asked[0], first["item_id"], "-o", tmp_path / "why.png", *asked[1:])
    told = json.loads(done.stdout)
    for name in ("score", "strength", "level", "verified", "false_match"):
        assert told[name] == (first["verification"]["verified"] if name == "verified" else first[name])
    assert told["query_region_px"] == first["candidates"][0]["query_region_px"] == [10, 10, 200, 150]


def on_terminal(columns, *arguments):
    """What a command shows on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "dumb"}
    command = [sys.executable, "-m", "cli.main", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=theirs, stderr=subprocess.DEVNULL, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while block := os.read(ours, 1 << 16):
            shown += block
    except OSError:
        pass  # its end is closed
    process.wait()
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [80, 100])
def test_a_narrow_terminal_never_breaks_a_name(folder, columns):
    shown = on_terminal(columns, "search", folder / "case", folder / "q0.jpg", "-k", "3")
    for number in range(3):
        assert f"IMG_{number:04}.JPG" in shown
    assert "…/" in shown
    assert max(map(len, shown.splitlines())) <= columns


@pytest.mark.parametrize(
    ("path", "most", "expected"),
    [
        ("/a/b.jpg", 20, "/a/b.jpg"),
        ("/media/phone/DCIM/IMG_0012.JPG", 22, "…/DCIM/IMG_0012.JPG"),
        ("/media/phone/DCIM/IMG_0012.JPG (+12 more)", 32, "…/DCIM/IMG_0012.JPG (+12 more)"),
        ("/media/phone/DCIM/IMG_0012.JPG", 4, "…/IMG_0012.JPG"),
        ("C:\\phone\\DCIM\\IMG_0012.JPG", 22, "…\\DCIM\\IMG_0012.JPG"),
        ("/e/disk.E01 > partition 2 > /DCIM/A.JPG (deleted)", 24, "…/DCIM/A.JPG (deleted)"),
        ("/e/disk.E01 > partition 2 > /DCIM/A.JPG (deleted) (+2 more)", 4, "…/A.JPG (deleted) (+2 more)"),
        ("/e/disk.E01 > partition 2 > A.JPG", 24, "… > partition 2 > A.JPG"),
        ("/e/disk.E01 > /a/b.zip (deleted) > A.JPG", 8, "… (deleted) > A.JPG"),
        ("a-very-long-name-without-a-folder.jpg", 10, "a-very-long-name-without-a-folder.jpg"),
    ],
)
def test_a_path_gives_up_its_beginning(path, most, expected):
    assert shortened(path, most) == expected


def test_several_queries_as_json_are_one_list(folder, tmp_path):
    queries = [folder / "q0.jpg", folder / "q1.jpg", folder / "q0.jpg"]
    for count in (2, 3):
        out = tmp_path / f"{count}.json"
        assert run("search", folder / "case", *queries[:count], "-o", out).returncode == 0
        assert [each["query"] for each in json.loads(out.read_text())] == [str(each) for each in queries[:count]]
    assert "matches" in run_json("search", folder / "case", queries[0])


@pytest.mark.parametrize("width", [30, 60, 80])
def test_on_a_narrow_terminal_no_word_is_broken(monkeypatch, width):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(width))
    columns = ("rank", "strength", "score", "by chance", "expected", "label", "found at", "note")
    note = "not verified: 29 pairs of points share no geometry"
    rows = [
        ["1", "geometry agrees, 68 points", "0.6432", "about 1 in 200", "0.36", "Hôtel 003", "/e/a/view 1.jpg", note],
        ["2", "nothing convincing", "0.4786", "", "0.72", "", "/evidence/" + "long/" * 20 + "IMG_1.jpg", note],
    ]
    table = text_table(rows, columns)
    assert max(map(len, table.splitlines())) <= width
    assert table.count("IMG_1.jpg") == table.count("view 1.jpg") == 1
    told = " ".join(table.split())
    assert told.count(note) == 2
    assert "geometry agrees, 68 points" in told
    assert told.index("Hôtel 003") < told.index("nothing convincing")


@pytest.mark.parametrize("name", ["no/sheet.html", "no/folder", "sheet.pdf", "sheet.json"])
def test_a_report_that_cannot_be_what_its_name_says_is_refused_before_the_search(folder, tmp_path, name):
    before = (folder / "case" / "audit.jsonl").read_bytes()
    for command in (["search"], ["export"]):
        option = "--report" if command == ["search"] else "-o"
        done = run(*command, folder / "case", folder / "q0.jpg", option, tmp_path / name)
        assert done.returncode == 1
        said = "there is no folder" if "/" in name else "ends in .html, or a folder"
        assert said in done.stderr.decode()
    assert not [*tmp_path.iterdir()]
    assert (folder / "case" / "audit.jsonl").read_bytes() == before


def test_a_case_that_is_named_twice_is_listed_once(folder):
    assert len(run_json("status", folder / "case", folder, folder / "case")) == 1


def test_a_record_stands_field_by_field_and_no_hash_is_broken(folder):
    shown = on_terminal(80, "decide", folder / "case", folder / "q1.jpg", "1", "possible", "--note", "a word " * 20)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.split() == ["verdict", "possible"] for line in lines)
    digests = [word for line in lines for word in line.split() if len(word) == 64]
    assert len(digests) == 2
    listed = on_terminal(80, "decide", folder / "case", "--list")
    assert set(digests) <= {word for line in listed.splitlines() for word in line.split()}


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_what_was_closed_leads_nowhere(folder, closed):
    """Nothing that is opened later, as a case's catalogue, takes its place either."""
    done = _in_shell("status", folder / "case", closed)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert ("items" in done.stdout) == (">&-" not in closed.split())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device without room")
@pytest.mark.parametrize("words", [("status", "case"), ("search", "case", "q0.jpg", "--no-verify"), ("--version",)])
def test_output_without_room_is_no_fault_of_imgmatch(folder, words):
    done = _in_shell(*(folder / word if (folder / word).exists() else word for word in words), "> /dev/full")
    assert done.returncode == 1
    line = "imgmatch: this machine can't go on: no space left on device; free some, and run it again"
    assert (done.stderr.splitlines()[-1], "internal" in done.stderr) == (line, False)


def _in_shell(*words):
    *words, redirected = words
    said = " ".join(map(shlex.quote, map(str, (sys.executable, "-m", "cli.main", *words))))
    return subprocess.run(["sh", "-c", f"{said} {redirected}"], cwd=ROOT, capture_output=True, text=True, check=False)
