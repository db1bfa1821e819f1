"""What is fitted: a model, its input and a prior; from positions to curves and slopes."""

import math

import torch
from torch import Tensor

from pipeline.fit.convolution import DTYPE, USUAL_DISPERSION_S, Convolution, fronts
from pipeline.fit.models import Model, Prior, Slopes

_DIFFERENCE = 3e-3
"""Step of one-sided differences, for single precision."""


class Problem:
    """Model, input and prior.

    A position is the logarithms of the model's parameters, then the delay [s]; positions are
    [curve, parameter + 1].
    """

    def __init__(
        self, model: Model, prior: Prior, convolution: Convolution, haematocrit: float
    ) -> None:
        self._model, self._convolution = model, convolution
        self._haematocrit = haematocrit
        names = [parameter.name for parameter in model.parameters]
        self._vascular = None if model.vascular is None else names.index(model.vascular)
        self._spill = None if model.spill is None else names.index(model.spill)
        self._dispersion = None if model.dispersion is None else names.index(model.dispersion)
        self._usual = 0.0  # variance for which the slopes are taken: that which the prior expects
        if self._dispersion is not None:
            self._usual = math.exp(2.0 * prior.mean[self._dispersion]) / USUAL_DISPERSION_S**2
        self._slope_matrix = convolution.matrix + self._usual * convolution.widening
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
        weights = self._model.response(time, parameters, self._haematocrit)
        if self._vascular is not None:
            weights = weights + parameters[:, self._vascular, None] * fronts(time)[1]
        curves = weights @ self._convolution.matrix
        if self._dispersion is not None:
            wider = weights @ self._convolution.widening
            curves = torch.addcmul(curves, wider, self._variance(parameters))
        if self._spill is not None:
            spill = parameters[:, self._spill, None]
            curves = (1.0 - spill) * curves + spill * self._convolution.undispersed
        return curves

    def linearise(self, position: Tensor) -> Tensor:
        """Slopes of the model curves, and then the curves themselves [curve, parameter + 2, time].

        They stay together, because all that is made of them is their products with each other.
        """
        if self._model.slopes is None:
            return self._differences(position)
        return self._slopes(position, self._model.slopes)

    def prior_cost(self, position: Tensor) -> Tensor:
        """Squared distance from the prior in standard deviations, [curve]."""
        return (((position - self.prior_mean) / self.prior_spread) ** 2).sum(dim=1)

    def _variance(self, parameters: Tensor) -> Tensor:
        """Variance of the transit times over the usual one [curve, 1]."""
        return (parameters[:, self._dispersion, None] / USUAL_DISPERSION_S) ** 2

    def _slopes(self, position: Tensor, slopes: Slopes) -> Tensor:
        """Slopes by the model's own functions.

        They are taken for the dispersion that the prior expects, which changes them little.
        """
        time, parameters = self._convolution.lag_s - position[:, -1:], position[:, :-1].exp()
        functions, shares = slopes(time, parameters, self._haematocrit)
        n_curves, n_functions, n_lags = functions.shape
        convolved = functions.view(-1, n_lags) @ self._slope_matrix
        convolved = convolved.view(n_curves, n_functions, -1)
        tissue, rows = convolved[:, 0], shares @ convolved
        others: list[Tensor] = []  # before the slope by the delay
        if self._dispersion is not None:
            variance = self._variance(parameters)
            wider = functions[:, 0] @ self._convolution.widening
            tissue = torch.addcmul(tissue, wider, variance - self._usual)
            others.append(wider.mul_(2.0 * variance))
        if self._spill is not None:
            spill, cavity = parameters[:, self._spill, None], self._convolution.undispersed
            rows.mul_(1.0 - spill[:, None])
            others = [*(one.mul_(1.0 - spill) for one in others), spill * (cavity - tissue)]
            tissue = torch.addcmul(spill * cavity, tissue, 1.0 - spill)
        added = [one[:, None] for one in others]
        return torch.cat([rows[:, :-1], *added, rows[:, -1:], tissue[:, None]], dim=1)

    def _differences(self, position: Tensor) -> Tensor:
        n_curves, n_parameters = position.shape
        shifts = torch.nn.functional.pad(torch.eye(n_parameters) * _DIFFERENCE, (0, 0, 1, 0))
        shifted = (position[:, None] + shifts).reshape(-1, n_parameters)
        values = self.curves(shifted).view(n_curves, n_parameters + 1, -1)
        here = values[:, :1]
        return torch.cat([(values[:, 1:] - here) / _DIFFERENCE, here], dim=1)
