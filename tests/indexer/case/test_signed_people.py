"""People of an encrypted case sign what they do, by keys that the case holds for each of them."""

import base64
import json
import os
import shutil

import pytest
from typer.testing import CliRunner

from cli.app import app
from imgmatch.vault import age, unlock
from imgmatch.vault.ring import Identity, Ring
from indexer.care.access import grant, revoke, rotate
from indexer.care.destroy import begin, finish
from indexer.case.case import Case
from indexer.case.operations import Role
from indexer.case.place import Owner
from indexer.case.sealing import decrypt, encrypt
from indexer.case.signing import KEY
from tests.indexer.vectors import SPEC

pytest.importorskip("pyrage")
pytest.importorskip("sqlcipher3")


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Nobody has a key in a file, and what opens a case here is forgotten."""
    monkeypatch.delenv(KEY, raising=False)
    yield
    unlock.ask_by(unlock.from_environment)


@pytest.fixture
def keys(tmp_path):
    """What opens a case to three people, and its public half; each also as a file."""
    made = {}
    for name in ("Ada", "Bob", "Cy"):
        secret, public = age.new_identity()
        (tmp_path / name).write_text(secret)
        made[name] = (Identity(secret), public)
    return made


@pytest.fixture
def case(tmp_path, keys):
    with Case.create(tmp_path / "case", model=SPEC, owner=Owner("Ada", keys["Ada"][1])) as made:
        grant(made, "Bob", Role.examiner, keys["Bob"][1])
        grant(made, "Cy", Role.auditor, keys["Cy"][1])
    return tmp_path / "case"


def used(case, who, *actions):
    with Case.open(case, unlock=who[0]) as opened:
        for action in actions:
            with opened.use(action):
                pass


def told(case, tmp_path, who="Ada"):
    """What ``audit verify`` says of a case, and of a copy of its log: the same."""
    copy = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl"

    def asked(*words):
        env = {unlock.IDENTITY: str(tmp_path / who), KEY: ""}
        done = CliRunner().invoke(app, [str(word) for word in words], env=env)
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    asked("audit", "export", case, "-o", copy)
    ours, theirs = (json.loads(asked("audit", "verify", of, "--format", "json")) for of in (case, copy))
    assert (ours["faults"], theirs["faults"]) == ([], [])
    assert (ours["signers"], ours["unsigned"]) == (theirs["signers"], theirs["unsigned"])
    return [(row["name"], row["known"], row["entries"]) for row in ours["signers"]], ours["unsigned"]


@pytest.mark.claim("L16")
@pytest.mark.parametrize("who", ["Ada", "Cy"])
def test_each_person_signs_what_they_do_by_a_key_of_their_own(case, keys, tmp_path, who):
    # 1 init 2-5 grants 6 signed, 7 8 Bob's 9 signed, 10 Ada's 11 signed
    used(case, keys["Bob"], "search", "show")
    used(case, keys["Ada"], "search")
    assert told(case, tmp_path, who) == ([("Ada", True, "1-5, 10"), ("Bob", True, "7-8")], "")


def test_what_a_killed_command_left_is_said_to_be_nobodys(case, keys, tmp_path):
    child = os.fork()
    if child == 0:
        opened = Case.open(case, unlock=keys["Bob"][0])
        with opened.use("search"):
            pass
        os._exit(0)
    os.waitpid(child, 0)
    used(case, keys["Ada"], "search")
    assert told(case, tmp_path)[1] == "7"


def test_who_is_put_out_is_known_for_what_they_did_before(case, keys, tmp_path):
    used(case, keys["Bob"], "search")
    old = Ring.read(case).unlock(keys["Bob"][0])
    with Case.open(case, unlock=keys["Ada"][0]) as opened:
        revoke(opened, "Bob")
    with Case.open(case, unlock=keys["Ada"][0]) as opened:
        opened.signer = old.person_signer()  # he has his key still, and somebody signs with it
        with opened.use("search"):
            pass
    # 7 Bob's 8 signed, 9 revoke 10 signed, 11 search 12 signed
    assert told(case, tmp_path) == ([("Ada", True, "1-5, 9"), ("Bob", True, "7"), ("Bob", False, "11")], "11")


def test_encrypted_decrypted_under_new_keys_and_destroyed_it_is_signed_who_did_it(tmp_path, keys):
    Case.create(tmp_path / "case", model=SPEC).close()
    with Case.open(tmp_path / "case") as opened:
        encrypt(opened, Owner("Ada", keys["Ada"][1]))
    with Case.open(tmp_path / "case", unlock=keys["Ada"][0]) as opened:
        rotate(opened)
    with Case.open(tmp_path / "case", unlock=keys["Ada"][0]) as opened:
        decrypt(opened)
    # 1 init, 2 encrypt 3 signed, 4 rotate 5 signed, 6 decrypt 7 signed
    assert told(tmp_path / "case", tmp_path) == ([("Ada", True, "2, 4, 6")], "1")
    with Case.open(tmp_path / "case") as opened:
        encrypt(opened, Owner("Ada", keys["Ada"][1]))
    with Case.open(tmp_path / "case", unlock=keys["Ada"][0]) as opened:
        begun = begin(opened, "a reason that no disk keeps")
    assert begun["reason"] == "a reason that no disk keeps"
    assert "no disk keeps" not in (tmp_path / "case" / "destroyed.json").read_text()
    made = finish(tmp_path / "case", tmp_path / "out", reason="said again")  # as after a kill
    assert (made["reason"], made["case"]) == ("said again", {"case_id": begun["case"]["case_id"]})
    assert made["audit"]["entry"] == 11  # 10 and its signature


def test_nobody_signs_for_another(case, keys):
    ring = Ring.read(case)
    opened = {name: ring.unlock(secret) for name, (secret, _) in keys.items()}
    assert len({each.signing for each in opened.values()}) == 3
    people = {person.name: person for person in ring.people(opened["Ada"])}
    for name, each in opened.items():
        assert each.person_signer().public_key().public_bytes_raw().hex() == people[name].signs
    for number, (secret, _) in enumerate(keys.values()):
        mine = age.identities(secret.text)
        sealed = [base64.b64decode(entry["signing"]) for entry in ring._body["people"]]
        assert [age.decrypted(each, mine) is not None for each in sealed] == [number == n for n in range(3)]


def test_a_key_in_a_file_goes_before_that_of_the_case(case, keys, tmp_path, monkeypatch):
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    form = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    key = ed25519.Ed25519PrivateKey.generate()
    how = form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
    (tmp_path / "pem").write_bytes(key.private_bytes(*how))
    monkeypatch.setenv(KEY, str(tmp_path / "pem"))
    used(case, keys["Bob"], "search")
    assert told(case, tmp_path)[0][1:] == [("", False, "7")]


def test_an_older_copy_of_an_encrypted_case_put_in_its_place_is_found_by_its_receipt(case, keys, tmp_path):
    shutil.copytree(case, tmp_path / "old")
    used(case, keys["Bob"], "search")
    env = {unlock.IDENTITY: str(tmp_path / "Cy"), KEY: ""}  # an auditor's key is enough
    receipt = json.loads(CliRunner().invoke(app, ["audit", "receipt", str(case), "--format", "json"], env=env).stdout)
    shutil.rmtree(case)
    shutil.copytree(tmp_path / "old", case)
    for words, code in ((receipt["words"], 1), (receipt["text"], 1)):
        done = CliRunner().invoke(app, ["audit", "verify", str(case), "--receipt", words], env=env)
        assert done.exit_code == code, done.output
    assert CliRunner().invoke(app, ["audit", "verify", str(case)], env=env).exit_code == 0
