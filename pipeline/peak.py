"""The frame in which the left ventricle is brightest during the first pass."""

import numpy as np
from scipy import ndimage

from pipeline.study import BoolArray, FloatArray

_FIRST_PASS_S = 15.0
"""From half the rise of the left ventricle; recirculation comes later."""
_SMOOTHING_FRAMES = 1.5
"""Saturated curves are flat at the top; which of their frames is brightest is noise."""
_BRIGHTEST_PERCENTILE = 95


def peak_lv_frame(
    frames: FloatArray, time_s: FloatArray, lv_core: BoolArray, arrival_s: float
) -> int | None:
    """Find the frame of peak enhancement of the left ventricular blood pool.

    Parameters
    ----------
    frames : [time, row, column]
        One slice, not aligned.
    time_s : [time]
    lv_core
        Surely left ventricle [row, column].
    arrival_s
        When it reaches half of its rise.

    Returns
    -------
    None where the series ends before the first pass.
    """
    # The brightest part: neither papillary muscles nor, where it moves, the wall.
    curve = np.percentile(frames[:, lv_core], _BRIGHTEST_PERCENTILE, axis=1)
    smooth = ndimage.gaussian_filter1d(curve.astype(float), _SMOOTHING_FRAMES, mode="nearest")
    since_s = time_s - arrival_s
    inside = (since_s >= 0) & (since_s <= _FIRST_PASS_S)
    return int(np.where(inside, smooth, -np.inf).argmax()) if inside.any() else None
