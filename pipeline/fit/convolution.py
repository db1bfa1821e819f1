"""Convolution of the input function with many impulse responses, sampled after a delay."""

import numpy as np
import torch
from scipy.interpolate import Akima1DInterpolator
from torch import Tensor

from pipeline.study import FloatArray

STEP_S = 0.5
"""Of the regular grid on which is convolved: cardiac input curves are smooth on this scale."""


class Convolution:
    """The input function on a regular grid that starts at the first time, as a matrix.

    With the input piecewise linear and the impulse response smooth between grid points, the
    integral is the trapezoid rule with the end correction of Gregory: fourth order in the step.

    Parameters
    ----------
    input_time_s, input_mmol_l
        The input function [input time], zero before its first time.
    time_s
        When the tissue is sampled [time].
    """

    def __init__(
        self, input_time_s: FloatArray, input_mmol_l: FloatArray, time_s: FloatArray
    ) -> None:
        start = float(input_time_s[0])
        n_grid = int(np.ceil((float(time_s[-1]) - start) / STEP_S)) + 4
        grid = start + STEP_S * np.arange(n_grid)
        spline = Akima1DInterpolator(input_time_s, input_mmol_l, method="makima")
        sampled = spline(np.clip(grid, start, input_time_s[-1]))
        self.lag_s = torch.as_tensor(grid - start, dtype=torch.float64)
        """Where the impulse response is to be given [lag]."""
        self._matrix = torch.as_tensor(_gregory_toeplitz(sampled), dtype=torch.float64)
        self._position = torch.as_tensor((time_s - start) / STEP_S, dtype=torch.float64)

    def __call__(self, impulse_response: Tensor) -> Tensor:
        """Tissue curves on the grid [curve, grid] from impulse responses [curve, lag]."""
        return impulse_response @ self._matrix

    def sample(self, on_grid: Tensor, delay_s: Tensor) -> tuple[Tensor, Tensor]:
        """Curves at the sampling times after a delay, and their derivative by the delay.

        Parameters
        ----------
        on_grid
            [curve, grid].
        delay_s
            [curve].

        Returns
        -------
        Values and derivatives [curve, time] by a cubic through four grid points; zero before the
        grid starts.
        """
        position = self._position - delay_s[:, None] / STEP_S
        cell = position.floor().clamp(1, on_grid.shape[1] - 3)
        x = position - cell
        index = cell.long()
        a, b, c, d = (on_grid.gather(1, index + offset) for offset in (-1, 0, 1, 2))
        # Lagrange cubic through -1, 0, 1, 2.
        second, third = (a + c) / 2.0 - b, (d - a) / 6.0 + (b - c) / 2.0
        first = c - b - second - third
        value = b + x * (first + x * (second + x * third))
        slope = first + x * (2.0 * second + x * 3.0 * third)
        inside = position >= 0.0
        return torch.where(inside, value, 0.0), torch.where(inside, -slope / STEP_S, 0.0)


def _gregory_toeplitz(sampled: FloatArray) -> FloatArray:
    """[lag, grid]: ``h @ matrix`` is the integral of h(s) input(t - s) over s from 0 to t."""
    n_grid = sampled.size
    lag, time = np.indices((n_grid, n_grid))
    matrix = np.where(time >= lag, sampled[np.clip(time - lag, 0, None)], 0.0) * STEP_S
    # Weights of Gregory's rule at both ends of the integration interval, lag 0 and lag t.
    for offset, weight in enumerate((9.0 / 24.0, 28.0 / 24.0, 23.0 / 24.0)):
        matrix[lag == offset] *= weight
        matrix[time - lag == offset] *= weight
    return matrix
