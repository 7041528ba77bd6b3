"""Install imgmatch from this folder, without a network: ``python install.py FOLDER [--public-key KEY]``.

Checks every file against SHA256SUMS first. Who signed the sums is checked by
``openssl pkeyutl -verify -pubin -inkey KEY -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig``, which --public-key runs.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
SUMS = "SHA256SUMS"


def main() -> None:
    """Check and install."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where imgmatch goes: a new folder")
    parser.add_argument("--public-key", type=Path, help="who must have signed the sums: an Ed25519 public key (PEM)")
    parser.add_argument("--check", action="store_true", help="check only")
    asked = parser.parse_args()
    if not (HERE / SUMS).is_file():
        raise SystemExit(f"{HERE / SUMS}: is missing; get the bundle again")
    if asked.public_key is not None:
        if shutil.which("openssl") is None:
            raise SystemExit("openssl is not installed: it checks the signature; install it, or leave out --public-key")
        words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", asked.public_key, "-rawin"]
        words += ["-in", HERE / SUMS, "-sigfile", HERE / f"{SUMS}.sig"]
        if subprocess.run(words, capture_output=True, check=False).returncode:
            raise SystemExit(f"{SUMS}.sig: is no signature of {SUMS} by {asked.public_key}; get the bundle again")
    wrong = faults()
    if wrong:
        raise SystemExit(f"{'; '.join(wrong)}: get the bundle again")
    sys.stdout.write("every file is as its SHA-256 says\n")
    if asked.check:
        return
    venv.create(asked.folder, with_pip=True)
    scripts = asked.folder / ("Scripts" if sys.platform == "win32" else "bin")
    pip = [scripts / "python", "-m", "pip", "install", "-q", "--no-index", f"--find-links={HERE / 'wheels'}"]
    if subprocess.run([str(word) for word in [*pip, "imgmatch[all,vault]"]], check=False).returncode:
        python = ".".join(map(str, sys.version_info[:2]))
        raise SystemExit(
            f"it can't be installed with Python {python} on this system: the names in {HERE / 'wheels'} say for which "
            f"Python (cp311: 3.11) and system the bundle is; run install.py with that Python, and remove {asked.folder}"
        )
    subprocess.run([str(scripts / "imgmatch"), "doctor"], check=False)
    here = scripts.absolute()
    sys.stdout.write(
        f'imgmatch is here: {here / "imgmatch"}\nSo that a terminal knows it: export PATH="{here}:$PATH"\n'
    )
    guide = HERE.absolute() / "guide" / "index.html"
    sys.stdout.write(f"The guide is here: {guide}\n" if guide.exists() else "")


def faults() -> list[str]:
    """Files that are gone, are not as their sum says, or have none."""
    found = []
    named = {SUMS, f"{SUMS}.sig"}
    for line in (HERE / SUMS).read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ", 1)
        named.add(name)
        file = HERE / name
        if not file.is_file():
            found.append(f"{name} is missing")
        elif hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            found.append(f"{name} was altered")
    for file in HERE.rglob("*"):
        if file.is_file() and file.relative_to(HERE).as_posix() not in named:
            found.append(f"{file.relative_to(HERE)} is not listed")
    return found


if __name__ == "__main__":
    main()
