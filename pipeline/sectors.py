"""The 16 segments of the left ventricle that a short-axis stack covers.

American Heart Association 2002 (doi 10.1161/hc0402.102975). Segments 1-6 are basal, 7-12
mid-ventricular (anterior, anteroseptal, inferoseptal, inferior, inferolateral, anterolateral),
13-16 apical (anterior, septal, inferior, lateral).
"""

import numpy as np

from pipeline.errors import InvalidStudyError
from pipeline.result import InsertionPoints, Regions, SliceLevel
from pipeline.study import FloatArray, IntArray

_FIRST_SEGMENT = {SliceLevel.BASAL: 1, SliceLevel.MID: 7}
_FIRST_APICAL_SEGMENT = 13


def slice_levels(count: int) -> tuple[SliceLevel, ...]:
    """Name the levels of `count` slices, ordered from base to apex.

    One slice is mid-ventricular; of two, the first is basal and the second mid-ventricular; more
    are divided into thirds.
    """
    if count < 1:
        raise InvalidStudyError("a first pass has at least one slice")
    if count == 1:
        return (SliceLevel.MID,)
    if count == 2:
        return SliceLevel.BASAL, SliceLevel.MID
    levels = tuple(SliceLevel)
    return tuple(levels[3 * index // count] for index in range(count))


def aha_sectors(
    regions: Regions,
    points: InsertionPoints,
    level: SliceLevel,
    spacing_mm: tuple[float, float] = (1.0, 1.0),
) -> IntArray:
    """Give each pixel of the myocardium its AHA segment number.

    Angles run from the anterior insertion point over the septum, so that neither flips nor
    rotations of the image matter: basal and mid-ventricular segments take 60 degrees each,
    anteroseptal first; apical ones 90 degrees, the septal one in the middle of the septum.

    Parameters
    ----------
    regions
        Masks of the slice.
    points
        Insertion points, (row, column).
    level
        Of the slice.
    spacing_mm
        Between rows, between columns; only their ratio matters.

    Returns
    -------
    [row, column]
        Segment 1-16 in the myocardium, 0 elsewhere.
    """
    sectors: IntArray = np.zeros(regions.myocardium.shape, dtype=np.int16)
    if not regions.myocardium.any():
        return sectors
    centre = np.argwhere(regions.myocardium | regions.lv_pool).mean(axis=0)
    pixels = np.argwhere(regions.myocardium)
    origin = _angle(np.array(points.anterior), centre, spacing_mm)
    turn = _septal_turn(regions, points, centre, spacing_mm)
    from_anterior = (turn * (_angle(pixels, centre, spacing_mm) - origin)) % (2 * np.pi)
    degrees = np.rad2deg(from_anterior)
    if level is SliceLevel.APICAL:
        inferior = _angle(np.array(points.inferior), centre, spacing_mm)
        mid_septum = np.rad2deg((turn * (inferior - origin)) % (2 * np.pi)) / 2
        number = _FIRST_APICAL_SEGMENT + ((degrees - mid_septum + 135) % 360 // 90).astype(int)
    else:
        number = _FIRST_SEGMENT[level] + ((degrees + 60) % 360 // 60).astype(int)
    sectors[regions.myocardium] = number
    return sectors


def _angle(points: FloatArray, centre: FloatArray, spacing_mm: tuple[float, float]) -> FloatArray:
    """Image angle of (row, column) points [..., 2] round the centre [rad]."""
    offset = (points - centre) * np.asarray(spacing_mm)
    angle: FloatArray = np.arctan2(offset[..., 0], offset[..., 1])
    return angle


def _septal_turn(
    regions: Regions,
    points: InsertionPoints,
    centre: FloatArray,
    spacing_mm: tuple[float, float],
) -> float:
    """+1 or -1: the sense of rotation from the anterior point over the septum to the inferior."""
    origin = _angle(np.array(points.anterior), centre, spacing_mm)
    inferior = (_angle(np.array(points.inferior), centre, spacing_mm) - origin) % (2 * np.pi)
    if not regions.rv_pool.any():
        return 1.0 if inferior <= np.pi else -1.0  # the septum is the shorter way
    right = np.argwhere(regions.rv_pool).mean(axis=0)
    towards_right = (_angle(right, centre, spacing_mm) - origin) % (2 * np.pi)
    return 1.0 if towards_right < inferior else -1.0
