"""Where the heart is: the box around both ventricles."""

import numpy as np
from scipy import ndimage

from pipeline.enhancement import Ventricles, find_ventricles
from pipeline.errors import NoHeartError
from pipeline.result import Box
from pipeline.study import BoolArray, FloatArray

_WALL_MM = 13.0
"""From the bright core to the outside of the wall: trabeculae and myocardium."""
_RV_WALL_MM = 6.0
_MINIMUM_SCORE = 0.01


def heart_box(
    frames: FloatArray, time_s: FloatArray, peak_frame: int, spacing_mm: tuple[float, float]
) -> Box:
    """Find the tightest box around the left and right ventricle with their walls.

    Parameters
    ----------
    frames : [time, row, column]
        One slice, not aligned.
    time_s : [time]
    peak_frame
        Frame of peak enhancement of the left ventricle: the pass before it shows the ventricles.
    spacing_mm
        Between rows, between columns.

    Raises
    ------
    NoHeartError
        Nothing enhances like a ventricle.
    """
    last = min(len(frames), peak_frame + 1 + int(np.searchsorted(time_s - time_s[0], 15.0)))
    ventricles = find_ventricles(frames[:last], time_s[:last], spacing_mm)
    if ventricles is None or ventricles.score < _MINIMUM_SCORE:
        raise NoHeartError("no left ventricle was found in the images")
    return _bounds(_heart(ventricles, spacing_mm))


def _heart(ventricles: Ventricles, spacing_mm: tuple[float, float]) -> BoolArray:
    """Both cores, grown by their walls."""
    from_lv_mm = ndimage.distance_transform_edt(~ventricles.lv_core, sampling=spacing_mm)
    heart: BoolArray = from_lv_mm <= _WALL_MM
    if ventricles.rv_core.any():
        from_rv_mm = ndimage.distance_transform_edt(~ventricles.rv_core, sampling=spacing_mm)
        heart |= from_rv_mm <= _RV_WALL_MM
    return heart


def _bounds(heart: BoolArray) -> Box:
    rows, columns = np.flatnonzero(heart.any(axis=1)), np.flatnonzero(heart.any(axis=0))
    return Box(
        row_start=int(rows[0]),
        row_stop=int(rows[-1]) + 1,
        column_start=int(columns[0]),
        column_stop=int(columns[-1]) + 1,
    )
