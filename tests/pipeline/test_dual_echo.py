from dataclasses import replace

import numpy as np
import pytest

from pipeline import concentration, signal_model
from pipeline.dual_echo import without_t2_star
from pipeline.errors import InvalidStudyError
from pipeline.study import InputKind, InputSeries, PerfusionSlice, SecondEcho
from tests.kinetic_truth import blood_curve
from tests.pipeline.blood_phantom import TIME_S, geometry, physics, short_readout

FIRST_S, SECOND_S = 0.8e-3, 2.0e-3
TRUE_R2_STAR_L_MMOL_S = 30.0
"""Twice what the physics of the study says."""


def readout():
    return replace(short_readout(), echo_time_s=FIRST_S)


def frames_at(echo_time_s, noise, seed):
    medium = replace(
        signal_model.blood(physics(readout())), r2_star_relaxivity_l_mmol_s=TRUE_R2_STAR_L_MMOL_S
    )
    seen = replace(readout(), echo_time_s=echo_time_s)
    blood = 1000.0 * signal_model.magnitude(blood_curve(TIME_S, peak_mmol_l=6.0), seen, medium)
    rng = np.random.default_rng(seed)
    sigma = noise * blood.max()
    shape = (TIME_S.size, 12, 12)
    return np.hypot(
        blood[:, None, None] + sigma * rng.standard_normal(shape),
        sigma * rng.standard_normal(shape),
    )


def series(noise=0.0):
    return InputSeries(
        kind=InputKind.DUAL_SEQUENCE,
        slice=PerfusionSlice(
            frames=frames_at(FIRST_S, noise, 1), time_s=TIME_S, geometry=geometry()
        ),
        readout=readout(),
        second_echo=SecondEcho(frames=frames_at(SECOND_S, noise, 2), echo_time_s=SECOND_S),
    )


def peak_mmol_l(one):
    """Highest concentration in the mean of all pixels, on the scale that the baseline gives."""
    medium = signal_model.blood(physics(one.readout))
    signal = one.slice.frames.mean(axis=(1, 2))
    found = concentration.from_baseline(signal, signal[:5].mean(), one.readout, medium)
    return found.values_mmol_l.max()


def test_two_echoes_tell_t2_star_where_the_literature_is_wrong():
    truth = blood_curve(TIME_S, peak_mmol_l=6.0).max()
    by_model = peak_mmol_l(replace(series(), second_echo=None))
    by_echoes = peak_mmol_l(without_t2_star(series()))
    assert by_echoes == pytest.approx(truth, rel=0.01)
    assert by_model < 0.9 * truth


def test_noise_in_the_echoes_does_not_raise_the_peak():
    clean, noisy = (without_t2_star(one).slice.frames for one in (series(), series(noise=0.03)))
    peak = int(clean[:, 6, 6].argmax())
    assert noisy[peak].mean() == pytest.approx(clean[peak].mean(), rel=0.02)


def test_dark_blood_is_left_as_it_was():
    one = series(noise=0.08)
    np.testing.assert_array_equal(without_t2_star(one).slice.frames[:5], one.slice.frames[:5])


def test_a_series_of_one_echo_stays_as_it_is():
    one = replace(series(), second_echo=None)
    assert without_t2_star(one) is one


def test_echoes_that_do_not_belong_together_are_refused():
    one = series()
    with pytest.raises(InvalidStudyError, match="frames"):
        replace(one, second_echo=SecondEcho(frames=one.slice.frames[1:], echo_time_s=SECOND_S))
    with pytest.raises(InvalidStudyError, match="after the first"):
        replace(one, second_echo=SecondEcho(frames=one.slice.frames, echo_time_s=FIRST_S))
