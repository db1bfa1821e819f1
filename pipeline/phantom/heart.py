"""The shape of a heart in its own coordinates, never concentric circles.

Coordinates in mm: x to the right of the picture (the patient's left and back), y down (towards
the diaphragm), z from the base (0) to the apex. The septum lies near 180 degrees and the anterior
wall near -90 (tables by angle: see `tables`).
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.random import Generator

from pipeline.phantom.tables import N_ANGLES, angles, at_angle, bump, harmonics, lumps, rounder
from pipeline.study import BoolArray, FloatArray, IntArray


class Region(IntEnum):
    """What a person would outline."""

    OTHER = 0
    MYOCARDIUM = 1
    LV_POOL = 2
    RV_POOL = 3
    RV_WALL = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Papillary:
    """One papillary muscle: a leaning ellipse in the cavity."""

    angle_rad: float
    distance: float
    """From the axis over the cavity's radius."""
    half_axes_mm: tuple[float, float]
    """Radial, tangential."""
    span: tuple[float, float]
    """Where along the ventricle it is seen, as parts of the length."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Heart:
    """Parameters of one heart; arrays are tables by angle."""

    kind: str
    length_mm: float
    """Base to the epicardial apex."""
    radius_mm: float
    """Epicardial, near the base."""
    shape: FloatArray
    wall_mm: FloatArray
    """Wall thickness at mid level in diastole."""
    trabeculae: tuple[FloatArray, FloatArray]
    """Two patterns that turn into each other along the axis."""
    trabeculation: float
    """Share of the cavity's radius that they reach into."""
    papillaries: tuple[Papillary, ...]
    septum_rad: float
    rv_half_angle_rad: float
    rv_depth_mm: float
    rv_power: float
    rv_skew: float
    rv_lobe: float
    rv_wall_mm: float
    rv_trabeculae: tuple[FloatArray, FloatArray]
    fat_mm: FloatArray
    """Epicardial fat."""
    effusion_mm: float
    tilt: tuple[float, float]
    """Shift of the axis per depth, in x and y."""
    systole: float
    """Share of the systolic thickening at which this heart is imaged, 0 to 1."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Contours:
    """Boundaries of one cut by angle [mm from the LV axis]."""

    centre_mm: tuple[float, float]
    along: float
    """Depth over length."""
    epicardium: FloatArray
    endocardium: FloatArray
    blood: FloatArray
    """Trabeculae lie between this and the endocardium."""
    rv_outer: FloatArray
    rv_inner: FloatArray
    rv_blood: FloatArray
    fluid: FloatArray
    fat: FloatArray
    """Outer borders of a pericardial effusion and of the epicardial fat."""


_LEAST_ROUND = 0.12
"""By how much the radius of a cavity may vary. People draw it with axes of 1.13 to 1 (1.02 to 1.32,
at mid level up to 1.4), in thick walls too, where muscle that thickens unevenly would leave a slit;
so one in twenty has more than 1.37 to 1."""

_KINDS = {  # share, epicardial radius [mm], wall [mm]
    "normal": (0.48, (32.5, 39.0), (9.0, 12.5)),
    "dilated": (0.16, (37.5, 44.5), (7.0, 9.4)),
    "hypertrophic": (0.19, (33.5, 41.0), (13.5, 21.0)),
    "septal hypertrophy": (0.08, (32.5, 37.5), (8.6, 11.5)),
    "small": (0.09, (27.5, 31.5), (7.6, 10.0)),
}


def draw_heart(rng: Generator) -> Heart:
    """Draw a normal, dilated, hypertrophic or small heart."""
    names = list(_KINDS)
    kind = names[rng.choice(len(names), p=[_KINDS[name][0] for name in names])]
    _, radius_range, wall_range = _KINDS[kind]
    radius = rng.uniform(*radius_range)
    septum = np.pi + rng.normal(0.0, 0.12)
    thick = rng.uniform(0.5, 1.0) if kind == "septal hypertrophy" else rng.uniform(0.0, 0.15)
    half = rng.uniform(0.92, 1.2)
    grooves = 0.7 * bump(septum + half, 12.0) + 0.6 * bump(septum - half, 12.0)
    fat = rng.gamma(2.0, 0.9) * (0.4 + grooves) * harmonics(rng, (0.3, 0.2, 0.15, 0.1, 0.1))
    return Heart(
        kind=kind,
        length_mm=rng.uniform(2.4, 3.0) * radius,
        radius_mm=radius,
        shape=harmonics(rng, (0.0, 0.032, 0.013, 0.007, 0.004)),
        wall_mm=rng.uniform(*wall_range)
        * (1.0 + thick * bump(septum + 0.4, 2.5))
        * harmonics(rng, (0.13, 0.14, 0.09, 0.05, 0.03)),
        trabeculae=(lumps(rng, (3, 16)), lumps(rng, (3, 16))),
        trabeculation=0.34 * rng.beta(0.5, 1.45),
        papillaries=_draw_papillaries(rng),
        septum_rad=septum,
        rv_half_angle_rad=half,
        rv_depth_mm=rng.uniform(25.0, 48.0),
        rv_power=rng.uniform(0.5, 1.0),
        rv_skew=rng.uniform(-0.15, 0.45),
        rv_lobe=rng.uniform(0.0, 0.5),
        rv_wall_mm=rng.uniform(2.2, 4.0),
        rv_trabeculae=(lumps(rng, (8, 34)), lumps(rng, (8, 34))),
        fat_mm=fat,
        effusion_mm=rng.uniform(3.0, 12.0) if rng.random() < 0.08 else 0.0,
        tilt=(rng.normal(0.0, 0.1), rng.normal(0.0, 0.1)),
        systole=float(rng.beta(1.3, 1.9)),
    )


def contours(heart: Heart, z_mm: float) -> Contours:
    """Boundaries of the cut at depth `z_mm` below the base."""
    along = float(np.clip(z_mm / heart.length_mm, -0.3, 0.995))
    deep = max(along, 0.0)
    taper = (1.0 - deep**2.4) ** 0.5
    outflow = max(0.0, 1.0 - deep / 0.16)  # the wall opens towards the aortic root
    opening = 1.0 - 0.7 * outflow * bump(heart.septum_rad + 0.7, 10.0)
    relaxed = heart.radius_mm * taper * heart.shape
    wall = heart.wall_mm * opening * (1.0 - 0.3 * deep**2) * (0.8 + 0.2 * taper)
    epicardium, uneven = _contract(relaxed, wall, heart.systole * (0.5 + 0.9 * deep))
    endocardium = rounder(uneven, _LEAST_ROUND)
    half = _rv_half_angle(heart, deep)
    reach = max(1.0 - (deep / 0.9) ** 2.2, 0.0) * (1.0 - 0.15 * heart.systole)
    away = ((angles() - heart.septum_rad + np.pi) % (2 * np.pi) - np.pi) / half
    inside = np.clip(away, -1.0, 1.0)
    bulge = (1.0 - inside**2) ** heart.rv_power * (1.0 - heart.rv_skew * inside)
    bulge += heart.rv_lobe * np.exp(-(((inside + 0.6) / 0.28) ** 2)) * (1.0 - inside**2)
    rv_outer = epicardium + heart.rv_depth_mm * reach * bulge
    rv_inner = np.maximum(rv_outer - heart.rv_wall_mm, epicardium)
    mix = z_mm / 5.0  # trabeculae change within the thickness of a slice, which blurs them
    left = np.cos(mix) * heart.trabeculae[0] + np.sin(mix) * heart.trabeculae[1]
    right = np.cos(mix) * heart.rv_trabeculae[0] + np.sin(mix) * heart.rv_trabeculae[1]
    rough = heart.trabeculation * (0.25 + 1.5 * deep) * np.maximum(left + 0.9, 0.0)
    ridges = np.maximum(right - 0.2, 0.0) * 2.4 * (0.4 + 1.2 * deep)
    fluid = np.maximum(rv_outer, epicardium) + heart.effusion_mm * (1.0 + 0.5 * np.sin(angles()))
    return Contours(
        centre_mm=(heart.tilt[0] * z_mm, heart.tilt[1] * z_mm),
        along=along,
        epicardium=epicardium,
        endocardium=endocardium,
        blood=endocardium * np.clip(1.0 - rough, 0.2, 1.0),
        rv_outer=rv_outer,
        rv_inner=rv_inner,
        rv_blood=np.maximum(rv_inner - ridges, epicardium),
        fluid=fluid,
        fat=fluid + heart.fat_mm,
    )


def regions(cut: Contours, radius_mm: FloatArray, index: IntArray) -> IntArray:
    """`Region` of each point given in polar coordinates around the axis."""
    region = np.zeros(radius_mm.shape, dtype=np.uint8)
    region[radius_mm < cut.rv_outer[index]] = Region.RV_WALL
    region[radius_mm < cut.rv_inner[index]] = Region.RV_POOL
    region[radius_mm < cut.epicardium[index]] = Region.MYOCARDIUM
    region[radius_mm < cut.endocardium[index]] = Region.LV_POOL
    return region


def papillary_muscles(heart: Heart, cut: Contours, x_mm: FloatArray, y_mm: FloatArray) -> BoolArray:
    """Whether each point lies in a papillary muscle."""
    inside = np.zeros(x_mm.shape, dtype=bool)
    for muscle in heart.papillaries:
        first, last = muscle.span
        if not first < cut.along < last:
            continue
        cavity = at_angle(cut.endocardium, muscle.angle_rad)
        # it leans outwards and grows into the wall towards the apex
        part = (cut.along - first) / (last - first)
        distance = cavity * (muscle.distance + 0.35 * part**2)
        cosine, sine = np.cos(muscle.angle_rad), np.sin(muscle.angle_rad)
        dx = x_mm - cut.centre_mm[0] - distance * cosine
        dy = y_mm - cut.centre_mm[1] - distance * sine
        grown = min(1.0, 4.0 * part + 0.4)
        radial = min(muscle.half_axes_mm[0], 0.36 * cavity) * grown
        across = min(muscle.half_axes_mm[1], 0.36 * cavity) * grown
        inside |= ((dx * cosine + dy * sine) / radial) ** 2 + (
            (dy * cosine - dx * sine) / across
        ) ** 2 < 1.0
    return inside


def insertion_angles(heart: Heart, z_mm: float) -> tuple[float, float]:
    """Angles [rad] at which the RV wall leaves the LV: anterior, inferior."""
    half = _rv_half_angle(heart, float(np.clip(z_mm / heart.length_mm, 0.0, 0.995)))
    # y points down, so that going up from the septum (180 degrees) the angle rises
    return heart.septum_rad + half, heart.septum_rad - half


def _rv_half_angle(heart: Heart, deep: float) -> float:
    taper: float = (1.0 - deep**2.6) ** 0.55
    return heart.rv_half_angle_rad * (0.75 + 0.25 * taper)


def _contract(
    relaxed: FloatArray, wall: FloatArray, amount: float
) -> tuple[FloatArray, FloatArray]:
    """Move the epicardium in by up to 6 % and thicken the wall, keeping its area."""
    inner = np.maximum(relaxed - wall, 0.5)
    area = relaxed**2 - inner**2
    epicardium = relaxed * (1.0 - 0.06 * amount)
    shortening = 1.0 + 0.18 * amount  # the ventricle shortens: more muscle in each cut
    endocardium = np.sqrt(np.maximum(epicardium**2 - area * shortening, (0.12 * epicardium) ** 2))
    return epicardium, endocardium


def _draw_papillaries(rng: Generator) -> tuple[Papillary, ...]:
    """Draw an anterolateral and an inferoseptal group of one or two heads each."""
    muscles, bulk = [], float(np.exp(rng.normal(0.0, 0.6)))
    for middle in (np.radians(-38.0), np.radians(105.0)):
        heads = 1 + int(rng.random() < 0.45)
        for head in range(heads):
            muscles += [
                Papillary(
                    angle_rad=middle + rng.normal(0.0, 0.15) + 0.45 * (head - (heads - 1) / 2),
                    distance=rng.uniform(0.5, 0.72),
                    half_axes_mm=(bulk * rng.uniform(3.5, 7.0), bulk * rng.uniform(2.8, 5.0)),
                    span=(rng.uniform(0.2, 0.35), rng.uniform(0.7, 0.85)),
                )
            ]
    return tuple(muscles)


__all__ = [
    "N_ANGLES",
    "Contours",
    "Heart",
    "Region",
    "contours",
    "draw_heart",
    "insertion_angles",
    "papillary_muscles",
    "regions",
]
