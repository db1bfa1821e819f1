"""What the curves of one heart have in common, learned as a prior for each of them.

Permeability, volumes and delay vary much between people and little within one heart. Flow itself is
never shared: an ischaemic territory must not be drawn towards its neighbours.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.fit import model_free
from pipeline.fit.flow import FlowFit
from pipeline.fit.models import Model, Prior, model_named
from pipeline.result import FitStatus
from pipeline.study import FloatArray

LEAST_CURVES = 4
"""Fewer curves than this say nothing about the spread within the heart."""

_NORMAL_MAD = 1.4826
"""Standard deviation over median absolute deviation of a normal distribution."""


def learned_prior(fits: Sequence[FlowFit], model: str | Model) -> Prior | None:
    """Learn the prior of one heart in one state from fits made with the general prior.

    Parameters
    ----------
    fits
        Of segment curves, one for each slice: they have less noise than pixels.
    model
        What was fitted.

    Returns
    -------
    Median and robust spread of each parameter over the converged curves, the spread not below what
    the model allows within a heart; flow as in general. The general prior where too few curves
    converged; None for deconvolution without a model, which has nothing to learn.
    """
    if model == model_free.NAME:
        return None
    kinetic = model_named(model)
    general = kinetic.prior
    converged = [fit.status == FitStatus.CONVERGED for fit in fits]
    if sum(int(np.count_nonzero(one)) for one in converged) < LEAST_CURVES:
        return general
    mean, spread = list(general.mean), list(general.spread)
    floors = [*(one.local_spread for one in kinetic.parameters), kinetic.delay.local_spread_s]
    for index, floor in enumerate(floors):
        if floor >= general.spread[index]:
            continue
        values = np.concatenate(
            [
                _column(fit, kinetic, index)[chosen]
                for fit, chosen in zip(fits, converged, strict=True)
            ]
        )
        middle = float(np.median(values))
        width = _NORMAL_MAD * float(np.median(np.abs(values - middle)))
        mean[index], spread[index] = middle, min(max(width, floor), general.spread[index])
    return Prior(mean=tuple(mean), spread=tuple(spread))


def _column(fit: FlowFit, model: Model, index: int) -> FloatArray:
    """One column of the fits' positions [curve]."""
    if index == len(model.parameters):
        return fit.delay_s
    logarithm: FloatArray = np.log(fit.parameters[model.parameters[index].name])
    return logarithm
