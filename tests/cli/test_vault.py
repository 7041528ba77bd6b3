"""Encrypted cases from outside: what opens them, what is said where nothing does, how an alteration is found."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from benchmarks import vault_kills
from cli.app import app
from imgmatch.errors import CaseError, UsageError
from imgmatch.vault import age, unlock
from imgmatch.vault.ring import NAME, Passphrase
from indexer.care.check import check
from indexer.care.indexing import BuildConfig, build
from indexer.care.merge import merge
from indexer.case.case import Case
from indexer.case.place import Owner
from indexer.case.sealing import decrypt, encrypt, rekey
from tests.conftest import ROOT, encode, run, textured
from tests.indexer.vectors import SPEC, add, clouds

SECRET = "quite-singular-name"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="looks at files as they lie")


QUICK = ("imgmatch.vault.ring._ARGON2ID", {"memory_kib": 8192, "iterations": 1, "lanes": 1})


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """What opens a case here is forgotten."""
    monkeypatch.setattr(*QUICK)
    yield
    unlock.ask_by(unlock.from_environment)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A key, pictures, and an encrypted case of them."""
    folder = tmp_path_factory.mktemp("vault")
    secret, public = age.new_identity()
    (folder / "key").write_text(secret)
    (folder / "in").mkdir()
    for seed in range(4):
        (folder / "in" / f"{SECRET}-{seed}.jpg").write_bytes(encode(textured(seed), "JPEG", quality=90))
    for words in (
        ["init", folder / "case", "--encrypt", "--purpose", SECRET],
        ["ingest", folder / "case", folder / "in"],
    ):
        done = run("--identity", folder / "key", *words)
        assert done.returncode == 0, done.stderr
    assert "age1" in public
    return folder


@pytest.fixture
def case(world, tmp_path):
    shutil.copytree(world / "case", tmp_path / "case")
    return tmp_path / "case"


@pytest.fixture(scope="module")
def filled_once(tmp_path_factory):
    """A key, and a case of vectors with an index, encrypted for it."""
    folder = tmp_path_factory.mktemp("filled")
    secret, public = age.new_identity()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*QUICK)
        with Case.create(folder / "case", model=SPEC, owner=Owner("Ada", public)) as made:
            add(made, clouds(0, 2000))
            build(made, SPEC, BuildConfig(kind="hnsw"))
    (folder / "key").write_text(secret)
    return folder


@pytest.fixture
def filled(filled_once, tmp_path, monkeypatch):
    """A case of vectors with an index, encrypted for one person, and what opens it."""
    shutil.copytree(filled_once / "case", tmp_path / "filled")
    monkeypatch.setenv("IMGMATCH_IDENTITY", str(filled_once / "key"))
    unlock.ask_by(unlock.from_environment)
    return tmp_path / "filled"


def ask(world, *words, key="key"):
    return run("--identity", world / key, *words)


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def holds(folder, words):
    """Which of some words stand in a file of a folder, or in its name."""
    found = set()
    for path in folder.rglob("*"):
        data = str(path.relative_to(folder)).encode() + (path.read_bytes() if path.is_file() else b"")
        found |= {word for word in words if word.encode() in data}
    return found


def files(case):
    """Every file of an encrypted case that holds something, by what it is."""
    kinds = {"ring": NAME, "log": "audit.jsonl", "catalogue": "catalogue.sqlite", "manifest": "manifest.json"}
    kinds["summary"] = "summary"
    found = {kind: next(case.rglob(name)) for kind, name in kinds.items()}
    return found | {"segment": next(case.rglob("segments/*/*")), "index": next(case.rglob("index.faiss"))}


def faults(case):
    """What verifying a case finds, but that the weights of a model that is none are not here."""
    try:
        with Case.open(case, read_only=True) as opened:
            found = [str(fault) for fault in check(opened) if "weights" not in str(fault)]
            return [*found, *opened.log.verify().faults]
    except CaseError as error:
        return [str(error)]


# --- use


@pytest.mark.claim("D8")
def test_it_is_used_as_any_other_and_tells_nothing(world, case, tmp_path):
    for words in (["init", tmp_path / "plain"], ["ingest", tmp_path / "plain", world / "in"]):
        assert run(*words).returncode == 0
    query = world / "in" / f"{SECRET}-2.jpg"
    ours = json.loads(ask(world, "search", case, query, "--format", "json").stdout)
    theirs = json.loads(run("search", tmp_path / "plain", query, "--format", "json").stdout)
    assert ours["matches"] == theirs["matches"]
    assert str(query) in json.dumps(ours["matches"][0])
    assert ask(world, "audit", "verify", case).returncode == 0
    assert SECRET in ask(world, "audit", "show", case, "--format", "json").stdout.decode()
    assert ask(world, "check", case, "--sources").returncode == 0
    assert not holds(case, [SECRET, "imgmatch-rooms", "ingest", "search", "SQLite", "NUMPY"])
    assert holds(tmp_path / "plain", [SECRET, "imgmatch-rooms", "ingest"]) == {SECRET, "imgmatch-rooms", "ingest"}


@pytest.mark.claim("D9")
def test_what_does_not_open_it_is_one_line_that_says_no_more(world, case):
    (world / "stranger").write_text(age.new_identity()[0])
    command = ("status", case)
    started = time.perf_counter()
    wrong = ask(world, *command, key="stranger")
    assert time.perf_counter() - started > 0.5
    nothing = run(*command)
    environment = {**os.environ, "IMGMATCH_PASSPHRASE": "guessed"}
    guessed = run(*command, env=environment)
    somebody = run("--person", "Somebody Else", *command, env=environment)
    lines = [each.stderr.decode().splitlines() for each in (wrong, guessed, somebody)]
    assert lines[0] == lines[1] == lines[2]
    assert len(lines[0]) == 1
    assert "can't be opened" in lines[0][0]
    assert "encrypted" in nothing.stderr.decode()
    assert {each.returncode for each in (wrong, nothing, guessed, somebody)} == {1}
    assert not any(each.stdout for each in (wrong, nothing, guessed, somebody))
    assert (case / "unlock.tries").stat().st_size == 3
    assert ask(world, *command).returncode == 0
    assert not (case / "unlock.tries").exists()


@pytest.mark.claim("D10")
def test_each_wrong_answer_takes_longer(filled, monkeypatch):
    waited = []
    monkeypatch.setattr("imgmatch.vault.unlock.time", SimpleNamespace(sleep=waited.append))
    for _ in range(9):
        with pytest.raises(CaseError, match="can't be opened"):
            Case.open(filled, unlock=Passphrase("Ada", "guessed"))
    assert waited == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_passphrase_comes_from_a_descriptor_or_the_environment_and_from_no_argument(tmp_path):
    (tmp_path / "phrase").write_text("correct horse\nanother line\n")
    with (tmp_path / "phrase").open() as file:
        words = ["--passphrase-fd", file.fileno(), "--person", "Ada"]
        done = run(*words, "init", tmp_path / "case", "--encrypt", pass_fds=[file.fileno()])
        assert done.returncode == 0, done.stderr
    environment = {**os.environ, "IMGMATCH_PASSPHRASE": "correct horse", "IMGMATCH_PERSON": "Ada"}
    assert run("status", tmp_path / "case", env=environment).returncode == 0
    assert run("--person", "Eve", "status", tmp_path / "case", env=environment).returncode == 1
    helped = run("--help").stdout.decode() + run("init", "--help").stdout.decode()
    assert "--passphrase-fd" in helped
    assert "--passphrase " not in helped


def test_without_the_extra_it_says_what_to_install(world, case, monkeypatch):
    monkeypatch.setitem(sys.modules, "sqlcipher3.dbapi2", None)
    done = invoke("--identity", world / "key", "status", case)
    assert "imgmatch[vault]" in str(done.exception)


def test_a_plain_case_loads_nothing_of_it(world, tmp_path):
    assert run("init", tmp_path / "plain").returncode == 0
    code = (
        f"import sys; sys.argv = ['imgmatch', 'status', {str(tmp_path / 'plain')!r}]; from cli.main import main; main()"
    )
    done = run_python(f"{code}\n", after="print(sorted({'sqlcipher3', 'pyrage', 'cryptography'} & set(sys.modules)))")
    assert done.splitlines()[-1] == "[]"


def run_python(code, after):
    import sys

    script = f"import sys, atexit\natexit.register(lambda: {after})\n{code}"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


# --- what is altered is found


@pytest.mark.claim("D11")
@pytest.mark.parametrize("kind", ["ring", "log", "catalogue", "segment", "index", "manifest", "summary"])
def test_a_flipped_bit_anywhere_is_found_and_the_file_named(filled, kind):
    path = files(filled)[kind]
    right = path.read_bytes()
    rng = random.Random(kind)
    places = [0, len(right) // 2, len(right) - 1] + [rng.randrange(len(right)) for _ in range(5)]
    if kind == "catalogue":  # any page, also one that nothing is in
        places = [page * 4096 + rng.randrange(4096) for page in range(0, len(right) // 4096, 6)]
    for place in places:
        altered = bytearray(right)
        altered[place] ^= 1 << rng.randrange(8)
        path.write_bytes(altered)
        said = faults(filled)
        assert any(path.name in fault for fault in said), (kind, place, said)
        path.write_bytes(right)
    assert not faults(filled)


@pytest.mark.claim("D11")
@pytest.mark.slow
def test_a_flipped_bit_anywhere_in_a_delivery_keeps_it_out(tmp_path):
    env = {**os.environ, "IMGMATCH_PASSPHRASE": "secret"}
    (tmp_path / "a.jpg").write_bytes(encode(textured(1), "JPEG"))
    case = tmp_path / "case"
    for words in (["init", case, "--encrypt"], ["deliver", "--case", case, tmp_path / "a.jpg"]):
        assert run(*words, env=env).returncode == 0
    paths = [path for path in (case / "inbox").rglob("*") if path.is_file() and path.stat().st_size]
    assert len(paths) == 5, paths
    for path in paths:
        right = path.read_bytes()
        altered = bytearray(right)
        altered[len(right) - 20] ^= 4
        path.write_bytes(altered)
        done = run("access", "take-in", case, "--format", "json", env=env)
        assert done.returncode == 1
        assert path.name in json.loads(done.stdout)[0]["why"], path
        path.write_bytes(right)
    done = run("access", "take-in", case, "--format", "json", env=env)
    assert [row["items"] for row in json.loads(done.stdout)] == [1]


@pytest.mark.claim("D12")
@pytest.mark.parametrize("kind", ["ring", "log", "catalogue", "segment", "index", "manifest", "summary"])
def test_a_file_of_another_case_is_refused(filled, tmp_path, kind):
    shutil.copytree(filled, tmp_path / "other")
    with Case.open(tmp_path / "other") as other:
        rekey(other)  # with the same person's key: only the case's own keys differ
    shutil.copyfile(files(tmp_path / "other")[kind], files(filled)[kind])
    assert faults(filled), kind


def test_a_file_in_the_place_of_another_of_the_same_case_is_refused(filled):
    with Case.open(filled) as case:
        add(case, clouds(1, 50), start=5000)
        (shelf,) = case.shelves()
        first, *_, last = (shelf.folder / segment.name for segment in shelf.segments())
    shutil.copyfile(first, last)
    assert any(str(last) in fault for fault in faults(filled))


def test_without_its_keys_it_is_no_plain_case_and_nothing_is_removed(filled):
    (filled / NAME).unlink()
    before = sorted(filled.rglob("*"))
    with pytest.raises(CaseError, match=NAME):
        Case.open(filled)
    assert sorted(filled.rglob("*")) == before


@pytest.mark.claim("D13")
def test_a_case_that_was_cut_short_opens_to_its_last_commit(filled, tmp_path):
    child = os.fork()
    if child == 0:  # killed with commits in the write-ahead log
        with Case.open(filled) as case:
            for number in range(4):
                add(case, clouds(number, 20), start=10_000 + 20 * number)
            os._exit(0)
    os.waitpid(child, 0)
    log = next(filled.rglob("catalogue.sqlite-wal"))
    whole = log.stat().st_size
    met = set()
    for part in (0, 1, 2, 3, 4):
        shutil.copytree(filled, tmp_path / f"cut{part}")
        os.truncate(
            next((tmp_path / f"cut{part}").rglob("catalogue.sqlite-wal")), whole * part // 4 - 7 * (part in (1, 2))
        )
        with Case.open(tmp_path / f"cut{part}") as case:
            met.add(case.catalogue.counts()["items"])
            assert not case.catalogue.integrity()
    assert 2000 < max(met) <= 2080
    assert len(met) > 2


# --- encrypted, decrypted, under new keys, destroyed


def test_there_and_back_everything_is_as_it_was(tmp_path, monkeypatch):
    secret, public = age.new_identity()
    (tmp_path / "key").write_text(secret)
    monkeypatch.setenv("IMGMATCH_IDENTITY", str(tmp_path / "key"))
    unlock.ask_by(unlock.from_environment)
    with Case.create(tmp_path / "case", model=SPEC) as case:
        add(case, clouds(0, 2000))
        build(case, SPEC, BuildConfig(kind="hnsw"))

    def told():
        with Case.open(tmp_path / "case") as case:
            (shelf,) = case.shelves()
            rows = shelf.store().gather(shelf.store().ids())[0].tobytes()
            generation = shelf.generation()
            assert not case.log.verify().faults
            assert generation is not None
            return rows, case.catalogue.counts(), case.catalogue.meta.all(), [e["action"] for e in case.log.entries()]

    rows, counts, meta, actions = told()
    for act, entry in (
        (lambda case: encrypt(case, Owner("Ada", public)), "encrypt"),
        (rekey, "rotate"),
        (decrypt, "decrypt"),
    ):
        with Case.open(tmp_path / "case") as case:
            act(case)
        actions = [*actions, entry, "signed"]
        assert told() == (rows, counts, meta, actions)
        assert not faults(tmp_path / "case")
        assert bool(holds(tmp_path / "case", ["/media/a/"])) == (entry == "decrypt")
    assert {path.name for path in (tmp_path / "case").iterdir()} == {
        "audit.jsonl", "build.lock", "catalogue.sqlite", "indexes", "run.lock", "segments", "write.lock",
    }  # fmt: skip


def test_who_has_it_open_meanwhile_is_told_and_leaves_no_use_unrecorded(filled):
    with Case.open(filled) as open_elsewhere, Case.open(filled) as case:
        rekey(case)
        with pytest.raises(CaseError, match="meanwhile"), open_elsewhere.use("check"):
            pass
    with Case.open(filled) as case:
        assert not case.log.verify().faults


def test_while_it_is_written_to_it_is_left_alone(filled):
    busy = pytest.raises(CaseError, match="another imgmatch is writing")
    with Case.open(filled) as writer, writer.writing(), Case.open(filled) as case, busy:
        decrypt(case)
    assert not list(filled.glob("catalogue*"))


@pytest.mark.claim("D15")
def test_nothing_of_it_goes_into_a_plain_case_or_to_a_server(filled, tmp_path):
    with Case.create(tmp_path / "plain", model=SPEC) as plain, Case.open(filled, read_only=True) as other:
        with pytest.raises(UsageError, match="encrypted"):
            merge(plain, other)
        assert plain.catalogue.counts()["items"] == 0
    done = invoke("index", "move", filled, "--to", "milvus", "--uri", "https://127.0.0.1:1")
    assert "in the clear" in str(done.exception)
    _, public = age.new_identity()
    made = Case.create(tmp_path / "sealed", model=SPEC, owner=Owner("Bo", public))
    with made as case, Case.open(filled, read_only=True) as other:
        assert merge(case, other).items == 2000
    assert not holds(tmp_path / "sealed", ["/media/a/", "clouds"])


def test_what_was_erased_is_looked_for_in_what_its_files_hold(world, case):
    done = ask(world, "delete", case, "--item", "2", "--reason", "asked", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["bytes_looked_at"] > 300_000
    assert not holds(case, [SECRET])


@pytest.mark.claim("D16")
def test_it_is_destroyed_keys_first_and_a_certificate_says_so(world, case, tmp_path):
    (case / "notes.txt").write_text("mine")
    refused = ask(world, "destroy", case, "--certificate", tmp_path / "out", "--reason", "over")
    assert (refused.returncode, case.exists()) == (1, True)
    done = ask(world, "destroy", case, "--certificate", tmp_path / "out", "--reason", "over", "--yes")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in case.iterdir()] == ["notes.txt"]
    made = json.loads((tmp_path / "out" / "certificate.json").read_text())
    assert (made["reason"], made["files_left"], made["counts"]["items"]) == ("over", ["notes.txt"], 4)
    assert "keys were overwritten" in (tmp_path / "out" / "certificate.txt").read_text()
    assert run("audit", "verify-statement", tmp_path / "out" / "certificate.json").returncode == 0
    assert ask(world, "status", case).returncode == 1


@pytest.mark.claim("D14")
def test_killed_at_any_moment_it_is_in_one_state_or_the_other(tmp_path):
    found = vault_kills.run(10, tmp_path, seed=int(time.time()))
    assert sum(found["states"].values()) == 15
    assert {state.split(":")[0] for state in found["states"]} == {"encrypt", "decrypt", "rotate", "revoke", "destroy"}


def test_a_destruction_that_was_cut_off_behind_its_certificate_is_ended(tmp_path):
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "destroyed.json").write_bytes(bytes(80))
    done = run("destroy", tmp_path / "case", "--yes", "--reason", "over", "--certificate", tmp_path / "again")
    assert done.returncode == 0, done.stderr
    assert b"was destroyed before" in done.stderr
    assert not (tmp_path / "case").exists()
    assert not (tmp_path / "again").exists()


def test_a_case_that_is_not_there_is_named_before_anybody_is_asked(tmp_path):
    done = run("encrypt", tmp_path / "nowhere")
    assert (done.returncode, b"no such folder" in done.stderr) == (1, True)
