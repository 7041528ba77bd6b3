"""QR codes of receipts."""

from __future__ import annotations

import importlib.util
import io
from typing import Any

from imgmatch.optional import require


def qr_code(text: str, kind: str) -> bytes:
    """A QR code as a file: ``svg`` or ``png``."""
    file = io.BytesIO()
    _made(text).save(file, kind=kind, scale=6, border=4)
    return file.getvalue()


def inline_code(text: str) -> str:
    """A QR code as an SVG element for a page; "" where the package is not installed."""
    if importlib.util.find_spec("segno") is None:
        return ""
    return str(_made(text).svg_inline(scale=2, border=2, omitsize=False))


def _made(text: str) -> Any:
    return require("segno", "sign").make(text, error="m", micro=False)
