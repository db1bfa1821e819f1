"""What contrast agent does to each pixel over time, and what it fills like a left ventricle.

Brightness in one frame depends on scanner, coil and dose; the order of arrival (right ventricle,
left ventricle, myocardium) does not. Every classical stage builds on it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from pipeline.study import BoolArray, FloatArray

GRID_MM = 2.5
"""Pixel size of the coarse grid on which ventricles are looked for."""
_ARRIVAL_WINDOW_S = 1.5
_LATE_SHARE = 0.1
"""Blood keeps at least this share of its rise; what moves through a pixel does not."""

_CANDIDATES = 8
_ALONE = 0.1
"""Worth of a left ventricle without an earlier neighbour, which may be the right one itself."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Enhancement:
    """The largest rise of each pixel's signal, [row, column]."""

    baseline: FloatArray
    rise: FloatArray
    arrival_s: FloatArray
    """When half of the rise is reached."""
    kept: FloatArray
    """What is left of the rise at the end of the series."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """What fills like a left ventricle."""

    core: BoolArray
    """Its bright core, without trabeculae, on the grid of the frames [row, column]."""
    arrival_s: float
    score: float
    """0 to 1: how much it looks like one."""


@dataclass(frozen=True, eq=False)
class _Blob:
    mask: BoolArray
    area_cm2: float
    arrival_s: float
    score: float
    distance_mm: FloatArray


def enhancement(frames: FloatArray, time_s: FloatArray) -> Enhancement:
    """Measure the largest climb of each pixel of `frames` [time, row, column]."""
    smooth = ndimage.gaussian_filter1d(_median_of_three(frames), 0.7, axis=0, mode="nearest")
    lowest = np.minimum.accumulate(smooth, axis=0)
    climb = smooth - lowest
    peak = climb.argmax(axis=0)[None]
    rise = np.take_along_axis(climb, peak, 0)[0]
    baseline = np.take_along_axis(lowest, peak, 0)[0]
    index = np.arange(len(smooth))[:, None, None]
    half = baseline + 0.5 * rise
    below = (smooth < half) & (index <= peak)
    after = np.clip(np.where(below, index, -1).max(axis=0) + 1, 1, len(smooth) - 1)
    low = np.take_along_axis(smooth, after[None] - 1, 0)[0]
    high = np.take_along_axis(smooth, after[None], 0)[0]
    share = np.clip((half - low) / np.maximum(high - low, np.finfo(np.float32).tiny), 0, 1)
    arrival_s = time_s[after - 1] + share * (time_s[after] - time_s[after - 1])
    kept = smooth[-max(3, len(smooth) // 5) :].mean(axis=0) - baseline
    return Enhancement(baseline=baseline, rise=rise, arrival_s=arrival_s, kept=kept)


def ventricle_candidates(
    frames: FloatArray, time_s: FloatArray, spacing_mm: tuple[float, float]
) -> tuple[Candidate, ...]:
    """Find what fills like a left ventricle: bright, compact, darker all around, after another.

    Parameters
    ----------
    frames : [time, row, column]
        Need not be aligned: the blood pool is much larger than the usual motion.
    time_s : [time]
    spacing_mm
        Between rows, between columns.

    Returns
    -------
    At most `_CANDIDATES` that differ in place or time, the likeliest first; empty where nothing
    fills.
    """
    coarse = _to_grid(frames, spacing_mm)
    seen = enhancement(coarse, time_s)
    different = {mask.tobytes(): mask for mask in _candidates(seen)}
    blobs = [_describe(mask, seen) for mask in different.values()]
    scored = [(lv.score * (_ALONE + (1 - _ALONE) * _led(lv, blobs)), lv) for lv in blobs]
    chosen: list[tuple[float, _Blob]] = []
    for one in sorted(scored, key=lambda one: -one[0]):
        if len(chosen) < _CANDIDATES and not any(_same(one[1], other[1]) for other in chosen):
            chosen.append(one)
    shape = (frames.shape[1], frames.shape[2])
    return tuple(
        Candidate(
            core=_from_grid(ndimage.binary_fill_holes(lv.mask), shape),
            arrival_s=lv.arrival_s,
            score=score,
        )
        for score, lv in chosen
    )


def _same(one: _Blob, other: _Blob) -> bool:
    """Whether two blobs are one thing, cut out at two thresholds."""
    shared = (one.mask & other.mask).sum()
    return bool(shared > 0.3 * min(one.mask.sum(), other.mask.sum()))


def _median_of_three(frames: FloatArray) -> FloatArray:
    """Each frame's median with its neighbours in time; what `median_filter` says, sooner."""
    before, after = frames[[0, *range(len(frames) - 1)]], frames[[*range(1, len(frames)), -1]]
    median: FloatArray = np.maximum(
        np.minimum(before, after), np.minimum(np.maximum(before, after), frames)
    )
    return median


def _to_grid(frames: FloatArray, spacing_mm: tuple[float, float]) -> FloatArray:
    """Smooth and resample both axes, each by one matrix product."""
    down, across = (
        _resampling(size, spacing)
        for size, spacing in zip(frames.shape[1:], spacing_mm, strict=True)
    )
    coarse: FloatArray = down @ frames.astype(np.float32) @ across.T
    return coarse


def _resampling(size: int, spacing_mm: float) -> FloatArray:
    """Matrix that smooths a line of `size` pixels and samples it every `GRID_MM`."""
    smooth = ndimage.gaussian_filter1d(
        np.eye(size, dtype=np.float32), 0.4 * GRID_MM / spacing_mm, 0
    )
    matrix: FloatArray = ndimage.zoom(
        smooth, (spacing_mm / GRID_MM, 1.0), order=1, grid_mode=True, mode="nearest"
    )
    return matrix


def _from_grid(mask: BoolArray, shape: tuple[int, int]) -> BoolArray:
    factors = [new / old for new, old in zip(shape, mask.shape, strict=True)]
    fine = ndimage.zoom(mask.astype(np.float32), factors, order=1, grid_mode=True, mode="nearest")
    return fine > 0.5


def _candidates(seen: Enhancement) -> Iterator[BoolArray]:
    """Yield connected pixels that rise strongly within a short time of each other."""
    lasting = seen.kept > _LATE_SHARE * seen.rise
    if not lasting.any():
        return
    reference = np.percentile(seen.rise[lasting], 99)
    smallest = 0.4 * 100 / GRID_MM**2  # 0.4 cm2: what a contracted, hypertrophic heart leaves
    for level in (0.35, 0.5, 0.7, 1.0):
        strong = lasting & (seen.rise > level * reference)
        if not strong.any():
            continue
        first, last = np.percentile(seen.arrival_s[strong], [2, 98])
        for centre_s in np.arange(first, last + 0.5, 1.0):
            together = strong & (np.abs(seen.arrival_s - centre_s) <= _ARRIVAL_WINDOW_S)
            labels, count = ndimage.label(ndimage.binary_opening(together))
            sizes = np.bincount(labels.ravel(), minlength=count + 1)
            for label in range(1, count + 1):
                if sizes[label] >= smallest:
                    yield labels == label


def _describe(mask: BoolArray, seen: Enhancement) -> _Blob:
    """Score one candidate as the left ventricular pool."""
    distance_mm = ndimage.distance_transform_edt(~mask) * GRID_MM
    area_cm2 = float(mask.sum()) * GRID_MM**2 / 100
    around = (distance_mm > 3) & (distance_mm <= 9)
    rise = float(np.median(seen.rise[mask]))
    darker = 1 - float(np.percentile(seen.rise[around], 75)) / rise if around.any() else 0.0
    wall = float(np.median(seen.rise[around])) / rise if around.any() else 0.0
    arrival_s = float(np.median(seen.arrival_s[mask]))
    size = min(1.0, area_cm2 / 6) * min(1.0, 45 / area_cm2)
    centre = np.array(ndimage.center_of_mass(mask)) - np.array(mask.shape) / 2
    off_centre_mm = float(np.hypot(*centre)) * GRID_MM
    # Lung round a vessel does not enhance; myocardium round a ventricle does.
    score = (
        size
        * _solidity(mask)
        * max(darker, 0.05)
        * min(1.0, 0.3 + wall / 0.15)
        * float(np.exp(-0.5 * (off_centre_mm / 60) ** 2))
    )
    return _Blob(mask, area_cm2, arrival_s, score, distance_mm)


def _solidity(mask: BoolArray) -> float:
    """Area over the area of the convex hull."""
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1) - 0.5
    last = mask.shape[1] - 0.5 - mask[rows, ::-1].argmax(axis=1)
    # Each pixel's four corners; those between the ends of a row cannot lie on the hull.
    corners = np.concatenate(
        [np.stack([rows + half, end], axis=1) for half in (-0.5, 0.5) for end in (first, last)]
    )
    try:
        return float(mask.sum() / ConvexHull(corners).volume)
    except QhullError:
        return 0.0


def _led(lv: _Blob, blobs: list[_Blob]) -> float:
    """0 to 1: how much a blob beside `lv` that the agent reached earlier is a right ventricle."""
    best, largest = 0.0, 0.0
    for blob in blobs:
        lead_s = lv.arrival_s - blob.arrival_s
        if not 1.0 <= lead_s <= 20:
            continue
        if not 2 <= float(lv.distance_mm[blob.mask].min()) <= 30:
            continue
        likeness = min(1.0, blob.area_cm2 / 2) * min(1.0, lead_s / 2)
        if likeness * blob.area_cm2 > largest:
            best, largest = likeness, likeness * blob.area_cm2
    return best
