"""Examples from the phantom on one regular grid, larger than the networks' in space and time.

The margin leaves room for the random shifts, turns and stretches of `appearance`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pipeline.phantom import PhantomSettings, simulate
from pipeline.phantom.truth import SliceTruth
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One slice for training."""

    frames: FloatArray
    """float16, scaled by the largest signal of the heart, [time, SIDE, SIDE]."""
    labels: IntArray
    """Index into `pipeline.networks.CLASSES`, uint8, [SIDE, SIDE]."""
    heat: FloatArray
    """1 at both insertion points, falling off as a Gaussian, float16, [SIDE, SIDE]."""


def examples(first_seed: int = FIRST_TRAINING_SEED) -> Iterator[Example]:
    """Yield one example a seed, without end: both states, all levels, many pixel sizes."""
    seed = first_seed
    while True:
        yield example(seed)
        seed += 1


def example(seed: int) -> Example:
    """Simulate one slice in a perfect breath-hold; what motion is left over is added later."""
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
    return on_grid(made.study.first_passes[0].slices[0], made.truth.first_passes[0].slices[0])


def on_grid(source: PerfusionSlice, truth: SliceTruth) -> Example:
    """Bring one slice with its truth to the regular grid, centred on its box."""
    box, spacing = truth.box, np.array(source.geometry.spacing_mm)
    centre = (
        np.array([box.row_start + box.row_stop - 1, box.column_start + box.column_stop - 1]) / 2
    )
    offsets = (np.indices((SIDE, SIDE)).transpose(1, 2, 0) - (SIDE - 1) / 2) * SPACING_MM
    pixels = (offsets / spacing + centre).transpose(2, 0, 1)
    masks = (truth.regions.myocardium, truth.regions.lv_pool, truth.regions.rv_pool)
    shares = np.stack([_sample(mask.astype(np.float32), pixels) for mask in masks])
    labels = np.concatenate([1 - shares.sum(axis=0, keepdims=True), shares]).argmax(axis=0)
    points = truth.insertion_points
    heat = np.zeros((SIDE, SIDE))
    for point in (points.anterior, points.inferior):
        away_mm = offsets - (np.array(point) - centre) * spacing
        heat = np.maximum(heat, np.exp(-0.5 * (away_mm**2).sum(axis=-1) / _HEAT_MM**2))
    wanted_s = np.arange(FIRST_S, LAST_S + STEP_S / 2, STEP_S) + source.time_s[truth.peak_lv_frame]
    frames = np.stack([_sample(_at(source, moment), pixels) for moment in wanted_s])
    scale = float(np.percentile(frames[:, labels > 0], 99))
    return Example(
        frames=(frames / scale).astype(np.float16),
        labels=labels.astype(np.uint8),
        heat=heat.astype(np.float16),
    )


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
