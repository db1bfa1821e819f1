"""The frame in which the left ventricle is brightest during the first pass."""

import numpy as np
from scipy import ndimage

from pipeline.enhancement import find_ventricles
from pipeline.errors import NoBolusError, TooFewFramesError
from pipeline.study import FloatArray

MINIMUM_FRAMES = 8
_FIRST_PASS_S = 15.0
"""From half the rise of the left ventricle; recirculation comes later."""
_SMOOTHING_FRAMES = 0.8


def peak_lv_frame(
    frames: FloatArray, time_s: FloatArray, spacing_mm: tuple[float, float] = (1.5, 1.5)
) -> int:
    """Find the frame of peak enhancement of the left ventricular blood pool.

    Parameters
    ----------
    frames : [time, row, column]
        One slice, not aligned.
    time_s : [time]
    spacing_mm
        Between rows, between columns.

    Raises
    ------
    TooFewFramesError
        A first pass does not fit into so few frames.
    NoBolusError
        No blood pool that enhances like a left ventricle.
    """
    if len(frames) < MINIMUM_FRAMES:
        raise TooFewFramesError(f"{len(frames)} frames are too few for a first pass")
    ventricles = find_ventricles(frames, time_s, spacing_mm)
    if ventricles is None:
        raise NoBolusError("no contrast agent was seen to pass through the left ventricle")
    # The brightest part: neither papillary muscles nor, where it moves, the wall.
    pool = np.percentile(frames[:, ventricles.lv_core], 90, axis=1)
    return _first_peak(pool, time_s, ventricles.lv_arrival_s)


def _first_peak(curve: FloatArray, time_s: FloatArray, arrival_s: float) -> int:
    smooth = ndimage.gaussian_filter1d(curve.astype(float), _SMOOTHING_FRAMES, mode="nearest")
    since_s = time_s - arrival_s
    inside = (since_s >= 0) & (since_s <= _FIRST_PASS_S)
    if not inside.any():
        raise NoBolusError("the series ends before the left ventricle is reached")
    return int(np.where(inside, smooth, -np.inf).argmax())
