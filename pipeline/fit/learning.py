"""What the curves of one heart have in common, learned as a prior for each of them.

Permeability, volumes, dispersion and delay vary much between people and little within one heart.
No single curve determines them well, all of them together do. Flow itself is never shared: an
ischaemic territory must not be drawn towards its neighbours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.fit import model_free
from pipeline.fit.flow import FlowFit
from pipeline.fit.models import Model, Prior, model_named
from pipeline.result import FitStatus
from pipeline.study import FloatArray

LEAST_CURVES = 4
"""Fewer curves than this say nothing about the spread within the heart."""

_ROUNDS = 2
"""Fits of the segments to learn from, each with the prior of the one before: the first stand where
the general prior drew them, and what their curvature says far from there is not exact."""

_PSEUDO_CURVES = 8.0
"""The expected spread within a heart counts like so many curves that have it."""

_FURTHEST = 2.5
"""No heart is believed to lie further from people in general, in their standard deviations: where a
model does not fit, its parameters run away together."""

_ITERATIONS = 200


FitSegments = Callable[[Prior], Sequence[FlowFit]]
"""Fits the segment curves of each slice with a given prior."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Evidence:
    """What the curves say without the prior: normal likelihoods of their positions."""

    information: FloatArray
    """Inverse covariances [curve, parameter + 1, same]; they may be singular."""
    pull: FloatArray
    """Information times the most likely position [curve, parameter + 1]."""


def learned_prior(fit_segments: FitSegments, model: str | Model) -> Prior | None:
    """Learn the prior of one heart in one state from fits of its segments.

    Empirical Bayes: every parameter of a curve is taken to scatter about the mean of its heart, and
    that about the mean of people. Mean and spread in the heart are found by expectation and
    maximisation on Laplace's approximation of the fits (Dempster 1977,
    doi 10.1111/j.2517-6161.1977.tb01600.x); the spread starts from the model's expectation and
    departs from it as far as the curves say.

    Parameters
    ----------
    fit_segments
        Fits segment curves, which have less noise than pixels; one fit for each slice.
    model
        What is fitted.

    Returns
    -------
    Flow and cavity blood as in general, the rest as learned. The general prior where too few curves
    converge; None for deconvolution without a model, which has nothing to learn.
    """
    if model == model_free.NAME:
        return None
    kinetic = model_named(model)
    prior = kinetic.prior
    for _ in range(_ROUNDS):
        evidence = _evidence(fit_segments(prior))
        if len(evidence.pull) < LEAST_CURVES:
            break
        prior = _learned(evidence, kinetic)
    return prior


def _learned(evidence: _Evidence, model: Model) -> Prior:
    """Mean and spread within the heart of what its curves share."""
    expected = np.array(
        [*(one.local_spread for one in model.parameters), model.delay.local_spread_s]
    )
    population_mean = np.array(model.prior.mean)
    population_spread = np.array(model.prior.spread)
    shared, furthest = expected < population_spread, _FURTHEST * population_spread
    mean, spread = population_mean, np.where(shared, expected, population_spread)
    for _ in range(_ITERATIONS):
        found_mean, found_spread = _improved(
            evidence, mean, spread, population_mean, population_spread, expected
        )
        found_mean = np.clip(found_mean, population_mean - furthest, population_mean + furthest)
        mean = np.where(shared, found_mean, population_mean)
        spread = np.where(shared, np.minimum(found_spread, population_spread), population_spread)
    unsure = np.where(shared, _variance_of_mean(evidence, spread, population_spread), 0.0)
    return Prior(mean=tuple(mean), spread=tuple(np.sqrt(spread**2 + unsure)))


def _variance_of_mean(
    evidence: _Evidence, spread: FloatArray, population_spread: FloatArray
) -> FloatArray:
    """How far the mean of the heart itself may be off: it counts where it serves as known.

    Morris, J Am Stat Assoc 1983;78:47.
    """
    within = np.diag(spread**-2.0)
    covariance = np.linalg.inv(evidence.information + within)
    known = (within - within @ covariance @ within).sum(axis=0) + np.diag(population_spread**-2.0)
    variance: FloatArray = np.diag(np.linalg.inv(known))
    return variance


def _improved(
    evidence: _Evidence,
    mean: FloatArray,
    spread: FloatArray,
    population_mean: FloatArray,
    population_spread: FloatArray,
    expected_spread: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """One step of expectation and maximisation: mean and spread within the heart."""
    variance, n_curves = spread**2, len(evidence.pull)
    covariance = np.linalg.inv(evidence.information + np.diag(1.0 / variance))
    position = np.einsum("cij,cj->ci", covariance, evidence.pull + mean / variance)
    weight, general_weight = 1.0 / variance, 1.0 / population_spread**2
    found = (weight * position.sum(axis=0) + general_weight * population_mean) / (
        n_curves * weight + general_weight
    )
    scatter = ((position - found) ** 2).sum(axis=0) + np.einsum("cii->i", covariance)
    expected = _PSEUDO_CURVES * expected_spread**2
    return found, np.sqrt((expected + scatter) / (_PSEUDO_CURVES + n_curves))


def _evidence(fits: Sequence[FlowFit]) -> _Evidence:
    """Take the prior out of the fits that converged."""
    information, pull = [], []
    for fit in fits:
        if fit.posterior is None:
            continue
        chosen, before = fit.status == FitStatus.CONVERGED, fit.posterior.prior
        prior = np.diag(np.array(before.spread) ** -2.0)
        total = fit.posterior.precision[chosen]
        drawn = np.einsum("cij,cj->ci", total, fit.posterior.position[chosen])
        information.append(total - prior)
        pull.append(drawn - prior @ np.array(before.mean))
    return _Evidence(information=np.concatenate(information), pull=np.concatenate(pull))
