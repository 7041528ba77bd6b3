"""Text that others give: JSON (RFC 8259) and CSV (RFC 4180), bounded before a parser believes it.

A parser makes of a few bytes as much memory as they ask for, or fails on a number of thousands of digits. What no
program writes is refused here as ValueError, whatever reads it then.
"""

from __future__ import annotations

import csv
import json
import re
from itertools import accumulate
from typing import Any, TextIO

MOST_VALUES = 1_000_000
"""Of one document or record: in memory they take some hundred bytes each."""
_MOST_DEPTH = 32
_MOST_DIGITS = 100
_MOST_NAME_BYTES = 64 << 10
_MOST_TEXT_BYTES = 16 << 20
_MOST_ROW = 1 << 20
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+("?)', re.DOTALL)
_INSIDE = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_LONG_NUMBER = re.compile(rb"[0-9eE.+-]{%d}|[eE][+-]?[0-9]{3}" % (_MOST_DIGITS + 1))
_NUMBER_AT_END = re.compile(rb"[0-9eE.+-]*\Z")
_NO_MARK = bytes(set(range(256)) - set(b"[]{},"))
_STEP = bytes(1 if byte in b"[{" else 255 if byte in b"]}" else 0 for byte in range(256))


class Guard:
    """Looks through JSON a piece at a time, ahead of its parser: how deep it goes, how long numbers, names and texts
    are, and how many values there are. What is no JSON at all it leaves to the parser.
    """

    def __init__(self) -> None:
        self.values = 0
        """How many there were, lists and objects twice; to be set back where a record ends."""
        self._depth = 0
        self._text_bytes = 0  # of the text that a piece ended in
        self._in_text = self._escaped = self._maybe_name = False
        self._number = b""

    def feed(self, piece: bytes) -> None:
        """Look through the next piece. Raises ValueError, in words that go on from a place."""
        bare = self._number + self._without_texts(piece)
        if self._maybe_name and bare.strip():
            if bare.lstrip()[:1] == b":":
                raise ValueError(f"a name is longer than {_MOST_NAME_BYTES:,} bytes")
            self._maybe_name = False
        if (found := _LONG_NUMBER.search(bare)) is not None:
            raise ValueError(f"a number has more digits than any has ({found[0][:20].decode()}...)")
        ending = _NUMBER_AT_END.search(bare)
        self._number = ending[0] if ending and not self._in_text else b""
        marks = bare.translate(None, _NO_MARK)
        self.values += len(marks)
        if self.values > MOST_VALUES:
            raise ValueError(f"holds more than {MOST_VALUES:,} values in one")
        depths = list(accumulate(memoryview(marks.translate(_STEP)).cast("b"), initial=self._depth))
        self._depth = depths[-1]
        if max(depths) > _MOST_DEPTH:
            raise ValueError(f"lists and objects lie in each other more than {_MOST_DEPTH} deep")

    def _without_texts(self, piece: bytes) -> bytes:
        at = 0
        if self._in_text:
            inside = _INSIDE.match(piece, int(self._escaped))
            at = len(piece) if inside is None else inside.end()
            self._grow(at)
            self._escaped = at < len(piece) and piece[at] == 0x5C  # the last byte: what it escapes is to come
            if at >= len(piece) or self._escaped:
                return b""
            self._in_text, self._maybe_name = False, self._text_bytes > _MOST_NAME_BYTES
            at += 1
        last: re.Match[bytes] | None = None

        def noted(match: re.Match[bytes]) -> bytes:
            nonlocal last
            last = match
            return b"~"

        rest = piece[at:] if at else piece
        bare = _STRING.sub(noted, rest)
        if last is not None and not last[1]:
            self._in_text, self._text_bytes = True, 0
            self._escaped = last.end() < len(rest)
            self._grow(len(rest) - last.start())
            bare = bare[: bare.rindex(b"~")]
        return bare

    def _grow(self, count: int) -> None:
        self._text_bytes += count
        if self._text_bytes > _MOST_TEXT_BYTES:
            raise ValueError(f"a text is longer than {_MOST_TEXT_BYTES >> 20} MiB")


class Guarded:
    """A binary file of JSON for a parser that reads it a piece at a time. What the guard says comes out of ``read``."""

    def __init__(self, file: Any) -> None:
        self._file, self.guard = file, Guard()

    def read(self, size: int = -1) -> bytes:
        """The next piece."""
        piece: bytes = self._file.read(1 << 16 if size < 0 else size)
        self.guard.feed(piece)
        return piece


def loads(text: bytes | str) -> Any:
    """One JSON document. Raises ValueError on anything else, on NaN, and on what goes past a bound."""
    Guard().feed(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no value")


class Rows:
    """Rows of a CSV file. csv.Error for a row, or a line, of more than a million characters, which is passed over."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._left = file, 0
        self.line_num = 0
        self._reader = csv.reader(iter(self._line, ""))

    def __iter__(self) -> Rows:
        return self

    def __next__(self) -> list[str]:
        """The next one."""
        self._left = _MOST_ROW
        return next(self._reader)

    def _line(self) -> str:
        line = self._file.readline(self._left + 1)
        self.line_num += bool(line)
        self._left -= len(line)
        if self._left < 0:
            while not line.endswith("\n") and (line := self._file.readline(_MOST_ROW)):
                pass
            raise csv.Error(f"a row of more than {_MOST_ROW:,} characters")
        return line
