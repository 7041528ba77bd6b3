"""Pictures inside documents: PDF, mail, Thumbs.db, Office files, EXIF previews; also broken ones."""

import io
import mailbox
import struct
import zipfile
from email.message import EmailMessage

import numpy as np
import pytest
from PIL import Image, ImageDraw

from imgmatch.evidence import Reopener, SourceLimits, SourceOptions, walk
from imgmatch.types import Evidence, Issue
from tests.conftest import encode, picture

PICTURES = [picture(seed, (320, 240)) for seed in range(8)]
JPEGS = [encode(one, "JPEG", quality=90) for one in PICTURES]


def read(found: Evidence) -> bytes:
    with found.open() as stream:
        return b"".join(iter(lambda: stream.read(1 << 16), b""))


def split(path, **options) -> tuple[dict[str, bytes], list[Issue]]:
    """Place below the outermost file to content, each found again; and issues."""
    found = list(walk(path, options=SourceOptions(**options)))
    again = Reopener(SourceOptions(passwords=options.get("passwords", ())))
    good = [one for one in found if isinstance(one, Evidence)]
    for one in good:
        assert read(again.reopen(one.locator)) == read(one)
    inside = {str(one.locator).removeprefix(f"file:{path}").removeprefix("|"): read(one) for one in good}
    return inside, [one for one in found if isinstance(one, Issue)]


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


# PDF


def pdf(path, edit=None, password=None):
    """Pages with a JPEG, a lossless picture with a mask, and an attached file; ``edit`` changes it first."""
    pypdf = pytest.importorskip("pypdf", reason="needs the extra documents (pypdf)")
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject, NumberObject

    writer = pypdf.PdfWriter()

    def image(data: bytes, space: str, **more):
        made = DecodedStreamObject()
        made.set_data(data)
        fields = {"Type": "/XObject", "Subtype": "/Image", "ColorSpace": f"/{space}"}
        made.update({NameObject(f"/{name}"): NameObject(value) for name, value in fields.items()})
        for name, value in {"Width": 320, "Height": 240, "BitsPerComponent": 8}.items():
            made[NameObject(f"/{name}")] = NumberObject(value)
        for name, value in more.items():
            made[NameObject(f"/{name}")] = value
        return made

    jpeg = writer._add_object(image(JPEGS[0], "DeviceRGB", Filter=NameObject("/DCTDecode")))
    plain = image(PICTURES[1].tobytes(), "DeviceRGB").flate_encode()
    plain[NameObject("/SMask")] = writer._add_object(image(bytes([255]) * 76_800, "DeviceGray").flate_encode())
    lossless = writer._add_object(plain)
    for shown in (jpeg, lossless):
        page = writer.add_blank_page(300, 300)
        pictures = DictionaryObject({NameObject("/Im"): shown})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/XObject"): pictures})
    left = writer._add_object(image(JPEGS[2], "DeviceRGB", Filter=NameObject("/DCTDecode")))
    writer.root_object[NameObject("/Left")] = left
    writer.add_attachment("früh.jpg", JPEGS[3])
    if edit is not None:
        edit(writer, image)
    if password is not None:
        writer.encrypt(password)
    writer.write(path)
    return path


def test_a_pdf_gives_its_jpegs_as_they_are_and_the_rest_as_png(tmp_path):
    path = pdf(tmp_path / "a.pdf")
    inside, issues = split(path)
    assert not issues
    pages = {name.partition("/")[0]: data for name, data in inside.items() if name.startswith("pdf:page")}
    assert pages["pdf:page-1"] == JPEGS[0]
    assert (pixels(pages["pdf:page-2"]) == np.asarray(PICTURES[1])).all()
    # Taken off every page, and still in the file.
    assert [data for name, data in inside.items() if name.startswith("pdf:image-")] == [JPEGS[2]]
    assert inside["pdf:attached/früh.jpg"] == JPEGS[3]
    assert len(inside) == 4  # the mask is no picture
    assert split(path, documents=False)[0] == {"": path.read_bytes()}
    inside, issues = split(path, limits=SourceLimits(max_frames=1))
    assert (len(inside), [issue.error for issue in issues]) == (1, ["limit"])


def test_a_locked_pdf_needs_its_password(tmp_path):
    path = pdf(tmp_path / "a.pdf", password="geheim")
    for words in ((), ("falsch",)):
        inside, issues = split(path, passwords=words)
        assert (inside, [issue.error for issue in issues]) == ({}, ["password"])
    assert len(split(path, passwords=("falsch", "geheim"))[0]) == 4


def test_a_pdf_without_its_end_gives_what_it_has(tmp_path):
    path = pdf(tmp_path / "a.pdf")
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"xref") - 40])
    inside, _ = split(path)
    assert JPEGS[0] in inside.values()
    path.write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 20)
    inside, issues = split(path)
    assert (inside, [issue.error for issue in issues]) == ({}, ["broken_document"])


def test_a_picture_that_cannot_be_taken_out_costs_itself_only(tmp_path):
    def edit(writer, image):
        from pypdf.generic import NameObject, NumberObject

        writer._add_object(image(b"nonsense", "DeviceRGB", Filter=NameObject("/FlateDecode")))
        writer._add_object(image(b"nonsense", "DeviceGray", Filter=NameObject("/JBIG2Decode")))
        bomb = image(b"\0", "DeviceRGB")
        bomb[NameObject("/Width")] = bomb[NameObject("/Height")] = NumberObject(1_000_000)
        writer._add_object(bomb.flate_encode())

    inside, issues = split(pdf(tmp_path / "a.pdf", edit))
    assert len(inside) == 4
    assert sorted(issue.error for issue in issues) == ["broken_document", "limit", "unsupported"]
    assert all(issue.locator.kind == "pdf" for issue in issues)


INKS = np.stack([np.tile(np.linspace(0, 200, 320).astype(np.uint8), (240, 1)) for _ in range(4)], -1)
INKS[..., 1] = INKS[:, ::-1, 1]
INKS[..., 2] = np.linspace(0, 255, 240).astype(np.uint8)[:, None]
INKS[..., 3] = 30


def jpeg_of(samples: np.ndarray, adobe: bool, transform: int = 0) -> bytes:
    """A JPEG that holds these very samples; a marker tells who wrote it, and ``transform`` that they are YCCK."""
    shown = Image.fromarray(samples if samples.ndim == 2 else 255 - samples, "L" if samples.ndim == 2 else "CMYK")
    data = encode(shown, "JPEG", quality=98, subsampling=0)  # Pillow writes inks negative
    at = data.find(b"\xff\xee\0\x0eAdobe")
    if at >= 0:
        data = data[:at] + data[at + 16 :]
    marker = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])
    return data[:2] + marker + data[2:] if adobe else data


def ycck(samples: np.ndarray) -> np.ndarray:
    """Inks as Adobe's YCCK, so that what comes out of a JPEG of them is ``samples``."""
    colours = np.asarray(Image.fromarray(255 - samples[..., :3], "RGB").convert("YCbCr"))
    return np.dstack([colours, samples[..., 3]])


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("how", ["plain", "adobe", "ycck", "said ycck", "flate"])
def test_inks_in_a_pdf_come_out_as_they_were_put_in(tmp_path, how, turned):
    def edit(writer, image):
        from pypdf.generic import ArrayObject, DictionaryObject, NameObject, NumberObject

        samples, more = 255 - INKS if turned else INKS, {}
        if turned:
            more["Decode"] = ArrayObject([NumberObject(1), NumberObject(0)] * 4)
        if how == "flate":
            writer._add_object(image(samples.tobytes(), "DeviceCMYK", **more).flate_encode())
            return
        if how == "said ycck":
            more["DecodeParms"] = DictionaryObject({NameObject("/ColorTransform"): NumberObject(1)})
        stored = ycck(samples) if "ycck" in how else samples
        data = jpeg_of(stored, how in ("adobe", "ycck"), 2 * (how == "ycck"))
        writer._add_object(image(data, "DeviceCMYK", Filter=NameObject("/DCTDecode"), **more))

    inside, issues = split(pdf(tmp_path / "a.pdf", edit))
    assert not issues
    (data,) = (data for name, data in inside.items() if name.startswith("pdf:image-") and data != JPEGS[2])
    wanted = (255 - INKS[..., :3].astype(float)) * (255 - INKS[..., 3:].astype(float)) / 255
    assert np.abs(pixels(data) - wanted).mean() < 3


@pytest.mark.parametrize("space", ["DeviceGray", "Separation"])
def test_grey_jpegs_of_a_pdf_are_turned_round_where_it_says_so(tmp_path, space):
    grey = INKS[..., 0]

    def edit(writer, image):
        from pypdf.generic import ArrayObject, NameObject, NumberObject

        made = image(jpeg_of(255 - grey, False), space, Filter=NameObject("/DCTDecode"))
        if space == "DeviceGray":
            made[NameObject("/Decode")] = ArrayObject([NumberObject(1), NumberObject(0)])
        else:
            names = [NameObject(f"/{name}") for name in ("Separation", "Black", "DeviceGray")]
            made[NameObject("/ColorSpace")] = ArrayObject(names)
        writer._add_object(made)

    inside, _ = split(pdf(tmp_path / "a.pdf", edit))
    (data,) = (data for name, data in inside.items() if name.startswith("pdf:image-") and data != JPEGS[2])
    assert np.abs(pixels(data)[..., 0] - grey.astype(float)).mean() < 3


def test_a_cut_off_jpeg_of_inks_gives_its_rows_and_an_issue(tmp_path):
    def edit(writer, image):
        from pypdf.generic import NameObject

        data = jpeg_of(INKS, True)
        writer._add_object(image(data[: len(data) // 2], "DeviceCMYK", Filter=NameObject("/DCTDecode")))

    inside, issues = split(pdf(tmp_path / "a.pdf", edit))
    assert len(inside) == 5
    assert [issue.error for issue in issues] == ["broken_document"]
    assert f"pdf:{issues[0].locator.at}" in inside


# Mail


def message() -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "a@example.org", "b@example.org", "Bilder"
    made["Date"] = "Tue, 01 Jul 2025 10:00:00 +0200"
    made.set_content("Hallo")
    made.add_alternative("<img src='cid:x'>", subtype="html")
    made.get_payload()[1].add_related(JPEGS[0], "image", "jpeg", cid="<x>")
    made.add_attachment(JPEGS[1], maintype="image", subtype="jpeg", filename="zwei ü.jpg")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("in.jpg", JPEGS[2])
    made.add_attachment(packed.getvalue(), maintype="application", subtype="zip", filename="a.zip")
    return made


def forwarded() -> EmailMessage:
    made = EmailMessage()
    made["From"], made["Subject"], made["Message-ID"] = "c@example.org", "Fwd", "<1@example.org>"
    made.set_content("siehe unten")
    made.add_attachment(message())
    return made


def test_a_message_gives_its_attachments_inline_pictures_and_what_is_in_them(tmp_path):
    path = tmp_path / "a.eml"
    path.write_bytes(bytes(message()))
    inside, issues = split(path)
    assert not issues
    assert inside == {
        "mail:1.2.2.jpeg": JPEGS[0],
        "mail:2/zwei ü.jpg": JPEGS[1],
        "mail:3/a.zip|zip:in.jpg": JPEGS[2],
    }
    assert {found.modified_utc for found in walk(path) if found.locator.kind == "mail"} == {
        "2025-07-01T08:00:00.000000Z"
    }
    nested = tmp_path / "b.eml"
    nested.write_bytes(bytes(forwarded()))
    inside, issues = split(nested)
    assert (list(inside.values()), issues) == (JPEGS[:3], [])
    assert "mail:2.1.2/zwei ü.jpg" in inside


def test_a_mailbox_gives_those_of_all_its_messages(tmp_path):
    box = mailbox.mbox(tmp_path / "box")
    for one in (message(), forwarded(), message()):
        box.add(one)
    box.close()
    inside, issues = split(tmp_path / "box")
    assert (list(inside.values()), issues) == (JPEGS[:3] * 3, [])
    assert "mail:3/2/zwei ü.jpg" in inside


def test_a_message_that_breaks_off_gives_what_came_before(tmp_path):
    path = tmp_path / "a.eml"
    data = bytes(message())
    path.write_bytes(data[: data.index(b"a.zip")])
    inside, _ = split(path)
    assert inside["mail:1.2.2.jpeg"] == JPEGS[0]
    deep = "".join(f"Content-Type: multipart/mixed; boundary={n}\nSubject: x\n\n--{n}\n" for n in range(1200))
    path.write_text("From: a@example.org\n" + deep)
    inside, issues = split(path)
    assert (inside, [issue.error for issue in issues]) == ({}, ["broken_document"])


def test_text_that_looks_a_little_like_mail_is_not_opened(tmp_path):
    for name, text in {"a": "Note: buy milk\nDate: today\n", "b": "From here on\nit rains\n", "c": "Hello\n"}.items():
        (tmp_path / name).write_text(text)
    found = list(walk(tmp_path))
    assert [one.locator.kind for one in found] == ["file"] * 3


# Thumbs.db


def compound(streams: dict[str, bytes], root_class: bytes = bytes(16)) -> bytes:
    """A compound file (MS-CFB, version 3) of streams of at least 4096 bytes, in storages where a name has a /, in one
    FAT sector."""
    end, free = 0xFFFFFFFE, 0xFFFFFFFF
    nodes = [""]  # storages and streams by their paths, the root first
    for name in streams:
        steps = name.split("/")
        nodes += [path for n in range(1, len(steps) + 1) if (path := "/".join(steps[:n])) not in nodes]
    children = {node: [n for n in nodes[1:] if n.rpartition("/")[0] == node] for node in nodes}
    directory_sectors = -(-len(nodes) // 4)
    table = [0xFFFFFFFD, *range(2, directory_sectors + 1), end]
    entries, body = b"", b""
    for number, node in enumerate(nodes):
        beside = children[node.rpartition("/")[0]] if number else []
        right = beside[beside.index(node) + 1] if number and node != beside[-1] else None
        child = children[node][0] if children[node] else None
        text = (node.rpartition("/")[2] or "Root Entry").encode("utf-16-le") + b"\0\0"
        kind = 2 if node in streams else 1 if number else 5
        links = [free if other is None else nodes.index(other) for other in (right, child)]
        entries += text.ljust(64, b"\0") + struct.pack("<HBBIII", len(text), kind, 1, free, *links)
        entries += (bytes(16) if number else root_class) + bytes(20)
        entries += struct.pack("<IQ", len(table) if kind == 2 else end, len(streams.get(node, b"")))
        if kind == 2:
            size = -(-len(streams[node]) // 512)
            table += [*range(len(table) + 1, len(table) + size), end]
            body += streams[node].ljust(512 * size, b"\0")
    assert len(table) <= 128
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6xIIIIIIIIII", 62, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, end, 0, end, 0, 0)
    header += struct.pack("<I", free) * 108
    fat = struct.pack("<128I", *table, *[free] * (128 - len(table)))
    return header + fat + entries.ljust(512 * directory_sectors, b"\0") + body


def thumbs() -> dict[str, bytes]:
    catalogue = struct.pack("<HHIII", 16, 7, 3, 96, 96)
    for number in (1, 12):
        name = f"bild {number}.jpg".encode("utf-16-le") + b"\0\0\0\0"
        catalogue += struct.pack("<IIQ", 16 + len(name), number, 133_000_000_000_000_000) + name
    streams = {"1": JPEGS[0], "21": JPEGS[1], "256_0a1b": JPEGS[2], "4": b"no picture"}
    made = {name: struct.pack("<III", 12, 1, len(data)) + data for name, data in streams.items()}
    return {name: data.ljust(4096, b"\0") for name, data in {**made, "Catalog": catalogue}.items()}


def test_thumbs_db_gives_its_thumbnails_by_the_names_of_the_pictures(tmp_path):
    pytest.importorskip("olefile", reason="needs the extra documents (olefile)")
    path = tmp_path / "Thumbs.db"
    path.write_bytes(compound(thumbs()))
    inside, issues = split(path)
    assert {name: data.startswith(b"\xff\xd8\xff") for name, data in inside.items()} == {
        "thumb:bild 1.jpg": True,
        "thumb:bild 12.jpg": True,
        "thumb:256_0a1b": True,
    }
    assert (pixels(inside["thumb:bild 12.jpg"]) == pixels(JPEGS[1])).all()
    assert [(str(issue.locator.at), issue.error) for issue in issues] == [("4", "broken_document")]
    assert next(iter(walk(path))).modified_utc == "2022-06-18T04:26:40.000000Z"
    (tmp_path / "other").write_bytes(compound({"WordDocument": bytes(4096)}))
    assert [issue.error for issue in split(tmp_path / "other")[1]] == ["not_a_picture"]
    (tmp_path / "broken").write_bytes(compound(thumbs())[:700])
    assert [issue.error for issue in split(tmp_path / "broken")[1]] == ["broken_document"]


# Office files


def test_media_of_an_office_file_are_found_once(tmp_path):
    path = tmp_path / "a.docx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<w/>")
        archive.writestr("word/media/image1.jpeg", JPEGS[0])
        archive.writestr("docProps/thumbnail.jpeg", JPEGS[1])
    inside, issues = split(path)
    assert issues == []
    assert inside == {"zip:word/media/image1.jpeg": JPEGS[0], "zip:docProps/thumbnail.jpeg": JPEGS[1]}


# Previews


def tiff(*directories: dict[int, tuple[int, int]], previews: tuple[bytes, ...] = ()) -> bytes:
    """A TIFF structure: directories of tag to (type, value); a value of -N-1 is the place of preview N."""
    size = 8 + sum(2 + 12 * len(one) + 4 for one in directories)
    places = [size + sum(map(len, previews[:n])) for n in range(len(previews))]
    data, at = b"II*\0\x08\0\0\0", 8
    for number, tags in enumerate(directories):
        at += 2 + 12 * len(tags) + 4
        data += struct.pack("<H", len(tags))
        for tag, (kind, value) in sorted(tags.items()):
            data += struct.pack("<HHII", tag, kind, 1, places[-value - 1] if value < 0 else value)
        data += struct.pack("<I", at if number + 1 < len(directories) else 0)
    return data + b"".join(previews)


def with_thumbnail(shown: Image.Image, thumbnail: bytes) -> bytes:
    exif = tiff({0x0112: (3, 1)}, {0x0103: (3, 6), 0x0201: (4, -1), 0x0202: (4, len(thumbnail))}, previews=(thumbnail,))
    return encode(shown, "JPEG", exif=b"Exif\0\0" + exif)


def test_a_preview_is_found_where_it_shows_what_the_picture_does_not(tmp_path):
    whole = picture(1, (1200, 800))
    small = encode(whole.resize((160, 107)), "JPEG", quality=60)
    barred = Image.new("RGB", (160, 120))
    barred.paste(whole.resize((160, 107)), (0, 6))
    painted = whole.copy()
    ImageDraw.Draw(painted).rectangle((500, 300, 700, 500), fill="black")
    files = {
        "same.jpg": with_thumbnail(whole, small),
        "bars.jpg": with_thumbnail(whole, encode(barred, "JPEG", quality=60)),
        "cropped.jpg": with_thumbnail(whole.crop((300, 0, 1200, 800)), small),
        "painted.jpg": with_thumbnail(painted, small),
        "none.jpg": encode(whole, "JPEG"),
        "broken.jpg": with_thumbnail(whole.crop((300, 0, 1200, 800)), small[:40]),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    assert len(list(walk(tmp_path))) == len(files)  # off by default
    inside, issues = split(tmp_path, previews=True)
    assert issues == []
    previews = {name.partition("|")[0].lstrip("/"): data for name, data in inside.items() if "|preview:" in name}
    assert previews == {"cropped.jpg": small, "painted.jpg": small}


def test_previews_of_a_raw_file_are_found(tmp_path):
    large, small = JPEGS[0], encode(PICTURES[0].resize((160, 120)), "JPEG", quality=50)
    other = JPEGS[5]
    sizes = [len(small), len(large), len(other)]
    raw = tiff(
        {0x0103: (3, 6), 0x0201: (4, -1), 0x0202: (4, sizes[0])},
        {0x0103: (3, 6), 0x0111: (4, -2), 0x0117: (4, sizes[1])},
        {0x0103: (3, 6), 0x0201: (4, -3), 0x0202: (4, sizes[2])},
        previews=(small, large, other),
    )
    path = tmp_path / "a.nef"
    path.write_bytes(raw)
    inside, issues = split(path)
    assert issues == []
    assert inside.pop("") == raw
    assert sorted(inside.values()) == sorted([large, other])
    assert all(name.startswith("preview:") for name in inside)
