"""Examples from the phantom on one regular grid, larger than the networks' in space and time.

The margin leaves room for the random shifts, turns and stretches of `appearance`.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pipeline.phantom import PhantomSettings, simulate
from pipeline.result import Box, InsertionPoints, Regions
from pipeline.study import FloatArray, IntArray, PerfusionSlice, SequenceKind, State

SIDE = 128
SPACING_MM = 1.5
STEP_S = 1.0
FIRST_S, LAST_S = -18.0, 32.0
"""Relative to the peak of the left ventricle."""
_HEAT_MM = 4.0
_SEQUENCES = (SequenceKind.SPOILED_GRADIENT_ECHO, SequenceKind.BALANCED_SSFP)
_BALANCED_SHARE = 0.3
FIRST_TRAINING_SEED = 10_000
"""Seeds below are for evaluation only."""
FIRST_EXPECTATION_SEED = 1_000_000
"""Seeds from here on teach the network what to expect of its own outlines, and nothing else."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One slice for training."""

    frames: FloatArray
    """float16, scaled by the largest signal of the heart, [time, SIDE, SIDE]."""
    shares: IntArray
    """How much of each pixel belongs to each of `CLASSES` but the background, in 255ths, uint8,
    [class - 1, SIDE, SIDE]."""
    heat: FloatArray
    """1 at both insertion points, falling off as a Gaussian; -1 everywhere where they are not
    known; float16, [SIDE, SIDE]."""


def example(seed: int) -> Example:
    """Simulate one slice in a perfect breath-hold; what motion is left over is added later.

    Seeds in a row give both states, all levels and many pixel sizes.
    """
    draw = np.random.default_rng((seed, 1))
    spacing_mm = draw.uniform(1.3, 2.6)
    settings = PhantomSettings(
        states=((State.REST, State.STRESS)[seed % 2],),
        n_slices=1,
        n_frames=48,
        matrix=8 * int(np.ceil(SIDE * SPACING_MM / spacing_mm / 8)),
        spacing_mm=spacing_mm,
        sequence=_SEQUENCES[int(draw.random() < _BALANCED_SHARE)],
        motion_mm=0.0,
        mistrigger_share=0.0,
    )
    made = simulate(seed, settings)
    source, truth = made.study.first_passes[0].slices[0], made.truth.first_passes[0].slices[0]
    return on_grid(source, truth.regions, truth.insertion_points, truth.box, truth.peak_lv_frame)


def on_grid(
    source: PerfusionSlice,
    regions: Regions,
    points: InsertionPoints | None,
    box: Box,
    peak_lv_frame: int,
) -> Example:
    """Bring any outlined slice to the regular grid, centred on the box of its heart.

    Parameters
    ----------
    source
        Aligned with the outlines.
    regions
        Of the slice; the pools as people draw them, with their muscles.
    points
        Where the wall of the right ventricle joins; None: not known.
    box
        Round both ventricles.
    peak_lv_frame
        Of the left ventricle.
    """
    spacing = np.array(source.geometry.spacing_mm)
    centre = (
        np.array([box.row_start + box.row_stop - 1, box.column_start + box.column_stop - 1]) / 2
    )
    offsets = (np.indices((SIDE, SIDE)).transpose(1, 2, 0) - (SIDE - 1) / 2) * SPACING_MM
    pixels = (offsets / spacing + centre).transpose(2, 0, 1)
    masks = (regions.myocardium, regions.lv_pool, regions.rv_pool)
    shares = np.stack([_sample(mask.astype(np.float32), pixels) for mask in masks])
    wanted_s = np.arange(FIRST_S, LAST_S + STEP_S / 2, STEP_S) + source.time_s[peak_lv_frame]
    frames = np.stack([_sample(_at(source, moment), pixels) for moment in wanted_s])
    scale = float(np.percentile(frames[:, shares.sum(axis=0) > 0.5], 99))
    return Example(
        frames=(frames / scale).astype(np.float16),
        shares=np.rint(255 * shares).astype(np.uint8),
        heat=_heat(points, offsets, centre, spacing).astype(np.float16),
    )


def _heat(
    points: InsertionPoints | None, offsets: FloatArray, centre: FloatArray, spacing: FloatArray
) -> FloatArray:
    if points is None:
        return np.full((SIDE, SIDE), -1.0)
    away_mm = [
        offsets - (np.array(point) - centre) * spacing
        for point in (points.anterior, points.inferior)
    ]
    near: FloatArray = np.exp(
        -0.5 * (np.stack(away_mm) ** 2).sum(axis=-1).min(axis=0) / _HEAT_MM**2
    )
    return near


def _at(source: PerfusionSlice, moment_s: float) -> FloatArray:
    """Interpolate the series linearly in time, standing still outside it."""
    place = float(np.interp(moment_s, source.time_s, np.arange(len(source.time_s))))
    before = min(int(place), len(source.time_s) - 2)
    share = place - before
    frame: FloatArray = (1 - share) * source.frames[before] + share * source.frames[before + 1]
    return frame


def _sample(image: FloatArray, pixels: FloatArray) -> FloatArray:
    sampled: FloatArray = ndimage.map_coordinates(image, pixels, order=1, mode="nearest")
    return sampled
