"""Levenberg-Marquardt for many curves at once, with a prior.

All curves share the model, the input function and the sampling times; each has its own weights
and damping. A position is the logarithms of the model's parameters, then the delay [s]. A curve
that has converged is not computed any further.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.fit.convolution import DTYPE, Convolution, at_front, behind_front
from pipeline.fit.models import Model, Prior

_DIFFERENCE = 3e-3
"""Step of the one-sided differences, for single precision."""

_TOLERANCE = 0.1
"""A fit has converged when the next step promises to lower the cost by no more than this. One unit
of cost is one standard deviation, so what remains is well inside the noise."""

_LARGEST_STEP = 1.0
"""In any parameter; keeps the first steps inside the region where the linearisation holds."""

_ITERATIONS = 50


class Problem:
    """Model, input and prior: from positions [curve, parameter + 1] to curves."""

    def __init__(
        self, model: Model, prior: Prior, convolution: Convolution, haematocrit: float
    ) -> None:
        self._model, self._convolution = model, convolution
        self._haematocrit = haematocrit
        names = [parameter.name for parameter in model.parameters]
        self._vascular = None if model.vascular is None else names.index(model.vascular)
        self._spill = None if model.spill is None else names.index(model.spill)
        self._undelayed = at_front(convolution.lag_s)
        self.lowest = torch.tensor(
            [*(math.log(one.lowest) for one in model.parameters), model.delay.lowest_s], dtype=DTYPE
        )
        self.highest = torch.tensor(
            [*(math.log(one.highest) for one in model.parameters), model.delay.highest_s],
            dtype=DTYPE,
        )
        self.prior_mean = torch.tensor(prior.mean, dtype=DTYPE)
        self.prior_spread = torch.tensor(prior.spread, dtype=DTYPE)

    def curves(self, position: Tensor) -> Tensor:
        """Model curves [curve, time]."""
        time, parameters = self._convolution.lag_s - position[:, -1:], position[:, :-1].exp()
        response = self._model.impulse_response(time.clamp(min=0.0), parameters, self._haematocrit)
        weights = response * behind_front(time)
        if self._vascular is not None:
            weights = weights + parameters[:, self._vascular, None] * at_front(time)
        if self._spill is not None:
            spill = parameters[:, self._spill, None]
            weights = (1.0 - spill) * weights + spill * self._undelayed
        return weights @ self._convolution.matrix

    def linearise(self, position: Tensor) -> tuple[Tensor, Tensor]:
        """Model curves [curve, time] and Jacobian [curve, time, parameter + 1]."""
        n_curves, n_parameters = position.shape
        shifts = torch.nn.functional.pad(torch.eye(n_parameters) * _DIFFERENCE, (0, 0, 1, 0))
        shifted = (position[:, None] + shifts).reshape(-1, n_parameters)
        values = self.curves(shifted).reshape(n_curves, n_parameters + 1, -1)
        here = values[:, 0]
        return here, ((values[:, 1:] - here[:, None]) / _DIFFERENCE).transpose(1, 2)

    def cost(self, position: Tensor, data: Tensor, weight: Tensor) -> Tensor:
        """Squared weighted residuals plus squared distance from the prior, [curve]."""
        misfit = (weight * (data - self.curves(position)) ** 2).sum(dim=1)
        return misfit + self.prior_cost(position)

    def prior_cost(self, position: Tensor) -> Tensor:
        """Squared distance from the prior in standard deviations, [curve]."""
        return (((position - self.prior_mean) / self.prior_spread) ** 2).sum(dim=1)


@dataclass(kw_only=True, eq=False)
class _Search:
    """Where the fits of some curves stand; rows are curves."""

    data: Tensor
    weight: Tensor
    position: Tensor
    cost: Tensor
    damping: Tensor

    def rows(self, chosen: Tensor) -> "_Search":
        return _Search(
            data=self.data[chosen],
            weight=self.weight[chosen],
            position=self.position[chosen],
            cost=self.cost[chosen],
            damping=self.damping[chosen],
        )


def solve(problem: Problem, data: Tensor, weight: Tensor, start: Tensor) -> Tensor:
    """Minimise sum(weight (data - model)^2) + prior from `start`.

    Parameters
    ----------
    problem
        Model, input and prior.
    data, weight
        Curves and inverse variances [curve, time]; weight 0 for samples that are not to be used.
    start
        [curve, parameter + 1].

    Returns
    -------
    Position of the lowest cost found [curve, parameter + 1].
    """
    result = start.clamp(problem.lowest, problem.highest)
    search = _Search(
        data=data,
        weight=weight,
        position=result.clone(),
        cost=problem.cost(result, data, weight),
        damping=torch.full_like(data[:, 0], 1e-2),
    )
    active = torch.arange(data.shape[0])
    for _ in range(_ITERATIONS):
        moving = _step(problem, search)
        result[active] = search.position
        active, search = active[moving], search.rows(moving)
        if active.numel() == 0:
            break
    return result


def _step(problem: Problem, search: _Search) -> Tensor:
    """One damped step, kept where it lowers the cost; tells which curves still move [curve]."""
    curvature, gradient = _normal_equations(problem, search)
    diagonal = curvature.diagonal(dim1=1, dim2=2) * search.damping[:, None]
    step = torch.linalg.solve(curvature + torch.diag_embed(diagonal), gradient).to(DTYPE)
    step = step.clamp(-_LARGEST_STEP, _LARGEST_STEP)
    trial = (search.position + step).clamp(problem.lowest, problem.highest)
    promised = ((trial - search.position) * gradient).sum(dim=1)
    cost = problem.cost(trial, search.data, search.weight)
    better = cost <= search.cost
    search.position = torch.where(better[:, None], trial, search.position)
    search.cost = torch.where(better, cost, search.cost)
    search.damping = search.damping * torch.where(better, 0.2, 5.0)
    return promised > _TOLERANCE


def _normal_equations(problem: Problem, search: _Search) -> tuple[Tensor, Tensor]:
    """Curvature and gradient, in double precision: weak parameters would drown in rounding."""
    values, jacobian = problem.linearise(search.position)
    root = search.weight.sqrt()
    weighted = (jacobian * root[:, :, None]).double()
    misfit = ((search.data - values) * root).double()
    precision = problem.prior_spread.double() ** -2
    curvature = weighted.transpose(1, 2) @ weighted + torch.diag(precision)
    gradient = (weighted.transpose(1, 2) @ misfit[:, :, None]).squeeze(2)
    return curvature, gradient + precision * (problem.prior_mean - search.position)


def covariance(problem: Problem, position: Tensor, weight: Tensor) -> Tensor:
    """Covariance of the position from the curvature there (Laplace's approximation).

    [curve, parameter + 1, parameter + 1].
    """
    here = _Search(
        data=weight, weight=weight, position=position, cost=weight[:, 0], damping=weight[:, 0]
    )
    curvature, _ = _normal_equations(problem, here)
    return torch.linalg.inv(curvature)
