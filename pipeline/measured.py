"""Which part of the wall flow is measured in: not its edges, which hold blood, fat or lung as well.

Outlines follow the wall to where it is half wall. People who outline for quantification stay
further in, and so do we, by a rule instead of by eye.
"""

import numpy as np
from scipy import ndimage

from pipeline.result import Regions
from pipeline.study import BoolArray, FloatArray

MARGIN_SHARE = 0.15
"""Of the wall's thickness, at the endocardium and at the epicardium."""


def measured_wall(regions: Regions, spacing_mm: tuple[float, float]) -> BoolArray:
    """Wall without its edges [row, column]: pixels with only wall round them, away from both sides.

    The signal of the cavity reaches half a pixel into the wall, and an early bright fraction of
    blood in a curve is read as a low flow with a large blood volume.

    Parameters
    ----------
    regions
        Of one slice; a wall without a cavity has nothing to be measured in.
    spacing_mm
        Between rows, between columns.
    """
    wall = regions.myocardium
    inner_mm, outer_mm = _from_edges(regions, spacing_mm)
    least = MARGIN_SHARE / (1 - MARGIN_SHARE)
    away = (inner_mm > least * outer_mm) & (outer_mm > least * inner_mm)
    measured: BoolArray = ndimage.binary_erosion(wall) & away
    return measured


def measured_cavity(regions: Regions, spacing_mm: tuple[float, float]) -> BoolArray:
    """All on the cavity's side of the measured wall [row, column].

    People who outline for quantification draw it as the cavity. The parameters are those of
    `measured_wall`.
    """
    inner_mm, outer_mm = _from_edges(regions, spacing_mm)
    edge = regions.myocardium & ~measured_wall(regions, spacing_mm)
    cavity: BoolArray = regions.lv_pool | (edge & (inner_mm < outer_mm))
    return cavity


def _from_edges(regions: Regions, spacing_mm: tuple[float, float]) -> tuple[FloatArray, FloatArray]:
    """Distance to the endocardium and to the epicardium [mm]."""
    outside = ~(regions.myocardium | regions.lv_pool)
    return _to_nearest(regions.lv_pool, spacing_mm), _to_nearest(outside, spacing_mm)


def _to_nearest(mask: BoolArray, spacing_mm: tuple[float, float]) -> FloatArray:
    """Distance to the edge of the nearest pixel of `mask` [mm], which may be empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    to_middle: FloatArray = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    return np.maximum(to_middle - min(spacing_mm) / 2, 1e-6)
