"""What this machine's processor can do, as far as it decides how a network is run."""

from __future__ import annotations

import functools
import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


@functools.cache
def sums_in_8_bits_are_exact() -> bool:
    """Whether the fastest products of 8-bit numbers can't overflow: by VNNI on x86, always on ARM. False where that
    can't be told.
    """
    if platform.machine().lower() not in ("x86_64", "amd64", "x86", "i386", "i686"):
        return True
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
        flags = next(line for line in lines if line.startswith("flags")).split()
    except (OSError, StopIteration):  # not Linux
        return _numpy_sees_vnni()
    return "avx512_vnni" in flags or "avx_vnni" in flags


def _numpy_sees_vnni() -> bool:
    try:
        from numpy._core._multiarray_umath import (  # type: ignore[import-not-found]
            __cpu_features__ as features,
        )
    except ImportError:
        return False
    return bool(features.get("AVX512VNNI"))
