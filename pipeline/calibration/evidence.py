"""What the images say about a possible truth of scanner and body."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline import signal_model
from pipeline.blood_curve import baseline, baseline_end, blood_curve, pools, with_foot
from pipeline.blood_pool import PoolSignal, core, series_pool_signal
from pipeline.bolus import PEAK_PER_DOSE, PEAK_SPREAD
from pipeline.calibration.unknowns import Draw, applied, readout_as
from pipeline.concentration import lookup
from pipeline.input_scale import agreement
from pipeline.result import Regions
from pipeline.rician import mean_magnitude, noise_excess, noise_in
from pipeline.scale_evidence import TwoReadouts
from pipeline.signal_model import Medium
from pipeline.study import (
    FirstPass,
    FloatArray,
    InputKind,
    InputSeries,
    PerfusionSlice,
    Physics,
    Readout,
)

REGION_ERROR: Final = 0.05
"""Relative error of the mean signal of a region before the bolus, in each slice."""

COMMON_ERROR: Final = 0.04
"""The same, of what is wrong in all slices alike."""

CEILING_ERROR: Final = 0.04

UNKNOWN_PEAK_MMOL_L: Final = 5.0
UNKNOWN_PEAK_SPREAD: Final = 0.5
DILUTED_SPREAD: Final = 0.15
"""The main bolus is so many times the diluted one, but for a change of the circulation."""

USUAL_RISE: Final = 1.5
"""Rise of the wall over its baseline at which its scale is compared."""

_N_PEAKS: Final = 9


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What is seen of blood and wall in a first pass before which no contrast agent was given."""

    pools: tuple[PoolSignal, ...]
    """Blood of each slice where it was found."""
    wall: FloatArray
    """Signal of native wall over that of native blood in each of those slices [slice]."""
    blood_density: FloatArray
    """Signal of native blood over that of its proton-density frames [slice]; empty: none taken."""
    wall_density: FloatArray
    """The same of the wall."""
    density_readout: Readout | None
    second: PoolSignal | None
    """Blood in the separate input series."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How well one possible truth explains what is seen, and what flow follows from it."""

    log_likelihood: float
    log_flow: float
    """Logarithm of the scale of flow (that of the wall over that of the input function), less an
    unknown constant."""
    log_flow_variance: float = 0.0
    """What remains open within this truth."""


def look(
    first_pass: FirstPass, aligned_frames: Sequence[FloatArray], regions: Sequence[Regions]
) -> Seen | None:
    """Measure what can tell about scanner and body; None where no blood is found."""
    seen, wall, blood_density, wall_density = [], [], [], []
    blood = pools(first_pass.slices, aligned_frames, regions)
    everything = zip(first_pass.slices, aligned_frames, regions, blood, strict=True)
    for one, frames, masks, pool in everything:
        if pool is None:
            continue
        before = baseline(pool)
        seen.append(pool)
        dark_wall = _dark_wall(one, frames, masks, pool)
        wall.append(dark_wall / before)
        if pool.proton_density is not None and one.proton_density is not None:
            full_wall = float(one.proton_density[:, core(masks.myocardium)].mean())
            blood_density.append(before / pool.proton_density)
            wall_density.append(dark_wall / full_wall)
    if not seen:
        return None
    series = first_pass.input_series
    return Seen(
        pools=tuple(seen),
        wall=np.array(wall),
        blood_density=np.array(blood_density),
        wall_density=np.array(wall_density),
        density_readout=first_pass.slices[0].proton_density_readout,
        second=None if series is None else _second(series, first_pass.slices[0], regions[0]),
    )


def _second(series: InputSeries, one: PerfusionSlice, masks: Regions) -> PoolSignal | None:
    """Blood in a series of its own; the foot of a short readout may be lost in noise."""
    pool = series_pool_signal(series, one, masks)
    return with_foot(pool) if series.kind is InputKind.DUAL_BOLUS else pool


def judge(seen: Seen, first_pass: FirstPass, truth: Draw) -> Verdict:
    """Weigh one possible truth."""
    physics, series = applied(first_pass.physics, truth), first_pass.input_series
    blood, wall = signal_model.blood(physics), signal_model.myocardium(physics)
    native_blood, native_wall = (_native(physics.readout, one) for one in (blood, wall))
    total = _region(seen.wall, truth.wall_density * native_wall / native_blood)
    if seen.blood_density.size and seen.density_readout is not None:
        full = readout_as(seen.density_readout, truth)
        total += _region(seen.blood_density, native_blood / _native(full, blood))
        total += _region(seen.wall_density, native_wall / _native(full, wall))
    log_wall = float(np.log(_inverse(physics.readout, wall, (1.0 + USUAL_RISE) * native_wall)))
    if seen.second is None or series is None:
        peak, spread = _expected_peak(physics)
        likelihood, log_blood, variance = _ceiling(seen.pools, physics, peak, spread)
    elif series.kind is InputKind.DUAL_SEQUENCE:
        quiet = series.slice.proton_density_readout
        beside = agreement(
            TwoReadouts(
                mains=seen.pools,
                second=seen.second,
                physics=physics,
                readout=readout_as(series.readout, truth),
                density_readout=quiet and readout_as(quiet, truth),
            )
        )
        likelihood, log_blood = beside.log_likelihood, beside.log_area
        variance = beside.spread**2
    else:
        diluted = blood_curve(seen.second, physics, readout_as(series.readout, truth))
        peak = float(np.sort(diluted.values_mmol_l)[-3:].mean())
        likelihood, _, _ = _ceiling(seen.pools, physics, series.dose_ratio * peak, DILUTED_SPREAD)
        log_blood, variance = float(np.log(max(peak, 1e-3))), 0.0
    return Verdict(
        log_likelihood=total + likelihood,
        log_flow=log_wall - log_blood,
        log_flow_variance=variance,
    )


def _dark_wall(one: PerfusionSlice, frames: FloatArray, masks: Regions, pool: PoolSignal) -> float:
    """Signal of the wall without its rim before the bolus."""
    wall = core(masks.myocardium)
    dark = frames[: baseline_end(pool), wall]
    noise = noise_in(frames, wall, wall)
    return float(mean_magnitude(dark.ravel(), noise, 0, noise_excess(one.frames)))


def _region(seen: FloatArray, expected: float) -> float:
    """Log-likelihood of the ratio of two regions, seen in several slices."""
    away = float(np.log(seen / expected).mean())
    return -0.5 * away**2 / (REGION_ERROR**2 / seen.size + COMMON_ERROR**2)


def _ceiling(
    blood: Sequence[PoolSignal], physics: Physics, peak_mmol_l: float, spread: float
) -> tuple[float, float, float]:
    """Log-likelihood of the highest blood signal, and the logarithm of the peak: mean and variance.

    Near the ceiling the signal says little about concentration but much about magnetisation: any
    peak of 4 to 9 mmol/L has nearly the same signal.
    """
    steps = np.linspace(-2.5, 2.5, _N_PEAKS)
    peaks = peak_mmol_l * np.exp(spread * steps)
    medium = signal_model.blood(physics)
    native = _native(physics.readout, medium)
    expected = np.log(signal_model.magnitude(peaks, physics.readout, medium) / native)
    seen = np.mean([np.log(np.sort(one.signal)[-3:].mean() / baseline(one)) for one in blood])
    variance = CEILING_ERROR**2 + REGION_ERROR**2 / len(blood)
    logs = -0.5 * (seen - expected) ** 2 / variance - 0.5 * steps**2
    weight = np.exp(logs - logs.max())
    mean = np.average(np.log(peaks), weights=weight)
    return (
        float(logs.max() + np.log(weight.sum())),
        float(mean),
        float(np.average((np.log(peaks) - mean) ** 2, weights=weight)),
    )


def _expected_peak(physics: Physics) -> tuple[float, float]:
    """Peak in blood [mmol/L] and the spread of its logarithm."""
    if physics.dose_mmol_kg is None:
        return UNKNOWN_PEAK_MMOL_L, UNKNOWN_PEAK_SPREAD
    return PEAK_PER_DOSE * physics.dose_mmol_kg, PEAK_SPREAD


def _native(readout: Readout, medium: Medium) -> float:
    return float(signal_model.magnitude(np.array(0.0), readout, medium))


def _inverse(readout: Readout, medium: Medium, signal: float) -> float:
    """Concentration [mmol/L] with this signal."""
    table = lookup(readout, medium)
    return float(np.interp(signal, table.signal, table.concentration_mmol_l))
