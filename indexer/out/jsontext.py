"""JSON (RFC 8259) that a terminal shows as it is: of names, nothing that moves the cursor or turns the line."""

from __future__ import annotations

import json
import re
from typing import Any

# C1 controls, marks and overrides of direction, separators of lines, halves of letters, tags, and what takes no room:
# the categories Cc, Cf, Cs, Zl and Zp of Unicode, without those below U+0020.
OUT_OF_SIGHT = re.compile(
    "[\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bcaf\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)


def json_text(value: Any, indent: int | None = None) -> str:
    """A value as JSON, on one line or indented; what can't be seen is escaped, as JSON may have it."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return OUT_OF_SIGHT.sub(lambda letter: json.dumps(letter[0])[1:-1], text)
