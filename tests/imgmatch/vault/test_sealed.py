"""Sealed files give what was sealed, or say that they don't: never a byte that was not verified."""

import io
import os

import pytest

from imgmatch.vault import sealed
from imgmatch.vault.keys import Seal
from imgmatch.vault.lines import BLOCK_BYTES, LogFile
from imgmatch.vault.sealed import CHUNK_BYTES, SealError, padded

SEAL = Seal("case", "vectors", bytes(range(32)))
SIZES = [0, 1, 4087, 4088, 4089, CHUNK_BYTES - 8, CHUNK_BYTES - 7, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 5]


def write(path, data, seal=SEAL, name="a"):
    with sealed.writing(path, seal, name) as file:
        for start in range(0, len(data), 700_001):
            file.write(data[start : start + 700_001])
    return path


@pytest.mark.parametrize("size", SIZES)
def test_what_was_sealed_is_read(tmp_path, size):
    data = os.urandom(size)
    path = write(tmp_path / "x", data)
    assert sealed.read(path, SEAL, "a") == data
    with sealed.opened(path, SEAL, "a") as stream:
        assert stream.seek(0, io.SEEK_END) == size
        for place in {0, size // 2, max(0, size - 3), min(size, CHUNK_BYTES - 5)}:
            stream.seek(place)
            assert stream.read(11) == data[place : place + 11]


@pytest.mark.claim("D1")
def test_a_file_tells_its_size_in_steps_only(tmp_path):
    sizes = {write(tmp_path / "x", bytes(size)).stat().st_size for size in range(100_400, 102_300, 50)}
    assert len(sizes) == 1
    for size in (1, 4096, 5000, 10**6, 10**9):
        assert size <= padded(size) <= max(4096, size * 1.12)


@pytest.mark.claim("D4")
@pytest.mark.parametrize("size", [10, 2 * CHUNK_BYTES + 100])
def test_a_flipped_bit_anywhere_is_found_and_the_file_named(tmp_path, size):
    path = write(tmp_path / "x", os.urandom(size))
    right = path.read_bytes()
    for place in {*range(0, 64), *range(64, len(right), 99_991), len(right) - 1}:
        altered = bytearray(right)
        altered[place] ^= 1 << (place % 8)
        path.write_bytes(altered)
        with pytest.raises(SealError, match="x: "):
            sealed.read(path, SEAL, "a")


@pytest.mark.claim("D5")
def test_a_cut_moved_or_doubled_part_is_found(tmp_path):
    path = write(tmp_path / "x", os.urandom(3 * CHUNK_BYTES))
    right, part = path.read_bytes(), CHUNK_BYTES + 16
    first, second = right[64 : 64 + part], right[64 + part : 64 + 2 * part]
    wrong = [right[:-1], right[: 64 + 2 * part], right[: 64 + part], right[:64], right[:10], b"", right + b"\0"]
    wrong += [right[:64] + second + first + right[64 + 2 * part :], right[: 64 + part] + right[64:]]
    for data in wrong:
        path.write_bytes(data)
        with pytest.raises(SealError):
            sealed.read(path, SEAL, "a")


@pytest.mark.claim("D6")
@pytest.mark.parametrize(
    ("seal", "name"),
    [
        (SEAL, "b"),
        (Seal("other", "vectors", SEAL.key), "a"),
        (Seal("case", "pictures", SEAL.key), "a"),
        (Seal("case", "vectors", bytes(32)), "a"),
    ],
)
def test_a_file_of_another_place_case_or_purpose_does_not_open(tmp_path, seal, name):
    path = write(tmp_path / "x", b"something", seal, name)
    with pytest.raises(SealError, match="another case or place"):
        sealed.read(path, SEAL, "a")


@pytest.mark.claim("D7")
def test_nothing_of_a_damaged_part_is_handed_on(tmp_path):
    data = os.urandom(2 * CHUNK_BYTES)
    path = write(tmp_path / "x", data)
    right = bytearray(path.read_bytes())
    right[64 + CHUNK_BYTES + 16 + 500] ^= 1
    path.write_bytes(right)
    with sealed.opened(path, SEAL, "a") as stream:
        assert stream.read(100) == data[:100]
        buffer = bytearray(2 * CHUNK_BYTES)
        with pytest.raises(SealError, match="part 2"):
            stream.readinto(buffer)
        assert not any(buffer[CHUNK_BYTES:])


# --- logs


def lines(count, start=0):
    return [f"{number} {'x' * (number * 37 % 2500)}\n".encode() for number in range(start, start + count)]


def add(log, data):
    with log.open(adding=True) as file:
        file.write(data)


def test_a_log_reads_as_it_was_added_to(tmp_path):
    log, plain = LogFile(tmp_path / "log", SEAL), LogFile(tmp_path / "plain")
    for line in lines(200):
        add(log, line)
        add(plain, line)
    assert log.size() == plain.size()
    with log.open() as ours, plain.open() as theirs:
        assert list(ours) == lines(200)
        for place in (0, 1, 985, 986, 987, 50_000, log.size() - 4, log.size(), log.size() + 9):
            ours.seek(place), theirs.seek(place)
            assert ours.read(5000) == theirs.read(5000)
    with log.open(adding=True) as file:
        file.seek(100)
        assert file.read(3000) == b"".join(lines(200))[100:3100]
    assert not any(line in (tmp_path / "log").read_bytes() for line in lines(200) if len(line) > 20)


def test_what_a_kill_leaves_of_a_block_is_none(tmp_path):
    log = LogFile(tmp_path / "log", SEAL)
    add(log, b"first\n")
    add(log, b"second\n")
    with (tmp_path / "log").open("r+b") as file:
        file.truncate(2 * BLOCK_BYTES - 1)
    with log.open() as file:
        assert list(file) == [b"first\n"]
    add(log, b"third\n")
    with log.open() as file:
        assert list(file) == [b"first\n", b"third\n"]


def test_a_damaged_or_moved_block_says_so_and_the_others_read_on(tmp_path):
    log = LogFile(tmp_path / "log", SEAL)
    for number in range(6):
        add(log, f"line {number}\n".encode() * 20)
    right = (tmp_path / "log").read_bytes()
    blocks = [right[n * BLOCK_BYTES : (n + 1) * BLOCK_BYTES] for n in range(6)]
    wrong = {
        "flipped": [*blocks[:2], blocks[2][:700] + b"\0" + blocks[2][701:], *blocks[3:]],
        "moved": [blocks[1], blocks[0], *blocks[2:]],
        "left out": [*blocks[:3], *blocks[4:]],
        "last": [*blocks[:5], bytes(BLOCK_BYTES)],
        "all": [bytes(BLOCK_BYTES)] * 6,
    }
    for how, data in wrong.items():
        (tmp_path / "log").write_bytes(b"".join(data))
        with log.open() as file:
            text = file.read()
        assert b"is damaged, or of another log" in text, how
        for number, block in enumerate(blocks):
            if how != "left out" and len(data) == 6 and data[number] == block:
                assert f"line {number}\n".encode() * 20 in text, (how, number)
