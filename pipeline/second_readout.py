"""A second look at the same blood: in another, short readout, or on another passage.

The readout of the slices measures low concentrations and knows its own scale, but not the peak.
Another one measures the peak, on a scale or at a time that only the first one can tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline import concentration, signal_model
from pipeline.blood_curve import (
    SIGNAL_ERROR,
    BloodCurve,
    arrival_s,
    baseline,
    with_amplification,
)
from pipeline.blood_pool import PoolSignal
from pipeline.bolus import find_landmarks
from pipeline.study import FloatArray, Physics, Readout

PEAKS_MMOL_L: Final = (1.0, 18.0)
"""Between these lies the peak in blood."""

N_SCALES: Final = 60
FLOOR_SHARES: Final = (0.0, 0.5, 1.0)
"""How much of what the dark baseline of a short readout shows beyond the model lies beneath its
bright frames, too. Noise does not (its mean is that of magnitudes), a ghost does."""
COMPARED_RISE: Final = 1.3
"""Frames are compared where the main signal is so many times its baseline."""

BASELINE_ERROR: Final = 0.05
"""Relative error of the baseline of a pool: all frames of a slice are wrong by it together."""
TIMING_ERROR_S: Final = 0.15
"""On the upslope an error in time is an error of signal."""
LARGEST_CORRECTION_S: Final = 4.0
COMPARED_AFTER_PEAK_S: Final = 10.0
"""Two passages are brought together over the first pass; later ones differ."""

LARGEST_SCORE: Final = 3.0
"""Frames that disagree by more expected errors than this count no more than that."""
INDEPENDENT_FRAMES: Final = 8.0
"""Errors of neighbouring frames are alike: a slice says no more than so many frames would."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Agreement:
    """How well two readouts of the same blood can be brought together."""

    log_likelihood: float
    """Of what the main readout shows, over all scales of the second."""
    values_mmol_l: FloatArray
    """Change of concentration at the times of the second readout [time]."""


def agreement(
    mains: Sequence[PoolSignal],
    second: PoolSignal,
    physics: Physics,
    readout: Readout,
    *,
    residual_mmol_l: float = 0.0,
) -> Agreement:
    """Bring a second, short readout of the same blood together with the main one of each slice.

    The baseline of a short readout is lost in noise, so its scale is unknown. For each scale its
    rise over the baseline says a concentration for every frame; the main readout, whose baseline
    is good and whose ceiling is known, must show the signal that belongs to it. What noise and the
    saturation pulse leave in the baseline of the second readout cancels in its rise.

    Parameters
    ----------
    mains
        Blood in the slices, in the readout of `physics`.
    second
        Blood in the short `readout`.
    residual_mmol_l
        Contrast agent of an earlier injection.
    """
    table = concentration.lookup(readout, signal_model.blood(physics))
    before, low, high = (
        np.interp(residual_mmol_l + peak, table.concentration_mmol_l, table.signal)
        for peak in (0.0, *PEAKS_MMOL_L)
    )
    n_dark = concentration.baseline_frames(second.time_s, min(arrival_s(one) for one in mains))
    dark = float(second.signal[:n_dark].mean())
    highest = float(np.sort(second.signal)[-2:].mean())
    scales = np.tile(np.geomspace(highest / high, highest / low, N_SCALES), len(FLOOR_SHARES))
    floor = np.repeat(FLOOR_SHARES, N_SCALES) * (dark - scales * before)
    found = np.interp(
        (second.signal - floor[:, None]) / scales[:, None],
        table.signal,
        table.concentration_mmol_l,
    )
    error = _noise(second) / np.maximum(second.signal - dark, 0.05 * highest)
    log_likelihoods = sum(
        _log_likelihood(one, second.time_s, found, error, physics, residual_mmol_l) for one in mains
    )
    weight = np.exp(log_likelihoods - np.max(log_likelihoods))
    values = np.average(found, axis=0, weights=weight) - residual_mmol_l
    return Agreement(
        log_likelihood=float(np.max(log_likelihoods) + np.log(weight.mean())),
        values_mmol_l=values - values[:n_dark].mean(),
    )


def blood_curve_beside(
    mains: Sequence[PoolSignal],
    second: PoolSignal,
    physics: Physics,
    readout: Readout,
    *,
    residual_mmol_l: float = 0.0,
) -> BloodCurve:
    """Invert a second, short readout of the same blood, on the scale that the main one gives it."""
    found = agreement(mains, second, physics, readout, residual_mmol_l=residual_mmol_l)
    medium = signal_model.blood(physics)
    ceiling = concentration.lookup(readout, medium).ceiling_mmol_l
    moved = concentration.Concentration(
        values_mmol_l=found.values_mmol_l,
        clipped=found.values_mmol_l + residual_mmol_l >= ceiling,
    )
    return with_amplification(second, moved, readout, medium, residual_mmol_l)


def passage_shift_s(
    main: PoolSignal, curve: BloodCurve, physics: Physics, *, residual_mmol_l: float = 0.0
) -> float:
    """Find by how much another passage of the same bolus came before the one that `main` shows [s].

    `curve` is the other passage, scaled to this dose. The shift is the one with which it explains
    the main signal best, over the whole upslope and washout: a foot alone is lost in noise.
    """
    apart = arrival_s(main) - find_landmarks(curve.time_s, curve.values_mmol_l).arrival_s
    shifts = apart + np.arange(-LARGEST_CORRECTION_S, LARGEST_CORRECTION_S + 0.05, 0.1)
    moved = np.array(
        [np.interp(main.time_s - one, curve.time_s, curve.values_mmol_l) for one in shifts]
    )
    expected = signal_model.magnitude(
        np.clip(moved, 0.0, None) + residual_mmol_l, physics.readout, signal_model.blood(physics)
    )
    native = signal_model.magnitude(
        np.array(residual_mmol_l), physics.readout, signal_model.blood(physics)
    )
    away = np.log(main.signal / baseline(main)) - np.log(expected / native)
    used = main.time_s <= main.time_s[np.argmax(main.signal)] + COMPARED_AFTER_PEAK_S
    return float(shifts[int(np.argmin(np.abs(away[:, used]).mean(axis=1)))])


def _log_likelihood(
    main: PoolSignal,
    time_s: FloatArray,
    found_mmol_l: FloatArray,
    relative_error: FloatArray,
    physics: Physics,
    residual_mmol_l: float,
) -> FloatArray:
    """Of the main signal of one slice for each course of concentration `found_mmol_l` [scale].

    Errors of single frames are limited, the baseline's error is common to all frames and is
    integrated over.
    """
    before = baseline(main)
    used = main.signal > COMPARED_RISE * before
    here = _between(main.time_s[used], time_s, found_mmol_l)
    grid = np.linspace(0.0, concentration.HIGHEST_MMOL_L, 400)
    logs = np.log(signal_model.magnitude(grid, physics.readout, signal_model.blood(physics)))
    seen = np.log(main.signal / before)
    away = seen[used] + np.interp(residual_mmol_l, grid, logs) - np.interp(here, grid, logs)
    steepness = np.interp(here, grid, np.gradient(logs, grid)) * np.abs(here)
    by_second = steepness * np.interp(main.time_s[used], time_s, relative_error)
    by_time = TIMING_ERROR_S * np.abs(np.gradient(seen, main.time_s))[used]
    variance = SIGNAL_ERROR**2 + by_second**2 + by_time**2
    share = min(1.0, INDEPENDENT_FRAMES / max(int(np.count_nonzero(used)), 1))
    precision = share / variance
    common = np.median(away, axis=1, keepdims=True)
    common = common / (1.0 + 1.0 / (BASELINE_ERROR**2 * precision.sum(axis=1, keepdims=True)))
    score = np.minimum((away - common) ** 2 / variance, LARGEST_SCORE**2)
    total: FloatArray = -0.5 * (share * score - share * np.log(1.0 / variance)).sum(axis=1)
    return total - 0.5 * (common[:, 0] / BASELINE_ERROR) ** 2


def _between(time_s: FloatArray, known_s: FloatArray, curves: FloatArray) -> FloatArray:
    """Interpolate curves [curve, known time] at other times, without leaving what is known."""
    position = np.interp(time_s, known_s, np.arange(known_s.size))
    low = np.minimum(position.astype(int), known_s.size - 2)
    share = position - low
    between: FloatArray = curves[:, low] * (1.0 - share) + curves[:, low + 1] * share
    return between


def _noise(pool: PoolSignal) -> float:
    """Measure the standard deviation of the noise of a curve."""
    bends = np.diff(pool.signal, n=2) / np.sqrt(6.0)
    return float(np.median(np.abs(bends))) / 0.6745
