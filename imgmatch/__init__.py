"""The engine: bytes to pixels to vectors to verified, ranked matches. No storage, no terminal.

What may be relied on is named in ``__all__``; each name is imported when it is first asked for, so that importing the
package costs nothing.
"""

from importlib import import_module

_HOMES = {
    "Embedder": "imgmatch.models.base",
    "ImgmatchError": "imgmatch.errors",
    "Locator": "imgmatch.locator",
    "Match": "imgmatch.types",
    "Sighting": "imgmatch.types",
    "__version__": "imgmatch.version",
    "load_model": "imgmatch.models",
}
__all__ = ["Embedder", "ImgmatchError", "Locator", "Match", "Sighting", "__version__", "load_model"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
