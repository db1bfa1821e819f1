"""Concentration in the left ventricle from the signal of its blood, in one readout."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.interpolate import CubicSpline

from pipeline import concentration, signal_model
from pipeline.blood_pool import PoolSignal, pool_signal
from pipeline.bolus import find_landmarks, rise
from pipeline.errors import NoInputFunctionError
from pipeline.result import Regions
from pipeline.study import BoolArray, FloatArray, PerfusionSlice, Physics, Readout

SIGNAL_ERROR: Final = 0.025
"""Relative error of a frame that model and image processing leave."""
LEAST_ERROR_SHARE: Final = 0.005
"""Of the height of a curve: no frame of the main readout is better than that."""

_LARGEST: Final = 1e3
"""Stands for an infinite amplification."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BloodCurve:
    """Concentration in whole blood over time, and how far it can be trusted."""

    time_s: FloatArray
    values_mmol_l: FloatArray
    """Change since before the bolus [time]."""
    amplification: FloatArray
    """Relative error of concentration over that of enhancement; infinite where clipped, [time]."""

    def reliable(self, highest_amplification: float) -> BoolArray:
        """Which samples are measured rather than extrapolated [time]."""
        return self.amplification <= highest_amplification


def arrival_s(pool: PoolSignal) -> float:
    """When the bolus reaches a pool [s]."""
    return find_landmarks(pool.time_s, rise(pool.signal)).arrival_s


def with_foot(pool: PoolSignal | None) -> PoolSignal | None:
    """Return a pool in which the bolus is seen to arrive; None where it is bright from the start.

    Without a dark beginning its signal has no baseline; others of the same blood may have one.
    """
    if pool is None:
        return None
    try:
        arrival_s(pool)
    except NoInputFunctionError:
        return None
    return pool


def pools(
    slices: Sequence[PerfusionSlice],
    aligned_frames: Sequence[FloatArray],
    regions: Sequence[Regions],
) -> list[PoolSignal | None]:
    """Read the blood of each slice; None where no bolus is seen to arrive."""
    return [
        with_foot(pool_signal(one, frames, masks.lv_pool, masks.myocardium))
        for one, frames, masks in zip(slices, aligned_frames, regions, strict=True)
    ]


def baseline(pool: PoolSignal) -> float:
    """Mean signal before the bolus."""
    return float(pool.signal[: baseline_end(pool)].mean())


def baseline_end(pool: PoolSignal) -> int:
    """Count the frames before the bolus."""
    return concentration.baseline_frames(pool.time_s, arrival_s(pool))


def blood_curve(
    pool: PoolSignal, physics: Physics, readout: Readout, *, residual_mmol_l: float = 0.0
) -> BloodCurve:
    """Invert the readout for blood.

    Raises
    ------
    NoInputFunctionError
        The blood is bright from the first frame on.
    """
    medium = signal_model.blood(physics)
    found = concentration.from_baseline(
        pool.signal, np.array(baseline(pool)), readout, medium, residual_mmol_l=residual_mmol_l
    )
    return with_amplification(pool, found, readout, medium, residual_mmol_l)


def at_times(time_s: FloatArray, curve: BloodCurve) -> FloatArray:
    """Values of a curve at other times [mmol/L], constant beyond its ends.

    By a cubic spline: straight lines between frames would make a passage of a few seconds wider,
    and every percent of its width becomes several of flow under stress.
    """
    inside = np.clip(time_s, curve.time_s[0], curve.time_s[-1])
    values: FloatArray = CubicSpline(curve.time_s, curve.values_mmol_l)(inside)
    return values


def averaged(curves: Sequence[BloodCurve], time_s: FloatArray) -> BloodCurve:
    """Mean of curves of the same blood, at given times."""
    values = [at_times(time_s, one) for one in curves]
    amplification = [
        np.interp(time_s, one.time_s, np.minimum(one.amplification, _LARGEST)) for one in curves
    ]
    return BloodCurve(
        time_s=time_s,
        values_mmol_l=np.mean(values, axis=0),
        amplification=np.mean(amplification, axis=0),
    )


def combined(
    main: BloodCurve, other: BloodCurve, physics: Physics, *, residual_mmol_l: float = 0.0
) -> BloodCurve:
    """Bring two measurements of one course together, each where it is good.

    The main readout, that of `physics`, measures low concentrations with little noise and loses its
    peak near the ceiling; a short readout or a diluted bolus measures the peak, and loses the foot
    and the tail in noise and in what breathing does to the signal. Each frame is the mean, weighed
    by the errors; the times are those of `main`.

    How badly the main readout errs goes by the concentration that is there, not by that which it
    shows: signal that is held down by the ceiling looks as if it were well below it. Where the
    other measurement says more, its word counts for that.
    """
    values = at_times(main.time_s, other)
    beside = np.interp(main.time_s, other.time_s, np.minimum(other.amplification, _LARGEST))
    height = float(values.max())
    spread = _spread(other)
    there = concentration.error_amplification(
        np.clip(values + residual_mmol_l, 1e-3, None), physics.readout, signal_model.blood(physics)
    )
    worst = np.minimum(np.maximum(main.amplification, there), _LARGEST)
    of_main = SIGNAL_ERROR * worst * np.abs(main.values_mmol_l)
    of_main = np.hypot(of_main, LEAST_ERROR_SHARE * height)
    of_other = np.hypot(SIGNAL_ERROR * beside * np.abs(values), spread)
    share = of_other**2 / (of_main**2 + of_other**2)
    return BloodCurve(
        time_s=main.time_s,
        values_mmol_l=share * main.values_mmol_l + (1.0 - share) * values,
        amplification=np.where(share > 0.5, main.amplification, beside),
    )


def _spread(curve: BloodCurve) -> float:
    """Error of each frame of a curve that is not proportional to it: noise and breathing."""
    bends = np.diff(curve.values_mmol_l, n=2) / np.sqrt(6.0)
    foot_s = find_landmarks(curve.time_s, curve.values_mmol_l).arrival_s
    dark = curve.values_mmol_l[: concentration.baseline_frames(curve.time_s, foot_s)]
    return float(max(np.median(np.abs(bends)) / 0.6745, dark.std()))


def with_amplification(
    pool: PoolSignal,
    found: concentration.Concentration,
    readout: Readout,
    medium: signal_model.Medium,
    residual_mmol_l: float,
) -> BloodCurve:
    """Make the curve of `pool` of what was found, with how far it can be trusted."""
    values = found.values_mmol_l
    amplification = concentration.error_amplification(
        np.clip(values + residual_mmol_l, 1e-3, None), readout, medium
    )
    return BloodCurve(
        time_s=pool.time_s,
        values_mmol_l=values,
        amplification=np.where(found.clipped, np.inf, amplification),
    )
