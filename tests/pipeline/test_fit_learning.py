import numpy as np
import pytest

from pipeline.fit import fit_flow, learned_prior, model_in
from pipeline.fit.models import BTEX, Prior
from pipeline.study import State
from pipeline.units import impulse_response_at_zero_per_s as per_second
from tests.kinetic_truth import after_artery, blood_curve, input_of, plug_flow_exchange

TIME_S = np.arange(0.0, 60.0, 0.9)
FLOWS = np.linspace(0.6, 2.4, 12)
NAMES = [one.name for one in BTEX.parameters]


@pytest.fixture(scope="module")
def blood():
    return input_of(TIME_S, blood_curve(TIME_S))


@pytest.fixture(scope="module")
def fit_segments(blood):
    """Segments of a heart of high permeability and a small interstitium."""
    heart = {"ps_ml_min_g": 1.9, "blood_volume": 0.1, "interstitium": 0.13, "delay_s": 1.2}
    rng = np.random.default_rng(5)
    curves = np.array(
        [plug_flow_exchange(TIME_S, blood_curve, mbf_ml_min_g=flow, **heart) for flow in FLOWS]
    )
    curves = curves + 0.01 * curves.max() * rng.standard_normal(curves.shape)
    return lambda prior: [fit_flow(curves, TIME_S, blood, prior=prior)]


def named(prior, name):
    return prior.mean[NAMES.index(name)], prior.spread[NAMES.index(name)]


def test_what_the_curves_of_a_heart_share_is_learned_from_all_of_them(fit_segments):
    learned = learned_prior(fit_segments, "btex")
    for name, truth in (("ps_per_s", 1.9 * 1.05 / 60.0), ("interstitium", 0.13)):
        mean, spread = named(learned, name)
        assert mean == pytest.approx(np.log(truth), abs=0.12)
        assert spread < named(BTEX.prior, name)[1]


def test_the_usual_flow_of_the_heart_is_learned_but_not_how_little_its_curves_differ(fit_segments):
    mean, spread = named(learned_prior(fit_segments, "btex"), "flow_per_s")
    assert mean == pytest.approx(np.log(per_second(FLOWS)).mean(), abs=0.1)
    assert BTEX.parameters[0].local_spread <= spread <= BTEX.parameters[0].spread


def test_cavity_blood_is_never_shared(fit_segments):
    assert named(learned_prior(fit_segments, "btex"), "spill") == named(BTEX.prior, "spill")


@pytest.fixture(scope="module")
def stressed(blood):
    """Fits segments of a stressed heart behind an artery, whose flows are given."""

    def flows_found(flows, n_kept=None):
        artery = after_artery(blood_curve, mean_s=0.7)
        rng = np.random.default_rng(11)
        curves = np.array(
            [
                plug_flow_exchange(
                    TIME_S,
                    artery,
                    mbf_ml_min_g=flow,
                    ps_ml_min_g=1.1,
                    blood_volume=0.11,
                    interstitium=0.2,
                    delay_s=0.2,
                )
                for flow in np.unique(flows)
            ]
        )[np.unique(flows, return_inverse=True)[1]]
        curves = curves + 0.01 * curves.max() * rng.standard_normal(curves.shape)
        model, chosen = model_in(State.STRESS, "btex"), curves[:n_kept]
        prior = learned_prior(
            lambda before: [fit_flow(chosen, TIME_S, blood, model=model, prior=before)], model
        )
        return fit_flow(curves, TIME_S, blood, model=model, prior=prior).mbf_ml_min_g

    return flows_found


def test_a_defect_reads_the_same_beside_high_flow_as_beside_low_flow(stressed):
    """With the prior of an even heart it would be drawn up by what its neighbours have."""
    defect = 0.9
    found = [
        np.mean(stressed(np.array([defect] * 3 + [remote] * 13))[:3]) for remote in (1.3, 2.4, 3.6)
    ]
    assert np.ptp(found) < 0.05 * defect
    assert found == pytest.approx([defect] * 3, rel=0.08)


@pytest.mark.parametrize("flow", [1.2, 2.5, 4.0])
def test_what_is_usual_draws_an_even_heart_no_more_than_a_tenth(stressed, flow):
    assert np.mean(stressed(np.full(16, flow))) == pytest.approx(flow, rel=0.1)


def test_what_is_usual_is_expected_of_the_heart_once_and_not_of_every_curve(stressed):
    flows = np.full(16, 4.0)
    few, many = np.mean(stressed(flows, 5)), np.mean(stressed(flows))
    assert abs(many / few - 1.0) < 0.08


@pytest.fixture(scope="module")
def bent(blood):
    """Found over true flow of 16 even segments of 3 mL/min/g whose curves all bend alike."""

    def ratios(share):
        artery, rng = after_artery(blood_curve, mean_s=0.7), np.random.default_rng(11)
        tissue = {"ps_ml_min_g": 1.1, "blood_volume": 0.11, "interstitium": 0.2, "delay_s": 0.2}
        flows = 3.0 * np.exp(0.07 * rng.standard_normal(16))
        curves = np.array(
            [plug_flow_exchange(TIME_S, artery, mbf_ml_min_g=flow, **tissue) for flow in flows]
        )
        peak_s = TIME_S[np.argmax(blood.concentration_mmol_l)]
        bend = share * np.sin(2.0 * np.pi * np.clip((TIME_S - peak_s + 1.0) / 24.0, 0.0, 1.0))
        noise = 0.004 * rng.standard_normal(curves.shape)
        curves += curves.max(axis=1, keepdims=True) * (bend + noise)
        model = model_in(State.STRESS, "btex")
        prior = learned_prior(
            lambda before: [fit_flow(curves, TIME_S, blood, model=model, prior=before)], model
        )
        return fit_flow(curves, TIME_S, blood, model=model, prior=prior).mbf_ml_min_g / flows

    return ratios


def test_a_percent_by_which_curves_bend_does_not_become_two_thirds_of_flow(bent):
    """Motion and readout bend curves of segments by more than noise; it must count as an error."""
    assert np.mean(bent(0.01)) < 1.4
    assert np.mean(bent(0.0)) == pytest.approx(1.0, abs=0.06)


def test_what_no_model_fits_does_not_scatter_the_segments_of_an_even_heart(bent):
    assert np.std(bent(0.0)) < 0.05


def test_too_few_curves_teach_nothing(fit_segments, blood):
    def two(prior: Prior):
        [whole] = fit_segments(prior)
        curves = whole.fitted_mmol_l[:2]
        return [fit_flow(curves, TIME_S, blood, prior=prior)]

    assert learned_prior(two, "btex") == BTEX.prior


def test_deconvolution_without_a_model_has_nothing_to_learn(fit_segments):
    assert learned_prior(fit_segments, "model-free") is None
