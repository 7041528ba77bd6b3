"""Numbers by which another office calls items of a case: they tell nothing of the order, the count or the time of what
came in, and only the case itself knows which item one is.

A Feistel network over 50 bits with HMAC-SHA256 as its round function (Luby and Rackoff, "How to construct pseudorandom
permutations", 1988): no two items have one number, and none has to be kept.
"""

from __future__ import annotations

import hmac

KEY = "pack_key"
"""What the key of a case is called among what it keeps to itself."""
_HALF = 25
_MASK = (1 << _HALF) - 1
_ROUNDS = 8
_FIRST = 1 << 2 * _HALF  # above every id, and exact in JSON whoever reads it


def number_of(key: bytes, item_id: int) -> int:
    """What an item is called outside."""
    left, right = divmod(item_id, 1 << _HALF)
    for turn in range(_ROUNDS):
        left, right = right, left ^ _mixed(key, turn, right)
    return _FIRST | left << _HALF | right


def item_of(key: bytes, number: int) -> int | None:
    """Which item a number means; None where it is no such number."""
    if not _FIRST <= number < 2 * _FIRST:
        return None
    left, right = divmod(number - _FIRST, 1 << _HALF)
    for turn in reversed(range(_ROUNDS)):
        left, right = right ^ _mixed(key, turn, left), left
    return left << _HALF | right


def _mixed(key: bytes, turn: int, half: int) -> int:
    return int.from_bytes(hmac.digest(key, bytes([turn]) + half.to_bytes(4, "big"), "sha256")[:4], "big") & _MASK
