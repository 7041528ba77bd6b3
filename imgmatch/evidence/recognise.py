"""Which containers a file is, by its content; a name only decides where content can't."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from imgmatch.errors import ImgmatchError, raise_if_machine
from imgmatch.evidence.container import Container
from imgmatch.evidence.formats import (
    android,
    animation,
    behind,
    discs,
    ewf,
    filesystem,
    inside,
    locked,
    lvm,
    mail,
    msg,
    packed,
    partitions,
    pdf,
    phones,
    plain,
    previews,
    pst,
    qcow,
    searched,
    sectors,
    sevenzip,
    sparse,
    split,
    stores,
    tars,
    thumbs,
    tnef,
    trees,
    udif,
    unfolded,
    unread,
    vdi,
    vhd,
    video,
    vmdk,
    zips,
)
from imgmatch.evidence.look import Look
from imgmatch.evidence.options import SourceOptions
from imgmatch.streams import one_line
from imgmatch.types import Evidence

_log = logging.getLogger(__name__)
FORMATS: tuple[type[Container], ...] = (
    stores.FirefoxCache,  # a picture, often, with more behind it
    split.Split,  # a part may begin as anything does
    animation.Animation,
    video.Sequence,
    video.Sound,
    previews.Previews,
    behind.Behind,
    video.Video,
    plain.Plain,  # most files are such
    pdf.Pdf,
    msg.Msg,
    thumbs.Thumbs,  # any other compound file
    tnef.Tnef,
    pst.Pst,
    stores.ThumbCache,
    phones.IosBackup,
    stores.Sqlite,
    stores.PropertyList,
    stores.Cache,
    mail.Mail,
    udif.Udif,  # begins as its first piece does, such as a bzip2 file
    sevenzip.SevenZip,
    android.AndroidBackup,
    packed.Gzip,
    packed.Zlib,
    packed.Bzip2,
    packed.Xz,
    packed.Lzma,
    packed.Flash,
    packed.Zstd,
    unfolded.Unfolded,
    sparse.Sparse,
    sectors.RawSectors,
    vmdk.Vmdk,
    qcow.Qcow,
    vhd.Vhd,
    vdi.Vdi,
    ewf.Ewf,
    locked.Luks,
    locked.BitLocker,
    locked.FileVault,
    lvm.Lvm,
    trees.Xfs,
    trees.Apfs,
    discs.Bridge,
    trees.Udf,
    partitions.Partitions,
    filesystem.FileSystem,
    zips.Zip,
    tars.Tar,
    partitions.DamagedPartitions,
    filesystem.DamagedFileSystem,
    searched.SearchedPartitions,
    searched.FatWithoutBoot,
    unread.UnreadVolume,
    stores.RichText,
    inside.Store,
    stores.Text,  # any other, where pictures are in it
    inside.Inside,
    inside.Anywhere,
)
"""Every container there is, in the order in which a file is asked whether it is one."""


@cache
def that_may_begin_with(first: int, formats: tuple[type[Container], ...], text: bool = False) -> list[type[Container]]:
    """Those that a file with this first byte is asked about; ``text``: one that is short, without zeros."""

    def may(container: type[Container]) -> bool:
        by_magic_alone = inspect.getattr_static(container, "recognise") is inspect.getattr_static(
            Container, "recognise"
        )
        if text and container.holds_zeros and not by_magic_alone:
            return False
        begins = container.magic if by_magic_alone else container.begins
        return not (by_magic_alone or begins) or any(magic[0] == first for magic in begins)

    return list(filter(may, formats))


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a file is: the containers to open it as, in order; none for what holds nothing."""

    containers: tuple[type[Container], ...] = ()
    elsewhere: bool = False
    """A file of a set, which is read with the first of them."""
    left_closed: tuple[str, ...] = ()
    """Names of the containers that it is too, and that the options have left closed."""
    fault: str = ""
    """Why it could not be told what it is."""

    @property
    def itself(self) -> bool:
        """Is it evidence of its own, whatever lies in it?"""
        return all(container.itself for container in self.containers)

    @property
    def is_disk(self) -> bool:
        """Is it the image of a disk, or a part of one: mostly empty, as a rule, and not read but where files lie?"""
        return any(container.hashed_up_to_bytes is None for container in self.containers)

    def is_hashed(self, size_bytes: int) -> bool:
        """Is a file of this size one that others keep hashes of?"""
        most = [container.hashed_up_to_bytes for container in self.containers]
        return any(limit is not None and size_bytes <= limit for limit in most)


def recognise(evidence: Evidence, options: SourceOptions) -> Recognised:
    """What to open evidence as. OSError where it can't be read."""
    with Look(evidence) as look:
        return _of(look, options)


def _of(look: Look, options: SourceOptions) -> Recognised:
    containers: list[type[Container]] = []
    left_closed: list[str] = []
    fault = ""
    head = look.head
    asked: Sequence[type[Container]] = FORMATS
    if head and head[4:8] != b"ftyp":
        asked = that_may_begin_with(head[0], FORMATS, look.is_short_text)
    for container in asked:
        try:
            is_one = container.recognise(look)
        except (OSError, ImgmatchError):
            raise
        except Exception as error:  # noqa: BLE001  (others are asked all the same)
            raise_if_machine(error)
            _log.debug("%s: not foreseen", look.evidence.locator, exc_info=True)
            fault = f"{container.name}: {one_line(error)}"
            continue
        if not is_one:
            continue
        if container.switch is not None and not getattr(options, container.switch):
            left_closed.append(container.name)
            continue
        if container.elsewhere(look):
            return Recognised(elsewhere=True)
        if container.opens:
            containers.append(container)
        if not container.itself:
            break
    return Recognised(tuple(containers), left_closed=tuple(left_closed), fault=fault)
