"""Native T1 of blood and myocardium, measured in the T1 maps of a study under the found outlines.

Baselines are turned into contrast agent by T1 before contrast. Literature has one value for all
people; a map has this person's, where it is a map of the same slices.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import numpy as np
from scipy import ndimage, stats

from pipeline.relaxation import t1_blood_s, t1_myocardium_s
from pipeline.result import Finding, Regions, Severity
from pipeline.study import (
    BoolArray,
    FirstPass,
    FloatArray,
    Origin,
    Physics,
    SliceGeometry,
    T1Map,
)

FARTHEST_MM: Final = 5.0
"""Between the planes of map and slice; the masks would be of another part of the heart."""

LARGEST_TILT_DEG: Final = 15.0

LARGEST_SHIFT_MM: Final = 8.0
"""Between two breath-holds."""

SHIFT_COST: Final = 0.03
"""Of the largest shift, in the units of the spread: none without gain."""

LARGEST_SPREAD: Final = 0.12
"""Standard deviation (robust) over median. Maps have 3 to 8 % within a tissue; a mask that lies
on two tissues has more."""

PLAUSIBLE_BLOOD: Final = (0.75, 1.35)
PLAUSIBLE_MYOCARDIUM: Final = (0.8, 1.5)
"""Times the literature value. Methods differ by 20 %, haematocrit changes blood by as much,
amyloidosis and fibrosis lengthen T1 of myocardium by up to 40 %; contrast agent halves both."""

FEWEST_POINTS: Final = 30

FIELDS: Final = ("t1_blood_s", "t1_myocardium_s")
"""Of `Physics`, in the order of blood and myocardium."""


@dataclass(frozen=True, kw_only=True)
class NativeT1:
    """What the maps say."""

    blood_s: float
    myocardium_s: float
    names: tuple[str, ...]
    """Of the maps that were used."""


@dataclass(frozen=True, kw_only=True)
class Outline:
    """One outlined slice: where it lies and what is in it."""

    geometry: SliceGeometry
    regions: Regions


@dataclass(frozen=True, kw_only=True, eq=False)
class _Reading:
    """T1 in one map under the masks of one slice [s]."""

    blood: FloatArray
    myocardium: FloatArray
    cost: float


def measure_native_t1(
    maps: Sequence[T1Map], outlines: Sequence[Outline], field_strength_t: float
) -> NativeT1 | None:
    """Measure T1 in the maps that lie on outlined slices; None where none gives plausible values.

    Parameters
    ----------
    maps
        Taken before any contrast agent.
    outlines
        Of all slices of the examination.
    """
    readings: list[_Reading] = []
    names: set[str] = set()
    for one in maps:
        near = [found for outline in outlines if (found := _read(one, outline)) is not None]
        near = [found for found in near if _is_plausible(found, field_strength_t)]
        if near:
            readings.append(min(near, key=lambda found: found.cost))
            names.add(one.name)
    if not readings:
        return None
    return NativeT1(
        blood_s=_median([one.blood for one in readings]),
        myocardium_s=_median([one.myocardium for one in readings]),
        names=tuple(sorted(names)),
    )


def with_native_t1(first_pass: FirstPass, found: NativeT1) -> FirstPass:
    """Put what was measured in the place of literature values, never in that of configured ones."""
    physics = first_pass.physics
    taken = [name for name in FIELDS if physics.origin.get(name, Origin.DEFAULT) is Origin.DEFAULT]
    blood, wall = (name in taken for name in FIELDS)
    changed = replace(
        physics,
        t1_blood_s=found.blood_s if blood else physics.t1_blood_s,
        t1_myocardium_s=found.myocardium_s if wall else physics.t1_myocardium_s,
        origin={**physics.origin, **dict.fromkeys(taken, Origin.MEASURED)},
    )
    return replace(first_pass, physics=changed)


def native_t1_finding(
    maps: Sequence[T1Map], found: NativeT1 | None, physics: Physics
) -> Finding | None:
    """Say where T1 before contrast comes from; None where all of it is configured."""
    origins = {physics.origin.get(name, Origin.DEFAULT) for name in FIELDS}
    if not origins & {Origin.DEFAULT, Origin.MEASURED}:
        return None
    if found is not None:
        sentence = (
            f"Native T1 was measured in {', '.join(found.names)}: blood {found.blood_s * 1e3:.0f} "
            f"ms, myocardium {found.myocardium_s * 1e3:.0f} ms."
        )
        return Finding(code="native-t1-measured", severity=Severity.NOTE, sentence=sentence)
    why = (
        "the T1 maps of the study do not fit the outlines or are not plausible"
        if maps
        else "the study has no native T1 map that could be used"
    )
    sentence = f"Native T1 is that of the literature for {physics.field_strength_t:.2g} T: {why}."
    return Finding(code="native-t1-literature", severity=Severity.NOTE, sentence=sentence)


def _read(one: T1Map, outline: Outline) -> _Reading | None:
    """Read the map under the masks, moved to where they fit best; None where it lies elsewhere."""
    wall, pool = outline.regions.myocardium, outline.regions.lv_pool
    if not wall.any() or not pool.any() or not _same_plane(one, outline):
        return None
    spacing = np.array(one.geometry.spacing_mm)
    reach = np.arange(-LARGEST_SHIFT_MM, LARGEST_SHIFT_MM + 1e-6, 1.0)
    shifts = [one for one in product(reach, reach) if np.hypot(*one) <= LARGEST_SHIFT_MM]
    points = [_points(mask, outline.geometry, one.geometry) for mask in (wall, pool)]
    readings = (_under(one.t1_s, points, np.array(shift) / spacing, shift) for shift in shifts)
    known = [reading for reading in readings if reading is not None]
    return min(known, key=lambda reading: reading.cost) if known else None


def _same_plane(one: T1Map, outline: Outline) -> bool:
    """Whether the map lies on the slice where the heart is."""
    cosine = abs(float(one.geometry.normal @ outline.geometry.normal))
    middle = np.argwhere(outline.regions.lv_pool).mean(axis=0)
    away = outline.geometry.to_patient_mm(middle) - np.asarray(one.geometry.position_mm)
    distance = abs(float(away @ one.geometry.normal))
    return cosine >= np.cos(np.radians(LARGEST_TILT_DEG)) and distance <= FARTHEST_MM


def _points(mask: BoolArray, source: SliceGeometry, target: SliceGeometry) -> FloatArray:
    """Pixels well inside a mask, as pixel coordinates of the other image [point, 2].

    The deeper half: away from the other tissue, and in the pool away from the papillary muscles.
    """
    depth = ndimage.distance_transform_edt(mask, sampling=source.spacing_mm)
    inside = depth >= np.median(depth[mask])
    chosen = inside if np.count_nonzero(inside) >= FEWEST_POINTS else mask
    return target.to_pixel(source.to_patient_mm(np.argwhere(chosen)))


def _under(
    t1_s: FloatArray,
    points: Sequence[FloatArray],
    shift_pixels: FloatArray,
    shift_mm: tuple[float, float],
) -> _Reading | None:
    """Read both tissues at their points, moved by a shift."""
    wall, pool = (
        ndimage.map_coordinates(t1_s, (one + shift_pixels).T, order=0, cval=np.nan)
        for one in points
    )
    if min(np.isfinite(wall).sum(), np.isfinite(pool).sum()) < FEWEST_POINTS:
        return None
    wall, pool = wall[np.isfinite(wall)], pool[np.isfinite(pool)]
    moved = float(np.hypot(*shift_mm)) / LARGEST_SHIFT_MM
    return _Reading(
        blood=pool,
        myocardium=wall,
        cost=_spread(wall) + _spread(pool) + SHIFT_COST * moved,
    )


def _is_plausible(reading: _Reading, field_strength_t: float) -> bool:
    """Whether both are native tissues, each of one kind, in the right order."""
    blood, wall = float(np.median(reading.blood)), float(np.median(reading.myocardium))
    of_blood = blood / t1_blood_s(field_strength_t)
    of_wall = wall / t1_myocardium_s(field_strength_t)
    return (
        PLAUSIBLE_BLOOD[0] <= of_blood <= PLAUSIBLE_BLOOD[1]
        and PLAUSIBLE_MYOCARDIUM[0] <= of_wall <= PLAUSIBLE_MYOCARDIUM[1]
        and wall < blood
        and max(_spread(reading.blood), _spread(reading.myocardium)) <= LARGEST_SPREAD
    )


def _spread(values: FloatArray) -> float:
    """Robust standard deviation over median."""
    median = float(np.median(values))
    if median <= 0.0:
        return float("inf")
    return float(stats.median_abs_deviation(values, scale="normal")) / median


def _median(parts: Sequence[FloatArray]) -> float:
    """Median of the medians: every map counts the same."""
    return float(np.median([np.median(one) for one in parts]))
