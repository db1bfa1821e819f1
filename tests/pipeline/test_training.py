import numpy as np
import pytest
import torch

from pipeline.networks import CLASSES, N_TIMES, SIDE
from pipeline.training.appearance import Randomiser, _as_drawn
from pipeline.training.examples import FIRST_TRAINING_SEED, example
from pipeline.training.examples import SIDE as STORED_SIDE
from pipeline.training.expectation import (
    EXPECTATION,
    _lines,
    fit_expectation,
    without_expectation,
)
from pipeline.training.learn import Learner, LearningSettings, loss
from pipeline.training.score import Score, dice, foresight, held_out_scores, summarise


@pytest.fixture(scope="module")
def stored():
    """Two phantom slices as they are kept for training."""
    made = [example(seed) for seed in (FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + 1)]
    return tuple(
        torch.from_numpy(np.stack([getattr(one, name) for one in made]))
        for name in ("frames", "shares", "heat")
    )


def randomised(stored, seed):
    return Randomiser(torch.Generator().manual_seed(seed))(*stored)


def test_an_example_has_all_regions_and_both_points(stored):
    frames, shares, heat = stored
    assert frames.shape[2:] == shares.shape[2:] == heat.shape[1:] == (STORED_SIDE, STORED_SIDE)
    assert shares.shape[1] == len(CLASSES) - 1
    assert (shares.flatten(2).amax(dim=2) == 255).all()
    assert shares.int().sum(dim=1).max() <= 256  # rounding
    assert (heat.flatten(1).amax(dim=1) > 0.9).all()


def test_the_same_seed_gives_the_same_appearance_and_another_seed_another(stored):
    first, again, other = randomised(stored, 1), randomised(stored, 1), randomised(stored, 2)
    assert torch.equal(first.series, again.series)
    assert not torch.equal(first.series, other.series)


def test_what_the_network_sees_is_finite_and_labelled_on_its_grid(stored):
    for seed in range(4):
        batch = randomised(stored, seed)
        assert batch.series.shape == (2, N_TIMES, SIDE, SIDE)
        assert torch.isfinite(batch.series).all()
        assert batch.classes.shape == (2, len(CLASSES), SIDE, SIDE)
        torch.testing.assert_close(batch.classes.sum(dim=1), torch.ones(2, SIDE, SIDE))
        assert batch.classes.min() > -1e-6
        assert batch.heat.shape == (2, SIDE, SIDE)
        assert (batch.classes[:, 2] > 0.9).flatten(1).any(dim=1).all()


def test_what_is_left_sharp_is_outlined_where_it_is_half_wall_and_what_is_blurred_further_in():
    across = torch.cat([torch.linspace(0, 1, 101), torch.ones(10)]).view(1, 1, 1, -1)
    steep = across[..., ::20]  # a wall is whole within a few pixels of its edge
    shares = torch.cat([1 - steep, steep, 0 * steep, 0 * steep], dim=1)
    walls = [_as_drawn(shares, torch.tensor([width]))[0, 1, 0] for width in (0.0, 1.5)]
    torch.testing.assert_close(walls[0], steep[0, 0, 0])
    assert walls[1][steep[0, 0, 0] < 0.75].max() == 0
    assert walls[1][-1] == 1


def test_a_thin_wall_that_is_blurred_is_still_a_closed_wall():
    across = torch.tensor([0.0, 0.05, 0.25, 0.5, 0.25, 0.05, 0.0]).expand(7, 7)[None, None]
    shares = torch.cat([1 - across, across, 0 * across, 0 * across], dim=1)
    wall = _as_drawn(shares, torch.tensor([1.5]))[0, 1]
    assert (wall[:, 3] == 1).all()
    assert (wall[:, [0, 1, 2, 4, 5, 6]] == 0).all()


def test_nothing_tells_muscles_in_the_pool_from_the_wall_beside_them(monkeypatch):
    along = torch.arange(SIDE) - (SIDE - 1) / 2
    distance = (along[:, None] ** 2 + along[None] ** 2).sqrt()
    within, pool = (torch.sigmoid(2 * (radius - distance)) for radius in (24, 14))
    shares = torch.stack([1 - within, within - pool, pool, 0 * pool])[None]
    blood = 0.3 * (within - pool) + pool
    randomiser = Randomiser(torch.Generator().manual_seed(0))
    monkeypatch.setattr(  # as many as there can be
        randomiser, "_uniform", lambda *shape, low=0.0, high=1.0: torch.full(shape, high + 0 * low)
    )
    monkeypatch.setattr(randomiser, "_smooth", lambda *shape: torch.zeros(*shape[:2], SIDE, SIDE))
    filled = randomiser._muscles(blood[None, None].expand(1, N_TIMES, SIDE, SIDE), shares)[0, 0]
    rim = (distance > 12) & (distance < 20)
    assert filled[rim].max() < 1.05 * filled[rim].median()
    assert blood[rim].max() > 2 * filled[rim].median()


def test_points_that_are_not_known_teach_nothing(stored):
    frames, shares, heat = stored
    batch = Randomiser(torch.Generator().manual_seed(1))(frames, shares, torch.full_like(heat, -1))
    logits = torch.zeros(2, len(CLASSES) + 1, SIDE, SIDE, requires_grad=True)
    loss(logits, batch).backward()
    assert (logits.grad[:, -1] == 0).all()
    assert (logits.grad[:, 1] != 0).any()


def test_learning_lowers_the_loss(stored):
    learner = Learner(LearningSettings(warm_up_steps=5, learning_rate=3e-3), torch.device("cpu"))
    losses = [learner.learn(*stored) for _ in range(24)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_a_true_relation_of_doubt_and_overlap_is_found_again():
    doubts = torch.linspace(-4, -1, 20).double()
    signs_of = torch.stack([doubts, doubts**2 / 5, torch.ones(20)], dim=1)
    lines = torch.tensor([[0.8, 0.1, -0.3], [0.0, 0.9, 0.2]]).double()
    torch.testing.assert_close(_lines(signs_of, signs_of @ lines.T), lines, atol=0.05, rtol=0)


def test_what_to_expect_is_fitted_for_wall_and_cavity(stored):
    network = without_expectation(Learner(LearningSettings(), torch.device("cpu")).averaged)
    lines = fit_expectation(network, *stored)
    assert lines.shape == network.dice_of_signs.shape
    assert torch.isfinite(lines).all()
    assert (lines != 0).any(dim=1).all()


def test_weights_that_expected_something_of_another_form_are_the_same_network():
    averaged = Learner(LearningSettings(), torch.device("cpu")).averaged
    network = without_expectation({**averaged, EXPECTATION: torch.ones(6)})
    assert (network.dice_of_signs == 0).all()
    assert torch.equal(network.head.weight, averaged["head.weight"])
    with pytest.raises(RuntimeError, match="head"):
        without_expectation({EXPECTATION: torch.ones(6)})


def test_a_resumed_learner_goes_on_as_if_it_had_never_stopped(stored, tmp_path):
    settings = LearningSettings(seed=3)
    through = Learner(settings, torch.device("cpu"))
    through.learn(*stored)
    torch.save(through.state(), tmp_path / "checkpoint.pt")
    expected = through.learn(*stored)
    resumed = Learner(settings, torch.device("cpu"))
    resumed.resume(torch.load(tmp_path / "checkpoint.pt", weights_only=True))
    assert resumed.step == 1
    assert resumed.learn(*stored) == pytest.approx(expected, rel=1e-3)


def test_training_seeds_are_refused_for_evaluation(network):
    with pytest.raises(ValueError, match="for training"):
        next(held_out_scores([FIRST_TRAINING_SEED], network))


def test_the_poor_end_of_an_overlap_is_low_and_of_an_error_high():
    scores = [Score(myocardium_dice=value, anterior_mm=value) for value in np.linspace(0, 1, 101)]
    table = summarise(scores)
    assert table["myocardium_dice"].worst == 0
    assert table["myocardium_dice"].poor == pytest.approx(0.05)
    assert table["anterior_mm"].worst == 1
    assert table["anterior_mm"].poor == pytest.approx(0.95)
    assert "box_dice" not in table


def test_foresight_is_perfect_on_a_line_and_absent_without_any_spread():
    line = [
        Score(predicted_dice=value, myocardium_dice=0.5 + value / 2) for value in (0.7, 0.8, 0.9)
    ]
    assert foresight([*line, Score(failed=1.0)]) == pytest.approx(1)
    assert foresight(line[:2]) is None
    falling = [
        Score(predicted_pool_dice=value, lv_pool_dice=1 - value) for value in (0.1, 0.2, 0.4)
    ]
    assert foresight(falling, "lv_pool_dice", "predicted_pool_dice") == pytest.approx(-1)
    assert foresight([line[0]] * 5) is None


def test_dice_of_a_mask_with_itself_is_one_and_with_its_complement_nought():
    mask = np.eye(4, dtype=bool)
    assert dice(mask, mask) == 1
    assert dice(mask, ~mask) == 0
