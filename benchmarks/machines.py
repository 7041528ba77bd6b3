"""Machines that are none: network namespaces with an address each, joined by a bridge that lies in one of its own, so
that nothing outside of them is reached or reaches them.

Needs Linux, iproute2, util-linux's ``nsenter``, and root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_NET = "10.77.0"


def missing() -> str:
    """Why there can be none on this machine, in words; empty where there can."""
    for tool, package in (("ip", "iproute2"), ("nsenter", "util-linux")):
        if shutil.which(tool) is None:
            return f"no machines of namespaces: {tool} is not installed ({package})"
    if not hasattr(os, "geteuid") or os.geteuid():
        return "no machines of namespaces: run as root"
    name = f"imgmatch-{os.getpid()}-try"
    if _ip("netns", "add", name, check=False).returncode:
        return "no machines of namespaces: this system lets nobody make a network namespace"
    _ip("netns", "delete", name)
    return ""


class Machine:
    """One of them."""

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address

    def command(self, command: Sequence[str]) -> list[str]:
        """What runs a command there."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *command]

    def imgmatch(self, *arguments: object) -> list[str]:
        """What runs imgmatch there."""
        return self.command([sys.executable, "-m", "cli.main", *map(str, arguments)])

    def cut_off(self) -> None:
        """Nobody reaches it any more, and it reaches nobody; nothing tells either side."""
        _ip("-n", self.name, "link", "set", "eth0", "down")


@contextmanager
def machines(count: int) -> Iterator[list[Machine]]:
    """So many, each of which reaches the others."""
    base = f"imgmatch-{os.getpid()}"
    switch = f"{base}-switch"
    made = [Machine(f"{base}-{number}", f"{_NET}.{number}") for number in range(1, count + 1)]
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for number, machine in enumerate(made, 1):
            _ip("netns", "add", machine.name)
            _ip("-n", machine.name, "link", "set", "lo", "up")
            _ip(
                "-n",
                machine.name,
                "link",
                "add",
                "eth0",
                "type",
                "veth",
                "peer",
                "name",
                f"port{number}",
                "netns",
                switch,
            )
            _ip("-n", switch, "link", "set", f"port{number}", "master", "bridge", "up")
            _ip("-n", machine.name, "address", "add", f"{machine.address}/24", "dev", "eth0")
            _ip("-n", machine.name, "link", "set", "eth0", "up")
        yield made
    finally:
        for name in [switch, *(machine.name for machine in made)]:
            _ip("netns", "delete", name, check=False)


def _ip(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ip", *arguments], check=check, capture_output=True)
