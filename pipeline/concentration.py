"""Signal to gadolinium concentration [mmol/L] by inverting the whole readout model.

The model is tabulated once for a first pass and inverted by interpolation on its rising branch.
Proton density and coil sensitivity cancel by dividing through the signal before the bolus.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.interpolate import PchipInterpolator

from pipeline import signal_model
from pipeline.rician import mean_magnitude, noise_excess, noise_levels, without_noise
from pipeline.signal_model import Medium
from pipeline.study import BoolArray, FloatArray, PerfusionSlice, Physics, Readout

HIGHEST_MMOL_L = 20.0
"""End of the lookup table: no blood pool reaches it at clinical doses."""

_LOWEST_SHARE = 0.9
"""Noise may lower the relaxation rate by this share of the native one before it is clipped."""

_TABLE_SIZE = 4001

_SURROUNDINGS_PIXELS = 1.5
"""Standard deviation of the weight of the surroundings of a pixel."""

_LEFT_STEP = 0.001
"""Places whose saturation differs by less share a table."""

_MOST_EFFICIENT = 1.05
"""A baseline of nearly zero would follow; it is not trusted that far."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Lookup:
    """A readout model on its rising branch, ready to be inverted."""

    concentration_mmol_l: FloatArray
    signal: FloatArray
    """Relative signal, strictly rising."""

    @property
    def ceiling_mmol_l(self) -> float:
        """Where the signal stops rising: more contrast agent cannot be seen."""
        return float(self.concentration_mmol_l[-1])


@dataclass(frozen=True, kw_only=True, eq=False)
class Concentration:
    """Gadolinium over time, and where the signal left the range of the model."""

    values_mmol_l: FloatArray
    """Change since before the bolus [mmol/L], [..., time]."""
    clipped: BoolArray
    """The signal was above the highest that the readout can give, [..., time]."""


def lookup(readout: Readout, medium: Medium) -> Lookup:
    """Tabulate the signal of `medium` over concentration up to where it stops rising."""
    lowest = -_LOWEST_SHARE / (medium.t1_s * medium.r1_relaxivity_l_mmol_s)
    lowest = max(lowest, -_LOWEST_SHARE / (medium.t2_s * medium.r2_relaxivity_l_mmol_s))
    grid = np.linspace(lowest, HIGHEST_MMOL_L, _TABLE_SIZE)
    signal = signal_model.magnitude(grid, readout, medium)
    falls = np.flatnonzero(np.diff(signal) <= 0.0)
    end = int(falls[0]) + 1 if falls.size else grid.size
    return Lookup(concentration_mmol_l=grid[:end], signal=signal[:end])


def from_baseline(
    signal: FloatArray,
    baseline_signal: FloatArray,
    readout: Readout,
    medium: Medium,
    *,
    residual_mmol_l: float = 0.0,
) -> Concentration:
    """Concentration from the signal before the bolus and the known T1 at that time.

    Parameters
    ----------
    signal
        Magnitudes [..., time].
    baseline_signal
        Mean magnitude before the bolus [...].
    residual_mmol_l
        Contrast agent left over from an earlier injection; the result is the change since then.
    """
    before = float(signal_model.magnitude(np.array(residual_mmol_l), readout, medium))
    scale = before / np.asarray(baseline_signal, dtype=float)[..., None]
    return _invert(signal * scale, lookup(readout, medium), residual_mmol_l)


def tissue_curves(
    frames: FloatArray,
    mask: BoolArray,
    perfusion_slice: PerfusionSlice,
    physics: Physics,
    arrival_s: float,
    *,
    residual_mmol_l: float = 0.0,
    left_slope_mm: tuple[float, float] = (0.0, 0.0),
    origin: tuple[float, float] = (0.0, 0.0),
) -> FloatArray:
    """Concentration in the myocardium of one slice.

    Parameters
    ----------
    frames
        Aligned magnitudes [time, row, column] on the grid of `perfusion_slice`.
    mask
        Myocardium [row, column].
    arrival_s
        When the bolus reaches the left ventricle: what lies before it is baseline.
    residual_mmol_l
        Contrast agent in the myocardium from an earlier injection.
    left_slope_mm, origin
        How what the saturation pulse leaves changes with the place (row, column) [1/mm], and the
        pixel coordinates at which it is as the readout says.

    Returns
    -------
    [pixel, time] in mmol/L of tissue, pixels in the order of ``frames[:, mask]``. A pixel without
    signal before the bolus is NaN: its concentration cannot be known.
    """
    signal = frames[:, mask].T.astype(float)
    n_baseline = baseline_frames(perfusion_slice.time_s, arrival_s)
    inner = ndimage.binary_erosion(mask)  # at the edges, what moves looks like noise
    noise = noise_levels(frames, inner if inner.any() else mask, mask)
    excess = noise_excess(perfusion_slice.frames)
    baseline = _baseline(signal[:, :n_baseline], mask, noise, excess)
    signal = without_noise(signal, noise[:, None], excess)
    usable = baseline > 0.0
    curves = np.full(signal.shape, np.nan)
    medium = signal_model.myocardium(physics)
    away_mm = (np.argwhere(mask) - origin) * np.asarray(perfusion_slice.geometry.spacing_mm)
    more_left = np.rint(away_mm @ np.asarray(left_slope_mm) / _LEFT_STEP) * _LEFT_STEP
    for more in np.unique(more_left[usable]):
        here = usable & (more_left == more)
        efficiency = physics.readout.saturation_efficiency - float(more)
        curves[here] = from_baseline(
            signal[here],
            baseline[here],
            replace(physics.readout, saturation_efficiency=min(efficiency, _MOST_EFFICIENT)),
            medium,
            residual_mmol_l=residual_mmol_l,
        ).values_mmol_l
    return curves


def _baseline(dark: FloatArray, mask: BoolArray, noise: FloatArray, excess: float) -> FloatArray:
    """Signal before the bolus of each pixel of `mask`, from its dark frames [pixel, time].

    `noise` is that of each pixel, because it differs over the heart.
    Concentration goes with its inverse, whose mean noise makes too large: a few frames at four
    times the noise cost five percent, and the scatter is worse. But the wall is one tissue under
    coils that vary slowly, so that each pixel is drawn to the mean of its surroundings by as much
    as its own noise outweighs what pixels truly differ (empirical Bayes, on the power).
    """
    own = mean_magnitude(dark, noise, axis=1, excess=excess) ** 2
    seen = own > 0.0
    around = _surroundings(own, seen, mask)
    by_noise = noise**2 * (4.0 * around + 2.0 * abs(excess) * noise**2) / dark.shape[1]
    truly = max(float(np.mean((own - around)[seen] ** 2 - by_noise[seen])), 0.0)
    share = np.divide(by_noise, truly + by_noise, out=np.zeros_like(own), where=by_noise > 0.0)
    baseline: FloatArray = np.where(seen, np.sqrt(own + share * (around - own)), 0.0)
    return baseline


def _surroundings(values: FloatArray, seen: BoolArray, mask: BoolArray) -> FloatArray:
    """Mean of the `seen` pixels of `mask` around each of them [pixel]."""
    image, weight = np.zeros(mask.shape), np.zeros(mask.shape)
    image[mask], weight[mask] = np.where(seen, values, 0.0), seen
    total, share = (
        ndimage.gaussian_filter(each, _SURROUNDINGS_PIXELS)[mask] for each in (image, weight)
    )
    return np.divide(total, share, out=np.zeros_like(total), where=share > 0.0)


def baseline_frames(time_s: FloatArray, arrival_s: float) -> int:
    """Count the frames before the bolus: at least one, and not the frame just before it."""
    before = int(np.searchsorted(time_s, arrival_s))
    return max(before - 1, 1)


def error_amplification(
    concentration_mmol_l: FloatArray, readout: Readout, medium: Medium
) -> FloatArray:
    """Relative error of concentration over the relative error of enhancement that causes it.

    1 where enhancement is proportional to concentration, infinite at the ceiling of the readout;
    any shape, concentrations positive.
    """
    here = np.asarray(concentration_mmol_l, dtype=float)
    step = 1e-3 * np.maximum(here, 1e-3)
    native = signal_model.magnitude(np.array(0.0), readout, medium)
    low, middle, high = (
        signal_model.magnitude(one, readout, medium) for one in (here - step, here, here + step)
    )
    slope = (high - low) / (2.0 * step)
    rising = slope > 0.0
    amplification = (middle - native) / (here * np.where(rising, slope, 1.0))
    return np.where(rising, amplification, np.inf)


def _invert(relative_signal: FloatArray, table: Lookup, offset_mmol_l: float) -> Concentration:
    lowest, highest = table.signal[[0, -1]]
    inverse = PchipInterpolator(table.signal, table.concentration_mmol_l)
    values = inverse(np.clip(relative_signal, lowest, highest)) - offset_mmol_l
    return Concentration(values_mmol_l=values, clipped=relative_signal > highest)
