"""VMDK, in one file or with extents in files beside it."""

from __future__ import annotations

import os
import re

from imgmatch.evidence import files
from imgmatch.evidence.formats.disk_image import DiskImage, beside, cant_open
from imgmatch.parsers import libyal
from imgmatch.streams import RandomAccess
from imgmatch.workers import session


class Vmdk(DiskImage):
    """A virtual disk of VMware's."""

    name = "VMDK"
    kinds = ("vmdk",)
    parser = libyal.Vmdk
    magic = (b"KDMV", b"# Disk DescriptorFile")
    needs = "pyvmdk", "forensic"

    def media(self) -> RandomAccess:
        """The disk's bytes, extents beside included."""
        own = self.access()
        try:
            descriptor = session.Session(libyal.VmdkDescriptor, [own], self.outer, self.options.limits)
            names = descriptor.call("extents")
        except OSError as error:
            raise cant_open(error) from error
        return self.parsed([own, *(self._extent(name, own) for name in names)])

    def _extent(self, name: str | None, own: RandomAccess) -> RandomAccess:
        """The file of an extent: beside this one, and nowhere else, whatever the descriptor says; or this one."""
        path = files.path_of(self.outer)
        if path is not None and name is not None:
            near = os.path.join(os.path.dirname(path), re.split(r"[\\/]", name)[-1])
            if os.path.isfile(near):
                return beside(near)
        return own
