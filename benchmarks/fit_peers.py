"""Other ways to fit the same pixels one by one, each as its users would."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import curve_fit
from scipy.special import i1e

from pipeline.result import InputFunction
from pipeline.study import FloatArray
from pipeline.units import flow_ml_min_g
from pipeline.units import impulse_response_at_zero_per_s as per_second

STEP_S = 0.25
"""Of the grid on which the peers convolve: twice as fine as ours, coarse for what they are."""

_START = (1.5, 1.15, 0.105, 0.21, 0.9)
_BOUNDS = ((0.02, 0.1, 0.01, 0.03, -0.5), (12.0, 6.0, 0.4, 0.8, 5.0))
"""Flow and PS [mL/min/g], volumes of blood and interstitium, delay [s]."""

Forward = Callable[..., FloatArray]


def one_by_one(
    fit_pixel: Callable[[FloatArray], float], curves: Sequence[FloatArray]
) -> tuple[float, FloatArray]:
    """Seconds a pixel, and the flows [mL/min/g]; NaN where the fit gives up."""
    flows = np.full(len(curves), np.nan)
    start = time.perf_counter()
    for index, curve in enumerate(curves):
        try:
            flows[index] = fit_pixel(curve)
        except RuntimeError:  # did not converge
            continue
    return (time.perf_counter() - start) / len(curves), flows


def curve_fit_pixel(
    response: Callable[..., FloatArray],
    time_s: FloatArray,
    blood: InputFunction,
    haematocrit: float,
) -> Callable[[FloatArray], float]:
    """Fit by `scipy.optimize.curve_fit` within bounds, as OSIPI's contributed codes do.

    Response and convolution are numpy's; the delay shifts the curve by interpolation.
    """
    fine_s = np.arange(0.0, time_s[-1] + STEP_S, STEP_S)
    plasma = np.interp(fine_s, blood.time_s, blood.concentration_mmol_l) / (1.0 - haematocrit)

    def forward(
        when_s: FloatArray, mbf: float, ps: float, volume: float, interstitium: float, delay: float
    ) -> FloatArray:
        share = 1.0 - haematocrit
        h = response(fine_s, per_second(mbf) * share, per_second(ps), volume * share, interstitium)
        curve = np.convolve(h, plasma)[: fine_s.size] * STEP_S
        sampled: FloatArray = np.interp(when_s - delay, fine_s, curve)
        return sampled

    def fit(curve: FloatArray) -> float:
        found, _ = curve_fit(forward, time_s, curve, p0=_START, bounds=_BOUNDS)
        return float(found[0])

    return fit


def btex(
    time_s: FloatArray, flow: float, ps: float, plasma: float, interstitium: float
) -> FloatArray:
    """Plug flow with exchange [1/s]; the front is spread over a step, so that the fit can move."""
    uptake, back = ps / flow, ps / interstitium
    since = time_s - plasma / flow
    after = np.clip(since, 0.0, None)
    argument = np.maximum(2.0 * np.sqrt(uptake * back * after), 1e-9)
    slope = 2.0 * uptake * back * i1e(argument) / argument
    slope *= np.exp(argument - back * after - uptake)
    front = np.clip(since / STEP_S + 0.5, 0.0, 1.0)
    left = np.cumsum(slope * front) * STEP_S - 0.5 * slope * front * STEP_S
    response: FloatArray = flow * (1.0 - np.exp(-uptake) * front - left)
    return response


def two_compartments(
    time_s: FloatArray, flow: float, ps: float, plasma: float, interstitium: float
) -> FloatArray:
    """Well-mixed plasma and interstitium [1/s]."""
    leaving, back = flow / plasma, ps / interstitium
    total = (flow + ps) / plasma + back
    root = np.sqrt(max(total**2 - 4.0 * back * leaving, 1e-20))
    fast = (total + root) / 2.0
    slow = back * leaving / fast
    share = (fast - leaving) / root
    response: FloatArray = flow * (
        (1.0 - share) * np.exp(-fast * time_s) + share * np.exp(-slow * time_s)
    )
    return response


def dcmri_pixel(
    time_s: FloatArray, blood: InputFunction, haematocrit: float, delay_s: float
) -> Callable[[FloatArray], float] | None:
    """Fit by `dcmri.Tissue.train`, its public way; None where it is not installed.

    It fits signals and no delay: it is given the signal that its own equation has for the curve,
    and the input at the usual delay.
    """
    try:
        import dcmri
    except ImportError:
        return None
    scan = {"TR": 0.0025, "FA": 15.0, "S0": 1.0}
    relaxivity, native = 5000.0, 0.85
    plasma = np.interp(time_s - delay_s, blood.time_s, blood.concentration_mmol_l) * 1e-3

    def fit(curve: FloatArray) -> float:
        rate = native + relaxivity * 1e-3 * np.clip(curve, 0.0, None)
        tissue = dcmri.Tissue(
            kinetics="2CX",
            water_exchange="FF",
            sequence="SS",
            ca=plasma,
            t=time_s,
            r1=relaxivity,
            R10=native,
            H=haematocrit,
            n0=5,
            Fb=per_second(_START[0]),
            PS=per_second(_START[1]),
            vb=_START[2],
            vi=_START[3],
            **scan,
        )
        tissue.train(time_s, dcmri.signal_ss(scan["S0"], rate, scan["TR"], scan["FA"]))
        return flow_ml_min_g(float(tissue.params("Fb")))

    return fit
