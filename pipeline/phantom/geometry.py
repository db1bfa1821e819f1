"""Where the slices of a simulated study lie in the patient."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pipeline.study import FloatArray, SliceGeometry


@dataclass(frozen=True, kw_only=True, eq=False)
class Planning:
    """An oblique short axis; the normal (column x row direction) points to the base."""

    origin_mm: FloatArray
    """Scene point (0, 0) at the base, in LPS."""
    column_direction: FloatArray
    row_direction: FloatArray
    turn_rad: float
    """Of the picture against the scene."""


def draw_planning(rng: Generator) -> Planning:
    """Draw a short axis: the apex points left, forward and down."""
    yaw, pitch = np.radians(rng.uniform(35, 60)), np.radians(rng.uniform(5, 30))
    apex = np.array([np.cos(pitch) * np.sin(yaw), -np.cos(pitch) * np.cos(yaw), -np.sin(pitch)])
    row = np.array([0.0, 0.0, -1.0]) + apex * apex[2]  # down in the picture: as inferior as can be
    row /= np.linalg.norm(row)
    column = np.cross(row, -apex)
    turn = float(np.clip(rng.normal(0.0, 0.28), -0.7, 0.7))
    return Planning(
        origin_mm=np.array([rng.uniform(20, 60), rng.uniform(-60, -10), rng.uniform(-80, 80)]),
        column_direction=np.cos(turn) * column + np.sin(turn) * row,
        row_direction=np.cos(turn) * row - np.sin(turn) * column,
        turn_rad=turn,
    )


def slice_geometry(
    planning: Planning,
    *,
    depth_mm: float,
    centre_mm: tuple[float, float],
    matrix: int,
    spacing_mm: float,
    thickness_mm: float,
) -> SliceGeometry:
    """Geometry of the slice `depth_mm` below the base, its picture centred at `centre_mm`."""
    column, row = planning.column_direction, planning.row_direction
    half = (matrix - 1) / 2 * spacing_mm
    # the scene's own axes, from which the picture is turned
    cosine, sine = np.cos(planning.turn_rad), np.sin(planning.turn_rad)
    x, y = cosine * column - sine * row, sine * column + cosine * row
    middle = planning.origin_mm + centre_mm[0] * x + centre_mm[1] * y
    corner = middle - depth_mm * np.cross(column, row) - half * (column + row)
    return SliceGeometry(
        position_mm=_triple(corner),
        column_direction=_triple(column),
        row_direction=_triple(row),
        spacing_mm=(spacing_mm, spacing_mm),
        thickness_mm=thickness_mm,
    )


def _triple(vector: FloatArray) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])
