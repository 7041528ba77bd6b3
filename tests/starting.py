"""Starts imgmatch for tests: each command in a process of its own, forked from one that has its modules already.

What a command imports takes longer than most of what tests ask of it; so does what its workers import, whose nursery is
forked in the same way, from a process that was started as a nursery is. Where anything about the start is to be another
(limits, descriptors, of the environment what Python or a library reads as it starts), it is started as a user would.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from imgmatch.workers import child, nursery

ROOT = Path(__file__).parents[1]
_MODULES = """
cli.app cli.render.terminal cli.render.progress cli.commands.search cli.commands.ingest cli.commands.case
cli.commands.show cli.commands.audit cli.commands.check cli.commands.exchange cli.commands.index cli.commands.known
cli.commands.matches cli.commands.models cli.render.search indexer.search.searcher indexer.search.sets
indexer.search.background indexer.intake.ingest indexer.care.check indexer.care.indexing indexer.out.report
indexer.out.exchange indexer.search.several indexer.search.names imgmatch.models.runtimes.onnx_model imgmatch.version
faiss cv2 onnxruntime sqlite3 jinja2 mmap numpy.ma pyseccomp resource rich.progress rich.table typer._adapters
typer._click.decorators pydantic.json_schema pydantic.plugin._loader pydantic.plugin._schema_validator zoneinfo
"""


_started: list["Starter"] = []


_READ_LATE = ("IMGMATCH_", "COLUMNS", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")
"""How names begin of what a command looks at in the environment when it needs it, not as it starts."""


def starter(environment: Mapping[str, str]) -> "Starter | None":
    """What starts a command here; None where it must be started as a user would: where this ``environment`` has more
    that is other than in that of this process when it began, or where a process can't be forked.
    """
    if not hasattr(os, "fork") or not hasattr(socket, "send_fds"):  # pragma: no cover
        return None
    if not _started:
        _started.append(Starter())
    return _started[0] if _started[0].fits(environment) else None


class Starter:
    """The process that commands are forked from; it is started by the first of them."""

    def __init__(self) -> None:
        from tests import remembered  # ONNX Runtime, which the nurseries' own beginning is to lack

        self._environment = _early(os.environ)
        self._owner = os.getpid()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        given = f"socket.socket(fileno={theirs.fileno()}), {remembered.folder()!r}"
        code = f"import socket; from tests.starting import serve; serve({given})"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        theirs.close()

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Is this environment what it was, and this the process that has it?"""
        return self._owner == os.getpid() and _early(environment) == self._environment and self._process.poll() is None

    def run(
        self,
        arguments: list[bytes],
        cwd: os.PathLike[str] | str,
        stdin: bytes | None,
        timeout: float,
        environment: Mapping[str, str],
        first: str = "",
    ) -> subprocess.CompletedProcess:
        """One command from start to end; it runs the code ``first``, as a ``sitecustomize`` is run."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs, TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
            given.write(stdin or b"")
            given.seek(0)
            late = {name: value for name, value in environment.items() if name.startswith(_READ_LATE)}
            words = [os.fsdecode(argument) for argument in arguments]
            told = {"arguments": words, "cwd": os.fspath(cwd), "environment": late, "first": first}
            descriptors = [given.fileno(), out.fileno(), err.fileno(), theirs.fileno()]
            socket.send_fds(self._socket, [json.dumps(told).encode()], descriptors)
            pid = int(ours.recv(99))
            ours.settimeout(timeout)
            command = [sys.executable, "-m", "cli.main", *arguments]
            try:
                code = int(ours.recv(99))
            except TimeoutError as error:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(command, timeout) from error
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(command, code, out.read(), err.read())


def _early(environment: Mapping[str, str]) -> dict[str, str]:
    """What of an environment a command has from its start, but for the name of the test that goes on."""
    return {
        name: value
        for name, value in environment.items()
        if name != "PYTEST_CURRENT_TEST" and not name.startswith(_READ_LATE)
    }


def serve(asked: socket.socket, memory: str) -> None:
    """Fork a command for each request, with its standard streams; say its number, and how it ended. ``memory``: the
    folder of what networks gave.
    """
    for name in _MODULES.split():
        with contextlib.suppress(ImportError):  # a part that another release of a library lacks
            importlib.import_module(name)
    from tests import remembered

    remembered.remember(memory)
    mother = _mother()
    gc.freeze()
    while True:
        told, descriptors, _, _ = socket.recv_fds(asked, 1 << 17, 4)
        if not told:
            return
        if os.fork() == 0:
            asked.close()
            request = json.loads(told)
            pid = os.fork()
            if pid == 0:
                if mother is not None:
                    nursery._python = functools.partial(_bred, mother)
                _become(request, descriptors)
            answer = socket.socket(fileno=descriptors[3])
            with contextlib.suppress(OSError):  # whoever asked waits no more: it was killed
                answer.send(str(pid).encode())
                answer.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)
        _bury()


def _bury() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _mother() -> socket.socket | None:
    """The way to a process that was started as the nursery of a command's workers is, of which nurseries are forked."""
    if not nursery._can_fork():  # pragma: no cover
        return None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    nothing = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    as_before, nursery._BOOT = nursery._BOOT, nursery._BOOT.replace(child.__name__, __name__)
    with theirs:
        mother = nursery._python(bear.__name__, theirs.fileno(), os.getpid(), pass_fds=[theirs.fileno()], **nothing)
    _kept.append(mother)
    nursery._BOOT = as_before
    return ours


_kept: list[subprocess.Popen[bytes]] = []


def bear() -> None:
    """The entry of that process. Each nursery ends with the command that asked for it, as its socket does."""
    asked = socket.socket(fileno=int(sys.argv[2]))
    child.die_with_parent(int(sys.argv[3]))
    child._load(child.PICTURES.modules)
    importlib.import_module(child.PICTURES.serve.partition(":")[0])
    gc.freeze()
    while True:
        word, given, _, _ = socket.recv_fds(asked, 32, 2)
        if not word:
            os._exit(0)
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            os.close(given[1])
            asked.close()
            os.setsid()
            sys.argv[2:] = [str(given[0]), str(parent)]
            try:
                child.breed()
            finally:
                os._exit(1)
        with socket.socket(fileno=given[1]) as answer, open(os.pidfd_open(pid), "rb", 0) as handle:
            socket.send_fds(answer, [b"%d" % pid], [handle.fileno()])
        os.close(given[0])
        _bury()


class _Bred:
    """A nursery, as ``subprocess.Popen`` has one."""

    def __init__(self, pid: int, handle: int) -> None:
        self.pid, self._handle = pid, handle

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def wait(self) -> None:
        select.select([self._handle], [], [])


def _bred(mother: socket.socket, entry: str, *_: object, pass_fds: list[int], **__: object) -> _Bred:
    assert entry == child.breed.__name__
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            socket.send_fds(mother, [b"one more"], [*pass_fds, theirs.fileno()])
        pid, (handle,), _, _ = socket.recv_fds(ours, 32, 1)
    return _Bred(int(pid), handle)


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    os.chdir(request["cwd"])
    for name in [name for name in os.environ if name.startswith(_READ_LATE)]:
        del os.environ[name]
    os.environ.update(request["environment"])
    sys.argv = ["cli.main", *request["arguments"]]
    code = 0
    try:
        exec(request["first"], {})
        runpy.run_module("cli.main", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # noqa: BLE001  # as Python does with what nobody caught
        traceback.print_exc()
        code = 1
    finally:
        # As Python ends: what was registered, then what was not written yet.
        threading._shutdown()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
