import numpy as np
import pytest

from pipeline import reserve
from pipeline.result import FitStatus, FlowMaps, SegmentFlow


def flow(segment, mbf, status=FitStatus.CONVERGED, n_pixels=10):
    return SegmentFlow(
        segment=segment,
        mbf_ml_min_g=mbf,
        mbf_sd_ml_min_g=0.1,
        mbf_pixel_median_ml_min_g=mbf,
        n_pixels=n_pixels,
        status=status,
    )


def test_reserve_is_given_only_where_both_states_were_measured():
    rest = [flow(1, 0.8), flow(2, 0.9, FitStatus.TOO_NOISY), flow(3, 1.0)]
    stress = [flow(1, 2.4), flow(2, 2.0), flow(4, 2.0)]
    found = reserve.reserve(rest, stress)
    assert [(one.segment, one.mpr) for one in found] == [(1, pytest.approx(3.0))]


def test_territories_cover_each_of_the_sixteen_segments_once():
    members = sum(reserve.SEGMENTS_OF_TERRITORY.values(), ())
    assert sorted(members) == list(range(1, 17))


def test_territory_flow_weights_segments_by_pixels():
    found = reserve.territory_flow([flow(3, 1.0, n_pixels=10), flow(4, 2.0, n_pixels=30)])
    assert found == {reserve.Territory.RCA: pytest.approx(1.75)}


def test_burden_counts_only_fitted_pixels():
    status = np.full((2, 3), FitStatus.CONVERGED.value)
    status[0, 0] = FitStatus.TOO_NOISY.value
    values = np.array([[0.1, 1.0, 1.0], [3.0, 3.0, 3.0]])
    maps = FlowMaps(mbf_ml_min_g=values, mbf_sd_ml_min_g=values, delay_s=values, status=status)
    assert reserve.ischaemic_burden([maps], 2.0) == pytest.approx(0.4)
    assert np.isnan(reserve.ischaemic_burden([], 2.0))
