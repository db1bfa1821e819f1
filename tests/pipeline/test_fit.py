from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import InvalidStudyError
from pipeline.fit import fit_flow, model_in
from pipeline.fit.models import BTEX_ERROR, MODELS
from pipeline.result import FitStatus
from pipeline.study import State
from tests.kinetic_truth import blood_curve, input_of, plug_flow_exchange

TIME_S = np.arange(0.0, 60.0, 0.9)
INPUT = input_of(TIME_S, blood_curve(TIME_S))
HEALTHY_STRESS = {
    "mbf_ml_min_g": 2.8,
    "ps_ml_min_g": 1.3,
    "blood_volume": 0.12,
    "interstitium": 0.21,
}


@pytest.fixture(scope="module")
def stress_curve():
    return plug_flow_exchange(TIME_S, blood_curve, delay_s=1.0, **HEALTHY_STRESS)


@pytest.mark.parametrize("model", [*MODELS, "model-free"])
def test_flow_is_proportional_to_the_curve_over_the_input(model, stress_curve):
    doubled = replace(INPUT, concentration_mmol_l=2.0 * INPUT.concentration_mmol_l)
    one = fit_flow(stress_curve[None], TIME_S, INPUT, model=model)
    other = fit_flow(2.0 * stress_curve[None], TIME_S, doubled, model=model)
    assert other.mbf_ml_min_g == pytest.approx(one.mbf_ml_min_g, rel=1e-6)


@pytest.mark.parametrize("model", [*MODELS, "model-free"])
def test_a_later_curve_changes_the_delay_and_not_the_flow(model):
    curves = np.array(
        [
            plug_flow_exchange(TIME_S, blood_curve, delay_s=delay, **HEALTHY_STRESS)
            for delay in (0.6, 1.8)
        ]
    )
    found = fit_flow(curves, TIME_S, INPUT, model=model)
    assert np.diff(found.delay_s)[0] == pytest.approx(1.2, abs=0.3)  # the prior of the delay draws
    assert found.mbf_ml_min_g[1] == pytest.approx(found.mbf_ml_min_g[0], rel=0.15)


def test_each_curve_is_fitted_alone_whatever_the_others_are(stress_curve):
    rng = np.random.default_rng(2)
    curves = stress_curve + 0.05 * rng.standard_normal((5, TIME_S.size))
    curves[3] *= 40.0
    together = fit_flow(curves, TIME_S, INPUT)
    alone = fit_flow(curves[1:2], TIME_S, INPUT)
    assert together.mbf_ml_min_g[1] == pytest.approx(alone.mbf_ml_min_g[0], rel=1e-6)


def test_curves_with_missing_values_are_data_not_an_exception(stress_curve):
    curves = np.array([stress_curve, np.full_like(stress_curve, np.nan)])
    found = fit_flow(curves, TIME_S, INPUT)
    assert found.status.tolist() == [FitStatus.CONVERGED, FitStatus.NOT_FITTED]
    assert np.isnan(found.mbf_ml_min_g[1])
    assert fit_flow(curves[1:], TIME_S, INPUT).status.tolist() == [FitStatus.NOT_FITTED]


def test_noise_without_enhancement_is_never_called_converged():
    rng = np.random.default_rng(3)
    found = fit_flow(0.05 * rng.standard_normal((50, TIME_S.size)), TIME_S, INPUT)
    assert np.isin(found.status, (FitStatus.TOO_NOISY, FitStatus.AT_BOUND)).mean() > 0.9


def test_a_frame_that_is_an_outlier_hardly_moves_the_flow(stress_curve):
    rng = np.random.default_rng(4)
    clean = stress_curve + 0.02 * rng.standard_normal(TIME_S.size)
    spoilt = clean.copy()
    spoilt[16] += 1.0
    found = fit_flow(np.array([clean, spoilt]), TIME_S, INPUT)
    assert found.mbf_ml_min_g[1] == pytest.approx(found.mbf_ml_min_g[0], rel=0.1)


def test_frames_of_no_weight_have_no_influence(stress_curve):
    weight = np.ones_like(TIME_S)
    weight[15] = 0.0
    spoilt = stress_curve.copy()
    spoilt[15] = 50.0
    found = [
        fit_flow(curve[None], TIME_S, INPUT, frame_weight=weight).mbf_ml_min_g[0]
        for curve in (stress_curve, spoilt)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_an_unknown_model_is_refused_by_name(stress_curve):
    with pytest.raises(InvalidStudyError, match="guesswork"):
        fit_flow(stress_curve[None], TIME_S, INPUT, model="guesswork")


def test_stress_flow_is_expected_to_be_higher_only_where_the_curves_leave_it_open(stress_curve):
    clear = stress_curve + 0.002 * np.random.default_rng(4).standard_normal(TIME_S.size)
    noisy = stress_curve + 0.15 * np.random.default_rng(4).standard_normal(TIME_S.size)
    rest, stress = (
        fit_flow(np.array([clear, noisy]), TIME_S, INPUT, model=model_in(state, "btex"))
        for state in (State.REST, State.STRESS)
    )
    more = stress.mbf_ml_min_g / rest.mbf_ml_min_g
    assert more[0] == pytest.approx(1.0, abs=0.1)
    assert more[1] > more[0] + 0.05
    assert model_in(State.STRESS, "model-free") == "model-free"


def test_no_standard_deviation_is_smaller_than_the_error_of_the_model(stress_curve):
    found = fit_flow(stress_curve[None], TIME_S, INPUT)
    assert found.mbf_model_sd_ml_min_g == pytest.approx(BTEX_ERROR * found.mbf_ml_min_g)
    assert (found.mbf_sd_ml_min_g > found.mbf_model_sd_ml_min_g).all()
