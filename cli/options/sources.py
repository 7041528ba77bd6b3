"""Options of commands that read sources."""

from __future__ import annotations

import codecs
import dataclasses
import getpass
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgmatch.errors import UsageError

if TYPE_CHECKING:
    from imgmatch.evidence import SourceLimits, SourceOptions

PASSWORDS_VARIABLE = "IMGMATCH_PASSWORDS"
_LINE, _LINE_OF_BYTES = re.compile("\r\n|\n|\r"), re.compile(b"\r\n|\n|\r")

LimitOpt = Annotated[
    list[str] | None,
    typer.Option("--limit", metavar="NAME=N", help="A limit of docs/limits.md, as max_depth=4; may be repeated."),
]


_MOST_PASSWORDS = 16 << 20


def passwords_in(data: bytes) -> list[str]:
    """Passwords, one a line, in UTF-8 or UTF-16, with a mark of the order of bytes or without; a line that is neither
    is given as the bytes it is, and as Windows would read it.
    """
    text: str | None = None
    for mark, letters in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        low = letters == "utf-16-le"  # ends of lines and most letters have a zero byte, on the one side or the other
        if data.startswith(mark) or (
            len(data) >= 4 and len(data) % 2 == 0 and data[low::2].count(0) * 2 > len(data) // 2
        ):
            text = data.removeprefix(mark).decode(letters, "replace")
            break
    if text is not None:
        return _LINE.split(text)
    found = []
    for line in _LINE_OF_BYTES.split(data.removeprefix(codecs.BOM_UTF8)):
        found.append(line.decode("utf-8", "surrogateescape"))
        if not found[-1].isprintable() and (other := line.decode("cp1252", "replace")).isprintable():
            found.append(other)
    return found


@dataclass(frozen=True, slots=True)
class PasswordOptions:
    """Where passwords come from. They are never an argument: those stand in the list of processes and in the log."""

    password: Annotated[bool, typer.Option("--password", help="Ask for a password of locked archives.")] = False
    password_file: Annotated[
        Path | None,
        typer.Option(
            help="Passwords of locked archives, one a line; the environment variable IMGMATCH_PASSWORDS holds the same."
        ),
    ] = None

    def read(self) -> tuple[str, ...]:
        """All passwords, each once. Raises UsageError when there is no such file, or no terminal to ask on."""
        passwords = passwords_in(
            os.environb.get(PASSWORDS_VARIABLE.encode(), b"")
            if os.supports_bytes_environ
            else os.environ.get(PASSWORDS_VARIABLE, "").encode()
        )
        file = self.password_file
        if file is not None:
            try:
                with file.open("rb") as stream:
                    data = stream.read(_MOST_PASSWORDS + 1)
                if len(data) > _MOST_PASSWORDS:
                    raise UsageError(f"{file}: longer than {_MOST_PASSWORDS:,} bytes; give a file of passwords")
                passwords += passwords_in(data)
            except OSError as error:
                raise UsageError(f"{file}: can't be read ({error.strerror}); give an existing file") from error
        if self.password:
            if not sys.stdin.isatty():
                raise UsageError("--password asks on a terminal, and there is none; give --password-file")
            passwords.append(getpass.getpass("Password: "))
        return tuple(dict.fromkeys(filter(None, passwords)))


@dataclass(frozen=True, slots=True)
class InsideOptions:
    """What is looked into, and how closely; the fields are named as those of SourceOptions."""

    inside: Annotated[
        bool, typer.Option("--inside/--plain-files", help="Look into archives, disk images, videos, documents.")
    ] = True
    deleted: Annotated[
        bool, typer.Option("--deleted/--no-deleted", help="Of disk images, also deleted files that are still named.")
    ] = True
    carve: Annotated[
        bool,
        typer.Option(
            "--carve",
            help="Also pictures in space of disk images that no file owns, and anywhere in files of no known kind.",
        ),
    ] = False
    frames: Annotated[
        bool, typer.Option("--frames/--no-frames", help="Of videos and pictures that hold several, also their frames.")
    ] = True
    frames_per_minute: Annotated[
        int, typer.Option(min=1, max=600, metavar="N", help="Of a minute of video, at most so many frames.")
    ] = 12
    documents: Annotated[
        bool, typer.Option("--documents/--no-documents", help="Look for pictures in PDF, mail and Thumbs.db.")
    ] = True
    previews: Annotated[
        bool, typer.Option("--previews", help="Of JPEG files, also EXIF previews that show something else.")
    ] = False

    def sources(self, passwords: PasswordOptions, limits: SourceLimits, exclude: tuple[str, ...] = ()) -> SourceOptions:
        """Sources as the options say."""
        from imgmatch.evidence import SourceOptions

        return SourceOptions(passwords=passwords.read(), limits=limits, exclude=exclude, **dataclasses.asdict(self))
