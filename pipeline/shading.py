"""Takes out how bright the coils are where the heart is in each frame.

Surface coils see the chest wall better than the depth, and the pictures are darker or brighter by
half a percent to a percent for each millimetre. A heart that breathes through such a slope and is
held still by motion compensation grows and fades with the breath, by up to a fifth. In blood and
wall alike, what goes with displacement and not with time is taken to be the coils.
"""

from typing import Final

import numpy as np
from scipy import ndimage

from pipeline.blood_pool import core
from pipeline.result import AlignedSeries, Regions
from pipeline.rician import mean_magnitude, noise_level
from pipeline.study import BoolArray, FloatArray

USUAL_SLOPE_MM: Final = 0.006
"""Standard deviation of the relative slope [1/mm]; more of it needs evidence."""

REGION_ERROR: Final = 0.02
"""Relative error of the mean of a region in one frame, apart from shading."""

_SMOOTH_FRAMES: Final = 3.0
"""What changes more slowly than this may be contrast agent."""

_FIRST_PASS_S: Final = (1.0, 18.0)
"""Before the bolus comes and after it has passed, signal changes slowly."""

_ARRIVED: Final = 0.15


def without_shading(
    frames: FloatArray, displacement_mm: FloatArray, slope: FloatArray
) -> FloatArray:
    """Divide each frame by the brightness of the coils where the heart was in it.

    Parameters
    ----------
    frames
        Frames in which the heart is held still [time, row, column].
    displacement_mm
        Where it was, relative to the reference frame [time, (row, column)].
    slope
        Of `shading_slope` [1/mm].

    Returns
    -------
    The frames as bright as if the heart had stayed where it is in the reference frame.
    """
    factor = np.exp(-displacement_mm @ slope).astype(frames.dtype)
    unshaded: FloatArray = frames * factor[:, None, None]
    return unshaded


def shading_slope(aligned: AlignedSeries, regions: Regions, time_s: FloatArray) -> FloatArray:
    """Relative change of brightness with the place of the heart [1/mm], (row, column).

    Regression of what is left of the logarithm of the mean signal of pool and wall when slow
    changes are taken out, on what is left of the displacement; frames of the first pass, where
    contrast agent changes fast, are left out. A prior draws it to zero where breathing is shallow.
    """
    pool = _log_mean(aligned.frames, core(regions.lv_pool))
    wall = _log_mean(aligned.frames, core(regions.myocardium))
    if pool is None or wall is None:
        return np.zeros(2)
    quiet = _quiet(pool, time_s) & (aligned.frame_weight > 0.0)
    place = _fast(aligned.bulk_displacement_mm, quiet)
    signal = np.concatenate([_fast(pool, quiet), _fast(wall, quiet)])
    twice = np.concatenate([place, place])
    precision = twice.T @ twice / REGION_ERROR**2 + np.eye(2) / USUAL_SLOPE_MM**2
    slope: FloatArray = np.linalg.solve(precision, twice.T @ signal / REGION_ERROR**2)
    return slope


def _log_mean(frames: FloatArray, mask: BoolArray) -> FloatArray | None:
    """Logarithm of the mean signal of a region [time]; None where there is none."""
    signal = frames[:, mask].astype(float)
    if signal.shape[1] == 0:
        return None
    mean = mean_magnitude(signal, noise_level(signal), axis=1)
    return np.log(mean) if mean.min() > 0.0 else None


def _quiet(log_pool: FloatArray, time_s: FloatArray) -> BoolArray:
    """Frames before the bolus comes and after it has passed [time]."""
    smooth = ndimage.gaussian_filter1d(np.exp(log_pool), 1.0)
    low = float(np.median(np.sort(smooth)[: max(smooth.size // 10, 3)]))
    arrival_s = time_s[np.argmax(smooth > low + _ARRIVED * (smooth.max() - low))]
    before, after = _FIRST_PASS_S
    quiet: BoolArray = (time_s < arrival_s - before) | (time_s > arrival_s + after)
    return quiet


def _fast(values: FloatArray, used: BoolArray) -> FloatArray:
    """Part of the used `values` [time, ...] that changes from frame to frame.

    What is slow is seen by the used frames alone: the bolus must not leak into its neighbours.
    """
    weight = ndimage.gaussian_filter1d(used.astype(float), _SMOOTH_FRAMES, mode="constant")
    seen = (values.T * used).T
    total = ndimage.gaussian_filter1d(seen, _SMOOTH_FRAMES, axis=0, mode="constant")
    fast: FloatArray = values[used] - (total.T / np.maximum(weight, 1e-6)).T[used]
    return fast
