"""Scanner and body from the images: what is told is found, what is not told stays as expected."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline import signal_model
from pipeline.calibration import calibrate, calibrated, calibration_findings
from pipeline.calibration.evidence import judge, look
from pipeline.calibration.unknowns import Draw, draws
from pipeline.result import Severity
from pipeline.study import Origin
from tests.kinetic_truth import blood_curve
from tests.pipeline.blood_phantom import (
    REGIONS,
    TIME_S,
    first_pass_of,
    physics,
    readout,
    short_readout,
    slice_of,
)

LONG = readout(delay_s=0.06, pulses=20)
DENSITY = readout(delay_s=np.inf, pulses=20, degrees=5.0)


def measured(first_pass):
    return calibrate(first_pass, [first_pass.slices[0].frames], [REGIONS])


def two_readouts(efficiency, *, peak_mmol_l=7.0, noise=0.01):
    truth = blood_curve(TIME_S, peak_mmol_l=peak_mmol_l)
    main, second = (
        slice_of(used, truth, true_efficiency=efficiency, noise=noise)
        for used in (LONG, short_readout())
    )
    return first_pass_of(LONG, main, second=(short_readout(), second))


@pytest.mark.parametrize("left", [0.0, 0.01, 0.05])
def test_proton_density_frames_tell_what_the_saturation_pulse_leaves(left):
    one = slice_of(LONG, blood_curve(TIME_S), true_efficiency=1.0 - left, density=DENSITY)
    found = measured(first_pass_of(LONG, one))
    assert found.truth.left == pytest.approx(left, abs=0.006)
    assert "proton-density" in found.method


@pytest.mark.parametrize("left", [0.0, 0.01, 0.04])
def test_two_readouts_of_the_same_blood_tell_what_the_saturation_pulse_leaves(left):
    found = measured(two_readouts(1.0 - left))
    assert found.truth.left == pytest.approx(left, abs=0.005 + 0.3 * left)
    assert "two readouts" in found.method


def test_a_single_readout_leaves_more_open_than_two():
    truth = blood_curve(TIME_S, peak_mmol_l=7.0)
    one = measured(first_pass_of(LONG, slice_of(LONG, truth, noise=0.01)))
    two = measured(two_readouts(1.0))
    assert two.flow_spread < 0.17 < one.flow_spread


def test_an_efficiency_that_is_known_stays():
    first_pass = two_readouts(0.95)
    first_pass.physics.origin["readout.saturation_efficiency"] = Origin.CONFIGURATION
    assert measured(first_pass).truth.left == pytest.approx(0.0)


def test_all_readouts_of_a_first_pass_get_what_was_found():
    first_pass = two_readouts(1.0)
    found = replace(measured(first_pass), truth=draw(left=0.03, flip_scale=0.9))
    changed = calibrated(first_pass, found)
    for before, after in (
        (first_pass.physics.readout, changed.physics.readout),
        (first_pass.input_series.readout, changed.input_series.readout),
    ):
        assert after.saturation_efficiency == pytest.approx(0.97)
        assert after.flip_angle_rad == pytest.approx(0.9 * before.flip_angle_rad)
    assert changed.physics.t1_blood_s == 1.7


def test_proton_density_frames_of_the_short_readout_get_it_too_and_are_named():
    course, quiet = blood_curve(TIME_S), readout(delay_s=np.inf, pulses=8, degrees=5.0)
    main = slice_of(LONG, course, noise=0.01)
    second = slice_of(short_readout(), course, noise=0.01, density=quiet)
    first_pass = first_pass_of(LONG, main, second=(short_readout(), second))
    found = measured(first_pass)
    assert "proton-density frames of the short one" in found.method
    assert found.flow_spread <= measured(two_readouts(1.0)).flow_spread
    changed = calibrated(first_pass, replace(found, truth=draw(flip_scale=0.9)))
    angle = changed.input_series.slice.proton_density_readout.flip_angle_rad
    assert angle == pytest.approx(0.9 * quiet.flip_angle_rad)


def draw(**changed):
    return Draw(
        **(
            {
                "left": 0.0,
                "flip_scale": 1.0,
                "t1_blood_s": 1.7,
                "t1_myocardium_s": 1.2,
                "r2_star_relaxivity_l_mmol_s": 15.0,
            }
            | changed
        )
    )


def test_what_is_drawn_beforehand_has_the_spread_that_is_stated():
    possible = draws(physics(LONG))
    weight = np.exp([one.log_weight for one in possible])
    weight /= weight.sum()
    left = np.array([one.left for one in possible])
    blood = np.log([one.t1_blood_s / 1.66 for one in possible])
    assert weight @ (left < 0.02) == pytest.approx(0.93, abs=0.03)
    assert weight @ blood == pytest.approx(0.0, abs=0.01)
    assert np.sqrt(weight @ blood**2) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("with_second", [True, False])
def test_what_images_say_never_makes_flow_worse_than_what_is_known_beforehand(with_second):
    """Truths are drawn from what is known beforehand; the scale of flow is estimated in each."""
    physical = physics(LONG)
    possible = draws(physical)
    prior = np.exp([one.log_weight for one in possible])
    chosen = np.random.default_rng(1).choice(len(possible), 8, p=prior / prior.sum())
    errors, prior_errors, spreads = [], [], []
    for number in chosen:
        truth = possible[number]
        first_pass = seen_as(truth, with_second)
        seen = look(first_pass, [first_pass.slices[0].frames], [REGIONS])
        found = calibrate(first_pass, [first_pass.slices[0].frames], [REGIONS])
        right = judge(seen, first_pass, truth).log_flow
        errors.append(judge(seen, first_pass, found.truth).log_flow - right)
        prior_errors.append(
            judge(seen, first_pass, draw(t1_blood_s=1.66, t1_myocardium_s=1.22)).log_flow - right
        )
        spreads.append(found.flow_spread)
    error = np.sqrt(np.mean(np.square(errors)))
    assert error < 1.05 * np.sqrt(np.mean(np.square(prior_errors)))
    assert error < 2.0 * np.mean(spreads)


def seen_as(truth, with_second):
    """A first pass that a scanner and a body as in `truth` show."""
    course = blood_curve(TIME_S, peak_mmol_l=6.0)

    def shown(used):
        tilted = replace(used, flip_angle_rad=used.flip_angle_rad * truth.flip_scale)
        actual = replace(
            physics(replace(tilted, saturation_efficiency=1.0 - truth.left)),
            t1_blood_s=truth.t1_blood_s,
            t1_myocardium_s=truth.t1_myocardium_s,
            r2_star_relaxivity_l_mmol_s=truth.r2_star_relaxivity_l_mmol_s,
        )
        one = slice_of(used, course, noise=0.01)
        frames = one.frames.copy()
        blood = signal_model.magnitude(course, actual.readout, signal_model.blood(actual))
        wall = signal_model.magnitude(
            np.array(0.0), actual.readout, signal_model.myocardium(actual)
        )
        frames[:, REGIONS.lv_pool] = 1000.0 * blood[:, None]
        frames[:, REGIONS.myocardium] = 1000.0 * truth.wall_density * float(wall)
        noise = np.random.default_rng(0).normal(0.0, 3.0, (2, *frames.shape))
        return replace(one, frames=np.hypot(frames + noise[0], noise[1]))

    second = (short_readout(), shown(short_readout())) if with_second else None
    return first_pass_of(LONG, shown(LONG), second=second, dose=0.07)


@pytest.mark.parametrize(
    ("flow_spread", "severity"),
    [(0.05, Severity.NOTE), (0.2, Severity.WARNING), (0.4, Severity.WITHHOLD)],
)
def test_what_is_left_open_decides_whether_flow_is_shown(flow_spread, severity):
    found = replace(measured(two_readouts(1.0)), flow_spread=flow_spread)
    [finding] = calibration_findings(found)
    assert finding.severity is severity
    assert f"{flow_spread:.0%}" in finding.sentence
    assert calibration_findings(None) == ()


def test_a_baseline_that_no_saturation_pulse_explains_withholds_the_numbers():
    one = slice_of(LONG, blood_curve(TIME_S), true_efficiency=0.7, density=DENSITY)
    found = calibration_findings(measured(first_pass_of(LONG, one)))
    assert [finding.severity for finding in found] == [Severity.WITHHOLD]
