"""Fit of a kinetic model with parameters, under a prior, by Levenberg-Marquardt."""

from dataclasses import dataclass

import torch
from scipy.stats import qmc
from torch import Tensor

from pipeline.fit import solver
from pipeline.fit.batch import BatchFit, judge
from pipeline.fit.convolution import DTYPE, Convolution
from pipeline.fit.models import Model, Prior

LOG2_STARTS = 10
"""So many positions (as power of 2) are tried for each curve; the search starts at the best."""

OUTLIER_SCORE = 3.5
"""Modified z-score of a residual above which a frame is left out (Iglewicz and Hoaglin 1993)."""

_NOISE_START_SHARE = 0.05
"""Noise that the first fit assumes, as share of the curve's height; then it is measured."""


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
        self._problem = solver.Problem(model, prior, inside, haematocrit)
        self._whole = solver.Problem(model, prior, everywhere, haematocrit)
        self._starts = _starts(self._problem)

    def fit(self, data: Tensor) -> BatchFit:
        """Fit with an assumed noise, measure the noise, drop outlier frames, fit again."""
        problem, data = self._problem, data[:, self._window]
        height = data.abs().amax(dim=1, keepdim=True).clamp(min=1e-3)
        variance = (_NOISE_START_SHARE * height) ** 2
        first = self._search(data, (1.0 / variance).expand_as(data), variance)
        weight = _measured_weight(problem, data, first)
        position = solver.solve(problem, data, weight, first)
        sd_log_flow = solver.covariance(problem, position, weight)[:, 0, 0].sqrt().to(DTYPE)
        near = 1e-3 * problem.prior_spread
        at_bound = (position < problem.lowest + near) | (position > problem.highest - near)
        signal = (weight * problem.curves(position) ** 2).sum(dim=1).sqrt()
        flow, *others = position[:, :-1].exp().unbind(1)
        names = [parameter.name for parameter in self._model.parameters[1:]]
        return BatchFit(
            flow_per_s=flow,
            flow_sd_per_s=flow * sd_log_flow,
            delay_s=position[:, -1],
            status=judge(flow, flow * sd_log_flow, signal, at_bound[:, [0, -1]].any(dim=1)),
            fitted=self._whole.curves(position),
            parameters=dict(zip(names, others, strict=True)),
        )

    def _search(self, data: Tensor, weight: Tensor, variance: Tensor) -> Tensor:
        """Lowest of the valleys that the best starts lead to [curve, parameter + 1]."""
        starts = self._starts.nearest(data, variance, self._model.n_searches)
        ends = [solver.solve(self._problem, data, weight, start) for start in starts]
        if len(ends) == 1:
            return ends[0]
        cost = torch.stack([self._problem.cost(end, data, weight) for end in ends])
        return torch.stack(ends)[cost.argmin(dim=0), torch.arange(data.shape[0])]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Starts:
    """Positions from which fits can start, and their curves."""

    position: Tensor
    curves: Tensor
    prior_cost: Tensor

    def nearest(self, data: Tensor, variance: Tensor, count: int) -> list[Tensor]:
        """Positions of lowest cost for each curve, best first; noise of `variance` [curve, 1]."""
        distance = (self.curves**2).sum(dim=1) - 2.0 * data @ self.curves.T
        cost = distance / variance + self.prior_cost
        return [self.position[index] for index in cost.topk(count, largest=False).indices.T]


def _starts(problem: solver.Problem) -> _Starts:
    """Evenly scattered positions: any flow, all else within a standard deviation of the prior."""
    lowest = torch.maximum(problem.prior_mean - problem.prior_spread, problem.lowest)
    highest = torch.minimum(problem.prior_mean + problem.prior_spread, problem.highest)
    lowest[0], highest[0] = problem.lowest[0], problem.highest[0]
    scattered = qmc.Sobol(lowest.numel(), scramble=False).random_base2(LOG2_STARTS)
    position = lowest + torch.as_tensor(scattered, dtype=DTYPE) * (highest - lowest)
    return _Starts(
        position=position,
        curves=problem.curves(position),
        prior_cost=problem.prior_cost(position),
    )


def _measured_weight(problem: solver.Problem, data: Tensor, position: Tensor) -> Tensor:
    """Inverse variance of each sample from the residuals; 0 for outlier frames."""
    residual = data - problem.curves(position)
    spread = residual.abs().median(dim=1, keepdim=True).values / 0.6745
    kept = (residual.abs() <= OUTLIER_SCORE * spread).to(data.dtype)
    freedom = (kept.sum(dim=1) - position.shape[1]).clamp(min=1.0)
    variance = (kept * residual**2).sum(dim=1) / freedom
    return kept / variance.clamp(min=1e-12)[:, None]
