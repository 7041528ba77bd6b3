"""The kinds of workers: what each serves, and what it loads before it gives up its rights.

Confined, nothing can be imported any more. What is not installed is left out; who needs it says so when asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass

_PILLOW = ("PIL.AvifImagePlugin", "numpy.ma", "pi_heif")
_CODECS = ("jpegxl", "jpegxr", "jpegls", "jpeg8")  # those of imagecodecs that imgmatch.picture.codecs uses
_MORE_PICTURES = (*(f"imagecodecs._{name}" for name in _CODECS), "rawpy")
_MORE = "raise the limit max_memory_bytes ({:,})"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of worker, for what its ``name`` says. ``serve``, as module:function, answers its requests.

    ``parsers`` of ``imgmatch.parsers`` and other ``modules`` are loaded, of ``packages`` everything: they import parts
    of themselves when these are first needed. ``advice``: what helps where a worker can't be started with so many bytes
    of memory. One is replaced after ``uses`` requests: what its libraries leak goes with it.
    """

    name: str
    serve: str
    parsers: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    advice: str = _MORE
    uses: int | None = None


PICTURES = Kind(
    "decoding",
    "imgmatch.workers.decode:serve",
    modules=(*_PILLOW, *_MORE_PICTURES, "cv2", "imgmatch.picture.metadata", "imgmatch.picture.pdq"),
    advice="raise the limit worker_memory_bytes ({:,}) or decode in this process: --no-isolation",
)
FRAMES = Kind(
    "pictures in pictures",
    "imgmatch.workers.serving:extract",
    ("animation", "behind", "previews"),
    (*_PILLOW, *_MORE_PICTURES),
    uses=500,
)
VIDEOS = Kind(
    "videos",
    "imgmatch.workers.serving:extract",
    ("video",),
    _PILLOW,
    ("av", "av.audio", "av.codec", "av.container", "av.sidedata", "av.subtitles", "av.video"),
    uses=500,
)
DOCUMENTS = Kind(
    "documents",
    "imgmatch.workers.serving:extract",
    (
        "caches",
        "covers",
        "mail",
        "msg",
        "pdf",
        "phones",
        "plists",
        "pst",
        "rtf",
        "sqlite",
        "texts",
        "thumbcache",
        "thumbs",
        "tnef",
    ),
    (*_PILLOW, "olefile"),
    # Text may be in any encoding, each of which is a module.
    ("email", "encodings", "pypdf", "pypdf._codecs", "pypdf._crypt_providers", "pypdf.generic"),
    uses=500,
)
ARCHIVES = Kind(
    "archives",
    "imgmatch.workers.serving:extract",
    ("sevenzip", "unfolded", "zipped"),
    ("backports.zstd", "compression.zstd", "Cryptodome.Cipher._mode_cbc", "inflate64", "bcj", "libarchive.entry"),
    ("brotli", "encodings", "py7zr", "pyppmd"),
    uses=500,
)
TABLES = Kind(
    "tables",
    "imgmatch.workers.serving:extract",
    ("sheets",),
    ("openpyxl.utils.datetime",),
    ("encodings", "openpyxl", "openpyxl.reader", "openpyxl.worksheet"),
    uses=100,
)
DISKS = Kind(
    "disk images",
    "imgmatch.workers.serving:ask",
    (
        *("tsk", "volumes.locked", "volumes.luks2", "volumes.lvm", "volumes.trees", "volumes.udf"),
        *("disks.ewf", "disks.ewf2", "disks.qcow", "disks.stated", "disks.udif", "disks.vdi"),
        *("disks.vhd", "disks.vhdx", "disks.vmdk"),
    ),
    (
        *("numpy.ma", "_strptime", "encodings.cp1252", "encodings.utf_16", "encodings.utf_16_be"),
        *("cryptography.hazmat.primitives.ciphers", "cryptography.hazmat.primitives.kdf.argon2"),
    ),
    ("pytsk3", "pyewf", "pyfsxfs", "pyfsapfs", "pyluksde", "pybde", "pyfvde", "backports.zstd"),
)
KINDS = (PICTURES, FRAMES, VIDEOS, DOCUMENTS, ARCHIVES, TABLES, DISKS)
OF_PARSER = {parser: kind for kind in KINDS for parser in kind.parsers}
