"""Holds a separate input series still, where the slices of its first pass lie."""

from dataclasses import replace
from typing import Final

import numpy as np
from scipy import ndimage

from pipeline.motion import align, align_to, follow, put_back
from pipeline.outline import Anatomy
from pipeline.shading import shading_slope, without_shading
from pipeline.study import FloatArray, InputKind, InputSeries, PerfusionSlice

_FIRST_PASS_FRAMES: Final = (3, 12)
"""Frames before and after the peak that show the pool bright."""


def held_still(series: InputSeries, leader: Anatomy) -> InputSeries:
    """Move the frames of an input series so that its blood lies in the pool of `leader`.

    The low-resolution images of a dual sequence move like the first slice of the same beats, its
    proton-density frames like those of that slice, or if it has none, like its first frame. A
    diluted bolus has a breathing of its own: its frames are aligned with each other, then together
    with the slice, unless that makes the curve of the pool rougher (it shows little contrast, and
    the coils are brighter here than there). One on another grid than the slice is left as it is.
    """
    one = series.slice
    if series.kind is InputKind.DUAL_SEQUENCE:
        one = replace(one, proton_density=_density_put_back(one, leader))
        frames = _followed(one, leader)
    elif _same_grid(series, leader):
        placed = _placed(one.frames, one.time_s, leader)
        pool = leader.regions.lv_pool
        frames = min((one.frames, placed), key=lambda tried: _roughness(tried[:, pool]))
    else:
        return series
    return replace(series, slice=replace(one, frames=frames))


def _followed(one: PerfusionSlice, leader: Anatomy) -> FloatArray:
    """Move a low-resolution series like its slice, under the same coils [time, row, column]."""
    moved = follow(
        one.frames, one.time_s, leader.aligned, leader.source.time_s, one.geometry.spacing_mm
    )
    return without_shading(moved.frames, moved.bulk_displacement_mm, leader.shading_slope)


def _density_put_back(one: PerfusionSlice, leader: Anatomy) -> FloatArray | None:
    """Hold the proton-density frames of a low-resolution series still."""
    density = one.proton_density
    if density is None:
        return None
    of_leader = leader.density_mm
    if of_leader is None:
        of_leader = leader.aligned.bulk_displacement_mm[:1]
    # the last ones of both come in the beats just before the others
    beat = np.clip(np.arange(-len(density), 0) + len(of_leader), 0, None)
    still = put_back(density, of_leader[beat], one.geometry.spacing_mm)
    return without_shading(still, of_leader[beat], leader.shading_slope)


def _same_grid(series: InputSeries, leader: Anatomy) -> bool:
    here, there = series.slice.geometry, leader.source.geometry
    return series.slice.frames.shape[1:] == leader.source.frames.shape[1:] and bool(
        np.allclose(here.spacing_mm, there.spacing_mm)
        and np.allclose(here.position_mm, there.position_mm, atol=max(here.spacing_mm))
    )


def _placed(frames: FloatArray, time_s: FloatArray, leader: Anatomy) -> FloatArray:
    """Align frames [time, row, column] with each other, and their heart with that of `leader`."""
    spacing_mm = leader.source.geometry.spacing_mm
    pool = ndimage.gaussian_filter1d(frames[:, leader.regions.lv_pool].mean(axis=1), 1.0)
    peak = int(np.argmax(pool))
    aligned = align(frames, time_s, leader.box, peak, spacing_mm)
    slope = shading_slope(aligned, leader.regions, time_s)
    still = without_shading(aligned.frames, aligned.bulk_displacement_mm, slope)
    before, after = _FIRST_PASS_FRAMES
    bright = still[max(peak - before, 0) : peak + after + 1]
    _, apart_mm = align_to(bright, leader.aligned, leader.box, spacing_mm)
    shift = -np.median(apart_mm, axis=0) / np.asarray(spacing_mm)
    placed: FloatArray = ndimage.shift(still, (0.0, *shift), order=1, mode="nearest")
    return placed


def _roughness(signal: FloatArray) -> float:
    """Root mean square of the bends of the mean of pixels [time, pixel]."""
    return float(np.sqrt(np.mean(np.diff(signal.mean(axis=1), n=2) ** 2)))
