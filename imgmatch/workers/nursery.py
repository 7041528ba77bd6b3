"""Where workers come from: a process that has loaded what most of them need, and that they are forked from.

To import NumPy, OpenCV and Pillow takes a processor half a second; to fork a process that has them, milliseconds. The
nursery reads no evidence and is asked for nothing but processes. Those that come from one nursery lie alike in memory,
so that who took one over or crashed it would know his way in the next: after a death that was not asked for, the next
ones come from a new nursery. Where a process can't be forked so (other systems than Linux), each is started by itself.
"""

from __future__ import annotations

import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "SYSTEMROOT", "TEMP")
# One thread a library; the zone in which The Sleuth Kit takes FAT's times to be told.
_SETTINGS = {"TZ": "UTC", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from imgmatch.workers import child; child.{}()"


def _python(entry: str, *arguments: object, **streams: Any) -> subprocess.Popen[bytes]:
    """A process that runs a function of ``imgmatch.workers.child``.

    Isolated from the folder it is started in and from the environment: -I; without site: what is needed of it is in the
    path already. It gets what the loader of libraries needs, and no more of the environment, which may hold passwords.
    """
    here = str(Path(__file__).parents[2])
    path = [place for place in sys.path if place]
    known = json.dumps(path if here in path else [here, *path])
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _BOOT.format(entry), known, *map(str, arguments)],
        stderr=subprocess.DEVNULL,
        bufsize=0,
        env={**environment, **_SETTINGS},
        cwd=os.path.abspath(os.sep),
        # Out of the reach of Ctrl-C, which is this program's to handle.
        start_new_session=os.name == "posix",
        **streams,
    )


class Forked:
    """A process that was forked by a nursery, as ``subprocess.Popen`` has one: ``pid``, ``stdin``, ``stdout``."""

    def __init__(self, nursery: Nursery, pid: int, handle: int, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self.pid, self.stdin, self.stdout, self.parent = pid, stdin, stdout, nursery.pid
        self._nursery, self._handle = nursery, handle
        self._code: int | None = None
        self._unasked = True
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """How it ended; None while it goes on."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """How it ended, once it did. Raises ``subprocess.TimeoutExpired``."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("a worker", timeout or 0)
        return code

    def kill(self) -> None:
        """End it."""
        self._unasked = False
        with self._lock:
            if self._code is None:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def _ended(self, timeout_s: float | None) -> int | None:
        with self._lock:
            if self._code is None:
                waiting = select.poll()  # of the process: as a file, that can be read once it is gone
                waiting.register(self._handle, select.POLLIN)
                if not waiting.poll(None if timeout_s is None else timeout_s * 1000):
                    return None
                self._code = self._nursery.buried(self.pid, self._unasked)
                os.close(self._handle)
            return self._code


class Nursery:
    """One such process, and those that come from it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            nothing: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
            self._process = _python("breed", theirs.fileno(), os.getpid(), pass_fds=[theirs.fileno()], **nothing)
        self.pid = self._process.pid
        self._lock = threading.Lock()
        self._living = 0
        self.fresh = True
        """Did all that came from it end as they were asked to?"""

    def born(self) -> Forked:
        """A process, in which ``imgmatch.workers.child.run`` begins. Raises OSError where the nursery is gone."""
        their_in, to = os.pipe()
        source, their_out = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._socket, [b"one more"], [their_in, their_out])
                said, (handle,), _, _ = socket.recv_fds(self._socket, 32, 1)
                self._living += 1
        except (OSError, ValueError) as error:
            self.fresh = False
            os.close(to)
            os.close(source)
            raise OSError("no process could be forked") from error
        finally:
            os.close(their_in)
            os.close(their_out)
        return Forked(self, int(said), handle, open(to, "wb", 0), open(source, "rb", 0))

    def buried(self, pid: int, unasked: bool) -> int:
        """How one ended; of which it is known that it did."""
        with self._lock:
            try:
                self._socket.send(b"%d" % pid)
                code = int(self._socket.recv(32))
            except (OSError, ValueError):  # the nursery is gone, and with it all that came from it
                code = -signal.SIGKILL
            self.fresh = self.fresh and not (unasked and code)
            self._living -= 1
            over = not self.fresh and not self._living
        if over:
            self.close()
        return code

    def close(self) -> None:
        """End it, and with it all that came from it."""
        self.fresh = False
        self._process.kill()
        self._process.wait()
        self._socket.close()


_nursery: Nursery | None = None


@functools.cache
def _can_fork() -> bool:
    """Can a process be forked, and be ended without mistaking another for it?"""
    if sys.platform != "linux" or not hasattr(signal, "pidfd_send_signal"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:  # before Linux 5.3, or not allowed
        return False
    return True


def begun() -> subprocess.Popen[bytes] | Forked:
    """A process that runs ``imgmatch.workers.child.run`` on its standard streams. Raises OSError where none can be had.

    To be called in one thread, which lives as long as this program: the system ends them with it.
    """
    global _nursery
    if not _can_fork():
        return _python("run", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if _nursery is not None and _nursery.fresh:
        with suppress(OSError):  # it was killed
            return _nursery.born()
    _nursery = Nursery()
    return _nursery.born()


def close() -> None:
    """End the nursery, at the end of the program."""
    if _nursery is not None:
        _nursery.close()


def _forget() -> None:
    """In a copy of the program: it is not its own."""
    global _nursery
    if _nursery is not None:
        _nursery._socket.close()
        _nursery = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
