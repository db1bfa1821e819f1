"""Fit of a kinetic model with parameters, under a prior, by Levenberg-Marquardt."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import qmc
from torch import Tensor

from pipeline.fit.batch import BatchFit, judge
from pipeline.fit.convolution import DTYPE, Convolution
from pipeline.fit.models import Model, Prior
from pipeline.fit.problem import Problem
from pipeline.fit.solver import CHUNK, Linearisation, Search, linearise, solve

LOG2_STARTS = 10
"""So many positions (as power of 2) are tried for each curve; the search starts at the best."""

OUTLIER_SCORE = 3.5
"""Modified z-score of a residual above which a frame is left out (Iglewicz and Hoaglin 1993)."""

_NOISE_START_SHARE = 0.05
"""Noise that the first fit assumes, as share of the curve's height; then it is measured."""

_RIM_SPREADS = 2.5
_UNLIKELY = 20.0
"""Squared standard deviations from the prior at which another valley is looked for."""

_SECOND_SEARCHES = 8
"""So many starts are followed then."""

SHAPE_ERROR = 0.01
"""Error of every frame beside noise, as share of the height of the curve: no heart is the model,
and readout and motion bend curves by a percent or two. Segments have less noise than that, and such
bends are taken for what they would mean to a capillary: a flow up to twice too high."""

_MEASUREMENTS = 2
"""Where the first fit assumed too much noise, the prior has drawn it away from the data, and the
first residuals are too large."""


class Parametric:
    """A model, ready for one input function and one set of times.

    Parameters
    ----------
    model, prior, haematocrit
        What is fitted.
    window
        Which frames are used [time].
    inside, everywhere
        The input convolved for the frames in the window, and for all.
    """

    def __init__(
        self,
        model: Model,
        prior: Prior,
        haematocrit: float,
        window: Tensor,
        inside: Convolution,
        everywhere: Convolution,
    ) -> None:
        self._model, self._window = model, window
        self._problem = Problem(model, prior, inside, haematocrit)
        self._whole = Problem(model, prior, everywhere, haematocrit)
        self._starts = _starts(self._problem, model)

    def fit(self, data: Tensor) -> BatchFit:
        """Fit with an assumed noise, measure the noise, drop outlier frames, fit again."""
        problem, data = self._problem, data[:, self._window]
        search = self._search(data)
        for _ in range(_MEASUREMENTS):
            search = solve(problem, data, _measured_weight(problem, search), search.near)
        position = search.position
        covariance = torch.linalg.inv(search.appraisal.precision)
        sd_log_flow = covariance[:, 0, 0].sqrt().to(DTYPE)
        near = 1e-3 * problem.prior_spread
        at_bound = (position < problem.lowest + near) | (position > problem.highest - near)
        fitted = torch.cat([self._whole.curves(some) for some in torch.split(position, CHUNK)])
        signal = (search.weight * fitted[:, self._window] ** 2).sum(dim=1).sqrt()
        flow, *others = position[:, :-1].exp().unbind(1)
        names = [parameter.name for parameter in self._model.parameters[1:]]
        return BatchFit(
            flow_per_s=flow,
            flow_sd_per_s=flow * sd_log_flow,
            delay_s=position[:, -1],
            status=judge(flow, flow * sd_log_flow, signal, at_bound[:, [0, -1]].any(dim=1)),
            fitted=fitted,
            parameters=dict(zip(names, others, strict=True)),
            position=position.double(),
            precision=search.appraisal.precision,
            noise_share=search.weight.amax(dim=1).rsqrt() / fitted.amax(dim=1),
        )

    def _search(self, data: Tensor) -> Search:
        """Follow the best start, and more of them where what it leads to is unlikely."""
        weight = _assumed_weight(data)
        search = self._lowest(data, weight, self._model.n_searches)
        position = search.near.position
        doubtful = self._problem.prior_cost(position) > _UNLIKELY
        doubtful |= (position[:, 0] <= self._problem.lowest[0]) | (
            position[:, 0] >= self._problem.highest[0]
        )
        if self._model.n_searches == 1 and doubtful.any():
            rows = doubtful.nonzero()[:, 0]
            again = self._lowest(data[rows], weight[rows], _SECOND_SEARCHES)
            better = again.appraisal.cost < search.appraisal.cost[rows]
            search.put(rows[better], again, better.nonzero()[:, 0])
        return search

    def _lowest(self, data: Tensor, weight: Tensor, n_searches: int) -> Search:
        starts = self._starts.nearest(data, weight, n_searches)
        best = solve(self._problem, data, weight, starts[0])
        for start in starts[1:]:
            other = solve(self._problem, data, weight, start)
            better = other.appraisal.cost < best.appraisal.cost
            lower = better.nonzero()[:, 0]
            best.put(lower, other, lower)
        return best


@dataclass(frozen=True, kw_only=True, eq=False)
class _Starts:
    """Positions from which fits can start, and the model there."""

    near: Linearisation
    prior_cost: Tensor

    def nearest(self, data: Tensor, weight: Tensor, count: int) -> list[Linearisation]:
        """Those of lowest cost for each curve, best first; weights are equal over time."""
        values, variance = self.near.values, weight[:, :1].reciprocal()
        # Cost times variance, without the square of the curve itself, is one product of matrices.
        of_starts = torch.column_stack([-2.0 * values, values.square().sum(dim=1), self.prior_cost])
        of_curves = torch.column_stack([data, torch.ones_like(variance), variance])
        found = []
        for some in torch.split(of_curves, CHUNK):
            cost = some @ of_starts.T
            found.append(
                cost.min(dim=1, keepdim=True).indices
                if count == 1
                else cost.topk(count, largest=False).indices
            )
        return [self.near.rows(index) for index in torch.cat(found).T]


def _starts(problem: Problem, model: Model) -> _Starts:
    """Evenly scattered positions: any flow, all else within a standard deviation of the prior.

    Cavity blood reaches further up, because at the rim of the wall there is much of it.
    """
    lowest = torch.maximum(problem.prior_mean - problem.prior_spread, problem.lowest)
    highest = problem.prior_mean + problem.prior_spread
    for index, one in enumerate(model.parameters):
        if one.name == model.spill:
            highest[index] = problem.prior_mean[index] + _RIM_SPREADS * problem.prior_spread[index]
    highest = torch.minimum(highest, problem.highest)
    lowest[0], highest[0] = problem.lowest[0], problem.highest[0]
    scattered = qmc.Sobol(lowest.numel(), scramble=False).random_base2(LOG2_STARTS)
    position = lowest + torch.as_tensor(scattered, dtype=DTYPE) * (highest - lowest)
    return _Starts(near=linearise(problem, position), prior_cost=problem.prior_cost(position))


def _assumed_weight(data: Tensor) -> Tensor:
    """Inverse variance of each sample for a noise in proportion to the height of the curve."""
    height = data.abs().amax(dim=1, keepdim=True).clamp(min=1e-3)
    return ((_NOISE_START_SHARE * height) ** -2).expand_as(data)


def _measured_weight(problem: Problem, search: Search) -> Tensor:
    """Inverse variance of each sample, of noise by the residuals and of shape; 0 for outliers.

    Parameters use up degrees of freedom as far as the data determine them and not the prior.
    """
    determined = (
        1.0
        - torch.linalg.inv(search.appraisal.precision).diagonal(dim1=1, dim2=2)
        / problem.prior_spread.double().square()
    )
    residual = search.residual
    size, middle = residual.abs(), (residual.shape[1] - 1) // 2
    # The median, five times faster than torch finds it.
    median = np.partition(size.numpy(), middle, axis=1)[:, middle, None]
    kept = (size <= OUTLIER_SCORE / 0.6745 * torch.from_numpy(median)).to(residual.dtype)
    freedom = (kept.sum(dim=1) - determined.sum(dim=1)).clamp(min=1.0).to(residual.dtype)
    variance = (kept * residual**2).sum(dim=1) / freedom
    variance += (SHAPE_ERROR * search.near.values.amax(dim=1)) ** 2
    return kept / variance.clamp(min=1e-12)[:, None]
