"""The installer of a bundle: nothing is installed that is not what was handed out."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

INSTALLER = Path(__file__).parents[1] / "tools" / "install.py"


@pytest.fixture
def bundle(tmp_path):
    """A folder with an installer, a file, and sums that are signed."""
    folder = tmp_path / "bundle"
    (folder / "wheels").mkdir(parents=True)
    (folder / "wheels" / "a.whl").write_bytes(b"a wheel")
    shutil.copy(INSTALLER, folder)
    files = [file for file in folder.rglob("*") if file.is_file()]
    sums = [f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.relative_to(folder).as_posix()}\n" for f in files]
    (folder / "SHA256SUMS").write_text("".join(sums))
    return folder


def check(folder, *words):
    command = [sys.executable, folder / "install.py", folder.parent / "target", "--check", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_a_bundle_as_it_was_made_passes(bundle):
    assert check(bundle) == (0, "every file is as its SHA-256 says\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "wheels" / "a.whl").write_bytes(b"another"), "wheels/a.whl was altered"),
        (lambda folder: (folder / "wheels" / "a.whl").unlink(), "wheels/a.whl is missing"),
        (lambda folder: (folder / "wheels" / "b.whl").write_bytes(b"one more"), "b.whl is not listed"),
    ],
)
def test_anything_else_is_named(bundle, change, said):
    change(bundle)
    code, told = check(bundle)
    assert code == 1
    assert said in told


def test_sums_that_somebody_else_signed_are_refused(bundle):
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here")
    signer, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    (bundle / "SHA256SUMS.sig").write_bytes(signer.sign((bundle / "SHA256SUMS").read_bytes()))
    for name, key in (("signer", signer), ("other", other)):
        kind = serialization.PublicFormat.SubjectPublicKeyInfo
        (bundle.parent / name).write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, kind))
    assert check(bundle, "--public-key", bundle.parent / "signer")[0] == 0
    code, told = check(bundle, "--public-key", bundle.parent / "other")
    assert code == 1
    assert "is no signature" in told


@pytest.mark.slow
def test_what_can_not_be_installed_says_so_in_words(bundle):
    """With another Python than the bundle is for, and of what is no bundle: no traceback."""
    command = [sys.executable, bundle / "install.py", bundle.parent / "target"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert "say for which Python (cp311: 3.11)" in told
    assert "Traceback" not in told
    (bundle / "SHA256SUMS").unlink()
    code, told = check(bundle)
    assert code == 1
    assert told.endswith("SHA256SUMS: is missing; get the bundle again\n")
