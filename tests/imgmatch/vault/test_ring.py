"""The ring hands the keys of a case to people: what each opens, what nobody else does, what is said of a change."""

import json
import statistics
import time

import pytest

from imgmatch.errors import CaseError, UsageError
from imgmatch.vault import age
from imgmatch.vault.keys import PURPOSES, LockedError, seal, unsealed
from imgmatch.vault.ring import NAME, Identity, Passphrase, Ring


@pytest.fixture(scope="module", autouse=True)
def soon():
    """Passphrases are stretched for a few milliseconds only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imgmatch.vault.ring._ARGON2ID", {"memory_kib": 8192, "iterations": 2, "lanes": 1})
        yield


@pytest.fixture(scope="module")
def made():
    """A ring with an owner who knows a phrase, an auditor with a key, and what opens it."""
    ring, keys = Ring.create("11111111-2222-3333-4444-555555555555")
    secret, public = age.new_identity()
    ring = ring.granted(keys, "Ada", Passphrase("", "correct horse"), details={"role": "owner"})
    ring = ring.granted(keys, "Grace", public, ["log"], {"role": "auditor"})
    return ring, keys, secret


@pytest.mark.claim("C1")
def test_each_person_opens_what_they_were_given_and_nothing_else(made, tmp_path):
    ring, keys, secret = made
    ring.write(tmp_path)
    ring = Ring.read(tmp_path)
    ada = ring.unlock(Passphrase("Ada", "correct horse"))
    assert (ada.master, ada.has(*PURPOSES)) == (keys.master, True)
    grace = ring.unlock(Identity(f"# a comment\n{secret}\n"))
    assert grace.of("log") == ada.of("log")
    assert (set(grace.held), grace.master) == ({"log", "names"}, None)
    with pytest.raises(LockedError, match="vectors"):
        grace.of("vectors")
    people = ring.people(grace)
    assert [(p.name, p.everything, p.details["role"]) for p in people] == [
        ("Ada", True, "owner"),
        ("Grace", False, "auditor"),
    ]
    assert ring.person(grace).name == "Grace"


@pytest.mark.claim("D2")
def test_names_and_keys_do_not_stand_in_the_file(made, tmp_path):
    ring, keys, secret = made
    ring.write(tmp_path)
    text = (tmp_path / NAME).read_text()
    for known in ("Ada", "Grace", "auditor", "correct horse", secret, keys.master.hex()):
        assert known not in text


@pytest.mark.claim("D3")
def test_what_does_not_fit_is_refused_in_the_same_words_and_the_same_time(made):
    ring, _, _ = made
    stranger, _ = age.new_identity()

    def refused(secret):
        started = time.perf_counter()
        with pytest.raises(LockedError) as error:
            ring.unlock(secret)
        return str(error.value), time.perf_counter() - started

    wrong, unknown = [], []  # in turns, as this machine may have something else to do
    for number in range(9):
        wrong.append(refused(Passphrase("Ada", f"wrong {number}")))
        unknown.append(refused(Passphrase(f"Nobody {number}", "correct horse")))
    said = {text for text, _ in wrong + unknown} | {refused(Identity(stranger))[0]}
    assert len(said) == 1
    assert "Ada" not in said.pop()
    a, b = (statistics.median(took for _, took in tries) for tries in (wrong, unknown))
    assert min(a, b) > 0.6 * max(a, b)


@pytest.mark.claim("C2")
def test_only_who_has_the_cases_own_key_lets_people_in(made):
    ring, _, secret = made
    grace = ring.unlock(Identity(secret))
    with pytest.raises(LockedError, match="owner"):
        ring.granted(grace, "Eve", Passphrase("", "x"))
    with pytest.raises(LockedError, match="owner"):
        ring.rekeyed(grace)


def test_nobody_is_let_in_twice_or_by_nothing(made):
    ring, keys, _ = made
    with pytest.raises(UsageError, match="Ada"):
        ring.granted(keys, "Ada", Passphrase("", "other"))
    with pytest.raises(UsageError, match="empty"):
        ring.granted(keys, "Eve", Passphrase("", ""))
    for text in ("", "age1", "age1qqqq", "AGE-SECRET-KEY-1", "ssh-ed25519 AAAA", "age1yubikey1qqqq"):
        with pytest.raises(UsageError, match="public key"):
            ring.granted(keys, "Eve", text)


@pytest.mark.claim("C3")
def test_a_flipped_bit_is_damage_and_a_forged_grant_is_no_grant(made, tmp_path):
    ring, _, _ = made
    ring.write(tmp_path)
    right = (tmp_path / NAME).read_bytes()
    for place in range(0, len(right), 97):
        altered = bytearray(right)
        altered[place] ^= 1 << (place % 8)
        (tmp_path / NAME).write_bytes(altered)
        with pytest.raises(CaseError, match=NAME):
            Ring.read(tmp_path)
    # Somebody who can write to the disk, without the case's key, lets themselves in, with a right checksum.
    secret, public = age.new_identity()
    body = json.loads(json.dumps(ring._body))
    body["people"][1]["recipient"] = public
    forged = Ring(body, ring._signature, tmp_path / NAME)
    forged.write(tmp_path)
    with pytest.raises(CaseError, match="signed"):
        Ring.read(tmp_path).unlock(Passphrase("Ada", "correct horse"))
    with pytest.raises(LockedError):
        Ring.read(tmp_path).unlock(Identity(secret))


@pytest.mark.claim("C4")
def test_who_is_put_out_opens_nothing_that_is_sealed_anew_and_nobody_else_is_asked(made):
    ring, keys, secret = made
    grace = next(person for person in ring.people(keys) if person.name == "Grace")
    newer, new = ring.rekeyed(keys, {grace.number})
    assert newer.room != ring.room
    assert new.master != keys.master
    with pytest.raises(LockedError):
        newer.unlock(Identity(secret))
    ada = newer.unlock(Passphrase("Ada", "correct horse"))
    assert ada.master == new.master
    assert [person.name for person in newer.people(ada)] == ["Ada"]
    assert unsealed(ada.of("log").key, seal(keys.of("log").key, b"old", "place"), "place") is None
    everybody, _ = ring.rekeyed(keys)
    assert everybody.unlock(Identity(secret)).has("log")


def test_a_passphrase_is_changed_by_its_owner_alone(made):
    ring, _, _ = made
    ada = ring.unlock(Passphrase("Ada", "correct horse"))
    identity = ring.identity_of(Passphrase("Ada", "correct horse"))
    newer = ring.rephrased(ada, identity, Passphrase("Ada", "battery staple"))
    assert newer.unlock(Passphrase("Ada", "battery staple")).master == ada.master
    with pytest.raises(LockedError):
        newer.unlock(Passphrase("Ada", "correct horse"))


def test_a_phrase_is_the_same_however_its_letters_are_composed(made):
    ring, keys, _ = made
    newer = ring.granted(keys, "Zoe\u0308", Passphrase("", "Stra\u00dfe \u00fcber"))
    assert newer.unlock(Passphrase("Zo\u00eb", "Stra\u00dfe u\u0308ber")).has("catalogue")


@pytest.mark.claim("C5")
def test_the_inbox_takes_from_anybody_and_gives_to_people_of_the_case(made):
    ring, keys, secret = made
    handed = age.encrypted(b"something", ring.inbox)
    mine = ring.inbox_identity(keys)
    assert age.decrypted(handed, age.identities(mine.text)) == b"something"
    with pytest.raises(LockedError, match="inbox"):
        ring.inbox_identity(ring.unlock(Identity(secret)))
