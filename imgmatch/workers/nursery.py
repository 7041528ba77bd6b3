"""Where workers come from: a process that has loaded what most of them need, and that they are forked from.

To import NumPy, OpenCV and Pillow takes a processor half a second; to fork a process that has them, milliseconds. The
nursery reads no evidence and is asked for nothing but processes. Those that come from one nursery lie alike in memory,
so that who took one over or crashed it would know his way in the next: after a death that was not asked for, the next
ones come from a new nursery. Where a process can't be forked so (other systems than Linux), each is started by itself.
"""

from __future__ import annotations

import functools
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "SYSTEMROOT", "TEMP")
# One thread a library; the zone in which The Sleuth Kit takes FAT's times to be told.
_SETTINGS = {"TZ": "UTC", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from imgmatch.workers.child import {0}; {0}()"


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
    """A process that was forked by a nursery, as ``subprocess.Popen`` has one: ``pid``, ``stdin``, ``stdout``.

    Whatever thread or finalizer ends it at whatever moment, nothing here waits for another: the nursery leaves word of
    how it ended on a socket of its own, where it is looked at and stays.
    """

    def __init__(self, nursery: Nursery, pid: int, handle: int, told: socket.socket, to: int, source: int) -> None:
        self.pid, self.parent = pid, nursery.pid
        self.stdin, self.stdout = open(to, "wb", 0), open(source, "rb", 0)  # noqa: SIM115
        self._nursery, self._handle, self._told = nursery, io.FileIO(handle), told
        self._asked = False

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
        self._asked = True
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle.fileno(), signal.SIGKILL)

    def _ended(self, timeout_s: float | None) -> int | None:
        waiting = select.poll()
        waiting.register(self._told, select.POLLIN)
        if not waiting.poll(None if timeout_s is None else timeout_s * 1000):
            return None
        said = self._told.recv(32, socket.MSG_PEEK)
        code = int(said) if said else -signal.SIGKILL  # the nursery is gone, and with it all that came from it
        if code and not self._asked:
            self._nursery.fresh = False
        return code


class Nursery:
    """One such process. It ends with the last that holds this, and with it all that came from it."""

    def __init__(self) -> None:
        self._owner = 0
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            nothing: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
            self._process = _python("breed", theirs.fileno(), os.getpid(), pass_fds=[theirs.fileno()], **nothing)
        self.pid, self._owner = self._process.pid, os.getpid()
        self.fresh = True
        """Did all that came from it end as they were asked to, as far as was looked?"""

    def born(self) -> Forked:
        """A process, in which ``imgmatch.workers.child.run`` begins. Raises OSError where the nursery is gone."""
        told, tells = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        their_in, to = os.pipe()
        source, their_out = os.pipe()
        try:
            socket.send_fds(self._socket, [b"one more"], [their_in, their_out, tells.fileno()])
            said, (handle,), _, _ = socket.recv_fds(self._socket, 32, 1)
        except (OSError, ValueError) as error:
            self.fresh = False
            told.close()
            os.close(to)
            os.close(source)
            raise OSError("no process could be forked") from error
        finally:
            tells.close()
            os.close(their_in)
            os.close(their_out)
        return Forked(self, int(said), handle, told, to, source)

    def close(self) -> None:
        """End it, and with it all that came from it; in a copy of the program, let go of it."""
        self.fresh = False
        self._socket.close()
        if self._owner == os.getpid():
            self._process.kill()
            self._process.wait()

    def __del__(self) -> None:
        self.close()


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
    _nursery = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
