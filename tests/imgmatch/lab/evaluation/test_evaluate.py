"""The evaluation itself: blocks, ties, distractors, outputs."""

import csv
import json
import sys

import numpy as np
import pytest
from PIL import Image

import imgmatch.lab.evaluation.ranking as ranking_module
import imgmatch.lab.evaluation.vectors as vectors_module
from imgmatch.errors import ImgmatchError, UsageError
from imgmatch.lab.evaluation import DATASETS, Labels, Picture, evaluate, load_dataset, run_evaluation, with_distractors
from imgmatch.lab.evaluation.plots import draw_worst, worst_errors
from imgmatch.lab.evaluation.ranking import similarities
from imgmatch.lab.metrics import first_ranks, mean_average_precision
from tests.imgmatch.lab.evaluation.conftest import broken, grey, table


@pytest.fixture
def folders(tmp_path):
    """Twelve places of three pictures, of greys drawn at random, some alike."""
    root = tmp_path / "set"
    rng = np.random.default_rng(5)
    for place in range(12):
        for number in range(3):
            grey(root / f"place{place:02}" / f"{number}.png", int(rng.integers(0, 64)) * 4)
    return root


@pytest.fixture
def with_model(monkeypatch, model):
    monkeypatch.setattr(sys.modules[run_evaluation.__module__], "load_model", lambda name, **options: model)
    return model


def test_figures_are_those_of_the_metrics_over_all_scores_at_once(folders, model):
    dataset = load_dataset("folders", folders)
    found = evaluate(model, dataset)
    vectors = model.embed(
        np.stack([model.prepare(np.asarray(Image.open(picture.path))) for picture in dataset.gallery])
    ).astype(np.float16)
    scores = np.round(vectors.astype(np.float32) @ vectors.astype(np.float32).T, 6)
    np.fill_diagonal(scores, -np.inf)
    labels = np.arange(36) // 3
    relevant = labels[:, None] == labels[None]
    np.fill_diagonal(relevant, False)
    assert found.tables["all"]["map"] == pytest.approx(mean_average_precision(scores, relevant))
    assert [r.first_rank for r in found.rankings["all"]] == first_ranks(scores, relevant).tolist()


def test_blocks_and_files_of_vectors_change_nothing(folders, model, monkeypatch):
    dataset = load_dataset("folders", folders)
    whole = evaluate(model, dataset)
    monkeypatch.setattr(ranking_module, "_ROWS", 5)
    monkeypatch.setattr(ranking_module, "_SCORES", 100)
    monkeypatch.setattr(vectors_module, "_IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(vectors_module, "_BATCH", 4)
    monkeypatch.setattr(vectors_module, "_AHEAD", 6)
    told = []
    parts = evaluate(model, dataset, threads=3, progress=lambda *step: told.append(step))
    assert parts.tables == whole.tables
    assert told[-1] == ("ranking", 36, 36)
    assert ("gallery", 36, 36) in told
    assert [step[1] for step in told if step[0] == "ranking"] == [*range(2, 37, 2)]


def test_equal_vectors_tie_wherever_they_stand():
    rng = np.random.default_rng(0)
    vector = rng.normal(size=257)
    vector /= np.linalg.norm(vector)
    gallery = np.tile(vector.astype(np.float16), (1001, 1))
    query = rng.normal(size=(3, 257))
    query /= np.linalg.norm(query, axis=1, keepdims=True)
    assert (np.ptp(similarities(query, gallery), axis=1) == 0).all()


def test_distractors_are_right_for_nobody_and_count_as_different_labels(tmp_path, model):
    table(tmp_path / "set/train.csv", "image,chain,hotel_id", "a.jpg,0,1", "b.jpg,0,1", "c.jpg,0,2")
    for name, value in (("a", 50), ("b", 60), ("c", 200)):
        grey(tmp_path / f"set/train_images/0/{name}.jpg", value)
    more = [Picture(str(grey(tmp_path / f"more/{n}.jpg", 55))) for n in range(2)]
    dataset = load_dataset("hotelid2021", tmp_path / "set")
    assert evaluate(model, dataset).tables["hotel"]["map_at_5"] == 1
    harder = evaluate(model, with_distractors(dataset, more))
    assert harder.tables["hotel"] == {"queries": 1, "map_at_5": pytest.approx(1 / 3), "recall_at_1": 0}
    assert harder.counts["gallery"] == 4


def test_labels_below_zero_match_nothing():
    truth = Labels(np.array([-1, 4]), np.array([-1, 4, -1, 4]))
    assert truth.relevant(0).size == 0
    assert truth.relevant(1).tolist() == [1, 3]


def test_nothing_readable_is_an_error_that_says_how_to_get_the_set(tmp_path, model):
    table(tmp_path / "train.csv", "image,chain,hotel_id", "a.jpg,0,1", "b.jpg,0,1")
    (tmp_path / "train_images").mkdir()
    with pytest.raises(
        UsageError, match=r"train_images/0/.\.jpg: no such file, and so are all 1 pictures of the gal"
    ) as e:
        evaluate(model, load_dataset("hotelid2021", tmp_path))
    assert DATASETS["hotelid2021"].how_to_get in str(e.value)


def test_worst_errors_come_from_every_task(tmp_path, model):
    lines = ["file,place,environment"]
    for name, place, environment, value in (
        ("a", "hall", "in", 50), ("b", "hall", "in", 90), ("c", "yard", "out", 55), ("d", "yard", "out", 85),
    ):  # fmt: skip
        lines.append(f"{name}.jpg,{place},{environment}")
        grey(tmp_path / f"{name}.jpg", value)
    table(tmp_path / "places.csv", *lines)
    errors = worst_errors(evaluate(model, load_dataset("places", tmp_path)), 3)
    assert [e.task for e in errors] == ["all", "in", "out"]
    assert errors[0].ranking.first_rank == 3
    assert len({e.ranking.query for e in errors}) == 3


def test_run_evaluation_writes_figures_ranks_and_plots(folders, tmp_path, with_model):
    broken(folders / "place00" / "broken.jpg")
    more = grey(tmp_path / "more/deep/x.png", 3).parents[1]
    output = tmp_path / "made" / "figures"
    found = run_evaluation("grey", "folders", folders, output, distractors=more)
    record = json.loads((output / "figures.json").read_text())
    assert record["figures"] == found.tables
    assert record["model"] == "grey"
    assert record["counts"] == {"gallery": 38, "queries": 37, "unusable": 1}
    assert found.figures["all recall_at_1"] == found.tables["all"]["recall_at_1"]
    text = (output / "figures.txt").read_text()
    assert text.startswith("grey on folders: each picture of a place")
    assert f"{found.tables['all']['map']:.4f}" in text
    with (output / "ranks.csv").open(newline="") as file:
        ranks = list(csv.DictReader(file))
    assert len(ranks) == 37
    assert ranks[0]["query"] == "place00/0.png"
    assert [row["first_rank"] for row in ranks if row["usable"] == "0"] == [""]
    with (output / "unusable.csv").open(newline="") as file:
        faults = list(csv.DictReader(file))
    assert [row["file"] for row in faults] == ["place00/broken.jpg"]
    for name in ("recall", "precision-recall", "worst"):
        pixels = np.asarray(Image.open(output / f"{name}.png").convert("RGB"))
        assert pixels.shape[0] > 300
        # Something is drawn: not one colour only, in more than the frame.
        assert (pixels != pixels[0, 0]).any(axis=2).mean() > 0.01, name
    assert "matplotlib.pyplot" not in sys.modules


def test_pictures_are_blurred_unless_revealed(tmp_path, model):
    """A chessboard of 40 squares a side, the detail of a face or a text, is gone when blurred."""
    board = np.kron(np.indices((40, 40)).sum(axis=0) % 2 * 255, np.ones((8, 8))).astype(np.uint8)
    for name, value in (("hall/a", 0), ("hall/b", 250), ("yard/c", 0), ("yard/d", 250)):
        path = grey(tmp_path / f"set/{name}.png", value)
        if value == 0:
            Image.fromarray(board).convert("RGB").save(path)
    found = {}
    evaluation = evaluate(model, load_dataset("folders", tmp_path / "set"))
    for reveal in (False, True):
        assert draw_worst(evaluation, tmp_path / "worst.png", count=2, reveal=reveal) == 2
        sheet = np.asarray(Image.open(tmp_path / "worst.png").convert("L"), float)
        rows = sheet[:, : sheet.shape[1] // 3]
        found[reveal] = (np.abs(np.diff(rows, axis=1)) > 100).mean()
    assert found[True] > 4 * found[False]


def test_no_errors_leave_no_contact_sheet(tmp_path, with_model):
    for name, value in (("hall/a", 10), ("hall/b", 12), ("yard/c", 200), ("yard/d", 203)):
        grey(tmp_path / f"set/{name}.png", value)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/worst.png").write_bytes(b"of an earlier run")
    found = run_evaluation("grey", "folders", tmp_path / "set", tmp_path / "out")
    assert found.tables["all"]["recall_at_1"] == 1
    assert not (tmp_path / "out/worst.png").exists()
    assert (tmp_path / "out/recall.png").exists()


def test_output_is_checked_before_the_work(folders, tmp_path, with_model, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="file: can't be made"):
        run_evaluation("grey", "folders", folders, tmp_path / "file")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImgmatchError, match=r"pip install 'imgmatch\[train\]'"):
        run_evaluation("grey", "folders", folders, tmp_path / "out")
    assert with_model.embedded == 0
    assert run_evaluation("grey", "folders", folders).tables["all"]["queries"] == 36


def test_normalised_curves_are_drawn_with_a_background(tmp_path, with_model):
    root = tmp_path / "disc"
    for kind, folder, values in (
        ("R00000", "references", (40, 120)), ("Q0000", "dev_queries", (41, 60)), ("T00000", "train", (130, 131, 132)),
    ):  # fmt: skip
        for number, value in enumerate(values):
            grey(root / folder / f"{kind}{number}.jpg", value)
    table(root / "dev_queries_groundtruth.csv", "query_id,reference_id", "Q00000,R000000", "Q00001,R000001")
    found = run_evaluation("grey", "disc21", root, tmp_path / "out")
    assert found.counts["background"] == 3
    assert "micro_ap_normalised" in found.tables["dev_queries"]
    assert (tmp_path / "out/precision-recall.png").stat().st_size > 5000
