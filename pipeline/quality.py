"""The quality gate: what was seen, in sentences, and whether the numbers may be shown."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from pipeline.passage import pulmonary_transit_s
from pipeline.result import (
    Finding,
    FirstPassResult,
    FitStatus,
    FlowMaps,
    InputFunction,
    SegmentFlow,
    Severity,
    SliceResult,
)
from pipeline.study import FirstPass, InputKind, Origin, State
from pipeline.units import SECONDS_PER_MINUTE

LEAST_PEAK_MMOL_L: Final = 1.0
MOST_PEAK_MMOL_L: Final = 15.0
"""Peak of the input function: outside, dose, timing or readout parameters must be wrong."""

USUAL_PEAK_PER_DOSE: Final = (42.0, 170.0)
"""Peak in blood [mmol/L] for a dose of 1 mmol/kg: half to twice what was measured in volunteers
(Kellman 2017, doi 10.1186/s12968-017-0355-5: 3.5 under stress and 4.4 at rest for 0.05)."""

POSSIBLE_OUTPUT_L_MIN_KG: Final = (0.025, 0.20)
"""Cardiac output per body weight from failing hearts to young ones under stress: a cardiac index of
1.3 to 8 L/min/m2 at 40 kg/m2."""

USUAL_OUTPUT_L_MIN_KG: Final = {
    State.REST: (0.04, 0.12),
    State.STRESS: (0.05, 0.16),
    State.UNDETERMINED: (0.04, 0.16),
}
"""Where most people lie; outside, the input function deserves a look."""

PLAUSIBLE_FLOW_ML_MIN_G: Final = (0.1, 6.0)
"""Median of the segments; no living myocardium is known outside."""

SAID_FOR_THE_STUDY: Final = ("t1_blood_s", "t1_myocardium_s")
"""Has a finding of its own (`native_t1`)."""

LARGEST_FAILED_SHARE: Final = 0.5
LARGEST_DISAGREEMENT: Final = 0.3
LEAST_FRAMES_AFTER_ARRIVAL: Final = 8


def first_pass_findings(
    first_pass: FirstPass,
    slices: Sequence[SliceResult],
    input_function: InputFunction,
    segments: Sequence[SegmentFlow],
) -> tuple[Finding, ...]:
    """Everything worth saying about one first pass, worst first."""
    findings = [
        *input_findings(input_function),
        *peak_findings(first_pass.physics.dose_mmol_kg, input_function),
        *output_findings(first_pass.physics.dose_mmol_kg, first_pass.state, input_function),
        *order_findings(
            pulmonary_transit_s(
                first_pass.slices,
                [one.aligned.frames for one in slices],
                [one.regions for one in slices],
            )
        ),
        *scale_findings(first_pass),
        *_physics_findings(first_pass),
        *_fit_findings([one.maps for one in slices], segments),
        *_segmentation_findings(slices),
    ]
    order = [Severity.WITHHOLD, Severity.WARNING, Severity.NOTE]
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))


def study_findings(first_passes: Sequence[FirstPassResult]) -> tuple[Finding, ...]:
    """Compare the first passes of an examination."""
    findings = []
    by_state = {one.state: one for one in first_passes}
    if State.REST in by_state and State.STRESS in by_state:
        rest, stress = by_state[State.REST], by_state[State.STRESS]
        if _median_flow(stress.segments) < _median_flow(rest.segments):
            findings.append(
                Finding(
                    code="stress-below-rest",
                    severity=Severity.WARNING,
                    sentence="Median stress flow is below rest flow: no response to the stressor, "
                    "or rest and stress are mixed up.",
                )
            )
    return tuple(findings)


def input_findings(input_function: InputFunction) -> list[Finding]:
    """Sanity of the arterial input function."""
    findings = []
    peak = float(np.max(input_function.concentration_mmol_l))
    if input_function.saturated:
        findings.append(
            Finding(
                code="input-function-saturated",
                severity=Severity.WARNING,
                sentence="The blood signal is close to the ceiling of the readout at its peak: the "
                "peak of the input function is restored from its flanks, and absolute flow is "
                "uncertain.",
            )
        )
    if not LEAST_PEAK_MMOL_L <= peak <= MOST_PEAK_MMOL_L:
        findings.append(
            Finding(
                code="input-function-implausible",
                severity=Severity.WITHHOLD,
                sentence=f"The peak of the input function, {peak:.1f} mmol/L, is not plausible: "
                "sequence parameters or dose are probably wrong.",
            )
        )
    after = np.count_nonzero(input_function.time_s > input_function.arrival_s)
    if after < LEAST_FRAMES_AFTER_ARRIVAL:
        findings.append(
            Finding(
                code="first-pass-cut-off",
                severity=Severity.WITHHOLD,
                sentence=f"Only {after} frames follow the arrival of the bolus: the first pass is "
                "not covered.",
            )
        )
    return findings


def peak_findings(dose_mmol_kg: float | None, input_function: InputFunction) -> list[Finding]:
    """Compare the peak of the input function with what the dose gives in most people."""
    if dose_mmol_kg is None:
        return []
    peak = float(np.max(input_function.concentration_mmol_l))
    low, high = (share * dose_mmol_kg for share in USUAL_PEAK_PER_DOSE)
    if low <= peak <= high:
        return []
    return [
        Finding(
            code="input-peak-unusual",
            severity=Severity.WARNING,
            sentence=f"The peak of the input function, {peak:.1f} mmol/L, is unusual for the dose "
            f"(usual: {low:.1f} to {high:.1f}): absolute flow is doubtful.",
        )
    ]


def output_findings(
    dose_mmol_kg: float | None, state: State, input_function: InputFunction
) -> list[Finding]:
    """Check the amplitude of the input function: what passed the heart is the dose.

    Cardiac output is dose over the area of the first pass (Stewart and Hamilton). An input function
    that is scaled wrongly by a factor, and with it every flow, shows here.
    """
    if dose_mmol_kg is None:
        return [
            Finding(
                code="dose-unknown",
                severity=Severity.NOTE,
                sentence="The dose is not known: the amplitude of the input function was not "
                "checked against it.",
            )
        ]
    output = SECONDS_PER_MINUTE * dose_mmol_kg / _first_pass_area(input_function)
    low, high = POSSIBLE_OUTPUT_L_MIN_KG
    usual_low, usual_high = USUAL_OUTPUT_L_MIN_KG[state]
    if usual_low <= output <= usual_high:
        return []
    possible = low <= output <= high
    return [
        Finding(
            code="cardiac-output-unusual" if possible else "cardiac-output-implausible",
            severity=Severity.WARNING if possible else Severity.WITHHOLD,
            sentence=f"Dose and input function give a cardiac output of {output:.3f} L/min per kg "
            f"of body weight (usual: {usual_low} to {usual_high}): the amplitude of the input "
            f"function, and with it all flow, is {'doubtful' if possible else 'wrong'}.",
        )
    ]


def _first_pass_area(input_function: InputFunction) -> float:
    """Area under the first pass [mmol s/L]."""
    inside = (input_function.time_s >= input_function.arrival_s) & (
        input_function.time_s <= input_function.first_pass_end_s
    )
    area = np.trapezoid(input_function.concentration_mmol_l[inside], input_function.time_s[inside])
    return max(float(area), 1e-9)


def order_findings(transit_s: float | None) -> list[Finding]:
    """Contrast agent given into a vein fills the right ventricle before the left.

    `transit_s` is how much later the left one fills; None: not seen.
    """
    if transit_s is None:
        return [
            Finding(
                code="ventricle-order-unknown",
                severity=Severity.NOTE,
                sentence="No slice shows both ventricles filling: that the right one comes first "
                "was not checked.",
            )
        ]
    if transit_s > 0.0:
        return []
    return [
        Finding(
            code="ventricle-order-wrong",
            severity=Severity.WITHHOLD,
            sentence="What was taken for the left ventricle enhances before the right one "
            f"({-transit_s:.1f} s): the pools are confused, and so is the input function.",
        )
    ]


def scale_findings(first_pass: FirstPass) -> list[Finding]:
    """Doubt stress flow whose input function rests on the scale of a short readout.

    That scale is found from the curvature of the long one. On simulated patients it comes out a
    third and more too high in some stress passes, and nothing in them tells which.
    """
    series = first_pass.input_series
    if series is None or series.kind is not InputKind.DUAL_SEQUENCE:
        return []
    if first_pass.state is State.REST:
        return []
    return [
        Finding(
            code="input-scale-estimated",
            severity=Severity.WARNING,
            sentence="The scale of the short readout of the blood was found from the long one. On "
            "simulated patients flow under stress came out a quarter too low on average with it, "
            "and the reserve as well.",
        )
    ]


def _physics_findings(first_pass: FirstPass) -> list[Finding]:
    assumed = sorted(
        name
        for name, origin in first_pass.physics.origin.items()
        if origin is Origin.DEFAULT and name not in SAID_FOR_THE_STUDY
    )
    if not assumed:
        return []
    return [
        Finding(
            code="physics-assumed",
            severity=Severity.NOTE,
            sentence="Assumed, because neither header nor configuration says: "
            f"{', '.join(assumed)}.",
        )
    ]


def _fit_findings(maps: Sequence[FlowMaps], segments: Sequence[SegmentFlow]) -> list[Finding]:
    findings = []
    status = np.concatenate([np.empty(0), *(one.status[one.status > 0] for one in maps)])
    failed = np.isin(status, (FitStatus.TOO_NOISY, FitStatus.FAILED))
    if status.size == 0 or failed.mean() > LARGEST_FAILED_SHARE:
        findings.append(
            Finding(
                code="fits-failed",
                severity=Severity.WITHHOLD,
                sentence="In most of the myocardium the curves are too noisy for a fit.",
            )
        )
    median = _median_flow(segments)
    low, high = PLAUSIBLE_FLOW_ML_MIN_G
    if not low <= median <= high:
        findings.append(
            Finding(
                code="flow-implausible",
                severity=Severity.WITHHOLD,
                sentence=f"The median flow of the segments, {median:.2f} mL/min/g, is not "
                "plausible.",
            )
        )
    disagreeing = [
        one.segment
        for one in segments
        if abs(one.mbf_pixel_median_ml_min_g - one.mbf_ml_min_g)
        > max(LARGEST_DISAGREEMENT * one.mbf_ml_min_g, 2.0 * one.mbf_sd_ml_min_g)
    ]
    if disagreeing:
        findings.append(
            Finding(
                code="segment-and-pixels-disagree",
                severity=Severity.WARNING,
                sentence="Flow of the mean curve and median of the pixel flows differ by more than "
                f"{LARGEST_DISAGREEMENT:.0%} in segment {', '.join(map(str, disagreeing))}.",
            )
        )
    return findings


def _segmentation_findings(slices: Sequence[SliceResult]) -> list[Finding]:
    doubtful = [
        one.level.value
        for one in slices
        if one.regions.predicted_dice is not None and one.regions.predicted_dice < 0.75
    ]
    if not doubtful:
        return []
    return [
        Finding(
            code="segmentation-doubtful",
            severity=Severity.WARNING,
            sentence="The outline of the myocardium is doubtful in the slice: "
            f"{', '.join(doubtful)}.",
        )
    ]


def _median_flow(segments: Sequence[SegmentFlow]) -> float:
    flows = [one.mbf_ml_min_g for one in segments if np.isfinite(one.mbf_ml_min_g)]
    return float(np.median(flows)) if flows else float("nan")
