"""Contrast agent of an earlier injection, recovered from how much it brightens the baseline."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline import signal_model
from pipeline.residual import (
    DOUBTFUL_SPREAD,
    GAIN_ERROR,
    REGION_ERROR,
    SHARE_OF_BLOOD,
    Baseline,
    Residual,
    by_scales,
    measure_baseline,
    native_baseline,
    residual,
    residual_findings,
)
from pipeline.result import Regions, Severity
from pipeline.study import PerfusionSlice
from tests.pipeline.blood_phantom import geometry, physics, readout

PHYSICS = physics(readout())
POSITIONS_MM = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 20.0]])


def baseline_with(blood_mmol_l, myocardium_mmol_l, gain=1.0):
    """Signal before the bolus in two slices of different coil sensitivity."""
    coil = gain * np.array([1.0, 0.6])
    blood = signal_model.magnitude(
        np.array(blood_mmol_l), PHYSICS.readout, signal_model.blood(PHYSICS)
    )
    wall = signal_model.magnitude(
        np.array(myocardium_mmol_l), PHYSICS.readout, signal_model.myocardium(PHYSICS)
    )
    return Baseline(blood=blood * coil, myocardium=wall * coil, position_mm=POSITIONS_MM)


@pytest.mark.parametrize("blood_mmol_l", [0.15, 0.3, 0.6])
def test_what_is_left_is_recovered_from_the_raised_baseline(blood_mmol_l):
    raised = baseline_with(blood_mmol_l, SHARE_OF_BLOOD * blood_mmol_l)
    found = residual(raised, baseline_with(0.0, 0.0), PHYSICS)
    assert found.blood_mmol_l == pytest.approx(blood_mmol_l, rel=0.02)
    assert found.myocardium_mmol_l == pytest.approx(SHARE_OF_BLOOD * blood_mmol_l, rel=0.03)


def test_the_wall_is_known_better_with_the_blood_than_alone():
    rng = np.random.default_rng(0)
    truth = 0.3
    native, raised = baseline_with(0.0, 0.0), baseline_with(truth, SHARE_OF_BLOOD * truth)
    together, alone = [], []
    for _ in range(40):
        blood, wall = np.exp(rng.normal(0.0, 0.04, 2))
        noisy = replace(raised, blood=raised.blood * blood, myocardium=raised.myocardium * wall)
        together.append(residual(noisy, native, PHYSICS).myocardium_mmol_l)
        alone.append(_wall_alone(noisy, native))
    assert np.std(together) < 0.9 * np.std(alone)
    assert np.mean(together) == pytest.approx(SHARE_OF_BLOOD * truth, rel=0.05)


def _wall_alone(raised, native):
    grid = np.linspace(-0.5, 1.0, 2001)
    medium = signal_model.myocardium(PHYSICS)
    rises = signal_model.magnitude(grid, PHYSICS.readout, medium)
    rises = rises / signal_model.magnitude(np.array(0.0), PHYSICS.readout, medium)
    return float(np.interp(np.median(raised.myocardium / native.myocardium), rises, grid))


def test_slices_are_compared_with_those_in_the_same_place():
    native, raised = baseline_with(0.0, 0.0), baseline_with(0.3, SHARE_OF_BLOOD * 0.3)
    second_only = replace(
        raised,
        blood=raised.blood[1:],
        myocardium=raised.myocardium[1:],
        position_mm=POSITIONS_MM[1:] + 1.0,
    )
    found = residual(second_only, native, PHYSICS)
    assert found.blood_mmol_l == pytest.approx(0.3, rel=0.02)


def test_the_first_injection_has_nothing_left_from_an_earlier_one():
    native = baseline_with(0.0, 0.0)
    assert residual(native, native, PHYSICS) == Residual()
    assert residual_findings(Residual()) == ()


def test_the_darkest_baseline_is_the_native_one():
    native, raised = baseline_with(0.0, 0.0), baseline_with(0.3, 0.1)
    assert native_baseline([raised, native]) is native


def test_a_plausible_residual_is_noted_and_keeps_the_numbers():
    found = Residual(blood_mmol_l=0.2, myocardium_mmol_l=0.08)
    assert [one.severity for one in residual_findings(found)] == [Severity.NOTE]


def test_blood_and_wall_that_tell_different_stories_leave_more_open_and_warn():
    native = baseline_with(0.0, 0.0)
    agreed, parted = (
        residual(baseline_with(0.3, share * SHARE_OF_BLOOD * 0.3), native, PHYSICS)
        for share in (1.0, 1.7)
    )
    assert agreed.spread < 0.07 < DOUBTFUL_SPREAD < parted.spread
    assert [one.severity for one in residual_findings(agreed)] == [Severity.NOTE]
    [finding] = residual_findings(parted)
    assert (finding.code, finding.severity) == ("residual-contrast-uncertain", Severity.WARNING)
    assert f"{parted.spread:.0%}" in finding.sentence


def test_what_is_left_open_is_how_far_noise_throws_the_height_of_the_curves():
    rng = np.random.default_rng(1)
    native, raised = baseline_with(0.0, 0.0), baseline_with(0.3, SHARE_OF_BLOOD * 0.3)
    heights, spreads = [], []
    for _ in range(60):
        blood, wall = np.exp(rng.normal(0.0, REGION_ERROR, 2) + rng.normal(0.0, GAIN_ERROR))
        noisy = replace(raised, blood=raised.blood * blood, myocardium=raised.myocardium * wall)
        found = residual(noisy, native, PHYSICS)
        rate = 1.0 / PHYSICS.t1_blood_s + PHYSICS.r1_relaxivity_l_mmol_s * found.blood_mmol_l
        heights.append(np.log(rate))
        spreads.append(found.spread)
    assert np.std(heights) == pytest.approx(np.mean(spreads), rel=0.25)


def test_first_passes_without_a_second_readout_keep_what_their_baselines_say():
    found = [Residual(), Residual(blood_mmol_l=0.3, myocardium_mmol_l=0.14, spread=0.06)]
    assert by_scales(found, [None, None]) == found


def test_a_change_of_scale_between_first_passes_withholds_the_numbers():
    scaled = baseline_with(0.0, 0.0, gain=3.0)
    found = residual(scaled, baseline_with(0.0, 0.0), PHYSICS)
    assert [one.severity for one in residual_findings(found)] == [Severity.WITHHOLD]


@pytest.mark.parametrize("later", [100.0, 1.0])
def test_only_frames_before_the_bolus_make_the_baseline(later):
    """Also where the pool of a slice shows no bolus at all."""
    frames = np.ones((10, 4, 4))
    frames[5:] = 100.0
    pool = np.zeros((4, 4), bool)
    pool[:2] = True
    frames[5:, pool] = later
    regions = Regions(myocardium=~pool, lv_pool=pool, rv_pool=np.zeros((4, 4), bool))
    one = PerfusionSlice(frames=frames, time_s=np.arange(10.0), geometry=geometry())
    found = measure_baseline([one], [frames], [regions], arrival_s=4.5)
    assert found.blood == pytest.approx([1.0])
    assert found.myocardium == pytest.approx([1.0])
