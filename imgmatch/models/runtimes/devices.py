"""Is there a CUDA device? Found out from the driver, so that nobody pays for loading torch to hear no."""

from __future__ import annotations

import ctypes
import sys


def cuda_devices() -> int:
    """How many CUDA devices the driver sees; 0 without a driver. Never raises."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL(name)
        if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
            return 0
    except (OSError, AttributeError):
        return 0
    return count.value
