"""Arterial input function from the left ventricular blood pool, or from a series made for it.

Not the mean of the pool: papillary muscles, trabeculae and the rim dilute it. The pool is eroded
and its purest pixels are taken, from the slice where they reach the highest concentration.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pipeline import concentration, signal_model
from pipeline.errors import NoInputFunctionError
from pipeline.result import InputFunction, Regions
from pipeline.study import BoolArray, FirstPass, FloatArray, PerfusionSlice, Physics, Readout

PUREST_SHARE = (0.5, 0.95)
"""Pixels between these quantiles of first-pass enhancement: below is diluted, above is noise."""

LEAST_PIXELS = 6
"""Fewer pure pixels than this give no input function."""

LEAST_ENHANCEMENT = 1.5
"""The pool's peak signal over its baseline must exceed this, or no bolus went through it."""

HIGHEST_AMPLIFICATION = 3.0
"""Relative error of concentration over relative error of signal that still counts as measured.

It is 1 in the linear range; above 3 a signal error of 5 % is a concentration error of 15 %.
"""

HIGHEST_LATE_SHARE = 0.65
"""Blood after the first pass over its peak. Tracer spreads in the body, so true concentration
falls to a third or less within half a minute; signal that stays this high has hit a ceiling."""

_LATE_AFTER_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Landmarks:
    """Times on an input curve [s]."""

    arrival_s: float
    peak_s: float
    first_pass_end_s: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Candidate:
    """The blood signal of one slice."""

    name: str
    signal: FloatArray
    proton_density: float | None
    perfusion_slice: PerfusionSlice


def input_function(
    first_pass: FirstPass,
    aligned_frames: Sequence[FloatArray],
    regions: Sequence[Regions],
    *,
    residual_mmol_l: float = 0.0,
) -> InputFunction:
    """Concentration in whole blood of the left ventricle [mmol/L].

    Parameters
    ----------
    first_pass
        Times, physics and, where acquired, the series made for the input function.
    aligned_frames, regions
        Motion-compensated frames [time, row, column] and masks, one for each slice.
    residual_mmol_l
        Contrast agent in the blood from an earlier injection.

    Raises
    ------
    NoInputFunctionError
        No slice shows a passage of contrast agent through the left ventricular pool.
    """
    candidates = [
        candidate
        for number, (one, frames, masks) in enumerate(
            zip(first_pass.slices, aligned_frames, regions, strict=True), start=1
        )
        if (candidate := _pool_signal(f"LV pool of slice {number}", one, frames, masks.lv_pool))
    ]
    functions = [
        _from_signal(candidate, first_pass.physics, first_pass.physics.readout, residual_mmol_l)
        for candidate in candidates
    ]
    if not functions:
        raise NoInputFunctionError(
            "no slice shows a passage of contrast agent through the left ventricular pool"
        )
    return max(functions, key=lambda found: float(found.concentration_mmol_l.max()))


def find_landmarks(time_s: FloatArray, curve: FloatArray) -> Landmarks:
    """Arrival, peak and end of the first pass of a blood curve that rises from zero.

    Arrival is where the line through 10 % and 50 % of the upslope meets the baseline; the first
    pass ends at the valley before recirculation or, without a valley, where the washout has slowed
    to a twentieth of its steepest.

    Raises
    ------
    NoInputFunctionError
        The curve has no upslope before its peak.
    """
    smooth = ndimage.gaussian_filter1d(curve, 0.8, mode="nearest")
    peak = int(np.argmax(smooth))
    height = float(smooth[peak])
    low = _last_crossing(time_s, smooth, peak, 0.1 * height)
    half = _last_crossing(time_s, smooth, peak, 0.5 * height)
    if low is None or half is None:
        raise NoInputFunctionError("the blood pool is bright from the first frame on")
    arrival = max(low - 0.25 * (half - low), float(time_s[0]))
    return Landmarks(
        arrival_s=arrival,
        peak_s=float(time_s[peak]),
        first_pass_end_s=float(time_s[_valley(smooth, peak)]),
    )


def _pool_signal(
    name: str, one: PerfusionSlice, frames: FloatArray, pool: BoolArray
) -> _Candidate | None:
    """Mean signal of the purest pixels of the pool; None where there are too few."""
    eroded = ndimage.binary_erosion(pool)
    core = eroded if np.count_nonzero(eroded) >= 2 * LEAST_PIXELS else pool
    signal = frames[:, core].astype(float)
    if signal.shape[1] < LEAST_PIXELS:
        return None
    pure = _purest(signal)
    mean = signal[:, pure].mean(axis=1)
    early = np.median(np.sort(mean)[: max(mean.size // 10, 3)])
    if early <= 0.0 or mean.max() < LEAST_ENHANCEMENT * early:
        return None
    density = None
    if one.proton_density is not None and one.proton_density_readout is not None:
        density = float(one.proton_density[:, core][:, pure].mean())
    return _Candidate(name=name, signal=mean, proton_density=density, perfusion_slice=one)


def _purest(signal: FloatArray) -> BoolArray:
    """Which pixels [pixel] of signal [time, pixel] enhance most around the peak of their mean."""
    peak = int(np.argmax(signal.mean(axis=1)))
    around = signal[max(peak - 3, 0) : peak + 4].mean(axis=0)
    low, high = np.quantile(around, PUREST_SHARE)
    pure: BoolArray = (around >= low) & (around <= high)
    return pure


def _from_signal(
    candidate: _Candidate, physics: Physics, readout: Readout, residual_mmol_l: float
) -> InputFunction:
    time_s = candidate.perfusion_slice.time_s
    rise = candidate.signal - candidate.signal[:3].mean()
    n_baseline = concentration.baseline_frames(time_s, find_landmarks(time_s, rise).arrival_s)
    baseline = candidate.signal[:n_baseline].mean()
    medium = signal_model.blood(physics)
    density_readout = candidate.perfusion_slice.proton_density_readout
    if candidate.proton_density is None or density_readout is None:
        found = concentration.from_baseline(
            candidate.signal, baseline, readout, medium, residual_mmol_l=residual_mmol_l
        )
    else:
        found = concentration.from_proton_density(
            candidate.signal,
            baseline,
            np.array(candidate.proton_density),
            readout,
            density_readout,
            medium,
        )
    values = found.values_mmol_l
    landmarks = find_landmarks(time_s, values)
    amplification = concentration.error_amplification(float(values.max()), readout, medium)
    flat = _is_flat(time_s, values, landmarks.peak_s)
    return InputFunction(
        time_s=time_s,
        concentration_mmol_l=values,
        arrival_s=landmarks.arrival_s,
        first_pass_end_s=landmarks.first_pass_end_s,
        source=candidate.name,
        saturated=flat or bool(found.clipped.any()) or amplification > HIGHEST_AMPLIFICATION,
    )


def _is_flat(time_s: FloatArray, curve: FloatArray, peak_s: float) -> bool:
    """Whether blood stays near its peak when the first pass is long over."""
    late = curve[time_s > peak_s + _LATE_AFTER_S]
    return late.size > 0 and float(np.median(late)) > HIGHEST_LATE_SHARE * float(curve.max())


def _last_crossing(time_s: FloatArray, curve: FloatArray, peak: int, level: float) -> float | None:
    """When the curve last rises through `level` before its peak [s]; None where it never does."""
    below = np.flatnonzero(curve[:peak] < level)
    if below.size == 0:
        return None
    last = int(below[-1])
    share = (level - curve[last]) / (curve[last + 1] - curve[last])
    return float(time_s[last] + share * (time_s[last + 1] - time_s[last]))


def _valley(curve: FloatArray, peak: int) -> int:
    """Frame where the first pass is over."""
    slope = np.diff(curve[peak:])
    steepest = float(slope.min(initial=0.0))
    if steepest == 0.0:
        return curve.size - 1
    fallen = np.flatnonzero(curve[peak:-1] < 0.6 * curve[peak])
    start = int(fallen[0]) if fallen.size else int(np.argmin(slope))
    slowed = np.flatnonzero(slope[start:] > 0.05 * steepest)
    return peak + start + int(slowed[0]) if slowed.size else curve.size - 1
