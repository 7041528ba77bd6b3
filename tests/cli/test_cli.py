"""imgmatch as a user runs it: arguments in; text, JSON and an exit code out."""

import csv
import io
import json
import os
import unicodedata
from importlib.metadata import version

import pytest

from cli.render.terminal import Seen
from indexer.out.jsontext import json_text
from tests.conftest import encode, picture, run, run_json


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    (folder / "in").mkdir()
    for seed in range(6):
        (folder / "in" / f"{seed}.jpg").write_bytes(encode(picture(seed), "JPEG"))
    (folder / "in" / "broken.jpg").write_bytes(b"no")
    (folder / "labels.csv").write_text("file,label,city\nin/0.jpg,Hotel A,Ghent\nin/1.jpg,=Hotel B,Ghent\n")
    assert run("init", folder / "case", "--purpose", "test").returncode == 0
    done = run("ingest", folder / "case", folder / "in", "--labels", folder / "labels.csv")
    assert done.returncode == 0, done.stderr
    return folder


def test_version():
    done = run("--version")
    assert done.stdout.decode().split() == ["imgmatch", version("imgmatch")]


def test_every_command_has_help_and_so_has_every_option():
    from typer.main import get_command

    from cli.app import app

    def walk(command, name):
        assert command.help, name
        for parameter in command.params:
            if parameter.name not in ("help", "install_completion", "show_completion"):
                assert parameter.help, f"{name} {parameter.name}"
        for sub_name, sub in getattr(command, "commands", {}).items():
            walk(sub, f"{name} {sub_name}")

    walk(get_command(app), "imgmatch")


def test_status_as_json_has_the_counts(folder):
    status = run_json("status", folder / "case")
    assert {name: status[name] for name in ("items", "sightings", "issues", "vectors")} == {
        "items": 6,
        "sightings": 6,
        "issues": 1,
        "vectors": 6,
    }
    assert status["purpose"] == "test"
    assert status["last_ingest"]["counts"]["new_items"] == 6


def test_search_as_json_is_one_object_a_query(folder):
    done = run("search", folder / "case", folder / "in" / "0.jpg", folder / "in" / "1.jpg", "-k", 2, "--format", "json")
    objects = json.loads(done.stdout)
    assert [o["query"] for o in objects] == [str(folder / "in" / f"{n}.jpg") for n in (0, 1)]
    first = objects[0]
    assert first["elapsed_ms"] > 0
    assert len(first["sha256"]) == 64
    match = first["matches"][0]
    assert match["rank"] == 1
    assert match["score"] == pytest.approx(1, abs=1e-3)
    assert match["label"] == "Hotel A"
    assert match["labels"] == {"label": ["Hotel A"], "city": ["Ghent"]}
    assert match["verification"]["verified"] is False  # a picture without texture has nothing to verify
    assert match["sightings"][0]["path"] == str(folder / "in" / "0.jpg")
    assert match["sightings"][0]["locator"] == f"file:{folder / 'in' / '0.jpg'}"
    assert match["sightings"][0]["own"] is True
    assert "the query itself" in match["reasons"]
    assert [m["rank"] for m in first["matches"]] == [1, 2]


def test_json_lines_equal_json(folder):
    def matches(format):
        done = run("search", folder / "case", folder / "in" / "2.jpg", "--format", format)
        return json.loads(done.stdout)["matches"]

    assert matches("json") == matches("jsonl")


def test_search_as_csv_cant_start_a_formula(folder):
    done = run("search", folder / "case", folder / "in" / "1.jpg", "-k", 3, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    assert len(rows) == 3
    assert rows[0]["label"] == "'=Hotel B"
    assert rows[0]["rank"] == "1"
    assert rows[0]["path"] == str(folder / "in" / "1.jpg")


def test_the_table_names_the_files_and_the_query(folder):
    text = run("search", folder / "case", folder / "in" / "0.jpg").stdout.decode()
    assert str(folder / "in" / "0.jpg") in text
    assert "the query itself" in text
    assert "Hotel A" in text
    assert "\x1b" not in text


HIDDEN = "\x1b]0;gone\x07\x9b31m\u202egpj.\u2066\u200b"


def test_no_name_reaches_a_terminal_but_by_letters_that_can_be_seen(folder, tmp_path):
    queries = tmp_path / "queries"
    queries.mkdir()
    (queries / f"text{HIDDEN}").write_text("no picture")
    (queries / f"good{HIDDEN}").write_bytes((folder / "in" / "1.jpg").read_bytes())
    for format in ("table", "json", "jsonl", "csv"):
        done = run("search", folder / "case", queries, "-k", 1, "--format", format)
        said = done.stdout.decode() + done.stderr.decode()
        assert "text" in said
        assert not [letter for letter in HIDDEN if not letter.isprintable() and letter in said], format
    assert all(HIDDEN in told["query"] for told in run_json("search", folder / "case", queries, "-k", 1))
    missing = run("search", folder / "case", tmp_path / f"none{HIDDEN}")
    assert (missing.returncode, b"none" in missing.stderr) == (1, True)
    assert not [letter for letter in HIDDEN if not letter.isprintable() and letter in missing.stderr.decode()]


@pytest.mark.claim("H4")
def test_what_was_asked_for_wrongly_reaches_a_terminal_by_letters_that_can_be_seen(folder, tmp_path):
    hidden = f"{HIDDEN}\r\x1b[2J\U000e0041\U000110bd\x85"
    wrong = (
        ("search", tmp_path / f"none{hidden}", folder / "in" / "1.jpg"),
        ("search", folder / "case", folder / "in" / "1.jpg", "--mask", tmp_path / f"none{hidden}"),
        ("search", folder / "case", folder / "in" / "1.jpg", f"--none{hidden}"),
        ("audit", "head", folder / "case", f"none{hidden}"),
        ("ingest", folder / "case", tmp_path / f"none{hidden}"),
        (f"none{hidden}",),
        ("explain", folder / "case", tmp_path / f"none{hidden}", 1, "-o", tmp_path / "drawn.png"),
    )
    for words in wrong:
        done = run(*words)
        said = done.stdout.decode() + done.stderr.decode()
        assert done.returncode in (1, 2), said
        assert "none" in said, words
        assert "Traceback" not in said
        assert not [letter for letter in said if letter not in "\n\t" and not letter.isprintable()], said


@pytest.mark.claim("H3")
def test_whoever_writes_nothing_moves_the_cursor():
    drawn = io.StringIO()
    every = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))
    Seen(drawn).writelines([every, "\r\n", "\ud800\r"])
    seen = drawn.getvalue()
    unseen = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert {letter for letter in set(seen) if unicodedata.category(letter) in unseen} == {"\n", "\t", "\r"}
    assert seen.endswith("\r\n\\ud800\\r")
    assert json.loads(json_text(every)) == every
    assert not {letter for letter in json_text(every) if unicodedata.category(letter) in unseen}


def test_queries_come_from_standard_input_too(folder):
    names = [os.fsencode(folder / "in" / f"{n}.jpg") for n in (3, 4)]
    for separator in (b"\n", b"\0"):
        done = run("search", folder / "case", "-", "--format", "jsonl", "-k", 1, stdin=separator.join(names))
        assert [json.loads(line)["query"] for line in done.stdout.splitlines()] == [os.fsdecode(n) for n in names]


def test_output_goes_to_a_file_whole(folder, tmp_path):
    target = tmp_path / "out.json"
    done = run("search", folder / "case", folder / "in" / "0.jpg", "--format", "json", "--output", target)
    assert done.stdout == b""
    assert json.loads(target.read_text())["matches"]
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    done = run("status", folder / "case", "--output", tmp_path / "no" / "out.txt")
    assert done.returncode == 1
    assert b"there is no folder" in done.stderr


def test_a_broken_query_beside_a_good_one_is_named_and_the_good_one_searched(folder):
    arguments = ["search", folder / "case", folder / "in" / "broken.jpg", folder / "in" / "0.jpg", "--format", "jsonl"]
    done = run(*arguments)
    assert done.returncode == 0
    broken, good = (json.loads(line) for line in done.stdout.splitlines())
    assert broken["issue"]["error"] == "not_a_picture"
    assert broken["matches"] == []
    assert good["issue"] is None
    assert b"broken.jpg: no picture format" in done.stderr
    assert run(*arguments, "--strict").returncode == 3


def test_only_broken_queries_is_an_error(folder):
    done = run("search", folder / "case", folder / "in" / "broken.jpg")
    assert done.returncode == 1
    assert b"no query could be searched" in done.stderr


def test_issues_as_table_and_json(folder):
    (issue,) = run_json("issues", folder / "case")
    assert issue["error"] == "not_a_picture"
    assert issue["path"].endswith("broken.jpg")
    assert b"broken.jpg" in run("issues", folder / "case").stdout
    assert run_json("issues", folder / "case", "--kind", "empty") == []


def test_check_finds_nothing_then_finds_what_is_wrong(folder, tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode(picture(1), "JPEG"))
    (tmp_path / "b.jpg").write_bytes(encode(picture(2), "JPEG"))
    case = tmp_path / "case"
    run("init", case)
    run("ingest", case, tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert run_json("check", case, "--sources") == []
    (tmp_path / "a.jpg").write_bytes(encode(picture(3), "JPEG"))
    (tmp_path / "b.jpg").unlink()
    segment = next((case / "segments").rglob("*.npy"))
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(bytes(data))
    log = case / "audit.jsonl"
    log.write_text(log.read_text().replace('"init"', '"none"'))
    done = run("check", case, "--sources", "--format", "json")
    assert done.returncode == 1
    faults = json.loads(done.stdout)
    assert sorted(f["part"] for f in faults) == ["audit", "segment", "source", "source"]
    told = " ".join(f["message"] for f in faults)
    assert "a.jpg: its content has changed" in told
    assert "b.jpg: the file can't be read: no such file" in told
    assert "000001.npy: altered" in told


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["status", "nowhere"], 1, "nowhere: no such folder; make one with: imgmatch init nowhere"),
        (["search", "nowhere", "q.jpg"], 1, "q.jpg: no such file or folder"),
        (["init", "x", "--model", "best"], 2, "no model 'best'; there are: "),
        (["models", "show", "best"], 2, "no model 'best'"),
        (["ingest", "nowhere", "gone"], 1, "gone: no such file or folder"),
        (["status"], 2, "Missing argument"),
        (["frobnicate"], 2, "No such command"),
        (["search", "nowhere", "q", "-k", "0"], 2, "greater than or equal to 1"),
        (["status", "nowhere", "--format", "xml"], 2, "xml"),
    ],
)
def test_errors_are_one_line_that_says_what_to_do(tmp_path, arguments, code, message):
    done = run(*arguments, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert done.returncode == code, done.stderr
    text = done.stderr.decode()
    assert message in text
    assert "Traceback" not in text
    if code == 1:
        assert text.count("\n") == 1


def test_models_are_listed_shown_and_verified():
    (first, *_) = run_json("models", "list")
    assert {"name", "task", "dim", "input_px", "licence", "source", "weights_sha256"} <= set(first)
    shown = run_json("models", "show", first["name"])
    assert shown["weights_sha256"] == first["weights_sha256"]
    done = run("models", "verify")
    assert done.returncode == 0
    assert first["weights_sha256"] in done.stdout.decode()


def test_a_reader_that_goes_away_is_no_error_message(folder):
    import subprocess
    import sys

    from tests.conftest import ROOT

    command = [sys.executable, "-m", "cli.main", "search", folder / "case", folder / "in", "--format", "jsonl"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


def test_shell_completion_is_offered():
    done = run("--show-completion", "bash", env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
    assert done.returncode == 0
    assert b"complete" in done.stdout


def test_a_search_keeps_to_what_its_filters_say(folder):
    def found(*options):
        done = run("search", folder / "case", folder / "in" / "3.jpg", "--format", "json", *options)
        assert done.returncode == 0, done.stderr
        return [match["sightings"][0]["path"].rsplit("/", 1)[1] for match in json.loads(done.stdout)["matches"]]

    assert sorted(found("--label", "city=Ghent")) == ["0.jpg", "1.jpg"]
    assert found("--label", "Hotel A") == ["0.jpg"]
    assert len(found("--source", folder / "in", "--exclude-label", "Hotel A")) == 5
    assert found("--source", folder / "in" / "2.jpg") == ["2.jpg"]
    assert len(found("--since", "2000", "--exclude-source", folder / "in" / "3.jpg")) == 5
    assert found("--until", "2000") == []
    assert len(found("--item", "1", "--item", "2", "--exclude-item", "2")) == 1
    wrong = run("search", folder / "case", folder / "in" / "3.jpg", "--since", "then")
    assert wrong.returncode == 1
    assert b"is no date" in wrong.stderr


def test_index_delete_compact_and_merge_from_outside(folder, tmp_path):
    assert run("init", tmp_path / "a").returncode == 0
    made = run_json("merge", tmp_path / "a", folder / "case")
    assert [(m["items"], m["sightings"], m["vectors"], m["issues"]) for m in made] == [(6, 6, 6, 1)]
    info = run_json("index", tmp_path / "a", "build", "--kind", "hnsw")
    assert (info["kind"], info["rows"], info["in_index"], info["compared_one_by_one"]) == ("hnsw", 6, 6, 0)
    assert info["recall"] == 1
    assert info["by_size"].startswith("exact (fewer than 50,000 rows")
    assert run_json("delete", tmp_path / "a", "--source", folder / "in" / "0.jpg", "--reason", "test")["items"] == 1
    info = run_json("index", tmp_path / "a", "info")
    assert (info["rows"], info["in_index"], info["deleted_in_index"]) == (5, 0, 0)
    assert run_json("index", "compact", tmp_path / "a")["rows_removed"] == 0
    done = run("search", tmp_path / "a", folder / "in" / "0.jpg", "--format", "json")
    assert len(json.loads(done.stdout)["matches"]) == 5
    assert run("check", tmp_path / "a").returncode == 0
    assert run("delete", tmp_path / "a").returncode == 1
    wrong = run("index", tmp_path / "a", "build", "--kind", "tree")
    assert b"'tree' is no kind of index; choose one of exact, ivf, hnsw" in wrong.stderr


def test_a_damaged_segment_is_repaired_from_outside(folder, tmp_path):
    assert run("init", tmp_path / "a").returncode == 0
    assert run("ingest", tmp_path / "a", folder / "in").returncode == 0
    path = next((tmp_path / "a" / "segments").rglob("*.npy"))
    path.write_bytes(path.read_bytes()[:-3])
    failed = run("search", tmp_path / "a", folder / "in" / "0.jpg")
    assert failed.returncode == 1
    assert b"it held 6 items (items 1 to 6); run: imgmatch check" in failed.stderr
    done = run("check", tmp_path / "a", "--repair")
    assert done.returncode == 0, done.stderr
    assert b"1 segments rewritten, 6 vectors made again" in done.stderr
    assert run("search", tmp_path / "a", folder / "in" / "0.jpg").returncode == 0
