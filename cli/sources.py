"""Options of commands that read sources."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from imgmatch.errors import UsageError

if TYPE_CHECKING:
    from imgmatch.evidence import SourceLimits, SourceOptions

PASSWORDS_VARIABLE = "IMGMATCH_PASSWORDS"

InsideOpt = Annotated[
    bool, typer.Option("--inside/--plain-files", help="Look into archives, disk images, videos, documents.")
]
DeletedOpt = Annotated[
    bool, typer.Option("--deleted/--no-deleted", help="Of disk images, also deleted files that are still named.")
]
CarveOpt = Annotated[bool, typer.Option("--carve", help="Of disk images, also pictures in space that no file owns.")]
FramesOpt = Annotated[
    bool, typer.Option("--frames/--no-frames", help="Of videos and pictures that hold several, also their frames.")
]
FramesPerMinuteOpt = Annotated[
    int, typer.Option(min=1, max=600, metavar="N", help="Of a minute of video, at most so many frames.")
]
DocumentsOpt = Annotated[
    bool, typer.Option("--documents/--no-documents", help="Look for pictures in PDF, mail and Thumbs.db.")
]
PreviewsOpt = Annotated[
    bool, typer.Option("--previews", help="Of JPEG files, also EXIF previews that show something else.")
]
AskPasswordOpt = Annotated[bool, typer.Option("--password", help="Ask for a password of locked archives.")]
PasswordFileOpt = Annotated[
    Path | None,
    typer.Option(
        help="Passwords of locked archives, one a line; the environment variable IMGMATCH_PASSWORDS holds the same.",
        show_default=False,
    ),
]
LimitOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="NAME=N",
        help="A limit of docs/limits.md, as max_depth=4; may be repeated.",
        show_default=False,
    ),
]


def source_options(
    limits: SourceLimits | None, ask: bool, password_file: Path | None, **switches: bool | int
) -> SourceOptions:
    """Options as given. Passwords are never an argument: those stand in the list of processes and in the log."""
    from imgmatch.evidence import SourceLimits, SourceOptions

    passwords = os.environ.get(PASSWORDS_VARIABLE, "").splitlines()
    if password_file is not None:
        try:
            passwords += password_file.read_text("utf-8", "surrogateescape").splitlines()
        except OSError as error:
            raise UsageError(f"{password_file}: can't be read ({error.strerror}); give an existing file") from error
    if ask:
        if not sys.stdin.isatty():
            raise UsageError("--password asks on a terminal, and there is none; give --password-file")
        passwords.append(getpass.getpass("Password: "))
    return SourceOptions(
        passwords=tuple(dict.fromkeys(filter(None, passwords))), limits=limits or SourceLimits(), **cast(Any, switches)
    )
