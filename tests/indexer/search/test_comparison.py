"""Pictures that explain a match, of right and wrong pairs alike."""

import json

import numpy as np
import pytest
from PIL import Image, ImageFont

from imgmatch.errors import EvidenceError, UsageError
from imgmatch.match.drawing import _wrapped
from indexer.case.case import AUDIT
from indexer.intake.ingest import ingest
from indexer.search.comparison import explain
from tests.conftest import encode, textured


def write(path, image):
    path.write_bytes(encode(image, "PNG"))
    return path


@pytest.fixture
def filled(case, embedder, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "0.png", textured(0))
    write(folder / "1.png", textured(1, (240, 320)))
    write(folder / "2.png", Image.new("RGB", (200, 100)))
    ingest(case, [folder], embedder)
    return case


def page():
    sheet = textured(60, (700, 500))
    sheet.paste(textured(0), (330, 200))
    return sheet


QUERIES = {
    "collage": (page, 1, True),
    "crop": (lambda: textured(0).crop((150, 80, 320, 240)), 1, True),
    "mirrored": (lambda: textured(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT), 1, True),
    "rotated": (lambda: textured(0).transpose(Image.Transpose.ROTATE_90), 1, True),
    "portrait": (lambda: textured(1, (240, 320)), 2, True),
    "unrelated": (lambda: textured(70), 2, False),
    "black": (lambda: Image.new("RGB", (300, 200)), 1, False),
    "black item": (lambda: textured(0), 3, False),
    "one pixel": (lambda: Image.new("RGB", (1, 1), (9, 90, 200)), 1, False),
    "strip": (lambda: textured(5, (900, 3)), 2, False),
}


@pytest.mark.parametrize("kind", QUERIES)
def test_every_kind_of_pair_is_drawn(filled, embedder, tmp_path, kind):
    query, item, verified = QUERIES[kind]
    path, out = write(tmp_path / f"{kind}.png", query()), tmp_path / "why.png"
    found = explain(filled, embedder, path, item, out)
    assert found.verification.verified is verified
    assert found.verification.mirrored is (kind == "mirrored")
    picture = Image.open(out)
    assert picture.width >= 800
    assert picture.height > 200
    if "black" in kind or kind == "one pixel":
        assert found.verification.reason.startswith("nothing to verify: ")
    last = json.loads((filled.path / AUDIT).read_text().splitlines()[-1])
    said = (last["action"], last["subject"]["item_id"], last["arguments"]["reveal"])
    assert said == ("explain", item, False)


def test_a_picture_in_a_page_is_outlined_on_the_page(filled, embedder, tmp_path):
    out = tmp_path / "why.png"
    explain(filled, embedder, write(tmp_path / "q.png", page()), 1, out, reveal=True)
    pixels = np.asarray(Image.open(out).convert("RGB")).astype(int)
    green = (np.abs(pixels - (0, 200, 90)).max(axis=2) < 10)[:475, :630]
    rows, columns = np.nonzero(green)
    # 330, 200 and 650, 440 of 700 x 500 in a panel of 600 x 429 that begins at 20, 45.
    assert (columns.min(), columns.max()) == pytest.approx((20 + 330 * 6 / 7, 20 + 650 * 6 / 7), abs=6)
    assert (rows.min(), rows.max()) == pytest.approx((45 + 200 * 6 / 7, 45 + 440 * 6 / 7), abs=6)


def test_no_line_of_text_is_wider_than_the_picture():
    font = ImageFont.load_default(15)
    for line in ("W" * 400, "a name with spaces " * 20, "x", ""):
        rows = _wrapped(line, font, 300)
        assert max(font.getlength(row) for row in rows) <= 300
        assert "".join(rows).replace(" ", "") == line.replace(" ", "")


def test_what_can_not_be_explained_is_said_in_one_line(filled, embedder, tmp_path):
    query = write(tmp_path / "q.png", textured(0))
    with pytest.raises(UsageError, match="99: no such item"):
        explain(filled, embedder, query, 99, tmp_path / "why.png")
    with pytest.raises(UsageError, match="can't be written"):
        explain(filled, embedder, query, 1, tmp_path / "nowhere" / "why.png")
    (tmp_path / "words.txt").write_text("words")
    with pytest.raises(UsageError, match="give a picture that can be read"):
        explain(filled, embedder, tmp_path / "words.txt", 1, tmp_path / "why.png")
    write(tmp_path / "in" / "0.png", textured(99))
    with pytest.raises(EvidenceError, match="item 1 can't be shown: source changed since ingest"):
        explain(filled, embedder, query, 1, tmp_path / "why.png")
    (tmp_path / "in" / "0.png").unlink()
    with pytest.raises(EvidenceError, match="source gone"):
        explain(filled, embedder, query, 1, tmp_path / "why.png")
    assert not list(tmp_path.glob("why*"))
