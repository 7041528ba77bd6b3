"""JSON (RFC 8259) that a terminal shows as it is: of names, nothing that moves the cursor or turns the line."""

from __future__ import annotations

import json
import re
from typing import Any

# Controls (C0 but for line ends, C1), marks and overrides of direction, separators of lines, and what takes no room.
_OUT_OF_SIGHT = re.compile("[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")


def json_text(value: Any, indent: int | None = None) -> str:
    """A value as JSON, on one line or indented; what can't be seen is escaped, as JSON may have it."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _OUT_OF_SIGHT.sub(lambda letter: f"\\u{ord(letter[0]):04x}", text)
