"""Signatures, receipts and time-stamps of an audit log: in a case, and in a copy of its log alone."""

import io
import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from cli.app import app
from imgmatch.errors import UsageError
from indexer.care.stamps import attach, request, verified
from indexer.case import receipt
from indexer.case.attested import Attested
from indexer.case.case import Case
from indexer.case.chain import ANY, Head, verify_copy
from indexer.case.signing import KEY
from indexer.out.codes import inline_code, qr_code
from tests.indexer.vectors import SPEC
from tests.tsa import tsa

ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Private and public keys of three people, as files."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ada", "bob", "eve"):
        key = ed25519.Ed25519PrivateKey.generate()
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (folder / name).write_bytes(key.private_bytes(*form))
        public = key.public_key().public_bytes(form[0], serialization.PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{name}.pub").write_bytes(public)
    return folder


def invoke(*words, key=None):
    return CliRunner().invoke(app, [str(word) for word in words], env={KEY: str(key) if key else ""})


def told(*words):
    """What ``audit verify`` says, as JSON, and whether it found a fault."""
    done = invoke("audit", "verify", *words, "--format", "json")
    return json.loads(done.stdout), done.exit_code


def used(case, *actions, key=None, monkeypatch):
    """Some uses of a case, by whoever has this key."""
    monkeypatch.setenv(KEY, str(key) if key else "")
    with Case.open(case) as opened:
        for action in actions:
            with opened.use(action):
                pass
            with opened.change("test"):
                pass


@pytest.fixture
def case(tmp_path, keys, monkeypatch):
    """Made by Ada, who is known; used by her, by Bob, who is not, and by somebody without a key."""
    monkeypatch.setenv(KEY, str(keys / "ada"))
    Case.create(tmp_path / "case", model=SPEC).close()
    assert invoke("audit", "signer", tmp_path / "case", "--name", "Ada", "--key", keys / "ada.pub").exit_code == 0
    used(tmp_path / "case", "search", "show", key=keys / "ada", monkeypatch=monkeypatch)
    used(tmp_path / "case", "search", key=keys / "bob", monkeypatch=monkeypatch)
    used(tmp_path / "case", "search", monkeypatch=monkeypatch)
    monkeypatch.delenv(KEY)
    return tmp_path / "case"


def copied(case):
    file = case.parent / f"{len(list(case.parent.iterdir()))}.jsonl"
    assert invoke("audit", "export", case, "-o", file).exit_code == 0
    return file


@pytest.mark.claim("L9")
@pytest.mark.parametrize("of", [lambda case: case, copied], ids=["a case", "a copy of its log"])
def test_it_is_said_who_signed_what_and_what_nobody_did(case, keys, of):
    # 1 init 2 signed, 3 signer, 4 to 7 Ada's, 8 signed, 9 10 Bob's, 11 signed, 12 13 nobody's
    said, code = told(of(case))
    assert code == 0
    assert said["faults"] == []
    rows = [(row["name"], row["known"], row["entries"]) for row in said["signers"]]
    assert rows == [("Ada", True, "1, 4-7"), ("", False, "9-10")]
    assert said["unsigned"] == "3, 9-10, 12-13"
    assert any("9-10 are signed by a key that the case does not know" in note for note in said["notes"])
    assert told(of(case), "--signed")[1] == 1
    said, _ = told(of(case), "--public-key", keys / "bob.pub")
    assert [(row["known"], row["entries"]) for row in said["signers"]] == [(True, "9-10"), (False, "1, 4-7")]


def test_who_is_removed_is_known_for_what_they_signed_before(case, keys, monkeypatch):
    assert invoke("audit", "signer", case, "--name", "Ada", "--key", keys / "ada.pub", "--remove").exit_code == 0
    used(case, "search", key=keys / "ada", monkeypatch=monkeypatch)
    said, _ = told(case)
    rows = [(row["name"], row["known"], row["entries"]) for row in said["signers"]]
    assert rows == [("Ada", True, "1, 4-7"), ("", False, "9-10"), ("Ada", False, "15-16")]
    done = invoke("audit", "signer", case, "--name", "Ada", "--key", keys / "ada.pub", "--remove")
    assert "is no signer of this case" in str(done.exception)


def changed(lines, number, **fields):
    """The lines of a log with an entry changed, and the chain computed anew from there."""
    from indexer.case.redaction import digest, line_of

    entries = [json.loads(line) for line in lines]
    entries[number - 1] |= fields
    made, before = [], "0" * 64
    for entry in entries:
        entry.pop("salts", None)
        line = line_of({**entry, "before": before})
        before = digest(line)
        made.append(line)
    return b"".join(made)


@pytest.mark.claim("L7")
@pytest.mark.parametrize("number", [1, 4, 7, 9, 10])
def test_a_chain_computed_anew_is_told_by_its_signatures(case, number):
    copy = copied(case)
    copy.write_bytes(changed(copy.read_bytes().splitlines(), number, counts={"items": 9}))
    assert verify_copy(copy).faults == []  # the chain alone does not tell
    said, code = told(copy)
    assert code == 1
    assert any("is not as it was then" in fault or "signature" in fault for fault in said["faults"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("signature", "00" * 64), ("signature", "zz"), ("public_key", "11" * 32), ("signs", {}), ("signs", None),
        ("signs", {"case_id": "x", "entries": [[1, 99]], "head": {"entry": 99, "sha256": "0" * 64}}),
    ],
)  # fmt: skip
def test_a_signature_that_is_none_is_a_fault_and_no_more(case, field, value):
    copy = copied(case)
    copy.write_bytes(changed(copy.read_bytes().splitlines(), 11, **{field: value}))
    said, code = told(copy)
    assert code == 1
    assert any(fault.startswith("entry 11:") for fault in said["faults"])


@pytest.mark.claim("L8")
def test_a_signature_of_one_case_is_none_in_another(case, keys, tmp_path, monkeypatch):
    Case.create(tmp_path / "other", model=SPEC).close()
    used(tmp_path / "other", *["search"] * 6, monkeypatch=monkeypatch)
    ours, theirs = (copied(folder).read_bytes().splitlines(keepends=True) for folder in (case, tmp_path / "other"))
    signed = {name: json.loads(ours[10])[name] for name in ("action", "signs", "public_key", "signature")}
    copy = tmp_path / "forged.jsonl"
    copy.write_bytes(changed(theirs, 13, **signed))
    said, code = told(copy)
    assert code == 1
    assert "of another case" in said["faults"][0]


def test_a_part_of_a_log_is_verified_as_a_part(case, tmp_path):
    lines = copied(case).read_bytes().splitlines(keepends=True)
    part = tmp_path / "part.jsonl"
    part.write_bytes(b"".join(lines[5:12]))
    said, code = told(part)
    assert code == 0, said
    assert any("begins at entry 6" in note for note in said["notes"])
    assert {row["entries"] for row in said["signers"]} == {"6-7", "9-10"}
    part.write_bytes(b"".join(lines[5:8] + lines[9:12]))
    assert told(part)[1] == 1
    part.write_bytes(b"nothing\n")
    assert "is no copy of an audit log" in str(invoke("audit", "verify", part).exception)


def test_a_key_that_can_not_be_used_is_named_before_anything_is_done(case, tmp_path):
    (tmp_path / "bad").write_text("no key")
    for key in (tmp_path / "bad", tmp_path / "nowhere"):
        done = invoke("erasures", case, key=key)
        assert str(key) in str(done.exception)
        done = invoke("init", tmp_path / "new", key=key)
        assert str(key) in str(done.exception)
        assert not (tmp_path / "new").exists()


@pytest.mark.claim("L11")
def test_a_clock_that_was_set_back_is_noted(case, monkeypatch):
    monkeypatch.setattr("indexer.case.audit.now_utc", lambda: "2020-01-01T00:00:00.000Z")
    used(case, "search", monkeypatch=monkeypatch)
    said, code = told(case)
    assert code == 0
    assert any("the clock was set back before entries 14, 15" in note for note in said["notes"])


# --- receipts


def test_words_say_88_bits_and_nothing_else_does():
    head = Head(7, "0123456789abcdef" * 4)
    words = receipt.words(head)
    assert len(words.split()) == 8
    assert receipt.parse(f"7 {words}") == Head(7, head.sha256[:22])
    assert receipt.parse(words.upper().replace(" ", ", ")) == Head(ANY, head.sha256[:22])
    assert receipt.parse(" ".join(word[:4] for word in words.split())) == Head(ANY, head.sha256[:22])
    assert receipt.parse(receipt.text("case", head)) == head
    for wrong in ("", "one two", words + " zoo", "abandn " * 8, "7:12"):
        with pytest.raises(UsageError):
            receipt.parse(wrong)
    with pytest.raises(UsageError, match=r"'abandn': is no word of a receipt; abandon\?"):
        receipt.parse("abandn " * 8)


@pytest.mark.claim("L6")
def test_an_older_copy_put_in_the_place_of_a_case_is_found_by_its_receipt(case, monkeypatch):
    shutil.copytree(case, case.parent / "old")
    used(case, "search", monkeypatch=monkeypatch)
    (row,) = [json.loads(invoke("audit", "receipt", case, "--format", "json").stdout)]
    for given in (row["words"], f"{row['entry']} {row['words']}", row["text"]):
        used(case, "search", monkeypatch=monkeypatch)
        assert told(case, "--receipt", given)[1] == 0
        assert told(copied(case), "--receipt", given)[1] == 0
        said, code = told(case.parent / "old", "--receipt", given)
        assert code == 1
        assert len(said["faults"]) == 1
    used(case.parent / "old", *["search"] * 4, monkeypatch=monkeypatch)  # goes on, to be as long
    assert told(case.parent / "old", "--receipt", row["words"])[1] == 1


def test_a_receipt_is_a_code_that_can_be_read(case):
    segno = pytest.importorskip("segno")
    assert invoke("audit", "receipt", case, "--qr", case.parent / "code.svg").exit_code == 0
    with Case.open(case) as opened:
        text = receipt.text(opened.catalogue.meta.all()["case_id"], opened.log.head())
    right = io.BytesIO()
    segno.make(text, error="m", micro=False).save(right, kind="svg", scale=6, border=4)
    assert (case.parent / "code.svg").read_bytes() == right.getvalue()
    assert "<svg" in inline_code(text)
    cv2 = pytest.importorskip("cv2")
    texts = [receipt.text(f"case-{number}", Head(number, f"{number:064x}")) for number in range(8)]
    detector = cv2.QRCodeDetector()  # which does not see every code
    pictures = (cv2.imdecode(np.frombuffer(qr_code(text, "png"), np.uint8), cv2.IMREAD_GRAYSCALE) for text in texts)
    read = [detector.detectAndDecode(picture)[0] for picture in pictures]
    assert set(read) - {""} <= set(texts)
    assert sum(map(bool, read)) > 1


# --- time-stamps


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return tsa(tmp_path_factory.mktemp("tsa"))


def test_a_time_stamp_goes_along_with_the_log_and_is_verified_offline(case, authority, monkeypatch):
    folder, answered = authority
    asked, answer = case.parent / "asked.tsq", case.parent / "answer.tsr"
    assert invoke("audit", "receipt", case, "--request", asked).exit_code == 0
    used(case, "search", monkeypatch=monkeypatch)
    answer.write_bytes(answered(asked.read_bytes()))
    done = invoke("audit", "stamp", case, answer, "--tsa", folder / "ca.pem", "--format", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["entry"] == 13
    for of in (case, copied(case)):
        said, code = told(of, "--tsa", folder / "ca.pem")
        assert code == 0, said
        assert [(row["up_to_entry"], row["verified"]) for row in said["stamps"]] == [(13, True)]
        assert told(of)[0]["stamps"][0]["verified"] is False
        said, code = told(of, "--tsa", folder / "other.pem")
        assert code == 1
        assert "its time-stamp: does not verify" in said["faults"][0]


def test_an_authority_may_send_its_certificates_in_any_order(case, authority, tmp_path):
    folder, answered = authority
    with Case.open(case) as opened:
        case_id, head = opened.catalogue.meta.all()["case_id"], opened.log.head()
        for chain in (["ca.pem", "other.pem"], ["other.pem", "ca.pem"]):
            (folder / "chain.pem").write_bytes(b"".join((folder / name).read_bytes() for name in chain))
            (tmp_path / "token").write_bytes(answered(request(case_id, head), ("-chain", "chain.pem")))
            attach(opened, tmp_path / "token", [folder / "ca.pem"])


def test_what_is_no_time_stamp_of_this_log_is_not_attached(case, authority, tmp_path):
    folder, answered = authority
    with Case.open(case) as opened:
        case_id, head = opened.catalogue.meta.all()["case_id"], opened.log.head()
        right = answered(request(case_id, head))
        wrongs = {
            "another head": answered(request(case_id, Head(head.entry, "1" * 64))),
            "another case": answered(request("x", head)),
            "nothing": b"",
            "no answer": b"\x30\x03\x02\x01\x00",
            "cut": right[:-7],
        }
        for what, token in wrongs.items():
            (tmp_path / "token").write_bytes(token)
            with pytest.raises(UsageError, match=r"is a time-stamp of something else|is no answer"):
                attach(opened, tmp_path / "token")
            assert opened.log.head() == head, what
        altered = bytearray(right)
        altered[-5] ^= 1
        (tmp_path / "token").write_bytes(altered)
        with pytest.raises(UsageError, match=r"does not verify|no answer"):
            attach(opened, tmp_path / "token", [folder / "ca.pem"])
        assert opened.log.head() == head
        (tmp_path / "token").write_bytes(right)
        attach(opened, tmp_path / "token")


@pytest.mark.claim("L10")
def test_a_stamp_moved_to_another_entry_is_a_fault(case, authority, tmp_path):
    _, answered = authority
    with Case.open(case) as opened:
        case_id, head = opened.catalogue.meta.all()["case_id"], opened.log.head()
        (tmp_path / "token").write_bytes(answered(request(case_id, head)))
        attach(opened, tmp_path / "token")
    copy = copied(case)
    lines = copy.read_bytes().splitlines()
    copy.write_bytes(changed(lines, 14, stamps={"entry": 5, "sha256": "2" * 64}))
    said, code = told(copy)
    assert code == 1
    assert "its time-stamp is of another log" in said["faults"][-1]
    found = Attested()
    with Case.open(case) as opened:
        opened.log.verify(met=found.met)
    assert [row["up_to_entry"] for row in verified(found, ())] == [13]
