"""Outlines of the left ventricular wall and of both blood pools, by the trained network.

The network sees the first pass as a whole and answers each pixel with probabilities; here they
become regions as people draw them: one pool, inside one closed ring, beside one right ventricle.
"""

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

from pipeline.errors import NoMyocardiumError
from pipeline.heart import LV_POOL, MYOCARDIUM, RV_POOL, find_heart
from pipeline.networks import AnatomyNetwork
from pipeline.result import Box, Regions
from pipeline.study import BoolArray, FloatArray

_MARGIN_MM = 15.0
_THINNEST_MM = 3.0
_SPUR_MM = 8.0
_SMALLEST_POOL_CM2 = 0.3
_ON_THE_LINE = 1e-6
_CERTAIN_SD = 0.5
"""Largest SD that probabilities can have: half of the copies say yes, half say no."""


def segment(
    frames: FloatArray,
    time_s: FloatArray,
    box: Box,
    spacing_mm: tuple[float, float],
    network: AnatomyNetwork,
) -> Regions:
    """Outline the left ventricular wall and both blood pools.

    Parameters
    ----------
    frames : [time, row, column]
        Aligned.
    time_s : [time]
    box
        Round the heart.
    spacing_mm
        Between rows, between columns.
    network
        Trained on the phantom.

    Raises
    ------
    NoMyocardiumError
        No left ventricle with a wall round it.
    """
    box = _grown(box, spacing_mm, (frames.shape[1], frames.shape[2]))
    inside = frames[:, *box.index]
    heart = find_heart(inside, time_s, spacing_mm, network)
    if heart is None:
        raise NoMyocardiumError("no left ventricle with a wall round it was found in the box")
    seen = network.predict(
        inside, time_s, float(time_s[heart.peak_frame]), heart.centre, spacing_mm
    )
    labels = np.where(np.isnan(seen.classes[0]), 0, np.nan_to_num(seen.classes).argmax(axis=0))
    within = ndimage.binary_fill_holes(_largest((labels == MYOCARDIUM) | (labels == LV_POOL)))
    within = _smooth(within, spacing_mm)
    depth_mm = ndimage.distance_transform_edt(np.pad(within, 1), sampling=spacing_mm)[1:-1, 1:-1]
    pool = _hull(_largest((labels == LV_POOL) & within)) & (depth_mm > _THINNEST_MM)
    if pool.sum() * spacing_mm[0] * spacing_mm[1] < 100 * _SMALLEST_POOL_CM2:
        raise NoMyocardiumError("the left ventricular pool could not be outlined")
    return Regions(
        myocardium=_place(within & ~pool, box, frames),
        lv_pool=_place(pool, box, frames),
        rv_pool=_place(_largest((labels == RV_POOL) & ~within), box, frames),
        uncertainty=_place(np.nan_to_num(seen.disagreement) / _CERTAIN_SD, box, frames),
        predicted_dice=seen.expected_dice,
        insertion=_place(np.nan_to_num(seen.insertion), box, frames),
    )


def _grown(box: Box, spacing_mm: tuple[float, float], shape: tuple[int, int]) -> Box:
    """Add a margin: what surrounds the heart helps to tell where it ends."""
    rows, columns = (round(_MARGIN_MM / spacing) for spacing in spacing_mm)
    return Box(
        row_start=max(box.row_start - rows, 0),
        row_stop=min(box.row_stop + rows, shape[0]),
        column_start=max(box.column_start - columns, 0),
        column_stop=min(box.column_stop + columns, shape[1]),
    )


def _largest(mask: BoolArray) -> BoolArray:
    """Keep the largest connected part."""
    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    largest: BoolArray = parts == np.bincount(parts.ravel())[1:].argmax() + 1
    return largest


def _smooth(mask: BoolArray, spacing_mm: tuple[float, float]) -> BoolArray:
    """Cut off what is thinner than twice `_SPUR_MM`: the groove where the ventricles meet."""
    inner_mm = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing_mm)[1:-1, 1:-1]
    core = inner_mm > _SPUR_MM
    if not core.any():
        return mask
    smooth: BoolArray = ndimage.distance_transform_edt(~core, sampling=spacing_mm) <= _SPUR_MM
    return smooth & mask


def _hull(mask: BoolArray) -> BoolArray:
    """Fill up to the convex hull, as people do who draw round papillary muscles."""
    pixels = np.argwhere(mask)
    if len(pixels) < 3:
        return mask
    # Through the pixels' middles: round their corners it would grow by a third of a pixel.
    equations = ConvexHull(pixels, qhull_options="QJ").equations
    places = np.moveaxis(np.indices(mask.shape), 0, -1)
    inside: BoolArray = np.asarray(
        (places @ equations[:, :2].T + equations[:, 2] <= _ON_THE_LINE).all(axis=-1)
    )
    return inside


def _place(values: FloatArray, box: Box, frames: FloatArray) -> FloatArray:
    """Put what was found in the box into the whole slice."""
    whole = np.zeros(frames.shape[1:], values.dtype)
    whole[box.index] = values
    return whole
