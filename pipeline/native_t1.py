"""Native T1 of blood and myocardium, measured in the T1 maps of a study under the found outlines.

Baselines are turned into contrast agent by T1 before contrast. Literature has one value for all
people; a map has this person's, where it is a map of the same slices.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import numpy as np
from scipy import ndimage

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

SIZES: Final = (0.85, 0.92, 1.0, 1.09, 1.18)
"""Of the heart in the map over that in the perfusion images: maps are mostly taken in diastole,
perfusion at any time of the beat."""

MOVE_COST: Final = 0.03
"""Of the largest shift and of the largest change of size, in the units of the spread: neither
without gain."""

LARGEST_SPREAD: Final = 0.12
"""Standard deviation (robust) over median. Maps have 3 to 8 % within a tissue; a mask that lies
on two tissues has more."""

PLAUSIBLE_BLOOD: Final = (0.75, 1.35)
PLAUSIBLE_MYOCARDIUM: Final = (0.8, 1.5)
"""Times the literature value. Methods differ by 20 %, haematocrit changes blood by as much,
amyloidosis and fibrosis lengthen T1 of myocardium by up to 40 %; contrast agent halves both."""

FEWEST_POINTS: Final = 30

NORMAL_DEVIATION: Final = 0.6745
"""Median absolute deviation of a normal distribution of unit standard deviation."""

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


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """T1 in one map under the masks of one slice [s], and how badly they fit."""

    blood_s: float
    myocardium_s: float
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
        near = [
            found
            for outline in outlines
            if (found := _read(one, outline, field_strength_t)) is not None
        ]
        if near:
            readings.append(min(near, key=lambda found: found.cost))
            names.add(one.name)
    if not readings:
        return None
    return NativeT1(
        blood_s=float(np.median([one.blood_s for one in readings])),
        myocardium_s=float(np.median([one.myocardium_s for one in readings])),
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


def _read(one: T1Map, outline: Outline, field_strength_t: float) -> _Reading | None:
    """Read the map under the masks, moved to where they fit best; None where they do nowhere."""
    masks = (outline.regions.myocardium, outline.regions.lv_pool)
    if not all(mask.any() for mask in masks) or not _same_plane(one, outline):
        return None
    wall, pool = (_points(mask, outline.geometry, one.geometry) for mask in masks)
    size, shift_mm = _moves()
    middle = pool.mean(axis=0)
    shift = middle + shift_mm / np.array(one.geometry.spacing_mm)
    tissues = [
        _tissue(one.t1_s, shift[:, np.newaxis] + size[:, np.newaxis, np.newaxis] * (each - middle))
        for each in (wall, pool)
    ]
    (wall_s, wall_spread), (blood_s, blood_spread) = tissues
    fits = (
        _within(blood_s / t1_blood_s(field_strength_t), PLAUSIBLE_BLOOD)
        & _within(wall_s / t1_myocardium_s(field_strength_t), PLAUSIBLE_MYOCARDIUM)
        & (wall_s < blood_s)
        & (np.maximum(wall_spread, blood_spread) <= LARGEST_SPREAD)
    )
    if not fits.any():
        return None
    moved = np.hypot(*shift_mm.T) / LARGEST_SHIFT_MM + np.abs(np.log(size) / np.log(SIZES[-1]))
    cost = np.where(fits, wall_spread + blood_spread + MOVE_COST * moved, np.inf)
    best = int(np.argmin(cost))
    return _Reading(
        blood_s=float(blood_s[best]), myocardium_s=float(wall_s[best]), cost=float(cost[best])
    )


def _moves() -> tuple[FloatArray, FloatArray]:
    """Sizes [move] and shifts in millimetres [move, (row, column)] to try."""
    reach = np.linspace(-LARGEST_SHIFT_MM, LARGEST_SHIFT_MM, 13)
    moves = np.array(list(product(SIZES, reach, reach)))
    moves = moves[np.hypot(moves[:, 1], moves[:, 2]) <= LARGEST_SHIFT_MM]
    return moves[:, 0], moves[:, 1:]


def _tissue(t1_s: FloatArray, pixels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Median and relative robust deviation of T1 at `pixels` [move, point, 2], for each move.

    0 and NaN where too few of the points lie in the map.
    """
    row, column = np.rint(np.moveaxis(pixels, -1, 0)).astype(int)
    rows, columns = t1_s.shape
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    values = np.where(
        inside, t1_s[row.clip(0, rows - 1), column.clip(0, columns - 1)].astype(float), np.nan
    )
    values[np.isfinite(values).sum(axis=1) < FEWEST_POINTS] = 0.0
    median = np.nanmedian(values, axis=1)
    with np.errstate(invalid="ignore"):
        away = np.nanmedian(np.abs(values - median[:, np.newaxis]), axis=1)
        return median, away / median / NORMAL_DEVIATION


def _within(values: FloatArray, limits: tuple[float, float]) -> BoolArray:
    inside: BoolArray = (values >= limits[0]) & (values <= limits[1])
    return inside


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
