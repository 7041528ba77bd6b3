"""Tables of others, opened as text: CSV in whatever letters, and Excel workbooks, which a confined worker reads."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from imgmatch.errors import ImgmatchError, MachineError, UsageError
from imgmatch.given import letters
from imgmatch.limits import SourceLimits
from imgmatch.parsers.pieces import Settings, Trouble
from imgmatch.streams import Shared
from imgmatch.workers.parse import extract

_ZIP, _OLD_EXCEL = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LIMITS = SourceLimits()


@contextmanager
def table_text(path: Path) -> Iterator[TextIO]:
    """The text of a table, its ends of lines as they are. Bytes that are no UTF-8 are surrogates (``given.legible``).
    Of an Excel workbook the first sheet that holds something, as CSV. Raises UsageError, naming the file, where it
    can't be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(_OLD_EXCEL))
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); give an existing file") from error
    if head == _OLD_EXCEL:
        raise UsageError(f"{path}: an Excel workbook of the old kind (.xls); save it as .xlsx or CSV")
    if head.startswith(_ZIP):
        with _sheet(path) as file:
            yield file
        return
    encoding, errors = letters(head)
    try:
        with path.open(encoding=encoding, errors=errors, newline="") as file:
            yield file
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); give an existing file") from error


@contextmanager
def _sheet(path: Path) -> Iterator[TextIO]:
    settings = Settings(1, _LIMITS)
    try:
        with path.open("rb") as file:
            found = list(extract("sheets", Shared(file), settings))
    except MachineError:
        raise
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); check the disk") from error
    except ImgmatchError as error:
        raise UsageError(f"{path}: {error}; or save the table as CSV") from error
    sheets = [sheet for sheet in found if not isinstance(sheet, Trouble)]
    if not sheets:
        raise UsageError(f"{path}: a workbook without a table; give one whose first sheet holds it")
    for sheet in sheets[1:]:
        sheet.content.close()
    with sheets[0].content as content:
        content.seek(0)
        yield io.TextIOWrapper(io.BytesIO(content.read()), encoding="utf-8", newline="")
