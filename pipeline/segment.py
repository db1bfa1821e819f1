"""Outlines of the left ventricular wall and of both blood pools, from enhancement over time.

Each pixel is described by how much it enhances while the right ventricle, the left ventricle and
the wall are at their peaks. Two closed contours round the left ventricle, endocardium inside
epicardium, are placed together by dynamic programming over the angle, so that the ring between
them holds what enhances like myocardium.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

from pipeline.enhancement import Ventricles, find_ventricles
from pipeline.errors import NoMyocardiumError
from pipeline.result import Box, Regions
from pipeline.study import BoolArray, FloatArray

_MARGIN_MM = 15.0
_ANGLES = 72
_STEP_MM = 1.0
_RADIUS_MM = 60.0
_THINNEST_MM = 4.0
_THICKEST_MM = 22.0
_USUAL_WALL_MM = 9.5
_PAPILLARY = 0.6
"""Worth of a wall-like pixel inside the endocardium, against 1 in the wall. The bright pool of a
contracted heart is a small star between papillary muscles and trabeculae; observers draw the
endocardium round those, so that the wall keeps a usual thickness."""
_THICKNESS_WEIGHT = 0.3
_WALL_AFTER_LV_S = 10.0
"""The wall peaks about so long after the pool."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Features:
    """Per pixel, scaled so that the left ventricular core is 1 at its peak, [row, column]."""

    at_rv: FloatArray
    at_lv: FloatArray
    at_wall: FloatArray
    level: FloatArray
    """Signal itself when the wall is at its peak: lung is dark, fat is bright."""

    def stack(self) -> FloatArray:
        return np.stack([self.at_rv, self.at_lv, self.at_wall, self.level])


def segment(
    frames: FloatArray, time_s: FloatArray, box: Box, spacing_mm: tuple[float, float]
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

    Raises
    ------
    NoMyocardiumError
        No left ventricle with a wall round it.
    """
    box = _grown(box, spacing_mm, (frames.shape[1], frames.shape[2]))
    inside = ndimage.gaussian_filter(
        frames[:, *box.index].astype(np.float32), (0, *(0.6 / s for s in spacing_mm))
    )
    ventricles = find_ventricles(inside, time_s, spacing_mm)
    if ventricles is None:
        raise NoMyocardiumError("no left ventricle was found in the box round the heart")
    features = _features(inside, time_s, ventricles)
    centre = _centre(ventricles.lv_core)
    endo_mm, epi_mm = _contours(features, ventricles, centre, spacing_mm)
    shape = box.shape
    within_epi = _fill(epi_mm, centre, shape, spacing_mm)
    endo_mm = _convex(endo_mm, epi_mm)
    lv_pool = _fill(endo_mm, centre, shape, spacing_mm)
    myocardium = within_epi & ~lv_pool
    if not myocardium.any() or not lv_pool.any():
        raise NoMyocardiumError("the left ventricular wall could not be told from its surroundings")
    rv_pool = _right_pool(features, ventricles, within_epi)
    return Regions(
        myocardium=_place(myocardium, box, frames),
        lv_pool=_place(lv_pool, box, frames),
        rv_pool=_place(rv_pool, box, frames),
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


def _centre(mask: BoolArray) -> tuple[float, float]:
    """Centre of the convex hull: a papillary muscle on one side must not pull it away."""
    pixels = np.argwhere(mask)
    outline = pixels[ConvexHull(pixels).vertices].astype(float)
    # Area-weighted centre of the polygon (shoelace formula).
    following = np.roll(outline, -1, axis=0)
    cross = outline[:, 0] * following[:, 1] - following[:, 0] * outline[:, 1]
    centre = ((outline + following) * cross[:, None]).sum(axis=0) / (3 * cross.sum())
    return float(centre[0]), float(centre[1])


def _features(frames: FloatArray, time_s: FloatArray, ventricles: Ventricles) -> _Features:
    pool = frames[:, ventricles.lv_core].mean(axis=1)
    lv_s = ventricles.lv_arrival_s
    lv_peak_s = _peak_time(pool, time_s, lv_s, lv_s + 12)
    rv_s = ventricles.rv_arrival_s
    if np.isfinite(rv_s):
        right = frames[:, ventricles.rv_core].mean(axis=1)
        rv_peak_s = _peak_time(right, time_s, rv_s, max(lv_s, rv_s + 1))
        before = time_s < rv_s - 1
    else:
        rv_peak_s = lv_s - 3
        before = time_s < lv_s - 4
    if not before.any():
        before[0] = True
    baseline = frames[before].mean(axis=0)
    at_lv = _around(frames, time_s, lv_peak_s, 1.5)
    scale = float(np.median((at_lv - baseline)[ventricles.lv_core]))
    late = _around(frames, time_s, lv_peak_s + _WALL_AFTER_LV_S, 4.0)
    return _Features(
        at_rv=(_around(frames, time_s, rv_peak_s, 1.0) - baseline) / scale,
        at_lv=(at_lv - baseline) / scale,
        at_wall=(late - baseline) / scale,
        level=late / scale,
    )


def _peak_time(curve: FloatArray, time_s: FloatArray, start_s: float, stop_s: float) -> float:
    allowed = (time_s >= start_s) & (time_s <= stop_s)
    if not allowed.any():
        allowed[np.abs(time_s - start_s).argmin()] = True
    return float(time_s[np.where(allowed, curve, -np.inf).argmax()])


def _around(frames: FloatArray, time_s: FloatArray, at_s: float, half_s: float) -> FloatArray:
    """Mean of the frames near one time, at least the nearest."""
    near = np.abs(time_s - at_s) <= half_s
    near[np.abs(time_s - at_s).argmin()] = True
    mean: FloatArray = frames[near].mean(axis=0)
    return mean


def _contours(
    features: _Features,
    ventricles: Ventricles,
    centre: tuple[float, float],
    spacing_mm: tuple[float, float],
) -> tuple[FloatArray, FloatArray]:
    """Radii of endocardium and epicardium [mm] for each angle."""
    stack = features.stack()
    is_wall, is_pool = _likelihoods(stack, ventricles, spacing_mm)
    radii_mm = np.arange(0, _RADIUS_MM, _STEP_MM)
    polar_wall = _polar(is_wall, centre, radii_mm, spacing_mm)
    polar_pool = _polar(np.maximum(is_pool, _PAPILLARY * is_wall), centre, radii_mm, spacing_mm)
    weight = np.sqrt(radii_mm)[None]  # outer pixels of a sector are larger, but also less certain
    pool_sum = np.cumsum(polar_pool * weight, axis=1)
    wall_sum = np.cumsum(polar_wall * weight, axis=1)
    inner, outer = np.meshgrid(np.arange(len(radii_mm)), np.arange(len(radii_mm)), indexing="ij")
    thickness = (outer - inner) * _STEP_MM
    reward = pool_sum[:, inner] + wall_sum[:, outer] - wall_sum[:, inner]
    reward -= _THICKNESS_WEIGHT * ((thickness - _USUAL_WALL_MM) / 3) ** 2 * weight.mean()
    impossible = (thickness < _THINNEST_MM) | (thickness > _THICKEST_MM) | (inner < 4)
    reward[:, impossible] = -np.inf
    endo, epi = _best_closed_pair(reward)
    return (
        ndimage.gaussian_filter1d(endo * _STEP_MM, 1.5, mode="wrap"),
        ndimage.gaussian_filter1d(epi * _STEP_MM, 1.5, mode="wrap"),
    )


def _likelihoods(
    stack: FloatArray, ventricles: Ventricles, spacing_mm: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Evidence per pixel, -1 to 1, for wall against surroundings and for pool against wall."""
    from_core_mm = ndimage.distance_transform_edt(~_hull(ventricles.lv_core), sampling=spacing_mm)
    ring = (from_core_mm > 2) & (from_core_mm < 8) & (stack[0] < 0.35) & (stack[1] < 0.6)
    if ring.sum() < 10:
        raise NoMyocardiumError("nothing round the left ventricle enhances like myocardium")
    middle = np.median(stack[:, ring], axis=1)
    spread = 1.4826 * np.median(np.abs(stack[:, ring] - middle[:, None]), axis=1)
    floor = np.array([0.06, 0.08, 0.05, 0.06])
    z = (stack - middle[:, None, None]) / np.maximum(spread, floor)[:, None, None]
    wall = 1 - 2 * np.clip(np.sqrt((z**2).mean(axis=0)) / 3.0, 0, 1)
    halfway = (1 + middle[1]) / 2
    pool = np.clip((stack[1] - halfway) / (1 - halfway), -1, 1) * (stack[0] < 0.7)
    return wall, pool


def _hull(mask: BoolArray) -> BoolArray:
    """Pixels inside the convex hull."""
    equations = ConvexHull(np.argwhere(mask)).equations
    rows, columns = np.indices(mask.shape)
    filled: BoolArray = np.ones(mask.shape, bool)
    for normal_row, normal_column, offset in equations:
        filled &= normal_row * rows + normal_column * columns + offset <= 1e-6
    return filled


def _polar(
    image: FloatArray,
    centre: tuple[float, float],
    radii_mm: FloatArray,
    spacing_mm: tuple[float, float],
) -> FloatArray:
    """Sample along rays, [angle, radius]; outside the image is no evidence for anything."""
    angles = np.arange(_ANGLES) * 2 * np.pi / _ANGLES
    rows = centre[0] + np.sin(angles)[:, None] * radii_mm / spacing_mm[0]
    columns = centre[1] + np.cos(angles)[:, None] * radii_mm / spacing_mm[1]
    sampled: FloatArray = ndimage.map_coordinates(
        image, [rows, columns], order=1, mode="constant", cval=-1.0
    )
    return sampled


def _best_closed_pair(reward: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Choose (inner, outer) for each angle so that the sum of `reward` [angle, in, out] is largest.

    From one angle to the next each radius moves by at most one step; going round twice and keeping
    the middle turn closes the contours.
    """
    order = [*range(_ANGLES), *range(_ANGLES)]
    total = reward[0].copy()
    came_from = np.zeros((len(order), *total.shape), dtype=np.int8)
    moves = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    padded = np.full((total.shape[0] + 2, total.shape[1] + 2), -np.inf)
    for step in range(1, len(order)):
        padded[1:-1, 1:-1] = total
        options = np.stack(
            [
                padded[1 + i : 1 + i + total.shape[0], 1 + j : 1 + j + total.shape[1]]
                - 0.3 * (abs(i) + abs(j))
                for i, j in moves
            ]
        )
        came_from[step] = options.argmax(axis=0)
        total = options.max(axis=0) + reward[order[step]]
    state = np.unravel_index(int(total.argmax()), total.shape)
    inner, outer = int(state[0]), int(state[1])
    path = np.zeros((len(order), 2))
    for step in range(len(order) - 1, -1, -1):
        path[step] = inner, outer
        move = moves[came_from[step, inner, outer]]
        inner, outer = inner + move[0], outer + move[1]
    half = _ANGLES // 2
    turn = np.roll(path[half : half + _ANGLES], half, axis=0)
    return turn[:, 0], turn[:, 1]


def _convex(endo_mm: FloatArray, epi_mm: FloatArray) -> FloatArray:
    """Take papillary muscles into the pool: convex hull of the endocardium, inside the wall."""
    angles = np.arange(_ANGLES) * 2 * np.pi / _ANGLES
    points = np.stack([endo_mm * np.sin(angles), endo_mm * np.cos(angles)], axis=1)
    equations = ConvexHull(points).equations
    directions = np.stack([np.sin(angles), np.cos(angles)])
    along = equations[:, :2] @ directions
    with np.errstate(divide="ignore"):
        reach = np.where(along > 0, -equations[:, 2:] / along, np.inf)
    hull_mm: FloatArray = reach.min(axis=0)
    return np.minimum(hull_mm, epi_mm - _THINNEST_MM)


def _fill(
    radius_mm: FloatArray,
    centre: tuple[float, float],
    shape: tuple[int, int],
    spacing_mm: tuple[float, float],
) -> BoolArray:
    """Pixels whose centres lie inside a contour given in polar form."""
    rows, columns = np.indices(shape)
    down = (rows - centre[0]) * spacing_mm[0]
    right = (columns - centre[1]) * spacing_mm[1]
    position = np.arctan2(down, right) % (2 * np.pi) / (2 * np.pi) * _ANGLES
    limit = np.interp(position, np.arange(_ANGLES + 1), np.append(radius_mm, radius_mm[0]))
    return np.hypot(down, right) <= limit


def _right_pool(features: _Features, ventricles: Ventricles, within_epi: BoolArray) -> BoolArray:
    """Pixels that enhance with the right ventricle and hang together with its core."""
    core = ventricles.rv_core & ~within_epi
    if not core.any():
        return core
    level = float(np.median(features.at_rv[core]))
    likely = (features.at_rv > 0.4 * level) & ~within_epi
    labels, _ = ndimage.label(ndimage.binary_opening(likely))
    counts = np.bincount(labels[core], minlength=2)
    counts[0] = 0
    pool: BoolArray = ndimage.binary_fill_holes(labels == counts.argmax()) & ~within_epi
    return pool if counts.any() else core


def _place(mask: BoolArray, box: Box, frames: FloatArray) -> BoolArray:
    whole = np.zeros(frames.shape[1:], bool)
    whole[box.index] = mask
    return whole
