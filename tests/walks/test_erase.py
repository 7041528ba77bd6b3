"""On a court order everything from a source is erased, and the nightly ingest goes on."""

import json
import shutil
import zipfile

from tests.conftest import encode, picture, run, run_json

ORDER = "court order 12"


def disk(folder, name, seeds):
    """A disk with pictures; names of its files are long enough to be looked for."""
    (folder / name).mkdir()
    for seed in seeds:
        (folder / name / f"{name}-holiday-{seed}.jpg").write_bytes(encode(picture(seed), "JPEG", quality=90))
    return folder / name


def held(case):
    """Every byte of a case."""
    return b"".join(p.read_bytes() for p in sorted(case.rglob("*")) if p.is_file())


def test_erase_on_a_court_order_and_ingest_again(tmp_path):
    case, wanted, other = tmp_path / "case", disk(tmp_path, "seized", range(8)), disk(tmp_path, "other", range(7, 12))
    assert run("init", case, "--examiner", "Ada").returncode == 0
    assert run_json("ingest", case, wanted, other)["new_items"] == 12
    assert run("decide", case, 1, 2, "confirmed", "--note", "the same room, says the witness").returncode == 0

    assert run("search", case, wanted / "seized-holiday-1.jpg", "-k", "2").returncode == 0
    assert run("show", case, 2).returncode == 0
    assert b"seized-holiday-1.jpg" in (case / "audit.jsonl").read_bytes()
    head = run_json("audit", "head", case)
    noted = f"{head['entry']}:{head['sha256']}"

    # What would go is seen before anything does.
    named = run_json("delete", case, "--source", wanted, "--dry-run")
    assert len(named) == 7
    assert run_json("status", case)["items"] == 12

    done = run("delete", case, "--source", wanted, "--reason", ORDER, "--certificate", tmp_path / "cert")
    assert done.returncode == 0, done.stderr
    assert b"1 items were found elsewhere too, and stay" in done.stderr
    certificate = json.loads((tmp_path / "cert" / "certificate.json").read_text())
    assert sorted(c["sha256"] for c in certificate["contents"]) == sorted(row["sha256"] for row in named)
    assert (certificate["reason"], certificate["nothing_left"]) == (ORDER, True)
    text = (tmp_path / "cert" / "certificate.txt").read_text()
    assert all(part in text for part in (ORDER, "NOTHING IS LEFT", named[0]["sha256"]))
    assert "seized" not in text
    statement = tmp_path / "cert" / "certificate.json"
    assert run("audit", "verify-statement", statement, "--case", case).returncode == 0

    # Nothing is left in the case but hashes, in its log too, whose chain holds as it was noted.
    verified = run("audit", "verify", case, "--expect", noted)
    assert verified.returncode == 0, verified.stderr
    queries = [e["subject"] for e in run_json("audit", "show", case) if e["action"] == "search"]
    assert queries[-1]["query"] == "(erased)"
    assert b"seized-holiday" not in held(case)
    assert b"says the witness" not in held(case)
    assert run_json("decide", case, "--list") == []
    assert run("check", case).returncode == 0

    # The nightly ingest, and every other way in.
    night = run_json("ingest", case, wanted, other)
    assert (night["new_items"], night["kept_out"], night["unusable"]) == (0, 7, 0)
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for file in sorted(wanted.iterdir()):
            archive.write(file, f"elsewhere/{file.name}")
    assert run_json("ingest", case, tmp_path / "packed.zip")["kept_out"] == 7
    shutil.copytree(wanted, tmp_path / "copy")
    assert run("init", tmp_path / "second").returncode == 0
    assert run_json("ingest", tmp_path / "second", tmp_path / "copy")["new_items"] == 8
    (merged,) = run_json("merge", case, tmp_path / "second")
    assert (merged["items"], merged["kept_out"]) == (0, 7)
    erased = {row["sha256"] for row in named}
    linked = run_json("link", case, tmp_path / "second", "--least", "0.01")
    assert linked
    assert not erased & {row["other_sha256"] for row in linked}
    refused = run("decide", case, named[0]["sha256"], 9, "confirmed")
    assert refused.returncode == 1
    assert b"was erased from this case" in refused.stderr
    assert run("check", case).returncode == 0

    # Back by name alone.
    assert run("readmit", case, "--sha256", named[0]["sha256"], "--reason", "appeal").returncode == 0
    assert run_json("ingest", case, wanted)["new_items"] == 1
    assert run("check", case).returncode == 0
    listed = run_json("erasures", case, 1)
    assert sum(row["readmitted_utc"] is not None for row in listed) == 1
