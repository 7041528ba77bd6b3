"""Parts of a query against parts of an item: what they find that whole pictures miss."""

import numpy as np
import pytest

from imgmatch.lab.alterations import alter
from imgmatch.lab.hotels.views import SAMPLE, views
from imgmatch.match.parts import QueryParts, has_parts, item_parts, parts_score, query_parts
from imgmatch.models import DEFAULT_MODEL, load_model


@pytest.fixture(scope="module")
def embedder():
    return load_model(DEFAULT_MODEL, device="cpu", threads=1)


def wholes(embedder, pixels, left=None):
    """The query as a search prepares it."""
    return {side: (embedder.prepare(pixels, side), left and left[side]) for side in embedder.spec.query_sides_px}


def test_a_small_crop_is_found_by_its_place_in_the_picture(embedder):
    pictures = [view.pixels() for view in views(SAMPLE)][:48]
    gallery = embedder.embed(np.stack([embedder.prepare(pixels) for pixels in pictures]))
    parts = [item_parts(embedder, pixels) for pixels in pictures]
    assert {found.shape for found in parts} == {(16, embedder.spec.copy_dim)}
    by_whole = by_parts = 0
    for number in range(0, 48, 3):
        pixels = alter("crop_tenth", pictures[number], number)
        read = wholes(embedder, pixels)
        near = np.max([embedder.embed(seen[None]) @ gallery.T for seen, _ in read.values()], axis=0)[0]
        query = query_parts(embedder, read)[1]
        by_whole += near.argmax() == number
        by_parts += np.argmax([parts_score(s, query, p) for s, p in zip(near, parts, strict=True)]) == number
    assert by_parts >= by_whole + 2


def test_a_picture_meets_itself_best(embedder):
    pictures = [view.pixels() for view in views(SAMPLE)][:6]
    query = query_parts(embedder, wholes(embedder, pictures[2]))[1]
    scores = [parts_score(0.0, query, item_parts(embedder, pixels)) for pixels in pictures]
    assert np.argmax(scores) == 2


def test_windows_under_a_mask_say_nothing(embedder):
    pixels = next(views(SAMPLE)).pixels()
    left = {side: np.ones((side // 32,) * 2, np.float32) for side in embedder.spec.query_sides_px}
    for cells in left.values():
        cells[: len(cells) // 2] = 0
    whole = query_parts(embedder, wholes(embedder, pixels))[1]
    half = query_parts(embedder, wholes(embedder, pixels, left))[1]
    assert len(half.wholes) == len(whole.wholes) == 3
    assert len(half.parts) < len(whole.parts) == 20
    assert np.isfinite(half.parts).all()


def test_the_wholes_have_the_vectors_that_an_ingest_gives_them(embedder):
    pixels = next(views(SAMPLE)).pixels()
    left = {side: np.full((side // 32,) * 2, 0.5, np.float32) for side in embedder.spec.query_sides_px}
    for cells in left.values():
        cells[0] = 1
    for weights in (None, left):
        read = wholes(embedder, pixels, weights)
        vectors, _ = query_parts(embedder, read)
        for vector, (seen, some) in zip(vectors, read.values(), strict=True):
            assert np.array_equal(vector, embedder.embed(seen[None], None if some is None else some[None])[0])


def test_the_score_by_hand():
    query = QueryParts(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    item = np.array([[0.6, 0.8], [1.0, 0.0]], np.float16)
    assert parts_score(0.2, query, item) == pytest.approx(0.95 + (1.0 + 0.8) / 2, abs=1e-3)
    assert parts_score(0.99, query, item) == pytest.approx(0.99 + 0.9, abs=1e-3)


def test_what_takes_a_picture_and_gives_a_vector_has_no_parts(embedder):
    class Plain:
        spec = type("Spec", (), {"graph": "plain", "of_faces": False})

    assert has_parts(embedder)
    assert not has_parts(Plain())
