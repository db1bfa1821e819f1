"""What surrounds the heart in a short-axis picture: labels of the tissue around it.

Coordinates as in `heart`: mm from the LV axis, x right and y down in the picture; depth z shifts
what runs obliquely through the slices.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pipeline.phantom.grid import Grid
from pipeline.phantom.labels import Tissue
from pipeline.phantom.tables import N_ANGLES, angles, bump, harmonics, lumps, polar
from pipeline.study import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class Blob:
    """An ellipse: middle, half axes [mm], what is inside, and what lines it."""

    x_mm: float
    y_mm: float
    a_mm: float
    b_mm: float
    turn_rad: float
    content: Tissue
    lining: Tissue
    lining_mm: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Thorax:
    """Parameters of one chest in the plane of the slices; arrays are tables by angle."""

    centre_mm: tuple[float, float]
    inner_mm: FloatArray
    """Inner surface of the chest wall from the centre."""
    muscle_mm: FloatArray
    fat_mm: FloatArray
    ribs: BoolArray
    breast: FloatArray
    """0 to 1 by angle: how much of the fat is gland."""
    diaphragm_mm: float
    diaphragm_curve: tuple[float, float, float]
    """Apex in x [mm], curvature [1/mm], ripple [mm]."""
    liver_end_mm: float
    organs: tuple[Blob, ...]
    lung_vessels: FloatArray
    """[vessel, (x, y, radius, drift of x, drift of y per mm of z)]."""
    liver_vessels: FloatArray
    spine_mm: tuple[float, float, float]
    aorta_mm: tuple[float, float, float]
    pad_mm: FloatArray
    """Fat between heart and chest wall by angle around the heart."""
    pleural_mm: float


def draw_thorax(rng: Generator, heart_left_mm: float, heart_below_mm: float) -> Thorax:
    """Draw one chest around a heart that reaches so far to the left and downwards."""
    half = rng.uniform(125, 165), rng.uniform(165, 235)
    theta = angles()
    # the trunk goes on below the diaphragm: no lower end in the picture
    upright = half[1] * np.where(theta > 0, 1.8, 1.0)
    ellipse = 1.0 / np.hypot(np.cos(theta) / half[0], np.sin(theta) / upright)
    inner = ellipse * harmonics(rng, (0.0, 0.02, 0.02, 0.01, 0.008))
    centre = half[0] - heart_left_mm - rng.uniform(4, 24), rng.uniform(-45, 20)
    female = rng.random() < 0.45
    breast_at = np.pi - rng.uniform(-0.15, 0.6)
    breast = bump(breast_at, rng.uniform(12, 30)) if female else np.zeros(N_ANGLES)
    fat = rng.uniform(5, 24) * harmonics(rng, (0.25, 0.2, 0.1)) + rng.uniform(20, 60) * breast
    spine = centre[0] + half[0] * rng.uniform(0.82, 0.98), centre[1] + rng.uniform(15, 70)
    pad = 1.5 + rng.uniform(3, 28) * bump(rng.uniform(-2.6, -1.7), rng.uniform(3, 10))
    pad += rng.uniform(0, 12) * bump(rng.uniform(1.8, 3.0), rng.uniform(4, 12))
    return Thorax(
        centre_mm=centre,
        inner_mm=inner,
        muscle_mm=rng.uniform(9, 16) * harmonics(rng, (0.2, 0.15, 0.1, 0.08)),
        fat_mm=fat,
        ribs=_draw_ribs(rng, float(np.mean(half))),
        breast=breast * (rng.random() < 0.6),
        diaphragm_mm=heart_below_mm + rng.uniform(-4.0, 5.0),
        diaphragm_curve=(rng.uniform(-35, 15), rng.uniform(0.0004, 0.0022), rng.uniform(0, 2.5)),
        liver_end_mm=rng.uniform(-25, 45),
        organs=_draw_organs(rng, heart_below_mm),
        lung_vessels=_draw_vessels(rng, int(rng.integers(90, 260)), (-60, 170), (-170, 60), 0.5),
        liver_vessels=_draw_vessels(rng, 40, (-140, 60), (45, 150), 1.3),
        spine_mm=(*spine, rng.uniform(15, 19)),
        aorta_mm=(
            spine[0] - rng.uniform(24, 30),
            spine[1] - rng.uniform(0, 18),
            rng.uniform(9, 14),
        ),
        pad_mm=pad * harmonics(rng, (0.15, 0.15, 0.1, 0.1, 0.1)),
        pleural_mm=rng.uniform(5, 25) if rng.random() < 0.08 else 0.0,
    )


def thorax_labels(thorax: Thorax, grid: Grid, z_mm: float) -> IntArray:
    """`Tissue` of each point of the grid, without the heart."""
    x_mm, y_mm = grid.x_mm, grid.y_mm
    radius, index = polar(x_mm, y_mm, thorax.centre_mm)
    outside = radius - thorax.inner_mm[index]
    label = np.full(x_mm.shape, Tissue.LUNG, dtype=np.uint8)
    for x, y, thickness, drift_x, drift_y in thorax.lung_vessels:
        place = x + drift_x * z_mm, y + drift_y * z_mm, thickness
        grid.draw_disc(label, place, Tissue.LUNG_VESSEL)
    below = y_mm - diaphragm(thorax, x_mm)
    _fill_abdomen(label, thorax, grid, z_mm, below)
    if thorax.pleural_mm > 0:
        pool = (outside > -thorax.pleural_mm * np.clip(y_mm / 60.0, 0, 1)) & (below < 0)
        label[pool & (x_mm > 40)] = Tissue.FLUID
    _fill_spine(label, thorax, grid, z_mm)
    _fill_wall(label, thorax, outside, index)
    return label


def diaphragm(thorax: Thorax, x_mm: FloatArray) -> FloatArray:
    """Height y [mm] of the diaphragm at x."""
    apex, curvature, ripple = thorax.diaphragm_curve
    away = x_mm - apex
    dome: FloatArray = curvature * away**2 / (1.0 + np.abs(away) / 90.0)
    return thorax.diaphragm_mm + dome + ripple * np.sin(x_mm / 11.0)


def chest_weight(thorax: Thorax, x_mm: FloatArray, y_mm: FloatArray) -> FloatArray:
    """How far each point follows the breathing: 1 inside the chest, 0 at its wall."""
    radius, index = polar(x_mm, y_mm, thorax.centre_mm)
    weight = np.clip((thorax.inner_mm[index] - radius + 4.0) / 30.0, 0.0, 1.0)
    smooth: FloatArray = weight**2 * (3.0 - 2.0 * weight)
    return smooth


def _fill_abdomen(
    label: IntArray, thorax: Thorax, grid: Grid, z_mm: float, below: FloatArray
) -> None:
    x_mm, y_mm = grid.x_mm, grid.y_mm
    inside = below > 0
    label[inside] = Tissue.FAT
    label[inside & (x_mm < thorax.liver_end_mm + 0.6 * (y_mm - 60.0))] = Tissue.LIVER
    liver = label == Tissue.LIVER
    vessels = np.zeros_like(label)
    for x, y, radius, drift_x, drift_y in thorax.liver_vessels:
        grid.draw_disc(vessels, (x + drift_x * z_mm, y + drift_y * z_mm, radius), 1)
    label[liver & (vessels > 0)] = Tissue.LIVER_VESSEL
    for organ in thorax.organs:
        dx, dy = x_mm - organ.x_mm, y_mm - organ.y_mm - 0.2 * z_mm
        cosine, sine = np.cos(organ.turn_rad), np.sin(organ.turn_rad)
        along, across = dx * cosine + dy * sine, dy * cosine - dx * sine
        inner = np.hypot(along / organ.a_mm, across / organ.b_mm)
        rim = 1.0 + organ.lining_mm / min(organ.a_mm, organ.b_mm)
        label[inside & (inner < rim)] = organ.lining
        label[inside & (inner < 1.0)] = organ.content
    label[inside & (below < 2.2)] = Tissue.MUSCLE


def _fill_spine(label: IntArray, thorax: Thorax, grid: Grid, z_mm: float) -> None:
    x, y, radius = thorax.spine_mm
    grid.draw_disc(label, (x + 4, y + 3, radius + 9), Tissue.MUSCLE)
    grid.draw_disc(label, (x, y, radius), Tissue.DENSE)
    grid.draw_disc(label, (x, y, radius - 1.5), Tissue.MARROW)
    grid.draw_disc(label, (x + radius + 7, y + 2, 7.0), Tissue.FLUID)
    ax, ay, width = thorax.aorta_mm
    centre = ax + 0.15 * z_mm, ay + 0.2 * z_mm
    grid.draw_disc(label, (*centre, width + 1.5), Tissue.MUSCLE)
    grid.draw_disc(label, (*centre, width), Tissue.AORTA)


def _fill_wall(label: IntArray, thorax: Thorax, outside: FloatArray, index: IntArray) -> None:
    muscle, fat = thorax.muscle_mm[index], thorax.fat_mm[index]
    wall = outside > 0
    label[wall] = Tissue.MUSCLE
    rib = wall & thorax.ribs[index] & (outside < 0.75 * muscle)
    label[rib] = Tissue.DENSE
    label[rib & (outside > 1.3) & (outside < 0.75 * muscle - 1.3)] = Tissue.MARROW
    under_skin = outside > muscle
    label[under_skin] = Tissue.FAT
    depth = (outside - muscle) / np.maximum(fat, 1.0)
    gland = under_skin & (thorax.breast[index] > 0.3) & (np.abs(depth - 0.5) < 0.28)
    label[gland] = Tissue.GLAND
    label[outside > muscle + fat] = Tissue.MUSCLE  # the skin
    label[outside > muscle + fat + 1.5] = Tissue.AIR


def _draw_ribs(rng: Generator, radius_mm: float) -> BoolArray:
    period = rng.uniform(32, 60) / radius_mm
    phase = angles() / period + 0.6 * lumps(rng, (1, 7))
    ribs: BoolArray = np.mod(phase, 1.0) < rng.uniform(0.0, 0.5)
    return ribs


def _draw_organs(rng: Generator, heart_below_mm: float) -> tuple[Blob, ...]:
    """Draw stomach, spleen and a few loops of bowel below the left diaphragm."""
    gas = rng.random() < 0.35
    stomach = Blob(
        x_mm=rng.uniform(15, 65),
        y_mm=heart_below_mm + rng.uniform(22, 45),
        a_mm=rng.uniform(16, 40),
        b_mm=rng.uniform(10, 26),
        turn_rad=rng.normal(0.3, 0.4),
        content=Tissue.AIR if gas else Tissue(rng.choice([Tissue.FOOD, Tissue.FLUID])),
        lining=Tissue.STOMACH,
        lining_mm=rng.uniform(2.5, 5.0),
    )
    spleen = Blob(
        x_mm=rng.uniform(85, 125),
        y_mm=heart_below_mm + rng.uniform(20, 60),
        a_mm=rng.uniform(30, 50),
        b_mm=rng.uniform(16, 26),
        turn_rad=rng.normal(0.9, 0.3),
        content=Tissue.SPLEEN,
        lining=Tissue.FAT,
        lining_mm=2.0,
    )
    loops = [
        Blob(
            x_mm=rng.uniform(-20, 130),
            y_mm=heart_below_mm + rng.uniform(60, 120),
            a_mm=rng.uniform(9, 24),
            b_mm=rng.uniform(8, 16),
            turn_rad=rng.uniform(0, np.pi),
            content=Tissue(rng.choice([Tissue.AIR, Tissue.FOOD, Tissue.FLUID])),
            lining=Tissue.STOMACH,
            lining_mm=rng.uniform(2.0, 4.0),
        )
        for _ in range(int(rng.integers(2, 7)))
    ]
    return (spleen, *loops, stomach)


def _draw_vessels(
    rng: Generator,
    number: int,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    scale_mm: float,
) -> FloatArray:
    """Vessels cut across: many thin ones and a few thick ones."""
    return np.stack(
        [
            rng.uniform(*x_range, number),
            rng.uniform(*y_range, number),
            scale_mm * (0.5 + rng.gamma(1.3, 0.8, number)),
            rng.normal(0.0, 0.5, number),
            rng.normal(0.0, 0.5, number),
        ],
        axis=1,
    )
