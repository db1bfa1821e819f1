"""Two-compartment exchange and its limits: uptake, Tofts and Patlak."""

import torch
from torch import Tensor


def two_compartment_exchange(
    time_s: Tensor, flow_per_s: Tensor, ps_per_s: Tensor, plasma: Tensor, interstitium: Tensor
) -> Tensor:
    """Well-mixed plasma and interstitium that exchange (2CXM).

    ::

        vp dCp/dt = F (Ca - Cp) + PS (Ce - Cp),    ve dCe/dt = PS (Cp - Ce),    Ct = vp Cp + ve Ce
        h(t) = F [e^(-k+ t) + A (e^(-k- t) - e^(-k+ t))],    A = (k+ - 1/Tb) / (k+ - k-)
        k+- = ((1/Tp + 1/Te) +- sqrt((1/Tp + 1/Te)^2 - 4 / (Te Tb))) / 2
        Tp = vp / (F + PS),  Te = ve / PS,  Tb = vp / F

    Sourbron and Buckley 2013, doi 10.1002/nbm.2940.

    Parameters
    ----------
    time_s
        After arrival [time].
    flow_per_s, ps_per_s
        Plasma flow F and permeability times surface PS per volume of tissue [curve].
    plasma, interstitium
        vp and ve as fractions of tissue volume [curve].

    Returns
    -------
    Response to arterial plasma [1/s], [curve, time].
    """
    leaving = flow_per_s / plasma
    back = ps_per_s / interstitium
    total = (flow_per_s + ps_per_s) / plasma + back
    root = (total**2 - 4.0 * back * leaving).clamp(min=1e-20).sqrt()
    fast = (total + root) / 2.0
    # The product of the rates is exact where the difference would lose its digits.
    slow = back * leaving / fast
    share = (fast - leaving) / root
    flow, fast, slow, share = (one[:, None] for one in (flow_per_s, fast, slow, share))
    return flow * ((1.0 - share) * torch.exp(-fast * time_s) + share * torch.exp(-slow * time_s))


def two_compartment_uptake(
    time_s: Tensor, flow_per_s: Tensor, ps_per_s: Tensor, plasma: Tensor
) -> Tensor:
    """Exchange without return from the interstitium (2CUM); arguments as for the whole exchange.

    ``h(t) = F [e^(-t / Tp) + E (1 - e^(-t / Tp))]`` with ``E = PS / (F + PS)`` and
    ``Tp = vp / (F + PS)``. Pradel 2003 and Sourbron and Buckley 2013, doi 10.1002/nbm.2940.
    """
    extraction = (ps_per_s / (flow_per_s + ps_per_s))[:, None]
    decay = torch.exp(-((flow_per_s + ps_per_s) / plasma)[:, None] * time_s)
    return flow_per_s[:, None] * (extraction + (1.0 - extraction) * decay)


def tofts(time_s: Tensor, transfer_per_s: Tensor, interstitium: Tensor) -> Tensor:
    """Interstitium behind a vessel of no volume: ``h(t) = Ktrans e^(-Ktrans t / ve)``.

    With a vascular fraction as instantaneous part it is the extended Tofts model, and with an
    interstitium that never fills the Patlak model. Tofts 1999,
    doi 10.1002/(SICI)1522-2586(199909)10:3<223::AID-JMRI2>3.0.CO;2-S.

    Parameters
    ----------
    time_s
        After arrival [time].
    transfer_per_s
        Ktrans per volume of tissue [curve].
    interstitium
        ve as fraction of tissue volume [curve].
    """
    transfer = transfer_per_s[:, None]
    return transfer * torch.exp(-transfer / interstitium[:, None] * time_s)
