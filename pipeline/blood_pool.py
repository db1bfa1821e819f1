"""Signal of blood in the left ventricle: the purest pixels of the pool, in any series.

Not the mean of the pool: papillary muscles, trabeculae and the rim dilute it. The pool is eroded
and those of its pixels are taken that enhance most, without the very brightest, which are noise.

Before the bolus blood is nearly black, and the magnitude of noise is not zero on average: powers
are averaged and that of the noise is subtracted (`rician`), else the baseline is too bright and
with it every concentration too low.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pipeline.result import Regions
from pipeline.rician import mean_magnitude, noise_excess, noise_in, shows_noise
from pipeline.study import BoolArray, FloatArray, InputKind, InputSeries, IntArray, PerfusionSlice

PUREST_SHARE = 0.2
"""So many of the pixels are taken, those that enhance most: trabeculae reach far into the pool, and
native muscle is brighter before the bolus and darker at its peak than blood."""

LARGEST_SHARE = 0.5
ENOUGH_PIXELS = 12
"""Of small pools more of the pixels are taken, up to the largest share, for so many at least."""

BRIGHTEST_SHARE = 0.01
"""Of the pixels are left out as noise."""

LEAST_PIXELS = 6
"""Fewer pixels than this are no pool."""

LEAST_ENHANCEMENT = 1.5
"""The peak signal over the baseline must exceed this, or no bolus went through."""

LEAST_DILUTED_ENHANCEMENT = 1.15
"""The same for a diluted bolus, which may come on top of what an earlier injection left."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PoolSignal:
    """Mean signal of blood in one slice."""

    signal: FloatArray
    """[time]."""
    time_s: FloatArray
    """[time]."""
    proton_density: float | None
    """Of the same pixels, where such frames were taken."""
    n_pixels: int


def pool_signal(
    one: PerfusionSlice,
    frames: FloatArray,
    pool: BoolArray,
    wall: BoolArray | None = None,
    *,
    least_enhancement: float = LEAST_ENHANCEMENT,
    excess: float | None = None,
) -> PoolSignal | None:
    """Read the blood of `one` slice from its aligned frames [time, row, column].

    `pool` is the mask of the cavity [row, column], `wall` that of the myocardium beside it, which
    tells the noise where it is not too dark: in bright blood papillary muscles move, and a third
    more would pass for noise. Else the pool itself does. `excess` is that of `noise_excess` where
    the frames of `one` were moved and do not tell it. None where the pool is too small or no bolus
    passes through it.
    """
    inner = core(pool)
    signal = frames[:, inner].astype(float)
    if signal.shape[1] < LEAST_PIXELS:
        return None
    pure = _purest(signal, np.argwhere(inner))
    if excess is None:
        excess = noise_excess(one.frames)
    beside = inner if wall is None or not wall.any() else core(wall)
    noise = noise_in(frames, beside if shows_noise(frames[:, beside]) else inner, inner)
    mean = mean_magnitude(signal[:, pure], noise, axis=1, excess=excess)
    early = float(np.median(np.sort(mean)[: max(mean.size // 10, 3)]))
    if early <= 0.0 or mean.max() < least_enhancement * early:
        return None
    density = None
    if one.proton_density is not None and one.proton_density_readout is not None:
        density = float(one.proton_density[:, inner][:, pure].mean())
    return PoolSignal(
        signal=mean, time_s=one.time_s, proton_density=density, n_pixels=int(pure.sum())
    )


def core(pool: BoolArray) -> BoolArray:
    """Erode the pool by a pixel, where enough of it remains."""
    eroded: BoolArray = ndimage.binary_erosion(pool)
    return eroded if np.count_nonzero(eroded) >= 2 * LEAST_PIXELS else pool


def series_pool_signal(
    series: InputSeries, one: PerfusionSlice, regions: Regions
) -> PoolSignal | None:
    """Read the blood from a separate input series, with the pool of the nearest main slice.

    The series has its own grid: each of its pixels asks where it lies in the main slice, and of
    those in the pool the brightest part is taken. Its frames were moved to hold the heart still,
    which takes zeros and some noise away; what noise adds to magnitudes is that of the main slice,
    which the same scanner made.
    """
    source = series.slice
    rows, columns = source.frames.shape[1:]
    grid = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1)
    pixels = one.geometry.to_pixel(source.geometry.to_patient_mm(grid))
    inside = ndimage.map_coordinates(
        regions.lv_pool.astype(float), np.moveaxis(pixels, -1, 0), order=1, cval=0.0
    )
    diluted = series.kind is InputKind.DUAL_BOLUS
    least = LEAST_DILUTED_ENHANCEMENT if diluted else LEAST_ENHANCEMENT
    return _largest_pool(source, inside, least, noise_excess(one.frames))


def _largest_pool(
    source: PerfusionSlice, inside: FloatArray, least_enhancement: float, excess: float
) -> PoolSignal | None:
    """Pool with pixels fully inside where there are enough, else with those mostly inside."""
    for share in (0.95, 0.5):
        mask = inside >= share
        if np.count_nonzero(mask) >= LEAST_PIXELS:
            return pool_signal(
                source, source.frames, mask, least_enhancement=least_enhancement, excess=excess
            )
    return None


def _purest(signal: FloatArray, place: IntArray) -> BoolArray:
    """Which pixels [pixel] of signal [time, pixel] enhance most around the peak of their mean.

    They are compared with the plane through all of them at `place` [pixel, (row, column)]: coils
    are brighter on one side, where neither blood nor saturation need be like the mean of the pool.
    """
    peak = int(np.argmax(signal.mean(axis=1)))
    around = signal[max(peak - 3, 0) : peak + 4].mean(axis=0)
    design = np.column_stack([np.ones(len(place)), place - place.mean(axis=0)])
    around = around - design @ np.linalg.lstsq(design, around, rcond=None)[0]
    share = np.clip(ENOUGH_PIXELS / around.size, PUREST_SHARE, LARGEST_SHARE)
    low, high = np.quantile(around, (1.0 - BRIGHTEST_SHARE - share, 1.0 - BRIGHTEST_SHARE))
    pure: BoolArray = (around >= low) & (around <= high)
    return pure
