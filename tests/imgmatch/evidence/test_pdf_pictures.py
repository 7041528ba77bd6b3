"""Pictures of a PDF in every colour space and depth, and those that stand in its instructions."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.conftest import encode, picture
from tests.imgmatch.evidence.test_documents import split

pytest.importorskip("pypdf", reason="needs the extra documents (pypdf)")
WIDTH, HEIGHT = 48, 32
RGB = np.asarray(picture(31).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
GREY = np.asarray(Image.fromarray(RGB).convert("L"))
RED = np.dstack([np.full_like(GREY, 255), 255 - GREY, 255 - GREY])
INKS = np.dstack([255 - RGB, np.zeros_like(GREY)])
EXPONENTIAL = b"<</FunctionType 2/Domain[0 1]/C0[1 1 1]/C1[1 0 0]/N 1>>"


def stream(says, data):
    return b"<<" + says + b"/Length %d>>stream\n" % len(data) + data + b"\nendstream"


def document(*objects):
    made, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n" % number + one + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer <</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(made))
    return made + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + end


def page(resources, content, *objects):
    return document(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 60 40]/Contents 4 0 R/Resources<<" + resources + b">> >>",
        stream(b"", content),
        *objects,
    )


def image(space, bits, samples, more=b"", *objects):
    says = b"/Type/XObject/Subtype/Image/Width %d/Height %d/BitsPerComponent %d/ColorSpace %s%s/Filter/FlateDecode"
    made = stream(says % (WIDTH, HEIGHT, bits, space, more), zlib.compress(samples))
    return page(b"/XObject<</F 5 0 R>>", b"/F Do", made, *objects)


def packed(values, bits):
    values = values.reshape(HEIGHT, -1).astype(int)
    if bits == 16:
        return values.astype(">u2").tobytes()
    single = values[..., None] >> np.arange(bits - 1, -1, -1) & 1
    return np.packbits(single.reshape(HEIGHT, -1).astype(np.uint8), axis=1).tobytes()


def lab():
    """As L, and a and b from -128 on."""
    how = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    made = np.array(ImageCms.applyTransform(Image.fromarray(RGB), how))
    made[..., 1:] += 128
    return made


LAB = b"[/Lab<</WhitePoint[.9642 1 .8249]/Range[-128 127 -128 127]>>]"
SPACES = {
    "Lab": (LAB, 8, lab(), b"", RGB),
    "Lab of 16 bits": (LAB, 16, lab().astype(int) * 257, b"", RGB),
    "a spot colour, exponential": (b"[/Separation/A/DeviceRGB" + EXPONENTIAL + b"]", 8, GREY, b"", RED),
    "a spot colour, turned round": (
        b"[/Separation/A/DeviceRGB" + EXPONENTIAL + b"]",
        8,
        255 - GREY,
        b"/Decode[1 0]",
        RED,
    ),
    "a spot colour, stitched": (
        b"[/Separation/A/DeviceRGB<</FunctionType 3/Domain[0 1]/Bounds[.5]/Encode[0 .5 .5 1]/Functions["
        + 2 * EXPONENTIAL
        + b"]>>]",
        *(8, GREY, b"", RED),
    ),
    "a spot colour, sampled": (
        b"[/Separation/A/DeviceRGB 6 0 R]",
        *(8, GREY, b"", RED),
        stream(
            b"/FunctionType 0/Domain[0 1]/Range[0 1 0 1 0 1]/Size[2]/BitsPerSample 8", b"\xff\xff\xff" + b"\xff\0\0"
        ),
    ),
    "a spot colour, reckoned": (
        b"[/Separation/A/DeviceCMYK 6 0 R]",
        *(8, GREY, b"", RED),
        stream(b"/FunctionType 4/Domain[0 1]/Range[0 1 0 1 0 1 0 1]", b"{ 0 exch dup 0 }"),
    ),
    "black ink": (
        b"[/Separation/Black/DeviceCMYK<</FunctionType 2/Domain[0 1]/C0[0 0 0 0]/C1[0 0 0 1]/N 1>>]",
        *(8, 255 - GREY, b"", np.dstack([GREY] * 3)),
    ),
    "inks": (b"/DeviceCMYK", 8, INKS, b"", RGB),
    "inks, turned round": (b"/DeviceCMYK", 8, 255 - INKS, b"/Decode[1 0 1 0 1 0 1 0]", RGB),
}
for BITS in (1, 2, 4, 8, 16):
    MOST = (1 << BITS) - 1
    FEW_GREY, FEW = (np.rint(values / 255 * MOST).astype(int) for values in (GREY, RGB))
    SHOWN_GREY, SHOWN = np.dstack([FEW_GREY / MOST * 255] * 3), FEW / MOST * 255
    SPACES |= {
        f"grey of {BITS} bits": (b"/DeviceGray", BITS, FEW_GREY, b"", SHOWN_GREY),
        f"grey of {BITS} bits, turned round": (b"/DeviceGray", BITS, MOST - FEW_GREY, b"/Decode[1 0]", SHOWN_GREY),
        f"RGB of {BITS} bits": (b"/DeviceRGB", BITS, FEW, b"", SHOWN),
        f"RGB of {BITS} bits, turned round": (b"/DeviceRGB", BITS, MOST - FEW, b"/Decode[1 0 1 0 1 0]", SHOWN),
    }


def test_pictures_of_every_colour_space_and_depth_have_their_colours(tmp_path):
    for number, (
        space,
        bits,
        samples,
        more,
        *_,
    ) in enumerate(SPACES.values()):
        objects = list(SPACES.values())[number][5:]
        (tmp_path / f"{number:02}.pdf").write_bytes(image(space, bits, packed(samples, bits), more, *objects))
    inside, issues = split(tmp_path)
    assert not issues
    assert len(inside) == len(SPACES)
    for (name, (_, _, _, _, shown, *_)), data in zip(SPACES.items(), inside.values(), strict=True):
        made = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float)
        assert np.abs(made - shown).mean() < (4 if "Lab" in name else 2), name


def inline(says, data):
    return b"q 60 0 0 40 0 0 cm\nBI " + says + b"\nID " + data + b"\nEI Q\n"


SIZE = b"/W %d /H %d" % (WIDTH, HEIGHT)
JPEG = encode(picture(33), "JPEG", quality=90)
IN_PLACE = {
    "bare": (b"", inline(SIZE + b" /CS /RGB /BPC 8", RGB.tobytes()), RGB),
    "deflated grey": (
        b"",
        inline(SIZE + b" /CS /G /BPC 8 /F /Fl", zlib.compress(GREY.tobytes())),
        np.dstack([GREY] * 3),
    ),
    "letters": (b"", inline(SIZE + b" /CS/RGB/BPC 8/F[/AHx]", RGB.tobytes().hex().encode() + b">"), RGB),
    "a colour space by its name": (
        b"/ColorSpace<</C 5 0 R>>",
        inline(SIZE + b" /CS /C /BPC 8", GREY.tobytes()),
        *(RED, b"[/Separation/A/DeviceRGB" + EXPONENTIAL + b"]"),
    ),
    "bytes that look like its end": (
        b"",
        inline(b"/W 8 /H 4 /CS /G /BPC 8", b" EI Q BI /W 1 ID ".ljust(32, b"\x80")),
        None,
    ),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_pictures_in_instructions_are_given(tmp_path, name):
    resources, content, shown, *objects = IN_PLACE[name]
    (tmp_path / "a.pdf").write_bytes(page(resources, content + inline(SIZE + b"/CS/G/BPC 8", GREY.tobytes()), *objects))
    inside, issues = split(tmp_path / "a.pdf")
    assert not issues
    assert list(inside) == ["pdf:page-1/inline-4.1", "pdf:page-1/inline-4.2"]
    made = np.asarray(Image.open(io.BytesIO(inside["pdf:page-1/inline-4.1"])).convert("RGB")).astype(int)
    if shown is None:
        assert made.shape == (4, 8, 3)
    else:
        assert np.abs(made - shown).max() <= 2


def test_pictures_in_forms_patterns_and_letters_are_given(tmp_path):
    form = stream(b"/Type/XObject/Subtype/Form/BBox[0 0 1 1]/Filter/FlateDecode",
                  zlib.compress(inline(SIZE + b"/CS/RGB/BPC 8", RGB.tobytes())))  # fmt: skip
    pattern = stream(b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 1 1]/XStep 1/YStep 1",
                     inline(b"/W 64/H 48/CS/RGB/BPC 8/F/DCT", JPEG))  # fmt: skip
    letter = stream(b"", inline(SIZE + b"/CS/G/BPC 8", GREY.tobytes()))
    resources = b"/XObject<</F 5 0 R>>/Pattern<</P 6 0 R>>"
    (tmp_path / "a.pdf").write_bytes(page(resources, b"/F Do BT (no BI /W 1 ID here) Tj ET", form, pattern, letter))
    inside, issues = split(tmp_path / "a.pdf")
    assert not issues
    assert list(inside) == ["pdf:page-1/inline-5.1", "pdf:inline-6.1", "pdf:inline-7.1"]
    assert inside["pdf:inline-6.1"] == JPEG


def test_a_thumbnail_of_a_page_is_a_picture(tmp_path):
    thumb = stream(b"/Width %d/Height %d/BitsPerComponent 8/ColorSpace/DeviceRGB" % (WIDTH, HEIGHT), RGB.tobytes())
    (tmp_path / "a.pdf").write_bytes(page(b"", b"", thumb).replace(b"/Contents", b"/Thumb 5 0 R/Contents"))
    inside, _ = split(tmp_path / "a.pdf")
    assert list(inside) == ["pdf:image-5"]


def test_random_instructions_end_nothing(tmp_path):
    rng = np.random.default_rng(1)
    for number in range(30):
        data = rng.integers(0, 256, 2_000, dtype=np.uint8).tobytes()
        content = b"BI /W 9" + struct.pack("B", number + 32) + b" /H 5 /CS /RGB /BPC 8 ID " + data
        (tmp_path / f"{number}.pdf").write_bytes(page(b"", content + b" EI" * (number % 2)))
    split(tmp_path)
