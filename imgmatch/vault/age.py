"""Keys in age's format (age-encryption.org/v1), by pyrage: X25519, and whatever an age plugin holds on a token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imgmatch.errors import UsageError
from imgmatch.optional import require

_MOST_IDENTITIES = 64


class Talk:
    """What a plugin says and asks, as of a token that wants to be touched or unlocked; here nobody is there to hear."""

    def display_message(self, message: str) -> None:
        """Something for whoever sits here."""

    def confirm(self, message: str, yes_string: str, no_string: str | None) -> bool | None:
        """A question with two answers; None: nobody answers."""
        return None

    def request_public_string(self, description: str) -> str | None:
        """A text that anybody may see; None: nobody answers."""
        return None

    def request_passphrase(self, description: str) -> str | None:
        """A secret, as the PIN of a token; None: nobody answers."""
        return None


class _State:
    talk = Talk()


def talk_by(talk: Talk) -> None:
    """From now on plugins speak to whoever sits here in this way."""
    _State.talk = talk


def new_identity() -> tuple[str, str]:
    """A new X25519 key: its secret half (AGE-SECRET-KEY-1...) and its public one (age1...)."""
    identity = require("pyrage", "vault").x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def encrypted(data: bytes, recipient: str) -> bytes:
    """``data`` for whoever has the secret half of a public key (age1...). Raises UsageError where it is none."""
    made: bytes = require("pyrage", "vault").encrypt(data, [_required(recipient)])
    return made


def require_recipient(text: str) -> None:
    """Raises UsageError where this is no public key."""
    _required(text)


def decrypted(data: bytes, identities: Sequence[Any]) -> bytes | None:
    """What one of these opens, as ``identities`` read them; None where none does."""
    pyrage = require("pyrage", "vault")
    try:
        plain: bytes = pyrage.decrypt(data, list(identities))
    except (pyrage.DecryptError, ValueError, OSError):
        return None
    return plain


def identities(text: str, name: str = "the identity") -> list[Any]:
    """The secret keys in the text of a file as age-keygen and age's plugins write it. Raises UsageError, never quoting
    it, where there is none.
    """
    pyrage = require("pyrage", "vault")
    found: list[Any] = []
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith("#") or len(found) >= _MOST_IDENTITIES:
            continue
        try:
            if line.upper().startswith("AGE-PLUGIN-"):
                plugin = pyrage.plugin.Identity.from_str(line)
                found.append(_of_plugin(name, plugin.plugin(), pyrage.plugin.IdentityPluginV1, [plugin]))
            else:
                found.append(pyrage.x25519.Identity.from_str(line))
        except (pyrage.IdentityError, pyrage.DecryptError, ValueError, OSError, TypeError) as error:
            raise UsageError(f"{name}: a line of it is no identity of age; make one with: age-keygen") from error
    if not found:
        raise UsageError(f"{name}: holds no identity of age; make one with: age-keygen")
    return found


def recipient_of(text: str, name: str = "the identity") -> str:
    """The public half of the first X25519 key in a file of identities. Raises UsageError where there is none."""
    pyrage = require("pyrage", "vault")
    for identity in identities(text, name):
        if isinstance(identity, pyrage.x25519.Identity):
            return str(identity.to_public())
    raise UsageError(f"{name}: holds keys of tokens only, which don't say their public half; give it by --recipient")


def recipient(text: str) -> Any | None:
    """A public key (age1...), or that of a plugin (age1NAME1...); None where it is none."""
    pyrage = require("pyrage", "vault")
    try:
        if text.startswith("age1") and "1" in text[4:]:
            plugin = pyrage.plugin.Recipient.from_str(text)
            return _of_plugin(text[:80], plugin.plugin(), pyrage.plugin.RecipientPluginV1, [plugin], [])
        return pyrage.x25519.Recipient.from_str(text)
    except (pyrage.RecipientError, pyrage.EncryptError, ValueError, OSError, TypeError):
        return None


def _of_plugin(called: str, plugin: str, make: Any, *keys: Sequence[Any]) -> Any:
    """Keys that a plugin has. Raises UsageError where it is not installed."""
    try:
        return make(plugin, *keys, _State.talk)
    except Exception as error:
        raise UsageError(f"{called}: needs the program age-plugin-{plugin}, which is not found; install it") from error


def _required(text: str) -> Any:
    found = recipient(text)
    if found is None:
        raise UsageError(f"{text[:80]!r}: is no public key of age; give one as age-keygen prints it (age1...)")
    return found
