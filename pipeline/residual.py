"""Contrast agent left in the body by an earlier injection of the same examination.

The second first pass starts on a raised baseline: in patients, blood and wall are up to twice as
bright before the bolus as they were before the first one. Native T1 is then wrong for it, and a
concentration computed with it is too low in blood by far more than in the wall. The baseline of
the first injection, same slices and same sequence, tells how much is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline import signal_model
from pipeline.blood_pool import core
from pipeline.concentration import baseline_frames, from_baseline
from pipeline.result import Finding, Regions, Severity
from pipeline.rician import mean_magnitude, noise_level
from pipeline.study import FloatArray, Physics

LEAST_RISE: Final = 0.05
"""Relative rise of the baseline below which nothing is taken to be left: drift and noise."""

PLAUSIBLE_SHARE_OF_BLOOD: Final = (0.1, 1.0)
"""Residual in the wall over that in blood: minutes after an injection both are near exchange, and
their ratio is about extracellular volume over plasma volume fraction (0.28 / 0.58)."""

HIGHEST_MMOL_L: Final = 2.0
"""More than this is left in blood at no dose in use."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Baseline:
    """Mean signal before the bolus in each slice of one first pass [slice]."""

    blood: FloatArray
    myocardium: FloatArray


@dataclass(frozen=True, kw_only=True)
class Residual:
    """What is left when a first pass starts [mmol/L]."""

    blood_mmol_l: float = 0.0
    myocardium_mmol_l: float = 0.0


def measure_baseline(
    aligned_frames: Sequence[FloatArray],
    regions: Sequence[Regions],
    times_s: Sequence[FloatArray],
    arrival_s: float,
) -> Baseline:
    """Mean signal of blood and wall before the bolus arrives, slice by slice.

    Parameters
    ----------
    aligned_frames
        [time, row, column] of each slice.
    regions
        Of each slice.
    times_s
        [time] of each slice.
    arrival_s
        Of the bolus in the left ventricle.
    """
    blood, myocardium = [], []
    for frames, masks, time_s in zip(aligned_frames, regions, times_s, strict=True):
        n_frames = baseline_frames(time_s, arrival_s)
        blood.append(_dark_signal(frames[:, core(masks.lv_pool)], n_frames))
        myocardium.append(_dark_signal(frames[:, masks.myocardium], n_frames))
    return Baseline(blood=np.array(blood), myocardium=np.array(myocardium))


def _dark_signal(signal: FloatArray, n_frames: int) -> float:
    """Mean magnitude before the bolus, without noise, of pixels [time, pixel]."""
    return float(mean_magnitude(signal[:n_frames].ravel(), noise_level(signal), axis=0))


def residual(baseline: Baseline, native: Baseline, physics: Physics) -> Residual:
    """Concentration that explains the rise of the baseline over the native one.

    Both first passes must share sequence, slices and scaling; `is_plausible` tells whether blood
    and wall agree about it.
    """
    return Residual(
        blood_mmol_l=_left(baseline.blood, native.blood, physics, signal_model.blood(physics)),
        myocardium_mmol_l=_left(
            baseline.myocardium, native.myocardium, physics, signal_model.myocardium(physics)
        ),
    )


def native_baseline(baselines: Sequence[Baseline]) -> Baseline:
    """Return the darkest: contrast agent can only have been added to it."""
    return min(baselines, key=lambda one: float(np.median(one.blood)))


def residual_findings(found: Residual) -> tuple[Finding, ...]:
    """Say that a residual was corrected for, and doubt one that blood and wall disagree about."""
    if found == Residual():
        return ()
    amounts = (
        f"{found.blood_mmol_l:.2f} mmol/L in blood and {found.myocardium_mmol_l:.2f} mmol/L in the "
        "wall"
    )
    if _is_plausible(found):
        return (
            Finding(
                code="residual-contrast",
                severity=Severity.NOTE,
                sentence="The baseline is raised by an earlier injection and was corrected for "
                f"{amounts}.",
            ),
        )
    return (
        Finding(
            code="residual-contrast-implausible",
            severity=Severity.WITHHOLD,
            sentence=f"The baseline differs from that of the other first pass by {amounts}, which "
            "an earlier injection does not explain: scaling or sequence differ between the two.",
        ),
    )


def _is_plausible(found: Residual) -> bool:
    low, high = (share * found.blood_mmol_l for share in PLAUSIBLE_SHARE_OF_BLOOD)
    return found.blood_mmol_l < HIGHEST_MMOL_L and low <= found.myocardium_mmol_l <= high


def _left(
    signal: FloatArray, native: FloatArray, physics: Physics, medium: signal_model.Medium
) -> float:
    count = min(signal.size, native.size)
    rise = float(np.median(signal[:count] / native[:count]))
    if not rise > 1.0 + LEAST_RISE:
        return 0.0
    found = from_baseline(np.array([rise]), np.array(1.0), physics.readout, medium)
    return float(found.values_mmol_l[0])
