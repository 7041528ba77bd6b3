"""One service asked over HTTPS: tries again what was cut off, with the same key, so that it is recorded once."""

from __future__ import annotations

import email.utils
import http.client
import json
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import imgmatch
from cli.options.service import Address
from cli.serve.messages import API, API_HEADER, KEY_HEADER, CasesTold, PictureTold, Refused
from imgmatch import given
from imgmatch.errors import ImgmatchError, UsageError
from imgmatch.workers.wire import WireError, checked

PATIENCE_S = 60.0
"""So long is tried again what is cut off once the service has answered."""
_ANSWER_S = 300.0
_CONNECT_S = 10.0
_MOST_BYTES = 512 << 20
_CUT_OFF = (ConnectionError, http.client.RemoteDisconnected, http.client.IncompleteRead, http.client.BadStatusLine)
_AGAIN = (429, 503)
_OUT_OF_TIME = (9, 10)
"""OpenSSL's numbers of a certificate that is not valid yet, or no more."""
_APART_S = 90.0
"""So far may clocks be apart without a word."""


class ServiceError(ImgmatchError):
    """What a service does not do, and why. ``status`` is that of HTTP, ``missing`` the pictures that it has not."""

    def __init__(self, message: str, status: int = 0, missing: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status, self.missing = status, missing


class Client:
    """A connection to one service, opened again where it is lost."""

    def __init__(
        self, address: Address, token: str, ca: Path | None, told: Callable[[str], None] = lambda words: None
    ) -> None:
        """``told`` hears, in words, that something is tried again. Raises UsageError where ``ca`` can't be used."""
        self.address, self._token, self._told = address, token, told
        self._context = None if address.scheme == "http" else _context(ca)
        self._connection: http.client.HTTPConnection | None = None
        self._met = False
        self._apart = ""

    def cases(self) -> CasesTold:
        """Who this is there, and the cases that may be searched. Raises ServiceError, in one line, where there is no
        such service, its certificate or the token is wrong, or it is of another version.
        """
        told: CasesTold = self._json(CasesTold, "GET", "/v1/cases")
        self._met = True
        if self._apart:
            self._told(f"{self.address}: {self._apart}; times in the logs are those of its clock")
        return told

    def send(self, data: bytes) -> str:
        """A picture; its SHA-256."""
        told: PictureTold = self._json(PictureTold, "POST", "/v1/pictures", data)
        return told["sha256"]

    def ask(self, kind: Any, path: str, body: Mapping[str, Any], key: str) -> Any:
        """A request, whose answer must be as the type ``kind`` says."""
        headers = {KEY_HEADER: key, "content-type": "application/json"}
        return self._json(kind, "POST", path, json.dumps(body).encode("ascii"), headers)

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _json(
        self, kind: Any, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                status, answer, data = self._once(method, path, body, headers or {})
            except _CUT_OFF as error:
                self.close()
                if not self._met or time.monotonic() > until:
                    raise ServiceError(f"{self.address}: can't be reached ({_why(error)}); {_CHECK}") from error
                self._again("is away", 0.5)
                continue
            except (OSError, http.client.HTTPException) as error:
                self.close()
                raise ServiceError(f"{self.address}: {self._wrong(error)}") from error
            wait_s = _seconds(answer.get("retry-after"))
            if status in _AGAIN and wait_s is not None and time.monotonic() + wait_s < until:
                self._again("says that it is full" if status == 503 else "asks for patience", wait_s)
                continue
            return self._told_by(kind, status, answer, data)

    def _once(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        if self._connection is None:
            self._connection = self._opened()
        own = {"authorization": f"Bearer {self._token}", "user-agent": f"imgmatch/{imgmatch.__version__}", **headers}
        self._connection.request(method, path, body, own)
        answer = self._connection.getresponse()
        data = answer.read(_MOST_BYTES + 1)
        if answer.will_close or len(data) > _MOST_BYTES:
            self.close()
        told = {name.lower(): value for name, value in answer.getheaders()}
        self._apart = _clocks_apart(told.get("date", ""))
        return answer.status, told, data

    def _opened(self) -> http.client.HTTPConnection:
        host, port = self.address.host, self.address.port
        made = (
            http.client.HTTPConnection(host, port, timeout=_CONNECT_S)
            if self._context is None
            else http.client.HTTPSConnection(host, port, timeout=_CONNECT_S, context=self._context)
        )
        made.connect()
        made.sock.settimeout(_ANSWER_S)
        return made

    def _told_by(self, kind: Any, status: int, headers: Mapping[str, str], data: bytes) -> Any:
        here = self.address
        api = headers.get(API_HEADER)
        if api is None:
            raise ServiceError(f"{here}: is no imgmatch service (HTTP {status}); check the address", status)
        if api != str(API):
            what = f"speaks version {api[:10]} of the service, this imgmatch {imgmatch.__version__} version {API}"
            raise ServiceError(f"{here}: {what}; install the version of imgmatch that runs there", status)
        try:
            told = given.loads(data)
            if status == 200:
                return checked(kind, told)
            refused: Refused = checked(Refused, told)
        except (ValueError, WireError) as error:
            raise ServiceError(f"{here}: its answer makes no sense ({error}); ask its operator", status) from error
        missing = tuple(refused.get("missing", ()))
        clock = f" ({self._apart})" if status == 401 and self._apart else ""  # by which tokens end
        raise ServiceError(f"{here}: {refused['error']}{clock}", status, missing)

    def _again(self, why: str, wait_s: float) -> None:
        self._told(f"{self.address}: {why}; tried again")
        time.sleep(wait_s)

    def _wrong(self, error: Exception) -> str:
        """What kept it from being asked, in words."""
        if isinstance(error, ssl.SSLCertVerificationError):
            why = error.verify_message or str(error)
            if error.verify_code in _OUT_OF_TIME:
                now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
                return f"{why}, as this machine's clock says {now}; set the clock, or have its operator renew it"
            return f"its certificate is not one to trust ({why}); name the authority's with --ca FILE"
        if isinstance(error, ssl.SSLError):
            return f"speaks no TLS there ({error.reason or error}); check the address and port"
        if isinstance(error, TimeoutError):
            return f"does not answer; {_CHECK}"
        return f"can't be reached ({_why(error)}); {_CHECK}"


_CHECK = "check the address, and that the service runs"


def new_key() -> str:
    """An id for a request."""
    return uuid.uuid4().hex


def _clocks_apart(date: str) -> str:
    """How far the clock of who answered at this ``date`` (RFC 9110) and this machine's differ, in words, where that is
    much; empty where it is not told.
    """
    try:
        seconds = (email.utils.parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):  # no date, or one without a zone
        return ""
    if abs(seconds) < _APART_S:
        return ""
    return f"its clock is {abs(seconds) / 60:,.0f} minutes {'ahead of' if seconds > 0 else 'behind'} this machine's"


def _context(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{ca}: holds no certificates that can be read ({_why(error)}); give PEM") from error


def _why(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "no such host"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() and len(text) < 6 else None
