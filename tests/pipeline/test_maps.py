import numpy as np
import pytest

from pipeline import maps
from pipeline.fit import FlowFit
from pipeline.result import FitStatus, Regions


def fit_of(flows, n_times=3):
    flows = np.asarray(flows, dtype=float)
    status = np.where(np.isfinite(flows), FitStatus.CONVERGED.value, FitStatus.NOT_FITTED.value)
    return FlowFit(
        mbf_ml_min_g=flows,
        flow_per_s=flows / 60.0,
        mbf_sd_ml_min_g=0.1 * flows,
        delay_s=np.ones_like(flows),
        status=status,
        fitted_mmol_l=np.zeros((flows.size, n_times)),
        parameters={},
    )


def test_pixels_return_to_their_places_and_the_rest_is_not_fitted():
    mask = np.array([[True, False], [False, True]])
    found = maps.flow_maps(mask, fit_of([1.0, 2.0]))
    assert found.mbf_ml_min_g[0, 0] == 1.0
    assert found.mbf_ml_min_g[1, 1] == 2.0
    assert np.isnan(found.mbf_ml_min_g[~mask]).all()
    assert (found.status[~mask] == FitStatus.NOT_FITTED).all()


def test_segment_curve_is_not_moved_by_a_contaminated_pixel():
    curves = np.ones((20, 3))
    curves[0] = 100.0
    found = maps.segment_curves(curves, np.full(20, 5))
    np.testing.assert_allclose(found.curves_mmol_l, np.ones((1, 3)))
    assert found.segments == (5,)


def test_segment_without_enough_usable_pixels_has_no_curve():
    curves = np.ones((10, 3))
    curves[:7] = np.nan
    found = maps.segment_curves(curves, np.array([1] * 9 + [2]))
    assert found.segments == ()
    assert found.curves_mmol_l.shape == (0, 3)


def table(segment, flow, n_pixels, status=FitStatus.CONVERGED):
    labels = np.full(n_pixels, segment)
    curves = maps.segment_curves(np.ones((n_pixels, 3)), labels)
    fit = fit_of([flow])
    fit.status[:] = status.value
    return maps.slice_segments(curves, fit, np.arange(3.0), fit_of(np.full(n_pixels, flow)), labels)


def test_segment_seen_in_two_slices_is_their_mean_by_pixels_and_no_better_than_the_worse():
    merged = maps.merge_segments([table(7, 1.0, 10), table(7, 2.0, 30, FitStatus.AT_BOUND)])
    assert [one.segment for one in merged] == [7]
    assert merged[0].mbf_ml_min_g == pytest.approx(1.75)
    assert merged[0].mbf_pixel_median_ml_min_g == pytest.approx(1.75)
    assert merged[0].n_pixels == 40
    assert merged[0].status is FitStatus.AT_BOUND


def test_table_is_ordered_by_segment():
    merged = maps.merge_segments([table(9, 1.0, 10), table(2, 1.0, 10)])
    assert [one.segment for one in merged] == [2, 9]


def test_segment_curve_leaves_the_rim_out_where_enough_of_the_wall_remains():
    wall = np.ones((6, 6), dtype=bool)
    inner = maps.inner_pixels(wall)
    curves = np.where(inner[:, None], 1.0, 50.0) * np.ones((36, 3))
    found = maps.segment_curves(curves, np.full(36, 5), inner)
    np.testing.assert_allclose(found.curves_mmol_l, np.ones((1, 3)))
    assert found.n_pixels == (16,)


def test_thin_wall_keeps_its_rim():
    wall = np.ones((2, 10), dtype=bool)
    found = maps.segment_curves(np.ones((20, 3)), np.full(20, 5), maps.inner_pixels(wall))
    assert found.n_pixels == (20,)


def test_endocardial_ratio_compares_the_two_halves_of_the_wall():
    radius = np.hypot(*(np.indices((40, 40)) - 20))
    regions = Regions(
        myocardium=(radius >= 8) & (radius < 16),
        lv_pool=radius < 8,
        rv_pool=np.zeros((40, 40), dtype=bool),
    )
    flow = np.where(radius < 12, 1.5, 3.0)
    found = maps.flow_maps(regions.myocardium, fit_of(flow[regions.myocardium]))
    assert maps.endocardial_ratio(found, regions) == pytest.approx(0.5)
