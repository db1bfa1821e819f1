"""The wall as people outline it who quantify, and the part of it that flow is measured in.

The network's outlines follow the wall to its visible edges, where a pixel is half wall. Blood, fat
and lung shine in there. People who outline for quantification stay further in, and so do we, by
rules instead of by eye.
"""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from pipeline.result import Regions
from pipeline.study import BoolArray, FloatArray

OUTLINE_MARGIN = 0.10
"""Of the wall's thickness, left out by outlines at either edge."""
FLOW_MARGIN = 0.15
"""Of the wall's thickness, not measured in at either edge."""


def as_drawn(regions: Regions, spacing_mm: tuple[float, float]) -> Regions:
    """Outlines without the wall's edges; what they leave out inside belongs to the cavity.

    So experts outline, more or less (docs/models/segment.md).

    Parameters
    ----------
    regions
        Of one slice, with the wall to its visible edges; without a cavity they stay as they are.
    spacing_mm
        Between rows, between columns.
    """
    if not regions.lv_pool.any():
        return regions
    wall = regions.myocardium
    inner_mm, outer_mm = _from_edges(regions, spacing_mm)
    margin_mm = OUTLINE_MARGIN * (inner_mm + outer_mm)
    drawn = wall & (np.minimum(inner_mm, outer_mm) >= margin_mm)
    cavity = regions.lv_pool | (wall & ~drawn & (inner_mm < outer_mm))
    return replace(regions, myocardium=drawn, lv_pool=cavity)


def to_the_edges(drawn: Regions, spacing_mm: tuple[float, float]) -> Regions:
    """Give outlines the edges of the wall that people leave out: `as_drawn`, undone."""
    wall = drawn.myocardium
    if not (wall.any() and drawn.lv_pool.any()):
        return drawn
    inner_mm, outer_mm = _from_edges(drawn, spacing_mm)
    margin_mm = OUTLINE_MARGIN / (1 - 2 * OUTLINE_MARGIN) * (inner_mm + outer_mm)
    away_mm, nearest = ndimage.distance_transform_edt(
        ~wall, sampling=spacing_mm, return_indices=True
    )
    whole = wall | (away_mm - min(spacing_mm) / 2 < margin_mm[tuple(nearest)])
    return replace(
        drawn,
        myocardium=whole,
        lv_pool=drawn.lv_pool & ~whole,
        rv_pool=drawn.rv_pool & ~whole,
    )


def measured_wall(regions: Regions, spacing_mm: tuple[float, float]) -> BoolArray:
    """Wall without its edges [row, column]: pixels with only wall round them, away from both sides.

    The signal of the cavity reaches half a pixel into the wall, and an early bright fraction of
    blood in a curve is read as a low flow with a large blood volume.

    Parameters
    ----------
    regions
        Of one slice, with the wall to its visible edges; a wall without a cavity has nothing to be
        measured in.
    spacing_mm
        Between rows, between columns.
    """
    wall = regions.myocardium
    inner_mm, outer_mm = _from_edges(regions, spacing_mm)
    margin_mm = FLOW_MARGIN * (inner_mm + outer_mm)
    away = np.minimum(inner_mm, outer_mm) > margin_mm
    measured: BoolArray = ndimage.binary_erosion(wall) & away
    return measured


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
