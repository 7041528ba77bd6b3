"""Pictures that nothing is looked for in."""

from __future__ import annotations

from imgmatch.evidence.container import Container


class Plain(Container):
    """PNG, JPEG, GIF, RIFF (WebP), BMP, TIFF."""

    name = "picture"
    kinds = ()
    magic = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
    opens = False
