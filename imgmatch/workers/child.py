"""Inside a worker: load, give up every right, then answer what comes in until the pipe ends."""

from __future__ import annotations

import dataclasses
import gc
import os
import pkgutil
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import IO, Any

from imgmatch.errors import EvidenceError, ImgmatchError
from imgmatch.streams import one_line
from imgmatch.workers import wire
from imgmatch.workers.confine import confine, die_with_parent
from imgmatch.workers.kinds import PICTURES

_ROOM_BYTES = 16 << 20
_MOST_TEXT = 10_000


class Pipe:
    """Both ways to the other side."""

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        self._from, self._to = source, sink

    def say(self, header: dict[str, Any], *parts: Any) -> None:
        """Send a message and the bytes that follow it."""
        wire.send(self._to, header, *parts)

    def hear(self) -> tuple[dict[str, Any], bytearray]:
        """The next message, and the bytes that follow it."""
        try:
            header, size = wire.receive(self._from)
            return header or {}, wire.receive_bytes(self._from, size)
        except (OSError, EOFError):
            os._exit(0)

    def tick(self) -> None:
        """Say that one more step of many is done: should the next one end this process, it is known which it was."""
        wire.write(self._to, wire.TICK)


Answer = tuple[dict[str, Any], Sequence[Any]]
Serve = Callable[[dict[str, Any], bytearray, Pipe], Answer]
"""Answers a request with a header and the bytes that follow it; whatever it raises is answered, too."""


def breed() -> None:
    """The entry of a process that workers are forked from (``imgmatch.workers.nursery``). It reads no evidence."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked = socket.socket(fileno=int(sys.argv[2]))
    die_with_parent(int(sys.argv[3]))
    _load(PICTURES.modules)
    import_module(PICTURES.serve.partition(":")[0])
    gc.freeze()
    living: dict[int, tuple[int, int]] = {}
    waiting = select.poll()
    waiting.register(asked, select.POLLIN)
    while True:
        for ready, _ in waiting.poll():
            if ready in living:
                waiting.unregister(ready)
                _buried(ready, *living.pop(ready))
                continue
            word, given, _, _ = socket.recv_fds(asked, 32, 3)
            if not word:
                os._exit(0)
            living |= (born := _born(asked, given))
            for handle in born:
                waiting.register(handle, select.POLLIN)


def _born(asked: socket.socket, given: list[int]) -> dict[int, tuple[int, int]]:
    """Fork a worker with these descriptors; its handle, its number, and where to leave word of its end. Nothing, and no
    handle is answered, where this machine has no room: that is no fault of those that live.
    """
    pid = 0
    try:
        source, sink, tells = given
        pid = os.fork()
        if not pid:
            _become(source, sink)
        handle = os.pidfd_open(pid)
    except (OSError, ValueError):
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for descriptor in given:
            os.close(descriptor)
        asked.send(b"no room")
        return {}
    os.close(source)
    os.close(sink)
    socket.send_fds(asked, [b"%d" % pid], [handle])
    return {handle: (pid, tells)}


def _become(source: int, sink: int) -> None:
    """A worker, in a process that was just forked, with nothing else open."""
    try:
        os.dup2(source, 0)
        os.dup2(sink, 1)
        os.closerange(3, 1 << 12)
        run()
    finally:
        os._exit(1)


def _buried(handle: int, pid: int, tells: int) -> None:
    """Leave word of how a worker ended, for whoever looks."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(OSError):
        os.write(tells, b"%d" % code)
    os.close(tells)
    os.close(handle)


def run() -> None:
    """The entry of the process. The first message says what to load and how to confine."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends the pipe
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # without the parent there is nothing to do
    sink = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints goes nowhere
    pipe = Pipe(open(0, "rb", wire.BUFFER_BYTES, closefd=False), sink)  # noqa: SIM115
    start, program = pipe.hear()
    dies = die_with_parent(start["parent"])
    serve = _loaded(start)
    held = confine(bytes(program) or None, start["memory"], dies)
    bytearray(_ROOM_BYTES)  # ends the process now, not at some file, where the limit leaves no room to work in
    pipe.say(dataclasses.asdict(held))
    while True:
        request, data = pipe.hear()
        _limit_time(request["cpu_seconds"])
        header, parts = _answer(serve, request, data, pipe)
        _limit_time(0)
        del data
        pipe.say({"say": "end", "error": None, "message": "", "what": "", **header}, *parts)


def _loaded(kind: dict[str, Any]) -> Serve:
    """What answers requests, after all that it will need was imported."""
    modules = [*(f"imgmatch.parsers.{name}" for name in kind["parsers"]), *kind["modules"]]
    for package in kind["packages"]:
        folders = getattr(_imported(package), "__path__", ())
        modules += (f"{package}.{module.name}" for module in pkgutil.iter_modules(folders))
    _load(modules)
    module, _, name = kind["serve"].partition(":")
    serve: Serve = getattr(import_module(module), name)
    return serve


def _load(modules: Iterable[str]) -> None:
    for module in modules:
        _imported(module)
    _settle(*map(sys.modules.get, ("PIL.Image", "PIL.AvifImagePlugin", "pi_heif", "cv2")))


def _imported(module: str) -> Any:
    with suppress(ImportError):
        return import_module(module)


def _settle(pillow: Any, avif: Any, heif: Any, opencv: Any) -> None:
    """Of libraries that are loaded: all of Pillow's plug-ins, and one thread each, as files are read side by side."""
    if pillow:
        pillow.init()
    if avif:
        avif.DEFAULT_MAX_THREADS = 1
    if heif:
        heif.options.DECODE_THREADS = 1
    if opencv:
        opencv.setNumThreads(1)


def _answer(serve: Serve, request: dict[str, Any], data: bytearray, pipe: Pipe) -> Answer:
    try:
        return serve(request, data, pipe)
    except EvidenceError as error:
        kind = "memory" if isinstance(error.__cause__, MemoryError) else error.kind
        return {"error": kind, "message": str(error)[:_MOST_TEXT], "what": error.what}, []
    except ImgmatchError as error:
        return {"error": error.kind, "message": str(error), "what": error.what}, []
    except MemoryError:
        return {"error": "memory"}, []
    except OSError as error:
        return {"error": "system", "message": (str(error) or one_line(error))[:_MOST_TEXT]}, []
    except Exception as error:  # noqa: BLE001  (parsers raise about everything on hostile bytes)
        return {"error": "other", "message": one_line(error)[:_MOST_TEXT]}, []


def _limit_time(cpu_seconds: float) -> None:
    """End this process where it takes so much processor time from now on; 0: never. The parent holds it to time, too,
    as long as there is one."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)  # SIGPROF, which ends it
