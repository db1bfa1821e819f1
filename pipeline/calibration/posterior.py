"""Scanner and body as the images tell them: many possible truths, each weighed by the evidence.

No single observation is trusted to tell one of the unknowns. What is known beforehand is drawn
many times, and each draw counts by how well it explains what is seen: two readouts of the same
blood, which agree only at the right values; proton-density frames; how dark the wall is beside the
blood; the ceiling of the blood signal. Where the images say nothing, what is known beforehand
remains. What the draws disagree about is the systematic uncertainty of flow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.calibration.evidence import Seen, judge, look
from pipeline.calibration.unevenness import left_slope
from pipeline.calibration.unknowns import Draw, draws, first_pass_as
from pipeline.result import Finding, Regions, Severity
from pipeline.study import FirstPass, FloatArray, InputKind

DOUBTFUL_SPREAD: Final = 0.17
USELESS_SPREAD: Final = 0.26
"""Relative uncertainty of all flows of a first pass that deserves a warning, and that is too much
for an absolute number."""

OTHER_SPREAD: Final = 0.13
"""What baselines, outlines and the kinetic model add to it on phantoms where all else is known."""

POOR_LEFT: Final = 0.1
"""A saturation pulse that leaves more than this does not explain a baseline: something else is."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Scanner and body as the images tell them."""

    truth: Draw
    """Mean of what may be."""
    left_slope_mm: tuple[float, float]
    """Change of what the saturation pulse leaves with the place (row, column) [1/mm]."""
    flow_spread: float
    """Standard deviation of the logarithm of all flows together that is left open."""
    method: str
    """What told it."""


def calibrate(
    first_pass: FirstPass, aligned_frames: Sequence[FloatArray], regions: Sequence[Regions]
) -> Calibration | None:
    """Weigh what may be true of scanner and body.

    Parameters
    ----------
    first_pass
        The first injection of the examination: no contrast agent was given before.
    aligned_frames, regions
        Of each slice.

    Returns
    -------
    None where no blood is found.
    """
    seen = look(first_pass, aligned_frames, regions)
    if seen is None:
        return None
    possible = draws(first_pass.physics)
    verdicts = [judge(seen, first_pass, one) for one in possible]
    logs = np.array(
        [
            one.log_weight + verdict.log_likelihood
            for one, verdict in zip(possible, verdicts, strict=True)
        ]
    )
    weight = np.exp(logs - logs.max())
    weight /= weight.sum()
    flows = np.array([one.log_flow for one in verdicts])
    within = np.array([one.log_flow_variance for one in verdicts])
    variance = weight @ (flows - weight @ flows) ** 2 + weight @ within
    truth = _mean(possible, weight)
    slope = left_slope(first_pass_as(first_pass, truth), aligned_frames, regions)
    return Calibration(
        truth=truth,
        left_slope_mm=(float(slope[0]), float(slope[1])),
        flow_spread=float(np.sqrt(variance + OTHER_SPREAD**2)),
        method=_method(seen, first_pass),
    )


def calibrated(first_pass: FirstPass, found: Calibration) -> FirstPass:
    """Give a first pass of the same examination what was found out."""
    return first_pass_as(first_pass, found.truth)


def _mean(possible: Sequence[Draw], weight: FloatArray) -> Draw:
    def mean(name: str) -> float:
        return float(weight @ np.array([getattr(one, name) for one in possible]))

    return Draw(
        left=mean("left"),
        flip_scale=mean("flip_scale"),
        t1_blood_s=mean("t1_blood_s"),
        t1_myocardium_s=mean("t1_myocardium_s"),
        r2_star_relaxivity_l_mmol_s=mean("r2_star_relaxivity_l_mmol_s"),
        blood_replaced_per_s=mean("blood_replaced_per_s"),
        wall_density=mean("wall_density"),
    )


def _method(seen: Seen, first_pass: FirstPass) -> str:
    told = ["the baselines of blood and wall"]
    if seen.blood_density.size:
        told.append("proton-density frames")
    series = first_pass.input_series
    if seen.second is None or series is None:
        told.append("the ceiling of the blood signal")
    elif series.kind is InputKind.DUAL_SEQUENCE:
        told.append("the agreement of two readouts of the blood")
        if seen.second.proton_density is not None:
            told.append("proton-density frames of the short one")
    else:
        told.append("the diluted bolus")
    return " and ".join([", ".join(told[:-1]), told[-1]])


def calibration_findings(found: Calibration | None) -> tuple[Finding, ...]:
    """Say what told scanner and body, and how far flow can be trusted."""
    if found is None:
        return ()
    if found.truth.left > POOR_LEFT:
        return (
            Finding(
                code="baseline-unexplained",
                severity=Severity.WITHHOLD,
                sentence="Before the bolus, blood is brighter than even a poor saturation pulse "
                "explains: the readout is not what header or configuration say.",
            ),
        )
    what = f"Saturation pulse, flip angle and T1 were calibrated by {found.method}"
    spread = f"all flows together are uncertain by {found.flow_spread:.0%}"
    if found.flow_spread > USELESS_SPREAD:
        return (
            Finding(
                code="calibration-uncertain",
                severity=Severity.WITHHOLD,
                sentence=f"{what}; {spread}, which is too much for absolute flow. An input series "
                "of its own (dual sequence or diluted bolus) or proton-density frames would tell "
                "more.",
            ),
        )
    doubtful = found.flow_spread > DOUBTFUL_SPREAD
    return (
        Finding(
            code="calibration-uncertain" if doubtful else "calibrated",
            severity=Severity.WARNING if doubtful else Severity.NOTE,
            sentence=f"{what}; {spread}.",
        ),
    )
