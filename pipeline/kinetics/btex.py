"""Blood-tissue exchange along a capillary: plug flow in plasma, exchange with interstitium."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Fronts = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Distance behind an onset [s] to the weights of a step and of an impulse [1/s] on a grid."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Washout:
    """Share of an impulse that has left the tissue, and its slopes; all [curve, time]."""

    share: Tensor
    by_time: Tensor
    """Per second."""
    by_uptake: Tensor
    """Per unit of log a."""
    by_return: Tensor
    """Per unit of log k."""


def impulse_response(
    time_s: Tensor,
    step_s: float,
    fronts: Fronts,
    flow_per_s: Tensor,
    ps_per_s: Tensor,
    plasma: Tensor,
    interstitium: Tensor,
) -> Tensor:
    """Content of a capillary and its interstitium after an impulse of plasma (BTEX).

    ``h(t) = F (1 - H(t))`` with the share H that has left (`washout`); h(0) is F.

    Parameters
    ----------
    time_s
        After arrival, in steps of `step_s`, [curve or 1, time].
    step_s
        Step of the grid [s].
    fronts
        How onsets are spread over the points of the grid next to them.
    flow_per_s, ps_per_s
        Plasma flow F and permeability times surface PS per volume of tissue [curve].
    plasma, interstitium
        vp and ve as fractions of tissue volume [curve].

    Returns
    -------
    Response to arterial plasma [1/s], [curve, time].
    """
    flow, ps = flow_per_s[:, None], ps_per_s[:, None]
    left = washout(
        time_s - plasma[:, None] / flow, step_s, fronts, ps / flow, ps / interstitium[:, None]
    )
    return flow * (fronts(time_s)[0] - left.share)


def washout(
    since_s: Tensor, step_s: float, fronts: Fronts, uptake: Tensor, back_per_s: Tensor
) -> Washout:
    """Share of an impulse that has left a capillary with exchange, and its slopes.

    Without axial diffusion the distributed model has a closed form::

        H(s) = e^-a [1 + int_0^s sqrt(a k / r) e^(-k r) I1(2 sqrt(a k r)) dr],    s > 0
        s = t - vp / F,    a = PS / F,    k = PS / ve

    Sangren and Sheppard 1953, doi 10.1007/BF02476429. It is a function J of a and y = k s with the
    slopes ``dH/da = -e^(-a-y) I0(2 sqrt(a y))`` and
    ``dH/dy = e^(-a-y) sqrt(a / y) I1(2 sqrt(a y))`` (Goldstein 1953,
    Proc R Soc A 219:151).

    The front at s = 0 falls between the points of any grid. `fronts` says how a step at some
    distance is to be spread over the points next to it, so that the response changes smoothly with
    the parameters and integrals over it are exact.

    Parameters
    ----------
    since_s
        s, in steps of `step_s` [curve, time].
    step_s
        Step of the grid [s].
    fronts
        Weights of steps and impulses.
    uptake, back_per_s
        a and k [curve, 1].
    """
    front, jump = fronts(since_s)
    after = since_s.clamp(min=0.0)
    product = uptake * back_per_s
    square = (after * (4.0 * product)).clamp_(min=1e-12)
    argument = square.sqrt()
    # I1(x) e^-x / x is 1/2 at zero.
    bessel = torch.special.i1e(argument).div_(argument)
    bessel *= argument.addcmul_(after, -back_per_s).sub_(uptake).exp_()
    leaving = bessel * (2.0 * product)
    width = since_s[:, 1:].clamp(0.0, step_s)
    left = torch.cumsum(width.mul_(leaving[:, 1:] + leaving[:, :-1]), dim=1)
    straight = torch.exp(-uptake)
    share = straight * front
    share[:, 1:].add_(left, alpha=0.5)
    returning = leaving * after
    return Washout(
        share=share,
        by_time=leaving.mul_(front).addcmul_(jump, straight),
        by_uptake=_i0_over_i1_over_x(square).mul_(bessel).mul_(front).mul_(-uptake),
        by_return=returning,
    )


def _i0_over_i1_over_x(square: Tensor) -> Tensor:
    """I0(x) / (I1(x) / x) of x squared to 0.4 %: good enough for a slope, where I0 itself is dear.

    Amos' bounds (Math Comp 1974;28:239) have the form
    ``1/2 + sqrt(x^2 + q)`` with a q that is 9/4 at zero and 3/4 far out. Between the two it falls
    like the quotient below, which has the right slope at zero.
    """
    return (square + 6.0).reciprocal_().mul_(9.0).add_(square).add_(0.75).sqrt_().add_(0.5)
