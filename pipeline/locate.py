"""Where the heart is: the box around both ventricles."""

import numpy as np
from scipy import ndimage

from pipeline.errors import NoHeartError
from pipeline.heart import RV_POOL, find_heart
from pipeline.networks import AnatomyNetwork
from pipeline.result import Box
from pipeline.study import BoolArray, FloatArray

_RV_WALL_MM = 3.0
_AFTER_PEAK_S = 15.0
"""Later frames are not needed, and breathing begins in them."""


def heart_box(
    frames: FloatArray,
    time_s: FloatArray,
    peak_frame: int,
    spacing_mm: tuple[float, float],
    network: AnatomyNetwork,
) -> Box:
    """Find the tightest box around the left and right ventricle with their walls.

    Parameters
    ----------
    frames : [time, row, column]
        One slice, not aligned.
    time_s : [time]
    peak_frame
        Frame of peak enhancement of the left ventricle.
    spacing_mm
        Between rows, between columns.
    network
        Tells the ventricles from what only fills like them.

    Raises
    ------
    NoHeartError
        Nothing enhances like a ventricle.
    """
    last = int(np.searchsorted(time_s, time_s[peak_frame] + _AFTER_PEAK_S, side="right"))
    heart = find_heart(frames[:last], time_s[:last], spacing_mm, network)
    if heart is None:
        raise NoHeartError("no left ventricle was found in the images")
    right = heart.labels == RV_POOL
    if right.any():
        from_right_mm = ndimage.distance_transform_edt(~right, sampling=spacing_mm)
        return _bounds((heart.labels > 0) | (from_right_mm <= _RV_WALL_MM))
    return _bounds(heart.labels > 0)


def _bounds(heart: BoolArray) -> Box:
    rows, columns = np.flatnonzero(heart.any(axis=1)), np.flatnonzero(heart.any(axis=0))
    return Box(
        row_start=int(rows[0]),
        row_stop=int(rows[-1]) + 1,
        column_start=int(columns[0]),
        column_stop=int(columns[-1]) + 1,
    )
