import numpy as np
import pytest

from pipeline.enhancement import enhancement, ventricle_candidates
from pipeline.errors import NoBolusError, TooFewFramesError
from pipeline.heart import LV_POOL, Heart, find_heart, find_hearts
from pipeline.study import PerfusionSlice, SliceGeometry
from tests.short_axis import SPACING_MM, draw


def with_aorta(drawn):
    """A round vessel in the lung that fills brighter than the ventricle, just after it."""
    rows, columns = np.indices(drawn.frames.shape[1:])
    aorta = np.hypot(rows - 100, columns - 105) < 8
    frames = drawn.frames.copy()
    curve = drawn.frames[:, drawn.lv_pool].mean(axis=1)
    frames[:, aorta] = 1.5 * np.roll(curve, 1)[:, None]
    return frames, aorta


def test_a_vessel_that_fills_like_the_ventricle_is_not_taken_for_it(network):
    drawn = draw()
    frames, aorta = with_aorta(drawn)
    heart = find_heart(frames, drawn.time_s, SPACING_MM, network)
    pool = heart.labels == LV_POOL
    assert pool[drawn.lv_pool].mean() > 0.9
    assert not pool[aorta].any()


def slice_of(drawn, *, cut=0):
    """A slice of the first pass, with its first `cut` rows outside the field of view."""
    geometry = SliceGeometry(
        position_mm=(0.0, cut * SPACING_MM[0], 0.0),
        column_direction=(1.0, 0.0, 0.0),
        row_direction=(0.0, 1.0, 0.0),
        spacing_mm=SPACING_MM,
        thickness_mm=8.0,
    )
    return PerfusionSlice(frames=drawn.frames[:, cut:], time_s=drawn.time_s, geometry=geometry)


def test_a_cavity_too_small_to_stand_out_is_found_where_the_next_slice_shows_the_heart(network):
    apex = draw(cavity_mm=4)
    apical = slice_of(apex, cut=12)
    with pytest.raises(NoBolusError):
        find_heart(apical.frames, apical.time_s, SPACING_MM, network)
    _, heart = find_hearts([slice_of(draw()), apical], network)
    assert isinstance(heart, Heart)
    assert heart.peak_frame == pytest.approx(apex.peak_frame, abs=1)
    assert heart.left[apex.myocardium[12:]].mean() > 0.9


def test_a_slice_without_a_heart_stays_without_whatever_the_next_one_shows(network):
    drawn = draw()
    lung = drawn.frames.copy()
    lung[:, drawn.myocardium | drawn.lv_pool | drawn.rv_pool] = 0.05
    beside = PerfusionSlice(frames=lung, time_s=drawn.time_s, geometry=slice_of(drawn).geometry)
    heart, nothing = find_hearts([slice_of(drawn), beside], network)
    assert isinstance(heart, Heart)
    assert isinstance(nothing, NoBolusError)


def test_where_no_slice_shows_a_heart_each_says_why(network):
    short = draw()
    few = PerfusionSlice(
        frames=short.frames[:5], time_s=short.time_s[:5], geometry=slice_of(short).geometry
    )
    assert [type(one) for one in find_hearts([few, few], network)] == [TooFewFramesError] * 2


def test_every_pool_that_fills_is_a_candidate_and_the_left_ventricle_among_them():
    drawn = draw()
    frames, _ = with_aorta(drawn)
    found = ventricle_candidates(frames, drawn.time_s, SPACING_MM)
    inside = [drawn.lv_pool[one.core].mean() for one in found]
    assert max(inside) > 0.95
    assert list(found) == sorted(found, key=lambda one: -one.score)


def test_a_pool_counts_less_where_no_right_ventricle_fills_before_it():
    drawn = draw()
    alone = drawn.frames.copy()
    alone[:, drawn.rv_pool] = alone[0, drawn.rv_pool]
    with_right, without = (
        ventricle_candidates(frames, drawn.time_s, SPACING_MM)[0]
        for frames in (drawn.frames, alone)
    )
    assert drawn.lv_pool[with_right.core].mean() > 0.95
    assert drawn.lv_pool[without.core].mean() > 0.95
    assert without.score < 0.5 * with_right.score


def test_enhancement_measures_height_and_half_time_of_a_ramp():
    time_s = np.arange(40) * 0.5
    curve = 3 + np.clip(time_s - 5, 0, 8)
    seen = enhancement(np.tile(curve[:, None, None], (1, 2, 2)), time_s)
    assert seen.baseline == pytest.approx(3, abs=0.01)
    assert seen.rise == pytest.approx(8, abs=0.05)
    assert seen.arrival_s == pytest.approx(9, abs=0.1)
