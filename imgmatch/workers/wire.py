"""How the program and its workers talk: lengths, a header in JSON, then raw bytes. Nothing is ever unpickled.

What a worker says is as little to be trusted as the file that it read. A type says what a message must look like
(``checked``); what does not is refused before it is used.
"""

from __future__ import annotations

import functools
import json
import re
import struct
from collections.abc import Callable, Iterator
from math import isfinite
from types import NoneType, UnionType
from typing import (
    IO,
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    TypedDict,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from imgmatch.parsers.told import Name, Size, Word

_LENGTHS = struct.Struct(">IQ")
_MAX_HEADER = 1 << 20
BUFFER_BYTES = 1 << 16
"""Of what is read and written at once at least."""
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1
MAX_READ = 4 << 20
"""The most bytes that are asked for at once, either way."""
TICK = _LENGTHS.pack(0, 0)
"""A message of nothing: one more step of many is done."""


class WireError(Exception):
    """What the other side says makes no sense."""


What = Annotated[str, range(200)]
"""What an error is counted by."""


class End(TypedDict):
    """The answer to a request: ``error`` is None, or a short word for what went wrong."""

    say: Literal["end"]
    error: Word | None
    message: Name
    what: What


class Read(TypedDict):
    """Bytes of the source number ``of`` are wanted."""

    say: Literal["read"]
    of: Size
    offset: Size
    size: Size


def send(stream: IO[bytes], header: dict[str, Any], *parts: Any) -> None:
    """Write a header and the bytes that follow it. OSError where the other side is gone."""
    text = json.dumps(header).encode("ascii")
    views = [memoryview(part).cast("B") for part in parts]
    size = sum(map(len, views))
    first = _LENGTHS.pack(len(text), size) + text
    if size <= BUFFER_BYTES:
        first, views = first + b"".join(views), []
    write(stream, first)
    for view in views:
        write(stream, view)


def write(stream: IO[bytes], data: bytes | memoryview) -> None:
    """Write all of some bytes to a stream without a buffer."""
    view = memoryview(data)
    while len(view):
        view = view[stream.write(view) or 0 :]


def receive(stream: IO[bytes]) -> tuple[dict[str, Any] | None, int]:
    """Read a header, and how many bytes follow it; None for a tick. EOFError at the end, WireError on nonsense."""
    length, size = _LENGTHS.unpack(receive_bytes(stream, _LENGTHS.size))
    if length > _MAX_HEADER:
        raise WireError("a header that is too long")
    if not length and not size:
        return None, 0
    header = parse(receive_bytes(stream, length))
    if not isinstance(header, dict):
        raise WireError("a header that is no object")
    return header, size


def receive_bytes(stream: IO[bytes], size: int) -> bytearray:
    """Read exactly so many bytes. EOFError where there are fewer."""
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        count = stream.readinto(view[at:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        at += count
    return data


def parse(text: bytes | bytearray) -> Any:
    """JSON (RFC 8259, without NaN). Raises WireError on anything else."""
    try:
        return _JSON.decode(text.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise WireError("no JSON") from error


def parse_each(text: bytes | bytearray) -> Iterator[Any]:
    """The parts of a JSON list, one at a time, as they are wanted. Raises WireError on anything else."""
    whole, at = text.decode("ascii", "replace"), 1
    if whole[:1] != "[":
        raise WireError("no list")
    while not whole.startswith("]", at):
        try:
            part, at = _JSON.raw_decode(whole, at)
        except (ValueError, RecursionError) as error:
            raise WireError("no JSON") from error
        yield part
        if whole[at : at + 2] == ", ":
            at += 2
        elif whole[at : at + 2] != "]":
            raise WireError("no list")


def checked(kind: Any, told: Any) -> Any:
    """``told``, where it is what the type ``kind`` says: of None, bool, int (64 bits), finite float, str, Literal, Any,
    unions, list, dict, tuple and TypedDict; and Annotated with a range that an int, or the length of a str or list, is
    in, or with what a str matches. Raises WireError where it is not. JSON has lists for tuples.
    """
    if not _check(kind)(told):
        raise WireError("not what was to be told")
    return told


@functools.cache
def _check(kind: Any) -> Callable[[Any], bool]:
    origin, inside = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda told: True
    if kind is int:
        return lambda told: type(told) is int and _LEAST <= told <= _MOST
    if kind is float:
        return lambda told: type(told) is float and isfinite(told)
    if kind in (NoneType, bool, str):
        return lambda told: type(told) is kind
    if origin in (Required, NotRequired):
        return _check(inside[0])
    if origin is Annotated:
        return _within(_check(inside[0]), inside[1])
    if origin is Literal:
        return lambda told: type(told) is str and told in inside
    if is_typeddict(kind):
        fields = {name: _check(hint) for name, hint in get_type_hints(kind, include_extras=True).items()}
        return lambda told: (
            type(told) is dict
            and kind.__required_keys__ <= told.keys() <= fields.keys()
            and all(fields[name](value) for name, value in told.items())
        )
    checks = [_check(each) for each in inside]
    if origin in (Union, UnionType):
        return lambda told: any(check(told) for check in checks)
    if origin is list:
        return lambda told: type(told) is list and all(map(checks[0], told))
    if origin is dict:
        return lambda told: (
            type(told) is dict and all(checks[0](name) and checks[1](value) for name, value in told.items())
        )
    if origin is tuple:
        return lambda told: (
            type(told) is list
            and len(told) == len(checks)
            and all(check(each) for check, each in zip(checks, told, strict=True))
        )
    raise TypeError(f"no type of a message: {kind}")


def _within(check: Callable[[Any], bool], bound: range | re.Pattern[str]) -> Callable[[Any], bool]:
    if isinstance(bound, range):
        return lambda told: check(told) and (len(told) if type(told) in (str, list) else told) in bound
    return lambda told: check(told) and bound.fullmatch(told) is not None


def _no_constant(name: str) -> Any:
    raise ValueError(name)


_JSON = json.JSONDecoder(parse_constant=_no_constant)
