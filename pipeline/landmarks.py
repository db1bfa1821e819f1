"""Where the right ventricular wall joins the septum: the two insertion points."""

import numpy as np

from pipeline.errors import NoMyocardiumError
from pipeline.result import InsertionPoints, Regions
from pipeline.study import FloatArray, SliceGeometry

_REFINED_WITHIN_MM = 6.0
_APART_RAD = np.deg2rad(35.0)
"""Seen from the middle of the ventricle; septa span 60 to 150 degrees."""
_SEEN = 0.1
"""Below it the network saw no insertion point."""
_SUPERIOR_ANTERIOR = np.array([0.0, -0.5, 1.0])
"""From the inferior to the anterior insertion, roughly, in any short-axis plane (LPS)."""
_RIGHT_ANTERIOR = np.array([-1.0, -0.7, 0.0])
"""From the left to the right ventricle, roughly (LPS)."""
_USUAL_SEPTUM_RAD = np.deg2rad(120.0)


def insertion_points(regions: Regions, geometry: SliceGeometry) -> InsertionPoints:
    """Find both insertion points as the peaks of the network's map of them.

    Which of them is anterior follows from the position of the slice in the patient. Where only one
    is seen, the other one lies a usual septum away on the side of the right ventricle; where none
    is, the septum is taken where it lies in most people.

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
    radius_mm = float(np.sqrt(within.sum() * np.prod(geometry.spacing_mm) / np.pi))
    seen = _peaks(regions.insertion, centre, geometry)
    points = _completed(
        seen, _towards_right(regions, centre, geometry), centre, radius_mm, geometry
    )
    height = geometry.to_patient_mm(np.array(points)) @ _SUPERIOR_ANTERIOR
    anterior = int(height.argmax())
    return InsertionPoints(anterior=points[anterior], inferior=points[1 - anterior])


def _peaks(
    insertion: FloatArray | None, centre: FloatArray, geometry: SliceGeometry
) -> list[tuple[float, float]]:
    """Find the two highest peaks that lie apart; fewer where there are fewer."""
    if insertion is None:
        return []
    spacing = np.asarray(geometry.spacing_mm)
    places = np.moveaxis(np.indices(insertion.shape), 0, -1)
    angles = _angle(places, centre, spacing)
    left = np.array(insertion, dtype=float)
    found = []
    for _ in range(2):
        top = np.unravel_index(int(left.argmax()), left.shape)
        if left[top] < _SEEN:
            break
        away_mm = np.hypot(*((places - np.array(top)) * spacing).transpose(2, 0, 1))
        weight = left * (away_mm <= _REFINED_WITHIN_MM)
        point = (places * weight[..., None]).sum(axis=(0, 1)) / weight.sum()
        found.append((float(point[0]), float(point[1])))
        turned = np.abs((angles - angles[top] + np.pi) % (2 * np.pi) - np.pi)
        left[turned < _APART_RAD] = 0
    return found


def _completed(
    seen: list[tuple[float, float]],
    towards_right: float,
    centre: FloatArray,
    radius_mm: float,
    geometry: SliceGeometry,
) -> list[tuple[float, float]]:
    """Add the points that were not seen, on the epicardium."""
    spacing = np.asarray(geometry.spacing_mm)
    if len(seen) == 2:
        return seen
    if len(seen) == 1:
        angle = float(_angle(np.array(seen[0]), centre, spacing))
        side = np.sign((towards_right - angle + np.pi) % (2 * np.pi) - np.pi) or 1.0
        return [*seen, _at(angle + side * _USUAL_SEPTUM_RAD, centre, radius_mm, spacing)]
    return [
        _at(towards_right + side * _USUAL_SEPTUM_RAD / 2, centre, radius_mm, spacing)
        for side in (-1, 1)
    ]


def _towards_right(regions: Regions, centre: FloatArray, geometry: SliceGeometry) -> float:
    """Image angle from the left ventricle to the right one, seen or as in most people."""
    if regions.rv_pool.any():
        right = np.argwhere(regions.rv_pool).mean(axis=0)
        return float(_angle(right, centre, np.asarray(geometry.spacing_mm)))
    down = float(np.dot(geometry.row_direction, _RIGHT_ANTERIOR))
    across = float(np.dot(geometry.column_direction, _RIGHT_ANTERIOR))
    return float(np.arctan2(down, across))


def _angle(points: FloatArray, centre: FloatArray, spacing: FloatArray) -> FloatArray:
    offset = (points - centre) * spacing
    angle: FloatArray = np.arctan2(offset[..., 0], offset[..., 1])
    return angle


def _at(
    angle: float, centre: FloatArray, radius_mm: float, spacing: FloatArray
) -> tuple[float, float]:
    row = centre[0] + np.sin(angle) * radius_mm / spacing[0]
    column = centre[1] + np.cos(angle) * radius_mm / spacing[1]
    return float(row), float(column)
