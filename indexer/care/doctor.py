"""What is installed here, and whether this machine can do what a case needs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

from packaging.requirements import Requirement

import imgmatch
from imgmatch.cores import usable_cores
from imgmatch.errors import ImgmatchError, MissingPackageError
from imgmatch.evidence.recognise import FORMATS
from imgmatch.models import OPTIONAL, has_weights, list_models, verify_model
from imgmatch.models.runtimes.devices import cuda_devices
from imgmatch.models.runtimes.processor import sums_in_8_bits_are_exact
from imgmatch.optional import require
from imgmatch.types import ModelSpec
from imgmatch.workers.pictures import PicturePool
from indexer.case.case import Case

State = Literal["right", "limited", "missing", "wrong"]
_GIB = 1 << 30
_LEAST_MEMORY, _GOOD_MEMORY = 2 * _GIB, 4 * _GIB
"""Workers, the network and 256 MiB of evidence at once, on two cores; and with room for the system beside them."""
_LEAST_SPACE = 2 * _GIB
_BROUGHT = {  # what an extra brings besides the containers that name it as their need
    "archives": "ZIP with AES",
    "exchange": "Project VIC files, Excel workbooks, Parquet",
    "pictures": "JPEG XL, JPEG XR, JPEG-LS, JPEG of more than 8 bits, camera raw",
    "sign": "signed statements",
    "vault": "encrypted cases, packs encrypted to another office's key",
    "faces": "faces, in a case whose owner allowed it",
    "faces-dlib": "a second network for faces by name",
    "keyring": "passphrases of encrypted cases out of the desktop's keyring",
    "matcher": "learned points that verify from another side, once their wheel is added",
    "milvus": "an index on a Milvus server",
    "cluster": "ingest over several machines",
    "train": "training, export to ONNX, models of timm and torchvision",
    "cuda": "embedding on an NVIDIA GPU",
    "sscd": "the model sscd",
}
_INNER = ("all", "dev", "bench", "bundle", "guide", "milvus-server", "reference", "reference-dlib", "reference-pdq")
"""Extras that are sets of others, or for whoever works on imgmatch."""
_OLDEST = datetime(2026, 1, 1).timestamp()
"""No clock that is right shows less: imgmatch is younger."""


class Finding(NamedTuple):
    """One thing looked at: ``right``, ``limited`` (works, with less), ``missing`` (what needs it doesn't work) or
    ``wrong``; and what to do where there is something."""

    what: str
    state: State
    says: str
    do: str = ""


def examine(case: Case | None = None) -> Iterator[Finding]:
    """Look at this installation and machine, and at what a case needs of them. Changes nothing."""
    yield Finding("imgmatch", "right", f"{imgmatch.__version__}, Python {platform.python_version()}, {_system()}")
    yield from _weights(list_models() if case is None else [spec for _, spec in case.catalogue.models.all()])
    yield _processor()
    yield _memory(case)
    yield _space("temporary files", Path(tempfile.gettempdir()))
    yield _confinement()
    yield _clock(case)
    if case is not None:
        yield _space("case", case.path)
        yield _rights(case)
        yield _catalogue(case)
    yield from _extras()


def _system() -> str:
    return f"{platform.system()} {platform.release()} {platform.machine()}"


def _weights(models: list[ModelSpec]) -> Iterator[Finding]:
    for spec in models:
        if spec.name in OPTIONAL and not has_weights(spec):
            continue  # its extra says so
        try:
            verify_model(spec.name)
            yield Finding(f"model {spec.name}", "right", f"SHA-256 {spec.weights_sha256[:12]}... is right")
        except ImgmatchError as error:
            yield Finding(f"model {spec.name}", "wrong", str(error), "install imgmatch again, or add the model")


def _processor() -> Finding:
    cores, exact = usable_cores(), sums_in_8_bits_are_exact()
    devices = cuda_devices()
    says = f"{cores} cores, {'with' if exact else 'without'} exact 8-bit products" + f", {devices} GPU" * bool(devices)
    if exact:
        return Finding("processor", "right", says)
    slower = "the default model takes slower kernels here: init with --model imgmatch-rooms may be faster"
    return Finding("processor", "limited", says, slower)


def _memory(case: Case | None) -> Finding:
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return Finding("memory", "right", "can't be told on this system; 4 GiB are enough for any case of a million")
    held = 0
    if case is not None:
        rows = case.catalogue.counts()["vectors"]
        held = 2 * rows * max(spec.dim for _, spec in case.catalogue.models.all())
    says = f"{there / _GIB:.1f} GiB" + (f"; the case's vectors take {held / _GIB:.2f} GiB" if held else "")
    if there < _LEAST_MEMORY:
        return Finding("memory", "wrong", says, "use a machine with 4 GiB or more")
    if there < _GOOD_MEMORY + held:
        return Finding("memory", "limited", says, "large pictures and a large case may be slow; --jobs 1 needs least")
    return Finding("memory", "right", says)


def _space(what: str, folder: Path) -> Finding:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(f"disk, {what}", "wrong", f"{folder}: {error.strerror}", "name another folder")
    says = f"{folder}: {free / _GIB:.1f} GiB free"
    if not os.access(folder, os.W_OK):
        return Finding(f"disk, {what}", "limited", f"{folder}: can't be written", "a case here is only read")
    if free < _LEAST_SPACE:
        return Finding(f"disk, {what}", "limited", says, "make room: archives inside archives are unpacked to disk")
    return Finding(f"disk, {what}", "right", says)


def _confinement() -> Finding:
    with PicturePool(1) as pool:
        held = pool.confinement()
    kept = {"the network": held.no_network, "files": held.no_files, "other programs": held.no_processes}
    lacks = [name for name, holds in kept.items() if not holds]
    if not lacks:
        return Finding("confinement", "right", f"what decodes evidence reaches nothing ({held.method})")
    return Finding(
        "confinement",
        "limited",
        f"what decodes evidence is not kept from: {', '.join(lacks)} ({held.method})",
        "use Linux with libseccomp for evidence that you don't trust",
    )


def _clock(case: Case | None) -> Finding:
    now = time.time()
    says = datetime.now().astimezone().isoformat(timespec="seconds")
    if now < _OLDEST:
        return Finding("clock", "wrong", f"{says} is before imgmatch was made", "set this machine's clock")
    newest = "" if case is None else next((entry["time_utc"] for entry in case.log.entries(last=1)), "")
    if newest and datetime.fromisoformat(newest).timestamp() > now + 60:
        return Finding("clock", "wrong", f"{says}; the case's log ends at {newest}", "set this machine's clock")
    return Finding("clock", "right", says)


def _rights(case: Case) -> Finding:
    found = case.path.stat()
    if os.name == "posix" and stat.S_IMODE(found.st_mode) & 0o077:
        return Finding(
            "rights", "wrong", f"{case.path}: others may enter it", f"chmod 700 {case.path}, and see who has been there"
        )
    if hasattr(os, "getuid") and found.st_uid != os.getuid():
        return Finding("rights", "limited", f"{case.path}: belongs to another account", "work as its owner")
    return Finding("rights", "right", "only its owner may enter the case")


def _catalogue(case: Case) -> Finding:
    wrong = case.catalogue.integrity()
    if wrong:
        return Finding("catalogue", "wrong", str(wrong), f"imgmatch check {case.path}")
    return Finding("catalogue", "right", f"format {case.catalogue.format_version()}")


def _extras() -> Iterator[Finding]:
    needed = [Requirement(text) for text in importlib.metadata.requires("imgmatch") or ()]
    extras = importlib.metadata.metadata("imgmatch").get_all("Provides-Extra") or []
    for extra in sorted(set(extras) - set(_INNER)):
        opened = [one for one in FORMATS if one.needs and one.needs[1] == extra]
        brings = ", ".join([*dict.fromkeys(one.name for one in opened), *filter(None, [_BROUGHT.get(extra)])])
        own = [one for one in needed if _of_extra(one, extra)]
        if not own:
            continue  # not for this Python
        lacking = [one.name for one in own if not _here(one)]
        lacking = lacking or [str(one.needs[0]) for one in opened if one.needs and not _loads(*one.needs)]
        if lacking:
            todo = f"pip install 'imgmatch[{extra}]'"
            yield Finding(f"extra {extra}", "missing", f"{brings}: lacks {', '.join(lacking)}", todo)
        else:
            yield Finding(f"extra {extra}", "right", brings)


def _of_extra(wanted: Requirement, extra: str) -> bool:
    marker = wanted.marker
    return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _loads(module: str, extra: str) -> bool:
    """A package may be here without the system's library that it calls."""
    try:
        require(module, extra)
    except MissingPackageError:
        return False
    return True


def _here(wanted: Requirement) -> bool:
    try:
        return wanted.specifier.contains(importlib.metadata.version(wanted.name), prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False
