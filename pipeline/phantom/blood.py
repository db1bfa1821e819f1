"""Transport of the bolus: vein, right ventricle, lungs, left ventricle, body and back.

A linear, mass-conserving model: each part of the circulation convolves what enters it with a
density of transit times (gamma densities: delay and dispersion; Thompson et al., Circ Res 1964,
doi 10.1161/01.RES.14.6.502). The cardiac output turns amount into concentration
(Stewart-Hamilton).
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.signal import fftconvolve
from scipy.stats import gamma

from pipeline.study import FloatArray, State

STEP_S = 0.1
"""Of the grid on which all kinetics are computed [s]."""


@dataclass(frozen=True, kw_only=True)
class Circulation:
    """One patient's circulation in one state."""

    cardiac_output_l_min: float
    dose_mmol: float
    injection_s: float
    """Duration of the injection [s]."""
    arrival_s: float
    """From the first frame to the foot in the right ventricle [s]."""
    vein_spread_s: float
    lung_transit_s: float
    lung_spread_s: float
    coronary_spread_s: float
    """Dispersion on the way from the LV through the coronary arteries to the capillaries."""
    body_transit_s: float
    body_share: float
    """Part of what leaves the heart that comes back as a recirculating bolus."""
    mixing_share: float = 0.75
    """Part of the rest that comes back slowly, from the organs it has spread into."""
    residual_mmol_l: float = 0.0
    """Contrast agent of an earlier injection, constant over the minute [mmol/L]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BloodCurves:
    """Gadolinium in whole blood [mmol/L] that this injection brings, on the grid `time_s`."""

    time_s: FloatArray
    rv: FloatArray
    pulmonary: FloatArray
    lv: FloatArray
    coronary: FloatArray
    """Where it enters the capillaries of the heart."""
    aorta: FloatArray


def draw_circulation(
    rng: Generator,
    *,
    state: State,
    weight_kg: float,
    dose_mmol: float,
    interval_s: float,
    second_injection: bool,
) -> Circulation:
    """Draw a circulation; `interval_s` is the mean RR interval, to which transit times belong."""
    output = weight_kg * rng.uniform(0.043, 0.1)
    if state is State.STRESS:
        output *= rng.uniform(1.15, 1.6)
    beats = rng.uniform(5.0, 12.5)
    # a thin cannula in the hand, or a wide vein that is flushed at once
    access = rng.spawn(1)[0].random()  # leaves all other draws as they were
    return Circulation(
        cardiac_output_l_min=output,
        dose_mmol=dose_mmol,
        injection_s=_injection_s(rng, dose_mmol, slow=access < 0.2),
        arrival_s=interval_s * rng.uniform(2.5, 14.5),
        vein_spread_s=rng.uniform(0.9, 3.6) * (0.5 if access > 0.88 else 1.0),
        lung_transit_s=beats * interval_s,
        lung_spread_s=rng.uniform(0.2, 0.43) * beats * interval_s,
        coronary_spread_s=rng.uniform(0.15, 0.8),
        body_transit_s=rng.uniform(12.0, 20.0),
        body_share=rng.uniform(0.3, 0.77),
        residual_mmol_l=rng.uniform(0.1, 0.6) if second_injection else 0.0,
    )


def _injection_s(rng: Generator, dose_mmol: float, *, slow: bool) -> float:
    """Draw how long it takes to inject the dose.

    Agents hold 0.5 or 1 mmol/mL; the society's protocols ask for 3 to 7 mL/s (Kramer et al. 2020,
    doi 10.1186/s12968-020-00607-1), many hospitals inject more slowly, some by hand through a
    thin cannula.
    """
    volume_ml, rate = dose_mmol / rng.choice([0.5, 1.0]), rng.uniform(2.5, 6.0)
    if slow:
        rate = 0.25 * rate
    return float(np.clip(volume_ml / rate, 0.6, 15.0))


def blood_curves(circulation: Circulation, duration_s: float) -> BloodCurves:
    """Solve the transport on a regular grid up to `duration_s`."""
    time = np.arange(0.0, duration_s + STEP_S, STEP_S)
    inflow = _boxcar(time, circulation.arrival_s, circulation.injection_s)
    inflow *= circulation.dose_mmol / (circulation.cardiac_output_l_min / 60.0)
    vein = _transit(time, 2.4 * circulation.vein_spread_s, circulation.vein_spread_s)
    lung = _transit(time, circulation.lung_transit_s, circulation.lung_spread_s)
    body = _transit(time, circulation.body_transit_s, 0.35 * circulation.body_transit_s)
    first = _through(inflow, vein)
    right = first.copy()
    for _ in range(3):  # each turn of the recirculation adds what comes back
        aorta = _through(right, lung)
        right = first + circulation.body_share * _through(aorta, body)
        right += _equilibrium(aorta, circulation.mixing_share * (1.0 - circulation.body_share))
    left = _through(right, lung)
    half_lung = _transit(time, 0.45 * circulation.lung_transit_s, 0.5 * circulation.lung_spread_s)
    late = _transit(time, 1.2, 0.5)
    coronary = _transit(time, 1.5 * circulation.coronary_spread_s, circulation.coronary_spread_s)
    return BloodCurves(
        time_s=time,
        rv=right,
        pulmonary=_through(right, half_lung),
        lv=left,
        coronary=_through(left, coronary),
        aorta=_through(left, late),
    )


def _boxcar(time: FloatArray, start: float, duration: float) -> FloatArray:
    """Rate of unit area [1/s], exact on the grid (mean over each step)."""
    edges = np.clip((time[:, None] + np.array([0.0, STEP_S]) - start) / duration, 0.0, 1.0)
    return (edges[:, 1] - edges[:, 0]) / STEP_S


def _transit(time: FloatArray, mean: float, spread: float) -> FloatArray:
    """Gamma density of transit times with a pure delay, as probability per step."""
    delay = max(mean - 2.5 * spread, 0.0)
    shape = ((mean - delay) / spread) ** 2
    cumulative = gamma.cdf(
        np.append(time, time[-1] + STEP_S) - delay, shape, scale=spread**2 / (mean - delay)
    )
    return np.diff(cumulative)


def _through(curve: FloatArray, transit: FloatArray) -> FloatArray:
    out: FloatArray = np.maximum(fftconvolve(curve, transit)[: curve.size], 0.0)
    return out


def _equilibrium(curve: FloatArray, share: float) -> FloatArray:
    """Slowly returning part: mixing into a volume emptied over half a minute."""
    time = np.arange(curve.size) * STEP_S
    return share * _through(curve, STEP_S / 30.0 * np.exp(-time / 30.0))
