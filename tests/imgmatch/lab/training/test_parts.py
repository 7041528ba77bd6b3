"""The pieces of the recipe, each against what it must do by definition."""

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from imgmatch.errors import ModelError
from imgmatch.lab.hotels.geometry import traced
from imgmatch.lab.hotels.views import SAMPLE, kept_aside, places
from imgmatch.lab.hotels.views import views as views_of
from imgmatch.lab.training import augment, losses
from imgmatch.lab.training.augment.geometry import box, shown, turn, whole
from imgmatch.lab.training.overlaps import overlaps, same_picture
from imgmatch.lab.training.start import evening, ridge, whitening
from imgmatch.lab.training.validate import RoomValidation, recall_at_1
from imgmatch.models.folding import fold, unfold
from imgmatch.models.network import DescriptorNetwork
from imgmatch.models.windows import of_query as windows


def unit(rows, dim=16, seed=0):
    return functional.normalize(
        torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32))
    )


class TestLosses:
    def test_pairs_that_meet_cost_less(self):
        vectors = unit(6)
        met, apart = torch.cat([vectors, vectors]), torch.cat([vectors, unit(6, seed=1)])
        assert losses.pair_loss(met, None, 0.1) < losses.pair_loss(apart, None, 0.1)

    def test_without_weights_it_is_cross_entropy_by_hand(self):
        views = unit(4)
        logits = (views @ views.T / 0.5).numpy()
        expected = []
        for i in range(4):
            others = [j for j in range(4) if j != i]
            expected.append(np.log(np.exp(logits[i, others]).sum()) - logits[i, (i + 2) % 4])
        assert losses.pair_loss(views, None, 0.5).item() == pytest.approx(np.mean(expected), rel=1e-5)

    def test_a_negative_of_no_weight_does_not_push(self):
        views = unit(6).requires_grad_()
        weights = torch.full((3, 3), 1e-12)
        losses.pair_loss(views, weights, 0.1).backward()
        assert views.grad.norm() < 1e-3

    def test_bank_loss_is_least_at_its_own_row(self):
        bank = unit(10)
        own = losses.bank_loss(bank[:3].repeat(2, 1), torch.arange(3), bank, None, 0.1)
        other = losses.bank_loss(bank[3:6].repeat(2, 1), torch.arange(3), bank, None, 0.1)
        assert own < other

    def test_koleo_prefers_vectors_spread_out(self):
        near = functional.normalize(unit(1).repeat(8, 1) + 0.01 * unit(8, seed=1))
        assert losses.koleo_loss(near) > losses.koleo_loss(unit(8)) + 1

    def test_place_loss_is_nothing_when_all_is_said(self):
        targets = unit(5)
        assert losses.place_loss(targets.repeat(2, 1), targets, unit(20, seed=1)).item() == pytest.approx(0, abs=1e-5)

    def test_like_pictures_are_weak_negatives(self):
        weights = losses.negative_weights(torch.tensor([0.0, 0.3, 0.5, 0.7, 1.0]))
        assert weights.tolist() == pytest.approx([1, 1, 0.5, 0.02, 0.02])


class TestStart:
    def test_whitening_gives_even_variance_without_correlation(self):
        rng = np.random.default_rng(0)
        features = (rng.normal(size=(4000, 6)) * [9, 5, 3, 2, 1, 0.5] @ rng.normal(size=(6, 6)) + 7).astype(np.float32)
        weight, bias = whitening(features, 4, floor=0.0)
        white = features @ weight.numpy().T + bias.numpy()
        covariance = np.cov(white.T)
        assert covariance / covariance[0, 0] == pytest.approx(np.eye(4), abs=0.02)
        assert white.mean(0) == pytest.approx(np.zeros(4), abs=1e-3)

    def test_whitening_of_too_few_features(self):
        with pytest.raises(ModelError, match="8 dimensions asked of 4 features"):
            whitening(np.zeros((10, 4), np.float32), 8)

    def test_ridge_finds_a_linear_map(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(500, 8)).astype(np.float32)
        y = x @ rng.normal(size=(8, 3)).astype(np.float32) + 2
        weight, bias = ridge(x, y, share=1e-6)
        assert x @ weight.numpy().T + bias.numpy() == pytest.approx(y, abs=1e-2)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = DescriptorNetwork(parts=(12, 8)).eval()
    for module in network.backbone.modules():
        if hasattr(module, "running_var"):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return network


def test_folding_and_unfolding_change_nothing(network):
    pixels, cells = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8), torch.ones(2, 2, 2)
    with torch.no_grad():
        expected = network(pixels, cells)
        folded = fold(network)
        assert folded(pixels, cells).numpy() == pytest.approx(expected.numpy(), abs=1e-4)
        assert unfold(folded, network)(pixels, cells).numpy() == pytest.approx(expected.numpy(), abs=1e-4)


def test_a_cosine_is_the_mixture_of_its_parts(network):
    network.part_weights.copy_(torch.tensor([0.7, 0.3]).sqrt())
    projected = torch.randn(2, 20)
    joined = network.join(projected)
    parts = [functional.normalize(p) for p in projected.split((12, 8), dim=1)]
    mixed = 0.7 * (parts[0][0] @ parts[0][1]) + 0.3 * (parts[1][0] @ parts[1][1])
    assert (joined[0] @ joined[1]).item() == pytest.approx(mixed.item(), abs=1e-5)
    assert joined.norm(dim=1).tolist() == pytest.approx([1, 1])


@pytest.fixture(scope="module")
def views():
    return [cv2.resize(view.pixels(), (128, 96), interpolation=cv2.INTER_AREA) for view in places()[0, "r00"]]


class TestAugment:
    def test_the_same_draw_gives_the_same_views(self, views):
        source, fillers = augment.Source(views[0], 4 / 3), (views[1], views[2])
        first, again = (
            augment.pair(np.random.default_rng(5), source, 64, fillers, augment.PairMix()) for _ in range(2)
        )
        assert all((a.pixels == b.pixels).all() for a, b in zip(first, again, strict=True))

    @pytest.mark.parametrize("mix", [augment.PairMix(1, 0, 0), augment.PairMix(0, 1, 0), augment.PairMix(0, 0, 1)])
    def test_every_kind_of_pair_fits_and_leaves_its_source(self, views, mix):
        source = augment.Source(square(views[0]), 4 / 3)
        before = source.pixels.copy()
        for seed in range(40):
            rng = np.random.default_rng(seed)
            for view in augment.pair(rng, source, 64, (square(views[1]), square(views[2])), mix):
                assert view.pixels.shape == (64, 64, 3)
                assert view.pixels.dtype == np.uint8
        assert (source.pixels == before).all()

    def test_a_step_of_no_length_sees_the_same_picture(self, views):
        source = augment.Source(square(views[0]), 4 / 3)
        for seed in range(5):
            same = augment.other_viewpoint(np.random.default_rng(seed), source, 96, None, strength=0.0)
            moved = augment.other_viewpoint(np.random.default_rng(seed), source, 96, None, strength=1.0)
            away = [np.abs(view.astype(float) - square(views[0], 96)).mean() for view in (same, moved)]
            assert away[0] < 8 < away[1]


class TestOverlaps:
    """What windows of two views show of one picture, found by hand where it can be."""

    def test_a_view_and_itself(self, views):
        view = shown(np.random.default_rng(0), augment.Source(square(views[0])), whole(1.0), 64, None)
        found = overlaps(view, view, same_picture(), same_picture(), windows((8, 8)))
        assert np.diag(found) == pytest.approx(1, abs=0.01)
        assert found[0, 1] == pytest.approx(0.25, abs=0.01)  # a quarter of the whole
        assert found[1, 2] == pytest.approx(1 / 3, abs=0.01)  # half of either, of one and a half
        assert found[1, 9] == 0  # opposite corners

    def test_a_quarter_is_that_window_of_the_whole(self, views):
        rng, source = np.random.default_rng(0), augment.Source(square(views[0]), 4 / 3)
        large = shown(rng, source, whole(4 / 3), 64, None)
        small = shown(rng, source, turn(box(4 / 3 * 0.75, 0.75, 2 / 3, 0.5), 1, True), 64, None)
        found = overlaps(large, small, same_picture(), same_picture(), windows((8, 8)))
        assert found[9, 0] == pytest.approx(1, abs=0.02)
        assert found[1, 0] == 0
        assert found[:, 0].argmax() == 9

    def test_what_lies_around_an_inset_shows_nothing(self, views):
        view = shown(np.random.default_rng(0), augment.Source(square(views[0])), box(0.5, 0.5, 0.6, 0.6), 64, None)
        inset = view.placed(view.pixels, (0.0, 0.0, 0.5, 0.5))
        found = overlaps(view, inset, same_picture(), same_picture(), windows((8, 8)))
        assert found[0, 1] == pytest.approx(1, abs=0.01)
        assert found[0, 9] == 0

    def test_views_of_one_rendered_place_meet_where_they_show_the_same(self):
        first, second = places()[0, "r00"][:2]
        there, back = traced(first, second, 32), traced(second, first, 32)
        seen = np.isfinite(there[:, 2]).mean()
        assert 0.1 < seen < 1
        whole_of = [augment.Shown(view.pixels(), np.eye(3)) for view in (first, second)]
        found = overlaps(*whole_of, there, back, windows((8, 8)))
        shares = seen, np.isfinite(back[:, 2]).mean()
        assert found[0, 0] == pytest.approx(1 / (1 / shares[0] + 1 / shares[1] - 1), rel=0.05)


class TestRegionLoss:
    def test_is_low_where_windows_that_meet_are_alike(self):
        regions = functional.normalize(torch.randn(2, 5, 16), dim=2)
        met = torch.eye(5).repeat(2, 1, 1)
        right = losses.region_loss(torch.cat([regions, regions]), met, 0.05)
        wrong = losses.region_loss(torch.cat([regions, regions.flip(1)]), met, 0.05)
        assert right < 0.1 < 1 < wrong

    def test_what_meets_a_little_is_neither_right_nor_wrong(self):
        one = functional.normalize(torch.randn(1, 2, 16), dim=2)
        same = torch.stack([one[0, 0], one[0, 0]])[None]
        met = torch.tensor([[[1.0, 0.1], [0.0, 1.0]]])
        apart = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
        views = torch.cat([same, same])
        assert losses.region_loss(views, met, 0.05) < losses.region_loss(views, apart, 0.05)

    def test_nothing_met_says_nothing(self):
        assert losses.region_loss(torch.randn(4, 3, 8), torch.zeros(2, 3, 3), 0.05) == 0


def test_views_of_one_hotel_are_drawn_together():
    hotels = torch.tensor([1, 1, 2, 2])
    near = functional.one_hot(hotels.repeat(2)).float()
    assert losses.hotel_loss(near, hotels, 0.1) < losses.hotel_loss(near[torch.randperm(8)], hotels, 0.1)
    assert losses.hotel_loss(near, torch.ones(4), 0.1) == 0


def test_rooms_are_told_by_hotels_that_are_kept_aside():
    found = RoomValidation.of_collection(SAMPLE, 64, 0)
    assert set(found.hotels) == {view.hotel for view in views_of(SAMPLE) if kept_aside(view)} - {0}
    assert found.gallery.shape == found.queries.shape == (len(found.places), 64, 64, 3)
    perfect = functional.one_hot(torch.from_numpy(found.places)).float().numpy()
    figures = found.run(lambda pixels: perfect)
    assert figures["rooms"] == figures["rooms_map"] == figures["hotels"] == 1


def square(pixels, side=128):
    return cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)


def test_ties_count_as_misses():
    gallery = np.eye(3, dtype=np.float32)
    queries = np.array([[1, 0, 0], [0.5**0.5, 0.5**0.5, 0]], np.float32)
    assert recall_at_1(queries, gallery, np.array([0, 1])) == 0.5


def test_evening_out_by_half_is_whitening():
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(5000, 4)) * [4, 3, 2, 1]).astype(np.float32)
    covariance = np.cov((vectors @ evening(vectors, power=0.5).numpy().T).T)
    assert covariance / covariance[0, 0] == pytest.approx(np.eye(4), abs=0.02)
    quarter = np.cov((vectors @ evening(vectors, power=0.25).numpy().T).T)
    assert 1.5 < np.sqrt(np.linalg.cond(quarter)) < 4
