"""Each data set in miniature, in its published layout, with figures computed by hand."""

import json

import numpy as np
import pytest
from PIL import Image

from imgmatch.errors import UsageError
from imgmatch.lab.alterations import ALTERATIONS
from imgmatch.lab.evaluation import DATASETS, evaluate, load_dataset
from imgmatch.lab.evaluation.vectors import load_pixels
from tests.imgmatch.lab.evaluation.conftest import broken, grey, table


def measured(model, name, root):
    return evaluate(model, load_dataset(name, root), threads=1)


# --- Hotels-50K ------------------------------------------------------------------------------------------------------


def hotels50k(root):
    """Hotels 1 and 2 of chain 7, hotel 3 of no known chain. Test pictures 90 (hotel 1), 91 (hotel 3)."""
    table(root / "dataset/chain_info.csv", "chain_id,chain_name", "-1,unknown", "7,Seven")
    table(
        root / "dataset/hotel_info.csv",
        "hotel_id,hotel_name,chain_id,latitude,longitude",
        '1,"One, the first",7,0,0',
        "2,Two,7,0,0",
        "3,Three,-1,0,0",
    )
    header = "image_id,hotel_id,image_url,image_source,upload_timestamp"
    table(
        root / "dataset/train_set.csv",
        header,
        *(f"{n},{hotel},http://x/{n}.jpg,expedia,0" for n, hotel in ((10, 1), (20, 2), (30, 3), (31, 3))),
    )
    table(root / "dataset/test_set.csv", header, "90,1,x,traffickcam,0", "91,3,x,traffickcam,0")
    images = root / "images"
    grey(images / "train/7/1/expedia/10.jpg", 50)
    grey(images / "train/7/2/expedia/20.jpg", 100)
    grey(images / "train/-1/3/expedia/30.png", 200)  # the download keeps the suffix of the address
    for level, first, second in (("unoccluded", 55, 195), ("medium_occlusions", 95, 40)):
        folder = images / "test" / level
        grey(folder / "7/1/traffickcam/90.jpg", first)
        grey(folder / "-1/3/traffickcam/91.jpg", second)
        grey(folder / "7/1/traffickcam/masks/90.png", 0)  # must not be taken for the picture
    return root


def test_hotels50k(tmp_path, model):
    found = measured(model, "hotels50k", hotels50k(tmp_path))
    # Unoccluded: both right at once. The chain of hotel 3 is not known: only query 90 counts there.
    assert found.tables["instance, unoccluded"] == {
        "queries": 2, "recall_at_1": 1, "recall_at_10": 1, "recall_at_100": 1,
    }  # fmt: skip
    assert found.tables["chain, unoccluded"] == {"queries": 1, "recall_at_1": 1, "recall_at_3": 1, "recall_at_5": 1}
    # Occluded: 90 (95) is nearest to hotel 2 of the same chain, 91 (40) to hotel 1.
    assert found.tables["instance, medium occlusion"]["recall_at_1"] == 0
    assert found.tables["instance, medium occlusion"]["recall_at_10"] == 1
    assert found.tables["chain, medium occlusion"]["recall_at_1"] == 1
    assert "instance, low occlusion" not in found.tables
    # Training picture 31 is listed but is not there: told, and not fatal.
    assert [(u.part, u.fault) for u in found.unusable] == [("gallery", "no such file")]
    assert found.unusable[0].path.endswith("images/train/-1/3/expedia/31.jpg")


def test_hotels50k_in_the_repositorys_own_folder_and_with_a_test_picture_missing(tmp_path, model):
    hotels50k(tmp_path)
    (tmp_path / "input").mkdir()
    (tmp_path / "dataset").rename(tmp_path / "input/dataset")
    (tmp_path / "images/test/unoccluded/-1/3/traffickcam/91.jpg").unlink()
    found = measured(model, "hotels50k", tmp_path)
    assert found.tables["instance, unoccluded"]["recall_at_100"] == 0.5


def test_hotels50k_names_a_hotel_that_is_not_listed(tmp_path):
    hotels50k(tmp_path)
    table(tmp_path / "dataset/hotel_info.csv", "hotel_id,hotel_name,chain_id", "1,One,7", "2,Two,7")
    with pytest.raises(UsageError, match=r"train_set\.csv: hotel '3' is not in hotel_info\.csv"):
        load_dataset("hotels50k", tmp_path)


# --- Hotel-ID --------------------------------------------------------------------------------------------------------


def test_hotelid2021(tmp_path, model):
    """Hotel 1 has three equal pictures, hotel 2 two that differ, hotel 3 one, which is never asked for."""
    lines = ["image,chain,hotel_id,timestamp"]
    for name, chain, hotel, value in (
        ("a.jpg", 0, 1, 50), ("b.jpg", 0, 1, 50), ("c.jpg", 0, 1, 50),
        ("d.jpg", 5, 2, 60), ("e.jpg", 5, 2, 200), ("f.jpg", 5, 3, 130),
    ):  # fmt: skip
        lines.append(f"{name},{chain},{hotel},2018-07-29 16:45:30")
        grey(tmp_path / "train_images" / str(chain) / name, value)
    table(tmp_path / "train.csv", *lines)
    found = measured(model, "hotelid2021", tmp_path)
    assert found.counts == {"gallery": 4, "queries": 2, "unusable": 0}
    # Hotel 2's query is as far as can be from its other picture: hotels 1 and 3 come first, whichever it is. Hotel 1's
    # two pictures count as one answer.
    ranks = {r.query: r.label_rank for r in found.rankings["hotel"]}
    assert sorted(ranks.values()) == [1, 3]
    assert found.tables["hotel"]["map_at_5"] == pytest.approx((1 + 1 / 3) / 2)
    assert found.tables["hotel"]["recall_at_1"] == 0.5
    assert load_dataset("hotelid2021", tmp_path).queries == found.dataset.queries


def test_hotelid2022_with_masks(tmp_path, model):
    lines = ["image_id,hotel_id"]
    for name, hotel, value in (("a.jpg", 1, 200), ("b.jpg", 1, 200), ("c.jpg", 2, 85)):
        lines.append(f"{name},{hotel}")
        grey(tmp_path / "train_images" / str(hotel) / name, value)
    table(tmp_path / "train.csv", *lines)
    plain = measured(model, "hotelid2022", tmp_path)
    assert plain.tables == {"hotel": {"queries": 1, "map_at_5": 1, "recall_at_1": 1}}
    # An opaque mask paints all of the query red, whose mean is 85: hotel 2 is nearest then.
    (tmp_path / "train_masks").mkdir()
    Image.new("RGBA", (8, 8), (255, 0, 0, 255)).save(tmp_path / "train_masks/0.png")
    masked = measured(model, "hotelid2022", tmp_path)
    assert masked.tables["hotel"] == plain.tables["hotel"]
    assert masked.tables["hotel, masked"] == {"queries": 1, "map_at_5": 0.5, "recall_at_1": 0}


def test_a_mask_covers_what_is_opaque_or_not_black(tmp_path):
    folder = tmp_path
    grey(folder / "train_images/1/a.jpg", 200), grey(folder / "train_images/1/b.jpg", 200)
    table(folder / "train.csv", "image_id,hotel_id", "a.jpg,1", "b.jpg,1")
    half = np.zeros((8, 8, 4), np.uint8)
    half[:, :4, 3] = 255
    for name, mask in (("alpha", half), ("grey", np.where(half[..., 3:] > 0, np.uint8(255), half[..., :3]))):
        (folder / "train_masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(folder / "train_masks/0.png")
        pixels = load_pixels(load_dataset("hotelid2022", folder).queries[1], 8)
        assert (pixels[:, :4] == (255, 0, 0)).all(), name
        assert (pixels[:, 4:] == 200).all(), name


# --- copies ----------------------------------------------------------------------------------------------------------


def copydays(root, jpeg="jpeg"):
    for block, value in ((2000, 50), (2001, 100), (2002, 150)):
        grey(root / f"original/{block}00.jpg", value)
        grey(root / f"crops/80/{block}00.jpg", value + 5)
        grey(root / f"{jpeg}/3/{block}00.jpg", value)
    grey(root / "strong/200001.jpg", 60)
    grey(root / "strong/200002.jpg", 140)  # nearest to 2002, then 2001, then its own 2000
    return root


@pytest.mark.parametrize("jpeg", ["jpeg", "jpegqual"])
def test_copydays(tmp_path, model, jpeg):
    found = measured(model, "copydays", copydays(tmp_path, jpeg))
    assert list(found.tables) == ["strong", "crop 80", "jpeg 3", "overall"]
    assert found.tables["crop 80"] == {"queries": 3, "map_trapezoid": 1, "recall_at_1": 1}
    # Rank 1: 1. Rank 3 of one right answer, trapezoid: (0 + 1/3) / 2.
    assert found.tables["strong"]["map_trapezoid"] == pytest.approx((1 + 1 / 6) / 2)
    assert found.tables["strong"]["recall_at_1"] == 0.5
    assert found.tables["overall"]["queries"] == 11
    # All eleven pairs are right but one, which comes after wrong ones.
    assert 10 / 11 < found.tables["overall"]["micro_ap"] < 1
    # The originals are queries too, and are not embedded twice.
    assert model.embedded == 3 + 8


def disc21(root):
    for number, value in ((0, 40), (1, 100), (2, 214)):
        grey(root / f"references/R{number:06}.jpg", value)
    for number, value in ((0, 42), (1, 150), (2, 218), (3, 217)):
        grey(root / f"dev_queries/Q{number:05}.jpg", value)
    grey(root / "final_queries/Q50000.jpg", 0)  # no ground truth: not asked
    table(root / "dev_queries_groundtruth.csv", "query_id,reference_id", "Q00000,R000000", "Q00001,R000001",
          "Q00002,R000002", "Q00003,")  # fmt: skip
    return root


def test_disc21(tmp_path, model):
    found = measured(model, "disc21", disc21(tmp_path))
    assert list(found.tables) == ["dev_queries"]
    result = found.tables["dev_queries"]
    assert result["queries"] == 4
    assert result["recall_at_1"] == 1  # of the three that have a reference
    # Nearest pairs by distance: Q0-R0 2 right, Q3-R2 3 wrong, Q2-R2 4 right, Q1-R1 50 right, before it Q0-R1 no (58).
    assert result["micro_ap"] == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert result["recall_at_precision_90"] == pytest.approx(1 / 3)
    assert "micro_ap_normalised" not in result


def test_disc21_scores_are_normalised_by_the_background(tmp_path, model):
    disc21(tmp_path)
    for number, value in enumerate((216, 217, 218)):
        grey(tmp_path / f"train/T{number:06}.jpg", value)
    result = measured(model, "disc21", tmp_path).tables["dev_queries"]
    # How much nearer a reference is than the background on average, in greys: Q0-R0 173 right, Q0-R1 117, Q1-R1 17
    # right, Q0-R2 and Q1-R2 3, Q3-R2 -2.3, Q2-R2 -3 right.
    assert result["micro_ap_normalised"] == pytest.approx((1 + 2 / 3 + 3 / 7) / 3)
    assert result["recall_at_precision_90_normalised"] == pytest.approx(1 / 3)
    assert result["micro_ap"] == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_disc21_with_a_table_of_matches_only_and_a_reference_missing(tmp_path, model):
    disc21(tmp_path)
    table(tmp_path / "dev_queries_groundtruth.csv", "Q00000,R000000", "Q00001,R000009")
    found = measured(model, "disc21", tmp_path)
    # No header, no empty references: the other pictures of the folder are queries without a match.
    assert found.tables["dev_queries"]["queries"] == 4
    assert found.tables["dev_queries"]["recall_at_1"] == 0.5
    assert [u.path.rsplit("/", 1)[1] for u in found.unusable] == ["R000009.jpg"]


def test_copies_are_altered_in_every_way(tmp_path, model):
    for number in range(5):
        grey(tmp_path / f"{number}.png", 20 + 50 * number, size=(40, 30))
    found = measured(model, "copies", tmp_path)
    assert list(found.tables) == list(ALTERATIONS)
    assert all(result["queries"] == 5 for result in found.tables.values())
    # What leaves a plain grey as it is finds all; what darkens it does not.
    for name in ("mirror", "crop_half", "rotate_90", "grey"):
        assert found.tables[name]["recall_at_1"] == 1, name
    assert found.tables["darken"]["recall_at_1"] < 1
    paste = next(query for query in found.dataset.queries if query.alteration == "paste_inset")
    assert len(set(paste.others) - {paste.path}) == 4


def test_copies_take_five_pictures(tmp_path):
    grey(tmp_path / "a.png", 1)
    with pytest.raises(UsageError, match="1 pictures; collages take five or more"):
        load_dataset("copies", tmp_path)


# --- places and objects ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["", "full"])
def test_ukbench(tmp_path, model, folder):
    for number, value in enumerate((10, 11, 12, 60, 70, 71, 72, 73)):
        grey(tmp_path / folder / f"ukbench{number:05}.jpg", value)
    found = measured(model, "ukbench", tmp_path)
    # 10, 11, 12: themselves and two more, then 60: 4 each. 60: itself, then 70, 71, 72: 1. 70 to 73: all four.
    assert found.tables["all"]["top4_score"] == pytest.approx((4 + 4 + 4 + 1 + 4 * 4) / 8)


def test_ukbench_counts_ties_as_the_worst_case(tmp_path, model):
    for number in range(8):
        grey(tmp_path / f"ukbench{number:05}.jpg", 99)
    # Every picture ties with all others, itself among them: four wrong ones come first.
    assert measured(model, "ukbench", tmp_path).tables["all"] == {"queries": 8, "top4_score": 0, "recall_at_1": 0}


def test_holidays(tmp_path, model):
    for name, value in ((100000, 50), (100001, 52), (100002, 110), (100100, 100), (100101, 90), (100200, 7)):
        grey(tmp_path / f"jpg/{name}.jpg", value)
    found = measured(model, "holidays", tmp_path)
    # 100000 (50): 52 right, 90, 7, 100, 110 right. 100100 (100): 110 wrong and 90 right are as far, the wrong one
    # is first. 100200 has no partner and is no query.
    assert [r.ranks.tolist() for r in found.rankings["all"]] == [[1, 5], [2]]
    assert found.tables["all"]["queries"] == 2
    first, second = (1 + (1 / 4 + 2 / 5) / 2) / 2, (0 / 1 + 1 / 2) / 2
    assert found.tables["all"]["map_trapezoid"] == pytest.approx((first + second) / 2)


def test_holidays_names_the_query_that_is_missing(tmp_path):
    grey(tmp_path / "100001.jpg", 1)
    with pytest.raises(UsageError, match=r"100000\.jpg: no such file; it is the query of its group"):
        load_dataset("holidays", tmp_path)


def revisited(root, truths):
    names = {"p": 100, "q": 110, "r": 125, "s": 145, "t": 170}
    for name, value in names.items():
        grey(root / f"jpg/{name}.jpg", value)
    query = np.full((20, 20, 3), 255, np.uint8)
    query[5:15, 5:15] = 99
    Image.fromarray(query).save(root / "jpg/query.jpg", "PNG")
    truth = {"imlist": list(names), "qimlist": ["query"] * len(truths), "gnd": truths}
    (root / "gnd_roxford5k.json").write_text(json.dumps(truth), encoding="utf-8")


def test_revisited_oxford_takes_junk_out_as_its_authors_do(tmp_path, model):
    # By distance from 99: p q r s t. Easy: r. Hard: t. Junk: p.
    box = [5.0, 5.0, 15.0, 15.0]
    revisited(tmp_path, [{"bbx": box, "easy": [2], "hard": [4], "junk": [0]}, {"bbx": box, "easy": [0], "junk": [1]}])
    found = measured(model, "roxford5k", tmp_path)
    # Easy: of q r s, as t and p are junk: r is at 2. Second query: p is first.
    assert [r.ranks.tolist() for r in found.rankings["easy"]] == [[2], [1]]
    assert found.tables["easy"]["map_trapezoid"] == pytest.approx(((0 + 1 / 2) / 2 + 1) / 2)
    # Medium: of q r s t: r at 2, t at 4.
    assert [r.ranks.tolist() for r in found.rankings["medium"]] == [[2, 4], [1]]
    # Hard: of q s t: t at 3. The second query has no hard picture and is left out of the mean.
    assert [r.ranks.tolist() for r in found.rankings["hard"]] == [[3]]
    assert found.tables["hard"]["queries"] == 1


def test_revisited_oxford_never_opens_a_pickle(tmp_path):
    (tmp_path / "jpg").mkdir()
    (tmp_path / "gnd_roxford5k.pkl").write_bytes(b"cos\nsystem\n(S'touch opened'\ntR.")
    with pytest.raises(UsageError, match="a pickle can run any code") as caught:
        load_dataset("roxford5k", tmp_path)
    assert "gnd_roxford5k.json" in str(caught.value)
    assert "json.dump(pickle.load(open('gnd_roxford5k.pkl', 'rb'))" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("truth", "fault"),
    [
        ({"easy": [9], "bbx": [0, 0, 9, 9]}, "easy holds 9"),
        ({"easy": [-1], "bbx": [0, 0, 9, 9]}, "easy holds -1"),
        ({"easy": [0], "bbx": [0, 0, 9]}, "must be left, top, right, bottom"),
        ({"easy": [0]}, "must be left, top, right, bottom"),
    ],
)
def test_revisited_ground_truth_is_checked(tmp_path, truth, fault):
    revisited(tmp_path, [truth])
    with pytest.raises(UsageError, match=fault):
        load_dataset("roxford5k", tmp_path)


def test_a_crop_outside_the_picture_is_a_miss(tmp_path, model):
    box = [5, 5, 15, 15]
    revisited(tmp_path, [{"bbx": box, "easy": [0]}, {"bbx": [50, 50, 60, 60], "easy": [0]}])
    found = measured(model, "roxford5k", tmp_path)
    assert found.tables["easy"]["map_trapezoid"] == 0.5
    assert "outside the picture" in found.unusable[0].fault


def test_folders(tmp_path, model):
    for name, value in (("hall/a.jpg", 50), ("hall/deep/b.jpg", 54), ("attic/c.jpg", 57), ("cellar/d.jpg", 200)):
        grey(tmp_path / name, value)
    grey(tmp_path / "cellar/e.jpg", 60)
    (tmp_path / "hall/notes.txt").write_text("no picture")
    found = measured(model, "folders", tmp_path)
    # The attic has one picture: it is in the way, not a query.
    assert found.counts == {"gallery": 5, "queries": 5, "unusable": 0}
    ranks = {found.dataset.queries[r.query].path.rsplit("/", 1)[1]: r.first_rank for r in found.rankings["all"]}
    assert ranks == {"a.jpg": 1, "b.jpg": 2, "d.jpg": 1, "e.jpg": 4}
    assert found.tables["all"]["map"] == pytest.approx((1 + 1 / 2 + 1 + 1 / 4) / 4)
    assert found.tables["all"]["recall_at_1"] == 0.5
    assert model.embedded == 5  # the queries are in the gallery


def test_places(tmp_path, model):
    lines = ["file,place,environment"]
    for name, place, environment, value in (
        ("a.jpg", "hall", "indoor", 50), ("b.jpg", "hall", "indoor", 60),
        ("c.jpg", "yard", "outdoor", 75), ("d.jpg", "yard", "outdoor", 52),
    ):  # fmt: skip
        lines.append(f"{name},{place},{environment}")
        grey(tmp_path / name, value)
    table(tmp_path / "places.csv", *lines)
    found = measured(model, "places", tmp_path)
    assert [t["queries"] for t in found.tables.values()] == [4, 2, 2]
    assert list(found.tables) == ["all", "indoor", "outdoor"]
    # a: d, b. b: d, a. c: b, d. d: a, b, c.
    assert found.tables["indoor"]["map"] == pytest.approx(1 / 2)
    assert found.tables["outdoor"]["map"] == pytest.approx((1 / 2 + 1 / 3) / 2)


# --- all -------------------------------------------------------------------------------------------------------------

FIRST_MISSING = {
    "hotels50k": "dataset",
    "hotelid2021": "train.csv",
    "hotelid2022": "train.csv",
    "copydays": "original",
    "disc21": "references",
    "ukbench": "ukbench00000.jpg",
    "holidays": "100000.jpg",
    "roxford5k": "gnd_roxford5k.json",
    "rparis6k": "gnd_rparis6k.json",
    "folders": "",
    "copies": "",
    "places": "places.csv",
}


@pytest.mark.parametrize("name", DATASETS)
def test_an_empty_folder_names_what_should_be_there_and_how_to_get_it(tmp_path, name):
    with pytest.raises(UsageError) as caught:
        load_dataset(name, tmp_path)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / FIRST_MISSING[name]))
    assert DATASETS[name].how_to_get in message
    assert "\n" not in message


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_that_is_not_there_is_one_clear_error(tmp_path, name):
    with pytest.raises(UsageError, match="nowhere"):
        load_dataset(name, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "lines", "fault"),
    [
        ("hotelid2021", ["image,hotel_id", "a,1"], "has no column 'chain'"),
        ("hotelid2021", ["image,chain,hotel_id", "a,1"], "line 2 is too short"),
        ("hotelid2022", ["image,hotel"], "has no column 'image_id'"),
    ],
)
def test_a_table_of_another_layout_is_refused(tmp_path, name, lines, fault):
    table(tmp_path / "train.csv", *lines)
    with pytest.raises(UsageError, match=rf"train\.csv: {fault}"):
        load_dataset(name, tmp_path)


def test_an_unknown_name_lists_all(tmp_path):
    with pytest.raises(UsageError, match=r"no data set 'imagenet'; there are: hotels50k, .*places"):
        load_dataset("imagenet", tmp_path)


def test_broken_pictures_count_as_misses(tmp_path, model):
    grey(tmp_path / "hall/a.jpg", 50), grey(tmp_path / "hall/b.jpg", 51), broken(tmp_path / "hall/c.jpg")
    found = measured(model, "folders", tmp_path)
    # a and b find each other and not c: average precision 1/2. c finds nothing.
    assert found.tables["all"]["queries"] == 3
    assert found.tables["all"]["map"] == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert found.tables["all"]["recall_at_10"] == pytest.approx(2 / 3)
    assert [(u.part, u.path) for u in found.unusable] == [("gallery", str(tmp_path / "hall/c.jpg"))]
