"""Contrast agent left in the body by an earlier injection of the same examination.

The second first pass starts on a raised baseline: in patients, blood and wall are up to twice as
bright before the bolus as they were before the first one. Native T1 is then wrong for it, and a
concentration computed with it is too low in blood by far more than in the wall. The baseline of
the first injection, same slices and same sequence, tells how much is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pipeline import signal_model
from pipeline.blood_pool import core, pool_signal
from pipeline.concentration import baseline_frames
from pipeline.input_scale import residual_by_scales
from pipeline.result import Finding, Regions, Severity
from pipeline.rician import mean_magnitude, noise_excess, noise_in
from pipeline.scale_evidence import TwoReadouts
from pipeline.study import BoolArray, FloatArray, IntArray, PerfusionSlice, Physics

LEAST_RISE: Final = 0.05
"""Relative rise of the baseline below which nothing is taken to be left: drift and noise."""

SHARE_OF_BLOOD: Final = 0.465
"""Residual in the wall over that in blood: extracellular volume over plasma volume fraction
(0.27 / 0.58)."""

SHARE_SPREAD: Final = 0.15
"""Of the logarithm of that share between people."""

REGION_ERROR: Final = 0.03
"""Relative error of the rise of a baseline, in blood and in wall separately."""

GAIN_ERROR: Final = 0.05
"""Relative error of the rise that blood and wall have in common: coils, patient, gain."""

SAME_SLICE_MM: Final = 6.0
"""Slices of two first passes closer than this show the same heart."""

LARGEST_DISAGREEMENT: Final = 16.0
"""Squared deviation, in expected errors, beyond which blood and wall tell different stories."""

DOUBTFUL_SPREAD: Final = 0.1
"""Of the height of the curves, that deserves a warning: without any contradiction it is 0.06."""

HIGHEST_MMOL_L: Final = 2.0
"""More than this is left in blood at no dose in use."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Baseline:
    """Mean signal before the bolus in each slice of one first pass [slice].

    Relative to proton-density frames of the same place where there are any: they take out what
    coils and gain do from one first pass to the next.
    """

    blood: FloatArray
    myocardium: FloatArray
    position_mm: FloatArray
    """Where the slices lie [slice, 3]."""


@dataclass(frozen=True, kw_only=True)
class Residual:
    """What is left when a first pass starts [mmol/L]."""

    blood_mmol_l: float = 0.0
    myocardium_mmol_l: float = 0.0
    disagreement: float = 0.0
    """Squared deviation of blood and wall from the best common story, in expected errors."""
    spread: float = 0.0
    """Standard deviation of the logarithm of the height of the curves that it leaves open."""


def measure_baseline(
    slices: Sequence[PerfusionSlice],
    aligned_frames: Sequence[FloatArray],
    regions: Sequence[Regions],
    arrival_s: float,
) -> Baseline:
    """Mean signal of blood and wall before the bolus arrives, slice by slice.

    Parameters
    ----------
    slices, aligned_frames, regions
        Each slice, its aligned frames [time, row, column] and masks.
    arrival_s
        Of the bolus in the left ventricle.
    """
    blood, myocardium, positions = [], [], []
    for one, frames, masks in zip(slices, aligned_frames, regions, strict=True):
        n_frames = baseline_frames(one.time_s, arrival_s)
        excess = noise_excess(one.frames)
        pool = pool_signal(one, frames, masks.lv_pool, masks.myocardium)
        inner, wall = core(masks.lv_pool), core(masks.myocardium)
        before = (
            _dark_signal(frames, wall, inner, n_frames, excess)
            if pool is None
            else float(pool.signal[:n_frames].mean())
        )
        gain = 1.0
        if one.proton_density is not None:
            gain = float(one.proton_density[:, inner | wall].mean())
        blood.append(before / gain)
        myocardium.append(_dark_signal(frames, wall, wall, n_frames, excess) / gain)
        positions.append(one.geometry.position_mm)
    return Baseline(
        blood=np.array(blood), myocardium=np.array(myocardium), position_mm=np.array(positions)
    )


def _dark_signal(
    frames: FloatArray, wall: BoolArray, where: BoolArray, n_frames: int, excess: float
) -> float:
    """Mean magnitude before the bolus, without noise, which the wall tells."""
    dark = frames[:n_frames, where]
    return float(mean_magnitude(dark.ravel(), noise_in(frames, wall, where), 0, excess))


def residual(baseline: Baseline, native: Baseline, physics: Physics) -> Residual:
    """Concentration that explains the rise of the baseline over the native one.

    Both first passes must share sequence, slices and scaling; where they do not, blood and wall
    disagree about it (`Residual.disagreement`).
    """
    here, there = _same_slices(baseline, native)
    rises = np.array(
        [
            np.median(np.log(baseline.blood[here] / native.blood[there])),
            np.median(np.log(baseline.myocardium[here] / native.myocardium[there])),
        ]
    )
    if not rises[0] > np.log1p(LEAST_RISE):
        return Residual()
    blood = np.linspace(0.0, 1.5 * HIGHEST_MMOL_L, 301)[:, None]
    deviation = np.linspace(-3.0, 3.0, 13)[None]
    wall = blood * SHARE_OF_BLOOD * np.exp(SHARE_SPREAD * deviation)
    expected = np.stack(
        [
            np.broadcast_to(_log_rise(blood, physics, signal_model.blood(physics)), wall.shape),
            _log_rise(wall, physics, signal_model.myocardium(physics)),
        ]
    )
    precision = np.linalg.inv(REGION_ERROR**2 * np.eye(2) + GAIN_ERROR**2)
    away = rises[:, None, None] - expected
    cost = np.einsum("ibd,ij,jbd->bd", away, precision, away) + deviation**2
    weight = np.exp(-0.5 * (cost - cost.min()))
    disagreement = float(cost.min())
    return Residual(
        blood_mmol_l=float(np.average(np.broadcast_to(blood, wall.shape), weights=weight)),
        myocardium_mmol_l=float(np.average(wall, weights=weight)),
        disagreement=disagreement,
        spread=_height_spread(blood, weight, physics) * max(disagreement, 1.0) ** 0.5,
    )


def by_scales(
    residuals: Sequence[Residual], passes: Sequence[TwoReadouts | None]
) -> list[Residual]:
    """Let the scales of two readouts say, too, what was left before each first pass.

    What errs in the baselines, mostly the scanner, errs in blood and wall alike: their ratio stays.

    Parameters
    ----------
    residuals
        By the baselines of each first pass.
    passes
        Blood of each in two readouts, with what is left by `residuals`; None: it has not two.
    """
    retold = []
    for number, one in enumerate(residuals):
        told = residual_by_scales(passes, number, one.spread)
        if told is None:
            retold.append(one)
            continue
        blood_mmol_l, spread = told
        share = one.myocardium_mmol_l / one.blood_mmol_l
        retold.append(
            replace(
                one,
                blood_mmol_l=blood_mmol_l,
                myocardium_mmol_l=share * blood_mmol_l,
                spread=spread,
            )
        )
    return retold


def _height_spread(blood_mmol_l: FloatArray, weight: FloatArray, physics: Physics) -> float:
    """Say how far the height of curves on a raised baseline is open (logarithm).

    Signal is read in multiples of the baseline, so that the height goes with its relaxation rate.
    Where blood and wall disagree by more than expected, their errors are larger than expected, too:
    `residual` widens it by as much (as Birge did for constants of nature).
    """
    rate = 1.0 / physics.t1_blood_s + physics.r1_relaxivity_l_mmol_s * blood_mmol_l
    height = np.broadcast_to(np.log(rate), weight.shape)
    away = height - np.average(height, weights=weight)
    return float(np.sqrt(np.average(away**2, weights=weight)))


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
        if found.spread > DOUBTFUL_SPREAD:
            return (
                Finding(
                    code="residual-contrast-uncertain",
                    severity=Severity.WARNING,
                    sentence="The baseline is raised by an earlier injection, by different amounts "
                    f"in blood and wall; it was corrected for {amounts}, which leaves "
                    f"{found.spread:.0%} of the height of the curves open.",
                ),
            )
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
    return found.blood_mmol_l < HIGHEST_MMOL_L and found.disagreement < LARGEST_DISAGREEMENT


def _same_slices(one: Baseline, other: Baseline) -> tuple[IntArray, IntArray]:
    """Pair the slices that lie in the same place; all with all where none does."""
    away = np.linalg.norm(one.position_mm[:, None] - other.position_mm[None], axis=-1)
    here, there = np.nonzero(away <= SAME_SLICE_MM)
    if here.size == 0:
        here, there = np.nonzero(np.isfinite(away))
    return here, there


def _log_rise(
    concentration_mmol_l: FloatArray, physics: Physics, medium: signal_model.Medium
) -> FloatArray:
    """Logarithm of how much brighter contrast agent makes a medium."""
    native = signal_model.magnitude(np.array(0.0), physics.readout, medium)
    rise: FloatArray = np.log(
        signal_model.magnitude(concentration_mmol_l, physics.readout, medium) / native
    )
    return rise
