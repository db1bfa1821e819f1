"""Blood-tissue exchange along a capillary: plug flow in plasma, exchange with interstitium."""

from collections.abc import Callable

import torch
from torch import Tensor


def impulse_response(
    time_s: Tensor,
    step_s: float,
    behind_front: Callable[[Tensor], Tensor],
    flow_per_s: Tensor,
    ps_per_s: Tensor,
    plasma: Tensor,
    interstitium: Tensor,
) -> Tensor:
    """Content of a capillary and its interstitium after an impulse of plasma (BTEX).

    Without axial diffusion the distributed model has a closed form. The share that has left is::

        H(t) = e^-a [1 + int_0^(t - T) sqrt(a k / s) e^(-k s) I1(2 sqrt(a k s)) ds],   t > T
        h(t) = F (1 - H(t)),    T = vp / F,    a = PS / F,    k = PS / ve

    h(0) is F. Sangren and Sheppard 1953, doi 10.1007/BF02476429.

    The front at T falls between the points of any grid. `behind_front` says how a step at some
    distance is to be spread over the points next to it, so that the response changes smoothly with
    the parameters and integrals over it are exact.

    Parameters
    ----------
    time_s
        After arrival, rising in steps of `step_s` (of 0 at first), [curve or 1, time].
    step_s
        Step of the grid [s].
    behind_front
        Distance behind a front [s] to weight 0..1.
    flow_per_s, ps_per_s
        Plasma flow F and permeability times surface PS per volume of tissue [curve].
    plasma, interstitium
        vp and ve as fractions of tissue volume [curve].

    Returns
    -------
    Response to arterial plasma [1/s], [curve, time].
    """
    uptake = (ps_per_s / flow_per_s)[:, None]
    back = (ps_per_s / interstitium)[:, None]
    since = time_s - (plasma / flow_per_s)[:, None]
    after = since.clamp(min=0.0)
    root = (4.0 * uptake * back * after).sqrt().clamp(min=1e-6)
    # I1(x) e^-x / x is 1/2 at zero.
    slope = torch.special.i1e(root) / root * torch.exp(root - back * after - uptake)
    width = since.clamp(0.0, step_s)
    left = torch.cumsum(width[:, 1:] * (slope[:, 1:] + slope[:, :-1]), dim=1)
    left = torch.nn.functional.pad(left, (1, 0)) * (uptake * back)
    front = behind_front(since) * torch.exp(-uptake)
    return flow_per_s[:, None] * (1.0 - front - left)
