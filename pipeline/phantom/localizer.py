"""Three orthogonal planes through a simulated patient, as a localizer shows them.

The chest of the slices goes on along the axis of the heart, so that planes across it can be cut;
atria are two ellipsoids above the base.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pipeline.phantom.flow import draw_flow
from pipeline.phantom.geometry import Planning
from pipeline.phantom.grid import OVERSAMPLING, Grid
from pipeline.phantom.labels import Tissue
from pipeline.phantom.others import native_signals
from pipeline.phantom.patient import Patient, draw_patient
from pipeline.phantom.settings import PhantomSettings
from pipeline.phantom.slab import CUT_SPACING_MM, N_CUTS, build_slab
from pipeline.phantom.thorax import thorax_labels
from pipeline.study import FloatArray, IntArray, SliceGeometry, State

MATRIX = 128
SPACING_MM = 3.0
_DEEPEST_MM = 200
_HIGHEST_MM = -180
_NOISE = 0.04

# middle (x, y, z) and half axes [mm] in the scene: left atrium, right atrium, root of the aorta
_ABOVE_THE_BASE = (
    (Tissue.LV_BLOOD, (4.0, 2.0, -24.0), (25.0, 23.0, 21.0)),
    (Tissue.RV_BLOOD, (-48.0, 14.0, -18.0), (22.0, 26.0, 22.0)),
    (Tissue.AORTA, (-18.0, -14.0, -45.0), (13.0, 13.0, 55.0)),
)
_AROUND_MM = 9.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Plane:
    """One picture of a localizer."""

    pixels: FloatArray
    geometry: SliceGeometry


def localizer(seed: int, settings: PhantomSettings) -> tuple[Plane, ...]:
    """Take an axial, a coronal and a sagittal picture of the patient of a seed."""
    patient = draw_patient(np.random.default_rng(seed), settings)
    rng = np.random.default_rng((seed, 2))
    volume = _volume(rng, patient)
    signal = native_signals(patient)
    noise = _NOISE * float(signal[Tissue.LV_BLOOD])
    axes = np.eye(3)
    planes = []
    for column, row in ((axes[0], axes[1]), (axes[0], -axes[2]), (axes[1], -axes[2])):
        geometry = _through(patient.planning.origin_mm, column, row)
        seen = signal[_cut(volume, patient.planning, geometry)]
        real, imaginary = noise * rng.standard_normal((2, MATRIX, MATRIX))
        planes.append(Plane(pixels=np.hypot(seen + real, imaginary), geometry=geometry))
    return tuple(planes)


def _volume(rng: Generator, patient: Patient) -> IntArray:
    """Labels of the chest [z, y, x] in the scene, coarse; z from `_HIGHEST_MM`."""
    grid = Grid.of_picture(
        matrix=MATRIX // OVERSAMPLING + 1,
        spacing_mm=SPACING_MM * OVERSAMPLING,
        turn_rad=0.0,
        centre_mm=(0.0, 0.0),
    )
    depths = np.arange(_HIGHEST_MM, _DEEPEST_MM, CUT_SPACING_MM)
    every_other = np.repeat(depths[::2], 2)
    coarse = {z: thorax_labels(patient.thorax, grid, float(z)) for z in depths[::2]}
    volume = np.stack([coarse[z] for z in every_other])
    for tissue, middle, half in _ABOVE_THE_BASE:
        inside = _ellipsoid(grid, depths, middle, half, _AROUND_MM)
        volume[inside & np.isin(volume, (Tissue.LUNG, Tissue.LUNG_VESSEL))] = Tissue.FAT
        volume[_ellipsoid(grid, depths, middle, half, 0.0)] = tissue
    flow = draw_flow(rng, state=State.REST, defects=patient.defects)
    reach = CUT_SPACING_MM * (N_CUTS // 2)
    for middle_mm in np.arange(reach, patient.heart.length_mm, CUT_SPACING_MM * N_CUTS):
        slab = build_slab(
            rng,
            heart=patient.heart,
            thorax=patient.thorax,
            flow=flow,
            grid=grid,
            z_mm=float(middle_mm),
        )
        first = round((middle_mm - reach - _HIGHEST_MM) / CUT_SPACING_MM)
        last = round((patient.heart.length_mm - _HIGHEST_MM) / CUT_SPACING_MM)
        number = min(N_CUTS, last - first)
        volume[first : first + number] = slab.labels[:number]
    return volume


def _ellipsoid(
    grid: Grid,
    depths_mm: FloatArray,
    middle_mm: tuple[float, float, float],
    half_mm: tuple[float, float, float],
    more_mm: float,
) -> IntArray:
    x, y, z = (
        (along - centre) / (half + more_mm)
        for along, centre, half in zip(
            (grid.x_mm[None], grid.y_mm[None], depths_mm[:, None, None]),
            middle_mm,
            half_mm,
            strict=True,
        )
    )
    inside: IntArray = x**2 + y**2 + z**2 < 1.0
    return inside


def _through(middle_mm: FloatArray, column: FloatArray, row: FloatArray) -> SliceGeometry:
    corner = middle_mm - (MATRIX - 1) / 2 * SPACING_MM * (column + row)
    return SliceGeometry(
        position_mm=(float(corner[0]), float(corner[1]), float(corner[2])),
        column_direction=(float(column[0]), float(column[1]), float(column[2])),
        row_direction=(float(row[0]), float(row[1]), float(row[2])),
        spacing_mm=(SPACING_MM, SPACING_MM),
        thickness_mm=8.0,
    )


def _cut(volume: IntArray, planning: Planning, geometry: SliceGeometry) -> IntArray:
    """Labels in a plane; air outside of the volume [row, column]."""
    points = geometry.to_patient_mm(np.moveaxis(np.indices((MATRIX, MATRIX)), 0, -1))
    away = points - planning.origin_mm
    cosine, sine = np.cos(planning.turn_rad), np.sin(planning.turn_rad)
    column, row = planning.column_direction, planning.row_direction
    x, y = away @ (cosine * column - sine * row), away @ (sine * column + cosine * row)
    z = -(away @ np.cross(column, row))
    shape = np.array(volume.shape)
    index = np.stack(
        [
            (z - _HIGHEST_MM) / CUT_SPACING_MM,
            y / SPACING_MM + (shape[1] - 1) / 2,
            x / SPACING_MM + (shape[2] - 1) / 2,
        ]
    )
    nearest = np.rint(index).astype(int)
    inside = np.all((nearest >= 0) & (nearest < shape[:, None, None]), axis=0)
    nearest = np.clip(nearest, 0, (shape - 1)[:, None, None])
    labels: IntArray = np.where(inside, volume[tuple(nearest)], Tissue.AIR)
    return labels
