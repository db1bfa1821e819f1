"""Deconvolution without a tissue model: Tikhonov-regularised B-splines.

For each delay and each strength of regularisation the solution is linear in the curve, so all
curves share a few small matrices. Each curve weights them by generalised cross-validation and takes
the mean, so that the standard deviation holds what the choice of delay and strength leaves open.
"""

from typing import Final

import torch
from torch import Tensor

from pipeline.fit.batch import BatchFit, judge
from pipeline.fit.convolution import DTYPE, Convolution, fronts
from pipeline.fit.models import Delay
from pipeline.kinetics import splines

NAME: Final = "model-free"

AFTER_FIRST_PASS_S: Final = 15.0
"""How long after the first pass the curves are used."""

_DELAY: Final = Delay()
_DELAYS_S: Final = torch.arange(0.0, 3.01, 0.25, dtype=DTYPE)
_STRENGTHS: Final = torch.logspace(-2.0, 2.0, 9, dtype=DTYPE)


class ModelFree:
    """The linear operators of all delays and strengths for one input and one set of times.

    Parameters
    ----------
    window
        Which frames are used [time].
    inside, everywhere
        The input convolved for the frames in the window, and for all.
    """

    def __init__(self, window: Tensor, inside: Convolution, everywhere: Convolution) -> None:
        self._window = window
        penalty = torch.as_tensor(splines.roughness(), dtype=torch.float64)
        flow, fitted, freedom = [], [], []
        for delay in _DELAYS_S:
            design, design_everywhere = (
                _design(one, float(delay)).double() for one in (inside, everywhere)
            )
            gram = design.T @ design
            scale = gram.trace() / penalty.trace()
            for strength in _STRENGTHS:
                inverse = torch.linalg.solve(gram + strength * scale * penalty, design.T)
                flow.append(inverse[0])
                fitted.append(design_everywhere @ inverse)
                freedom.append(len(design) - (design @ inverse).trace())
        self._flow = torch.stack(flow).to(DTYPE)  # [operator, time]
        self._fitted = torch.stack(fitted).to(DTYPE)  # [operator, time everywhere, time]
        self._freedom = torch.stack(freedom).to(DTYPE)[:, None]  # [operator, 1]
        self._delay_s = _DELAYS_S.repeat_interleave(len(_STRENGTHS))

    def fit(self, data: Tensor) -> BatchFit:
        """Deconvolve curves [curve, time]."""
        used = data[:, self._window]
        n_times = used.shape[1]
        fitted = self._fitted @ used.T  # [operator, time everywhere, curve]
        residual = used.T - fitted[:, self._window]
        variance = (residual**2).sum(dim=1) / self._freedom
        unlikely = ((self._delay_s - _DELAY.mean_s) / _DELAY.spread_s) ** 2
        score = n_times * (variance / self._freedom).log() + unlikely[:, None]
        share = torch.softmax(-score / 2.0, dim=0)  # [operator, curve]
        flows = self._flow @ used.T
        flow = (share * flows).sum(dim=0)
        spread = variance * (self._flow**2).sum(dim=1, keepdim=True) + (flows - flow) ** 2
        flow_sd = (share * spread).sum(dim=0).sqrt()
        curve = torch.einsum("oc,otc->ct", share, fitted)
        noise = (share * variance).sum(dim=0).clamp(min=1e-12).sqrt()
        signal = curve[:, self._window].norm(dim=1) / noise
        return BatchFit(
            flow_per_s=flow,
            flow_sd_per_s=flow_sd,
            delay_s=(share * self._delay_s[:, None]).sum(dim=0),
            status=judge(flow, flow_sd, signal, torch.zeros_like(flow, dtype=torch.bool)),
            fitted=curve,
            parameters={},
            position=data.new_empty((len(data), 0)),
            precision=data.new_empty((len(data), 0, 0)),
            noise_share=noise / curve.amax(dim=1),
        )


def _design(convolution: Convolution, delay_s: float) -> Tensor:
    """Curves of the single splines after a delay [time, spline]."""
    after = convolution.lag_s - delay_s
    values = torch.as_tensor(splines.basis(after.clamp(min=0.0).numpy()), dtype=DTYPE)
    return (values.T * fronts(after)[0] @ convolution.matrix).T
