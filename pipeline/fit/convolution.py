"""Convolution of the input function with many impulse responses at once."""

import numpy as np
import torch
from scipy.interpolate import Akima1DInterpolator
from torch import Tensor

from pipeline.result import InputFunction
from pipeline.study import FloatArray

DTYPE = torch.float32
"""Single precision keeps five digits of a curve whose noise hides the third."""

STEP_S = 0.5
"""Of the regular grid of lags: cardiac input curves are smooth on this scale."""

EARLIEST_LAG_S = -1.0
"""The grid starts here, so that a small negative delay can be represented."""

FOOT_S = 3.0
"""The bolus begins slowly: from so long before the nominal arrival the input counts."""


class Convolution:
    """The input function as a matrix from a regular grid of lags to the sampling times.

    Integrals over an impulse response are sums over its values at the grid points; where it jumps,
    `behind_front` gives the weights of the jump.

    Parameters
    ----------
    input_function
        Zero before the foot of the bolus, constant after its last time.
    time_s
        When the tissue is sampled [time].
    """

    def __init__(self, input_function: InputFunction, time_s: FloatArray) -> None:
        first, last = input_function.time_s[[0, -1]]
        arrival_s = input_function.arrival_s - FOOT_S
        longest = max(float(time_s.max(initial=first)) - arrival_s, 1.0)
        lag = np.arange(EARLIEST_LAG_S, longest + STEP_S, STEP_S)
        spline = Akima1DInterpolator(
            input_function.time_s, input_function.concentration_mmol_l, method="makima"
        )
        when = time_s[None] - lag[:, None]
        sampled = spline(np.clip(when, first, last))
        sampled[when < arrival_s] = 0.0
        self.lag_s = torch.as_tensor(lag, dtype=DTYPE)
        """Where the impulse response is to be given [lag]."""
        self.matrix = torch.as_tensor(sampled * STEP_S, dtype=DTYPE)
        """[lag, time]: ``weights @ matrix`` is the tissue curve."""


def behind_front(distance_s: Tensor) -> Tensor:
    """Weights of a unit step on the grid: 0 well ahead of the onset, 1 well behind it.

    `distance_s` is how far a grid point lies behind the onset. The weight is the integral of
    Keys' cubic kernel up to there, so that a step anywhere between grid points integrates an input
    as if it were interpolated cubically, and moves smoothly with the delay
    (Keys 1981, doi 10.1109/TASSP.1981.1163711).
    """
    cells = (distance_s / STEP_S).clamp(-2.0, 2.0)
    u = cells.abs()
    near = u * (1.0 + u * u * (0.375 * u - 5.0 / 6.0))
    far = u * (2.0 + u * (u * (5.0 / 6.0 - 0.125 * u) - 2.0)) - 1.0 / 6.0
    return 0.5 + torch.where(u < 1.0, near, far).copysign(cells)


def at_front(distance_s: Tensor) -> Tensor:
    """Weights of a unit impulse on the grid [1/s]: the derivative of `behind_front`."""
    u = (distance_s / STEP_S).abs().clamp(max=2.0)
    near = 1.0 + u * u * (1.5 * u - 2.5)
    far = 2.0 + u * (u * (2.5 - 0.5 * u) - 4.0)
    return torch.where(u < 1.0, near, far) / STEP_S
