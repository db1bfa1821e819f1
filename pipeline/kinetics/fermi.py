"""Fermi-constrained deconvolution."""

import torch
from torch import Tensor


def impulse_response(
    time_s: Tensor, flow_per_s: Tensor, shoulder_s: Tensor, steepness_per_s: Tensor
) -> Tensor:
    """Fermi function, scaled so that its value at zero is the flow.

    ::

        h(t) = F (1 + exp(-k tau)) / (1 + exp(k (t - tau))),    t >= 0

    The usual form F / (1 + exp(k (t - tau))) has h(0) = F / (1 + exp(-k tau)), which is not F
    unless k tau is large: reading F as the flow then overestimates it by up to two. Assumes that
    the tracer stays in the vessels during the first pass, so fit that only.
    Jerosch-Herold 1998, doi 10.1118/1.598163.

    Parameters
    ----------
    time_s
        After arrival in the tissue [time].
    flow_per_s, shoulder_s, steepness_per_s
        F, tau and k [curve].

    Returns
    -------
    h [1/s], [curve, time].
    """
    flow, shoulder, steepness = (
        parameter[:, None] for parameter in (flow_per_s, shoulder_s, steepness_per_s)
    )
    # 1 / (1 + exp(x)) as a sigmoid cannot overflow.
    falling = torch.sigmoid(-steepness * (time_s - shoulder))
    return flow * falling / torch.sigmoid(steepness * shoulder)
