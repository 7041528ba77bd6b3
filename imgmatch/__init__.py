"""The engine: bytes to pixels to vectors to verified, ranked matches. No storage, no terminal."""


def __getattr__(name: str) -> str:
    """``__version__``, which is looked up only when it is asked for."""
    if name != "__version__":
        raise AttributeError(f"module 'imgmatch' has no attribute {name!r}")
    from imgmatch.version import __version__

    return __version__
