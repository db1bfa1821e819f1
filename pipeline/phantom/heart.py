"""The shape of a heart in its own coordinates, never concentric circles.

Coordinates in mm: x to the right of the picture (the patient's left and back), y down (towards
the diaphragm), z from the base (0) to the apex. Angles run with the picture's rows downwards:
theta = atan2(y, x), so that the septum lies near 180 degrees and the anterior wall at -90.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.random import Generator

from pipeline.study import FloatArray, IntArray

N_ANGLES = 720


class Region(IntEnum):
    """What a person would outline."""

    OTHER = 0
    MYOCARDIUM = 1
    LV_POOL = 2
    RV_POOL = 3
    RV_WALL = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Heart:
    """Parameters of one heart; angular tables have `N_ANGLES` entries from -180 degrees."""

    length_mm: float
    """Base to the epicardial apex."""
    epicardial_radius_mm: float
    epicardial_shape: FloatArray
    """Factor by angle."""
    wall_mm: FloatArray
    """Wall thickness by angle at mid level."""
    endocardial_ripple: FloatArray
    """Trabeculae: factor on the cavity radius by angle."""
    papillary: tuple[tuple[float, float, float], ...]
    """Angle [rad], distance from the axis over the cavity radius, radius [mm] of each."""
    septum_angle_rad: float
    rv_half_angle_rad: float
    rv_depth_mm: float
    rv_power: float
    rv_skew: float
    rv_wall_mm: float
    tilt: tuple[float, float]
    """Shift of the axis, mm per mm of z, in x and y."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Contours:
    """Boundaries of one cut by angle [mm from the LV axis]."""

    centre_mm: tuple[float, float]
    epicardium: FloatArray
    endocardium: FloatArray
    blood: FloatArray
    rv_outer: FloatArray
    rv_inner: FloatArray


def angles() -> FloatArray:
    """Angles of the tables [rad]."""
    return np.linspace(-np.pi, np.pi, N_ANGLES, endpoint=False)


def draw_heart(rng: Generator) -> Heart:
    """Draw a normal, dilated, hypertrophic or small heart."""
    kind = rng.choice(
        ["normal", "dilated", "thick", "septal", "small"], p=[0.5, 0.15, 0.15, 0.1, 0.1]
    )
    radius = {"dilated": rng.uniform(36, 42), "small": rng.uniform(25, 29)}.get(
        kind, rng.uniform(29, 36)
    )
    wall = {"dilated": rng.uniform(7, 9), "thick": rng.uniform(13, 17)}.get(
        kind, rng.uniform(8.0, 11.5)
    )
    theta = angles()
    septum = np.pi + rng.normal(0.0, 0.15)
    bump = 1.0 + (0.7 if kind == "septal" else 0.0) * np.exp(3.0 * (np.cos(theta - septum) - 1.0))
    return Heart(
        length_mm=rng.uniform(80, 105) * radius / 33.0,
        epicardial_radius_mm=radius,
        epicardial_shape=_harmonics(rng, (0.0, 0.025, 0.012, 0.006)),
        wall_mm=wall * bump * _harmonics(rng, (0.12, 0.08, 0.05, 0.03)),
        endocardial_ripple=1.0 - 0.16 * _lumps(rng),
        papillary=(
            (np.pi / 2 + rng.normal(0.5, 0.2) - 0.1, rng.uniform(0.5, 0.7), rng.uniform(3.5, 6.0)),
            (-np.pi / 2 + rng.normal(0.9, 0.2), rng.uniform(0.5, 0.7), rng.uniform(3.5, 6.0)),
        ),
        septum_angle_rad=septum,
        rv_half_angle_rad=rng.uniform(0.9, 1.2),
        rv_depth_mm=rng.uniform(24.0, 40.0),
        rv_power=rng.uniform(0.55, 0.9),
        rv_skew=rng.uniform(-0.15, 0.35),
        rv_wall_mm=rng.uniform(2.5, 4.0),
        tilt=(rng.normal(0.0, 0.12), rng.normal(0.0, 0.12)),
    )


def contours(heart: Heart, z_mm: float) -> Contours:
    """Boundaries of the cut at depth `z_mm` below the base."""
    theta = angles()
    along = np.clip(z_mm / heart.length_mm, -0.3, 0.995)
    taper = float((1.0 - max(along, 0.0) ** 2.6) ** 0.55)
    epicardium = heart.epicardial_radius_mm * taper * heart.epicardial_shape
    wall = heart.wall_mm * (1.0 - 0.25 * max(along, 0.0) ** 2) * (0.9 + 0.1 * taper)
    endocardium = np.maximum(epicardium - wall, 0.0)
    half = heart.rv_half_angle_rad * (0.75 + 0.25 * taper)
    reach = max(1.0 - max(along / 0.88, 0.0) ** 2.2, 0.0)
    from_septum = (theta - heart.septum_angle_rad + np.pi) % (2 * np.pi) - np.pi
    inside = np.clip(from_septum / half, -1.0, 1.0)
    bulge = (1.0 - inside**2) ** heart.rv_power * (1.0 - heart.rv_skew * inside)
    rv_outer = epicardium + heart.rv_depth_mm * reach * bulge
    return Contours(
        centre_mm=(heart.tilt[0] * z_mm, heart.tilt[1] * z_mm),
        epicardium=epicardium,
        endocardium=endocardium,
        blood=endocardium * (1.0 - (1.0 - heart.endocardial_ripple) * (0.3 + 0.9 * along)),
        rv_outer=rv_outer,
        rv_inner=np.maximum(rv_outer - heart.rv_wall_mm, epicardium),
    )


def polar(
    x_mm: FloatArray, y_mm: FloatArray, centre_mm: tuple[float, float]
) -> tuple[FloatArray, IntArray]:
    """Distance from the axis [mm] and index into the angular tables of each point."""
    dx, dy = x_mm - centre_mm[0], y_mm - centre_mm[1]
    index = ((np.arctan2(dy, dx) + np.pi) * (N_ANGLES / (2 * np.pi))).astype(np.intp) % N_ANGLES
    return np.hypot(dx, dy), index


def regions(cut: Contours, radius_mm: FloatArray, index: IntArray) -> IntArray:
    """`Region` of each point given in the polar coordinates of `polar`."""
    region = np.zeros(radius_mm.shape, dtype=np.uint8)
    region[radius_mm < cut.rv_outer[index]] = Region.RV_WALL
    region[radius_mm < cut.rv_inner[index]] = Region.RV_POOL
    region[radius_mm < cut.epicardium[index]] = Region.MYOCARDIUM
    region[radius_mm < cut.endocardium[index]] = Region.LV_POOL
    return region


def papillary_muscles(
    heart: Heart, cut: Contours, x_mm: FloatArray, y_mm: FloatArray, along: float
) -> FloatArray:
    """Whether each point lies in a papillary muscle (as float for cheap arithmetic)."""
    inside = np.zeros(x_mm.shape, dtype=bool)
    if not 0.25 < along < 0.75:
        return inside
    for angle, distance, size in heart.papillary:
        wall = cut.endocardium[int((angle + np.pi) * N_ANGLES / (2 * np.pi)) % N_ANGLES]
        px = cut.centre_mm[0] + distance * wall * np.cos(angle)
        py = cut.centre_mm[1] + distance * wall * np.sin(angle)
        inside |= (x_mm - px) ** 2 + (y_mm - py) ** 2 < min(size, 0.28 * float(wall)) ** 2
    return inside


def insertion_angles(heart: Heart, z_mm: float) -> tuple[float, float]:
    """Angles [rad] at which the RV wall leaves the LV: anterior, inferior."""
    along = float(np.clip(z_mm / heart.length_mm, 0.0, 0.995))
    half = heart.rv_half_angle_rad * (0.75 + 0.25 * (1.0 - along**2.6) ** 0.55)
    # y points down, so that going up from the septum (180 degrees) the angle rises
    return heart.septum_angle_rad + half, heart.septum_angle_rad - half


def _harmonics(rng: Generator, amplitudes: tuple[float, ...]) -> FloatArray:
    theta = angles()
    total = np.ones(N_ANGLES)
    for order, amplitude in enumerate(amplitudes, start=1):
        total += rng.normal(0.0, amplitude) * np.cos(order * theta + rng.uniform(0, 2 * np.pi))
    return np.clip(total, 0.5, 1.6)


def _lumps(rng: Generator) -> FloatArray:
    """Trabecular pattern by angle, 0 to 1."""
    theta = angles()
    total = np.zeros(N_ANGLES)
    for order in range(6, 22):
        total += rng.normal() * np.cos(order * theta + rng.uniform(0, 2 * np.pi))
    total -= total.min()
    return total / total.max()
