"""Addresses of machines, as somebody gives them."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Is it this machine, and nothing that another can reach? Of names ``localhost`` alone: others may be anywhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
