"""What a picture file says of itself: camera, lens, times, place, software. Pixels are not decoded.

All of it is what somebody wrote into the file: it can be wrong, missing or forged, and is kept as found.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import ExifTags, ImageCms
from PIL import Image as Pillow

from imgmatch.picture.jpeg import with_height
from imgmatch.picture.jumbf import jumbf_kind
from imgmatch.picture.openers import open_picture
from imgmatch.picture.png import mend_checksums

Metadata = dict[str, dict[str, Any]]
"""Name of a field to its ``value``, its ``source`` in the file and, where ``value`` was made of it, ``found``."""

FIELDS = {
    "camera_make": "manufacturer of the camera",
    "camera_model": "model of the camera",
    "camera_serial": "serial number of the camera's body",
    "camera_owner": "owner, as set in the camera",
    "lens_make": "manufacturer of the lens",
    "lens_model": "model of the lens",
    "lens_serial": "serial number of the lens",
    "taken": "when it was taken, ISO 8601; with the offset from UTC where the file gives one",
    "digitised": "when it was digitised",
    "changed": "when it was last changed, by its own account",
    "latitude": "decimal degrees, north positive (GPS)",
    "longitude": "decimal degrees, east positive (GPS)",
    "altitude_m": "metres above sea level (GPS)",
    "gps_time": "UTC of the GPS fix",
    "software": "program or firmware that wrote it",
    "artist": "author, as written in the file",
    "copyright": "copyright notice",
    "description": "description",
    "unique_id": "identifier of the picture",
    "orientation": "1 to 8, as stored",
    "thumbnail": "embedded thumbnail, bytes",
    "xmp": "embedded XMP, bytes",
    "xmp_creator_tool": "program, by XMP",
    "xmp_creator": "author, by XMP",
    "jumbf": "C2PA or JUMBF boxes",
    "icc": "name of the colour profile",
    "fault": "what could not be read",
}
MOST_TEXT = 512
"""Longer texts are cut."""

_EXIF, _GPS, _THUMBNAIL = ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.IFD1
_IMAGE_TEXTS = {
    "camera_make": ("Make", 0x010F),
    "camera_model": ("Model", 0x0110),
    "software": ("Software", 0x0131),
    "artist": ("Artist", 0x013B),
    "copyright": ("Copyright", 0x8298),
    "description": ("ImageDescription", 0x010E),
}
_EXIF_TEXTS = {
    "camera_serial": ("BodySerialNumber", 0xA431),
    "camera_owner": ("CameraOwnerName", 0xA430),
    "lens_make": ("LensMake", 0xA433),
    "lens_model": ("LensModel", 0xA434),
    "lens_serial": ("LensSerialNumber", 0xA435),
    "unique_id": ("ImageUniqueID", 0xA420),
}
_TIMES = {  # date and time, offset from UTC, sub-seconds
    "taken": ("DateTimeOriginal", 0x9003, 0x9011, 0x9291),
    "digitised": ("DateTimeDigitized", 0x9004, 0x9012, 0x9292),
    "changed": ("DateTime", 0x0132, 0x9010, 0x9290),
}
_DATE_TIME = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)\Z")
_OFFSET = re.compile(r"(Z|[+-]\d\d:\d\d)\Z")
_XMP_HEAD = 131_072
_XMP_TEXTS = {
    "xmp_creator_tool": re.compile(rb"<xmp:CreatorTool>([^<]{1,512})<|xmp:CreatorTool=[\"']([^\"'<]{1,512})[\"']"),
    "xmp_creator": re.compile(rb"<dc:creator>\s*<rdf:(?:Seq|Bag)>\s*<rdf:li[^>]{0,64}>([^<]{1,512})<"),
}
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&"}


def read_metadata(data: bytes) -> Metadata:
    """The metadata of a picture file, by the names in FIELDS; empty where there is none.

    EXIF 3.0 (without MakerNote), XMP where it is simple, the name of the ICC profile, and whether there are a thumbnail
    and JUMBF. At most some 20 KiB as JSON, whatever the file holds. Nothing is raised: what can't be read is named in
    the field ``fault``.
    """
    found: Metadata = {}
    faults: list[str] = []
    for part in (_of_picture, _of_boxes):
        try:
            for name, value, source, raw in part(data):
                found[name] = {"value": _bounded(value), "source": source}
                if raw is not None:
                    found[name]["found"] = _bounded(raw)
        except Exception as error:  # noqa: BLE001  (hostile bytes: whatever is raised is this file's fault, and is kept)
            faults.append(f"{type(error).__name__}: {' '.join(str(error).split())}")
    if faults:
        found["fault"] = {"value": _bounded("; ".join(faults)), "source": "imgmatch"}
    return found


def to_json(metadata: Metadata) -> str:
    """As the catalogue stores it: ASCII, so that any text of any file comes back as it was."""
    return json.dumps(metadata, ensure_ascii=True, separators=(",", ":"))


def values(metadata: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Names and values only."""
    return {name: field["value"] for name, field in metadata.items()}


def same_camera(one: Mapping[str, Mapping[str, Any]], other: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The camera that both name by its serial number, in words; None where they don't.

    A number counts within a make and model, where both are given. Numbers that are none (0000, N/A) don't count.
    """
    ours, theirs = values(one), values(other)
    serial = _serial(ours.get("camera_serial"))
    if serial is None or serial != _serial(theirs.get("camera_serial")):
        return None
    for name in ("camera_make", "camera_model"):
        if ours.get(name) and theirs.get(name) and str(ours[name]).casefold() != str(theirs[name]).casefold():
            return None
    model = ours.get("camera_model") or theirs.get("camera_model") or ours.get("camera_make") or "unnamed camera"
    return f"{model}, {ours['camera_serial']}"


def _serial(value: Any) -> str | None:
    digits = "".join(char for char in str(value or "") if char.isalnum()).casefold()
    return digits if len(digits) >= 4 and len(set(digits)) > 1 and any(char.isdigit() for char in digits) else None


_Found = Iterator[tuple[str, Any, str, Any]]


def _of_picture(data: bytes) -> _Found:
    with open_picture(mend_checksums(with_height(data))[0]) as picture:
        # What the container says comes first: broken EXIF must not cost it.
        yield from _of_container(picture)
        yield from _of_exif(picture)


def _of_container(picture: Pillow.Image) -> _Found:
    profile = picture.info.get("icc_profile")
    if isinstance(profile, bytes) and profile:
        try:
            name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip()
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            name = ""
        yield "icc", name or f"unnamed, {len(profile):,} bytes", "ICC profile", None
    xmp = picture.info.get("xmp")
    xmp = xmp.encode("utf-8", "surrogateescape") if isinstance(xmp, str) else xmp
    if isinstance(xmp, bytes) and xmp:
        yield "xmp", len(xmp), "XMP", None
        for name, pattern in _XMP_TEXTS.items():
            match = pattern.search(xmp[:_XMP_HEAD])
            if match:
                text = next(group for group in match.groups() if group is not None).decode("utf-8", "replace")
                for entity, char in _ENTITIES.items():
                    text = text.replace(entity, char)
                yield (
                    name,
                    text.strip(),
                    "XMP xmp:CreatorTool" if name == "xmp_creator_tool" else "XMP dc:creator",
                    None,
                )


def _of_exif(picture: Pillow.Image) -> _Found:
    exif = picture.getexif()
    if not exif:
        return
    inner = exif.get_ifd(_EXIF)
    for names, tags in ((_IMAGE_TEXTS, exif), (_EXIF_TEXTS, inner)):
        for name, (source, tag) in names.items():
            text = _text(tags.get(tag))
            if text:
                yield name, text, f"EXIF {source}", None
    if not _text(inner.get(0xA431)) and _text(exif.get(0xC62F)):
        yield "camera_serial", _text(exif.get(0xC62F)), "EXIF CameraSerialNumber", None
    for name, (source, tag, offset, fraction) in _TIMES.items():
        written = _text((exif if name == "changed" else inner).get(tag))
        if written:
            time = _time(written, _text(inner.get(offset)), _text(inner.get(fraction)))
            yield name, time or written, f"EXIF {source}", written if time else None
    orientation = picture.info.get("original_orientation") or exif.get(0x0112)  # HEIF: what the reader has applied
    if isinstance(orientation, int):
        yield "orientation", orientation, "EXIF Orientation", None
    if _TIFF_JUMBF in exif:
        yield "jumbf", "C2PA", "TIFF tag 52545", None
    thumbnail = exif.get_ifd(_THUMBNAIL)
    if isinstance(thumbnail.get(0x0202), int) and thumbnail.get(0x0201):
        yield "thumbnail", thumbnail[0x0202], "EXIF JPEGInterchangeFormatLength", None
    yield from _of_gps(exif.get_ifd(_GPS))


_TIFF_JUMBF = 52545


def _of_gps(gps: Mapping[int, Any]) -> _Found:
    for name, source, tag, negative, most in (
        ("latitude", "GPSLatitude", 2, "S", 90.0),
        ("longitude", "GPSLongitude", 4, "W", 180.0),
    ):
        parts = _numbers(gps.get(tag))
        side = _text(gps.get(tag - 1)).upper()[:1]
        if parts and side:
            degrees = sum(part / 60**place for place, part in enumerate(parts[:3]))
            written = f"{' '.join(f'{part:.12g}' for part in parts)} {side}"
            if 0 <= degrees <= most:
                yield name, round(-degrees if side == negative else degrees, 7), f"EXIF {source}", written
            else:
                yield name, written, f"EXIF {source}", None
    height = _numbers(gps.get(6))
    if height:
        below = gps.get(5) in (1, b"\x01")
        yield "altitude_m", -height[0] if below else height[0], "EXIF GPSAltitude", f"{height[0]:.12g}"
    day, clock = _text(gps.get(29)), _numbers(gps.get(7))
    if day and len(clock) == 3:
        # Not rounded up: 59.999 s must not become 60.
        written = f"{day} {clock[0]:02.0f}:{clock[1]:02.0f}:{math.floor(clock[2]):02d}"
        time = _time(written, "Z", "")
        yield "gps_time", time or written, "EXIF GPSDateStamp and GPSTimeStamp", written if time else None


def _of_boxes(data: bytes) -> _Found:
    kind = jumbf_kind(data)
    if kind is not None:
        yield "jumbf", kind, "JUMBF box", None


def _time(written: str, offset: str, fraction: str) -> str | None:
    """EXIF's date and time as ISO 8601; None where it is not one (unset clocks write spaces, or zeros)."""
    match = _DATE_TIME.match(written)
    if match is None or match[2] == "00" or match[3] == "00":
        return None
    year, month, day, hour, minute, second = match.groups()
    more = f".{fraction}" if fraction.isdecimal() and fraction.isascii() and len(fraction) <= 9 else ""
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}{more}{offset if _OFFSET.match(offset) else ''}"


def _text(value: Any) -> str:
    """A tag as text: EXIF writes ASCII, cameras and programs UTF-8 too, with zeros and spaces after it."""
    if isinstance(value, bytes):
        value = value[: 4 * MOST_TEXT].decode("latin-1")
    if not isinstance(value, str):
        return "" if value is None or isinstance(value, tuple) else str(value)
    value = value[: 4 * MOST_TEXT]
    with contextlib.suppress(UnicodeEncodeError, UnicodeDecodeError):
        value = value.encode("latin-1").decode("utf-8")
    return str(value).strip("\0 \t\r\n")


def _numbers(value: Any) -> list[float]:
    parts = value if isinstance(value, tuple) else (value,)
    try:
        numbers = [float(part) for part in parts[:4] if part is not None]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return []
    return numbers if all(math.isfinite(number) for number in numbers) else []


def _bounded(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MOST_TEXT:
        return f"{value[: MOST_TEXT - 1]}…"
    return value
