import numpy as np
import pytest

from pipeline.phantom import simulate
from tests.small_phantom import FAST


@pytest.fixture(scope="module")
def phantom():
    return simulate(7, FAST)


def test_the_same_seed_gives_the_same_study(phantom):
    again = simulate(7, FAST)
    np.testing.assert_array_equal(
        phantom.study.first_passes[0].slices[0].frames, again.study.first_passes[0].slices[0].frames
    )


def test_another_seed_gives_another_heart(phantom):
    other = simulate(8, FAST)
    mine = phantom.truth.first_passes[0].slices[0].regions.myocardium
    assert (mine != other.truth.first_passes[0].slices[0].regions.myocardium).any()


def test_the_blood_is_brightest_at_the_peak_frame_where_the_mask_says(phantom):
    one, truth = phantom.study.first_passes[0].slices[0], phantom.truth.first_passes[0].slices[0]
    frame = one.frames[truth.peak_lv_frame]
    assert np.median(frame[truth.regions.lv_pool]) > 2 * np.median(frame[truth.regions.myocardium])


def test_every_pixel_of_the_wall_has_a_flow_and_a_segment_and_no_other(phantom):
    truth = phantom.truth.first_passes[0].slices[0]
    np.testing.assert_array_equal(np.isfinite(truth.mbf_ml_min_g), truth.regions.myocardium)
    np.testing.assert_array_equal(truth.sectors > 0, truth.regions.myocardium)


def test_the_displacement_is_zero_at_the_reference_frame(phantom):
    truth = phantom.truth.first_passes[0].slices[0]
    np.testing.assert_array_equal(truth.displacement_mm[truth.reference_frame], 0.0)
