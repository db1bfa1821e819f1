from dataclasses import replace

import numpy as np
import pytest

from pipeline.bolus import find_landmarks, rise
from pipeline.calibration import calibrate
from pipeline.errors import NoInputFunctionError
from pipeline.input_function import input_function
from pipeline.input_quality import series_findings
from pipeline.result import Regions
from pipeline.study import InputKind
from tests.kinetic_truth import blood_curve
from tests.pipeline.blood_phantom import (
    RADIUS,
    REGIONS,
    TIME_S,
    first_pass_of,
    readout,
    short_readout,
    slice_of,
)

LONG = readout(delay_s=0.1, pulses=25)


def found_in(first_pass):
    return input_function(first_pass, [first_pass.slices[0].frames], [REGIONS])


def test_blood_concentration_is_recovered_beside_a_papillary_muscle():
    truth = blood_curve(TIME_S)
    found = found_in(first_pass_of(short_readout(), slice_of(short_readout(), truth)))
    np.testing.assert_allclose(found.concentration_mmol_l, truth, atol=0.02)
    assert found.source == "LV pool of slice 1"
    assert not found.saturated


def test_noise_neither_lifts_the_chosen_pixels_nor_the_dark_baseline():
    truth = blood_curve(TIME_S, peak_mmol_l=3.0)
    found = found_in(first_pass_of(readout(), slice_of(readout(), truth, noise=0.04)))
    assert found.concentration_mmol_l.max() == pytest.approx(truth.max(), rel=0.06)


@pytest.mark.parametrize("peak_mmol_l", [4.4, 8.0])
def test_peak_near_the_ceiling_of_a_long_readout_is_flagged(peak_mmol_l):
    curve = blood_curve(TIME_S, peak_mmol_l=peak_mmol_l)
    assert found_in(first_pass_of(LONG, slice_of(LONG, curve))).saturated


def test_restored_peak_lies_between_the_clipped_signal_and_what_the_dose_lets_expect():
    truth = blood_curve(TIME_S, peak_mmol_l=9.0)
    found = found_in(first_pass_of(LONG, slice_of(LONG, truth, noise=0.02), dose=0.1))
    assert found.saturated
    assert found.concentration_mmol_l.max() == pytest.approx(truth.max(), rel=0.3)
    low = truth < 2.0
    np.testing.assert_allclose(found.concentration_mmol_l[low], truth[low], atol=0.25)


@pytest.mark.parametrize("peak_mmol_l", [6.0, 9.0, 12.0])
def test_what_a_restored_peak_leaves_open_is_stated(peak_mmol_l):
    truth = blood_curve(TIME_S, peak_mmol_l=peak_mmol_l)
    found = found_in(first_pass_of(LONG, slice_of(LONG, truth, noise=0.02), dose=0.1))
    measured = found_in(first_pass_of(short_readout(), slice_of(short_readout(), truth)))
    assert found.saturated
    assert found.spread > 0.05
    assert measured.spread == 0.0
    error = np.log(found.concentration_mmol_l.sum() / truth.sum())
    assert abs(error) < 2.0 * found.spread


def test_signal_that_stays_on_its_plateau_is_flagged_even_where_the_model_sees_no_ceiling():
    plateau = np.minimum(blood_curve(TIME_S), 0.7)
    assert found_in(first_pass_of(short_readout(), slice_of(short_readout(), plateau))).saturated


def test_a_dual_sequence_series_of_other_resolution_measures_the_peak_that_the_main_one_cannot():
    truth = blood_curve(TIME_S, peak_mmol_l=8.0)
    second = slice_of(short_readout(), truth, noise=0.01, step=2)
    first_pass = first_pass_of(
        LONG, slice_of(LONG, truth, noise=0.01), second=(short_readout(), second)
    )
    found = found_in(first_pass)
    assert found.source == "dual sequence series"
    assert found.series is InputKind.DUAL_SEQUENCE
    assert found.concentration_mmol_l.max() == pytest.approx(truth.max(), rel=0.1)


def test_a_diluted_bolus_is_scaled_by_its_dose_and_moved_to_the_main_one():
    truth = blood_curve(TIME_S, peak_mmol_l=8.0, arrival_s=10.0)
    weak = blood_curve(TIME_S, peak_mmol_l=0.8, arrival_s=14.0)
    first_pass = first_pass_of(
        LONG,
        slice_of(LONG, truth),
        second=(LONG, slice_of(LONG, weak)),
        kind=InputKind.DUAL_BOLUS,
        ratio=10.0,
    )
    found = found_in(first_pass)
    assert found.source == "dual bolus series"
    assert not found.saturated
    assert found.concentration_mmol_l.max() == pytest.approx(8.0, rel=0.03)
    assert found.arrival_s == pytest.approx(10.2, abs=0.8)


def test_a_main_readout_that_its_ceiling_holds_down_does_not_lower_the_peak_of_a_diluted_bolus():
    truth = blood_curve(TIME_S, peak_mmol_l=15.0)
    held_down = np.where(truth > 4.0, 4.0, truth)  # a little unmixed or moving blood is enough
    first_pass = first_pass_of(
        readout(),
        slice_of(readout(), held_down),
        second=(readout(), slice_of(readout(), 0.1 * truth)),
        kind=InputKind.DUAL_BOLUS,
        ratio=10.0,
    )
    assert found_in(first_pass).concentration_mmol_l.max() == pytest.approx(15.0, rel=0.05)


def test_dropouts_after_the_peak_of_a_diluted_bolus_leave_its_foot_where_it_is():
    """On what an earlier injection left, a frame without the heart is darker than the baseline."""
    truth = blood_curve(TIME_S, peak_mmol_l=6.0, arrival_s=10.0)
    weak = slice_of(readout(), 1.0 + 0.1 * truth, noise=0.002)
    lost = weak.frames.copy()
    lost[[30, 41, 53]] *= 0.6
    signal = 100.0 * (1.0 + 0.1 * truth)
    dropped = signal.copy()
    dropped[[30, 41, 53]] *= 0.6
    np.testing.assert_allclose(rise(dropped)[:30], rise(signal)[:30], atol=1e-9)
    found = [
        input_function(
            first_pass_of(
                readout(),
                slice_of(readout(), 1.0 + truth, noise=0.002),
                second=(readout(), replace(weak, frames=frames)),
                kind=InputKind.DUAL_BOLUS,
                ratio=10.0,
            ),
            [slice_of(readout(), 1.0 + truth, noise=0.002).frames],
            [REGIONS],
            residual_mmol_l=1.0,
        )
        for frames in (weak.frames, lost)
    ]
    assert found[1].arrival_s == pytest.approx(found[0].arrival_s, abs=0.05)
    assert found[1].concentration_mmol_l.max() == pytest.approx(6.0, rel=0.05)


def test_a_pool_without_bolus_gives_no_input_function():
    with pytest.raises(NoInputFunctionError):
        found_in(first_pass_of(LONG, slice_of(LONG, np.zeros_like(TIME_S))))


def test_a_diluted_bolus_that_is_bright_from_the_start_leaves_the_main_one_to_itself():
    """And says so; the first pass does not fail for it."""
    truth = blood_curve(TIME_S, peak_mmol_l=3.0)
    late = np.exp(-TIME_S / 20.0)  # its series began when the bolus had come
    first_pass = first_pass_of(
        readout(),
        slice_of(readout(), truth),
        second=(readout(), slice_of(readout(), late)),
        kind=InputKind.DUAL_BOLUS,
        ratio=10.0,
    )
    found = found_in(first_pass)
    assert found.source == "LV pool of slice 1"
    assert found.concentration_mmol_l.max() == pytest.approx(3.0, rel=0.03)
    assert [one.code for one in series_findings(first_pass.input_series, found)] == [
        "input-series-unused"
    ]
    assert calibrate(first_pass, [first_pass.slices[0].frames], [REGIONS]) is not None
    without = first_pass_of(readout(), first_pass.slices[0])
    assert series_findings(without.input_series, found) == []


def test_a_slice_that_is_bright_from_the_start_does_not_spoil_the_others():
    one = slice_of(readout(), blood_curve(TIME_S, peak_mmol_l=3.0))
    late = slice_of(readout(), 3.0 * np.exp(-TIME_S / 20.0))
    first_pass = replace(first_pass_of(readout(), one), slices=(late, one))
    found = input_function(first_pass, [late.frames, one.frames], [REGIONS] * 2)
    assert found.source == "LV pool of slice 2"


def test_a_pool_of_a_few_pixels_gives_no_input_function():
    first_pass = first_pass_of(LONG, slice_of(LONG, blood_curve(TIME_S)))
    speck = Regions(myocardium=REGIONS.myocardium, lv_pool=RADIUS < 1.1, rv_pool=REGIONS.rv_pool)
    with pytest.raises(NoInputFunctionError):
        input_function(first_pass, [first_pass.slices[0].frames], [speck])


@pytest.mark.parametrize("arrival_s", [5.0, 8.0, 15.3])
@pytest.mark.parametrize("width_s", [2.0, 3.5])
def test_arrival_and_end_of_the_first_pass_bracket_the_peak(arrival_s, width_s):
    found = find_landmarks(TIME_S, blood_curve(TIME_S, arrival_s=arrival_s, width_s=width_s))
    assert found.arrival_s == pytest.approx(arrival_s, abs=0.8)
    assert found.peak_s == pytest.approx(arrival_s + 1.5 * width_s, abs=1.0)
    assert arrival_s + 2.5 * width_s < found.first_pass_end_s < arrival_s + 8.0 * width_s


def test_a_curve_that_starts_at_its_peak_is_refused():
    with pytest.raises(NoInputFunctionError):
        find_landmarks(TIME_S, np.exp(-TIME_S))


def test_foot_and_tail_of_a_noisy_diluted_bolus_come_from_the_main_one():
    truth = blood_curve(TIME_S, peak_mmol_l=6.0)
    weak = slice_of(LONG, 0.1 * truth, noise=0.3)
    first_pass = first_pass_of(
        LONG,
        slice_of(LONG, truth, noise=0.01),
        second=(LONG, weak),
        kind=InputKind.DUAL_BOLUS,
        ratio=10.0,
    )
    found = found_in(first_pass)
    low = (truth > 0.05) & (truth < 1.5)
    error = np.interp(TIME_S[low], found.time_s, found.concentration_mmol_l) - truth[low]
    assert np.sqrt(np.mean(error**2)) < 0.1


def test_slices_are_averaged_but_for_one_whose_pool_is_not_pure():
    truth = blood_curve(TIME_S, peak_mmol_l=3.0)
    one = slice_of(readout(), truth, noise=0.01)
    impure = slice_of(readout(), 0.5 * truth, noise=0.01)
    first_pass = replace(first_pass_of(readout(), one), slices=(one, impure, one))
    frames = [each.frames for each in first_pass.slices]
    found = input_function(first_pass, frames, [REGIONS] * 3)
    assert found.source == "LV pool of 2 slices"
    assert found.concentration_mmol_l.max() == pytest.approx(truth.max(), rel=0.04)
