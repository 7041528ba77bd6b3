"""Volumes that are encrypted: LUKS made by cryptsetup, with a file system that is encrypted into it here."""

import hashlib
import json

import pytest

from imgmatch.limits import SourceLimits
from tests.imgmatch.evidence.test_damaged_volumes import MIB, SHA, call, ext, folder, pictures_of

pytest.importorskip("pyluksde", reason="needs the extra forensic (pyluksde)")
__all__ = ["folder"]
KEY = bytes(range(64))
ITERATIONS = "1000"


def luks(tmp_path, *options):
    path, key, password = tmp_path / "luks.img", tmp_path / "key", tmp_path / "password"
    path.write_bytes(bytes(24 * MIB))
    key.write_bytes(KEY)
    password.write_text("correct horse")
    cipher = () if "--cipher" in options else ("--cipher", "aes-xts-plain64")
    call("cryptsetup", "luksFormat", "-q", *options, "--pbkdf-force-iterations", ITERATIONS, "--volume-key-file", key,
         "--key-size", 512, *cipher, path, password)  # fmt: skip
    return path


def filled(path, start, plain, sector=512):
    """Encrypt a file system into a volume."""
    ciphers = pytest.importorskip("cryptography.hazmat.primitives.ciphers")
    data = bytearray(path.read_bytes())
    for at in range(0, len(plain), sector):
        tweak = (at // 512).to_bytes(16, "little")
        cipher = ciphers.Cipher(ciphers.algorithms.AES(KEY), ciphers.modes.XTS(tweak)).encryptor()
        data[start + at : start + at + sector] = cipher.update(bytes(plain[at : at + sector]))
    path.write_bytes(data[: start + len(plain)])
    return path


@pytest.fixture
def volume(tmp_path, folder):
    path = luks(tmp_path, "--type", "luks1")
    start = int.from_bytes(path.read_bytes()[104:108], "big") * 512
    return filled(path, start, ext(tmp_path / "plain.img", 16, folder))


def test_luks_is_read_with_the_one_of_several_passwords_that_opens_it(volume):
    found, issues = pictures_of(volume, passwords=("wrong", "correct horse", "other"))
    assert set(found) == SHA
    assert all("|luks:disk|fs:/IMG" in place for place in found.values())
    assert not issues


def test_a_locked_volume_is_one_issue_that_counts_the_passwords(volume):
    found, issues = pictures_of(volume)
    assert not found
    assert issues == ["password: LUKS volume is encrypted; give its password with --password-file"]
    (issue,) = pictures_of(volume, passwords=("a", "b"))[1]
    assert "(2 passwords tried)" in issue


def test_passwords_are_tried_no_longer_than_the_limit_lets_them(volume, monkeypatch):
    from imgmatch.evidence.formats import unlocking

    seconds = iter(range(0, 10_000, 100))
    monkeypatch.setattr(unlocking, "monotonic", lambda: next(seconds))
    limits = SourceLimits(max_cpu_seconds=150)
    (issue,) = pictures_of(volume, passwords=tuple("abcdef"), limits=limits)[1]
    assert issue.startswith("limit: LUKS volume is encrypted; 1 of 6 passwords were tried")


ARGON = ("--pbkdf-memory", "1024", "--pbkdf-parallel", "1")


@pytest.mark.parametrize(
    ("options", "sector"), [(("pbkdf2",), 512), (("argon2id", *ARGON), 4096), (("argon2i", *ARGON), 512)]
)
def test_luks_of_version_2_is_read(tmp_path, folder, options, sector, monkeypatch):
    if options[0] != "pbkdf2":
        monkeypatch.setattr("tests.imgmatch.evidence.test_locked_volumes.ITERATIONS", "4")
    path = luks(tmp_path, "--type", "luks2", "--pbkdf", *options, "--sector-size", sector)
    start = json.loads(path.read_bytes()[4096:16384].partition(b"\0")[0])["segments"]["0"]["offset"]
    filled(path, int(start), ext(tmp_path / "plain.img", 4, folder), sector)
    found, issues = pictures_of(path, passwords=("wrong", "correct horse"))
    assert set(found) == SHA
    assert not issues
    (issue,) = pictures_of(path, passwords=("wrong",))[1]
    assert issue.startswith("password: LUKS volume is encrypted")


def test_luks_of_version_2_is_opened_by_its_second_header_and_named_by_its_cipher(tmp_path, folder):
    path = luks(tmp_path, "--type", "luks2", "--pbkdf", "pbkdf2", "--sector-size", 512)
    start = json.loads(path.read_bytes()[4096:16384].partition(b"\0")[0])["segments"]["0"]["offset"]
    filled(path, int(start), ext(tmp_path / "plain.img", 4, folder))
    data = bytearray(path.read_bytes())
    data[4200:4400] = bytes(200)
    path.write_bytes(data)
    assert set(pictures_of(path, passwords=("correct horse",))[0]) == SHA
    data[16384 + 4200 : 16384 + 4400] = bytes(200)
    path.write_bytes(data)
    (issue,) = pictures_of(path, passwords=("correct horse",))[1]
    assert issue.startswith("broken_image: LUKS volume (encrypted) that can't be opened: neither of its headers")


def test_luks_of_version_2_with_another_cipher_is_named(tmp_path):
    path = luks(tmp_path, "--type", "luks2", "--pbkdf", "pbkdf2")
    data = bytearray(path.read_bytes())
    head = data[:16384].replace(b"aes-xts-plain64", b"two-xts-plain64")
    head[448:512] = bytes(64)
    head[448:480] = hashlib.sha256(head).digest()
    path.write_bytes(head + bytes(16384) + data[32768:])
    (issue,) = pictures_of(path, passwords=("correct horse",))[1]
    assert issue == "unsupported: LUKS2 volume (encrypted by two-xts-plain64); it is not read"


def test_a_cut_volume_says_what_is_missing(volume):
    data = volume.read_bytes()
    volume.write_bytes(data[: len(data) - 6 * MIB])
    found, issues = pictures_of(volume, passwords=("correct horse",))
    assert set(found) <= SHA
    assert any("missing" in issue or "ends" in issue for issue in issues)


@pytest.mark.parametrize(
    ("at", "magic", "name"),
    [(3, b"-FVE-FS-", "BitLocker volume"), (8, b"\1\0\x10\0" + bytes(76) + b"CS", "CoreStorage volume")],
)
def test_a_volume_of_which_only_a_header_is_left_is_named_as_damaged(tmp_path, at, magic, name):
    (tmp_path / "a.img").write_bytes((bytes(at) + magic).ljust(MIB, b"\0"))
    (issue,) = pictures_of(tmp_path / "a.img", passwords=("x",))[1]
    assert issue.startswith(f"broken_image: {name} (encrypted) that can't be opened")
