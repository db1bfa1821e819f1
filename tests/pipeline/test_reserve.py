import numpy as np
import pytest

from pipeline import reserve
from pipeline.reserve import Territory
from pipeline.result import (
    Finding,
    FirstPassResult,
    FitStatus,
    InputFunction,
    SegmentFlow,
    SegmentReserve,
    Severity,
)
from pipeline.study import State
from tests.pipeline.blood_phantom import physics, readout

PHYSICS = physics(readout())


def flow(segment, mbf, status=FitStatus.CONVERGED, n_pixels=10, **more):
    return SegmentFlow(
        segment=segment,
        mbf_ml_min_g=mbf,
        mbf_sd_ml_min_g=0.1,
        mbf_pixel_median_ml_min_g=mbf + 0.1,
        n_pixels=n_pixels,
        status=status,
        **more,
    )


def first_pass(state, segments, **more):
    arterial = InputFunction(
        time_s=np.arange(3.0),
        concentration_mmol_l=np.ones(3),
        arrival_s=0.0,
        first_pass_end_s=2.0,
        source="LV pool",
    )
    return FirstPassResult(
        label=str(state),
        state=state,
        slices=(),
        input_function=arterial,
        segments=tuple(segments),
        model="btex",
        physics=PHYSICS,
        used=PHYSICS,
        **more,
    )


def test_reserve_is_given_only_where_both_states_were_measured():
    rest = [flow(1, 0.8), flow(2, 0.9, FitStatus.TOO_NOISY), flow(3, 1.0)]
    stress = [flow(1, 2.4), flow(2, 2.0), flow(4, 2.0)]
    found = reserve.reserve(rest, stress)
    assert [(one.segment, one.mpr) for one in found] == [(1, pytest.approx(3.0))]
    assert found[0].mpr_corrected is None


def test_territories_cover_each_of_the_sixteen_segments_once():
    members = sum(reserve.SEGMENTS_OF_TERRITORY.values(), ())
    assert sorted(members) == list(range(1, 17))


def test_territory_flow_weights_segments_by_pixels_in_every_way_of_measuring():
    found = reserve.territory_flows(
        [
            flow(3, 1.0, n_pixels=10, mbf_endo_ml_min_g=0.9, mbf_epi_ml_min_g=1.1),
            flow(4, 2.0, n_pixels=30, mbf_endo_ml_min_g=1.7, mbf_epi_ml_min_g=2.3),
        ]
    )
    assert [one.territory for one in found] == [Territory.RCA, None]
    for one in found:
        assert one.n_pixels == 40
        assert one.mbf_ml_min_g == pytest.approx(1.75)
        assert one.mbf_sd_ml_min_g == pytest.approx(0.1 * np.hypot(0.25, 0.75))
        assert one.pixel_difference_ml_min_g == pytest.approx(0.1)
        assert one.endo_epi_ratio == pytest.approx(1.5 / 2.0)


def test_layers_of_a_territory_come_from_the_segments_that_have_both():
    [lad, _] = reserve.territory_flows(
        [flow(1, 1.0, mbf_endo_ml_min_g=1.0, mbf_epi_ml_min_g=2.0), flow(2, 1.0)]
    )
    assert lad.endo_epi_ratio == pytest.approx(0.5)
    [lad, _] = reserve.territory_flows([flow(1, 1.0, mbf_endo_ml_min_g=1.0)])
    assert np.isnan(lad.endo_epi_ratio)


def test_reserve_of_a_territory_is_that_of_the_segments_measured_in_both_states():
    rest = [flow(1, 1.0), flow(2, 1.0), flow(7, 9.0, FitStatus.FAILED)]
    stress = [flow(1, 2.0), flow(2, 4.0), flow(7, 99.0), flow(8, 99.0)]
    found = reserve.territory_reserve(rest, stress)
    assert {one.territory: one.mpr for one in found} == {
        Territory.LAD: pytest.approx(3.0),
        None: pytest.approx(3.0),
    }


def test_rest_is_corrected_to_the_usual_work_of_the_heart():
    at_work = first_pass(
        State.REST, [flow(1, 1.5)], heart_rate_bpm=100.0, systolic_pressure_mmhg=150.0
    )
    assert at_work.rate_pressure_product == pytest.approx(15_000)
    correction = reserve.work_correction(at_work.rate_pressure_product)
    [found] = reserve.reserve(at_work.segments, [flow(1, 3.0)], correction)
    assert (found.mpr, found.mpr_corrected) == (pytest.approx(2.0), pytest.approx(3.0))


@pytest.mark.parametrize("known", [{"heart_rate_bpm": 60.0}, {"systolic_pressure_mmhg": 120.0}])
def test_without_rate_or_pressure_nothing_is_corrected_and_it_is_said(known):
    rest = first_pass(State.REST, [flow(1, 1.0)], **known)
    assert reserve.work_correction(rest.rate_pressure_product) is None
    [sentence] = reserve.work_sentences([rest])
    assert "not corrected" in sentence


def test_a_share_below_the_threshold_counts_pixels_of_segments():
    reserves = [SegmentReserve(segment=n, mpr=mpr) for n, mpr in ((1, 1.5), (2, 2.5), (9, 1.0))]
    stress = [flow(1, 2.0, n_pixels=10), flow(2, 2.0, n_pixels=30)]
    assert reserve.low_reserve_share(reserves, stress, 2.0) == pytest.approx(0.25)
    assert np.isnan(reserve.low_reserve_share([], stress, 2.0))


def test_the_table_lays_states_side_by_side_and_marks_what_is_missing():
    rest = first_pass(State.REST, [flow(1, 1.0), flow(2, 1.0)])
    stress = first_pass(State.STRESS, [flow(1, 3.0), flow(4, 3.0)])
    rows = reserve.flow_table([rest, stress], reserve.reserve(rest.segments, stress.segments))
    assert [one.segment for one in rows[:3]] == [1, 2, 4]
    assert [one.territory for one in rows[3:]] == [Territory.LAD, Territory.RCA, None]
    assert rows[1].flows[1] is None
    assert rows[0].reserve.mpr == rows[-1].reserve.mpr == pytest.approx(3.0)
    assert rows[1].reserve is None


def test_only_a_single_first_pass_that_is_not_withheld_is_shown():
    doubt = Finding(code="x", severity=Severity.WITHHOLD, sentence="Wrong.")
    good, bad = first_pass(State.REST, []), first_pass(State.REST, [], findings=(doubt,))
    assert reserve.only_shown([good, bad], State.REST) is good
    assert reserve.only_shown([good, good], State.REST) is None
    assert reserve.only_shown([bad], State.REST) is None
