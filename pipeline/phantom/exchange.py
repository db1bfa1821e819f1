"""Blood-tissue exchange along a capillary, solved as a distributed model.

Plug flow through a capillary that exchanges with one interstitial region (no axial diffusion):
Sangren and Sheppard, Bull Math Biophys 1953;15:387; Bassingthwaighte's BTEX20 is its numerical
form. Many such capillaries lie side by side in one tissue, with flows that differ by some 30-50 %
of their mean (King and Bassingthwaighte, Circ Res 1985;57:285), and no single one of them, nor
any model of compartments, is the sum. Nothing of it is shared with the models that are fitted.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import i1e, ndtri

from pipeline.phantom.blood import STEP_S
from pipeline.study import FloatArray
from pipeline.units import SECONDS_PER_MINUTE, TISSUE_DENSITY_G_ML

_N_CAPILLARIES = 7


@dataclass(frozen=True, kw_only=True, eq=False)
class TissueKinetics:
    """Parameters of n tissues, arrays [n]."""

    mbf_ml_min_g: FloatArray
    """Flow of whole blood."""
    ps_ml_min_g: FloatArray
    plasma_volume_ml_ml: FloatArray
    interstitial_volume_ml_ml: FloatArray
    delay_s: FloatArray
    flow_spread: float = 0.0
    """SD over mean of the flow of the capillaries within each tissue."""


def residue_per_s(kinetics: TissueKinetics, time_s: FloatArray, haematocrit: float) -> FloatArray:
    """Impulse response of tissues made of many capillaries [1/s], [n, time]: their mean.

    The flows of the capillaries are log-normal; each has the same volumes and PS.
    """
    if kinetics.flow_spread == 0:
        return capillary_residue_per_s(kinetics, time_s, haematocrit)
    width = np.sqrt(np.log1p(kinetics.flow_spread**2))
    factors = np.exp(width * ndtri((np.arange(_N_CAPILLARIES) + 0.5) / _N_CAPILLARIES))
    factors /= factors.mean()
    total = np.zeros((kinetics.mbf_ml_min_g.size, time_s.size))
    for factor in factors:
        one = replace(kinetics, mbf_ml_min_g=factor * kinetics.mbf_ml_min_g)
        total += capillary_residue_per_s(one, time_s, haematocrit)
    mean: FloatArray = total / _N_CAPILLARIES
    return mean


def capillary_residue_per_s(
    kinetics: TissueKinetics, time_s: FloatArray, haematocrit: float
) -> FloatArray:
    """Impulse response of the tissue's content to plasma concentration [1/s], [n, time].

    Mean over each step of the regular grid `time_s`, so that its sum times the step converges to
    the distribution volume Vp + Visf (mean transit time theorem). The fraction that has left is

        H(t) = e^-a [1 + int_0^(t-tau) sqrt(a k / s) e^(-k s) I1(2 sqrt(a k s)) ds],  t > tau

    with a = PS / Fp, k = PS / Visf, tau = Vp / Fp.
    """
    plasma_flow = (
        kinetics.mbf_ml_min_g * TISSUE_DENSITY_G_ML / SECONDS_PER_MINUTE * (1.0 - haematocrit)
    )[:, None]
    ps = (kinetics.ps_ml_min_g * TISSUE_DENSITY_G_ML / SECONDS_PER_MINUTE)[:, None]
    transit = kinetics.plasma_volume_ml_ml[:, None] / plasma_flow + kinetics.delay_s[:, None]
    uptake = ps / plasma_flow
    back = ps / kinetics.interstitial_volume_ml_ml[:, None]
    since = np.maximum(time_s[None] + STEP_S / 2 - transit, 0.0)
    argument = 2.0 * np.sqrt(uptake * back * since)
    slope = 2.0 * uptake * back * _i1_over_x(argument)
    slope = slope * np.exp(argument - back * since - uptake)
    tail = np.clip((time_s[None] + STEP_S - transit) / STEP_S, 0.0, 1.0)  # of the step after tau
    left = np.cumsum(slope * tail, axis=1) * STEP_S
    gone = tail * np.exp(-uptake) + left - 0.5 * slope * tail * STEP_S
    entered = np.clip((time_s[None] + STEP_S - kinetics.delay_s[:, None]) / STEP_S, 0.0, 1.0)
    residue: FloatArray = plasma_flow * np.clip(entered - gone, 0.0, 1.0)
    return residue


def tissue_curves(
    kinetics: TissueKinetics, arterial_mmol_l: FloatArray, time_s: FloatArray, haematocrit: float
) -> FloatArray:
    """Gadolinium per volume of tissue [mmol/L], [n, time], for arterial whole blood [time].

    The contrast agent stays out of the red cells, so plasma holds C / (1 - haematocrit).
    """
    response = residue_per_s(kinetics, time_s, haematocrit)
    size = next_fast_len(2 * time_s.size, real=True)
    plasma = rfft(arterial_mmol_l / (1.0 - haematocrit), size)
    product = irfft(rfft(response, size, axis=1) * plasma, size, axis=1)
    curves: FloatArray = np.maximum(product[:, : time_s.size] * STEP_S, 0.0)
    return curves


def _i1_over_x(argument: FloatArray) -> FloatArray:
    """I1(x) e^-x / x, finite at zero."""
    safe = np.maximum(argument, 1e-9)
    return np.where(argument > 1e-9, i1e(safe) / safe, 0.5)
