"""Hash lists: what is read of them, and that an ingest leaves out, marks and tells what they name."""

import email.message
import hashlib
import json
import random
import sqlite3
import subprocess
import sys
import time
import tracemalloc
import zipfile

import pytest

from imgmatch.errors import UsageError
from imgmatch.evidence import SourceOptions, walk
from imgmatch.workers.pictures import PicturePool
from indexer.care.delete import delete
from indexer.care.merge import merge
from indexer.case.case import Case
from indexer.intake.ingest import ingest
from indexer.intake.known import KnownFiles, import_list, listed, remove_list
from indexer.intake.known.formats import Entry, ListFormat, Malformed, entries, recognise
from indexer.out.show import item_record
from indexer.search.request import SearchRequest
from indexer.search.searcher import Searcher
from tests.conftest import ROOT, encode, picture, run, run_json, scene, snapshot
from tests.imgmatch.evidence.test_media import SIZE, film
from tests.indexer.vectors import inside, looking

ABC = {name: hashlib.new(name, b"abc").hexdigest() for name in ("md5", "sha1", "sha256")}
XYZ = {name: hashlib.new(name, b"xyz").hexdigest() for name in ("md5", "sha1", "sha256")}


def digest_of(path, name="sha1"):
    return hashlib.new(name, path.read_bytes()).hexdigest()


def read(path):
    """Format, entries (hexadecimal digest, category) and malformed places of a list."""
    format = recognise(path)
    found = list(entries(path, format))
    good = [(e.digest.hex(), e.category) for e in found if isinstance(e, Entry)]
    return format, good, [m.where for m in found if isinstance(m, Malformed)]


@pytest.mark.parametrize(
    ("text", "format", "expected", "bad"),
    [
        (f"# mine\n\n{ABC['md5'].upper()}\nnothing\n{XYZ['sha256']}\n", "text", ["md5", "XYZ sha256"], ["line 4"]),
        (f"{ABC['sha1']} *a file.jpg\n{XYZ['sha1']}  b.jpg\n", "text", ["sha1", "XYZ sha1"], []),
        (f"\\{ABC['sha1']}  a\\nb.jpg\nSHA256 (x.jpg) = {XYZ['sha256']}\n", "text", ["sha1", "XYZ sha256"], []),
        (f"{ABC['sha1']},{'f' * 31},file\n{'g' * 40},\n{ABC['sha1'][:39]}\n", "text", ["sha1"], ["line 2", "line 3"]),
        (
            f'"SHA-1","MD5","CRC32","FileName"\n"{ABC["sha1"].upper()}","{ABC["md5"]}","0","a ""b"""\n'
            f'"{XYZ["sha1"]}","","","\n',
            "nsrl",
            ["sha1", "XYZ sha1"],
            [],
        ),
        (
            f"Name;MD5;SHA_256\nx;{ABC['md5']};{ABC['sha256']}\ny;{XYZ['md5']};\nz;;\n",
            "csv",
            ["sha256", "XYZ md5"],
            ["line 4"],
        ),
        (f"hash\tname\n{ABC['md5']}\tx\n{XYZ['sha1']}\n", "csv", ["md5", "XYZ sha1"], []),
    ],
)
def test_a_text_list_is_read_by_its_content(tmp_path, text, format, expected, bad):
    path = tmp_path / "list.bin"
    path.write_text(text)
    wanted = [XYZ[e[4:]] if e.startswith("XYZ ") else ABC[e] for e in expected]
    assert read(path) == (ListFormat(format), [(digest, None) for digest in wanted], bad)
    path.write_bytes(text.encode("utf-8-sig").replace(b"\n", b"\r\n"))
    assert read(path)[1] == [(digest, None) for digest in wanted]
    path.write_bytes(text.encode("utf-16"))
    assert read(path)[1] == [(digest, None) for digest in wanted]


def test_categories_come_along(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(f"MD5,Category\n{ABC['md5']},1\n{XYZ['md5']},\n")
    assert read(path)[1] == [(ABC["md5"], "1"), (XYZ["md5"], None)]


@pytest.mark.parametrize("wrapped", ["#Media", "#Cases", "bare"])
def test_vics_gives_the_hashes_of_media_and_not_those_of_their_copies(tmp_path, wrapped):
    pytest.importorskip("ijson", reason="ijson is not installed: pip install 'imgmatch[exchange]'")
    media = [
        {"MediaID": 1, "Category": 2, "MD5": ABC["md5"], "SHA1": ABC["sha1"], "MediaFiles": [{"MD5": "0" * 32}]},
        {"MediaID": 2, "Category": 1, "MD5": XYZ["md5"].upper()},
        {"MediaID": 3, "MD5": "none"},
    ]
    document = {
        "#Media": {"odata.metadata": "x/1.3.xml#Media", "value": media},
        "#Cases": {"@odata.context": "x/$metadata#Cases", "value": [{"CaseID": "c", "Media": media}]},
        "bare": media,
    }[wrapped]
    path = tmp_path / "list.json"
    path.write_text(json.dumps(document), encoding="utf-8-sig")
    assert read(path) == (ListFormat.vics, [(ABC["sha1"], "2"), (XYZ["md5"], "1")], ["entry 3"])
    path.write_text(json.dumps(document)[:-40])
    with pytest.raises(UsageError, match="damaged JSON"):
        read(path)


def test_an_rds_database_is_read_from_its_table_and_never_written(tmp_path):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "RDS.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE VERSION (version TEXT)")
        db.execute("CREATE TABLE METADATA (object_id INTEGER, sha256 TEXT, sha1 TEXT, md5 TEXT, bytes INTEGER)")
        db.execute("CREATE VIEW FILE AS SELECT sha256, sha1, md5 FROM METADATA")
        db.execute("INSERT INTO METADATA VALUES (1, ?, ?, ?, 3)", (ABC["sha256"].upper(), ABC["sha1"], ABC["md5"]))
        db.execute("INSERT INTO METADATA VALUES (2, NULL, ?, ?, 3)", (XYZ["sha1"], XYZ["md5"]))
        db.execute("INSERT INTO METADATA VALUES (3, NULL, NULL, 'x', 3)")
    db.close()
    before = snapshot(tmp_path / "in")
    assert read(path) == (ListFormat.rds3, [(ABC["sha256"], None), (XYZ["sha1"], None)], ["row 3"])
    assert snapshot(tmp_path / "in") == before
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UsageError, match=r"RDS\.db: "):
        read(path)


@pytest.mark.claim("X16")
def test_a_line_without_end_costs_no_memory_and_no_crash(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text(f"{ABC['md5']}\n" + "x" * 1_000_000 + f"\n{XYZ['md5']}\n")
    assert [d for d, _ in read(path)[1]] == [ABC["md5"], XYZ["md5"]]


@pytest.mark.parametrize("data", [b"", b"no hashes here\n", b"name,size\na,1\n", b"\xff\xd8\xff\xe0" * 100, b"{}"])
def test_what_is_no_list_is_refused_and_leaves_nothing(case, tmp_path, data):
    path = tmp_path / "list"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="list: "):
        import_list(case, path, "known", "a")
    assert inside(case).lists.all() == []


def make_list(tmp_path, digests, name="list.txt"):
    path = tmp_path / name
    path.write_text("".join(f"{digest}\n" for digest in digests))
    return path


@pytest.mark.parametrize("by", ["md5", "sha1", "sha256"])
def test_ignored_files_are_counted_and_recorded_and_never_decoded(
    case, embedder, photographs, tmp_path, monkeypatch, by
):
    ignored = [photographs / "03.jpg", photographs / "05.jpg"]  # 03 has a copy in another folder
    import_list(case, make_list(tmp_path, [digest_of(p, by) for p in ignored]), "ignore", "junk")
    decoded = []
    read = PicturePool.read_picture
    monkeypatch.setattr(PicturePool, "read_picture", lambda *asked: decoded.append(1) or read(*asked))
    report = ingest(case, [photographs], embedder)
    assert (report.files, report.new_items, report.ignored, report.known, report.unusable) == (12, 9, 3, 0, 0)
    assert len(decoded) == 9
    files = list(inside(case).listed.all())
    assert sorted(f.locator.at.rsplit("/")[-1] for f in files) == ["03.jpg", "05.jpg", "copy-of-03.jpg"]
    assert {(f.hit.name, f.hit.kind, f.hit.by, f.ignored) for f in files} == {("junk", "ignore", by, True)}
    assert case.catalogue.counts()["ignored_files"] == 3
    again = ingest(case, [photographs], embedder)
    assert (again.files, again.unchanged) == (12, 12)


def test_a_removed_list_ignores_no_more(case, embedder, photographs, tmp_path):
    import_list(case, make_list(tmp_path, [digest_of(photographs / "05.jpg")]), "ignore", "junk")
    ingest(case, [photographs], embedder)
    assert remove_list(case, "junk") == 1
    assert [f.hit.name for f in inside(case).listed.all()] == ["junk"]  # the record stays until it is read
    report = ingest(case, [photographs], embedder)
    assert (report.new_items, report.unchanged) == (1, 11)
    assert list(inside(case).listed.all()) == []
    with pytest.raises(UsageError, match="no hash list 'junk'"):
        remove_list(case, "junk")


def test_an_alert_is_never_ignored_and_told_even_of_what_is_no_picture(case, embedder, photographs, tmp_path):
    (photographs / "film.mp4").write_bytes(b"no picture")
    wanted = [photographs / "05.jpg", photographs / "film.mp4"]
    import_list(case, make_list(tmp_path, [digest_of(wanted[0])]), "ignore", "junk")
    path = tmp_path / "alert.csv"
    path.write_text("md5,category\n" + "".join(f"{digest_of(p, 'md5')},1\n" for p in wanted))
    import_list(case, path, "alert", "wanted")
    report = ingest(case, [photographs], embedder)
    assert (report.ignored, report.unusable, report.new_items, report.alerts) == (0, 1, 11, 2)
    assert [(a.name, a.category, a.locator.at.rsplit("/")[-1]) for a in report.alerted] == [
        ("wanted", "1", "05.jpg"),
        ("wanted", "1", "film.mp4"),
    ]
    found = [(f.hit.kind, f.item_id is None, f.locator.at.rsplit("/")[-1]) for f in listed(case, kind="alert")]
    assert found == [("alert", False, "05.jpg"), ("alert", True, "film.mp4")]
    assert [f.hit.kind for f in listed(case)] == ["alert", "ignore", "alert"]


def test_a_list_imported_later_counts_for_items_and_in_matches(case, embedder, photographs, tmp_path):
    ingest(case, [photographs], embedder)
    done = import_list(case, make_list(tmp_path, [digest_of(photographs / "03.jpg", "sha256")]), "alert", "wanted")
    assert done.items == 1
    (found,) = listed(case)
    assert (found.hit.by, found.sightings) == ("sha256", 2)
    (result,) = Searcher(case, embedder).search([photographs / "03.jpg"], SearchRequest(3))
    assert "on alert list wanted (SHA-256)" in result.matches[0].reasons
    assert not any("alert" in reason for match in result.matches[1:] for reason in match.reasons)


def test_one_name_one_list(case, tmp_path):
    path = make_list(tmp_path, [ABC["md5"], ABC["md5"], XYZ["md5"]])
    done = import_list(case, path, "known", "a")
    assert (done.entries, done.hashes) == (3, 2)
    with pytest.raises(UsageError, match="has a list of this name"):
        import_list(case, path, "alert", "a")
    with pytest.raises(UsageError, match="no kind of list"):
        import_list(case, path, "whatever", "b")
    (row,) = inside(case).lists.all()
    assert (row.kind, row.hashes, row.sha256) == ("known", 2, digest_of(path, "sha256"))


def test_listed_files_go_with_their_source_and_come_with_a_merge(case, embedder, photographs, tmp_path):
    import_list(case, make_list(tmp_path, [digest_of(photographs / "05.jpg")]), "ignore", "junk")
    ingest(case, [photographs], embedder)
    with Case.create(tmp_path / "other", model=embedder.spec) as other:
        merge(other, case)
        merge(other, case)
        assert [(f.hit.name, f.ignored) for f in inside(other).listed.all()] == [("junk", True)]
    delete(case, sources=[f"file:{photographs}"])
    assert list(inside(case).listed.all()) == []


def test_the_command_line_tells_all(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for seed in range(4):
        (folder / f"{seed}.jpg").write_bytes(encode(picture(seed), "JPEG"))
    junk = make_list(tmp_path, [digest_of(folder / "0.jpg"), "\x1b[31m no hash"], "junk.txt")
    wanted = make_list(tmp_path, [digest_of(folder / "1.jpg")], "wanted.txt")
    case = tmp_path / "case"
    assert run("init", case).returncode == 0
    done = run("known", "import", case, junk, "--as", "ignore", "--name", "junk")
    assert done.returncode == 0, done.stderr
    assert b"1 lines hold no hash, the first: line 2" in done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
    assert run_json("known", "import", case, wanted, "--as", "alert", "--name", "wanted")["hashes"] == 1
    done = run("ingest", case, folder, "--format", "json")
    assert f"ALERT wanted: {folder}/1.jpg" in done.stderr.decode()
    report = json.loads(done.stdout)
    assert (report["files"], report["new_items"], report["ignored"], report["alerts"]) == (4, 3, 1, 1)
    assert [row["name"] for row in run_json("known", "list", case)] == ["junk", "wanted"]
    rows = run_json("known", "match", case)
    assert [(row["kind"], row["item_id"] is None) for row in rows] == [("alert", False), ("ignore", True)]
    assert run_json("known", "match", case, "--as", "ignore")[0]["path"] == f"{folder}/0.jpg"
    assert run("known", "remove", case, "junk").returncode == 0
    assert run("check", case).returncode == 0
    wrong = run("known", "import", case, folder / "0.jpg", "--as", "known", "--name", "x")
    assert wrong.returncode == 1
    assert b"not a list of hashes" in wrong.stderr


@pytest.mark.slow
def test_an_import_that_is_killed_leaves_nothing_and_can_be_run_again(tmp_path):
    rng = random.Random(5)
    path = make_list(tmp_path, [f"{rng.getrandbits(160):040x}" for _ in range(150_000)])
    case = tmp_path / "case"
    run("init", case)
    arguments = ["known", "import", case, path, "--as", "ignore", "--name", "big"]
    killed = 0
    for delay in (0.8, 1.6, 2.4):
        command = [sys.executable, "-m", "cli.main", *map(str, arguments)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        killed += process.poll() is None
        process.kill()
        process.wait()
        found = run_json("known", "list", case)
        assert [row["hashes"] for row in found] in ([], [150_000])
        if found:
            run("known", "remove", case, "big")
    assert killed
    assert run_json(*arguments)["hashes"] == 150_000
    assert run("check", case).returncode == 0


def moving_gif(seeds):
    first, *rest = (scene(seed, (120, 90)) for seed in seeds)
    return encode(first, "GIF", save_all=True, append_images=rest, duration=500)


@pytest.fixture
def containers(tmp_path):
    """A video in an archive and beside it, a message with a picture attached, a moving picture, and a picture."""
    folder = tmp_path / "in"
    folder.mkdir()
    film(folder / "film.avi", "mjpeg", [scene(n, SIZE) for n in (1, 2)])
    with zipfile.ZipFile(folder / "films.zip", "w") as archive:
        archive.write(film(tmp_path / "inner.avi", "mjpeg", [scene(3, SIZE)]), "deeper/inner.avi")
        archive.writestr("note.png", encode(picture(4), "PNG"))
    message = email.message.EmailMessage()
    message["Subject"], message["From"] = "holiday", "a@example.org"
    message.add_attachment(encode(picture(5), "PNG"), maintype="image", subtype="png", filename="beach.png")
    (folder / "mail.eml").write_bytes(message.as_bytes())
    (folder / "moving.gif").write_bytes(moving_gif([6, 7, 8]))
    (folder / "plain.jpg").write_bytes(encode(picture(9), "JPEG"))
    return folder


def places_of(case):
    return [str(row.locator).removeprefix("file:").rsplit("/in/")[-1] for row in inside(case).sightings.all()]


@pytest.mark.parametrize("by", ["md5", "sha1", "sha256"])
def test_an_ignored_container_is_passed_over_whole(case, embedder, containers, tmp_path, by):
    names = ["film.avi", "mail.eml", "moving.gif"]
    digests = [digest_of(p, by) for p in (*(containers / name for name in names), tmp_path / "inner.avi")]
    import_list(case, make_list(tmp_path, digests), "ignore", "junk")
    report = ingest(case, [containers], embedder)
    assert (report.files, report.new_items, report.ignored, report.unusable) == (6, 2, 4, 0)
    assert [place.split("|")[0] for place in places_of(case)] == ["films.zip", "plain.jpg"]
    files = list(inside(case).listed.all())
    assert sorted(f.locator.at.rsplit("/")[-1] for f in files) == [names[0], "inner.avi", *names[1:]]
    assert {(f.hit.name, f.hit.kind, f.hit.by, f.ignored) for f in files} == {("junk", "ignore", by, True)}
    assert case.catalogue.counts()["ignored_files"] == 4
    again = ingest(case, [containers], embedder)
    assert (again.files, again.unchanged) == (6, 6)

    remove_list(case, "junk")
    ingest(case, [containers], embedder)
    assert {place.split("|")[0] for place in places_of(case)} == {*names, "films.zip", "plain.jpg"}
    assert case.catalogue.counts()["ignored_files"] == 0


@pytest.mark.parametrize("kind", ["known", "alert"])
def test_what_lists_say_of_a_container_is_told_of_it_and_of_what_is_in_it(case, embedder, containers, tmp_path, kind):
    wanted = [containers / "film.avi", tmp_path / "inner.avi", containers / "films.zip", containers / "mail.eml"]
    import_list(case, make_list(tmp_path, map(digest_of, wanted)), kind, "wanted")
    report = ingest(case, [containers], embedder)
    assert report.ignored == report.unusable == 0
    assert report.files == report.new_items  # a container is no file of its own
    told = ["film.avi", "films.zip", "inner.avi", "mail.eml"] if kind == "alert" else []
    assert [a.locator.at.rsplit("/")[-1] for a in report.alerted] == told
    assert report.alerts == len(told)
    found = [(f.item_id, f.locator.at.rsplit("/")[-1], f.hit.kind) for f in listed(case, name="wanted")]
    assert found == [(None, name, kind) for name in ("film.avi", "films.zip", "inner.avi", "mail.eml")]

    (case.path.parent / "q.png").write_bytes(encode(scene(3, SIZE), "PNG"))

    def inner():
        (result,) = Searcher(case, embedder).search([case.path.parent / "q.png"], SearchRequest(20))
        (match,) = [m for m in result.matches if "inner.avi" in str(m.sightings[0].locator)]
        return match

    reasons = [reason for reason in inner().reasons if "wanted" in reason]
    assert reasons == [
        f"in {containers / 'films.zip'}, on {kind} list wanted (SHA-1)",
        f"in deeper/inner.avi, on {kind} list wanted (SHA-1)",
    ]
    assert [entry["reason"] for entry in item_record(looking(case), inner().item_id)["lists"]] == reasons
    again = ingest(case, [containers], embedder)
    assert (again.alerts, again.unchanged) == (0, again.files)  # told once
    remove_list(case, "wanted")
    assert not any("wanted" in reason for reason in inner().reasons)


def test_an_alert_on_a_container_overrules_an_ignore_list(case, embedder, containers, tmp_path):
    film_sha1 = digest_of(containers / "film.avi")
    import_list(case, make_list(tmp_path, [film_sha1]), "ignore", "junk")
    import_list(case, make_list(tmp_path, [film_sha1], "alert.txt"), "alert", "wanted")
    report = ingest(case, [containers], embedder)
    assert (report.ignored, report.alerts) == (0, 1)
    assert any(place.startswith("film.avi|") for place in places_of(case))


def test_a_large_container_is_hashed_a_block_at_a_time(case, tmp_path):
    size = 200 << 20
    with (tmp_path / "large.avi").open("wb") as file:
        file.write(b"RIFF\0\0\0\0AVI LIST")
        file.truncate(size)
    with (tmp_path / "large.avi").open("rb") as file:
        right = hashlib.file_digest(file, "sha1").hexdigest()
    import_list(case, make_list(tmp_path, [right]), "known", "films")
    (found,) = walk(tmp_path / "large.avi", options=SourceOptions(inside=False))
    tracemalloc.start()
    container = KnownFiles(looking(case)).of_container(found)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert container.digests.sha1 == right
    assert peak < 8 << 20
