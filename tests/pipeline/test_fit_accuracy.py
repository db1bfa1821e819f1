"""Accuracy against flows that are known, from truths that the fitted models do not share."""

import numpy as np
import pytest
import torch

from pipeline.fit import fit_flow, learned_prior
from pipeline.fit.convolution import Convolution
from pipeline.fit.models import BTEX
from pipeline.fit.problem import Problem
from pipeline.units import flow_ml_min_g
from tests.kinetic_truth import HAEMATOCRIT, after_artery, blood_curve, input_of, plug_flow_exchange

TIME_S = np.arange(0.0, 60.0, 0.9)
FLOWS = np.array([0.4, 0.6, 0.9, 1.3, 1.9, 2.5, 3.2, 4.0, 5.0])
N_PIXELS = 24
CNR = 20.0


@pytest.fixture(scope="module")
def blood():
    return input_of(TIME_S, blood_curve(TIME_S))


@pytest.fixture(scope="module")
def hearts():
    """Curves [heart, flow, time] of hearts with different exchange, delay and dispersion."""
    rng = np.random.default_rng(7)
    kinds = [
        {
            "ps_ml_min_g": rng.uniform(0.8, 1.5),
            "blood_volume": rng.uniform(0.085, 0.13),
            "interstitium": rng.uniform(0.16, 0.26),
            "delay_s": rng.uniform(0.0, 0.7),
        }
        for _ in range(4)
    ]
    arteries = [after_artery(blood_curve, mean_s=rng.uniform(0.4, 0.9)) for _ in kinds]
    return np.array(
        [
            [plug_flow_exchange(TIME_S, artery, mbf_ml_min_g=flow, **kind) for flow in FLOWS]
            for kind, artery in zip(kinds, arteries, strict=True)
        ]
    )


def fitted(curves, blood, model):
    """Segment and pixel fits of one heart as the product makes them."""
    rng = np.random.default_rng(8)
    pixels = np.repeat(curves, N_PIXELS, axis=0)
    pixels = pixels + curves.max() / CNR * rng.standard_normal(pixels.shape)
    segments = pixels.reshape(len(curves), N_PIXELS, -1).mean(axis=1)
    prior = learned_prior(
        lambda prior: [fit_flow(segments, TIME_S, blood, model=model, prior=prior)], model
    )
    return (
        fit_flow(segments, TIME_S, blood, model=model, prior=prior),
        fit_flow(pixels, TIME_S, blood, model=model, prior=prior),
    )


@pytest.fixture(scope="module")
def btex_fits(hearts, blood):
    return [fitted(curves, blood, "btex") for curves in hearts]


def test_segment_flow_of_the_default_model_is_right_from_scar_to_stress(btex_fits):
    error = np.array([segments.mbf_ml_min_g / FLOWS - 1.0 for segments, _ in btex_fits])
    usual = error[:, FLOWS < 3.0]
    assert abs(usual.mean()) < 0.02
    assert 1.96 * usual.std() < 0.12


def test_maximal_hyperaemia_is_the_least_certain_but_not_lost(btex_fits):
    error = np.array([segments.mbf_ml_min_g / FLOWS - 1.0 for segments, _ in btex_fits])
    assert np.abs(error[:, FLOWS > 3.0]).max() < 0.36


def test_pixel_flow_of_the_default_model_is_within_a_few_percent_at_clinical_noise(btex_fits):
    error = np.array(
        [pixels.mbf_ml_min_g.reshape(-1, N_PIXELS) / FLOWS[:, None] - 1 for _, pixels in btex_fits]
    )
    assert np.median(np.abs(error)) < 0.08


def test_standard_deviations_say_how_wrong_pixel_flows_are(btex_fits):
    truth = np.repeat(FLOWS, N_PIXELS)
    score = np.array(
        [(pixels.mbf_ml_min_g - truth) / pixels.mbf_sd_ml_min_g for _, pixels in btex_fits]
    )
    assert 0.50 < np.mean(np.abs(score) < 1.0) < 0.80


def test_fits_of_the_models_own_hearts_find_them_and_know_how_well(blood):
    problem = Problem(BTEX, BTEX.prior, Convolution(blood, TIME_S), HAEMATOCRIT)
    mean, spread = np.array(BTEX.prior.mean), np.array(BTEX.prior.spread)
    rng = np.random.default_rng(0)
    position = mean + spread * rng.standard_normal((300, mean.size))
    position = np.clip(position, problem.lowest.numpy(), problem.highest.numpy())
    curves = problem.curves(torch.as_tensor(position, dtype=torch.float32)).double().numpy()
    height = curves.max(axis=1, keepdims=True)
    found = fit_flow(curves + 0.01 * height * rng.standard_normal(curves.shape), TIME_S, blood)
    truth = flow_ml_min_g(np.exp(position[:, 0]))
    assert np.abs(np.log(found.mbf_ml_min_g / truth)).max() < 1.0
    score = np.abs(found.mbf_ml_min_g - truth) / found.mbf_sd_ml_min_g
    assert 0.60 < np.mean(score < 1.0) < 0.76


def test_fermi_is_off_by_no_more_than_is_known_of_it(hearts, blood):
    segments, _ = fitted(hearts[0], blood, "fermi")
    error = segments.mbf_ml_min_g / FLOWS - 1.0
    assert (error[FLOWS < 1.0] > 0.0).all()
    assert np.abs(error).max() < 0.45


def test_order_of_flows_is_kept_by_every_fit(btex_fits):
    for segments, _ in btex_fits:
        assert (np.diff(segments.mbf_ml_min_g) > 0.0).all()
