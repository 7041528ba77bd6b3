"""Ex01 that ``ex01`` does not read, by libewf (LGPL): out of file objects, none is opened by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from imgmatch.optional import require
from imgmatch.parsers.disks.units import About, DamageError
from imgmatch.streams import RandomAccess, Window, one_line


class Ewf2:
    """The image of a disk as later versions of EnCase make it: the segment files in order."""

    def __init__(self, _: Callable[[], None], images: Sequence[RandomAccess]) -> None:
        self._keep = [Window(image) for image in images]  # the library does not hold on to them
        self._handle = require("pyewf", "forensic", "EnCase image").handle()
        self._handle.open_file_objects(self._keep)
        self.size_bytes = int(self._handle.get_media_size())

    def about(self) -> About:
        """What it says of itself."""
        names = (("md5", "MD5"), ("sha1", "SHA1"))
        told = [(name, self._handle.get_hash_value(key)) for name, key in names]
        hashes = [(name, value.lower()) for name, value in told if value]
        return {"size": self.size_bytes, "unsupported": "", "identity": "", "faults": [], "hashes": hashes}

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the disk. Raises DamageError where there are fewer."""
        size = max(0, min(size, self.size_bytes - offset))
        try:
            data = bytes(self._handle.read_buffer_at_offset(size, offset))
        except OSError as error:
            raise DamageError(offset, size, one_line(error)) from error
        if len(data) < size:
            raise DamageError(offset + len(data), size - len(data), "its reader gives less")
        return data
