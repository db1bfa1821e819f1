"""AHA segments of the truth (Cerqueira et al. 2002, doi 10.1161/hc0402.102975)."""

import numpy as np

from pipeline.result import InsertionPoints, SliceLevel
from pipeline.study import BoolArray, IntArray

_FIRST = {SliceLevel.BASAL: 1, SliceLevel.MID: 7, SliceLevel.APICAL: 13}


def sector_labels(
    wall: BoolArray, cavity: BoolArray, points: InsertionPoints, level: SliceLevel
) -> IntArray:
    """AHA segment of each pixel of the wall; the picture is seen from the apex, anterior up.

    Six sectors of 60 degrees run counter-clockwise, the anterior one ending at the anterior
    insertion point; at the apex four of 90 degrees, the septal one around the mid septum.
    """
    rows, columns = np.nonzero(wall | cavity)
    centre = rows.mean(), columns.mean()

    def angle(row: object, column: object) -> np.ndarray:
        return np.arctan2(-(np.asarray(row) - centre[0]), np.asarray(column) - centre[1])

    turn = 2 * np.pi
    anterior, inferior = angle(*points.anterior), angle(*points.inferior)
    at = angle(*np.indices(wall.shape))
    if level is SliceLevel.APICAL:
        septum = anterior + ((inferior - anterior) % turn) / 2
        step = ((at - (septum - 3 * np.pi / 4)) % turn) // (turn / 4)  # anterior, septal, ...
    else:
        step = ((at - (anterior - np.pi / 3)) % turn) // (turn / 6)  # anterior, anteroseptal, ...
    return np.where(wall, _FIRST[level] + step.astype(int), 0).astype(np.uint8)
