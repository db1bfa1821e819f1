"""Coils that are brighter here than there, seen by a heart that breathes."""

import numpy as np
import pytest

from pipeline.result import AlignedSeries
from pipeline.shading import shading_slope, without_shading
from tests.kinetic_truth import blood_curve
from tests.pipeline.blood_phantom import REGIONS, TIME_S, readout, slice_of

SLOPE = np.array([0.008, -0.004])
"""[1/mm]."""


def breathing(depth_mm):
    depth = depth_mm * (1.0 - np.cos(2.0 * np.pi * np.arange(TIME_S.size) / 4.7)) / 2.0
    return np.stack([depth, 0.3 * np.roll(depth, 1)], axis=1)


def held_still(slope, depth_mm):
    """A heart held still after breathing through a slope of brightness."""
    one = slice_of(readout(), blood_curve(TIME_S), noise=0.01)
    moved_mm = breathing(depth_mm)
    return AlignedSeries(
        frames=one.frames * np.exp(moved_mm @ slope)[:, None, None],
        reference_frame=0,
        bulk_displacement_mm=moved_mm,
        displacement_mm=None,
        frame_weight=np.ones(TIME_S.size),
        method="rigid",
    )


def test_a_slope_of_brightness_is_found_and_taken_out():
    shaded, even = held_still(SLOPE, 15.0), held_still(np.zeros(2), 15.0)
    slope = shading_slope(shaded, REGIONS, TIME_S)
    np.testing.assert_allclose(slope, SLOPE, atol=0.001)
    found = without_shading(shaded.frames, shaded.bulk_displacement_mm, slope)
    wall = REGIONS.myocardium
    before = np.abs(shaded.frames[:, wall].mean(1) / even.frames[:, wall].mean(1) - 1.0).max()
    after = np.abs(found[:, wall].mean(1) / even.frames[:, wall].mean(1) - 1.0).max()
    assert before > 0.08
    assert after < 0.015


def test_contrast_agent_is_not_taken_for_shading():
    even = held_still(np.zeros(2), 15.0)
    slope = shading_slope(even, REGIONS, TIME_S)
    found = without_shading(even.frames, even.bulk_displacement_mm, slope)
    np.testing.assert_allclose(found, even.frames, rtol=0.02)


@pytest.mark.parametrize("depth_mm", [0.0, 0.2])
def test_where_nothing_moves_nothing_is_done(depth_mm):
    shaded = held_still(SLOPE, depth_mm)
    slope = shading_slope(shaded, REGIONS, TIME_S)
    found = without_shading(shaded.frames, shaded.bulk_displacement_mm, slope)
    np.testing.assert_allclose(found, shaded.frames, rtol=0.002)
