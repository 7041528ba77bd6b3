"""The kinds of workers, and what each loads before it gives up its rights: confined, nothing can be imported.

The ``load_...`` functions run in the worker. What is not installed is left out there; who needs it says so when asked.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from imgmatch.workers.child import Serve

Task = Literal["animation", "mail", "msg", "pdf", "previews", "thumbs", "tnef", "video"]
"""What takes pictures out of a file: a module of ``imgmatch.parsers``."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of worker, for what its ``name`` says. ``load`` is a function of a module, called there by its name;
    ``advice``: what helps where one can't be started with so many bytes of memory. One is replaced after ``uses``
    requests: what its libraries leak goes with it.
    """

    name: str
    load: Callable[[], Serve]
    advice: str
    uses: int | None = None


def load_pictures() -> Serve:
    """Decoders of pictures, one thread each: pictures are decoded side by side."""
    import cv2
    from PIL import AvifImagePlugin

    from imgmatch.picture import metadata  # noqa: F401
    from imgmatch.workers import decode

    _load_pillow()
    _load("pdqhash")
    cv2.setNumThreads(1)
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    return decode.serve


def load_frames() -> Serve:
    """Pictures in pictures."""
    from imgmatch.parsers import animation, previews
    from imgmatch.workers.serving import Extractors

    _load_pillow()
    return Extractors(animation, previews).serve


def load_videos() -> Serve:
    """FFmpeg, whose wrapper imports what a track needs when it meets one."""
    from imgmatch.parsers import video
    from imgmatch.workers.serving import Extractors

    _load_pillow()
    _load_whole("av", "av.audio", "av.codec", "av.container", "av.sidedata", "av.subtitles", "av.video")
    return Extractors(video).serve


def load_documents() -> Serve:
    """PDF, mail of all sorts, Thumbs.db. Text in them may be in any encoding, each of which is a module."""
    from imgmatch.parsers import mail, msg, pdf, thumbs, tnef
    from imgmatch.workers.serving import Extractors

    _load_pillow()
    _load("olefile")
    _load_whole("email", "encodings", "pypdf", "pypdf._codecs", "pypdf._crypt_providers", "pypdf.generic")
    return Extractors(mail, msg, pdf, thumbs, tnef).serve


def load_disks() -> Serve:
    """The Sleuth Kit, which takes FAT's times for those of the zone here, and libyal."""
    import os
    import time

    from imgmatch.parsers import libyal, tsk
    from imgmatch.workers.serving import Disks

    _load("pytsk3", "pyewf", "pyqcow", "pyvhdi", "pyvmdk")
    if hasattr(time, "tzset"):
        os.environ["TZ"] = "UTC"
        time.tzset()
    return Disks((*tsk.PARSERS, *libyal.PARSERS)).serve


def _load_pillow() -> None:
    import numpy.ma  # noqa: F401  (NumPy loads it for medians)
    import pi_heif
    from PIL import Image as Pillow

    Pillow.init()
    pi_heif.options.DECODE_THREADS = 1


def _load(*modules: str) -> None:
    for module in modules:
        with suppress(ImportError):
            importlib.import_module(module)


def _load_whole(*packages: str) -> None:
    for package in packages:
        _load(package)
        folders = getattr(sys.modules.get(package), "__path__", ())
        _load(*(f"{package}.{module.name}" for module in pkgutil.iter_modules(folders)))


_MORE = "raise the limit max_memory_bytes ({:,})"
PICTURES = Kind(
    "decoding", load_pictures, "raise the limit worker_memory_bytes ({:,}) or decode in this process: --no-isolation"
)
FRAMES = Kind("pictures in pictures", load_frames, _MORE, 500)
VIDEOS = Kind("videos", load_videos, _MORE, 500)
DOCUMENTS = Kind("documents", load_documents, _MORE, 500)
DISKS = Kind("disk images", load_disks, _MORE)
KINDS = (PICTURES, FRAMES, VIDEOS, DOCUMENTS, DISKS)
OF_TASK: dict[Task, Kind] = {
    "animation": FRAMES,
    "mail": DOCUMENTS,
    "msg": DOCUMENTS,
    "pdf": DOCUMENTS,
    "previews": FRAMES,
    "thumbs": DOCUMENTS,
    "tnef": DOCUMENTS,
    "video": VIDEOS,
}
