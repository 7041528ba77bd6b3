"""Packs to one office alone, of some items, without what names them, for a time: what comes out, and what does not."""

import contextlib
import hashlib
import io
import itertools
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from imgmatch.errors import UsageError
from imgmatch.picture.facts import Facts
from imgmatch.picture.pdq import Pdq
from imgmatch.vault import memory
from indexer.case.case import Case
from indexer.catalogue import opaque
from indexer.catalogue.filters import Filter
from indexer.out import show
from indexer.out.exchange import sealed
from indexer.out.exchange.pack import PackConfig, write_pack
from indexer.out.exchange.unpack import open_other, open_pack, told_of
from indexer.search import decisions
from indexer.search.closer import LinkRequest, find_links
from tests.indexer.out.test_pack import places, rewritten
from tests.indexer.vectors import SPEC, add, clouds, digests, label, looking

pyrage = pytest.importorskip("pyrage", reason="needs the extra vault (pyrage)")
FIRST = 38
"""Content number of the sender's first item; its last ten vectors are the receiver's last ten."""


def hashed(number):
    """A PDQ hash of a content: far from that of any other."""
    return hashlib.sha256(b"pdq %d" % number).digest()


def turned(hash, bits):
    """The same but for so many bits."""
    return (int.from_bytes(hash, "big") ^ ((1 << bits) - 1) << 7).to_bytes(32, "big")


def with_hashes(case, of):
    with case.run("ingest", "test") as run, run.catalogue.transaction() as writer:
        for number, hash, quality in of:
            writer.facts.add(digests(number).sha256, Facts({}, Pdq(hash, quality)))


@pytest.fixture
def pair(tmp_path):
    """Two cases that share ten vectors and two contents; the sender's have labels, decisions and hashes."""
    shared = clouds(7, 10)
    with Case.create(tmp_path / "case", model=SPEC) as case, Case.create(tmp_path / "other", model=SPEC) as other:
        add(case, np.concatenate([clouds(1, 30), shared]))
        add(other, np.concatenate([clouds(2, 40), shared]), start=FIRST, commit=20, folder="/secret/place")
        label(other, [(item, "x.csv", {"label": f"Hotel {item % 3}"}) for item in range(1, 51)])
        decisions.decide(other, "49", "50", "confirmed", "said the witness", "Ada")
        with_hashes(other, ((FIRST + n, hashed(n), 40 if n == 3 else 90) for n in range(50)))
        with_hashes(case, ((n, turned(hashed(n + 10), n), 90) for n in range(36)))
        yield case, other


@pytest.fixture
def keys(tmp_path):
    """Files with the keys of two offices, public and secret."""
    for name in ("ours", "theirs"):
        key = pyrage.x25519.Identity.generate()
        (tmp_path / f"{name}.key").write_text(f"# created by a test\n{key}\n")
        (tmp_path / f"{name}.pub").write_text(f"# an office\n\n{key.to_public()}\n")
    return tmp_path


def linked(case, path, identity=None, least=0.9, **asked):
    with open_other(path, SPEC, identity) as other:
        return find_links(case, other, SPEC, LinkRequest(least, **asked), opened_from=path)[0]


def last(case):
    return [json.loads(line) for line in (case.path / "audit.jsonl").open()][-1]


# --- to whom


@pytest.mark.claim("R1")
def test_a_pack_is_opened_by_those_it_was_encrypted_to_and_by_nobody_else(pair, keys):
    case, other = pair
    made = write_pack(other, keys / "x.pack", PackConfig(labels=True, to=(str(keys / "ours.pub"),)))
    plain = write_pack(other, keys / "plain.pack", PackConfig(labels=True))
    data = (keys / "x.pack").read_bytes()
    assert not any(word in data for word in (b"Hotel", b"imgmatch", b"items.jsonl", digests(FIRST).sha256.encode()))
    assert b"Hotel" in (keys / "plain.pack").read_bytes()
    assert (made.items, made.vectors) == (plain.items, plain.vectors) == (50, 50)
    assert linked(case, keys / "x.pack", keys / "ours.key") == linked(case, keys / "plain.pack")
    assert last(case)["subject"]["pack_sha256"] == plain.manifest_sha256
    for identity, message in ((None, "--identity FILE"), (keys / "theirs.key", "no key in .*theirs.key opens it")):
        with pytest.raises(UsageError, match=message):
            linked(case, keys / "x.pack", identity)
    assert "--identity" in told_of(keys / "x.pack")


def test_several_keys_and_a_key_of_ssh_open_it(pair, keys):
    case, other = pair
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    key, ssh, none = ed25519.Ed25519PrivateKey.generate(), serialization.Encoding, serialization.NoEncryption()
    (keys / "ssh.key").write_bytes(key.private_bytes(ssh.PEM, serialization.PrivateFormat.OpenSSH, none))
    public = key.public_key().public_bytes(ssh.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    (keys / "ssh.pub").write_text(f"{public} anna@office\n")
    age = (keys / "ours.pub").read_text().split()[-1]
    write_pack(other, keys / "x.pack", PackConfig(to=(age, str(keys / "ssh.pub"))))
    assert linked(case, keys / "x.pack", keys / "ours.key") == linked(case, keys / "x.pack", keys / "ssh.key") != []
    assert last(other)["arguments"]["to"] == [age, f"{public} anna@office"]


@pytest.mark.claim("R2")
def test_in_clear_nothing_touches_a_disk(pair, keys, monkeypatch):
    """While it is written and while it is open, no file that holds any of it lies anywhere but in memory."""
    (keys / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(keys / "scratch"))
    write_pack(pair[1], keys / "x.pack", PackConfig(to=(str(keys / "ours.pub"),)))
    with open_pack(keys / "x.pack", SPEC, keys / "ours.key") as opened:
        place = opened.path.parent
        with open("/proc/self/mounts") as file:
            mounts = dict(line.split(" ")[1:3] for line in file)
        assert mounts[max((at for at in mounts if str(place).startswith(at)), key=len)] in ("tmpfs", "ramfs")
        assert list((keys / "scratch").iterdir()) == []
        held = [path.resolve() for path in Path("/proc/self/fd").iterdir() if path.exists()]
        assert {file for file in held if "imgmatch-pack" in str(file)} == {
            place, *(file for file in held if place in file.parents)
        }  # fmt: skip
    assert not place.exists()
    # Where there is no such folder it is not opened at all.
    monkeypatch.setattr("imgmatch.vault.memory.folder_in_memory", lambda: None)
    with pytest.raises(UsageError, match="no folder in memory"), open_pack(keys / "x.pack", SPEC, keys / "ours.key"):
        pass
    assert list((keys / "scratch").iterdir()) == []


@pytest.mark.claim("R3")
def test_a_changed_or_cut_encrypted_pack_is_one_line_and_leaves_nothing(pair, keys):
    write_pack(pair[1], keys / "x.pack", PackConfig(to=(str(keys / "ours.pub"),)))
    whole = (keys / "x.pack").read_bytes()
    before = set(os.listdir("/dev/shm"))
    rng = np.random.default_rng(3)
    for trial in range(40):
        data = bytearray(whole)
        if trial % 4 == 0:
            del data[int(rng.integers(22, len(data))) :]
        elif trial % 4 == 1:
            data += b"x"
        else:
            data[int(rng.integers(22, len(data)))] ^= 1 << int(rng.integers(8))
        (keys / "bad.pack").write_bytes(data)
        with pytest.raises(UsageError) as caught, open_pack(keys / "bad.pack", SPEC, keys / "ours.key"):
            pass
        assert "\n" not in str(caught.value)
        assert "bad.pack" in str(caught.value)
    (keys / "bad.pack").write_bytes(whole[:22] + b"-> X25519 AAAA\n" * 200_000)
    with pytest.raises(UsageError, match="header does not end"), open_pack(keys / "bad.pack", SPEC, keys / "ours.key"):
        pass
    assert set(os.listdir("/dev/shm")) == before


@pytest.mark.claim("R4")
def test_a_secret_key_is_never_told(pair, keys):
    secret = (keys / "ours.key").read_text().split()[-1]
    for config in (
        PackConfig(to=(secret,)),
        PackConfig(to=(str(keys / "ours.key"),)),
        PackConfig(to=(secret.lower(),)),
    ):
        with pytest.raises(UsageError, match="that is a secret key") as caught:
            write_pack(pair[1], keys / "x.pack", config)
        assert secret not in str(caught.value)
    (keys / "odd.key").write_text(secret[:-1])
    write_pack(pair[1], keys / "x.pack", PackConfig(to=(str(keys / "ours.pub"),)))
    with (
        pytest.raises(UsageError, match="is no identity of age") as caught,
        open_pack(keys / "x.pack", SPEC, keys / "odd.key"),
    ):
        pass
    assert secret[:-1] not in str(caught.value)
    assert secret not in (pair[1].path / "audit.jsonl").read_text()


@pytest.mark.parametrize("to", ["age1", "age1zzzz", "ssh-ed25519 AAAA", "/no/such/file", "\0", ""])
def test_what_is_no_key_is_one_line_and_nothing_is_written(pair, keys, to):
    with pytest.raises(UsageError):
        write_pack(pair[1], keys / "x.pack", PackConfig(to=(to,)))
    assert not (keys / "x.pack").exists()


def test_a_full_disk_ends_it_whole(pair, keys):
    """What can't be written is said, and who writes does not wait for ever."""

    class Full(io.RawIOBase):
        def writable(self):
            return True

        def write(self, data):
            raise OSError(28, "No space left on device")

    held = list(sealed.recipients([str(keys / "ours.pub")]).values())
    with pytest.raises(OSError, match="No space"), sealed.sealing(Full(), held) as file:
        file.write(bytes(64 << 20))


# --- of what


@pytest.mark.claim("R5")
def test_a_filter_keeps_the_rest_at_home(pair, tmp_path):
    case, other = pair
    wanted = Filter(labels=(("label", "Hotel 1"),), items=(1, 4, 49, 50))
    config = PackConfig(locators=True, labels=True, decisions=True, within=wanted)
    made = write_pack(other, tmp_path / "x.pack", config)
    assert (made.items, made.vectors) == (3, 3)  # 1, 4, 49: 50 is another hotel
    with open_pack(tmp_path / "x.pack", SPEC) as opened:
        use = looking(opened)
        assert use.catalogue.items.page(0, 99) == [1, 4, 49]
        assert {row[0] for row in use.catalogue.labels.table()} == {1, 4, 49}
        assert [row[1] for row in use.catalogue.sightings.table()] == [1, 4, 49]
        assert list(use.catalogue.decisions.all()) == []  # its other item stays at home
    text = (tmp_path / "x.pack").read_bytes()
    assert b"Hotel 2" not in text
    assert digests(FIRST + 49).sha256.encode() not in text
    assert {link.other.item_id for link in linked(case, tmp_path / "x.pack", least=0.99)} == {49}
    assert last(other)["arguments"]["within"] == {"labels": [["label", "Hotel 1"]], "items": [1, 4, 49, 50]}
    with pytest.raises(UsageError, match="no item passes the filter"):
        write_pack(other, tmp_path / "y.pack", PackConfig(within=Filter(items=(99,))))
    assert not (tmp_path / "y.pack").exists()


@pytest.mark.claim("R7")
def test_without_metadata_the_receiver_learns_of_its_own_items_and_numbers(pair, tmp_path):
    case, other = pair
    known = linked(case, other.path)
    made = write_pack(other, tmp_path / "x.pack", PackConfig(metadata=False))
    assert (made.items, made.vectors) == (50, 50)
    found = linked(case, tmp_path / "x.pack")
    assert [(link.item, round(link.similarity, 4)) for link in found] == [
        (link.item, round(link.similarity, 4)) for link in known
    ]
    said = {(link.other.sha256, link.other.md5, link.other.size_bytes, link.other.format) for link in found}
    assert said == {("", "", 0, "")}
    assert all(link.other_place.words == f"pack: {link.other.item_id}" for link in found)
    # The sender, and nobody else, knows which they are.
    use = looking(other)
    for one, two in zip(found, known, strict=True):
        assert show.find_item(use, str(one.other.item_id)) == two.other.item_id
    with pytest.raises(UsageError, match="no item"):
        show.find_item(looking(case), str(found[0].other.item_id))
    assert not any("own:" in key or "pack_key" in key for key in other.catalogue.meta.all())


@pytest.mark.claim("R6")
def test_a_pack_without_metadata_holds_nothing_but_vectors_and_numbers(pair, tmp_path):
    _, other = pair
    write_pack(other, tmp_path / "x.pack", PackConfig(metadata=False))
    with zipfile.ZipFile(tmp_path / "x.pack") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    lines = [json.loads(line) for line in members["items.jsonl"].splitlines()]
    numbers = [line.pop("item_id") for line in lines]
    assert lines == [{}] * 50
    # Neither the order of items nor their ids can be seen, nor which came in together.
    assert numbers == sorted(numbers)
    assert min(numbers) > 2**49
    key = bytes.fromhex(other.catalogue.meta.own(opaque.KEY))
    order = [opaque.item_of(key, number) for number in numbers]
    assert sorted(order) == list(range(1, 51)) != order
    rows = np.load(io.BytesIO(members["vectors/001/000001.items.npy"]))
    assert rows.tolist() == numbers
    whole = (tmp_path / "x.pack").read_bytes()
    for number in range(50):
        content = digests(FIRST + number)
        assert not any(told in whole for told in (content.sha256.encode(), bytes.fromhex(content.sha256)))
    assert b"secret" not in whole
    assert b"Hotel" not in whole


@pytest.mark.claim("R8")
def test_numbers_are_a_cases_own_and_each_stands_for_one_item():
    keys = [bytes([n]) * 32 for n in range(2)]
    ids = [*range(300), 2**31, 2**49, 2**50 - 1]
    numbers = [[opaque.number_of(key, item) for item in ids] for key in keys]
    assert [opaque.item_of(keys[0], number) for number in numbers[0]] == ids
    assert len(set(numbers[0])) == len(ids)
    assert not set(numbers[0]) & set(numbers[1])
    assert all(2**50 <= number < 2**51 for number in itertools.chain(*numbers))
    assert opaque.item_of(keys[0], 5) is opaque.item_of(keys[0], 2**51) is None


@pytest.mark.claim("R9")
def test_pdq_hashes_alone_link_what_is_within_31_bits(pair, tmp_path):
    case, other = pair
    made = write_pack(other, tmp_path / "x.pack", PackConfig(pdq_only=True))
    assert (made.items, made.vectors, made.hashes) == (50, 0, 49)  # one tells too little
    with zipfile.ZipFile(tmp_path / "x.pack") as archive:
        assert sorted(archive.namelist()) == ["items.jsonl", "manifest.json", "pdq.items.npy", "pdq.npy"]
    found = linked(case, tmp_path / "x.pack", least=0.5)
    key = bytes.fromhex(other.catalogue.meta.own(opaque.KEY))
    assert [(link.item.item_id, opaque.item_of(key, link.other.item_id), link.bits_apart) for link in found] == [
        (n + 1, n + 11, n) for n in range(32)
    ]
    assert [link.similarity for link in found] == [1 - n / 128 for n in range(32)]
    assert {link.false_match for link in found} == {None}
    assert len(linked(case, tmp_path / "x.pack", least=0.9)) == 13
    entry = last(case)
    assert (entry["action"], entry["model"], len(entry["subject"]["pack_sha256"])) == ("link", None, 64)
    with pytest.raises(UsageError, match="leave out --max-fmr"):
        linked(case, tmp_path / "x.pack", max_fmr=0.1)


def test_choices_that_contradict_each_other_are_refused(pair, tmp_path):
    other = pair[1]
    for more in ("thumbnails", "locators", "labels", "decisions"):
        for less in ({"metadata": False}, {"pdq_only": True}):
            with pytest.raises(UsageError, match="leaves out"):
                write_pack(other, tmp_path / "x.pack", PackConfig(**{more: True}, **less))
    assert not (tmp_path / "x.pack").exists()


# --- until when


@pytest.mark.claim("R10")
def test_an_expired_pack_is_refused(pair, tmp_path, monkeypatch):
    case, other = pair
    write_pack(other, tmp_path / "x.pack", PackConfig(expires="2999-05-31"))
    assert linked(case, tmp_path / "x.pack")
    assert "until 2999-05-31" in told_of(tmp_path / "x.pack")
    for now, opens in (("2999-05-31T23:59:59.999Z", True), ("2999-06-01T00:00:00.000Z", False)):
        monkeypatch.setattr("indexer.out.exchange.unpack.now_utc", lambda now=now: now)
        with contextlib.nullcontext() if opens else pytest.raises(UsageError, match="until 2999-05-31"):
            assert linked(case, tmp_path / "x.pack")


@pytest.mark.parametrize(
    "day", ["2020-01-01", "2999-02-30", "2999", "tomorrow", "2999-1-1", "20990101", "2999-01-01T10"]
)
def test_a_day_that_is_over_or_none_is_refused(pair, tmp_path, day):
    with pytest.raises(UsageError, match=day):
        write_pack(pair[1], tmp_path / "x.pack", PackConfig(expires=day))
    assert not (tmp_path / "x.pack").exists()


# --- by strangers


def more_of_its_items(members, manifest):
    members["labels.jsonl"] = b'{"item_id":1,"name":"label","value":"x"}\n'


def metadata_all_the_same(members, manifest):
    members["items.jsonl"] = members["items.jsonl"].replace(b"}", b',"sha256":"00"}', 1)


def no_day(members, manifest):
    manifest["expires"] = "for ever"


def no_hashes(members, manifest):
    manifest["pdq"] = {"rows": 10**12, "hashes": "items.jsonl", "items": "items.jsonl"}


def not_within_it(members, manifest):
    manifest["pdq"] = {"rows": 1, "hashes": "../../etc/passwd", "items": "pdq.items.npy"}


@pytest.mark.claim("X5")
@pytest.mark.parametrize("config", [PackConfig(metadata=False), PackConfig(pdq_only=True)], ids=["vectors", "pdq"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (more_of_its_items, "says more of its items"),
        (metadata_all_the_same, "does not fit together"),
        (no_day, "is no day"),
        (no_hashes, "does not fit together"),
        (not_within_it, "does not fit together"),
    ],
)
def test_a_limited_pack_of_a_stranger_is_one_line(pair, tmp_path, config, change, message):
    write_pack(pair[1], tmp_path / "x.pack", config)
    with pytest.raises(UsageError, match=message), open_pack(rewritten(tmp_path / "x.pack", change), SPEC):
        pass


@pytest.mark.parametrize("config", [PackConfig(metadata=False, expires="2999-01-01"), PackConfig(pdq_only=True)])
def test_odd_values_anywhere_in_the_manifest_of_a_limited_pack_are_one_line(pair, tmp_path, config):
    case, other = pair
    write_pack(other, tmp_path / "a.pack", config)
    with zipfile.ZipFile(tmp_path / "a.pack") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    odd = (None, True, 5, -1, 1e300, "x", [], [5], [None], {}, {"x": None})
    refused = 0
    for number, place in enumerate(places(json.loads(members["manifest.json"]))):
        made = json.loads(members["manifest.json"])
        of = made
        for name in place[:-1]:
            of = of[name]
        if place:
            of[place[-1]] = odd[number % len(odd)]
        with zipfile.ZipFile(tmp_path / "b.pack", "w") as archive:
            for name, data in {**members, "manifest.json": json.dumps(made)}.items():
                archive.writestr(name, data)
        try:
            linked(case, tmp_path / "b.pack")
        except UsageError:
            refused += 1
    assert refused > 10


@pytest.mark.claim("X6")
def test_hashes_that_are_all_alike_take_little_memory(pair, tmp_path):
    """Ten thousand of one hash meet every picture near it: as many links as are asked for are kept."""
    case, other = pair

    def alike(members, manifest):
        numbers = 2**50 + np.arange(10_000)
        for name, array in {
            "pdq.npy": np.tile(np.frombuffer(hashed(10), np.uint8), (len(numbers), 1)),
            "pdq.items.npy": numbers,
        }.items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            members[name] = buffer.getvalue()
        members["items.jsonl"] = b"".join(b'{"item_id":%d}\n' % number for number in numbers)
        manifest["pdq"]["rows"] = len(numbers)

    write_pack(other, tmp_path / "x.pack", PackConfig(pdq_only=True))
    changed = rewritten(tmp_path / "x.pack", alike)
    with open_other(changed, SPEC) as opened:
        found, count = find_links(case, opened, SPEC, LinkRequest(top=5), opened_from=changed)
    assert (len(found), count) == (5, 10_000)


@pytest.mark.claim("R11")
def test_what_a_killed_process_left_in_memory_is_removed(pair, keys, monkeypatch):
    write_pack(pair[1], keys / "x.pack", PackConfig(to=(str(keys / "ours.pub"),)))
    room = memory.folder_in_memory()
    left = f"{room}/imgmatch-pack-left"
    os.mkdir(left)
    os.utime(left, (1, 1))
    with open_pack(keys / "x.pack", SPEC, keys / "ours.key") as opened:
        assert not os.path.exists(left)
        os.utime(opened.path.parent, (1, 1))
        with open_pack(keys / "x.pack", SPEC, keys / "ours.key"):
            assert opened.path.exists()  # that one is in use
