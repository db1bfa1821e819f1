"""Concentration in the left ventricle from the signal of its blood, in one readout."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline import concentration, signal_model
from pipeline.blood_pool import PoolSignal
from pipeline.bolus import find_landmarks
from pipeline.study import BoolArray, FloatArray, Physics, Readout

PEAKS_MMOL_L: Final = (1.0, 18.0)
"""Between these lies the peak in blood."""

N_SCALES: Final = 150
COMPARED_RISE: Final = 1.3
"""Frames are compared where the main signal is so many times its baseline."""

EXPECTED_ERROR: Final = 0.03
LARGEST_COST: Final = 9.0
"""Frames that disagree by more than three expected errors count no more than that."""


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


def baseline(pool: PoolSignal) -> float:
    """Mean signal before the bolus."""
    n_frames = concentration.baseline_frames(pool.time_s, _arrival_s(pool))
    return float(pool.signal[:n_frames].mean())


def blood_curve(
    pool: PoolSignal,
    physics: Physics,
    readout: Readout,
    proton_density_readout: Readout | None,
    *,
    residual_mmol_l: float = 0.0,
) -> BloodCurve:
    """Invert the readout for blood.

    Raises
    ------
    NoInputFunctionError
        The blood is bright from the first frame on.
    """
    medium, before = signal_model.blood(physics), baseline(pool)
    if pool.proton_density is None or proton_density_readout is None:
        found = concentration.from_baseline(
            pool.signal, np.array(before), readout, medium, residual_mmol_l=residual_mmol_l
        )
    else:
        found = concentration.from_proton_density(
            pool.signal,
            np.array(before),
            np.array(pool.proton_density),
            readout,
            proton_density_readout,
            medium,
        )
    return _with_amplification(pool, found, readout, medium, residual_mmol_l)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How well two readouts of the same blood can be brought together."""

    magnetisation: float
    """Signal of the second readout if it read all magnetisation at once."""
    cost: float
    """Mean squared residual of the main signal in its expected errors, outliers limited."""


def agreement(
    main: PoolSignal,
    second: PoolSignal,
    physics: Physics,
    readout: Readout,
    *,
    residual_mmol_l: float = 0.0,
) -> Agreement:
    """Bring a second, short readout of the same blood together with the main one.

    The baseline of a short readout is lost in noise, so its scale is unknown. For each scale it
    says a concentration for every frame; the main readout, whose baseline is good and whose
    ceiling is known, must show the signal that belongs to it. `physics.readout` is the main one.
    """
    medium, before = signal_model.blood(physics), baseline(main)
    signal = np.interp(main.time_s, second.time_s, second.signal)
    dark = main.time_s < _arrival_s(main)
    table = concentration.lookup(readout, medium)
    low, high = (np.interp(one, table.concentration_mmol_l, table.signal) for one in PEAKS_MMOL_L)
    scales = np.geomspace(signal.max() / high, signal.max() / low, N_SCALES)
    found = concentration.from_magnetisation(
        signal / scales[:, None], 1.0, readout, medium, residual_mmol_l=residual_mmol_l
    )
    values = np.where(dark, 0.0, np.clip(found.values_mmol_l, 0.0, None))
    expected = signal_model.magnitude(values + residual_mmol_l, physics.readout, medium)
    expected = expected / expected[:, dark].mean(axis=1, keepdims=True) * before
    used = ~dark & (main.signal > COMPARED_RISE * before)
    away = np.log(main.signal / expected)[:, used] / EXPECTED_ERROR
    costs = np.minimum(away**2, LARGEST_COST).mean(axis=1)
    best = int(np.argmin(costs))
    return Agreement(magnetisation=float(scales[best]), cost=float(costs[best]))


def blood_curve_beside(
    main: PoolSignal,
    second: PoolSignal,
    physics: Physics,
    readout: Readout,
    *,
    residual_mmol_l: float = 0.0,
) -> BloodCurve:
    """Invert a second, short readout of the same blood, on the scale that the main one gives it."""
    medium = signal_model.blood(physics)
    found = concentration.from_magnetisation(
        second.signal,
        agreement(main, second, physics, readout, residual_mmol_l=residual_mmol_l).magnetisation,
        readout,
        medium,
        residual_mmol_l=residual_mmol_l,
    )
    before = second.time_s < _arrival_s(main)
    values = found.values_mmol_l - found.values_mmol_l[before].mean()
    moved = concentration.Concentration(values_mmol_l=values, clipped=found.clipped)
    return _with_amplification(second, moved, readout, medium, residual_mmol_l)


def _arrival_s(pool: PoolSignal) -> float:
    rise = pool.signal - np.median(np.sort(pool.signal)[:3])
    return find_landmarks(pool.time_s, rise).arrival_s


def _with_amplification(
    pool: PoolSignal,
    found: concentration.Concentration,
    readout: Readout,
    medium: signal_model.Medium,
    residual_mmol_l: float,
) -> BloodCurve:
    values = found.values_mmol_l
    amplification = concentration.error_amplification(
        np.clip(values + residual_mmol_l, 1e-3, None), readout, medium
    )
    return BloodCurve(
        time_s=pool.time_s,
        values_mmol_l=values,
        amplification=np.where(found.clipped, np.inf, amplification),
    )
