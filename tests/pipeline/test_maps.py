import numpy as np
import pytest

from pipeline import maps
from pipeline.fit import FlowFit
from pipeline.margins import measured_wall
from pipeline.result import FitStatus, Regions


def fit_of(flows, n_times=3):
    flows = np.asarray(flows, dtype=float)
    status = np.where(np.isfinite(flows), FitStatus.CONVERGED.value, FitStatus.NOT_FITTED.value)
    return FlowFit(
        mbf_ml_min_g=flows,
        flow_per_s=flows / 60.0,
        mbf_sd_ml_min_g=0.1 * flows,
        mbf_model_sd_ml_min_g=0.06 * flows,
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
    pixels = fit_of(np.full(n_pixels, flow))
    halves = {segment: 0.9 * flow, segment + 16: 1.1 * flow}
    return maps.slice_segments(curves, fit, np.arange(3.0), pixels, labels, halves)


def test_segment_seen_in_two_slices_is_their_mean_by_pixels_and_no_better_than_the_worse():
    merged = maps.merge_segments([table(7, 1.0, 10), table(7, 2.0, 30, FitStatus.AT_BOUND)])
    assert [one.segment for one in merged] == [7]
    assert merged[0].mbf_ml_min_g == pytest.approx(1.75)
    assert merged[0].mbf_pixel_median_ml_min_g == pytest.approx(1.75)
    assert merged[0].endo_epi_ratio == pytest.approx(0.9 / 1.1)
    assert merged[0].n_pixels == 40
    assert merged[0].status is FitStatus.AT_BOUND


def test_table_is_ordered_by_segment():
    merged = maps.merge_segments([table(9, 1.0, 10), table(2, 1.0, 10)])
    assert [one.segment for one in merged] == [2, 9]


def test_segment_curve_leaves_the_rim_out_where_enough_of_the_wall_remains():
    inner = np.zeros((6, 6), dtype=bool)
    inner[1:-1, 1:-1] = True
    inner = inner.ravel()
    curves = np.where(inner[:, None], 1.0, 50.0) * np.ones((36, 3))
    found = maps.segment_curves(curves, np.full(36, 5), inner)
    np.testing.assert_allclose(found.curves_mmol_l, np.ones((1, 3)))
    assert found.n_pixels == (16,)


def test_thin_wall_keeps_its_rim():
    nothing_inner = np.zeros(20, dtype=bool)
    found = maps.segment_curves(np.ones((20, 3)), np.full(20, 5), nothing_inner)
    assert found.n_pixels == (20,)


def ring():
    radius = np.hypot(*(np.indices((40, 40)) - 20))
    return radius, Regions(
        myocardium=(radius >= 8) & (radius < 16),
        lv_pool=radius < 8,
        rv_pool=np.zeros((40, 40), dtype=bool),
    )


def test_the_halves_of_the_wall_part_half_way_between_cavity_and_outside():
    radius, regions = ring()
    outer = maps.outer_half(regions, (1.5, 1.5))
    assert radius[regions.myocardium][outer].min() >= 11.5
    assert radius[regions.myocardium][~outer].max() <= 12.5


def test_halves_are_numbered_so_that_each_belongs_to_its_segment():
    numbers = maps.half_numbers(np.array([1, 1, 0, 16]), np.array([False, True, True, True]))
    assert numbers.tolist() == [1, 17, 0, 32]


def test_a_half_without_a_fit_to_go_by_has_no_flow():
    halves = maps.segment_curves(np.ones((20, 3)), np.array([5] * 10 + [21] * 10))
    fit = fit_of([1.0, 2.0])
    fit.status[1] = FitStatus.TOO_NOISY
    assert maps.half_flows(halves, fit) == {5: 1.0}


def test_low_flow_share_counts_fitted_pixels_without_the_rim():
    _, regions = ring()
    myocardium = regions.myocardium
    measured = measured_wall(regions, (1.5, 1.5))
    inner = measured[myocardium]
    flow = np.where(inner, 3.0, 0.5)  # blood in the rim
    left = np.nonzero(myocardium)[1] < 20
    flow[left & inner] = 1.0
    flow[:5] = np.nan
    found = maps.flow_maps(myocardium, fit_of(flow))
    share = maps.low_flow_share([(found, measured)], 2.0)
    assert share == pytest.approx(np.mean(left[inner]), abs=0.02)
    assert np.isnan(maps.low_flow_share([], 2.0))


def test_single_noisy_pixels_are_no_burden():
    _, regions = ring()
    flow = np.full((40, 40), 3.0)
    flow[::4, ::4] = 0.2
    found = maps.flow_maps(regions.myocardium, fit_of(flow[regions.myocardium]))
    assert maps.low_flow_share([(found, regions.myocardium)], 2.0) == 0.0


def test_noise_averages_out_between_slices_and_the_error_of_the_model_does_not():
    [merged] = maps.merge_segments([table(7, 1.0, 20), table(7, 1.0, 20)])
    assert merged.mbf_model_sd_ml_min_g == pytest.approx(0.06)
    assert merged.mbf_sd_ml_min_g == pytest.approx(np.hypot(0.06, 0.08 / np.sqrt(2.0)))


def test_a_segment_whose_fit_is_too_noisy_has_no_flow_but_a_status():
    noisy = table(7, 9.0, 30, FitStatus.TOO_NOISY)
    assert np.isnan([noisy[0].mbf_ml_min_g, noisy[0].mbf_sd_ml_min_g]).all()
    assert noisy[0].status is FitStatus.TOO_NOISY
    [merged] = maps.merge_segments([noisy, table(7, 1.0, 10)])
    assert (merged.mbf_ml_min_g, merged.status) == (1.0, FitStatus.CONVERGED)
