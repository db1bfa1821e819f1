"""What one first pass tells of the scale of a short readout of the blood.

The baseline of a short readout is lost in noise, so its scale must be found. For each ratio of the
two scales its rise over the baseline says a concentration for every frame; the long readout, whose
baseline is good and whose ceiling is known, must show the signal that belongs to it. That decides
by the curvature of the long readout, which little of the signal carries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline import concentration, signal_model
from pipeline.blood_curve import SIGNAL_ERROR, arrival_s, baseline, pools
from pipeline.blood_pool import PoolSignal, series_pool_signal
from pipeline.result import Regions
from pipeline.study import FirstPass, FloatArray, InputKind, Physics, Readout

PEAKS_MMOL_L: Final = (1.0, 18.0)
"""Between these lies the peak in blood."""

FLOOR_SHARES: Final = (0.0, 0.5, 1.0)
"""How much of what the dark baseline of a short readout shows beyond the model lies beneath its
bright frames, too. Noise does not (its mean is that of magnitudes), a ghost does."""
COMPARED_RISE: Final = 1.3
"""Frames are compared where the main signal is so many times its baseline."""

BASELINE_ERROR: Final = 0.05
"""Relative error of the baseline of a pool: all frames of a slice are wrong by it together."""
BASELINE_FREEDOM: Final = 3.0
"""Degrees of freedom of Student's distribution of that error: a small pool may be far off."""
DENSITY_ERROR: Final = 0.04
"""Relative error of the scale that proton-density frames tell: they are few and taken before the
others, and the pixels were chosen for being bright in those. Measured on phantoms 920 to 988: 4 %,
with 1 to 3 % too little on average."""
DENSITY_FREEDOM: Final = 10.0
"""Degrees of freedom of Student's distribution of it: a patient may have moved meanwhile."""
TIMING_ERROR_S: Final = 0.15
"""On the upslope an error in time is an error of signal."""
LARGEST_SCORE: Final = 3.0
"""Frames that disagree by more expected errors than this count no more than that."""
INDEPENDENT_FRAMES: Final = 8.0
"""Errors of neighbouring frames are alike, and so are those of the slices, which show the same
blood by the same model: all together say no more than so many frames would. With slices taken as
independent, standard deviations of the area came out half of the errors (phantoms 950-960)."""

STEP: Final = 0.04
"""Between the logarithms of ratios that are tried."""

_BRIGHT_SHARE: Final = 0.3
_FEWEST_FRAMES: Final = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class TwoReadouts:
    """Blood of one first pass in two readouts."""

    mains: Sequence[PoolSignal]
    """In the slices, in the readout of `physics`."""
    second: PoolSignal
    """In the short `readout`."""
    physics: Physics
    readout: Readout
    density_readout: Readout | None = None
    """Of the proton-density frames of the second, where there are any."""
    residual_mmol_l: float = 0.0
    """Contrast agent of an earlier injection."""

    @property
    def has_density(self) -> bool:
        """Whether proton-density frames tell the scale of the short readout."""
        return self.second.proton_density is not None and self.density_readout is not None


@dataclass(frozen=True, kw_only=True, eq=False)
class ScaleEvidence:
    """What one first pass says about the ratio of the scales."""

    log_likelihood: FloatArray
    """[share of the floor, ratio]."""
    curves_mmol_l: FloatArray
    """Change of concentration at the times of the short readout for each of them [.., time]."""


def two_readouts(
    first_pass: FirstPass,
    aligned_frames: Sequence[FloatArray],
    regions: Sequence[Regions],
    residual_mmol_l: float = 0.0,
) -> TwoReadouts | None:
    """Read the blood of a first pass in both readouts; None where it does not have both."""
    series = first_pass.input_series
    if series is None or series.kind is not InputKind.DUAL_SEQUENCE:
        return None
    found = pools(first_pass.slices, aligned_frames, regions)
    mains = [one for one in found if one is not None]
    second = series_pool_signal(series, first_pass.slices[0], regions[0])
    if not mains or second is None:
        return None
    return TwoReadouts(
        mains=mains,
        second=second,
        physics=first_pass.physics,
        readout=series.readout,
        density_readout=series.slice.proton_density_readout,
        residual_mmol_l=residual_mmol_l,
    )


def possible_log_ratios(seen: TwoReadouts) -> tuple[float, float]:
    """Lowest and highest ratio of the scales with which the peak can be that of blood."""
    low, high = np.log(_scales(seen)) - _main_scale(seen)
    return float(low), float(high)


def scale_evidence(seen: TwoReadouts, log_ratios: FloatArray) -> ScaleEvidence:
    """Weigh ratios of the scales by what the slices show.

    What noise and the saturation pulse leave in the baseline of the second readout cancels in its
    rise.

    Parameters
    ----------
    log_ratios
        Logarithm of the scale of the short readout over that of the long one [ratio].
    """
    second, table = (
        seen.second,
        concentration.lookup(seen.readout, signal_model.blood(seen.physics)),
    )
    before = np.interp(seen.residual_mmol_l, table.concentration_mmol_l, table.signal)
    n_dark = concentration.baseline_frames(second.time_s, min(arrival_s(one) for one in seen.mains))
    dark = float(second.signal[:n_dark].mean())
    scales = np.tile(np.exp(log_ratios + _main_scale(seen)), len(FLOOR_SHARES))
    floor = np.repeat(FLOOR_SHARES, log_ratios.size) * (dark - scales * before)
    found = np.interp(
        (second.signal - floor[:, None]) / scales[:, None],
        table.signal,
        table.concentration_mmol_l,
    )
    error = _relative_error(second, dark)
    of_slices = [_log_likelihood(one, seen, found, error) for one in seen.mains]
    shape = (len(FLOOR_SHARES), log_ratios.size)
    low, high = possible_log_ratios(seen)
    # half a step more, so that something is possible even where all peaks are at the ceiling
    possible = np.abs(log_ratios - (low + high) / 2.0) <= (high - low + 1.01 * STEP) / 2.0
    change = found - found[:, :n_dark].mean(axis=1, keepdims=True)
    told = np.mean(of_slices, axis=0).reshape(shape) + _of_density(seen, log_ratios)
    return ScaleEvidence(
        log_likelihood=np.where(possible, told, -np.inf),
        curves_mmol_l=change.reshape(*shape, -1),
    )


def _of_density(seen: TwoReadouts, log_ratios: FloatArray) -> FloatArray:
    """Log-likelihood of each ratio by proton-density frames of the short readout [ratio].

    What they show is the scale itself but for the little that the train takes away, so that it
    hardly depends on T1 and flip angle (Kellman 2017, doi 10.1186/s12968-017-0355-5).
    """
    density = seen.second.proton_density
    if density is None or seen.density_readout is None:
        return np.zeros(log_ratios.shape)
    full = signal_model.magnitude(
        np.array(seen.residual_mmol_l), seen.density_readout, signal_model.blood(seen.physics)
    )
    away = (np.log(density / float(full)) - log_ratios - _main_scale(seen)) / DENSITY_ERROR
    told: FloatArray = -0.5 * (DENSITY_FREEDOM + 1.0) * np.log1p(away**2 / DENSITY_FREEDOM)
    return told


def _scales(seen: TwoReadouts) -> FloatArray:
    """Lowest and highest scale of the short readout with which the peak can be that of blood."""
    table = concentration.lookup(seen.readout, signal_model.blood(seen.physics))
    peaks = seen.residual_mmol_l + np.array(PEAKS_MMOL_L)
    highest = float(np.sort(seen.second.signal)[-2:].mean())
    scales: FloatArray = highest / np.interp(peaks, table.concentration_mmol_l, table.signal)[::-1]
    return scales


def _main_scale(seen: TwoReadouts) -> float:
    """Logarithm of the scale of the long readout, which its baselines tell."""
    native = signal_model.magnitude(
        np.array(seen.residual_mmol_l), seen.physics.readout, signal_model.blood(seen.physics)
    )
    return float(np.median([np.log(baseline(one) / float(native)) for one in seen.mains]))


def _log_likelihood(
    main: PoolSignal, seen: TwoReadouts, found_mmol_l: FloatArray, relative_error: FloatArray
) -> FloatArray:
    """Of the main signal of one slice for each course of concentration `found_mmol_l` [scale].

    Errors of single frames are limited, the baseline's error is common to all frames and is
    fitted.
    """
    before, time_s, physics = baseline(main), seen.second.time_s, seen.physics
    used = main.signal > COMPARED_RISE * before
    here = _between(main.time_s[used], time_s, found_mmol_l)
    grid = np.linspace(0.0, concentration.HIGHEST_MMOL_L, 400)
    logs = np.log(signal_model.magnitude(grid, physics.readout, signal_model.blood(physics)))
    course = np.log(main.signal / before)
    away = course[used] + np.interp(seen.residual_mmol_l, grid, logs) - np.interp(here, grid, logs)
    steepness = np.interp(here, grid, np.gradient(logs, grid)) * np.abs(here)
    by_second = steepness * np.interp(main.time_s[used], time_s, relative_error)
    by_time = TIMING_ERROR_S * np.abs(np.gradient(course, main.time_s))[used]
    variance = SIGNAL_ERROR**2 + by_second**2 + by_time**2
    share = min(1.0, INDEPENDENT_FRAMES / max(int(np.count_nonzero(used)), 1))
    precision = share / variance
    common = np.median(away, axis=1, keepdims=True)
    common = common / (1.0 + 1.0 / (BASELINE_ERROR**2 * precision.sum(axis=1, keepdims=True)))
    score = np.minimum((away - common) ** 2 / variance, LARGEST_SCORE**2)
    total: FloatArray = -0.5 * (share * score - share * np.log(1.0 / variance)).sum(axis=1)
    of_baseline = np.log1p((common[:, 0] / BASELINE_ERROR) ** 2 / BASELINE_FREEDOM)
    return total - 0.5 * (BASELINE_FREEDOM + 1.0) * of_baseline


def _relative_error(second: PoolSignal, dark: float) -> FloatArray:
    """Of each frame of the short readout: noise, and how much bright frames jump.

    Where its coarse pixels slip over the edge of the pool, blood grows and fades with the heart.
    """
    rise = second.signal - dark
    noise = _scatter(second.signal) / np.maximum(
        rise, 0.05 * float(np.sort(second.signal)[-2:].mean())
    )
    bright = rise > _BRIGHT_SHARE * rise.max()
    bright = bright[:-2] & bright[1:-1] & bright[2:]
    if np.count_nonzero(bright) < _FEWEST_FRAMES:
        return noise
    error: FloatArray = np.hypot(noise, _scatter(np.log(np.maximum(rise, 1e-9)), bright))
    return error


def _scatter(course: FloatArray, used: FloatArray | slice = slice(None)) -> float:
    """Measure the standard deviation of single frames from the bends of a course [time]."""
    bends = np.diff(course, n=2)[used] / np.sqrt(6.0)
    return float(np.median(np.abs(bends))) / 0.6745


def _between(time_s: FloatArray, known_s: FloatArray, curves: FloatArray) -> FloatArray:
    """Interpolate curves [curve, known time] at other times, without leaving what is known."""
    position = np.interp(time_s, known_s, np.arange(known_s.size))
    low = np.minimum(position.astype(int), known_s.size - 2)
    share = position - low
    between: FloatArray = curves[:, low] * (1.0 - share) + curves[:, low + 1] * share
    return between
