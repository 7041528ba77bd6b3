"""A service instead of a case: its address, the token, and whose word for its certificate is taken."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer

from imgmatch.errors import UsageError

TOKEN, TOKEN_FILE = "IMGMATCH_SERVICE_TOKEN", "IMGMATCH_SERVICE_TOKEN_FILE"
_PORTS = {"https": 443, "http": 80}
_MOST_TOKEN_BYTES = 4096


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What only a service asks for."""

    ca: Annotated[
        Path | None,
        typer.Option("--ca", metavar="FILE", help="Of a service: certificates (PEM) that its own is checked by."),
    ] = None
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help=f"Of a service: your token (default: {TOKEN})."),
    ] = None

    def token(self) -> str:
        """The token, by file or environment: every account can read the arguments of a program. Raises UsageError
        where there is none.
        """
        file = self.token_file or os.environ.get(TOKEN_FILE)
        if file:
            try:
                with open(file, "rb") as opened:
                    text = opened.read(_MOST_TOKEN_BYTES).decode("ascii", "replace")
            except OSError as error:
                raise UsageError(f"{file}: the token can't be read ({error.strerror})") from error
        else:
            text = os.environ.get(TOKEN, "")
        token = text.strip()
        if not token:
            raise UsageError(f"a service asks for your token: set {TOKEN}, or give --token-file FILE")
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise UsageError(f"{file or TOKEN}: is no token; give it as the operator handed it out, in one line")
        return token


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service is, and which of its cases is meant (empty: all)."""

    scheme: str
    host: str
    port: int
    case: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def is_address(text: str) -> bool:
    """Does this name a service, and no folder?"""
    return bool(re.match(r"https?://", text, re.IGNORECASE))


def address(text: str) -> Address:
    """From ``https://HOST:PORT[/CASE]``. Raises UsageError on anything else, and on plain HTTP to another machine."""
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError) as error:
        raise UsageError(
            f"{text}: is no address of a service; give https://HOST:PORT or https://HOST:PORT/CASE"
        ) from error
    case = unquote(parts.path.strip("/"))
    if not parts.hostname or parts.username or parts.query or parts.fragment or "/" in case:
        raise UsageError(f"{text}: is no address of a service; give https://HOST:PORT or https://HOST:PORT/CASE")
    if (
        parts.scheme == "http"
        and parts.hostname != "localhost"
        and not re.fullmatch(r"127(\.\d+){3}|::1", parts.hostname)
    ):
        raise UsageError(f"{text}: a token is never sent over plain http to another machine; give https://")
    return Address(parts.scheme, parts.hostname, port, case)


def one_service(texts: Sequence[str]) -> tuple[Address, list[str]]:
    """The one service that addresses name, and which of its cases (none: all). Raises UsageError where they are of
    several services, or a folder stands among them.
    """
    found = []
    for text in texts:
        if not is_address(text):
            raise UsageError(f"{text}: a folder and a service make no ranking; search them apart")
        found.append(address(text))
    first = found[0]
    for text, other in zip(texts, found, strict=True):
        if str(other) != str(first):
            raise UsageError(f"{text}: is another service than {first}; search them apart")
    cases = [one.case for one in found]
    if len(cases) > 1 and (not all(cases) or len(set(cases)) < len(cases)):
        raise UsageError(f"{first}: name each case once, as {first}/CASE")
    return first, [case for case in cases if case]
