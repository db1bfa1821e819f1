"""What the curves of one heart have in common, learned as a prior for each of them.

Permeability, volumes, dispersion and delay vary much between people and little within one heart.
No single curve determines them well, all of them together do. Under stress flow, volume, delay and
dispersion can stand in for each other: what is expected of flow decides then, and must be expected
of the heart once, not of each of its curves again. Hence the usual flow of the heart is learned
too; but how much its curves differ from it is not, so that an ischaemic territory is not drawn
towards its neighbours where the rest of the heart is even.
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

_COMMON_ERROR = 0.005
"""Error of the model that all curves of a heart have alike, as share of their height: no heart is a
capillary. However little noise they have, all together do not tell the heart's mean better than a
single curve with so much. Without it a hundredth of a curve that the model cannot fit overrules
what is known of people, and hearts of `benchmarks.flow_truths` read up to 80 % too high."""

_FLOW = 0
"""Its place among the parameters."""

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
    alike: float
    """What all curves together say of what they share counts by one over this."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Normal:
    """Independent normal distributions [parameter + 1]."""

    mean: FloatArray
    spread: FloatArray


def learned_prior(fit_segments: FitSegments, model: str | Model) -> Prior | None:
    """Learn the prior of one heart in one state from fits of its segments.

    Empirical Bayes: every parameter of a curve is taken to scatter about the mean of its heart, and
    that about the mean of people. Mean and spread in the heart are found by expectation and
    maximisation on Laplace's approximation of the fits (Dempster 1977,
    doi 10.1111/j.2517-6161.1977.tb01600.x); the spread starts from the model's expectation and
    departs from it as far as the curves say. That of flow does not depart from it.

    Parameters
    ----------
    fit_segments
        Fits segment curves, which have less noise than pixels; one fit for each slice.
    model
        What is fitted.

    Returns
    -------
    Cavity blood as in general, the rest as learned. The general prior where too few curves
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
    local = np.array([*(one.local_spread for one in model.parameters), model.delay.local_spread_s])
    usual = np.array(model.prior.mean)
    whole = np.array(model.prior.spread)
    shared = local < whole
    people = _Normal(
        mean=usual, spread=np.where(shared, np.sqrt(np.abs(whole**2 - local**2)), whole)
    )
    heart = _Normal(mean=usual, spread=np.where(shared, local, whole))
    learns_spread = shared.copy()
    learns_spread[_FLOW] = False
    furthest = _FURTHEST * people.spread
    for _ in range(_ITERATIONS):
        found = _improved(evidence, heart, people, local)
        mean = np.clip(found.mean, usual - furthest, usual + furthest)
        heart = _Normal(
            mean=np.where(shared, mean, usual),
            spread=np.where(learns_spread, np.minimum(found.spread, whole), heart.spread),
        )
    unsure = np.where(shared, _variance_of_mean(evidence, heart, people), 0.0)
    return Prior(mean=tuple(heart.mean), spread=tuple(np.sqrt(heart.spread**2 + unsure)))


def _variance_of_mean(evidence: _Evidence, heart: _Normal, people: _Normal) -> FloatArray:
    """How far the mean of the heart itself may be off: it counts where it serves as known.

    Morris, J Am Stat Assoc 1983;78:47.
    """
    within = np.diag(heart.spread**-2.0)
    covariance = np.linalg.inv(evidence.information + within)
    told = (within - within @ covariance @ within).sum(axis=0) / evidence.alike
    variance: FloatArray = np.diag(np.linalg.inv(told + np.diag(people.spread**-2.0)))
    return variance


def _improved(
    evidence: _Evidence, heart: _Normal, people: _Normal, expected_spread: FloatArray
) -> _Normal:
    """One step of expectation and maximisation: mean and spread within the heart."""
    n_curves, weight, general_weight = len(evidence.pull), heart.spread**-2, people.spread**-2
    covariance = np.linalg.inv(evidence.information + np.diag(weight))
    position = np.einsum("cij,cj->ci", covariance, evidence.pull + weight * heart.mean)
    told = weight / evidence.alike
    found = (told * position.sum(axis=0) + general_weight * people.mean) / (
        n_curves * told + general_weight
    )
    scatter = ((position - found) ** 2).sum(axis=0) + np.einsum("cii->i", covariance)
    expected = _PSEUDO_CURVES * expected_spread**2
    spread = np.sqrt((expected + scatter) / (_PSEUDO_CURVES + n_curves))
    return _Normal(mean=found, spread=spread)


def _evidence(fits: Sequence[FlowFit]) -> _Evidence:
    """Take the prior out of the fits that converged."""
    information, pull, noise_share = [], [], []
    for fit in fits:
        if fit.posterior is None:
            continue
        chosen, before = fit.status == FitStatus.CONVERGED, fit.posterior.prior
        prior = np.diag(np.array(before.spread) ** -2.0)
        total = fit.posterior.precision[chosen]
        drawn = np.einsum("cij,cj->ci", total, fit.posterior.position[chosen])
        information.append(total - prior)
        pull.append(drawn - prior @ np.array(before.mean))
        noise_share.append(fit.posterior.noise_share[chosen])
    alike = 1.0 + np.sum((_COMMON_ERROR / np.concatenate(noise_share)) ** 2)
    return _Evidence(
        information=np.concatenate(information), pull=np.concatenate(pull), alike=float(alike)
    )
