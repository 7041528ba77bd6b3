import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from benchmarks.casestate import state
from benchmarks.kill import command, kill_after, orphans
from imgmatch.errors import CaseError, UsageError
from imgmatch.limits import WorkerLimits
from imgmatch.picture.image import Limits, decode
from imgmatch.workers.decode import read_picture
from indexer.case.case import Case
from indexer.intake.ingest import IngestConfig, ingest
from tests.conftest import ROOT, encode, picture, png_bomb, run, run_json, snapshot, with_wrong_checksum
from tests.indexer.vectors import inside


def many(folder, count):
    folder.mkdir()
    for seed in range(count):
        (folder / f"{seed:04}.jpg").write_bytes(encode(picture(1000 + seed), "JPEG"))
    return folder


def test_every_file_is_a_new_item_a_sighting_or_an_issue(case, embedder, photographs):
    (photographs / "note.txt").write_text("not a picture")
    report = ingest(case, [photographs], embedder)
    assert (report.files, report.new_items, report.known, report.unusable) == (13, 11, 1, 1)
    counts = case.catalogue.counts()
    assert (counts["items"], counts["sightings"], counts["issues"], counts["vectors"]) == (11, 12, 1, 11)
    (issue,) = inside(case).issues.all()
    assert (issue.issue.stage, issue.issue.error) == ("decode", "not_a_picture")
    assert issue.issue.locator.at.endswith("note.txt")


def test_a_second_run_embeds_nothing_and_adds_nothing(case, embedder, photographs):
    ingest(case, [photographs], embedder)
    before = state(case.path)
    report = ingest(case, [photographs], embedder)
    assert report.unchanged == 12
    assert report.new_items == report.new_sightings == report.known == report.read_bytes == 0
    reread = ingest(case, [photographs], embedder, IngestConfig(reread=True))
    assert reread.known == 12
    assert reread.read_bytes > 0
    assert reread.new_items == reread.new_sightings == 0
    assert state(case.path) == before


def test_a_changed_file_is_a_new_item_and_the_old_sighting_stays(case, embedder, photographs):
    ingest(case, [photographs], embedder)
    (photographs / "00.jpg").write_bytes(encode(picture(77), "JPEG"))
    assert ingest(case, [photographs], embedder).new_items == 1
    seen = [s for s in inside(case).sightings.all() if s.locator.at.endswith("00.jpg")]
    assert len(seen) == len({s.sha256 for s in seen}) == 2


def test_a_mended_file_clears_its_issue(case, embedder, photographs):
    (photographs / "late.jpg").write_bytes(b"")
    ingest(case, [photographs], embedder)
    assert inside(case).issues.kinds() == {"empty": 1}
    (photographs / "late.jpg").write_bytes(encode(picture(78), "JPEG"))
    ingest(case, [photographs], embedder)
    assert inside(case).issues.kinds() == {}


def test_two_cases_of_the_same_folder_have_bit_identical_segments(tmp_path, embedder, photographs):
    contents = []
    for name, jobs in (("a", 1), ("b", 2)):
        with Case.create(tmp_path / name, model=embedder.spec) as case:
            ingest(case, [photographs], embedder, IngestConfig(jobs=jobs, commit_items=4))
            files = sorted((case.path / "segments").rglob("*.npy"))
            contents.append([(f.relative_to(case.path), f.read_bytes()) for f in files])
    assert len(contents[0]) == 3
    assert contents[0] == contents[1]


def test_the_vector_is_that_of_the_picture_and_of_unit_length(case, embedder, photographs):
    ingest(case, [photographs], embedder)
    ((first, rows),) = case.shelf(embedder.spec).rows_and_dead()[0]
    assert first == 1
    np.testing.assert_allclose(np.linalg.norm(rows.astype(np.float32), axis=1), 1, atol=1e-3)
    pixels = decode((photographs / "00.jpg").read_bytes(), min_side_px=embedder.spec.input_px).pixels
    direct = embedder.embed(embedder.prepare(pixels)[np.newaxis])[0]
    np.testing.assert_array_equal(rows[0], direct.astype(np.float16))


def test_sources_are_only_read(case, embedder, photographs):
    before = snapshot(photographs)
    ingest(case, [photographs], embedder)
    ingest(case, [photographs], embedder, IngestConfig(reread=True))
    assert snapshot(photographs) == before


def test_a_folder_of_bad_input_is_taken_in_with_an_issue_for_each(tmp_path):
    folder = tmp_path / "bad"
    folder.mkdir()
    good = encode(picture(1, (200, 150)), "JPEG")
    frames = [picture(seed).quantize(64) for seed in (2, 3)]
    files = {
        b"good.jpg": good,
        b"empty.jpg": b"",
        b"text.jpg": b"these are words",
        b"truncated.jpg": encode(picture(5, (600, 400)), "JPEG")[:6000],
        b"animated.gif": encode(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        b"checksum.png": with_wrong_checksum(encode(picture(4), "PNG"), b"IDAT"),
        b"caf\xe9 \xff.jpg": encode(picture(6), "JPEG"),
        b"line\nbreak.jpg": encode(picture(7), "JPEG"),
        b"bomb.png": png_bomb(30_000),
        b"closed.jpg": encode(picture(8), "JPEG"),
    }
    for name, data in files.items():
        with open(os.fsencode(folder) + b"/" + name, "wb") as file:
            file.write(data)
    (folder / "closed.jpg").chmod(0)
    (folder / "dangling").symlink_to("gone")
    os.mkfifo(folder / "pipe")
    before = snapshot(folder)
    assert run("init", tmp_path / "case").returncode == 0
    report = run_json("ingest", tmp_path / "case", folder)
    issues = {i["path"].rsplit("/", 1)[1]: i["error"] for i in run_json("issues", tmp_path / "case")}
    expected = {
        "empty.jpg": "empty",
        "text.jpg": "not_a_picture",
        "bomb.png": "too_large",
        "dangling": "dangling_link",
        "pipe": "special_file",
    }
    if os.geteuid() != 0:
        expected["closed.jpg"] = "unreadable"
    assert issues == expected
    assert report["new_items"] == len(files) + 2 - len(expected) + 1  # the second frame of the moving picture
    assert report["partial"] == 2
    assert report["files"] == len(files) + 2 + 1
    assert snapshot(folder) == before
    found = run_json("search", tmp_path / "case", folder / "good.jpg", "-k", 20)
    assert any("\\xe9 \\xff.jpg" in m["sightings"][0]["path"] for m in found["matches"])
    assert any("%E9 %FF.jpg" in m["sightings"][0]["locator"] for m in found["matches"])
    assert run("ingest", tmp_path / "case", folder, "--reread", "--strict").returncode == 3


def test_limits_are_those_that_are_set(case, embedder, photographs):
    report = ingest(case, [photographs], embedder, IngestConfig(limits=Limits(max_pixels=100)))
    assert report.unusable == 12
    assert inside(case).issues.kinds() == {"too_large": 12}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux")
def test_a_worker_that_fails_costs_one_issue_and_nothing_else(case, embedder, photographs):
    (photographs / "05-large.png").write_bytes(png_bomb(12_000))
    config = IngestConfig(worker_limits=WorkerLimits(worker_memory_bytes=600 << 20))
    report = ingest(case, [photographs], embedder, config)
    assert (report.files, report.new_items, report.known, report.unusable) == (13, 11, 1, 1)
    (issue,) = inside(case).issues.all()
    assert (issue.issue.stage, issue.issue.error) == ("decode", "worker_memory")
    assert issue.issue.locator.at.endswith("05-large.png")


@pytest.mark.parametrize("profile", ["fast", "thorough"])
def test_isolated_or_not_the_case_is_the_same(tmp_path, embedder, photographs, profile):
    states = []
    for isolation in (True, False):
        path = tmp_path / str(isolation)
        with Case.create(path, model=embedder.spec) as case:
            ingest(case, [photographs], embedder, IngestConfig(isolation=isolation, profile=profile))
        states.append(state(path))
    assert states[0] == states[1]


def test_the_case_inside_the_evidence_is_left_out(photographs, embedder):
    with Case.create(photographs / "case", model=embedder.spec) as case:
        report = ingest(case, [photographs], embedder)
        assert (report.new_items, report.known) == (11, 1)
        assert inside(case).issues.kinds() == {"own_case": 1}


def test_stopping_keeps_what_is_done_and_the_next_run_goes_on(tmp_path, embedder):
    folder = many(tmp_path / "many", 200)
    with Case.create(tmp_path / "whole", model=embedder.spec) as case:
        ingest(case, [folder], embedder)
    stop = threading.Event()
    with Case.create(tmp_path / "stopped", model=embedder.spec) as case:
        report = ingest(case, [folder], embedder, progress=lambda r: r.read_bytes and stop.set(), stop=stop)
        assert report.interrupted
        assert 0 < case.catalogue.counts()["items"] < 200
        ingest(case, [folder], embedder)
    assert state(tmp_path / "stopped") == state(tmp_path / "whole")


def test_memory_in_flight_is_bounded(case, embedder, tmp_path, monkeypatch):
    """However slow the network, only so many decoded pictures wait for it."""
    folder = many(tmp_path / "many", 300)
    waiting = 0
    most = 0
    lock = threading.Lock()

    class Slow:
        spec, runtime = embedder.spec, embedder.runtime

        def embed(self, batch):
            nonlocal waiting
            time.sleep(0.02)
            with lock:
                waiting -= len(batch)
            return np.eye(1, embedder.spec.dim, dtype=np.float32).repeat(len(batch), axis=0)

    def counted(data, request):
        nonlocal waiting, most
        with lock:
            waiting += 1
            most = max(most, waiting)
        return read_picture(data, request)

    monkeypatch.setattr("indexer.intake.ingest.read_picture", counted)
    ingest(case, [folder], Slow(), IngestConfig(jobs=2, isolation=False))
    assert case.catalogue.counts()["items"] == 300
    assert most <= 160


def test_ctrl_c_commits_and_says_how_to_go_on(tmp_path):
    folder = many(tmp_path / "many", 1500)
    run("init", tmp_path / "case")
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "ingest", tmp_path / "case", folder],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    log = tmp_path / "case" / "audit.jsonl"
    while b"ingest_started" not in log.read_bytes():  # however long this machine takes to get there
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors.decode()
    assert "Go on with the same command" in errors.decode()
    assert "Traceback" not in errors.decode()
    assert 0 < run_json("status", tmp_path / "case")["items"] < 1500


@pytest.mark.slow
def test_kill_9_at_any_moment_loses_and_doubles_nothing(tmp_path):
    folder = many(tmp_path / "many", 120)
    (folder / "broken.jpg").write_bytes(b"no")
    (folder / "z-copy.jpg").write_bytes((folder / "0000.jpg").read_bytes())
    states, workers = [], 0
    run("init", tmp_path / "whole")
    started = time.perf_counter()  # of what is killed below
    subprocess.run(command(tmp_path / "whole", folder), cwd=ROOT, capture_output=True, check=True)
    seconds = time.perf_counter() - started
    whole = state(tmp_path / "whole")
    for number in range(5):
        case = tmp_path / f"killed{number}"
        run("init", case)
        with contextlib.chdir(ROOT):
            found = kill_after(command(case, folder), seconds * (0.2 + 0.15 * number))
        workers += len(found or ())
        assert orphans(found or ()) == 0
        states.append(run_json("status", case)["items"])
        run_json("ingest", case, folder)
        assert state(case) == whole
        run_json("check", case)
    assert min(states) < 120
    assert workers > 0


def test_a_file_left_by_a_killed_commit_is_removed(case, embedder, photographs):
    ingest(case, [photographs], embedder)
    left = case.path / "segments" / embedder.spec.name / "000002.npy"
    left.write_bytes(b"half a segment")
    assert len(list(case.shelf(embedder.spec).segments())) == 1
    ingest(case, [photographs], embedder)
    assert not left.exists()


def test_a_case_that_cant_be_written_is_one_error(case, embedder, photographs, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("indexer.index.disk.os.fsync", full)
    with pytest.raises(CaseError, match="No space left on device"):
        ingest(case, [photographs], embedder)
    monkeypatch.undo()
    assert case.catalogue.counts()["items"] == 0
    assert ingest(case, [photographs], embedder).new_items == 11


def test_a_path_that_is_not_there_is_refused(case, embedder, tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        ingest(case, [tmp_path / "nowhere"], embedder)


def test_labels_go_to_the_items_they_name(case, embedder, photographs, tmp_path):
    ingest(case, [photographs], embedder)
    sha256 = next(iter(inside(case).sightings.all())).sha256
    table = tmp_path / "labels.csv"
    table.write_text(
        "file,label,chain\n"
        "01.jpg,Hotel A,Alpha\n"
        f"{photographs}/02.jpg,Hotel B,\n"
        "photographs/03.jpg,Hotel C,Gamma\n"
        "gone.jpg,Hotel D,\n"
    )
    report = ingest(case, [photographs], embedder, IngestConfig(labels=table))
    assert (report.labelled, report.unused_rows, report.unusable, report.new_issues) == (3, 1, 0, 0)
    names = {s.locator.at.rsplit("/", 1)[1]: s.item_id for s in inside(case).sightings.all()}
    labels = inside(case).labels.of(names.values())
    assert labels[names["01.jpg"]] == {"label": ("Hotel A",), "chain": ("Alpha",)}
    assert labels[names["02.jpg"]] == {"label": ("Hotel B",)}
    assert labels[names["03.jpg"]] == {"label": ("Hotel C",), "chain": ("Gamma",)}
    (issue,) = inside(case).issues.all()
    assert (issue.issue.error, issue.issue.locator.path) == ("missing_file", str(table))
    assert "1 of 4 rows" in issue.issue.message
    assert "row 5: gone.jpg" in issue.issue.message
    assert case.catalogue.counts()["issues"] == 0
    # Another source may say something else of the same content; the same source may change its mind.
    table.write_text(f"sha256,label\n{sha256},Hotel X\n")
    ingest(case, [photographs], embedder, IngestConfig(labels=table))
    table.write_text(f"sha256,label\n{sha256},Hotel Y\n")
    ingest(case, [photographs], embedder, IngestConfig(labels=table))
    assert inside(case).labels.of([1])[1]["label"] == ("Hotel Y",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the first line must read file,label"),
        ("picture,hotel\n", "the first line must read file,label"),
        ("file,label,label\n", "same name"),
    ],
)
def test_a_wrong_label_table_is_named(case, embedder, photographs, tmp_path, content, message):
    table = tmp_path / "labels.csv"
    table.write_text(content)
    with pytest.raises(UsageError, match=message):
        ingest(case, [photographs], embedder, IngestConfig(labels=table))


def test_other_weights_under_the_same_name_are_refused(case, embedder, photographs):
    class Other:
        spec = dataclasses.replace(embedder.spec, weights_sha256="1" * 64)
        runtime = "test"

    with pytest.raises(CaseError, match="can't be mixed"):
        ingest(case, [photographs], Other())
