"""Encrypted volumes: LUKS by libluksde and a reader of its own, BitLocker by libbde, FileVault 2 by libfvde (LGPL).

What opens one is proved by the volume itself, which keeps a digest of its key; the content of none has a checksum.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from imgmatch.optional import require
from imgmatch.parsers.disks.units import About, DamageError
from imgmatch.parsers.volumes import luks2
from imgmatch.streams import RandomAccess, Window, one_line

_OPEN = -1
_RECOVERY = re.compile(r"\d{6}(?:-\d{6}){7}|\d{48}", re.ASCII)


class Locked:
    """The volume in the first image; ``opened``: the number of the one of ``passwords`` that opens it, -1 for none."""

    module = ""

    def __init__(
        self, _: Callable[[], None], images: Sequence[RandomAccess], passwords: list[str], opened: list[int]
    ) -> None:
        self._images, self._passwords = images, passwords
        self._unsupported = self.refused(images[0])
        self._bytes: Any = None
        self.size_bytes = 0
        for number in opened:
            if not self.unlock(number):
                raise OSError("the password opens it no more")

    def refused(self, image: RandomAccess) -> str:
        """What of it the library does not read, by name; empty where it does."""
        return ""

    def opened(self, password: str | None) -> Any:
        """What gives the bytes of the volume, with a password or without; None where it stays locked."""
        raise NotImplementedError

    def about(self) -> About:
        """What it says of itself."""
        return {"size": self.size_bytes, "unsupported": self._unsupported, "identity": "", "faults": [], "hashes": []}

    def unlock(self, number: int) -> bool:
        """Does the password with this number open it; with -1, is it open without?"""
        found = self.opened(None if number == _OPEN else self._passwords[number])
        if found is None:
            return False
        self._bytes, self.size_bytes = found, int(found.size)
        return True

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the volume. Raises DamageError where there are fewer."""
        size = max(0, min(size, self.size_bytes - offset))
        try:
            data = bytes(self._bytes.read_buffer_at_offset(size, offset))
        except OSError as error:
            raise DamageError(offset, size, one_line(error)) from error
        if len(data) < size:
            raise DamageError(offset + len(data), size - len(data), "its reader gives less")
        return data

    def _stream(self) -> Window:
        self._keep = Window(self._images[0])  # the library does not hold on to it
        return self._keep


class Luks(Locked):
    """LUKS of version 1 by libluksde, of version 2 by ``imgmatch.parsers.volumes.luks2``."""

    _second: luks2.Luks2 | None = None

    def refused(self, image: RandomAccess) -> str:
        """What of version 2 is not read, by its name."""
        self._second = None
        if int.from_bytes(image.read_at(6, 2), "big") == 2:
            try:
                self._second = luks2.Luks2(image)
            except luks2.OtherwiseError as other:
                return str(other)
        return ""

    def opened(self, password: str | None) -> Any:
        """The volume: it has no state without a password."""
        if password is None:
            return None
        if self._second is not None:
            return self._second.unlocked(password)
        volume = require("pyluksde", "forensic").volume()
        volume.set_password(password)
        volume.open_file_object(self._stream())
        return None if volume.is_locked() else volume


class BitLocker(Locked):
    """BitLocker, of Windows Vista to 11 and To Go: with a password, with a recovery password of 48 digits, and where
    its protection was suspended."""

    def opened(self, password: str | None) -> Any:
        """The volume, whichever way it takes a password."""
        for give in ("set_password", "set_recovery_password") if password is not None else ("",):
            if give == "set_recovery_password" and not _RECOVERY.fullmatch(password or ""):
                continue
            volume = require("pybde", "forensic").volume()
            if give:
                getattr(volume, give)(_grouped(password or ""))
            volume.open_file_object(self._stream())
            if not volume.is_locked():
                return volume
        return None


class FileVault(Locked):
    """A physical volume of CoreStorage with one logical volume, encrypted by FileVault 2."""

    def opened(self, password: str | None) -> Any:
        """The logical volume."""
        for give in ("set_password", "set_recovery_password") if password is not None else ("",):
            self._whole = volume = require("pyfvde", "forensic").volume()
            stream = self._stream()
            volume.open_file_object(stream)
            volume.open_physical_volume_files_as_file_objects([stream])
            group = volume.get_volume_group()
            if group.number_of_physical_volumes != 1 or group.number_of_logical_volumes != 1:
                self._unsupported = "CoreStorage volume of several parts"
                return None
            logical = group.get_logical_volume(0)
            if give:
                getattr(logical, give)(password)
                logical.unlock()
            if not logical.is_locked():
                return logical
        return None


def _grouped(password: str) -> str:
    """A recovery password as it is printed, where its groups of digits were run together."""
    if len(password) == 48 and _RECOVERY.fullmatch(password):
        return "-".join(password[at : at + 6] for at in range(0, 48, 6))
    return password
