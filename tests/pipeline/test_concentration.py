import numpy as np
import pytest

from pipeline import concentration, signal_model
from pipeline.signal_model import Medium
from pipeline.study import (
    PerfusionSlice,
    Physics,
    Readout,
    SequenceKind,
    SliceGeometry,
)

BLOOD = Medium(
    t1_s=1.66,
    t2_s=0.25,
    r1_relaxivity_l_mmol_s=4.5,
    r2_relaxivity_l_mmol_s=5.9,
    r2_star_relaxivity_l_mmol_s=20.0,
)


def readout(sequence=SequenceKind.SPOILED_GRADIENT_ECHO, delay_s=0.06, pulses=20, degrees=12):
    return Readout(
        sequence=sequence,
        repetition_time_s=2.2e-3,
        echo_time_s=1.0e-3,
        flip_angle_rad=np.radians(degrees),
        saturation_delay_s=delay_s,
        pulses_before_centre=pulses,
        saturation_efficiency=0.97,
    )


GEOMETRY = SliceGeometry(
    position_mm=(0.0, 0.0, 0.0),
    column_direction=(1.0, 0.0, 0.0),
    row_direction=(0.0, 1.0, 0.0),
    spacing_mm=(2.0, 2.0),
    thickness_mm=10.0,
)
PHYSICS = Physics(
    field_strength_t=3.0,
    readout=readout(),
    r1_relaxivity_l_mmol_s=4.5,
    r2_star_relaxivity_l_mmol_s=20.0,
    t1_blood_s=1.66,
    t1_myocardium_s=1.22,
    haematocrit=0.42,
)


@pytest.mark.parametrize(
    "used",
    [readout(), readout(delay_s=0.005, pulses=10, degrees=5), readout(SequenceKind.BALANCED_SSFP)],
    ids=["spoiled", "short saturation time", "balanced"],
)
@pytest.mark.parametrize("residual", [0.0, 0.3])
def test_inversion_undoes_the_forward_model_for_any_coil_sensitivity(used, residual):
    change = np.linspace(-0.02, 3.0, 60)
    sensitivity = np.array([[3.0], [250.0]])
    signal = sensitivity * signal_model.magnitude(residual + change, used, BLOOD)
    before = sensitivity[:, 0] * signal_model.magnitude(np.array(residual), used, BLOOD)
    found = concentration.from_baseline(signal, before, used, BLOOD, residual_mmol_l=residual)
    np.testing.assert_allclose(found.values_mmol_l, np.tile(change, (2, 1)), atol=2e-4)
    assert not found.clipped.any()


def test_signal_above_the_ceiling_is_marked_and_never_exceeds_the_table():
    table = concentration.lookup(readout(), BLOOD)
    before = signal_model.magnitude(np.array(0.0), readout(), BLOOD)
    found = concentration.from_baseline(
        np.array([before, 2.0 * table.signal[-1]]), before, readout(), BLOOD
    )
    assert found.clipped.tolist() == [False, True]
    assert found.values_mmol_l[1] == pytest.approx(table.ceiling_mmol_l)


def test_error_amplification_starts_at_one_and_grows_towards_the_ceiling():
    low, middle, high = (
        concentration.error_amplification(value, readout(), BLOOD) for value in (0.01, 2.0, 5.0)
    )
    assert low == pytest.approx(1.0, abs=0.02)
    assert 1.0 < middle < high


def test_noise_around_zero_concentration_is_not_rectified():
    rng = np.random.default_rng(1)
    before = signal_model.magnitude(np.array(0.0), readout(), BLOOD)
    signal = before * (1.0 + 0.1 * rng.standard_normal(20_000))
    found = concentration.from_baseline(signal, before, readout(), BLOOD)
    assert abs(found.values_mmol_l.mean()) < 0.002


def test_tissue_pixel_without_signal_before_the_bolus_is_nan_and_others_are_not():
    time_s = np.arange(12.0)
    frames = np.full((12, 2, 2), 50.0)
    frames[6:] = 90.0
    frames[:, 0, 0] = 0.0
    one = PerfusionSlice(frames=frames, time_s=time_s, geometry=GEOMETRY)
    mask = np.ones((2, 2), dtype=bool)
    curves = concentration.tissue_curves(frames, mask, one, PHYSICS, arrival_s=5.5)
    assert np.isnan(curves[0]).all()
    np.testing.assert_allclose(curves[1:, :5], 0.0, atol=1e-5)
    assert (curves[1:, 6:] > 0.1).all()


def noisy_wall(*, coils, signal_to_noise, sensitivity=1.0, noise_slope=0.0, n_dark=5):
    """A ring of wall in air, some dark frames and some with contrast agent; with its truth."""
    rng = np.random.default_rng(3)
    rows, columns = np.indices((64, 64))
    radius = np.hypot(rows - 32, columns - 32)
    mask = (radius >= 14) & (radius < 21)
    medium, time_s = signal_model.myocardium(PHYSICS), np.arange(40.0)
    truth = np.where(time_s < n_dark + 1.5, 0.0, 0.8)
    signal = signal_model.magnitude(truth, PHYSICS.readout, medium)
    noise = float(signal[0]) / signal_to_noise
    clean = np.zeros((40, 64, 64))
    clean[:, mask] = signal[:, None] * np.broadcast_to(sensitivity, mask.shape)[mask]
    uneven = np.exp(noise_slope * (columns - 32))
    parts = noise * uneven * rng.standard_normal((2 * coils, *clean.shape))
    parts[0] += clean
    frames = np.sqrt((parts**2).sum(axis=0))
    one = PerfusionSlice(frames=frames, time_s=time_s, geometry=GEOMETRY)
    found = concentration.tissue_curves(frames, mask, one, PHYSICS, arrival_s=n_dark + 1.0)
    return found[:, time_s > n_dark + 1.5], mask


@pytest.mark.parametrize("coils", [1, 2, 4])
def test_few_dark_frames_at_four_times_the_noise_give_no_more_contrast_agent_than_there_is(coils):
    found, _ = noisy_wall(coils=coils, signal_to_noise=4.0)
    assert np.mean(found) == pytest.approx(0.8, rel=0.05)
    assert np.std(found.mean(axis=1)) < 0.15 * 0.8


def test_pixels_that_truly_differ_keep_their_own_baseline_where_noise_is_low():
    rows, columns = np.indices((64, 64))
    found, mask = noisy_wall(
        coils=1, signal_to_noise=40.0, sensitivity=np.where((rows + columns) % 2 == 0, 1.0, 2.0)
    )
    even = ((rows + columns) % 2 == 0)[mask]
    np.testing.assert_allclose([found[even].mean(), found[~even].mean()], [0.8, 0.8], rtol=0.03)


def test_a_wall_with_less_noise_on_one_side_shows_as_much_contrast_agent_on_both():
    """With one noise for all, the loud side would read a third too low, the quiet one too high."""
    found, mask = noisy_wall(coils=2, signal_to_noise=4.0, noise_slope=0.04, n_dark=12)
    columns = np.indices((64, 64))[1][mask]
    quiet, loud = found[columns < 22].mean(), found[columns > 42].mean()
    assert [quiet, loud] == pytest.approx([0.8, 0.8], rel=0.06)
