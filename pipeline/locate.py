"""Where the heart is: the box around both ventricles."""

import numpy as np
from scipy import ndimage

from pipeline.result import Box
from pipeline.study import BoolArray

_RV_WALL_MM = 3.0


def heart_box(left: BoolArray, right: BoolArray, spacing_mm: tuple[float, float]) -> Box:
    """Draw the tightest box around the left and right ventricle with their walls.

    Before motion compensation it says where to look and is blurred by the breathing; after it, it
    is that of the reference frame.

    Parameters
    ----------
    left
        Left ventricle with its wall, not empty [row, column].
    right
        Pool of the right ventricle, whose wall is too thin to be outlined; may be empty.
    spacing_mm
        Between rows, between columns.
    """
    heart = left
    if right.any():
        from_right_mm = ndimage.distance_transform_edt(~right, sampling=spacing_mm)
        heart = left | (from_right_mm <= _RV_WALL_MM)
    rows, columns = np.flatnonzero(heart.any(axis=1)), np.flatnonzero(heart.any(axis=0))
    return Box(
        row_start=int(rows[0]),
        row_stop=int(rows[-1]) + 1,
        column_start=int(columns[0]),
        column_stop=int(columns[-1]) + 1,
    )
