"""Encrypted volumes: LUKS, BitLocker and FileVault 2, opened with the given passwords (extra ``forensic``)."""

from __future__ import annotations

from imgmatch.errors import EvidenceError, unsupported
from imgmatch.evidence.formats.disk_image import DiskImage, Media
from imgmatch.evidence.formats.unlocking import unlock
from imgmatch.evidence.look import Look
from imgmatch.locator import readable
from imgmatch.parsers.volumes import locked
from imgmatch.streams import one_line
from imgmatch.workers import session

_TO_GO = bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")
_OPEN = -1


class Locked(DiskImage):
    """A volume whose bytes are had by a key: one member, ``disk``, as of a disk image."""

    def media(self) -> Media:
        """The bytes of the volume. Raises EvidenceError, also of kind ``password`` and ``limit``: nothing opens it."""
        sources, passwords = self.sources(), list(self.options.passwords)
        asked = session.Session(self.parser, sources, self.outer, self.options.limits, passwords, [])
        try:
            about = asked.call("about")
            if about["unsupported"]:
                raise unsupported(about["unsupported"], "it is not read")
            number = _OPEN if asked.call("unlock", _OPEN) else None
            if (said := asked.call("about")["unsupported"]) != "":
                raise unsupported(said, "it is not read")
            if number is None:
                number = unlock(asked, self.options, self.name)
        except (OSError, RuntimeError) as error:
            says = readable(one_line(error))
            raise EvidenceError("broken_image", f"{self.name} (encrypted) that can't be opened: {says}") from error
        finally:
            asked.close()
        # Once more, so that any process opens what it is asked for.
        return Media(self.parser, sources, self, passwords, [number])


class Luks(Locked):
    """LUKS, as Linux has it."""

    name = "LUKS volume"
    kinds = ("luks",)
    magic = (b"LUKS\xba\xbe\0\1", b"LUKS\xba\xbe\0\2")
    needs = "pyluksde", "forensic"
    parser = locked.Luks


class BitLocker(Locked):
    """BitLocker, as Windows has it."""

    name = "BitLocker volume"
    holds_zeros = True
    kinds = ("bitlocker",)
    needs = "pybde", "forensic"
    parser = locked.BitLocker

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By the name in its boot sector, or To Go by an identifier there."""
        return look.head[3:11] == b"-FVE-FS-" or look.head[424:440] == _TO_GO


class FileVault(Locked):
    """FileVault 2 in CoreStorage, as macOS had it before APFS."""

    name = "CoreStorage volume"
    holds_zeros = True
    kinds = ("filevault",)
    needs = "pyfvde", "forensic"
    parser = locked.FileVault

    @classmethod
    def recognise(cls, look: Look) -> bool:
        """By the header of its physical volume."""
        return look.head[88:90] == b"CS" and look.head[8:12] == b"\1\0\x10\0"
