"""Which frames of the wall count as being before the bolus."""

import numpy as np
import pytest

from pipeline.outline import Anatomy
from pipeline.quantify import _dark_until_s
from pipeline.result import AlignedSeries, Box, InsertionPoints, Regions, SliceLevel
from tests.kinetic_truth import blood_curve
from tests.pipeline.blood_phantom import COLUMNS, REGIONS, ROWS, TIME_S, readout, slice_of

RIGHT = np.hypot(ROWS - 6, COLUMNS - 28) < 4
LEFT_ARRIVAL_S = 20.0


def anatomy(right_arrival_s):
    """A slice whose right ventricle fills at a given time; never for None."""
    one = slice_of(readout(), blood_curve(TIME_S, arrival_s=LEFT_ARRIVAL_S))
    frames = one.frames.copy()
    if right_arrival_s is not None:
        course = blood_curve(TIME_S, arrival_s=right_arrival_s)
        frames[:, RIGHT] = frames[0, 16, 12] * (1.0 + 2.0 * course)[:, None]
    return Anatomy(
        source=one,
        level=SliceLevel.BASAL,
        peak_lv_frame=26,
        box=Box(row_start=0, row_stop=32, column_start=0, column_stop=32),
        aligned=AlignedSeries(
            frames=frames,
            reference_frame=26,
            bulk_displacement_mm=np.zeros((TIME_S.size, 2)),
            displacement_mm=None,
            frame_weight=np.ones(TIME_S.size),
            method="none",
        ),
        regions=Regions(
            myocardium=REGIONS.myocardium & ~RIGHT, lv_pool=REGIONS.lv_pool, rv_pool=RIGHT
        ),
        insertion_points=InsertionPoints(anterior=(4.0, 20.0), inferior=(20.0, 28.0)),
        sectors=np.zeros((32, 32), dtype=int),
    )


def test_the_baseline_of_the_wall_ends_when_the_right_ventricle_fills():
    assert _dark_until_s(anatomy(12.0), LEFT_ARRIVAL_S) == pytest.approx(12.0, abs=1.5)


@pytest.mark.parametrize("right_arrival_s", [1.5, 30.0, None])
def test_it_ends_with_the_left_one_where_the_right_one_comes_too_soon_too_late_or_is_not_seen(
    right_arrival_s,
):
    assert _dark_until_s(anatomy(right_arrival_s), LEFT_ARRIVAL_S) == LEFT_ARRIVAL_S
