import numpy as np
import pytest

from pipeline import signal_model
from pipeline.errors import NoInputFunctionError
from pipeline.input_function import find_landmarks, input_function
from pipeline.result import Regions
from pipeline.study import (
    FirstPass,
    PerfusionSlice,
    Physics,
    Readout,
    SequenceKind,
    SliceGeometry,
    State,
)
from tests.kinetic_truth import blood_curve

TIME_S = np.arange(0.0, 60.0, 0.9)
GEOMETRY = SliceGeometry(
    position_mm=(0.0, 0.0, 0.0),
    column_direction=(1.0, 0.0, 0.0),
    row_direction=(0.0, 1.0, 0.0),
    spacing_mm=(2.0, 2.0),
    thickness_mm=10.0,
)
ROWS, COLUMNS = np.indices((32, 32))
RADIUS = np.hypot(ROWS - 16, COLUMNS - 16)
REGIONS = Regions(
    myocardium=(RADIUS >= 8) & (RADIUS < 12),
    lv_pool=RADIUS < 8,
    rv_pool=np.zeros((32, 32), dtype=bool),
)


def physics(delay_s=0.005, pulses=8, degrees=5):
    return Physics(
        field_strength_t=3.0,
        readout=Readout(
            sequence=SequenceKind.SPOILED_GRADIENT_ECHO,
            repetition_time_s=1.5e-3,
            echo_time_s=0.8e-3,
            flip_angle_rad=np.radians(degrees),
            saturation_delay_s=delay_s,
            pulses_before_centre=pulses,
        ),
        r1_relaxivity_l_mmol_s=4.5,
        r2_star_relaxivity_l_mmol_s=20.0,
        t1_blood_s=1.66,
        t1_myocardium_s=1.22,
        haematocrit=0.42,
    )


def first_pass_of(used, concentration, noise=0.0):
    """A pool of blood with a papillary muscle, in a ring that stays dark."""
    blood = 1000.0 * signal_model.magnitude(concentration, used.readout, signal_model.blood(used))
    frames = np.full((TIME_S.size, 32, 32), float(blood[0]))
    frames[:, REGIONS.lv_pool] = blood[:, None]
    frames[:, np.hypot(ROWS - 18, COLUMNS - 14) < 2.5] = blood[0]
    frames += noise * float(blood[0]) * np.random.default_rng(0).standard_normal(frames.shape)
    one = PerfusionSlice(frames=frames, time_s=TIME_S, geometry=GEOMETRY)
    return FirstPass(
        label="rest", state=State.REST, state_reason="test", slices=(one,), physics=used
    )


def found_in(first_pass):
    return input_function(first_pass, [first_pass.slices[0].frames], [REGIONS])


def test_blood_concentration_is_recovered_beside_a_papillary_muscle():
    truth = blood_curve(TIME_S)
    found = found_in(first_pass_of(physics(), truth))
    np.testing.assert_allclose(found.concentration_mmol_l, truth, atol=0.02)
    assert found.source == "LV pool of slice 1"
    assert not found.saturated


def test_noise_does_not_lift_the_chosen_pixels():
    truth = blood_curve(TIME_S)
    found = found_in(first_pass_of(physics(), truth, noise=0.05))
    assert found.concentration_mmol_l.max() == pytest.approx(truth.max(), rel=0.03)


@pytest.mark.parametrize("peak_mmol_l", [4.4, 8.0])
def test_peak_near_the_ceiling_of_a_long_readout_is_flagged(peak_mmol_l):
    long_readout = physics(delay_s=0.1, pulses=25, degrees=12)
    found = found_in(first_pass_of(long_readout, blood_curve(TIME_S, peak_mmol_l=peak_mmol_l)))
    assert found.saturated


def test_signal_that_stays_on_its_plateau_is_flagged_even_where_the_model_sees_no_ceiling():
    plateau = np.minimum(blood_curve(TIME_S), 0.7)
    assert found_in(first_pass_of(physics(), plateau)).saturated


def test_a_pool_without_bolus_gives_no_input_function():
    with pytest.raises(NoInputFunctionError):
        found_in(first_pass_of(physics(), np.zeros_like(TIME_S)))


def test_a_pool_of_a_few_pixels_gives_no_input_function():
    first_pass = first_pass_of(physics(), blood_curve(TIME_S))
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
