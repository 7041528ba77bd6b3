"""Disk images in a container format, by libyal's libraries, out of file objects: none opens a file by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from imgmatch.optional import require
from imgmatch.parsers.told import Size
from imgmatch.streams import RandomAccess, Window


class _Media:
    """The bytes of a disk."""

    module: ClassVar[str]

    def __init__(self, _: Callable[[], None], images: list[RandomAccess]) -> None:
        self._keep = [Window(image) for image in images]  # the library does not hold on to them
        self._handle = self._load(require(self.module, "forensic"), self._keep)

    def _load(self, library: Any, files: list[Window]) -> Any:
        handle = library.file()
        handle.open_file_object(files[0])
        return handle

    def size(self) -> Size:
        """How many there are."""
        return int(self._handle.get_media_size())

    def read(self, offset: int, size: int) -> bytes:
        """Some of them."""
        return bytes(self._handle.read_buffer_at_offset(size, offset))


class Ewf(_Media):
    """E01, Ex01: the segment files in order."""

    module: ClassVar[str] = "pyewf"

    def _load(self, library: Any, files: list[Window]) -> Any:
        handle = library.handle()
        handle.open_file_objects(files)
        return handle


class Vhd(_Media):
    """VHD, VHDX."""

    module: ClassVar[str] = "pyvhdi"


class Qcow(_Media):
    """QCOW and its later versions."""

    module: ClassVar[str] = "pyqcow"


class Vmdk(_Media):
    """VMDK: the file with the descriptor, then those that hold the extents."""

    module: ClassVar[str] = "pyvmdk"

    def _load(self, library: Any, files: list[Window]) -> Any:
        handle = library.handle()
        handle.open_file_object(files[0])
        handle.open_extent_data_files_as_file_objects(files[1:])
        return handle


class VmdkDescriptor:
    """What a VMDK says of where its extents lie."""

    def __init__(self, _: Callable[[], None], images: list[RandomAccess]) -> None:
        self._keep = Window(images[0])
        self._handle = require("pyvmdk", "forensic").handle()
        self._handle.open_file_object(self._keep)

    def extents(self) -> list[str | None]:
        """Names of the files, in order; None for an extent without one."""
        return [extent.filename for extent in self._handle.extent_descriptors]
