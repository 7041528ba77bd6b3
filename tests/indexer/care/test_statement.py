"""Statements of runs: that they list everything, add up, and show when anything of them was changed."""

import hashlib
import json
import shutil
import subprocess

import pytest
from typer.testing import CliRunner

from cli.app import app
from imgmatch.errors import UsageError
from imgmatch.locator import Locator
from indexer.care.delete import delete
from indexer.care.statement import check_statement, write_statement
from indexer.intake.ingest import IngestConfig, ingest
from indexer.intake.known import import_list
from tests.conftest import encode, picture, run
from tests.indexer.vectors import inside


@pytest.fixture
def filled(case, embedder, photographs):
    (photographs / "note.txt").write_text("words")
    (photographs / "empty.jpg").touch()
    ingest(case, [photographs], embedder)
    return case


def called(*arguments):
    """What a command printed; in this process, which is quicker."""
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, (arguments, done.output, done.exception)
    return done.stdout


def lines(folder, name):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_it_lists_what_was_read_and_what_not_and_adds_up(filled, tmp_path, photographs):
    made = write_statement(filled, 1, tmp_path / "s")
    assert made["adds_up"], made["checks"]
    found = lines(tmp_path / "s", "found.jsonl")
    assert len(found) == 12
    assert len({row["sha256"] for row in found}) == 11
    assert all(row["size_bytes"] and row["modified_utc"] and row["read_utc"] and row["sha1"] for row in found)
    skipped = lines(tmp_path / "s", "skipped.jsonl")
    assert sorted(row["error"] for row in skipped) == ["empty", "not_a_picture"]
    assert made["totals"]["read_bytes"] == sum(p.stat().st_size for p in photographs.rglob("*") if p.is_file())
    text = (tmp_path / "s" / "statement.txt").read_text()
    assert "ADDS UP" in text
    assert str(photographs) in text
    assert made["audit"]["sha256"] in text
    assert check_statement(tmp_path / "s" / "statement.json", filled)["faults"] == []


def test_reading_again_is_a_run_of_its_own_and_the_first_statement_stays_true(filled, embedder, tmp_path, photographs):
    (photographs / "empty.jpg").write_bytes(encode(picture(70), "JPEG"))
    ingest(filled, [photographs], embedder, IngestConfig(reread=True))
    ingest(filled, [photographs, photographs], embedder)
    again = write_statement(filled, 2, tmp_path / "2")
    assert again["adds_up"], again["checks"]
    found = lines(tmp_path / "2", "found.jsonl")
    assert [row["first_seen_by_this_run"] for row in found].count(True) == 1
    assert len(found) == 13
    first = write_statement(filled, 1, tmp_path / "1")
    assert first["adds_up"], first["checks"]
    assert [row["settled_since"] for row in lines(tmp_path / "1", "skipped.jsonl")].count(True) == 2
    assert write_statement(filled, 3, tmp_path / "3")["adds_up"]


def test_files_that_hash_lists_left_out_are_listed_and_add_up(case, embedder, tmp_path, photographs):
    left_out = photographs / "05.jpg"
    digest = hashlib.sha256(left_out.read_bytes()).hexdigest()
    for name in ("junk", "more junk"):
        (tmp_path / "list.txt").write_text(digest + "\n")
        import_list(case, tmp_path / "list.txt", "ignore", name)
    ingest(case, [photographs], embedder)
    made = write_statement(case, 1, tmp_path / "s")
    assert made["adds_up"], made["checks"]
    (row,) = lines(tmp_path / "s", "ignored.jsonl")
    assert (row["locator"], row["sha256"]) == (str(Locator.file(left_out)), digest)
    assert row["lists"] == ["junk", "more junk"]
    assert made["totals"]["files_ignored"] == 1
    assert check_statement(tmp_path / "s" / "statement.json", case)["faults"] == []
    assert made["totals"]["read_bytes"] == sum(p.stat().st_size for p in photographs.rglob("*") if p.is_file())
    (tmp_path / "s" / "ignored.jsonl").write_text("")
    faults = check_statement(tmp_path / "s" / "statement.json", case)["faults"]
    assert faults == ["ignored.jsonl is not as it was made"]


def test_what_does_not_add_up_is_said(filled, tmp_path):
    delete(filled, items=[1])
    made = write_statement(filled, 1, tmp_path / "s")
    assert not made["adds_up"]
    wrong = [check["what"] for check in made["checks"] if not check["holds"]]
    assert wrong[0].startswith("files read")
    assert "DOES NOT ADD UP" in (tmp_path / "s" / "statement.txt").read_text()


def test_a_killed_run_has_no_totals(filled, embedder, tmp_path):
    with inside(filled).transaction() as writer:  # what a kill leaves
        writer.runs.start("ingest", "0", "test", {"paths": []}, "2024-01-01T00:00:00Z")
    made = write_statement(filled, 2, tmp_path / "s")
    assert not made["adds_up"]
    assert "not finished" in (tmp_path / "s" / "statement.txt").read_text()


@pytest.mark.claim("L12")
def test_any_change_of_it_is_found(filled, tmp_path):
    folder = tmp_path / "s"
    write_statement(filled, 1, folder)
    for name in ("statement.json", "statement.txt", "found.jsonl", "skipped.jsonl"):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        (copy / name).write_text((copy / name).read_text().replace("1", "2", 1))
        assert check_statement(copy / "statement.json")["faults"], name
        (copy / name).unlink()
        if name != "statement.json":
            assert check_statement(copy / "statement.json")["faults"], name
    with pytest.raises(UsageError, match="no statement"):
        check_statement(folder / "found.jsonl")


def test_one_that_the_log_does_not_know_is_told(filled, tmp_path):
    write_statement(filled, 1, tmp_path / "s")
    kept = [line for line in filled.log.path.read_bytes().splitlines(keepends=True) if b'"statement"' not in line]
    filled.log.path.write_bytes(b"".join(kept))
    faults = check_statement(tmp_path / "s" / "statement.json", filled)["faults"]
    assert any("no record of this statement" in fault for fault in faults)


def test_a_run_that_is_none_is_an_error(filled, tmp_path):
    with pytest.raises(UsageError, match="run 9: not in"):
        write_statement(filled, 9, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_signed_by_a_key_and_by_no_other(filled, tmp_path):
    pytest.importorskip("cryptography", reason="needs the extra sign (cryptography)")
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    def save(name, key):
        private, public = tmp_path / name, tmp_path / f"{name}.pub"
        private.write_bytes(key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()))
        form = pem.PublicFormat.SubjectPublicKeyInfo
        public.write_bytes(key.public_key().public_bytes(pem.Encoding.PEM, form))
        return private, public

    private, public = save("ours", ed25519.Ed25519PrivateKey.generate())
    _, other = save("theirs", ed25519.Ed25519PrivateKey.generate())
    wrong, _ = save("curve", ec.generate_private_key(ec.SECP256R1()))
    made = write_statement(filled, 1, tmp_path / "s", private)
    file = tmp_path / "s" / "statement.json"
    assert check_statement(file, filled, public)["faults"] == []
    assert "another key" in check_statement(file, None, other)["faults"][0]
    # Sealed anew after a change: the hash is right, the signature can't be.
    made["totals"]["files_read"] += 1
    seal = made.pop("seal")
    data = json.dumps(made, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    made["seal"] = {**seal, "sha256": hashlib.sha256(data).hexdigest()}
    file.write_text(json.dumps(made))
    assert check_statement(file)["faults"] == ["the signature is wrong"]
    with pytest.raises(UsageError, match="no Ed25519 private key"):
        write_statement(filled, 1, tmp_path / "t", wrong)
    with pytest.raises(UsageError, match="can't be used as a key"):
        write_statement(filled, 1, tmp_path / "t", tmp_path / "s" / "statement.txt")
    assert not (tmp_path / "t").exists()


def test_every_way_to_look_at_pictures_or_matches_is_recorded_from_the_command_line(filled, photographs, tmp_path):
    case, query = filled.path, photographs / "01.jpg"
    calls = {
        "search": ("search", case, query),
        "explain": ("explain", case, query, 2, "-o", tmp_path / "why.png"),
        "report": ("export", case, query, "-o", tmp_path / "r"),
        "groups": ("groups", case),
        "decide": ("decide", case, 1, 2, "rejected"),
        "decisions": ("decide", case, "--list"),
        "issues": ("issues", case),
        "check": ("check", case, "--sources"),
        "statement": ("audit", "statement", case, 1, "-o", tmp_path / "s"),
    }
    for action, arguments in calls.items():
        before = filled.log.head().entry
        called(*arguments)
        new = [entry for entry in filled.log.entries() if entry["entry"] > before]
        assert action in {entry["action"] for entry in new}
        for entry in new:
            fields = {"time_utc", "actor", "version", "arguments", "subject", "model", "weights_sha256", "counts"}
            assert entry.keys() >= fields
            assert (entry["model"] is None) == (entry["weights_sha256"] is None)
    head = json.loads(called("audit", "head", case, "--format", "json"))
    called("audit", "verify", case, "--expect", head["expect"])
    assert filled.log.head().entry == head["entry"]  # neither is use of the pictures
    shown = json.loads(called("audit", "show", case, "--last", 1, "--format", "json"))
    assert [entry["action"] for entry in shown] == ["statement"]
    assert "rejected" in called("audit", "show", case, "--action", "decide", "--format", "csv")
    done = run("audit", "verify", case, "--expect", f"{head['entry']}:{'0' * 64}", "--format", "json")
    assert done.returncode == 1
    assert len(json.loads(done.stdout)["faults"]) == 1
    called("audit", "verify-statement", tmp_path / "s" / "statement.json", "--case", case)
    (tmp_path / "s" / "found.jsonl").write_text("")
    done = run("audit", "verify-statement", tmp_path / "s" / "statement.json", "--case", case)
    assert done.returncode == 1
    assert b"found.jsonl is not as it was made" in done.stderr


@pytest.mark.claim("L15")
def test_sources_are_told_gone_changed_and_unreadable_and_nothing_is_written(filled, photographs, tmp_path):
    (photographs / "00.jpg").write_bytes(encode(picture(60), "JPEG"))
    (photographs / "01.jpg").unlink()
    (photographs / "02.jpg").unlink()
    (photographs / "02.jpg").mkdir()
    before = {path: path.stat().st_mtime_ns for path in photographs.rglob("*")}
    done = run("check", filled.path, "--sources", "--format", "json")
    assert done.returncode == 1
    assert {path: path.stat().st_mtime_ns for path in photographs.rglob("*")} == before
    faults = json.loads(done.stdout)
    assert [(f["part"], f["kind"], f["message"].split(": ")[0][-6:]) for f in faults] == [
        ("source", "changed", "00.jpg"),
        ("source", "gone", "01.jpg"),
        ("source", "unreadable", "02.jpg"),
    ]
    assert b"1 source changed, 1 source gone, 1 source unreadable" in done.stderr
    last = list(filled.log.entries(action="checked"))[-1]
    assert last["counts"]["source gone"] == 1
    assert last["counts"]["sightings"] == 12


def test_a_statement_can_be_checked_with_openssl_alone(filled, tmp_path):
    pytest.importorskip("cryptography", reason="needs the extra sign (cryptography)")
    if shutil.which("openssl") is None:
        pytest.skip("needs the tool openssl")
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True)
    made = write_statement(filled, 1, tmp_path / "s", key)
    seal = made.pop("seal")
    (tmp_path / "data").write_bytes(
        json.dumps(made, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    )
    (tmp_path / "signature").write_bytes(bytes.fromhex(seal["signature"]))
    done = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-inkey", key, "-rawin", "-in", tmp_path / "data",
         "-sigfile", tmp_path / "signature"], capture_output=True, text=True,
    )  # fmt: skip
    assert "Verified Successfully" in done.stdout, done
