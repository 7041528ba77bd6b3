"""Which container a file is, by its content; a name only decides where content can't."""

from __future__ import annotations

from dataclasses import dataclass

from imgmatch.sources.options import SourceOptions
from imgmatch.sources.tars import is_tar
from imgmatch.sources.zips import is_zip
from imgmatch.types import Evidence

HEAD_BYTES = 4096
# Nothing is looked for inside these: said first, since most files are such.
_PLAIN = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")


@dataclass(frozen=True, slots=True)
class Format:
    """A class ``name`` in ``imgmatch.sources.<module>``. ``picture``: the file itself is evidence too."""

    module: str
    name: str
    picture: bool = False
    elsewhere: bool = False


_MAGIC = (
    (b"7z\xbc\xaf\x27\x1c", Format("sevenzip", "SevenZip")),
    (b"\x1f\x8b\x08", Format("packed", "Gzip")),
    (b"BZh", Format("packed", "Bzip2")),
    (b"\xfd7zXZ\0", Format("packed", "Xz")),
    (b"\x28\xb5\x2f\xfd", Format("packed", "Zstd")),
)
_ZIP = Format("zips", "Zip")
_TAR = Format("tars", "Tar")


def recognise(found: Evidence, options: SourceOptions) -> Format | None:
    """What to open ``found`` with, or None for what holds nothing. OSError where it can't be read."""
    with found.open() as stream:
        head = _read(stream, HEAD_BYTES)
    if head.startswith(_PLAIN):
        return None
    for magic, format_of in _MAGIC:
        if head.startswith(magic):
            return format_of
    if is_zip(head):
        return _ZIP
    if is_tar(head):
        return _TAR
    return None


def _read(stream: object, size: int) -> bytes:
    parts = []
    while size > 0 and (part := stream.read(size)):  # type: ignore[attr-defined]
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
