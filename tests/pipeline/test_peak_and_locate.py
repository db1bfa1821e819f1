import numpy as np
import pytest

from pipeline.errors import NoBolusError, NoHeartError, TooFewFramesError
from pipeline.locate import heart_box
from pipeline.peak import peak_lv_frame
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
    assert (
        abs(peak_lv_frame(drawn.frames, drawn.time_s, SPACING_MM, network) - drawn.peak_frame) <= 1
    )


def test_the_scale_of_the_signal_changes_neither_peak_nor_box(network):
    small, large = draw(), draw(scale=1000.0)
    frame = peak_lv_frame(small.frames, small.time_s, SPACING_MM, network)
    assert frame == peak_lv_frame(large.frames, large.time_s, SPACING_MM, network)
    box = heart_box(small.frames, small.time_s, frame, SPACING_MM, network)
    assert box == heart_box(large.frames, large.time_s, frame, SPACING_MM, network)


@pytest.mark.parametrize("rotation_deg", [0, 135])
def test_the_box_is_that_of_both_ventricles(rotation_deg, network):
    drawn = draw(rotation_deg=rotation_deg)
    box = heart_box(drawn.frames, drawn.time_s, drawn.peak_frame, SPACING_MM, network)
    heart = drawn.myocardium | drawn.lv_pool | drawn.rv_pool
    assert box_dice(box, heart) > 0.9


def test_a_series_without_contrast_agent_has_no_peak(network):
    drawn = draw(noise=0.0)
    still = np.repeat(drawn.frames[:1], 30, axis=0)
    with pytest.raises(NoBolusError):
        peak_lv_frame(still, np.arange(30.0), SPACING_MM, network)
    with pytest.raises(NoHeartError):
        heart_box(still, np.arange(30.0), 10, SPACING_MM, network)


def test_a_handful_of_frames_is_too_few(network):
    drawn = draw()
    with pytest.raises(TooFewFramesError):
        peak_lv_frame(drawn.frames[:5], drawn.time_s[:5], SPACING_MM, network)
