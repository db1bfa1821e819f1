"""AHA segments of the truth (Cerqueira et al. 2002, doi 10.1161/hc0402.102975)."""

import numpy as np

from pipeline.result import InsertionPoints, SliceLevel
from pipeline.study import BoolArray, FloatArray, IntArray

_FIRST = {SliceLevel.BASAL: 1, SliceLevel.MID: 7, SliceLevel.APICAL: 13}
_TURN = 2 * np.pi


def sector_labels(
    wall: BoolArray, cavity: BoolArray, points: InsertionPoints, level: SliceLevel
) -> IntArray:
    """AHA segment of each pixel of the wall; the picture is seen from the apex.

    Six sectors of 60 degrees run counter-clockwise, the anterior one ending at the anterior
    insertion point; at the apex four of 90 degrees, the septal one around the mid septum.
    The picture may be turned in its plane: the insertion points turn with it.
    """
    rows, columns = np.nonzero(wall | cavity)
    centre = float(rows.mean()), float(columns.mean())
    every_row, every_column = np.indices(wall.shape, dtype=float)
    at = _angle(every_row, every_column, centre)
    anterior = float(_angle(np.array(points.anterior[0]), np.array(points.anterior[1]), centre))
    inferior = float(_angle(np.array(points.inferior[0]), np.array(points.inferior[1]), centre))
    if level is SliceLevel.APICAL:
        septum = anterior + ((inferior - anterior) % _TURN) / 2
        step = ((at - (septum - 3 * np.pi / 4)) % _TURN) // (_TURN / 4)  # anterior, septal ...
    else:
        step = ((at - (anterior - np.pi / 3)) % _TURN) // (_TURN / 6)  # anterior, anteroseptal ...
    sectors: IntArray = np.where(wall, _FIRST[level] + step.astype(int), 0).astype(np.uint8)
    return sectors


def _angle(row: FloatArray, column: FloatArray, centre: tuple[float, float]) -> FloatArray:
    """Counter-clockwise from the right of the picture."""
    angle: FloatArray = np.arctan2(-(row - centre[0]), column - centre[1])
    return angle
