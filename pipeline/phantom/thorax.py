"""What surrounds the heart in a short-axis picture: labels of tissue around it.

Coordinates as in `heart`: mm from the LV axis at mid level, x right and y down in the picture.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.random import Generator

from pipeline.study import FloatArray, IntArray


class Tissue(IntEnum):
    """Labels of the fine grid; ranges are levels of one tissue."""

    AIR = 0
    LUNG = 1
    FAT = 2
    MUSCLE = 3
    LIVER = 4
    MARROW = 5
    RV_WALL = 6
    FLUID = 7
    SPLEEN = 8
    STOMACH = 9
    LUNG_VESSEL = 10
    AORTA = 11
    RV_BLOOD = 16  # to 23
    LV_BLOOD = 24  # to 31
    MYOCARDIUM = 32  # to 95
    SCAR = 96  # to 127


N_BLOOD_LEVELS = 8
N_FLOW_LEVELS = 64
N_SCAR_LEVELS = 32
N_LABELS = 128


@dataclass(frozen=True, kw_only=True)
class Thorax:
    """Parameters of one chest in the plane of the slices."""

    centre_mm: tuple[float, float]
    half_axes_mm: tuple[float, float]
    fat_mm: float
    muscle_mm: float
    diaphragm_mm: float
    """Depth of the diaphragm below the LV axis."""
    diaphragm_curve: float
    rotation_rad: float
    lung_vessels: tuple[tuple[float, float, float], ...]
    """x, y and radius [mm]."""
    pericardial_fat_mm: float
    stomach: tuple[float, float, float, float]
    """x, y, half axes [mm]; below the diaphragm."""
    aorta_mm: tuple[float, float, float]


def draw_thorax(rng: Generator) -> Thorax:
    """Draw one chest."""
    half = (rng.uniform(125, 165), rng.uniform(150, 200))
    vessels = tuple(
        (rng.uniform(-120, 150), rng.uniform(-140, 60), rng.gamma(2.0, 0.8) + 0.5)
        for _ in range(90)
    )
    return Thorax(
        centre_mm=(half[0] - rng.uniform(85, 100), rng.uniform(-25, 15)),
        half_axes_mm=half,
        fat_mm=rng.uniform(8, 28),
        muscle_mm=rng.uniform(10, 18),
        diaphragm_mm=rng.uniform(36, 48),
        diaphragm_curve=rng.uniform(0.0005, 0.0025),
        rotation_rad=rng.normal(0.0, 0.2),
        lung_vessels=vessels,
        pericardial_fat_mm=rng.uniform(2.0, 8.0),
        stomach=(
            rng.uniform(25, 60),
            rng.uniform(70, 85),
            rng.uniform(15, 35),
            rng.uniform(12, 25),
        ),
        aorta_mm=(rng.uniform(75, 95), rng.uniform(0, 25), rng.uniform(10, 14)),
    )


def thorax_labels(thorax: Thorax, x_mm: FloatArray, y_mm: FloatArray) -> IntArray:
    """`Tissue` of each point, without the heart."""
    dx = (x_mm - thorax.centre_mm[0]) / thorax.half_axes_mm[0]
    dy = (y_mm - thorax.centre_mm[1]) / thorax.half_axes_mm[1]
    depth = (1.0 - np.hypot(dx, dy)) * min(thorax.half_axes_mm)
    label = np.zeros(x_mm.shape, dtype=np.uint8)
    label[depth > 0] = Tissue.FAT
    label[depth > thorax.fat_mm] = Tissue.MUSCLE
    chest = depth > thorax.fat_mm + thorax.muscle_mm
    label[chest] = Tissue.LUNG
    for vx, vy, radius in thorax.lung_vessels:
        near = (np.abs(x_mm - vx) < radius) & (np.abs(y_mm - vy) < radius)
        near[near] = (x_mm[near] - vx) ** 2 + (y_mm[near] - vy) ** 2 < radius**2
        label[near & chest] = Tissue.LUNG_VESSEL
    below = y_mm - thorax.diaphragm_mm - thorax.diaphragm_curve * (x_mm + 20.0) ** 2
    label[chest & (below > 0)] = Tissue.LIVER
    label[chest & (below > 0) & (x_mm > 35)] = Tissue.SPLEEN
    sx, sy, sa, sb = thorax.stomach
    stomach = ((x_mm - sx) / sa) ** 2 + ((y_mm - sy) / sb) ** 2 < 1
    label[chest & (below > 0) & stomach] = Tissue.STOMACH
    ax, ay, radius = thorax.aorta_mm
    label[chest & ((x_mm - ax) ** 2 + (y_mm - ay) ** 2 < radius**2)] = Tissue.AORTA
    return label


def chest_weight(thorax: Thorax, x_mm: FloatArray, y_mm: FloatArray) -> FloatArray:
    """How far each point follows the breathing: 1 inside the chest, 0 at its wall."""
    dx = (x_mm - thorax.centre_mm[0]) / thorax.half_axes_mm[0]
    dy = (y_mm - thorax.centre_mm[1]) / thorax.half_axes_mm[1]
    depth = (1.0 - np.hypot(dx, dy)) * min(thorax.half_axes_mm)
    edge = thorax.fat_mm + 0.3 * thorax.muscle_mm
    weight = np.clip((depth - edge) / 30.0, 0.0, 1.0)
    smooth: FloatArray = weight**2 * (3.0 - 2.0 * weight)
    return smooth
