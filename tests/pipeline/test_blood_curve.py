"""Curves of blood brought to common times."""

import numpy as np
import pytest

from pipeline.blood_curve import BloodCurve, at_times, averaged
from tests.kinetic_truth import blood_curve

STEP_S = 0.9


def taken(from_s, width_s=3.0):
    """A short passage, seen every 0.9 s."""
    time_s = np.arange(from_s, 60.0, STEP_S)
    values = blood_curve(time_s, peak_mmol_l=5.0, width_s=width_s)
    return BloodCurve(time_s=time_s, values_mmol_l=values, amplification=np.ones_like(time_s))


def test_between_frames_a_passage_is_as_high_and_as_narrow_as_it_was():
    fine_s = np.arange(2.0, 50.0, 0.05)
    truth = taken(0.0).values_mmol_l.max()
    found = at_times(fine_s, taken(0.3))
    true = blood_curve(fine_s, peak_mmol_l=5.0, width_s=3.0)
    np.testing.assert_allclose(found, true, atol=0.008 * truth)


def test_slices_taken_one_after_the_other_do_not_widen_the_mean():
    slices = [taken(from_s) for from_s in (0.0, 0.3, 0.6)]
    mean = averaged(slices, slices[0].time_s)
    true = blood_curve(mean.time_s, peak_mmol_l=5.0, width_s=3.0)
    np.testing.assert_allclose(mean.values_mmol_l[2:-2], true[2:-2], atol=0.008 * true.max())


def test_beyond_its_ends_a_curve_stays_as_it_is():
    curve = taken(5.0)
    ends = at_times(np.array([0.0, 100.0]), curve)
    assert ends == pytest.approx(curve.values_mmol_l[[0, -1]])
