import numpy as np
import pytest

from pipeline.errors import NoBolusError, TooFewFramesError
from pipeline.heart import find_heart
from pipeline.locate import heart_box
from tests.short_axis import SPACING_MM, draw


def box_of(mask):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def box_dice(box, mask):
    first, last, left, right = box_of(mask)
    a = np.zeros(mask.shape, bool)
    a[box.index] = True
    b = np.zeros(mask.shape, bool)
    b[first:last, left:right] = True
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("rotation_deg", [0, 90, 200])
def test_the_peak_frame_is_that_of_the_left_ventricle(rotation_deg, network):
    drawn = draw(rotation_deg=rotation_deg)
    found = find_heart(drawn.frames, drawn.time_s, SPACING_MM, network)
    assert abs(found.peak_frame - drawn.peak_frame) <= 1


def test_the_scale_of_the_signal_changes_neither_peak_nor_place(network):
    small, large = (
        find_heart(drawn.frames, drawn.time_s, SPACING_MM, network)
        for drawn in (draw(), draw(scale=1000.0))
    )
    assert small.peak_frame == large.peak_frame
    assert small.centre == large.centre


@pytest.mark.parametrize("rotation_deg", [0, 135])
def test_the_box_is_that_of_both_ventricles(rotation_deg, network):
    drawn = draw(rotation_deg=rotation_deg)
    found = find_heart(drawn.frames, drawn.time_s, SPACING_MM, network)
    box = heart_box(found.left, found.right, SPACING_MM)
    assert box_dice(box, drawn.myocardium | drawn.lv_pool | drawn.rv_pool) > 0.9


def test_the_box_leaves_room_for_the_wall_of_the_right_ventricle():
    left, right = np.zeros((2, 40, 60), dtype=bool)
    left[10:30, 30:50] = True
    right[12:28, 10:30] = True
    box = heart_box(left, right, (1.0, 1.5))
    assert (box.row_start, box.row_stop, box.column_start, box.column_stop) == (9, 31, 8, 50)


def test_the_box_of_a_slice_without_a_right_ventricle_is_that_of_the_left():
    left = np.zeros((40, 60), dtype=bool)
    left[10:30, 30:50] = True
    box = heart_box(left, np.zeros_like(left), (1.0, 1.0))
    assert (box.row_start, box.row_stop, box.column_start, box.column_stop) == (10, 30, 30, 50)


def test_a_series_without_contrast_agent_has_no_heart(network):
    still = np.repeat(draw(noise=0.0).frames[:1], 30, axis=0)
    with pytest.raises(NoBolusError):
        find_heart(still, np.arange(30.0), SPACING_MM, network)


def test_a_handful_of_frames_is_too_few(network):
    drawn = draw()
    with pytest.raises(TooFewFramesError):
        find_heart(drawn.frames[:5], drawn.time_s[:5], SPACING_MM, network)
