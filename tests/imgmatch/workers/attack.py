"""What runs inside workers that were taken over: attempts at all that one must not do.

For each kind of worker there is one that loads as it does, gives up its rights as it does, and then attacks.
"""

import ctypes
import dataclasses
import mmap
import os
import socket
import subprocess
import sys
from pathlib import Path

from imgmatch.workers import kinds

SECRET = "IMGMATCH_PASSWORDS"
_PTRACE_ATTACH = 16
_RLIMIT_CORE = 4
_IO_URING_SETUP, _PIDFD_OPEN = 425, 434


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def attempts(folder, parent, address, log):
    """Name to attempt, which raises when it fails. ``log``: a file that is open already; ``address``: of the parent."""
    there = f"{folder}/there"
    libc = ctypes.CDLL(None, use_errno=True)

    def called(result):
        if result < 0:
            raise OSError(ctypes.get_errno())

    def peek():
        got = ctypes.create_string_buffer(8)
        here, its = _Vector(ctypes.addressof(got), 8), _Vector(address, 8)
        called(libc.process_vm_readv(parent, ctypes.byref(here), 1, ctypes.byref(its), 1, 0))

    def fork():
        if os.fork() == 0:
            os._exit(0)

    def cores():
        called(libc.setrlimit(_RLIMIT_CORE, (ctypes.c_ulong * 2)(1 << 20, 1 << 20)))

    return {
        "write": lambda: open(f"{folder}/new", "w").close(),
        "append": lambda: open(there, "a").close(),
        "grow": lambda: os.write(log, b"x"),
        "read": lambda: open(there).close(),
        "list": lambda: os.listdir(folder),
        "look": lambda: os.stat(there),
        "rename": lambda: os.rename(there, f"{folder}/moved"),
        "remove": lambda: os.remove(f"{folder}/moved"),
        "folder": lambda: os.mkdir(f"{folder}/made"),
        "link": lambda: os.symlink("/", f"{folder}/link"),
        "mode": lambda: os.chmod(folder, 0o777),
        "times": lambda: os.utime(folder),
        "nameless": lambda: os.memfd_create("x"),
        "tcp": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close(),
        "udp": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close(),
        "unix": lambda: [end.close() for end in socket.socketpair()],
        "fork": fork,
        "spawn": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
        "io_uring": lambda: called(libc.syscall(_IO_URING_SETUP, 1, ctypes.create_string_buffer(120))),
        "a handle on the parent": lambda: called(libc.syscall(_PIDFD_OPEN, parent, 0)),
        "own environment as a file": lambda: open("/proc/self/environ", "rb").close(),
        "own memory as a file": lambda: open("/proc/self/mem", "r+b").close(),
        "executable memory": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
        "other folder": lambda: os.chdir(folder),
        "listen": lambda: socket.create_server(("127.0.0.1", 0)).close(),
        "program": lambda: os.execv("/nowhere", ["nowhere"]),
        "signal": lambda: os.kill(parent, 0),
        "memory of the parent": peek,
        "memory of the parent as a file": lambda: open(f"/proc/{parent}/mem", "rb").close(),
        "environment of the parent": lambda: open(f"/proc/{parent}/environ", "rb").close(),
        "trace": lambda: called(libc.ptrace(_PTRACE_ATTACH, parent, 0, 0)),
        "core dumps": cores,
        "password": lambda: os.environ[SECRET],
    }


def succeeded(folder, parent, address, log):
    """Names of what did not fail."""
    done = []
    for name, attempt in attempts(folder, parent, address, log).items():
        try:
            attempt()
        except FileNotFoundError:  # it was looked for
            done.append(name)
        except (OSError, KeyError, subprocess.SubprocessError):
            pass
        else:
            done.append(name)
    return done


def serve(request, _data, _pipe):
    """What an attacker's worker answers."""
    return {"done": succeeded(request["folder"], request["parent"], request["address"], LOG)}, []


ATTACKERS = [dataclasses.replace(kind, serve=f"{__name__}:serve") for kind in kinds.KINDS]
# In a worker, which has its rights until this is imported: a file that was opened before.
LOG = os.open(Path(os.environ["TEMP"]) / "log", os.O_WRONLY) if "pytest" not in sys.modules else -1

if __name__ == "__main__":  # with every right
    folder, victim, address, log = sys.argv[1:]
    sys.stdout.write("\n".join(succeeded(folder, int(victim), int(address), os.open(log, os.O_WRONLY))))
