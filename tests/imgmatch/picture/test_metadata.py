"""What a picture file says of itself: kept as found, bounded, and never the end of a file."""

import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms
from PIL.TiffImagePlugin import IFDRational

from imgmatch.picture.metadata import FIELDS, MOST_TEXT, read_metadata, same_camera, to_json, values
from tests.conftest import encode, picture

pytestmark = pytest.mark.filterwarnings("ignore")  # what Pillow says of broken EXIF

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmp:CreatorTool="Editor &amp; Co 1.0"><dc:creator><rdf:Seq><rdf:li>A. Person</rdf:li></rdf:Seq>'
    b"</dc:creator></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def exif(serial="0123456", **more):
    made = Pillow.Exif()
    made[0x010F], made[0x0110], made[0x0131] = "Canon", "EOS 5D", "Firmware 1.1\0"
    made[0x0112] = 6
    made.get_ifd(0x8769).update(
        {
            0xA431: serial,
            0xA434: "EF 24-70mm",
            0x9003: "2021:05:06 07:08:09",
            0x9011: "+02:00",
            0x9291: "25",
            0x9004: "    :  :     :  :  ",
            0x927C: b"MakerNote, not to be read",
        }
    )
    made.get_ifd(0x8825).update(
        {
            1: "S",
            2: (IFDRational(51), IFDRational(30), IFDRational(1836, 100)),
            3: "W",
            4: (IFDRational(0), IFDRational(7), IFDRational(3924, 100)),
            5: b"\x01",
            6: IFDRational(125, 10),
            7: (IFDRational(5), IFDRational(8), IFDRational(59999, 1000)),
            29: "2021:05:06",
        }
    )
    made.get_ifd(0x8769).update(more)
    return made


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_exif_of_every_format_is_kept_as_found_beside_its_source(format):
    found = read_metadata(encode(picture(1), format, exif=exif().tobytes()))
    assert found["camera_serial"] == {"value": "0123456", "source": "EXIF BodySerialNumber"}
    assert found["taken"] == {
        "value": "2021-05-06T07:08:09.25+02:00",
        "source": "EXIF DateTimeOriginal",
        "found": "2021:05:06 07:08:09",
    }
    told = values(found)
    assert (told["camera_make"], told["camera_model"], told["software"]) == ("Canon", "EOS 5D", "Firmware 1.1")
    assert told["lens_model"] == "EF 24-70mm"
    assert told["latitude"] == pytest.approx(-51.5051, abs=1e-6)
    assert told["longitude"] == pytest.approx(-0.1275667, abs=1e-6)
    assert told["altitude_m"] == -12.5
    assert told["gps_time"] == "2021-05-06T05:08:59Z"
    assert found["latitude"]["found"] == "51 30 18.36 S"
    if format != "TIFF":  # Pillow writes its own there
        assert told["orientation"] == 6
    assert told["digitised"] == ":  :     :  :"  # an unset clock: no time is made up
    assert not any("MakerNote" in str(field) for field in found.values())
    assert told.keys() <= FIELDS.keys()
    assert json.loads(to_json(found)) == found


def test_heic():
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed: it writes HEIC for tests")
    import io

    buffer = io.BytesIO()
    heif.from_pillow(picture(1)).save(buffer, exif=exif().tobytes(), quality=60)
    told = values(read_metadata(buffer.getvalue()))
    assert (told["camera_serial"], told["taken"]) == ("0123456", "2021-05-06T07:08:09.25+02:00")


def test_xmp_icc_and_thumbnail():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    told = values(read_metadata(encode(picture(1), "JPEG", xmp=XMP, icc_profile=profile)))
    assert told["xmp"] == len(XMP)
    assert (told["xmp_creator_tool"], told["xmp_creator"]) == ("Editor & Co 1.0", "A. Person")
    assert told["icc"] == "sRGB built-in"
    assert values(read_metadata(encode(picture(1), "PNG", icc_profile=b"x" * 200)))["icc"] == "unnamed, 200 bytes"
    # Two directories by hand: the first holds the camera, the second the thumbnail.
    first = struct.pack("<HHHI4sI", 1, 0x010F, 2, 4, b"Abc\0", 26)
    second = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, 56, 0x0202, 4, 1, 4, 0)
    block = b"Exif\0\0II*\0\x08\0\0\0" + first + second + b"\xff\xd8\xff\xd9"
    assert values(read_metadata(encode(picture(1), "JPEG", exif=block))) == {"camera_make": "Abc", "thumbnail": 4}
    assert read_metadata(encode(picture(1), "JPEG")) == {}


def segment(box):
    body = b"JP" + struct.pack(">HI", 1, 1) + box
    return b"\xff\xeb" + struct.pack(">H", len(body) + 2) + body


def test_content_credentials_are_noticed():
    box = struct.pack(">I", 60) + b"jumb" + struct.pack(">I", 40) + b"jumd" + b"c2pa" + b"\0" * 28
    jpeg = encode(picture(1), "JPEG")
    assert values(read_metadata(jpeg[:2] + segment(box) + jpeg[2:])) == {"jumbf": "C2PA"}
    other = box.replace(b"c2pa", b"json")
    assert values(read_metadata(jpeg[:2] + segment(other) + jpeg[2:])) == {"jumbf": "JUMBF"}
    png = encode(picture(1), "PNG")
    chunk = struct.pack(">I", len(box)) + b"caBX" + box + struct.pack(">I", zlib.crc32(b"caBX" + box))
    assert values(read_metadata(png[:33] + chunk + png[33:])) == {"jumbf": "C2PA"}
    avif = encode(picture(1), "AVIF")
    uuid = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
    assert values(read_metadata(avif + struct.pack(">I", 28) + b"uuid" + uuid + b"abcd")).get("jumbf") == "C2PA"
    webp = encode(picture(1), "WEBP", lossless=True, exif=exif().tobytes())
    webp += b"C2PA" + struct.pack("<I", 4) + b"abcd"
    assert values(read_metadata(webp[:4] + struct.pack("<I", len(webp) - 8) + webp[8:]))["jumbf"] == "C2PA"


def test_texts_are_bounded():
    found = read_metadata(encode(picture(1), "JPEG", exif=exif("9" * 30_000).tobytes(), xmp=XMP))
    assert len(found["camera_serial"]["value"]) == MOST_TEXT
    assert len(to_json(found)) < 20_000


@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"\xff\xd8\xff\xeb\xff", b"\x89PNG\r\n\x1a\n", b"II*\0" + b"\xff" * 50]
)
def test_what_is_no_picture_has_a_fault_and_no_more(data):
    assert read_metadata(data).keys() == {"fault"}


def test_no_damage_is_ever_raised():
    """Bytes changed at random all over the headers: there is always an answer, and it can be stored."""
    rng = np.random.default_rng(7)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    faults = 0
    for format in ("JPEG", "PNG", "WEBP", "TIFF"):
        good = encode(picture(1), format, exif=exif().tobytes(), icc_profile=profile)
        for _ in range(150):
            bad = bytearray(good)
            for at in rng.integers(0, min(len(bad), 1500), rng.integers(1, 12)):
                bad[at] = rng.integers(0, 256)
            found = read_metadata(bytes(bad))
            faults += "fault" in found
            assert len(to_json(found)) < 20_000
            assert all(field["value"] is not None for field in found.values())
    assert faults > 20


def camera(serial, make="Canon", model="EOS 5D"):
    given = {"camera_serial": serial, "camera_make": make, "camera_model": model}
    return {name: {"value": value, "source": "EXIF"} for name, value in given.items() if value}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (camera("0123456"), camera("0123456"), "EOS 5D, 0123456"),
        (camera("0123456"), camera("0123456", model=None), "EOS 5D, 0123456"),
        (camera("0123456"), camera("0123456", make="NIKON"), None),
        (camera("0123456"), camera("0123457"), None),
        (camera("0000000"), camera("0000000"), None),
        (camera("N/A"), camera("N/A"), None),
        (camera(""), camera(""), None),
        ({}, {}, None),
    ],
)
def test_the_same_camera(one, other, expected):
    assert same_camera(one, other) == expected
