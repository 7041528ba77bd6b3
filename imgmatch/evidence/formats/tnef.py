"""winmail.dat (TNEF)."""

from __future__ import annotations

from imgmatch.evidence.formats.extracted import Extracted


class Tnef(Extracted):
    """Attachments as Outlook packs them for other Outlooks."""

    name = "winmail.dat"
    kinds = ("tnef",)
    parser = "tnef"
    switch = "documents"
    magic = (b"\x78\x9f\x3e\x22",)
