"""The scale of a short readout of the blood, from the long readouts of the same blood.

Each first pass tells something (`scale_evidence`). Those of an examination share scanner, sequence,
coil and place, so that they share the ratio of the scales: each counts by what it tells, and where
they contradict each other, that is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pipeline import concentration, signal_model
from pipeline.blood_curve import BloodCurve, with_amplification
from pipeline.result import Finding, Severity
from pipeline.scale_evidence import (
    STEP,
    ScaleEvidence,
    TwoReadouts,
    possible_log_ratios,
    scale_evidence,
)
from pipeline.study import FloatArray

TIE: Final = 0.06
"""How far the ratio of a first pass departs from that of its examination: breathing and place."""

COMMON_ERROR: Final = 0.09
"""Relative error of the area under the input function that all first passes have in common, because
the signal model is not the scanner; it makes the stated standard deviations those of the errors on
phantoms 950 to 971."""

DOUBTFUL_SPREAD: Final = 0.15
"""Of the height of the input function, that deserves a warning."""
DOUBTFUL_DISAGREEMENT: Final = 3.0
USELESS_DISAGREEMENT: Final = 4.5
"""Standard deviations between first passes of one examination that deserve a warning, and that
leave no number to be believed."""

RESIDUAL_ERROR: Final = 0.12
"""Of the logarithm of the height of curves on a raised baseline: by so much baselines err in what
an earlier injection left (phantoms 920 to 989), mostly because the scanner is not quite known."""

_HEIGHTS: Final = np.arange(-6, 7) * 0.06
_MARGIN: Final = 0.3
"""Of the ratios beyond what the nominal readouts allow: what calibration may change."""
_LEAST: Final = -50.0
"""Log-likelihood, below the highest, of what is as good as impossible."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedScale:
    """What is known beforehand about the ratio of the scales in one first pass."""

    log_ratios: FloatArray
    """Logarithm of the scale of the short readout over that of the long one [ratio]."""
    log_weight: FloatArray
    """Logarithm of their probability density, but for a constant [ratio]."""
    disagreement: float = 0.0
    """By how many standard deviations the first passes contradict each other."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Agreement:
    """How well two readouts of the same blood can be brought together."""

    log_likelihood: float
    """Of what the main readout shows, over all scales of the second."""
    values_mmol_l: FloatArray
    """Change of concentration at the times of the second readout [time]."""
    log_area: float
    """Mean of the logarithm of the area under it."""
    spread: float
    """Standard deviation of that logarithm: what the scale leaves open."""


def unknown_scale(seen: TwoReadouts) -> SharedScale:
    """Any ratio with which the peak can be that of blood, all of them alike."""
    low, high = possible_log_ratios(seen)
    first, last = np.floor((low - _MARGIN) / STEP), np.ceil((high + _MARGIN) / STEP)
    log_ratios = np.arange(first, last + 1.0) * STEP
    return SharedScale(log_ratios=log_ratios, log_weight=np.zeros(log_ratios.size))


def shared_scales(passes: Sequence[TwoReadouts | None]) -> list[SharedScale | None]:
    """Gather what the other first passes of an examination say about the ratio in each of them.

    Their ratios scatter by `TIE` about that of the examination, of which nothing is known. Where
    they contradict each other, nobody knows which is wrong, and each keeps to its own.
    """
    seen = [one for one in passes if one is not None]
    if not seen:
        return [None for _ in passes]
    log_ratios = _ratios_of(seen)
    logs = [_by_ratio(scale_evidence(one, log_ratios)) for one in seen]
    best = np.max(np.sum([(_apart(log_ratios) + one).max(axis=1) for one in logs], axis=0))
    lost = sum(float(one.max()) for one in logs) - float(best)
    disagreement = float(np.sqrt(2.0 * max(lost, 0.0)))
    weights = iter(
        _of_others([*logs[:index], *logs[index + 1 :]], log_ratios) for index in range(len(logs))
    )
    return [
        None
        if one is None
        else SharedScale(
            log_ratios=log_ratios,
            log_weight=next(weights) * (disagreement <= DOUBTFUL_DISAGREEMENT),
            disagreement=disagreement,
        )
        for one in passes
    ]


def residual_by_scales(
    passes: Sequence[TwoReadouts | None], number: int, spread: float
) -> tuple[float, float] | None:
    """Say what an earlier injection left in the blood, so that the scales agree, too.

    The height of the main curves of a first pass goes with what was left before it, and so does
    the ratio of the scales that its readouts need; the other first passes tell the ratio.

    Parameters
    ----------
    passes
        Blood of the first passes of an examination, with what their baselines say was left.
    number
        Of the one that is asked for.
    spread
        Standard deviation of the logarithm of the height that its baselines leave open; the least
        that is believed is `RESIDUAL_ERROR`.

    Returns
    -------
    Contrast agent in blood [mmol/L] and what is left open then, as `spread`; None where nothing was
    left or no other first pass has two readouts.
    """
    seen = passes[number]
    others = [one for index, one in enumerate(passes) if one is not None and index != number]
    if seen is None or not others or seen.residual_mmol_l <= 0.0:
        return None
    native, relaxivity = 1.0 / seen.physics.t1_blood_s, seen.physics.r1_relaxivity_l_mmol_s
    rate = native + relaxivity * seen.residual_mmol_l
    heights = _HEIGHTS[rate * np.exp(_HEIGHTS) >= native]
    residuals = (rate * np.exp(heights) - native) / relaxivity
    possible = [replace(seen, residual_mmol_l=float(one)) for one in residuals]
    log_ratios = _ratios_of([*possible, *others])
    told = _of_others([_by_ratio(scale_evidence(one, log_ratios)) for one in others], log_ratios)
    logs = np.array(
        [
            np.logaddexp.reduce(scale_evidence(one, log_ratios).log_likelihood + told, axis=None)
            for one in possible
        ]
    )
    logs -= 0.5 * (heights / max(spread, RESIDUAL_ERROR)) ** 2
    weight = np.exp(logs - logs.max())
    weight /= weight.sum()
    left_open = np.sqrt(weight @ (heights - weight @ heights) ** 2)
    return float(weight @ residuals), float(left_open)


def agreement(seen: TwoReadouts, shared: SharedScale | None = None) -> Agreement:
    """Bring the readouts together, with what other first passes say about their scales.

    The mean is that of logarithms, because flow goes with the inverse.
    """
    shared = shared or unknown_scale(seen)
    evidence = scale_evidence(seen, shared.log_ratios)
    logs = evidence.log_likelihood + shared.log_weight
    highest = float(logs.max())
    weight = np.exp(logs - highest)
    log_likelihood = highest + float(np.log(weight.mean()))
    weight /= weight.sum()
    areas = np.clip(evidence.curves_mmol_l, 0.0, None).sum(axis=-1)
    log_areas = np.log(np.maximum(areas, 1e-6))
    log_area = float((weight * log_areas).sum())
    mean = np.einsum("fr,frt->t", weight, evidence.curves_mmol_l)
    return Agreement(
        log_likelihood=log_likelihood,
        values_mmol_l=mean * np.exp(log_area) / max(float((weight * areas).sum()), 1e-6),
        log_area=log_area,
        spread=float(np.sqrt((weight * (log_areas - log_area) ** 2).sum())),
    )


def blood_curve_beside(
    seen: TwoReadouts, shared: SharedScale | None = None
) -> tuple[BloodCurve, float]:
    """Invert the short readout on the scale that the long ones give it.

    Beside the curve: standard deviation of the logarithm of its height that is left open.
    """
    found, medium = agreement(seen, shared), signal_model.blood(seen.physics)
    ceiling = concentration.lookup(seen.readout, medium).ceiling_mmol_l
    moved = concentration.Concentration(
        values_mmol_l=found.values_mmol_l,
        clipped=found.values_mmol_l + seen.residual_mmol_l >= ceiling,
    )
    curve = with_amplification(seen.second, moved, seen.readout, medium, seen.residual_mmol_l)
    return curve, float(np.hypot(found.spread, COMMON_ERROR))


def scale_findings(shared: SharedScale | None, spread: float) -> tuple[Finding, ...]:
    """Doubt flow whose input function rests on a scale that is not known well.

    `spread` is the standard deviation of the logarithm of the input function that is left open.
    """
    if shared is None:
        return ()
    if shared.disagreement > DOUBTFUL_DISAGREEMENT:
        useless = shared.disagreement > USELESS_DISAGREEMENT
        return (
            Finding(
                code="input-scale-contradictory",
                severity=Severity.WITHHOLD if useless else Severity.WARNING,
                sentence="The first passes tell different scales of the short readout of the "
                f"blood, {shared.disagreement:.1f} standard deviations apart: the height of the "
                "input function is doubtful.",
            ),
        )
    if spread <= DOUBTFUL_SPREAD:
        return ()
    return (
        Finding(
            code="input-scale-estimated",
            severity=Severity.WARNING,
            sentence="The scale of the short readout of the blood, or its peak, had to be found "
            f"from the rest, which leaves {spread:.0%} of the height of the input function open.",
        ),
    )


def _ratios_of(passes: Sequence[TwoReadouts]) -> FloatArray:
    """All ratios that are possible in any of the first passes."""
    alone = [unknown_scale(one).log_ratios for one in passes]
    first, last = min(one[0] for one in alone), max(one[-1] for one in alone)
    ratios: FloatArray = np.arange(round(first / STEP), round(last / STEP) + 1.0) * STEP
    return ratios


def _apart(log_ratios: FloatArray) -> FloatArray:
    """Log-density of the ratio of an examination given that of one of its first passes."""
    apart: FloatArray = -0.5 * ((log_ratios[:, None] - log_ratios) / TIE) ** 2
    return apart


def _of_others(logs: Sequence[FloatArray], log_ratios: FloatArray) -> FloatArray:
    """Log-density of the ratio in a first pass by the evidence `logs` of the others [ratio]."""
    apart = _apart(log_ratios)
    of_exam = np.zeros(log_ratios.size)
    for one in logs:
        of_exam = of_exam + np.logaddexp.reduce(apart + one, axis=1)
    told: FloatArray = np.logaddexp.reduce(apart + of_exam, axis=1)
    return told


def _by_ratio(evidence: ScaleEvidence) -> FloatArray:
    """Log-likelihood of each ratio, none of them quite impossible [ratio]."""
    logs = np.logaddexp.reduce(evidence.log_likelihood, axis=0)
    floored: FloatArray = np.maximum(logs, logs.max() + _LEAST)
    return floored
