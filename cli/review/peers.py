"""Which account of this machine a connection comes from, where the system says (Linux: ``inet_diag`` over netlink)."""

from __future__ import annotations

import os
import socket
import struct
import sys

_SOCK_DIAG_BY_FAMILY, _REQUEST = 20, 1
_NETLINK_SOCK_DIAG = 4
_ANY_COOKIE = 0xFFFFFFFF
_ANSWER_UID_AT = 16 + 4 + 48 + 12
"""After the netlink header: family, state, timer, retransmissions; the socket's id; expiry and both queues."""


def foreign(peer: tuple[str, int], here: tuple[str, int]) -> int | None:
    """The account at the other end of a TCP connection within this machine, if it is neither ours nor root's.

    None also where the system does not tell. Of root's own programs nothing can be kept anyhow; where a review is
    started with sudo, the account that did is ours.
    """
    account = account_of(peer, here)
    return None if account is None or account in _ours() else account


def account_of(peer: tuple[str, int], here: tuple[str, int]) -> int | None:
    """The user id of the socket that has ``peer`` as its own end; None where the system does not tell."""
    if not sys.platform.startswith("linux"):
        return None
    ends = struct.pack("!HH", peer[1], here[1]) + socket.inet_aton(peer[0]).ljust(16, b"\0")
    ends += socket.inet_aton(here[0]).ljust(16, b"\0") + struct.pack("=III", 0, _ANY_COOKIE, _ANY_COOKIE)
    asked = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + ends
    head = struct.pack("=IHHII", 16 + len(asked), _SOCK_DIAG_BY_FAMILY, _REQUEST, 0, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
            kernel.settimeout(1)
            kernel.send(head + asked)
            answer = kernel.recv(4096)
    except OSError:
        return None
    if len(answer) < _ANSWER_UID_AT + 4 or struct.unpack_from("=H", answer, 4)[0] != _SOCK_DIAG_BY_FAMILY:
        return None
    return int(struct.unpack_from("=I", answer, _ANSWER_UID_AT)[0])


def _ours() -> set[int]:
    sudo = os.environ.get("SUDO_UID", "") if os.geteuid() == 0 else ""
    return {0, os.getuid(), os.geteuid(), *([int(sudo)] if sudo.isdecimal() else [])}
