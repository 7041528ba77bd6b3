"""What is handed on: packs that say what they are and carry what was chosen, and a portable case for any browser."""

import hashlib
import json
import re
import shutil
import subprocess
import zipfile

import pytest

from tests.conftest import encode, run, run_json, textured

NASTY = "</script><img src=x onerror=alert(1)>&lt;b>.jpg"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A case with labels, a decision and a file whose name is markup; another with a copy."""
    made = tmp_path_factory.mktemp("portable")
    (made / "in").mkdir()
    for seed in range(4):
        (made / "in" / f"secret-{seed}.jpg").write_bytes(encode(textured(seed), "JPEG", quality=90))
    with zipfile.ZipFile(made / "in" / "all.zip", "w") as archive:
        archive.writestr(NASTY, encode(textured(9), "JPEG"))
    (made / "labels.csv").write_text("file,label\nin/secret-0.jpg,Hotel 003\nin/secret-1.jpg,<b>Hotel</b>\n")
    (made / "q.jpg").write_bytes(encode(textured(0), "JPEG", quality=60))
    (made / "copy").mkdir()
    (made / "copy" / "0.jpg").write_bytes((made / "in" / "secret-0.jpg").read_bytes())
    (made / "copy" / "1.jpg").write_bytes(encode(textured(1), "JPEG", quality=70))
    for case, source in (("case", "in"), ("other", "copy")):
        assert run("init", made / case).returncode == 0
        labels = ["--labels", made / "labels.csv"] if case == "case" else []
        assert run("ingest", made / case, made / source, *labels).returncode == 0
    one, other = (run_json("show", made / "case", made / "in" / f"secret-{n}.jpg")["sha256"] for n in (0, 1))
    assert run("decide", made / "case", one, other, "rejected", "--examiner", "Ada", "--note", "not it").returncode == 0
    return made


def pack(folder, name, *options):
    target = folder / name
    assert run("export", folder / "case", "--format", "pack", "-o", target, *options).returncode == 0
    return target


def names_in(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_pack_says_what_it_is_wherever_a_case_is_asked_for(folder):
    made = pack(folder, "said.pack", "--labels", "--locators")
    for command in (["search", made, folder / "q.jpg"], ["merge", folder / "other", made], ["show", made, "1"],
                    ["review", made, "--no-browser"], ["status", made], ["check", made]):  # fmt: skip
        done = run(*command)
        (line,) = done.stderr.decode().splitlines()
        assert done.returncode == 1
        assert "is a pack of case" in line, line
        assert "5 items" in line
        assert "places, labels" in line
        assert "imgmatch link CASE" in line
    done = run("search", folder / "q.jpg", folder / "q.jpg")
    assert (done.returncode, b"is a pack" in done.stderr) == (1, False)
    with zipfile.ZipFile(folder / "odd.pack", "w") as archive:
        archive.writestr("manifest.json", json.dumps({"format": "imgmatch-pack", "models": 7}))
    done = run("search", folder / "odd.pack", folder / "q.jpg")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


def test_labels_and_decisions_travel_by_choice_and_are_shown_by_link(folder):
    bare = names_in(pack(folder, "bare.pack"))
    assert not {"labels.jsonl", "decisions.jsonl"} & set(bare)
    assert b"Hotel 003" not in b"".join(bare.values())
    made = pack(folder, "full.pack", "--labels", "--decisions")
    assert b"Hotel 003" in names_in(made)["labels.jsonl"]
    assert b"labels.csv" not in b"".join(names_in(made).values())
    found = run_json("link", folder / "other", made, "--least", "0.9")
    assert {row["other_label"] for row in found} == {"Hotel 003", "<b>Hotel</b>"}
    entry = [json.loads(line) for line in (folder / "case" / "audit.jsonl").read_text().splitlines()]
    told = [one["arguments"] for one in entry if one["action"] == "export"][-1]
    assert (told["labels"], told["decisions"]) == (True, True)
    # What was decided of a pair there is said here.
    one, other = (run_json("show", folder / "case", folder / "in" / f"secret-{n}.jpg")["sha256"] for n in (0, 1))
    assert one.encode() in names_in(made)["decisions.jsonl"]
    assert other.encode() in names_in(made)["decisions.jsonl"]
    assert "Hotel 003" in run("link", folder / "other", made, "--least", "0.9").stdout.decode()


def dom(page):
    """The page as a browser has it once its script has run."""
    chromium = shutil.which("chromium") or pytest.skip("needs chromium")
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom",
         page.as_uri()],
        capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout.decode()


def test_a_portable_case_opens_in_a_browser_without_anything_else(folder):
    case, page = folder / "case", folder / "case.html"
    done = run("export", case, folder / "q.jpg", "--format", "portable", "--thumbnails", "-o", page)
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert hashlib.sha256(page.read_bytes()).hexdigest() in done.stderr.decode()
    assert NASTY not in text
    assert "http://" not in text.replace("http-equiv", "")
    assert "https://" not in text
    seen = dom(page)
    assert re.search(r"<h2[^>]*>Query 1: .*q\.jpg</h2>", seen)
    assert "Hotel 003" in seen
    assert "all.zip &gt; " in seen
    assert "&lt;b&gt;Hotel&lt;/b&gt;" in seen
    assert "<b>Hotel" not in seen
    assert seen.count('src="data:image/jpeg;base64,') == 6  # the query and its leads
    assert "blurred" in seen
    assert ">Show<" not in seen  # nothing clear is in it
    entry = json.loads((case / "audit.jsonl").read_text().splitlines()[-1])
    assert entry["action"] == "exported"
    assert (entry["counts"]["items"], entry["counts"]["thumbnails"], entry["counts"]["queries"]) == (5, 5, 1)


def test_a_portable_folder_with_pictures_that_may_be_revealed(folder):
    target = folder / "handed on"
    options = ("--format", "portable", "--thumbnails", "--reveal", "--no-places", "-o", target)
    assert run("export", folder / "case", *options).returncode == 0
    assert len(list(target.glob("pictures/clear/*.jpg"))) == 5
    seen = dom(target / "index.html")
    assert "secret-" not in (target / "index.html").read_text()
    assert seen.count(">Show<") == 5
    assert "pictures/blurred/" in seen
    assert "pictures/clear/" not in seen.partition("<script")[0]
    assert "rejected by Ada" in seen
    assert run("export", folder / "case", *options).returncode == 1
    done = run("export", folder / "case", "--format", "portable", "--reveal", "-o", folder / "no.html")
    assert b"--thumbnails" in done.stderr
    done = run("export", folder / "case", "--format", "portable", "-o", folder / "bare.html")
    assert done.returncode == 0
    assert "data:image" not in dom(folder / "bare.html").partition("<script")[0].replace("img-src data:", "")


@pytest.mark.parametrize(
    ("member", "line"),
    [
        ("labels.jsonl", {"item_id": 999, "name": "label", "value": "x"}),
        ("labels.jsonl", {"item_id": "x", "name": "label", "value": "x"}),
        ("decisions.jsonl", {"query_sha256": "0" * 64, "item_sha256": "1" * 64, "verdict": "convict"}),
        ("decisions.jsonl", {"query_sha256": "0", "item_sha256": "1" * 64, "verdict": "confirmed"}),
        ("decisions.jsonl", {"made": "up"}),
    ],
)
def test_a_pack_whose_labels_or_decisions_are_none_is_refused_in_a_line(folder, tmp_path, member, line):
    """All hashes are right: whoever made it made it so."""
    good = names_in(pack(folder, f"{tmp_path.name}.pack", "--labels", "--decisions"))
    record = json.loads(good["decisions.jsonl"]) | line if len(line) == 3 and "verdict" in line else line
    good[member] = json.dumps(record).encode() + b"\n"
    manifest = json.loads(good.pop("manifest.json"))
    manifest["members"][member] = {"bytes": len(good[member]), "sha256": hashlib.sha256(good[member]).hexdigest()}
    with zipfile.ZipFile(tmp_path / "bad.pack", "w") as archive:
        for name, data in [*good.items(), ("manifest.json", json.dumps(manifest).encode())]:
            archive.writestr(name, data)
    done = run("link", folder / "other", tmp_path / "bad.pack")
    assert done.returncode == 1
    (said,) = done.stderr.decode().splitlines()
    assert "damaged or altered pack" in said
