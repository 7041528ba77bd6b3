"""What makes two installations give the same: the packages that read and compute, and a picture that shows whether they
do.
"""

from __future__ import annotations

import functools
import hashlib
import io
import platform
import re
from importlib import metadata
from pathlib import Path

import numpy as np
from packaging.requirements import Requirement
from PIL import Image

import imgmatch
from imgmatch.errors import ImgmatchError
from imgmatch.models.base import Embedder
from imgmatch.workers.decode import ReadPicture, Request
from indexer import intake
from indexer.intake.cluster.parcels import Kit

# What reads and computes in an ingest: packages that are always there but for these, and those of extras.
_ASIDE = {"faiss-cpu", "jinja2", "rich", "starlette", "typer", "uvicorn"}
_EXTRAS = {"archives", "cluster", "documents", "faces", "forensic", "pictures", "rar", "video"}
_PROBE_PX = 320


@functools.cache
def kit() -> Kit:
    """The packages of this installation."""
    found = {"python": ".".join(platform.python_version_tuple()[:2]), "the code of imgmatch": _code()}
    try:
        required = [Requirement(line) for line in metadata.requires("imgmatch") or ()]
    except metadata.PackageNotFoundError:  # a source tree that was never installed
        required = []
    for each in required:
        of = re.search(r'extra == "([\w-]+)"', str(each.marker or ""))
        if each.name in _ASIDE or (of and of[1] not in _EXTRAS):
            continue
        try:
            found[each.name] = metadata.version(each.name)
        except metadata.PackageNotFoundError:
            found[each.name] = ""
    return tuple(sorted(found.items()))


def _code() -> str:
    """What the modules are that read and compute; versions between releases have one number."""
    made = hashlib.sha256()
    for package in (imgmatch, intake):
        folder = Path(package.__path__[0])
        for module in sorted(folder.rglob("*.py")):
            made.update(f"{module.relative_to(folder).as_posix()}\n".encode())
            made.update(module.read_bytes().replace(b"\r\n", b"\n"))
    return made.hexdigest()[:12]


def differs(theirs: Kit, ours: Kit) -> str:
    """The first package of which another installation has another version, in words; empty where there is none."""
    there, here = dict(theirs), dict(ours)
    for name in sorted(there.keys() | here.keys()):
        if there.get(name, "") != here.get(name, ""):
            return f"{name} is {there.get(name) or 'missing'} there and {here.get(name) or 'missing'} here"
    return ""


def probe() -> bytes:
    """A picture with edges, noise and colours, as a JPEG file."""
    rng = np.random.default_rng(7)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((_PROBE_PX, _PROBE_PX), Image.Resampling.BICUBIC), dtype=np.int16)
    noisy = np.clip(pixels + rng.integers(-20, 21, pixels.shape), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=85)
    return file.getvalue()


def made_of(probe: bytes, embedder: Embedder, decoder: ReadPicture) -> str:
    """SHA-256 of what this machine makes of a picture: pixels, PDQ, and the vector as it is stored."""
    done = decoder(probe, Request(embedder.spec.input_px, pdq=True))
    if done.prepared is None or done.facts.pdq is None:
        raise ImgmatchError("the picture by which machines are compared was not decoded")
    vector = embedder.embed(done.prepared[np.newaxis])[0]
    made = hashlib.sha256(done.prepared.tobytes())
    made.update(done.facts.pdq.hash)
    made.update(vector.astype("<f2").tobytes())
    return made.hexdigest()
