"""When a bolus arrives, peaks and has passed, on the concentration curve of blood."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from pipeline.errors import NoInputFunctionError
from pipeline.study import FloatArray

PEAK_PER_DOSE: Final = 85.0
"""Peak in blood [mmol/L] for a dose of 1 mmol/kg: 3.5 to 4.4 for 0.05 (Kellman 2017, doi
10.1186/s12968-017-0355-5)."""

PEAK_SPREAD: Final = 0.35
"""Standard deviation of the logarithm of the peak between people."""

_SMOOTH_FRAMES: Final = 0.8


@dataclass(frozen=True, kw_only=True)
class Landmarks:
    """Times on an input curve [s]."""

    arrival_s: float
    peak_s: float
    first_pass_end_s: float


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
    smooth = ndimage.gaussian_filter1d(curve, _SMOOTH_FRAMES, mode="nearest")
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


def rise(signal: FloatArray) -> FloatArray:
    """Signal of blood above its dark level [time].

    That level is sought before the peak only: afterwards contrast agent is there, and a frame in
    which the heart slipped away can be darker than blood was before the bolus.
    """
    smooth = ndimage.gaussian_filter1d(signal, _SMOOTH_FRAMES, mode="nearest")
    before = np.sort(signal[: int(np.argmax(smooth)) + 1])
    above: FloatArray = signal - np.median(before[: max(before.size // 3, 3)])
    return above


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
