"""A scheduler and workers as commands; and machines that are none: network namespaces with an address each, joined by a
bridge that lies in one of its own, so that nothing outside of them is reached or reaches them.

Those need Linux, iproute2, util-linux's ``nsenter``, and root.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_SOON_S = 90.0
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


def certificates(folder: Path) -> Path:
    """A folder with certificates, as a laboratory has one."""
    from indexer.intake.cluster.quiet import Security

    made = Security.temporary()
    folder.mkdir(exist_ok=True)
    for name, text in (("ca", made.tls_ca_file), ("cert", made.tls_client_cert), ("key", made.tls_client_key)):
        (folder / f"{name}.pem").write_text(text)
    (folder / "key.pem").chmod(0o600)
    return folder


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a command and all that it started."""
    if process.poll() is None:
        for each in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
    process.wait()


class Lab:
    """A scheduler and workers of this machine, as commands."""

    def __init__(self, folder: Path, tls: Path) -> None:
        self.file, self.tls = folder / "scheduler.json", tls
        self.processes: list[subprocess.Popen[bytes]] = []
        self._folder = folder

    def start(self, *arguments: object) -> subprocess.Popen[bytes]:
        """A command with the certificates."""
        command = [sys.executable, "-m", "cli.main", *map(str, arguments), "--tls", str(self.tls)]
        with self._log(len(self.processes)).open("wb") as log:
            self.processes.append(subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=log, stderr=log))
        return self.processes[-1]

    def scheduler(self, port: int = 0) -> subprocess.Popen[bytes]:
        """One that answers."""
        made = self.start("scheduler", "--port", port, "--file", self.file)
        _soon(self.file.exists, lambda: self._log(len(self.processes) - 1).read_text())
        return made

    def worker(self, *arguments: object) -> subprocess.Popen[bytes]:
        """One of a single thread."""
        return self.start("worker", self.address, "-j", 1, *arguments)

    @property
    def workers(self) -> list[subprocess.Popen[bytes]]:
        """Those that run."""
        return [process for process in self.processes if process.poll() is None and "worker" in process.args]  # type: ignore[operator]

    @property
    def address(self) -> str:
        """The scheduler's."""
        return str(json.loads(self.file.read_text())["address"])

    def wait(self) -> None:
        """Until every worker works."""
        for number, process in enumerate(self.processes):
            if process in self.workers:
                log = self._log(number)
                _soon(lambda log=log: "working for" in log.read_text(), log.read_text)  # type: ignore[misc]

    def close(self) -> None:
        """End all of it."""
        for process in self.processes:
            end(process)

    def _log(self, number: int) -> Path:
        return self._folder / f"lab-{number}.log"


def _soon(there: Callable[[], bool], said: Callable[[], str]) -> None:
    until = time.monotonic() + _SOON_S
    while not there():
        if time.monotonic() > until:
            raise RuntimeError(f"nothing after {_SOON_S:.0f} s: {said()}")
        time.sleep(0.1)
