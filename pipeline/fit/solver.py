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

CHUNK = 1024
"""Curves that are computed together: more would leave the cache, fewer would not fill it."""

_TOLERANCE = 0.1
"""A fit has converged when the next step promises to lower the cost by no more than this (that step
is still taken), or when the last one did not. One unit of cost is one standard deviation, so what
remains is well inside the noise."""

_LARGEST_STEP = 1.0
"""In any parameter; keeps the first steps inside the region where the linearisation holds."""

_ITERATIONS = 50


Rows = Tensor | slice
"""Which curves: their indices, or all from one to another."""


def taken(values: Tensor, rows: Rows) -> Tensor:
    """Return some rows; several times faster than by an index in brackets."""
    return values[rows] if isinstance(rows, slice) else values.index_select(0, rows)


@dataclass(frozen=True, kw_only=True, eq=False)
class Linearisation:
    """The model near some positions; rows are curves."""

    position: Tensor
    """[curve, parameter + 1]."""
    lines: Tensor
    """As `Problem.linearise` gives them [curve, parameter + 2, time]."""

    @property
    def values(self) -> Tensor:
        """Model curves [curve, time]."""
        return self.lines[:, -1]

    def rows(self, chosen: Rows) -> "Linearisation":
        """Choose some of them, one even several times."""
        return Linearisation(position=taken(self.position, chosen), lines=taken(self.lines, chosen))

    def put(self, rows: Rows, other: "Linearisation") -> None:
        """Overwrite `rows` by those of another."""
        self.position[rows] = other.position
        self.lines[rows] = other.lines


@dataclass(frozen=True, kw_only=True, eq=False)
class Appraisal:
    """What the data and the prior say of some positions; rows are curves."""

    cost: Tensor
    """Squared weighted residuals plus squared distance from the prior."""
    gradient: Tensor
    """Downwards, of half the cost [curve, parameter + 1]."""
    precision: Tensor
    """Curvature of half the cost, by Gauss and Newton: the inverse covariance [curve,
    parameter + 1, same], in double precision, because weak parameters would drown in rounding."""

    def rows(self, chosen: Rows) -> "Appraisal":
        """Choose some of them."""
        return Appraisal(
            cost=taken(self.cost, chosen),
            gradient=taken(self.gradient, chosen),
            precision=taken(self.precision, chosen),
        )

    def put(self, rows: Rows, other: "Appraisal") -> None:
        """Overwrite `rows` by those of another."""
        self.cost[rows] = other.cost
        self.gradient[rows] = other.gradient
        self.precision[rows] = other.precision


@dataclass(frozen=True, kw_only=True, eq=False)
class Search:
    """Where the fits of some curves stand; rows are curves."""

    data: Tensor
    weight: Tensor
    """Inverse variances, 0 for samples that are not used [curve, time]."""
    near: Linearisation
    """The model where the cost is the lowest of all that were computed."""
    appraisal: Appraisal
    """There."""
    position: Tensor
    """Where the search has got to: at most a step away that promised next to nothing."""
    damping: Tensor

    @property
    def residual(self) -> Tensor:
        """Data less model [curve, time]."""
        return self.data - self.near.values

    def put(self, rows: Tensor, other: "Search", chosen: Tensor) -> None:
        """Overwrite `rows` by the `chosen` of another search of the same curves."""
        self.position[rows] = other.position[chosen]
        self.damping[rows] = other.damping[chosen]
        self.near.put(rows, other.near.rows(chosen))
        self.appraisal.put(rows, other.appraisal.rows(chosen))


def linearise(problem: Problem, position: Tensor) -> Linearisation:
    """Linearise the model at positions [curve, parameter + 1]."""
    parts = [problem.linearise(some) for some in torch.split(position, CHUNK)]
    return Linearisation(position=position, lines=torch.cat(parts))


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
        appraisal=Appraisal(
            cost=torch.empty((n_curves,), dtype=DTYPE),
            gradient=torch.empty((n_curves, n_parameters), dtype=torch.float64),
            precision=torch.empty((n_curves, n_parameters, n_parameters), dtype=torch.float64),
        ),
        position=near.position.clone(),
        damping=torch.full((n_curves,), 1e-2, dtype=torch.float64),
    )
    for start in range(0, n_curves, CHUNK):
        rows = slice(start, start + CHUNK)
        search.appraisal.put(rows, _appraise(problem, search, rows, near.rows(rows)))
    return search


def _propose(problem: Problem, search: Search, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Next positions [curve, parameter + 1], and whether they still promise anything [curve].

    A parameter at a bound that wants to go beyond it stays there, and the others step without it. A
    step that a bound cuts short says nothing about what is left to gain.
    """
    position, here = taken(search.position, rows), search.appraisal.rows(rows)
    gradient, damped = here.gradient, here.precision
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
    found = Linearisation(position=there, lines=problem.linearise(there))
    appraisal = _appraise(problem, search, rows, found)
    fall = taken(search.appraisal.cost, rows) - appraisal.cost
    better = fall >= 0.0
    search.damping[rows] *= torch.where(better, 0.2, 5.0)
    moving = ~better | (fall > _TOLERANCE)
    if not better.all():
        kept = better.nonzero()[:, 0]
        rows, found, appraisal = rows[kept], found.rows(kept), appraisal.rows(kept)
    search.position[rows] = found.position
    search.near.put(rows, found)
    search.appraisal.put(rows, appraisal)
    return moving


def _appraise(problem: Problem, search: Search, rows: Rows, here: Linearisation) -> Appraisal:
    """Cost, gradient and curvature of half of it: products of weighted slopes and residuals."""
    root = taken(search.weight, rows).sqrt()
    weighted = here.lines * root[:, None]
    weighted[:, -1] -= taken(search.data, rows) * root
    products = weighted @ weighted.transpose(1, 2)
    away = (problem.prior_mean - here.position) / problem.prior_spread
    tightness = problem.prior_spread.double() ** -1
    precision = products[:, :-1, :-1].double()
    precision.diagonal(dim1=1, dim2=2).add_(tightness.square())
    return Appraisal(
        cost=products[:, -1, -1] + away.square().sum(dim=1),
        gradient=tightness * away - products[:, :-1, -1],
        precision=precision,
    )
