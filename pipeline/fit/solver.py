"""Levenberg-Marquardt for many curves at once, with priors, on normalised parameters.

All curves share the model, the input function and the sampling times; each has its own noise,
weights, damping and status. A curve that has converged is not computed any further.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.fit.convolution import Convolution
from pipeline.fit.models import Model

_DIFFERENCE = 1e-4
"""Step of the one-sided difference in the logarithm of a parameter (double precision)."""

_TOLERANCE = 1e-3
"""A fit has converged when a step changes no parameter by more than this share of its prior."""

_LARGEST_STEP = 1.0
"""In any logarithm; keeps the first steps inside the region where the linearisation holds."""


@dataclass(kw_only=True, eq=False)
class Solution:
    """Where the fits stand; one row a curve."""

    position: Tensor
    """Logarithms of the parameters, then the delay [s], [curve, parameter + 1]."""
    cost: Tensor
    """Squared weighted residuals plus squared prior residuals, [curve]."""
    converged: Tensor
    """[curve]."""


class Problem:
    """Curves to be fitted: data, weights, model and prior in one place."""

    def __init__(self, model: Model, convolution: Convolution, data: Tensor) -> None:
        self.model, self.convolution, self.data = model, convolution, data
        log_bounds = torch.tensor(
            [[one.lowest, one.highest, one.median] for one in model.parameters],
            dtype=data.dtype,
        ).log()
        delay = torch.tensor(
            [[model.delay.lowest_s, model.delay.highest_s, model.delay.mean_s]], dtype=data.dtype
        )
        self.lowest, self.highest, self.prior_mean = torch.cat([log_bounds, delay]).unbind(1)
        self.prior_spread = torch.tensor(
            [*(one.spread for one in model.parameters), model.delay.spread_s], dtype=data.dtype
        )

    def curves(self, position: Tensor) -> Tensor:
        """Model curves [curve, time] at `position`."""
        on_grid = self.convolution(
            self.model.impulse_response(self.convolution.lag_s, position[:, :-1].exp())
        )
        return self.convolution.sample(on_grid, position[:, -1])[0]

    def linearise(self, position: Tensor) -> tuple[Tensor, Tensor]:
        """Model curves [curve, time] and Jacobian [curve, time, parameter + 1]."""
        n_curves, n_parameters = position.shape
        shifted = position[:, None, :-1].repeat(1, n_parameters, 1)
        for index in range(n_parameters - 1):
            shifted[:, index + 1, index] += _DIFFERENCE
        response = self.model.impulse_response(
            self.convolution.lag_s, shifted.reshape(-1, n_parameters - 1).exp()
        )
        delay = position[:, -1:].expand(n_curves, n_parameters).reshape(-1)
        values, by_delay = self.convolution.sample(self.convolution(response), delay)
        values = values.reshape(n_curves, n_parameters, -1)
        here = values[:, 0]
        by_parameters = (values[:, 1:] - here[:, None]) / _DIFFERENCE
        by_delay = by_delay.reshape(n_curves, n_parameters, -1)[:, :1]
        return here, torch.cat([by_parameters, by_delay], dim=1).transpose(1, 2)

    def prior_cost(self, position: Tensor) -> Tensor:
        """Squared distance from the prior in its standard deviations [curve]."""
        return (((position - self.prior_mean) / self.prior_spread) ** 2).sum(dim=1)


def solve(problem: Problem, start: Tensor, weight: Tensor, *, n_iterations: int = 25) -> Solution:
    """Minimise sum(weight (data - model)^2) + prior from `start`.

    Parameters
    ----------
    problem
        Data and model.
    start
        [curve, parameter + 1].
    weight
        Inverse variances [curve, time]; 0 for samples that are not to be used.
    """
    position = start.clamp(problem.lowest, problem.highest)
    residual = problem.data - problem.curves(position)
    cost = (weight * residual**2).sum(dim=1) + problem.prior_cost(position)
    solution = Solution(
        position=position, cost=cost, converged=torch.zeros_like(cost, dtype=torch.bool)
    )
    damping = torch.full_like(cost, 1e-2)
    for _ in range(n_iterations):
        active = torch.nonzero(~solution.converged).squeeze(1)
        if active.numel() == 0:
            break
        _iterate(problem, solution, damping, weight, active)
    return solution


def _iterate(
    problem: Problem, solution: Solution, damping: Tensor, weight: Tensor, active: Tensor
) -> None:
    """One damped step of the active curves, kept where it lowers the cost."""
    position, weight_here, data = (
        whole[active] for whole in (solution.position, weight, problem.data)
    )
    values, jacobian = problem.linearise(position)
    curvature, gradient = _normal_equations(problem, position, data - values, jacobian, weight_here)
    diagonal = torch.diag_embed(curvature.diagonal(dim1=1, dim2=2) * damping[active][:, None])
    step = torch.linalg.solve(curvature + diagonal, gradient).clamp(-_LARGEST_STEP, _LARGEST_STEP)
    trial = (position + step).clamp(problem.lowest, problem.highest)
    residual = data - problem.curves(trial)
    cost = (weight_here * residual**2).sum(dim=1) + problem.prior_cost(trial)
    better = cost <= solution.cost[active]
    small = ((trial - position).abs() < _TOLERANCE * problem.prior_spread).all(dim=1)
    solution.position[active] = torch.where(better[:, None], trial, position)
    solution.cost[active] = torch.where(better, cost, solution.cost[active])
    solution.converged[active] = small
    damping[active] = torch.where(better, damping[active] / 5.0, damping[active] * 5.0).clamp(
        1e-9, 1e9
    )


def _normal_equations(
    problem: Problem, position: Tensor, residual: Tensor, jacobian: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    weighted = jacobian * weight[:, :, None]
    precision = problem.prior_spread**-2
    curvature = jacobian.transpose(1, 2) @ weighted + torch.diag(precision)
    gradient = (weighted.transpose(1, 2) @ residual[:, :, None]).squeeze(2)
    return curvature, gradient + precision * (problem.prior_mean - position)


def covariance(problem: Problem, position: Tensor, weight: Tensor) -> Tensor:
    """Covariance of the parameters from the curvature at the solution (Laplace).

    Same normalisation as `position`: logarithms, then the delay [s];
    [curve, parameter + 1, parameter + 1].
    """
    values, jacobian = problem.linearise(position)
    curvature, _ = _normal_equations(problem, position, torch.zeros_like(values), jacobian, weight)
    return torch.linalg.inv(curvature)
