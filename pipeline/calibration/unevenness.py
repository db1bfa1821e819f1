"""Saturation that is less complete on one side of the heart than on the other.

Saturation pulses leave more where the flip angle is off, and at 3 T it differs by tens of percent
across the heart. What is left brightens the dark baseline there, and every concentration comes out
too low: one wall reads less flow than the opposite one. Coils darken a place in all frames alike;
what the pulse leaves brightens only the dark ones. In the pool, which has the same blood
everywhere, the ratio of dark to bright frames therefore shows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pipeline import signal_model
from pipeline.blood_curve import baseline_end, pools
from pipeline.blood_pool import core
from pipeline.result import Regions
from pipeline.rician import mean_magnitude, noise_excess, noise_levels
from pipeline.study import FirstPass, FloatArray, PerfusionSlice, Physics

USUAL_SLOPE_MM: Final = (3e-5, 2e-4)
"""Standard deviation of the change of what is left [1/mm], below and above 2 T: flip angles differ
by 0.1 % and 0.3 % for each millimetre, and trains of pulses leave about 1 % more where it is off by
20 %. Assumed, not measured; the same as the digital phantom draws."""

ERROR_FACTOR: Final = 3.0
"""Papillary muscles and streams of blood make the ratio less sure than its scatter says."""

LEAST_ERROR_MM: Final = 2e-4
"""Of the gradient in one pool."""

_FEWEST_PIXELS: Final = 30
_PURE: Final = -0.08
"""Pixels whose peak lies this much below (log) that of their neighbours hold muscle."""

_OUTLIER: Final = 3.0
_LEFT_STEP: Final = 0.002


@dataclass(frozen=True, kw_only=True, eq=False)
class _Gradient:
    """Of the logarithm of dark over bright signal [1/mm], (row, column)."""

    slope: FloatArray
    error: FloatArray


def left_slope(
    first_pass: FirstPass, aligned_frames: Sequence[FloatArray], regions: Sequence[Regions]
) -> FloatArray:
    """Change of what the saturation pulse leaves with the place [1/mm], (row, column).

    `first_pass` has its physics as they were found out, and no contrast agent was given before it.
    All slices of a stack share the slope; a prior draws it to zero where the pools say little.
    """
    usual = USUAL_SLOPE_MM[int(first_pass.physics.field_strength_t > 2.0)]
    precision, total = np.full(2, usual**-2.0), np.zeros(2)
    sensitivity = _sensitivity(first_pass.physics)
    blood = pools(first_pass.slices, aligned_frames, regions)
    everything = zip(first_pass.slices, aligned_frames, regions, blood, strict=True)
    for one, frames, masks, pool in everything:
        if pool is None:
            continue
        found = _gradient(one, frames, masks, baseline_end(pool))
        if found is not None:
            error = np.hypot(ERROR_FACTOR * found.error, LEAST_ERROR_MM)
            weight = (sensitivity / error) ** 2
            precision += weight
            total += weight * found.slope / sensitivity
    slope: FloatArray = total / precision
    return slope


def _sensitivity(physics: Physics) -> float:
    """Relative change of native blood's signal with what the pulse leaves."""
    medium, native = signal_model.blood(physics), np.array(0.0)
    changed = replace(
        physics.readout,
        saturation_efficiency=physics.readout.saturation_efficiency - _LEFT_STEP,
    )
    before, after = (
        float(signal_model.magnitude(native, readout, medium))
        for readout in (physics.readout, changed)
    )
    return float(np.log(after / before)) / _LEFT_STEP


def _gradient(
    one: PerfusionSlice, frames: FloatArray, masks: Regions, n_dark: int
) -> _Gradient | None:
    """Measure the gradient in the pool of one slice; None where the pool is too small."""
    inner = core(masks.lv_pool)
    if np.count_nonzero(inner) < _FEWEST_PIXELS:
        return None
    signal = frames[:, inner].astype(float)
    noise = noise_levels(frames, core(masks.myocardium), inner)
    dark = mean_magnitude(signal[:n_dark], noise, 0, noise_excess(one.frames))
    peak = int(np.argmax(signal.mean(axis=1)))
    bright = signal[max(peak - 3, 0) : peak + 4].mean(axis=0)
    place = np.argwhere(inner) * np.asarray(one.geometry.spacing_mm)
    design = np.column_stack([np.ones(len(place)), place - place.mean(axis=0)])
    seen = (dark > 0.0) & (bright > 0.0)
    logs = np.log(np.where(seen, bright, 1.0))
    pure = seen
    for _ in range(4):
        pure = seen & (_away(design, logs, pure) > _PURE)
    ratio = np.log(np.where(seen, dark, 1.0)) - logs
    for _ in range(4):
        away = _away(design, ratio, pure)
        spread = float(np.median(np.abs(away[pure]))) / 0.6745
        pure &= np.abs(away) < _OUTLIER * spread
        if np.count_nonzero(pure) < _FEWEST_PIXELS:
            return None
    coefficients = np.linalg.lstsq(design[pure], ratio[pure], rcond=None)[0]
    spread = float(_away(design, ratio, pure)[pure].std())
    covariance = np.linalg.inv(design[pure].T @ design[pure]) * spread**2
    return _Gradient(slope=coefficients[1:], error=np.sqrt(np.diag(covariance)[1:]))


def _away(design: FloatArray, values: FloatArray, used: FloatArray) -> FloatArray:
    """Distance of all `values` from the plane through the used ones."""
    away: FloatArray = values - design @ np.linalg.lstsq(design[used], values[used], rcond=None)[0]
    return away
