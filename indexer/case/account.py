"""Who runs this: the account as the operating system knows it, and what the environment calls itself."""

from __future__ import annotations

import os

_DECLARED = ("LOGNAME", "USER", "LNAME", "USERNAME")


def account() -> str:
    """The account that this runs under, by the system's own word: its name and its number."""
    if not hasattr(os, "getuid"):
        return os.getlogin()  # of Windows: not from the environment
    number = os.getuid()
    try:
        import pwd

        return f"{pwd.getpwuid(number).pw_name} (uid {number})"
    except (ImportError, KeyError):  # an account without a name
        return f"uid {number}"


def declared() -> str | None:
    """What the environment says that who runs this is called, where that is another name than the account's: anybody
    can set it.
    """
    name = next((os.environ[name] for name in _DECLARED if os.environ.get(name)), None)
    return None if name is None or name == account().partition(" (uid ")[0] else name
