"""Text that others give, in whatever letters: JSON (RFC 8259) and CSV (RFC 4180), bounded before a parser believes it.

A parser makes of a few bytes as much memory as they ask for, or fails on a number of thousands of digits. What no
program writes is refused here as ValueError, whatever reads it then.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from itertools import accumulate
from pathlib import Path
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
_SEPARATOR = re.compile(r'\s*"?sep=(.)"?\s*\Z', re.IGNORECASE)
_DELIMITERS = ",;\t|"
_QUOTED = re.compile(r'"[^"]*"?')
_WINDOWS = "windows-1252-instead"


def _windows(error: UnicodeError) -> tuple[str, int]:
    """What is no UTF-8, a byte at a time, as Windows-1252 has it, or where that has nothing, as Latin-1."""
    assert isinstance(error, UnicodeDecodeError)
    byte = error.object[error.start : error.start + 1]
    try:
        return byte.decode("cp1252"), error.start + 1
    except UnicodeDecodeError:
        return byte.decode("latin-1"), error.start + 1


codecs.register_error(_WINDOWS, _windows)


def letters(head: bytes) -> tuple[str, str]:
    """The encoding of a text by its first bytes, and what to do about bytes that are not of it: by its mark (UTF-8, 16,
    32), else UTF-16 where every other byte of its first two characters is zero, else UTF-8. Surrogates then stand for
    bytes that are no UTF-8, as in names of files; ``legible`` makes letters of them.
    """
    for mark, name in (
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if head.startswith(mark):
            return name, "replace"
    zeros = [byte == 0 for byte in head[:4]]
    if zeros in ([False, True, False, True], [False, True]):
        return "utf-16-le", "replace"
    if zeros in ([True, False, True, False], [True, False]):
        return "utf-16-be", "replace"
    return "utf-8-sig", "surrogateescape"


def legible(text: str) -> str:
    """A text of a file in ``letters``, bytes that are no UTF-8 as Windows writes them: Windows-1252."""
    try:
        return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", _WINDOWS)
    except UnicodeEncodeError:  # half a character, which no text can hold
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


class Recoded:
    """The pieces of a file, one after the other, as UTF-8 without a mark, whatever letters it is in."""

    def __init__(self) -> None:
        self._decoder: codecs.IncrementalDecoder | None = None

    def __call__(self, piece: bytes) -> bytes:
        """The next piece; characters that are cut come with the one after."""
        if self._decoder is None:
            encoding, errors = letters(piece)
            self._decoder = codecs.getincrementaldecoder(encoding)(_WINDOWS if "8" in encoding else errors)
        return self._decoder.decode(piece, not piece).encode("utf-8", "replace")


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
        self._file, self._recoded, self.guard = file, Recoded(), Guard()

    def read(self, size: int = -1) -> bytes:
        """The next piece."""
        text = b""
        while not text and (piece := self._file.read(1 << 16 if size < 0 else size)):
            text = self._recoded(piece)
        self.guard.feed(text)
        return text


def load(path: Path, most_bytes: int) -> Any:
    """The JSON in a file, as ``loads`` has it; ValueError also where it is longer than ``most_bytes``, OSError too."""
    with path.open("rb") as file:
        text = file.read(most_bytes + 1)
    if len(text) > most_bytes:
        raise ValueError(f"longer than {most_bytes:,} bytes")
    return loads(text)


def loads(text: bytes | str) -> Any:
    """One JSON document. Raises ValueError on anything else, on NaN, and on what goes past a bound."""
    Guard().feed(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no value")


def delimiter_of(line: str) -> str:
    """What parts the cells of a table, by its first line: a comma, a semicolon, a tab or a bar."""
    bare = _QUOTED.sub("", line)
    return max(_DELIMITERS, key=bare.count)


def separator_in(line: str) -> str | None:
    """What parts the cells, where a line says so as Excel writes it above the table (``sep=;``)."""
    said = _SEPARATOR.match(line)
    return said[1] if said else None


class Rows:
    """Rows of a CSV file, opened with ``newline=""``, parted as its first line is. csv.Error for a row, or a line, of
    more than a million characters, which is passed over.
    """

    def __init__(self, file: TextIO) -> None:
        self._file, self._left = file, 0
        self.line_num = 0
        self._first, delimiter = "\n", None
        while self._first.isspace():
            self._first = file.readline(_MOST_ROW + 1)
            self.line_num += 1
            if delimiter is None and (delimiter := separator_in(self._first)) is not None:
                self._first = "\n"
        self.line_num -= 1
        self._reader = csv.reader(iter(self._line, ""), delimiter=delimiter or delimiter_of(self._first))

    def __iter__(self) -> Rows:
        return self

    def __next__(self) -> list[str]:
        """The next one."""
        self._left = _MOST_ROW
        return next(self._reader)

    def _line(self) -> str:
        line, self._first = self._first or self._file.readline(self._left + 1), ""
        self.line_num += bool(line)
        self._left -= len(line)
        if self._left < 0:
            while not line.endswith("\n") and (line := self._file.readline(_MOST_ROW)):
                pass
            raise csv.Error(f"a row of more than {_MOST_ROW:,} characters")
        return line
