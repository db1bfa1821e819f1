"""A saturation pulse that leaves more on one side of the heart than on the other."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline import signal_model
from pipeline.calibration.unevenness import left_slope
from pipeline.concentration import tissue_curves
from tests.kinetic_truth import blood_curve
from tests.pipeline.blood_phantom import (
    COLUMNS,
    REGIONS,
    ROWS,
    TIME_S,
    first_pass_of,
    physics,
    readout,
    readout_with,
    slice_of,
)

USED = readout(delay_s=0.03, pulses=20)
SPACING_MM = 2.0
COILS = np.exp(0.01 * SPACING_MM * (COLUMNS - 16))
BLOOD = blood_curve(TIME_S, arrival_s=20.0)
WALL = 0.2 * blood_curve(TIME_S, arrival_s=22.0, width_s=6.0)


def uneven(slope_mm, noise=0.01):
    """One slice in which more is left with each millimetre towards higher rows."""
    frames = np.zeros((TIME_S.size, 32, 32))
    for mask, course, medium in (
        (REGIONS.lv_pool, BLOOD, signal_model.blood(physics(USED))),
        (REGIONS.myocardium, WALL, signal_model.myocardium(physics(USED))),
    ):
        for row in np.unique(ROWS[mask]):
            here = mask & (row == ROWS)
            left = 0.02 + slope_mm * SPACING_MM * (row - 15.5)
            seen = readout_with(USED, 1.0 - left)
            frames[:, here] = 1000.0 * signal_model.magnitude(course, seen, medium)[:, None]
    frames = frames * COILS
    rng = np.random.default_rng(0)
    sigma = noise * frames.max()
    frames = np.hypot(frames + rng.normal(0.0, sigma, frames.shape), 0.0)
    one = replace(slice_of(USED, BLOOD), frames=frames)
    first_pass = first_pass_of(readout_with(USED, 0.98), one)
    return replace(first_pass, physics=replace(first_pass.physics, field_strength_t=3.0))


@pytest.mark.parametrize("slope_mm", [-4e-4, 4e-4])
def test_the_pool_tells_where_more_is_left(slope_mm):
    first_pass = uneven(slope_mm)
    found = left_slope(first_pass, [first_pass.slices[0].frames], [REGIONS])
    assert found[0] == pytest.approx(slope_mm, abs=0.3 * abs(slope_mm))
    assert abs(found[1]) < 1e-4


def test_coils_alone_are_not_taken_for_what_is_left():
    first_pass = uneven(0.0)
    found = left_slope(first_pass, [first_pass.slices[0].frames], [REGIONS])
    np.testing.assert_allclose(found, 0.0, atol=6e-5)


def test_opposite_walls_hold_the_same_when_the_slope_is_known():
    first_pass = uneven(4e-4, noise=0.0)
    one, mask = first_pass.slices[0], REGIONS.myocardium
    upper = (ROWS < 12)[mask]
    lower = (ROWS > 19)[mask]

    def ratio(slope_mm):
        curves = tissue_curves(
            one.frames,
            mask,
            one,
            first_pass.physics,
            20.0,
            left_slope_mm=(slope_mm, 0.0),
            origin=(15.5, 15.5),
        )
        return curves[lower].max(axis=1).mean() / curves[upper].max(axis=1).mean()

    assert ratio(4e-4) == pytest.approx(1.0, abs=0.02)
    assert ratio(0.0) < 0.85
