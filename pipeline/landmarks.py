"""Where the right ventricular wall joins the septum: the two insertion points."""

import numpy as np
from scipy import ndimage

from pipeline.errors import NoMyocardiumError
from pipeline.result import InsertionPoints, Regions
from pipeline.study import BoolArray, FloatArray, SliceGeometry

_ANGLES = 360
_BESIDE_MM = 7.0
"""Right ventricular blood so near to the epicardium lies on the septum."""
_RV_WALL_MM = 3.0
"""The wall joins the septum this far beyond the end of the pool."""
_SUPERIOR_ANTERIOR = np.array([0.0, -0.5, 1.0])
"""From the inferior to the anterior insertion, roughly, in any short-axis plane (LPS)."""
_RIGHT_ANTERIOR = np.array([-1.0, -0.7, 0.0])
"""From the left to the right ventricle, roughly (LPS)."""
_USUAL_HALF_SEPTUM_RAD = np.deg2rad(60.0)


def insertion_points(regions: Regions, geometry: SliceGeometry) -> InsertionPoints:
    """Find both insertion points at the ends of the septum, where RV blood lies beside the wall.

    Which of them is anterior follows from the position of the slice in the patient. Where no right
    ventricle was outlined, the septum is taken where it lies in most people.

    Parameters
    ----------
    regions
        Of the slice.
    geometry
        Where the slice lies in the patient.

    Raises
    ------
    NoMyocardiumError
        There is no myocardium to put the points on.
    """
    within = regions.myocardium | regions.lv_pool
    if not within.any():
        raise NoMyocardiumError("there is no myocardium to put insertion points on")
    centre = np.argwhere(within).mean(axis=0)
    angles = np.arange(_ANGLES) * 2 * np.pi / _ANGLES
    epicardium_mm = _radii_mm(within, centre, geometry.spacing_mm)
    septal = _septal(regions.rv_pool, centre, epicardium_mm, geometry.spacing_mm)
    if septal.any():
        first, last = _longest_arc(septal)
        beyond = round(_RV_WALL_MM / float(epicardium_mm.mean()) * _ANGLES / (2 * np.pi))
        ends = angles[(first - beyond) % _ANGLES], angles[(last + beyond) % _ANGLES]
    else:
        middle = _usual_septum(geometry)
        ends = middle - _USUAL_HALF_SEPTUM_RAD, middle + _USUAL_HALF_SEPTUM_RAD
    points = [_at(angle, centre, epicardium_mm, geometry.spacing_mm) for angle in ends]
    height = geometry.to_patient_mm(np.array(points)) @ _SUPERIOR_ANTERIOR
    anterior = int(height.argmax())
    return InsertionPoints(anterior=points[anterior], inferior=points[1 - anterior])


def _radii_mm(mask: BoolArray, centre: FloatArray, spacing_mm: tuple[float, float]) -> FloatArray:
    """Distance from the centre to the farthest pixel of `mask` along each angle."""
    steps_mm = np.arange(0, 80, 0.5)
    inside = _sample(mask, centre, steps_mm, spacing_mm) > 0.5
    reach: FloatArray = np.where(inside, steps_mm, 0).max(axis=1)
    return reach


def _sample(
    mask: BoolArray, centre: FloatArray, radii_mm: FloatArray, spacing_mm: tuple[float, float]
) -> FloatArray:
    """`mask` at [angle, radius]; `radii_mm` is [radius] or [angle, radius]."""
    angles = (np.arange(_ANGLES) * 2 * np.pi / _ANGLES)[:, None]
    rows = centre[0] + np.sin(angles) * radii_mm / spacing_mm[0]
    columns = centre[1] + np.cos(angles) * radii_mm / spacing_mm[1]
    sampled: FloatArray = ndimage.map_coordinates(
        mask.astype(np.float32), [rows, columns], order=1, mode="constant"
    )
    return sampled


def _septal(
    rv_pool: BoolArray,
    centre: FloatArray,
    epicardium_mm: FloatArray,
    spacing_mm: tuple[float, float],
) -> BoolArray:
    """Angles at which right ventricular blood lies just outside the epicardium."""
    outwards_mm = epicardium_mm[:, None] + np.arange(0.5, _BESIDE_MM, 0.5)
    beside = np.any(_sample(rv_pool, centre, outwards_mm, spacing_mm) > 0.5, axis=1)
    closed = ndimage.binary_closing(np.tile(beside, 3), iterations=10)
    return closed[_ANGLES : 2 * _ANGLES]


def _longest_arc(septal: BoolArray) -> tuple[int, int]:
    """First and last angle index of the longest run, which may pass through 0."""
    if septal.all():
        return 0, len(septal) - 1
    start = int(np.argmin(septal))  # outside every run
    labels, count = ndimage.label(np.roll(septal, -start))
    longest = int(np.bincount(labels, minlength=count + 1)[1:].argmax()) + 1
    members = np.flatnonzero(labels == longest)
    return int(members[0]) + start, int(members[-1]) + start


def _usual_septum(geometry: SliceGeometry) -> float:
    """Image angle that points to the right ventricle in most people."""
    down = float(np.dot(geometry.row_direction, _RIGHT_ANTERIOR))
    right = float(np.dot(geometry.column_direction, _RIGHT_ANTERIOR))
    return float(np.arctan2(down, right))


def _at(
    angle: float, centre: FloatArray, epicardium_mm: FloatArray, spacing_mm: tuple[float, float]
) -> tuple[float, float]:
    index = round(angle / (2 * np.pi) * _ANGLES) % _ANGLES
    radius_mm = float(epicardium_mm[index])
    return (
        float(centre[0] + np.sin(angle) * radius_mm / spacing_mm[0]),
        float(centre[1] + np.cos(angle) * radius_mm / spacing_mm[1]),
    )
