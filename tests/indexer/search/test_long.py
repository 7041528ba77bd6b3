"""Long pictures: panoramas, scrolled screens and strips, as what is sought and as what it is sought in."""

import numpy as np
import pytest
from PIL import Image

from benchmarks import templates
from benchmarks.draw import photograph
from imgmatch.match.features import extract
from imgmatch.match.verify import query_features, verify
from indexer.intake.config import IngestConfig
from indexer.intake.ingest import ingest
from indexer.search.request import SearchRequest
from indexer.search.searcher import Searcher
from tests.conftest import encode, textured


def _panorama(count, side=300):
    """A strip of ``count`` squares, of photographs that blend into each other."""
    strip = np.zeros((side, side * count, 3), np.float32)
    weight = np.zeros((side * count, 1), np.float32)
    for number in range(count * 2 - 1):
        ramp = np.bartlett(side).astype(np.float32)[:, None] + 0.01
        left = number * side // 2
        strip[:, left : left + side] += np.asarray(photograph(300 + number, (side, side), synthetic=True)) * ramp
        weight[left : left + side] += ramp
    return (strip / weight).clip(0, 255).astype(np.uint8)


def _scrolled(count):
    """A screen that was scrolled on and on while it was captured."""
    return np.vstack([templates.picture("avatars", number)[130:1060] for number in range(count)])


def _verify(query, item):
    return verify(query_features(query, query.shape[1::-1]), extract(item, item.shape[1::-1])).verified


@pytest.mark.parametrize(
    ("whole", "piece"),
    [
        (_panorama(8), lambda p: p[:, 1000:1300]),
        (_panorama(20, 200), lambda p: p[:, 2500:2700]),
        (_panorama(8).transpose(1, 0, 2), lambda p: p[1000:1300]),
        (_scrolled(10), lambda p: p[2300:3300]),
    ],
    ids=["panorama", "strip", "tall scan", "scrolled screen"],
)
def test_a_piece_of_a_long_picture_is_verified_both_ways(whole, piece):
    whole = np.ascontiguousarray(whole)
    cut = np.ascontiguousarray(piece(whole))
    assert _verify(cut, whole)
    assert _verify(whole, cut)
    other = np.asarray(photograph(77, (400, 300), synthetic=True))
    assert not _verify(other, whole)
    assert not _verify(whole, other)


def test_long_pictures_of_one_app_are_not_verified_for_each_other():
    assert not _verify(_scrolled(5), np.vstack([templates.picture("avatars", n)[130:1060] for n in range(20, 25)]))


def test_a_piece_finds_its_panorama_and_the_panorama_its_piece(case, embedder, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    whole = _panorama(8)
    (folder / "panorama.jpg").write_bytes(encode(Image.fromarray(whole), "JPEG", quality=85))
    (folder / "cut.jpg").write_bytes(encode(Image.fromarray(whole[:, 1900:2200]), "JPEG", quality=85))
    for number in range(12):
        (folder / f"{number}.jpg").write_bytes(encode(textured(400 + number, (300, 225)), "JPEG"))
    ingest(case, [folder], embedder, config=IngestConfig(profile="thorough"))
    searcher = Searcher(case, embedder)

    def found(pixels):
        (tmp_path / "query.png").write_bytes(encode(Image.fromarray(pixels), "PNG"))
        (result,) = searcher.search([tmp_path / "query.png"], SearchRequest())
        return [match.sightings[0].locator.at.rsplit("/", 1)[1] for match in result.matches]

    assert found(whole[:, 1000:1300])[0] == "panorama.jpg"
    assert set(found(whole)[:2]) == {"panorama.jpg", "cut.jpg"}
