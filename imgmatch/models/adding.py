"""A model that is added: what is said of it is checked, and it is run once in a process of its own, since a graph can
loop for ever, or take all memory.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from imgmatch.errors import ImgmatchError, ModelError
from imgmatch.models.descriptions import SPEC_FILE, read_spec
from imgmatch.models.loading import on_cpu
from imgmatch.models.table import check_new_name, models_folder
from imgmatch.types import ModelSpec

_SECONDS = 120
_MEMORY_BYTES = 16 << 30
_REFUSED = 3


def add_model(folder: Path) -> ModelSpec:
    """Add a trained model (a folder with ``spec.json`` and the ONNX file it names) to this machine's.

    It is checked first: fields, SHA-256, and that it runs and gives unit vectors. Raises ModelError.
    """
    spec = read_spec(folder / SPEC_FILE)
    check_new_name(spec.name)
    target = models_folder() / spec.name
    draft = target.with_name(f".{spec.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        for name in (SPEC_FILE, spec.weights_file):
            shutil.copyfile(folder / name, draft / name)
        with (draft / spec.weights_file).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != spec.weights_sha256:
                raise ModelError(f"{spec.weights_file}: its SHA-256 is not the one in {SPEC_FILE}; export it again")
        _try(draft)
        draft.rename(target)
    except OSError as error:
        raise ModelError(f"{folder}: can't be copied to {target} ({error.strerror})") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return spec


def _try(folder: Path) -> None:
    """Run the network of ``folder`` on noise. Raises ModelError where it gives no unit vectors, or takes too long."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "imgmatch.models.adding", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, env=environment, check=False)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{folder}: two pictures take it more than {_SECONDS} s; not added") from error
    if done.returncode == _REFUSED:
        raise ModelError(done.stdout.decode("utf-8", "replace").strip())
    if done.returncode:
        raise ModelError(f"{folder}: its network ended the process that tried it ({done.returncode}); not added")


def _limit() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _run(folder: Path) -> None:
    import numpy as np

    spec = read_spec(folder / SPEC_FILE)
    noise = np.random.default_rng(0).integers(0, 256, (2, spec.input_px, spec.input_px, 3), dtype=np.uint8)
    on_cpu(spec, folder / spec.weights_file, threads=1).embed(noise)


if __name__ == "__main__":
    _limit()
    try:
        _run(Path(sys.argv[1]))
    except ImgmatchError as error:
        sys.stdout.buffer.write(str(error).encode("utf-8", "replace"))
        sys.exit(_REFUSED)
