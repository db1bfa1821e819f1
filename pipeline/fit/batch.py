"""What any way of fitting makes of a batch of curves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pipeline.result import FitStatus

TOO_NOISY_SHARE = 0.5
"""A flow whose standard deviation exceeds this share of it is not a measurement."""

LEAST_SIGNAL = 6.0
"""Norm of the fitted curve in standard deviations of the noise; noise alone reaches about 4."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchFit:
    """Fits of some curves, one row a curve."""

    flow_per_s: Tensor
    """h(0) [1/s]."""
    flow_sd_per_s: Tensor
    delay_s: Tensor
    status: Tensor
    """`FitStatus` values."""
    fitted: Tensor
    """[curve, time], at all times."""
    parameters: Mapping[str, Tensor]
    position: Tensor
    """Logarithms of flow and parameters, then the delay, [curve, parameter + 1]; none without a
    model."""
    precision: Tensor
    """Inverse covariance of the position, prior included, [curve, parameter + 1, same]."""
    noise_share: Tensor
    """Standard deviation of the noise over the height of the fitted curve [curve]."""


class Fitter(Protocol):
    """A model made ready for one input function and one set of times."""

    def fit(self, data: Tensor) -> BatchFit:
        """Fit curves [curve, time]."""


def judge(flow: Tensor, flow_sd: Tensor, signal: Tensor, at_bound: Tensor) -> Tensor:
    """Status of each fit; `signal` is the norm of the fitted curve over the noise."""
    status = torch.full(flow.shape, FitStatus.CONVERGED.value)
    status[at_bound] = FitStatus.AT_BOUND.value
    status[(flow_sd > TOO_NOISY_SHARE * flow) | (signal < LEAST_SIGNAL)] = FitStatus.TOO_NOISY.value
    status[~(flow.isfinite() & flow_sd.isfinite())] = FitStatus.FAILED.value
    return status
