import numpy as np
import pytest

from pipeline.fit import fit_flow, learned_prior
from pipeline.fit.models import BTEX, Prior
from tests.kinetic_truth import blood_curve, input_of, plug_flow_exchange

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


def test_flow_and_cavity_blood_are_never_shared(fit_segments):
    learned = learned_prior(fit_segments, "btex")
    for name in ("flow_per_s", "spill"):
        assert named(learned, name) == named(BTEX.prior, name)


def test_too_few_curves_teach_nothing(fit_segments, blood):
    def two(prior: Prior):
        [whole] = fit_segments(prior)
        curves = whole.fitted_mmol_l[:2]
        return [fit_flow(curves, TIME_S, blood, prior=prior)]

    assert learned_prior(two, "btex") == BTEX.prior


def test_deconvolution_without_a_model_has_nothing_to_learn(fit_segments):
    assert learned_prior(fit_segments, "model-free") is None
