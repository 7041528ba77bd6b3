"""Pictures and attached files of a PDF (ISO 32000-2) by pypdf (extra ``documents``).

Every object that the file still lists is looked at, not only what its pages show: a picture that was taken off a page
often stays behind.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from PIL import Image as Pillow

from imgmatch.errors import EvidenceError, locked, over, unsupported
from imgmatch.locator import Names
from imgmatch.optional import require
from imgmatch.parsers import pdf_colours, pdf_inline
from imgmatch.parsers.pieces import Clock, Piece, Settings, Trouble, at_most, png
from imgmatch.picture.image import load_pixels, to_srgb
from imgmatch.streams import one_line

_JPEG = ("/DCTDecode", "/DCT")
_JPEG_2000 = "/JPXDecode"
# Says that the four components of a JPEG were made from YCCK (Adobe TN 5116).
_YCCK = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x02"
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
    pictures, masks, instructions, attached = _listed(pypdf, reader, numbers, clock)
    # A mask says where another picture is transparent.
    for number, generation in at_most((found for found in pictures if found[0] not in masks), settings):
        clock.check()
        found = pypdf.generic.IndirectObject(number, generation, reader).get_object()
        name = f"page-{pages[number]}/image-{number}" if number in pages else f"image-{number}"
        try:
            data, missing = _picture(pypdf, found, settings)
            yield Piece("pdf", name, data)
            if missing is not None:
                yield Trouble("pdf", name, "broken_document", f"a part of the picture is missing: {missing}")
        except EvidenceError as error:
            yield Trouble.of("pdf", name, error)
        except Exception as error:  # noqa: BLE001  (pypdf and Pillow raise about everything on broken data)
            yield Trouble("pdf", name, "broken_document", f"the picture can't be taken out: {one_line(error)}")
        _forget(reader, number, generation)
    for number, generation in instructions:
        clock.check()
        yield from at_most(_inline(pypdf, reader, (number, generation), pages, settings), settings)
        _forget(reader, number, generation)
    yield from _attachments(attached)
    if fault is not None:
        raise EvidenceError("broken_document", f"the PDF is damaged ({fault}); what was found in it is kept")


def _inline(
    pypdf: Any, reader: Any, at: tuple[int, int], pages: dict[int, int], settings: Settings
) -> Iterator[Piece | Trouble]:
    """Pictures in instructions, called by the object that these are, and their number in it."""
    page = reader.pages[pages[at[0]] - 1] if at[0] in pages else None
    before, count = f"page-{pages[at[0]]}/inline-{at[0]}" if page is not None else f"inline-{at[0]}", 0
    try:
        found = pypdf.generic.IndirectObject(*at, reader).get_object()
        resources = found.get("/Resources") or (None if page is None else page.get("/Resources"))
        resources = None if resources is None else resources.get_object()
        for one in pdf_inline.in_stream(pypdf, reader, found, resources):
            count += 1
            if one.get("/ImageMask"):
                continue
            data, missing = _picture(pypdf, one, settings)
            yield Piece("pdf", f"{before}.{count}", data)
            if missing is not None:
                says = f"a part of the picture is missing: {missing}"
                yield Trouble("pdf", f"{before}.{count}", "broken_document", says)
    except EvidenceError as error:
        yield Trouble.of("pdf", f"{before}.{count}", error)
    except Exception as error:  # noqa: BLE001
        says = f"the picture can't be taken out: {one_line(error)}"
        yield Trouble("pdf", f"{before}.{count}", "broken_document", says)


def _listed(
    pypdf: Any, reader: Any, numbers: list[tuple[int, int]], clock: Clock
) -> tuple[list[tuple[int, int]], set[int], list[tuple[int, int]], list[tuple[str, Any]]]:
    """Which objects are pictures, which masks of them, which instructions with pictures in them; what is attached."""
    pictures, masks, instructions, attached = [], set[int](), [], []
    for number, generation in numbers:
        clock.check()
        try:
            found = pypdf.generic.IndirectObject(number, generation, reader).get_object()
            if not isinstance(found, pypdf.generic.DictionaryObject):
                continue
            if "/EF" in found:
                attached.append((str(found.get("/UF") or found.get("/F") or f"file-{number}"), found["/EF"]))
            if not isinstance(found, pypdf.generic.StreamObject):
                pass
            elif found.get("/Subtype") == "/Image" or {"/Width", "/Height"} <= found.keys():  # a page's thumbnail
                masks |= {mask.idnum for name in ("/SMask", "/Mask") if (mask := _reference(found, name)) is not None}
                if not found.get("/ImageMask"):  # a stencil shows nothing of its own
                    pictures.append((number, generation))
            elif pdf_inline.may_hold(found) and pdf_inline.holds(found):
                instructions.append((number, generation))
        except Exception:  # noqa: BLE001  (an object that can't be read is not known to be a picture)
            continue
        _forget(reader, number, generation)
    return pictures, masks, instructions, attached


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
    if reader.is_encrypted and not any(_opens(reader, word) for word in ("", *settings.passwords)):
        raise locked(len(settings.passwords))


def _opens(reader: Any, password: str) -> bool:
    try:
        return bool(reader.decrypt(password))
    except UnicodeError:  # not one that can be a PDF's
        return False


def _objects(reader: Any) -> list[tuple[int, int]]:
    """Number and generation of everything that the file's tables list, in order."""
    listed = {(number, generation) for generation, places in reader.xref.items() for number in places}
    return sorted(listed | {(number, 0) for number in reader.xref_objStm})


def _pages_of(reader: Any) -> tuple[dict[int, int], str | None]:
    """The first page, from 1, that names each picture, form or instructions; and what is wrong with the pages."""
    pages: dict[int, int] = {}
    try:
        for number, page in enumerate(reader.pages, start=1):
            if number > _MAX_PAGES:
                break
            waiting, seen = [page.get("/Resources")], set[int]()
            content = dict.get(page, "/Contents")
            if content is not None and not hasattr(content, "idnum"):
                pages.update((one.idnum, number) for one in content if one.idnum not in pages)
            elif content is not None:
                told = content.get_object()
                for one in told if isinstance(told, list) else (content,):
                    pages.setdefault(one.idnum, number)
            while waiting:
                resources = waiting.pop(0)
                resources = None if resources is None else resources.get_object()
                if not isinstance(resources, dict):
                    continue
                for raw in dict.values(_dictionary(resources.get("/XObject"))):
                    if not hasattr(raw, "idnum") or raw.idnum in seen:
                        continue
                    seen.add(raw.idnum)
                    pages.setdefault(raw.idnum, number)
                    form = raw.get_object()
                    if isinstance(form, dict) and form.get("/Subtype") == "/Form":
                        waiting.append(form.get("/Resources"))
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


def _picture(pypdf: Any, found: Any, settings: Settings) -> tuple[bytes, str | None]:
    """A picture as a file of its own, and what of it can't be read, where that would not show any more."""
    filters = found.get("/Filter")
    filters = [] if filters is None else filters.get_object()
    names = [str(name) for name in (filters if isinstance(filters, list) else [filters])]
    if names and names[-1] in _NOT_READ:
        raise unsupported(f"picture in a PDF packed by {names[-1].strip('/')}", "not read")
    width, height = int(found["/Width"]), int(found["/Height"])
    most = settings.limits.max_frame_pixels
    _check(width, height, most)
    Pillow.MAX_IMAGE_PIXELS = most  # this process decodes nothing else
    if names and names[-1] in (*_JPEG, _JPEG_2000):
        # pypdf leaves these packed, and takes off what else is around them.
        data = found.get_data()
        data = data if isinstance(data, bytes) else bytes(data, "latin-1")
        return (data, None) if names[-1] == _JPEG_2000 else _jpeg(found, data, most)
    picture = pdf_colours.plain(pypdf, found).decode_as_image()
    if picture is None:
        raise EvidenceError("broken_document", "the picture can't be taken out")
    return png(to_srgb(picture)), None


def _check(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise over("max_frame_pixels", f"{width:,} x {height:,} pixels are more than max_frame_pixels ({most:,})")


def _jpeg(found: Any, data: bytes, most: int) -> tuple[bytes, str | None]:
    """A JPEG as it lies in the file; a PNG where its values mean here what they don't in a file of its own: they are
    inks, or /Decode turns them round.
    """
    try:
        picture = Pillow.open(io.BytesIO(data), formats=("JPEG",))
    except Exception:  # noqa: BLE001  (whoever reads the picture says what is wrong with it)
        return data, None
    family, profile = _colour_space(found)
    plain = [(0.0, 1.0)] * len(picture.getbands())
    ranges = _ranges(found, plain)
    if picture.mode == "CMYK":
        if "adobe" not in picture.info and _says_ycck(found):
            data = data[:2] + _YCCK + data[2:]
            picture = Pillow.open(io.BytesIO(data), formats=("JPEG",))
        # Pillow takes all inks for those that are written negative, as Adobe does it in files.
        ranges = [(high, low) for low, high in ranges]
    elif picture.mode == "L" and family in ("/Separation", "/DeviceN"):
        ranges = [(1 - low, 1 - high) for low, high in ranges]
    if ranges == plain or family in ("/Indexed", "/Lab"):
        return data, None
    _check(picture.width, picture.height, most)
    loaded, fault = load_pixels(picture, data)
    meant = [low + value / 255 * (high - low) for low, high in ranges for value in range(256)]
    shown = loaded.point([round(255 * min(max(value, 0.0), 1.0)) for value in meant])
    shown.info = {"icc_profile": profile}
    return png(to_srgb(shown)), fault


def _colour_space(found: Any) -> tuple[str | None, bytes | None]:
    """Its family and its ICC profile."""
    space = found.get("/ColorSpace")
    space = None if space is None else space.get_object()
    if not isinstance(space, list):
        return None if space is None else str(space), None
    family = str(space[0])
    return family, space[1].get_object().get_data() if family == "/ICCBased" else None


def _ranges(found: Any, plain: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """What the least and the most value of each component mean, 0 to 1."""
    try:
        values = [float(value) for value in found.get("/Decode").get_object()]
    except (AttributeError, TypeError, ValueError):
        return plain
    return list(zip(values[::2], values[1::2], strict=True)) if len(values) == 2 * len(plain) else plain


def _says_ycck(found: Any) -> bool:
    says = found.get("/DecodeParms")
    says = None if says is None else says.get_object()
    says = says[-1].get_object() if isinstance(says, list) and says else says
    return isinstance(says, dict) and says.get("/ColorTransform") == 1


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
