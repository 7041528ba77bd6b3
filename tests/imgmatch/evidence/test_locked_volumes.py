"""Volumes that are encrypted: LUKS made by cryptsetup, with a file system that is encrypted into it here."""

import pytest

from imgmatch.limits import SourceLimits
from tests.imgmatch.evidence.test_damaged_volumes import MIB, SHA, call, ext, folder, pictures_of

pytest.importorskip("pyluksde", reason="needs the extra forensic (pyluksde)")
__all__ = ["folder"]
KEY = bytes(range(64))


def luks(tmp_path, *options):
    path, key, password = tmp_path / "luks.img", tmp_path / "key", tmp_path / "password"
    path.write_bytes(bytes(24 * MIB))
    key.write_bytes(KEY)
    password.write_text("correct horse")
    call("cryptsetup", "luksFormat", "-q", *options, "--pbkdf-force-iterations", "1000", "--volume-key-file", key,
         "--key-size", 512, "--cipher", "aes-xts-plain64", path, password)  # fmt: skip
    return path


@pytest.fixture
def volume(tmp_path, folder):
    ciphers = pytest.importorskip("cryptography.hazmat.primitives.ciphers")
    path = luks(tmp_path, "--type", "luks1")
    data = bytearray(path.read_bytes())
    start = int.from_bytes(data[104:108], "big") * 512
    plain = ext(tmp_path / "plain.img", 16, folder)
    for at in range(0, len(plain), 512):
        tweak = (at // 512).to_bytes(16, "little")
        cipher = ciphers.Cipher(ciphers.algorithms.AES(KEY), ciphers.modes.XTS(tweak)).encryptor()
        data[start + at : start + at + 512] = cipher.update(bytes(plain[at : at + 512]))
    path.write_bytes(data[: start + len(plain)])
    return path


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


def test_luks_of_version_2_is_named(tmp_path):
    path = luks(tmp_path, "--type", "luks2", "--pbkdf", "pbkdf2")
    (issue,) = pictures_of(path, passwords=("correct horse",))[1]
    assert issue == "unsupported: LUKS2 volume (encrypted); it is not read"


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
