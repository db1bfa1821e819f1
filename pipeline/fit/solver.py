"""Levenberg-Marquardt for many curves at once, with a prior.

All curves share the model, the input function and the sampling times; each has its own weights and
damping. A position is the logarithms of the model's parameters, then the delay [s]. A curve that
has converged is not computed any further, and those that have not are put together, so that
the last few do not make everybody wait.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.fit.convolution import DTYPE
from pipeline.fit.problem import Problem

CHUNK = 512
"""Curves that are computed together: more would leave the cache, fewer would not fill it."""

_TOLERANCE = 0.1
"""A fit has converged when the next step promises to lower the cost by no more than this (that step
is still taken), or when the last one did not. One unit of cost is one standard deviation, so what
remains is well inside the noise."""

_LARGEST_STEP = 1.0
"""In any parameter; keeps the first steps inside the region where the linearisation holds."""

_ITERATIONS = 50


Rows = Tensor | slice
"""Which curves."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Linearisation:
    """The model near some positions; rows are curves."""

    position: Tensor
    """[curve, parameter + 1]."""
    values: Tensor
    """[curve, time]."""
    slopes: Tensor
    """[curve, parameter + 1, time]."""

    def rows(self, chosen: Rows) -> "Linearisation":
        """Choose some of them, one even several times."""
        return Linearisation(
            position=self.position[chosen], values=self.values[chosen], slopes=self.slopes[chosen]
        )

    def put(self, rows: Rows, other: "Linearisation") -> None:
        """Overwrite `rows` by those of another."""
        self.position[rows] = other.position
        self.values[rows] = other.values
        self.slopes[rows] = other.slopes


@dataclass(frozen=True, kw_only=True, eq=False)
class Search:
    """Where the fits of some curves stand; rows are curves."""

    data: Tensor
    weight: Tensor
    """Inverse variances, 0 for samples that are not used [curve, time]."""
    near: Linearisation
    """The model where the cost is the lowest of all that were computed."""
    cost: Tensor
    """There: squared weighted residuals plus squared distance from the prior."""
    position: Tensor
    """Where the search has got to: at most a step away that promised next to nothing."""
    precision: Tensor
    """Curvature of half the cost, by Gauss and Newton: the inverse covariance [curve,
    parameter + 1, same], in double precision, because weak parameters would drown in rounding."""
    gradient: Tensor
    damping: Tensor

    @property
    def residual(self) -> Tensor:
        """Data less model [curve, time]."""
        return self.data - self.near.values

    def put(self, rows: Tensor, other: "Search", chosen: Tensor) -> None:
        """Overwrite `rows` by the `chosen` of another search of the same curves."""
        self.cost[rows] = other.cost[chosen]
        self.position[rows] = other.position[chosen]
        self.precision[rows] = other.precision[chosen]
        self.gradient[rows] = other.gradient[chosen]
        self.damping[rows] = other.damping[chosen]
        self.near.put(rows, other.near.rows(chosen))


def linearise(problem: Problem, position: Tensor) -> Linearisation:
    """Linearise the model at positions [curve, parameter + 1]."""
    parts = [problem.linearise(some) for some in torch.split(position, CHUNK)]
    values, slopes = (torch.cat(one) for one in zip(*parts, strict=True))
    return Linearisation(position=position, values=values, slopes=slopes)


def solve(problem: Problem, data: Tensor, weight: Tensor, near: Linearisation) -> Search:
    """Minimise sum(weight (data - model)^2) + prior.

    Parameters
    ----------
    problem
        Model, input and prior.
    data, weight
        Curves and inverse variances [curve, time]; weight 0 for samples that are not to be used.
    near
        The model where the search starts; it is overwritten.
    """
    search = _begin(problem, data, weight, near)
    active = torch.arange(data.shape[0])
    for _ in range(_ITERATIONS):
        steps = [_propose(problem, search, rows) for rows in torch.split(active, CHUNK)]
        trial, moving = (torch.cat(one) for one in zip(*steps, strict=True))
        search.position[active[~moving]] = trial[~moving]
        active, trial = active[moving], trial[moving]
        if active.numel() == 0:
            break
        still = [
            _visit(problem, search, rows, there)
            for rows, there in zip(
                torch.split(active, CHUNK), torch.split(trial, CHUNK), strict=True
            )
        ]
        active = active[torch.cat(still)]
    return search


def _begin(problem: Problem, data: Tensor, weight: Tensor, near: Linearisation) -> Search:
    n_curves, n_parameters = near.position.shape
    search = Search(
        data=data,
        weight=weight,
        near=near,
        cost=torch.empty((n_curves,), dtype=DTYPE),
        position=near.position.clone(),
        precision=torch.empty((n_curves, n_parameters, n_parameters), dtype=torch.float64),
        gradient=torch.empty((n_curves, n_parameters), dtype=torch.float64),
        damping=torch.full((n_curves,), 1e-2, dtype=torch.float64),
    )
    for start in range(0, n_curves, CHUNK):
        rows = slice(start, start + CHUNK)
        here = near.rows(rows)
        search.cost[rows] = _cost(problem, search, rows, here)
        _weigh(problem, search, rows, here)
    return search


def _propose(problem: Problem, search: Search, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Next positions [curve, parameter + 1], and whether they still promise anything [curve].

    A parameter at a bound that wants to go beyond it stays there, and the others step without it. A
    step that a bound cuts short says nothing about what is left to gain.
    """
    position, gradient, damped = (
        one[rows] for one in (search.position, search.gradient, search.precision)
    )
    held = (position <= problem.lowest) & (gradient < 0.0)
    held |= (position >= problem.highest) & (gradient > 0.0)
    damped.diagonal(dim1=1, dim2=2).mul_(1.0 + search.damping[rows, None])
    if held.any():
        diagonal, free = damped.diagonal(dim1=1, dim2=2).clone(), (~held).double()
        damped *= free[:, :, None] * free[:, None]
        damped.diagonal(dim1=1, dim2=2).copy_(diagonal)
        gradient *= free
    step = torch.linalg.solve(damped, gradient)
    promised = (step * gradient).sum(dim=1)
    whole = position + step.to(DTYPE).clamp_(-_LARGEST_STEP, _LARGEST_STEP)
    trial = whole.clamp(problem.lowest, problem.highest)
    return trial, (promised > _TOLERANCE) | (trial != whole).any(dim=1)


def _visit(problem: Problem, search: Search, rows: Tensor, there: Tensor) -> Tensor:
    """Try proposed positions, keep those that lower the cost; tells which still move [curve]."""
    values, slopes = problem.linearise(there)
    found = Linearisation(position=there, values=values, slopes=slopes)
    cost = _cost(problem, search, rows, found)
    fall = search.cost[rows] - cost
    better = fall >= 0.0
    search.damping[rows] *= torch.where(better, 0.2, 5.0)
    moving = ~better | (fall > _TOLERANCE)
    if not better.all():
        rows, found, cost = rows[better], found.rows(better), cost[better]
    search.cost[rows] = cost
    search.position[rows] = found.position
    search.near.put(rows, found)
    _weigh(problem, search, rows, found)
    return moving


def _cost(problem: Problem, search: Search, rows: Rows, here: Linearisation) -> Tensor:
    residual = search.data[rows] - here.values
    misfit = (residual.square_() * search.weight[rows]).sum(dim=1)
    return misfit + problem.prior_cost(here.position)


def _weigh(problem: Problem, search: Search, rows: Rows, here: Linearisation) -> None:
    """Gradient and curvature of half the cost."""
    root = search.weight[rows].sqrt()
    weighted = here.slopes * root[:, None]
    residual = (search.data[rows] - here.values) * root
    precision = problem.prior_spread.double() ** -2
    curvature = (weighted @ weighted.transpose(1, 2)).double()
    curvature.diagonal(dim1=1, dim2=2).add_(precision)
    gradient = (weighted @ residual[:, :, None]).squeeze(2).double()
    search.precision[rows] = curvature
    search.gradient[rows] = gradient + precision * (problem.prior_mean - here.position)
