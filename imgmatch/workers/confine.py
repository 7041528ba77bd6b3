"""What takes a worker's rights away: resource limits everywhere on Unix, a filter of system calls on Linux.

The filter (seccomp(2)) is a list of the calls that decoding and parsing need: compute, memory, the two pipes that are
open already. Every other call fails: opening or naming a file, sockets, programs, other processes. It is compiled once
in the parent, by libseccomp through pyseccomp, and installed by each worker; where either is missing, resource limits
remain. Below it lies Landlock (landlock(7), Linux 5.13): no file can be reached and, from Linux 6.7 and 6.12 on, no
TCP connection made and no process outside signalled, should a call get through. It needs no library.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import platform
import signal
import sys
import tempfile
from dataclasses import dataclass
from typing import Any

from imgmatch.errors import raise_if_machine

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 4, 38, 22
_SECCOMP_MODE_FILTER = 2
_CLONE_THREAD = 0x00010000
_PROT_EXEC = 4
# Memory, threads (libde265 and dav1d decode in some), time, randomness, signals to itself, the open pipes, the end; and
# which folder this is, the root, which Pillow asks for before it writes a PNG to memory.
_ALLOWED = (
    *("read", "readv", "write", "writev", "close", "lseek", "fstat", "poll", "ppoll", "select", "pselect6"),
    *("brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "mincore", "membarrier"),
    *("futex", "futex_time64", "set_robust_list", "get_robust_list", "rseq", "sched_yield", "sched_getaffinity"),
    *("getcpu", "arch_prctl", "set_tid_address", "gettid", "getpid", "exit", "exit_group", "restart_syscall"),
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "alarm", "setitimer"),
    *("getrusage", "sysinfo", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "getrandom"),
    "getcwd",
)
# Calls that have one number on all processors of Linux since 2011; not on Alpha.
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446
_LANDLOCK_VERSION = 1
_FILE_RIGHTS = ((5, 16), (3, 15), (2, 14), (1, 13))  # since which version there are how many
_SAME_NUMBERS = ("x86_64", "aarch64", "riscv64", "ppc64le", "s390x", "loongarch64")
_WITHOUT_EXECUTION = ("mmap", "mprotect")


@dataclass(frozen=True, slots=True)
class Confinement:
    """What holds in a worker, as the worker found by trying it. ``method`` is ``seccomp``, ``landlock``,
    ``rlimits`` or ``none``."""

    method: str
    no_network: bool
    no_files: bool
    no_processes: bool
    memory_limited: bool
    dies_with_parent: bool
    landlock: int
    """The version of Landlock that holds; 0 where the kernel has none."""


@functools.cache
def syscall_filter() -> bytes | None:
    """The filter as a BPF program for this machine's processor; None where it can't be had."""
    if sys.platform != "linux":
        return None
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError) as error:  # not installed; no libseccomp
        raise_if_machine(error)  # there may be one
        return None
    try:
        made = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
        for name in _ALLOWED:
            with contextlib.suppress(OSError):  # no such call on this processor
                if name in _WITHOUT_EXECUTION:
                    made.add_rule(pyseccomp.ALLOW, name, pyseccomp.Arg(2, pyseccomp.MASKED_EQ, _PROT_EXEC, 0))
                else:
                    made.add_rule(pyseccomp.ALLOW, name)
        made.add_rule(pyseccomp.ALLOW, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _CLONE_THREAD, _CLONE_THREAD))
        # Its flags lie in memory, out of a filter's sight. "No such call" makes the C library use clone.
        with contextlib.suppress(OSError):
            made.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
        with tempfile.TemporaryFile() as file:
            made.export_bpf(file)
            file.seek(0)
            return file.read()
    except OSError:
        return None


def die_with_parent(parent: int) -> bool:
    """Linux: the system kills this process when the thread that started it ends. Ends it here if that has happened."""
    if sys.platform != "linux" or not _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL):
        return False
    if os.getppid() != parent:
        os._exit(1)
    return True


def confine(program: bytes | None, memory_bytes: int, dies_with_parent: bool) -> Confinement:
    """Take this process's rights away for good; nothing can be opened or imported afterwards."""
    limited = _limit(memory_bytes)
    filtered, landlock = False, 0
    if sys.platform == "linux":
        _prctl(_PR_SET_DUMPABLE, 0)
        # Both hold for the thread that installs them and those that it starts: there must be no other.
        alone = len(os.listdir("/proc/self/task")) == 1
        landlock = _no_place() if alone else 0
        if program is not None and alone:
            filtered = _install(program)
    return Confinement(
        "seccomp" if filtered else "landlock" if landlock else "rlimits" if limited else "none",
        filtered and _refused("socket", 2, 1, 0),
        (filtered or landlock > 0) and _refused("open", os.devnull.encode(), os.O_WRONLY),
        filtered and _refused("fork"),
        limited,
        dies_with_parent,
        landlock,
    )


def _no_place() -> int:
    """Landlock without a single place that is allowed; the version of it, 0 where there is none."""
    libc = ctypes.CDLL(None, use_errno=True)
    if platform.machine() not in _SAME_NUMBERS or not _prctl(_PR_SET_NO_NEW_PRIVS, 1):
        return 0
    version = int(libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_VERSION))
    if version < 1:
        return 0
    # All rights that the version knows: to files, to TCP ports, then to what lies outside (abstract sockets, signals).
    files = next(bits for since, bits in _FILE_RIGHTS if version >= since)
    handled = (ctypes.c_uint64 * 3)((1 << files) - 1, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    length = 8 if version < 4 else 16 if version < 6 else 24
    rules = libc.syscall(_LANDLOCK_CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(length), 0)
    if rules < 0:
        return 0
    try:
        return version if libc.syscall(_LANDLOCK_RESTRICT_SELF, rules, 0) == 0 else 0
    finally:
        os.close(rules)


def _limit(memory_bytes: int) -> bool:
    try:
        import resource
    except ImportError:  # Windows
        return False
    limits = {"RLIMIT_AS": memory_bytes, "RLIMIT_CORE": 0, "RLIMIT_FSIZE": 0, "RLIMIT_NOFILE": 8, "RLIMIT_NPROC": 64}
    held = True
    for name, value in limits.items():
        try:
            which = getattr(resource, name)
            hard = resource.getrlimit(which)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(which, (value, value))
        except (AttributeError, OSError, ValueError):  # macOS has no RLIMIT_AS to speak of
            held = held and name != "RLIMIT_AS"
    return held


def _prctl(option: int, value: int) -> bool:
    zero = ctypes.c_ulong(0)
    return ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), zero, zero, zero) == 0


def _install(program: bytes) -> bool:
    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    if not _prctl(_PR_SET_NO_NEW_PRIVS, 1):
        return False
    given = Program(len(program) // 8, program)
    libc = ctypes.CDLL(None)
    return libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(given), 0, 0) == 0


def _refused(call: str, *arguments: Any) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    result = getattr(libc, call)(*arguments)
    if call == "fork" and result == 0:
        os._exit(0)
    return bool(result == -1 and ctypes.get_errno() in (errno.EPERM, errno.EACCES))
