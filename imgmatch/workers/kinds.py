"""The kinds of workers, and what each loads before it gives up its rights: confined, nothing can be imported.

The ``load_...`` functions run in the worker. What is not installed is left out there; who needs it says so when asked.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from imgmatch.workers.child import Serve

Task = Literal["animation", "mail", "pdf", "previews", "thumbs", "video"]
"""What takes pictures out of a file."""


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


def load_files() -> Serve:
    """Videos, moving pictures, documents. Text in them may be in any encoding, each of which is a module."""
    import email.parser  # noqa: F401
    import encodings
    import pkgutil

    from imgmatch.parsers import animation, mail, pdf, previews, thumbs, video
    from imgmatch.workers.serving import Extractors

    extractors: dict[Task, Callable[..., Any]] = {
        "animation": animation.extract,
        "mail": mail.extract,
        "pdf": pdf.extract,
        "previews": previews.extract,
        "thumbs": thumbs.extract,
        "video": video.extract,
    }
    _load_pillow()
    _load("av", "av.video.reformatter", "olefile", "pypdf")
    _load(*(f"encodings.{module.name}" for module in pkgutil.iter_modules(encodings.__path__)))
    return Extractors(extractors).serve


def load_disks() -> Serve:
    """The Sleuth Kit and libyal. FAT tells local times: the C library reads which they are once."""
    import time

    from imgmatch.parsers import libyal, tsk
    from imgmatch.workers.serving import Disks

    _load("pytsk3", "pyewf", "pyqcow", "pyvhdi", "pyvmdk")
    time.localtime()
    return Disks((*tsk.PARSERS, *libyal.PARSERS)).serve


def _load_pillow() -> None:
    import pi_heif
    from PIL import Image as Pillow

    Pillow.init()
    pi_heif.options.DECODE_THREADS = 1


def _load(*modules: str) -> None:
    for module in modules:
        with suppress(ImportError):
            importlib.import_module(module)


_MORE = "raise the limit max_memory_bytes ({:,})"
PICTURES = Kind(
    "decoding", load_pictures, "raise the limit worker_memory_bytes ({:,}) or decode in this process: --no-isolation"
)
FILES = Kind("videos and documents", load_files, _MORE, 500)
DISKS = Kind("disk images", load_disks, _MORE)
KINDS = (PICTURES, FILES, DISKS)
