"""Which frames lie in the same slice, which slices are short axis, and which one is the base."""

from collections.abc import Sequence

import numpy as np

from node.dicom_read.frames import Frame
from pipeline.study import FloatArray, SliceGeometry

SAME_PLACE_MM = 0.5
"""Two images this close are of one slice."""
_SAME_CENTRE_MM = 1.5
"""Grids of different size have centres that differ by half a pixel."""
_PARALLEL = 0.999
_SAME_DIRECTION = 1e-3
_SAME_SPACING_MM = 1e-3

_TOWARDS_APEX = np.array([0.66, -0.60, -0.45]) / np.linalg.norm([0.66, -0.60, -0.45])
"""The usual long axis of the left ventricle from base to apex in the patient (LPS): leftwards,
forwards, downwards. Hearts differ from it by 15 to 40 degrees; a long-axis view by 60 to 90."""

USUAL_ANGLE_DEG = 45.0
LARGEST_ANGLE_DEG = 60.0


def slices_of(frames: Sequence[Frame], *, most: int) -> list[list[Frame]] | None:
    """Gather the frames of each slice: same grid, same directions, same place within 0.5 mm.

    None where there are more than `most` slices.
    """
    slices: list[list[Frame]] = []
    known: dict[tuple[int, int, SliceGeometry], list[Frame]] = {}
    for frame in frames:
        place = (frame.rows, frame.columns, frame.geometry)
        if place not in known:
            near = next((members for members in slices if same_slice(members[0], frame)), None)
            if near is None:
                slices.append(near := [])
            if len(slices) > most:
                return None
            known[place] = near
        known[place].append(frame)
    return slices


def same_slice(one: Frame, other: Frame) -> bool:
    """Whether two frames show the same slice on the same grid."""
    if (one.rows, one.columns) != (other.rows, other.columns):
        return False
    if not same_directions(one.geometry, other.geometry):
        return False
    spacing = np.subtract(one.geometry.spacing_mm, other.geometry.spacing_mm)
    apart = np.subtract(one.geometry.position_mm, other.geometry.position_mm)
    return bool(np.abs(spacing).max() < _SAME_SPACING_MM and np.linalg.norm(apart) < SAME_PLACE_MM)


def same_directions(one: SliceGeometry, other: SliceGeometry) -> bool:
    """Whether two slices are parallel and turned alike."""
    difference = np.subtract(
        one.column_direction + one.row_direction, other.column_direction + other.row_direction
    )
    return bool(np.abs(difference).max() < _SAME_DIRECTION)


def centre_mm(frame: Frame) -> FloatArray:
    """Return the centre of the image in the patient [3]."""
    middle = np.array([(frame.rows - 1) / 2, (frame.columns - 1) / 2])
    return frame.geometry.to_patient_mm(middle)


def long_axis_angle_deg(geometry: SliceGeometry) -> float:
    """Return the angle between a slice's normal and the usual long axis, 0 to 90 degrees."""
    cosine = abs(float(geometry.normal @ _TOWARDS_APEX))
    return float(np.degrees(np.arccos(min(cosine, 1.0))))


def base_to_apex(frames: Sequence[Frame]) -> list[int]:
    """Order slices, one frame of each, from base to apex; return their indices."""
    normal = frames[0].geometry.normal
    towards_apex = normal * np.sign(normal @ _TOWARDS_APEX)
    return sorted(range(len(frames)), key=lambda i: float(centre_mm(frames[i]) @ towards_apex))


def same_place(one: Frame, other: Frame) -> bool:
    """Whether two frames are centred on the same place of the same plane, on whatever grid."""
    apart = float(np.linalg.norm(centre_mm(one) - centre_mm(other)))
    parallel = abs(float(one.geometry.normal @ other.geometry.normal))
    return apart < _SAME_CENTRE_MM and parallel > _PARALLEL
