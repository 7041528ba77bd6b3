"""Everything that a machine without a network needs, in one folder: ``python tools/bundle.py OUT [--key KEY]``.

Wheels of imgmatch and of all that `imgmatch[all,vault]` requires, for this platform and Python; the sdist; the
documentation; the guide; licence texts; a bill of materials (CycloneDX); SHA-256 sums, signed where a key is given; and
``install.py``, which checks the sums and installs from the folder alone. The folder is tried by installing from it.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"
EXTRAS = "all,vault"


def main() -> None:
    """Make a bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--without-guide", action="store_true", help="leave out the guide, which needs chromium")
    parser.add_argument("--key", type=Path, help="sign the sums with this Ed25519 private key (PEM)")
    asked = parser.parse_args()
    if asked.out.exists():
        raise SystemExit(f"{asked.out}: exists already; name a new folder")
    wheels = asked.out / "wheels"
    wheels.mkdir(parents=True)
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels.resolve())
    _run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", asked.out.resolve())
    (own,) = wheels.glob("imgmatch-*.whl")
    _run(sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:", "-d", wheels, f"{own}[{EXTRAS}]")
    shutil.copytree(ROOT / "docs", asked.out / "docs", ignore=shutil.ignore_patterns("guide"))
    if not asked.without_guide:
        _run(sys.executable, ROOT / "tools" / "guide" / "build.py", (asked.out / "guide").resolve())
    for name in ("README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, asked.out)
    shutil.copy(ROOT / "tools" / "install.py", asked.out)
    with tempfile.TemporaryDirectory() as scratch:
        python = _tried(Path(scratch), wheels)
        _licences(python, asked.out / "licences")
        bill = ["cyclonedx_py", "environment", "--output-reproducible", "-o", asked.out / "sbom.cdx.json", python]
        _run(sys.executable, "-m", *bill)
    _sums(asked.out, asked.key)
    size = sum(file.stat().st_size for file in asked.out.rglob("*") if file.is_file())
    sys.stdout.write(f"{asked.out}: {len(list(wheels.iterdir()))} wheels, {size / 1e6:.0f} MB\n")


def _tried(folder: Path, wheels: Path) -> Path:
    """The Python of an environment made from the wheels alone."""
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    wanted = [f"--find-links={wheels}", f"imgmatch[{EXTRAS}]"]
    _run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-index", *wanted)
    return python


def _licences(python: Path, out: Path) -> None:
    """The licence texts of everything installed, by package; what ships none is listed."""
    asked = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    without = []
    for one in sorted(importlib.metadata.distributions(path=[site]), key=lambda one: one.name.lower()):
        names = ("licen", "copying", "notice", "authors")
        texts = [f for f in one.files or () if f.name.lower().startswith(names) and f.suffix not in (".py", ".pyc")]
        for number, file in enumerate(texts):
            target = out / f"{one.name}-{one.version}" / (file.name if number == 0 else f"{number}-{file.name}")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(one.locate_file(file)), target)
        if not texts:
            stated = one.metadata.get("License-Expression") or one.metadata.get("License") or "not stated"
            without.append(f"{one.name} {one.version}: {stated.splitlines()[0]}")
    (out / "WITHOUT-TEXT.txt").write_text("".join(f"{line}\n" for line in without), encoding="utf-8")


def _sums(out: Path, key: Path | None) -> None:
    files = sorted(file for file in out.rglob("*") if file.is_file())
    lines = (f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(out).as_posix()}\n" for file in files)
    sums = "".join(lines).encode()
    (out / SUMS).write_bytes(sums)
    if key is not None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        private = load_pem_private_key(key.read_bytes(), None)
        if not isinstance(private, Ed25519PrivateKey):
            raise SystemExit(f"{key}: is no Ed25519 private key; give one")
        (out / SIGNATURE).write_bytes(private.sign(sums))


def _run(*words: object) -> None:
    subprocess.run([str(word) for word in words], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
