"""Convolution of the input function with many impulse responses at once."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from scipy.stats import gamma
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

USUAL_DISPERSION_S = 0.5
"""Spread of transit times for which the dispersed input is computed; others follow from it."""

_DISPERSION_SHAPE = 4.0
"""Of the gamma density of transit times through arteries: their spread is half of their mean."""

_FINE_S = 0.05
_MARGIN = 5
"""Grid points after the last lag at which there can be input: later onsets may fall on them."""


class Convolution:
    """The input function as a matrix from a regular grid of lags to the sampling times.

    Integrals over an impulse response are sums over its values at the grid points; where it jumps,
    `fronts` gives the weights of the jump.

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
        lag = np.arange(EARLIEST_LAG_S, longest + _MARGIN * STEP_S, STEP_S)
        spline = CubicSpline(input_function.time_s, input_function.concentration_mmol_l)

        def blood(when_s: FloatArray) -> FloatArray:
            values: FloatArray = spline(np.clip(when_s, first, last))
            values[when_s < arrival_s] = 0.0
            return values

        when = time_s[None] - lag[:, None]
        sampled = blood(when)
        self.lag_s = torch.as_tensor(lag, dtype=DTYPE)
        """Where the impulse response is to be given [lag]."""
        self.matrix = torch.as_tensor(sampled * STEP_S, dtype=DTYPE)
        """[lag, time]: ``weights @ matrix`` is the tissue curve."""
        self.widening = torch.as_tensor((_dispersed(blood, when) - sampled) * STEP_S, dtype=DTYPE)
        """[lag, time]: what the usual dispersion on the way to the tissue adds to `matrix`. Other
        dispersions add in proportion to their variance, as long as the input is smooth."""
        self.undispersed = torch.as_tensor(blood(time_s), dtype=DTYPE)
        """The input itself [time]."""


def _dispersed(blood: Callable[[FloatArray], FloatArray], when_s: FloatArray) -> FloatArray:
    """Blood after arteries that spread it as usual and on average do not delay it."""
    scale = USUAL_DISPERSION_S / np.sqrt(_DISPERSION_SHAPE)
    mean = _DISPERSION_SHAPE * scale
    edges = np.arange(0.0, 5.0 * mean + _FINE_S, _FINE_S)
    transit = np.diff(gamma.cdf(edges, _DISPERSION_SHAPE, scale=scale))
    fine = np.arange(when_s.min() - 4.0 * mean, when_s.max() + mean + _FINE_S, _FINE_S)
    later = np.convolve(blood(fine), transit)[: fine.size]
    dispersed: FloatArray = np.interp(when_s + mean - _FINE_S / 2.0, fine, later)
    return dispersed


def fronts(distance_s: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of a unit step and of a unit impulse [1/s] on a grid of lags.

    `distance_s` is how far the points lie behind the onset, rising in steps of `STEP_S`
    [curve, lag]. The impulse is Keys' cubic kernel and the step its integral up to there, so that
    an onset anywhere between grid points integrates an input as if it were interpolated cubically,
    and moves smoothly with the delay (Keys 1981, doi 10.1109/TASSP.1981.1163711).

    Only the two points on either side of the onset differ from a plain step. An onset before the
    second point or after the third last is taken for one there: `Convolution` has no input at the
    last points.
    """
    cells = distance_s / STEP_S
    n_lags = cells.shape[-1]
    onset = (-cells[..., :1]).clamp(1.0, n_lags - 3.0)
    before = onset.floor()
    nodes = before.long() + torch.arange(-1, 3)
    powers = torch.linalg.vander(onset - before, N=5)
    weights = (powers @ _FRONT.to(cells.dtype)).squeeze(-2)
    impulse = torch.zeros_like(cells).scatter_(-1, nodes, weights[..., 4:])
    step = cells.add_(0.5).clamp_(0.0, 1.0).scatter_(-1, nodes, weights[..., :4])
    return step, impulse


def _front_polynomials() -> Tensor:
    """Coefficients of the weights at the four points around an onset, [power, step and impulse].

    Powers of how far, in grid steps, the onset lies behind the second of the points.
    """
    part = np.linspace(0.0, 1.0, 5)
    cells = np.arange(-1.0, 3.0) - part[:, None]
    outer = np.clip(2.0 - np.abs(cells), 0.0, None)  # powers of these two are the kernel's pieces
    inner = np.clip(outer - 1.0, 0.0, None)
    impulse = outer**2 * (0.5 * outer - 0.5) + inner**2 * (1.0 - 2.0 * inner)
    beyond = outer**3 * (outer / 8.0 - 1.0 / 6.0) + inner**3 * (1.0 / 3.0 - 0.5 * inner)
    step = 0.5 + np.copysign(0.5 - beyond, cells)
    weights = np.concatenate([step, impulse / STEP_S], axis=1)
    return torch.as_tensor(np.linalg.solve(np.vander(part, increasing=True), weights), dtype=DTYPE)


_FRONT = _front_polynomials()
