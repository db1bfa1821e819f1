"""Outlines of the left ventricular wall and of both blood pools, by the trained network.

The network sees the first pass as a whole and answers each pixel with probabilities; here they
become regions as people draw them: one pool, inside one closed ring, beside one right ventricle.
"""

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

from pipeline.errors import NoMyocardiumError
from pipeline.heart import LV_POOL, MYOCARDIUM, RV_POOL, Heart, likeliest, middle
from pipeline.networks import AnatomyNetwork
from pipeline.result import Regions
from pipeline.study import BoolArray, FloatArray, IntArray

_THINNEST_MM = 3.0
_SPUR_MM = 8.0
_SMALLEST_POOL_CM2 = 0.3
_MOSTLY = 0.7
"""Share of a pixel on the epicardium that must be left ventricle. Experts leave out what is half
lung, fat or right ventricle; on phantoms, half and this do equally well."""
_ON_THE_LINE = 1e-6


def segment(
    frames: FloatArray,
    time_s: FloatArray,
    heart: Heart,
    spacing_mm: tuple[float, float],
    network: AnatomyNetwork,
) -> Regions:
    """Outline the left ventricular wall and both blood pools.

    Parameters
    ----------
    frames : [time, row, column]
        Aligned.
    time_s : [time]
    heart
        Roughly where and when, as found before the frames were aligned.
    spacing_mm
        Between rows, between columns.
    network
        Trained on the phantom.

    Raises
    ------
    NoMyocardiumError
        No left ventricle with a wall round it.
    """
    peak_s = float(time_s[heart.peak_frame])
    look = network.look(frames, time_s, peak_s, heart.centre, spacing_mm)
    centre = _centre(likeliest(look))
    seen = network.predict(frames, time_s, peak_s, centre, spacing_mm)
    labels = likeliest(seen.classes)
    ventricle = np.nan_to_num(seen.classes[MYOCARDIUM] + seen.classes[LV_POOL])
    within = ndimage.binary_fill_holes(_largest(ventricle > _MOSTLY))
    within = _smooth(within, spacing_mm)
    depth_mm = ndimage.distance_transform_edt(np.pad(within, 1), sampling=spacing_mm)[1:-1, 1:-1]
    pool = _hull(_largest((labels == LV_POOL) & within)) & (depth_mm > _THINNEST_MM)
    if pool.sum() * spacing_mm[0] * spacing_mm[1] < 100 * _SMALLEST_POOL_CM2:
        raise NoMyocardiumError("the left ventricular pool could not be outlined")
    wall = within & ~pool
    if not _fullest(frames, pool) > _fullest(frames, wall):
        raise NoMyocardiumError("what was outlined does not fill as a left ventricle does")
    return Regions(
        myocardium=wall,
        lv_pool=pool,
        rv_pool=_largest((labels == RV_POOL) & ~within),
        wall_probability=_mostly(np.nan_to_num(seen.classes[MYOCARDIUM])),
        predicted_dice=seen.expected_dice[0],
        predicted_pool_dice=seen.expected_dice[1],
        insertion=np.nan_to_num(seen.insertion),
    )


def _fullest(frames: FloatArray, mask: BoolArray) -> float:
    """How much the most changing tenth of a mask's pixels changes; NaN where it is empty.

    Not their mean: in a cavity that is all but closed, most of the pool is muscle.
    """
    return float(np.percentile(np.ptp(frames[:, mask], axis=0), 90)) if mask.any() else np.nan


def _centre(labels: IntArray) -> tuple[float, float]:
    """Middle of the heart, now that it stands still, (row, column)."""
    left = _largest((labels == MYOCARDIUM) | (labels == LV_POOL))
    if not left.any():
        raise NoMyocardiumError("no left ventricle with a wall round it was found")
    return middle(left | _largest(labels == RV_POOL))


def _mostly(share: FloatArray) -> FloatArray:
    """Probability that a pixel is mostly wall, of the share of it that the network expects.

    The network learned shares of pixels, so that those on an edge are half wall however sure it is.
    Twice the logarithm of the odds comes closest on slices of phantoms (2.1 on 105 of them).
    """
    wall, other = share**2, (1 - share) ** 2
    return wall / (wall + other)


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
