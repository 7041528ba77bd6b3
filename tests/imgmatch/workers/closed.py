"""Workers as all others, but that end where they import anything after they gave up their rights."""

import dataclasses
import os
import sys
from importlib import import_module
from importlib.util import find_spec

from imgmatch.workers import kinds

IMPORTED = 77
"""What such a worker ends with."""


class _NoMore:
    def find_spec(self, *_):
        os._exit(IMPORTED)


def __getattr__(name):
    """``module.function`` is that function; who asks for it has loaded everything."""
    module, _, function = name.rpartition(".")
    if not module:
        raise AttributeError(name)
    found = getattr(import_module(module), function)
    if find_spec("resource"):
        import resource  # noqa: F401  (needed to give up the rights)
    sys.meta_path.insert(0, _NoMore())
    return found


CLOSED = {kind: dataclasses.replace(kind, serve=f"{__name__}:{kind.serve.replace(':', '.')}") for kind in kinds.KINDS}
