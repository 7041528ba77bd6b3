"""Pictures and attached files of a PDF (ISO 32000-2) by pypdf (extra ``documents``).

Every object that the file still lists is looked at, not only what its pages show: a picture that was taken off a page
often stays behind.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from PIL import Image as Pillow

from imgmatch.errors import EvidenceError
from imgmatch.locator import Names
from imgmatch.optional import require
from imgmatch.parsers.pieces import Clock, Piece, Settings, Trouble, at_most, png
from imgmatch.picture.image import to_srgb
from imgmatch.streams import one_line

_AS_THEY_ARE = ("/DCTDecode", "/DCT", "/JPXDecode")
# pypdf hands these to another program.
_NOT_READ = ("/JBIG2Decode",)
_MAX_PAGES = 20_000
_MAX_MENDED_BYTES = 512 << 20


def extract(stream: BinaryIO, settings: Settings, at: str | None = None) -> Iterator[Piece | Trouble]:
    """Pictures, called ``page-P/image-N`` by the first page that shows them and their object's number (``image-N``
    where none does), JPEG and JPEG 2000 as they lie in the file, others as PNG; then attached files.

    Raises EvidenceError of kind ``broken_document``, ``password`` or ``limit``.
    """
    pypdf = require("pypdf", "documents")
    import logging

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader, cut_off = _opened(pypdf, stream)
        _unlock(reader, settings)
        numbers = _objects(reader)
    except (EvidenceError, MemoryError):
        raise
    except Exception as error:
        raise EvidenceError("broken_document", f"the PDF can't be read: {one_line(error)}") from error
    pages, fault = _pages_of(reader)
    fault = cut_off or fault
    clock = Clock(settings)
    pictures, masks, attached = _listed(pypdf, reader, numbers, clock)
    # A mask says where another picture is transparent.
    for number, generation in at_most((found for found in pictures if found[0] not in masks), settings):
        clock.check()
        found = pypdf.generic.IndirectObject(number, generation, reader).get_object()
        name = f"page-{pages[number]}/image-{number}" if number in pages else f"image-{number}"
        try:
            yield Piece("pdf", name, _picture(found, settings))
        except EvidenceError as error:
            yield Trouble("pdf", name, error.kind, str(error))
        except Exception as error:  # noqa: BLE001  (pypdf and Pillow raise about everything on broken data)
            yield Trouble("pdf", name, "broken_document", f"the picture can't be taken out: {one_line(error)}")
        _forget(reader, number, generation)
    yield from _attachments(attached)
    if fault is not None:
        raise EvidenceError("broken_document", f"the PDF is damaged ({fault}); what was found in it is kept")


def _listed(
    pypdf: Any, reader: Any, numbers: list[tuple[int, int]], clock: Clock
) -> tuple[list[tuple[int, int]], set[int], list[tuple[str, Any]]]:
    """Which objects are pictures, which are masks of pictures, and what files are attached."""
    pictures, masks, attached = [], set[int](), []
    for number, generation in numbers:
        clock.check()
        try:
            found = pypdf.generic.IndirectObject(number, generation, reader).get_object()
            if not isinstance(found, pypdf.generic.DictionaryObject):
                continue
            if "/EF" in found:
                attached.append((str(found.get("/UF") or found.get("/F") or f"file-{number}"), found["/EF"]))
            if isinstance(found, pypdf.generic.StreamObject) and found.get("/Subtype") == "/Image":
                masks |= {mask.idnum for name in ("/SMask", "/Mask") if (mask := _reference(found, name)) is not None}
                if not found.get("/ImageMask"):  # a stencil shows nothing of its own
                    pictures.append((number, generation))
        except Exception:  # noqa: BLE001  (an object that can't be read is not known to be a picture)
            continue
        _forget(reader, number, generation)
    return pictures, masks, attached


def _forget(reader: Any, number: int, generation: int) -> None:
    """pypdf keeps every object that it has read; a scanned book would fill the memory."""
    reader.resolved_objects.pop((generation, number), None)


def _opened(pypdf: Any, stream: BinaryIO) -> tuple[Any, str | None]:
    """The PDF; one whose end is missing by the objects that are there, and with what is wrong with it."""
    try:
        return pypdf.PdfReader(stream, strict=False), None
    except (pypdf.errors.PyPdfError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        stream.seek(0)
        # An end that names no table makes pypdf look for the objects themselves.
        mended = stream.read(_MAX_MENDED_BYTES) + b"\nstartxref\n0\n%%EOF\n"
        return pypdf.PdfReader(io.BytesIO(mended), strict=False), one_line(error)


def _unlock(reader: Any, settings: Settings) -> None:
    if reader.is_encrypted and not any(reader.decrypt(word) for word in ("", *settings.passwords)):
        if not settings.passwords:
            raise EvidenceError("password", "is encrypted; give its password with --password-file")
        raise EvidenceError("password", "is encrypted, and none of the given passwords opens it")


def _objects(reader: Any) -> list[tuple[int, int]]:
    """Number and generation of everything that the file's tables list, in order."""
    listed = {(number, generation) for generation, places in reader.xref.items() for number in places}
    return sorted(listed | {(number, 0) for number in reader.xref_objStm})


def _pages_of(reader: Any) -> tuple[dict[int, int], str | None]:
    """The first page, from 1, that names each picture; and what is wrong with the pages."""
    pages: dict[int, int] = {}
    try:
        for number, page in enumerate(reader.pages, start=1):
            if number > _MAX_PAGES:
                break
            waiting, seen = [page.get("/Resources")], set[int]()
            while waiting:
                resources = waiting.pop(0)
                resources = None if resources is None else resources.get_object()
                if not isinstance(resources, dict):
                    continue
                for raw in dict.values(_dictionary(resources.get("/XObject"))):
                    if not hasattr(raw, "idnum") or raw.idnum in seen:
                        continue
                    seen.add(raw.idnum)
                    form = raw.get_object()
                    if isinstance(form, dict) and form.get("/Subtype") == "/Form":
                        waiting.append(form.get("/Resources"))
                    else:
                        pages.setdefault(raw.idnum, number)
    except RecursionError:
        return pages, "its pages lie in each other"
    except Exception as error:  # noqa: BLE001
        return pages, one_line(error)
    return pages, None


def _dictionary(found: Any) -> dict[Any, Any]:
    found = None if found is None else found.get_object()
    return found if isinstance(found, dict) else {}


def _reference(found: Any, name: str) -> Any:
    raw = dict.get(found, name)
    return raw if hasattr(raw, "idnum") else None


def _picture(found: Any, settings: Settings) -> bytes:
    filters = found.get("/Filter")
    filters = [] if filters is None else filters.get_object()
    names = [str(name) for name in (filters if isinstance(filters, list) else [filters])]
    if names and names[-1] in _NOT_READ:
        raise EvidenceError("unsupported", f"the picture is packed by {names[-1].strip('/')}, which is not read")
    width, height = int(found["/Width"]), int(found["/Height"])
    most = settings.limits.max_frame_pixels
    if width * height > most:
        raise EvidenceError("limit", f"{width:,} x {height:,} pixels are more than max_frame_pixels ({most:,})")
    if names and names[-1] in _AS_THEY_ARE:
        # pypdf leaves these two packed, and takes off what else is around them.
        data = found.get_data()
        return data if isinstance(data, bytes) else bytes(data, "latin-1")
    Pillow.MAX_IMAGE_PIXELS = most  # this process decodes nothing else
    picture = found.decode_as_image()
    if picture is None:
        raise EvidenceError("broken_document", "the picture can't be taken out")
    return png(to_srgb(picture))


def _attachments(attached: list[tuple[str, Any]]) -> Iterator[Piece | Trouble]:
    name_of, seen = Names(), set[int]()
    for name, files in attached:
        at = name_of(f"attached/{name}")
        try:
            files = files.get_object()
            content = files.get("/UF") or files.get("/F")
            number = getattr(dict.get(files, "/F"), "idnum", id(content))
            if number in seen:
                continue
            seen.add(number)
            data = content.get_object().get_data()
            yield Piece("pdf", at, data if isinstance(data, bytes) else bytes(data, "latin-1"))
        except Exception as error:  # noqa: BLE001
            yield Trouble("pdf", at, "broken_document", f"the attached file can't be taken out: {one_line(error)}")
