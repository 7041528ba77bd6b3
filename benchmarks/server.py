"""A real Milvus server of the package ``milvus``, alone in a network namespace: it listens on every address it sees.

Such a namespace has nothing but its own loopback. What other programs of this machine are given is the address of a
relay, 127.0.0.1 and a free port: its listening socket was opened here and is handed to a process in there, which
starts the server, passes connections on, and takes the server with it when it ends, however it ends.

Needs Linux on x86_64, util-linux's ``unshare``, and root or a system that lets users have namespaces.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_STARTED_S = 180.0
_PORT, _HEALTH = 19530, 9091
# It looks about more often than it would: answers are the same, and come sooner where there are few rows.
QUICK = {
    "common.session.ttl": 15,  # fewer, and a loaded machine is taken for one that is gone: the server ends itself
    "proxy.timeTickInterval": 20,
    "queryCoord.checkInterval": 100,
    "queryCoord.distPullInterval": 50,
    "queryCoord.checkHandoffInterval": 500,
}
_LINK_UP = 0x8914  # SIOCSIFFLAGS
_RUNNING = Path("/tmp/milvus")  # where it says who it is, whatever it is told
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def missing() -> str:
    """Why no server can be started on this machine, in words; empty where one can."""
    try:
        import milvus  # noqa: F401
    except ImportError:
        return "no Milvus server: pip install milvus (Linux on x86_64 only)"
    if shutil.which("unshare") is None:
        return "no Milvus server: unshare is not installed (util-linux)"
    if subprocess.run([*_alone(), "true"], capture_output=True, check=False).returncode:
        return "no Milvus server: this user may not make a network namespace; run as root"
    return ""


class Server:
    """One server and the folder that keeps what it holds, over any number of starts and kills."""

    def __init__(self, folder: Path, binaries: Path, settings: Mapping[str, object] | None = None) -> None:
        """``binaries``: where the server is unpacked; several can share it.

        ``settings``: of its configuration, by their names there (``proxy.timeTickInterval``).
        """
        from milvus import MilvusServerConfig, _initialize_data_files

        self.folder = folder
        config = MilvusServerConfig(data_dir=str(folder), proxy_port=_PORT)
        config.resolve_storage()
        config.extra_configs.update(settings or {})
        for key, port in _ports(config.configurable_items):
            config.configurable_items[key][1] = port
        config.write_config()
        _initialize_data_files(str(binaries))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._log = (folder / "keeper.log").open("ab")
        listener = str(self._listener.fileno())
        command = [*_alone(), sys.executable, "-m", "benchmarks.server", listener, str(folder), str(binaries / "bin")]
        self._keeper = subprocess.Popen(
            command,
            cwd=Path(__file__).parents[1],
            pass_fds=[self._listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def start(self) -> None:
        """Start it and wait until it answers. Raises RuntimeError with the end of its log when it does not."""
        self._tell("start")

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._tell("kill")

    def close(self) -> None:
        """End server and relay."""
        with contextlib.suppress(OSError):
            self._keeper.communicate(timeout=30)
        self._listener.close()
        self._log.close()

    def _tell(self, word: str) -> None:
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        print(word, file=self._keeper.stdin, flush=True)
        if self._keeper.stdout.readline().strip() != "done":
            logs = [self.folder / "keeper.log", self.folder / "logs" / "milvus.log"]
            said = "\n".join(log.read_text(errors="replace")[-2000:] for log in logs if log.exists())
            raise RuntimeError(f"the Milvus server did not {word}: {said}")


@contextmanager
def server(folder: Path, binaries: Path, settings: Mapping[str, object] | None = None) -> Iterator[Server]:
    """A server that answers, ended at the end."""
    made = Server(folder, binaries, settings)
    try:
        made.start()
        yield made
    finally:
        made.close()


def _alone() -> list[str]:
    return ["unshare", "--net", *(["--map-root-user"] if os.geteuid() else []), "--"]


def _ports(items: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """The ports of the template: in a namespace of its own every one of them is free."""
    for number, key in enumerate(key for key in items if key.endswith("_port")):
        yield key, _PORT if key == "proxy_port" else (items[key][1] or 40_000 + number)


class _Keeper:
    """In the namespace: the relay, and the server, which it starts and kills when it is told so."""

    def __init__(self, listener: socket.socket, folder: Path, libraries: Path) -> None:
        self._listener = listener
        self._libraries = libraries
        self._folder = folder
        self._server: subprocess.Popen[bytes] | None = None

    async def run(self) -> None:
        """Until nobody is left who could say anything."""
        relay = await asyncio.start_server(self._serve, sock=self._listener)
        loop = asyncio.get_running_loop()
        try:
            while word := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
                await loop.run_in_executor(None, self._start if word == "start" else self._kill)
                print("done", flush=True)
        finally:
            relay.close()
            self._kill()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", _PORT)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))

    def _start(self) -> None:
        (self._folder / "run").mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "DEPLOY_MODE": "STANDALONE",
            "METRICS_PORT": str(_HEALTH),
            "MILVUS_RUN_DIR": str(self._folder / "run"),
            "LD_LIBRARY_PATH": str(self._libraries),
        }
        self._server = subprocess.Popen(
            [str(self._libraries / "milvus"), "run", "standalone"],
            cwd=self._folder,
            env=environment,
            stdout=(self._folder / "logs" / "milvus.log").open("ab"),
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL),
        )
        until = time.monotonic() + _STARTED_S
        while not _answers():
            if self._server.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the server does not answer")
            time.sleep(0.2)

    def _kill(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            (_RUNNING / f"server_id_{self._server.pid}").unlink(missing_ok=True)
            self._server = None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(262_144):
            writer.write(data)
            await writer.drain()
    writer.close()


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{_HEALTH}/healthz", timeout=5) as answer:
            return b"OK" in answer.read()
    except OSError:
        return False


def _keep(descriptor: int, folder: Path, libraries: Path) -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _LINK_UP, struct.pack("16sH22x", b"lo", 1))
    asyncio.run(_Keeper(socket.socket(fileno=descriptor), folder, libraries).run())


if __name__ == "__main__":
    _keep(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
