"""Which container a file is, by its content; a name only decides where content can't."""

from __future__ import annotations

import os
from dataclasses import dataclass

from imgmatch.evidence import files
from imgmatch.evidence.formats import media
from imgmatch.evidence.formats.disk import is_file_system, is_partitioned
from imgmatch.evidence.formats.images import first_part, is_ewf, is_first_segment, parts_of
from imgmatch.evidence.formats.tars import is_tar
from imgmatch.evidence.formats.zips import is_zip
from imgmatch.evidence.options import SourceOptions
from imgmatch.locator import Locator
from imgmatch.types import Evidence

HEAD_BYTES = 4096
_LARGEST_WHOLE_ARCHIVE_BYTES = 1 << 30
# Nothing is looked for inside these: said first, since most files are such.
_PLAIN = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")


@dataclass(frozen=True, slots=True)
class Format:
    """A class ``name`` in ``imgmatch.evidence.<module>``. ``elsewhere``: a part of a set, read with its first.
    ``itself``: a picture of its own that holds others.
    """

    module: str
    name: str
    elsewhere: bool = False
    itself: bool = False

    def is_whole(self, size_bytes: int) -> bool:
        """Is a file of this size one that others keep hashes of: a video, moving picture or document, or an archive
        (an Office file is one) that is not large? Disk images never are.
        """
        return self.module == "extracted" or (
            self.module not in ("disk", "images") and size_bytes <= _LARGEST_WHOLE_ARCHIVE_BYTES
        )


_MAGIC = (
    (b"7z\xbc\xaf\x27\x1c", Format("sevenzip", "SevenZip")),
    (b"\x1f\x8b\x08", Format("packed", "Gzip")),
    (b"BZh", Format("packed", "Bzip2")),
    (b"\xfd7zXZ\0", Format("packed", "Xz")),
    (b"\x28\xb5\x2f\xfd", Format("packed", "Zstd")),
    (b"KDMV", Format("images", "Vmdk")),
    (b"# Disk DescriptorFile", Format("images", "Vmdk")),
    (b"QFI\xfb", Format("images", "Qcow")),
    (b"vhdxfile", Format("images", "Vhd")),
    (b"conectix", Format("images", "Vhd")),
)
_ANIMATION = Format("extracted", "Animation", itself=True)
_PREVIEWS = Format("extracted", "Previews", itself=True)
_VIDEO = Format("extracted", "Video")
_ZIP = Format("zips", "Zip")
_TAR = Format("tars", "Tar")


def recognise(found: Evidence, options: SourceOptions) -> Format | None:
    """What to open ``found`` with, or None for what holds nothing. OSError where it can't be read."""
    with found.open() as stream:
        head = _read(stream, HEAD_BYTES)
    if options.frames and media.holds_several(found, head):
        return _ANIMATION
    if options.previews and media.may_hold_previews(head):
        return _PREVIEWS
    if options.frames and media.is_video(head):
        return _VIDEO
    if head.startswith(_PLAIN):
        return None
    if options.documents and (document := media.document(head)) is not None:
        return Format("extracted", document)
    for magic, format_of in _MAGIC:
        if head.startswith(magic):
            return format_of
    outermost = found.locator.kind == "file" and found.locator.parent is None
    if is_ewf(head):
        elsewhere = not is_first_segment(head) and outermost and _has_first(found.locator.at)
        return Format("images", "Ewf", elsewhere=elsewhere)
    if outermost and first_part(found.locator.at) is not None and not head.startswith(b"PK"):
        first_locator = Locator.file(str(first_part(found.locator.at)))
        if _is_disk(files.reopen(first_locator)):
            return Format("images", "SplitRaw", elsewhere=True)
    if is_partitioned(head) or is_file_system(head):
        if outermost and len(parts_of(found.locator.at)) > 1:
            return Format("images", "SplitRaw")
        return Format("disk", "Partitions" if is_partitioned(head) else "FileSystem")
    if is_zip(head):
        return _ZIP
    if is_tar(head):
        return _TAR
    return None


def _is_disk(found: Evidence) -> bool:
    with found.open() as stream:
        head = _read(stream, HEAD_BYTES)
    return is_partitioned(head) or is_file_system(head)


def _has_first(name: str) -> bool:
    """Does the first segment file of an E01 set lie beside a later one?"""
    stem, ending = os.path.splitext(name)
    first = "01" if ending[1:2].lower() == "e" and ending[2:3].lower() != "x" else "x01"
    firsts = (f"{stem}.{letter}{first}" for letter in "Ee")
    return any(beside != name and os.path.isfile(beside) for beside in firsts)


def _read(stream: object, size: int) -> bytes:
    parts = []
    while size > 0 and (part := stream.read(size)):  # type: ignore[attr-defined]
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
