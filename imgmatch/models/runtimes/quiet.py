"""ONNX Runtime with its telemetry off: import it from here only.

Its packages for Linux and macOS (seen with 1.32) start an uploader on import, with a database under the user's cache
folder and a session file in the temporary folder; only this variable, set before, prevents all of it.
``disable_telemetry_events()`` comes too late for that.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

__all__ = ["onnxruntime"]
