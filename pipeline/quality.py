"""The quality gate: what was seen, in sentences, and whether the numbers may be shown."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from pipeline.input_quality import (
    input_findings,
    order_findings,
    output_findings,
    peak_findings,
    series_findings,
)
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
from pipeline.study import PARAMETER_NAMES, FirstPass, Origin, State

PLAUSIBLE_FLOW_ML_MIN_G: Final = (0.1, 6.0)
"""Median of the segments; no living myocardium is known outside."""

HIGHEST_USUAL_REST_ML_MIN_G: Final = 1.8
"""Three standard deviations above the mean of patients at rest, 1.08 (0.23) mL/min/g (Xue 2020, doi
10.1148/ryai.2020200009)."""

SAID_FOR_THE_STUDY: Final = ("t1_blood_s", "t1_myocardium_s")
"""Has a finding of its own (`native_t1`)."""

LARGEST_FAILED_SHARE: Final = 0.5
LARGEST_DISAGREEMENT: Final = 0.3

WEAKLY_DETERMINED: Final = 0.2
"""Standard deviation of the segments, as share of their flow, that deserves a warning. Of 36
simulated hearts under stress 6 had more, and none of 36 at rest; their mean flow was off by 17 % on
average, that of the others under stress by 12 %."""

POOR_OVERLAP: Final = 0.88
"""Expected Dice of an outline, below which it is doubtful. Of 120 slices of simulated studies that
were 1 wall and 3 cavities: 0.89, and 0.86 to 0.92 in truth, where most have 0.94 and 0.96."""


def first_pass_findings(
    first_pass: FirstPass,
    slices: Sequence[SliceResult],
    input_function: InputFunction,
    segments: Sequence[SegmentFlow],
) -> tuple[Finding, ...]:
    """Everything that is to be checked of one first pass."""
    return (
        *input_findings(input_function),
        *series_findings(first_pass.input_series, input_function),
        *peak_findings(first_pass.physics.dose_mmol_kg, input_function),
        *output_findings(first_pass.physics.dose_mmol_kg, first_pass.state, input_function),
        *order_findings(
            pulmonary_transit_s(
                first_pass.slices,
                [one.aligned.frames for one in slices],
                [one.regions for one in slices],
            )
        ),
        *_physics_findings(first_pass),
        *_fit_findings([one.maps for one in slices], segments, first_pass.state),
        *_segmentation_findings(slices),
    )


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Put what withholds the numbers before warnings, and these before notes."""
    order = [Severity.WITHHOLD, Severity.WARNING, Severity.NOTE]
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))


def study_findings(first_passes: Sequence[FirstPassResult]) -> tuple[Finding, ...]:
    """Compare the first passes of an examination whose numbers may be shown."""
    shown = {one.state: one for one in first_passes if not one.withheld}
    rest, stress = shown.get(State.REST), shown.get(State.STRESS)
    if rest is None or stress is None:
        return ()
    if not _median_flow(stress.segments) < _median_flow(rest.segments):
        return ()
    return (
        Finding(
            code="stress-below-rest",
            severity=Severity.WARNING,
            sentence="Median stress flow is below rest flow: no response to the stressor, or rest "
            "and stress are mixed up.",
        ),
    )


def _physics_findings(first_pass: FirstPass) -> list[Finding]:
    assumed = [
        words
        for name, words in PARAMETER_NAMES.items()
        if first_pass.physics.origin.get(name) is Origin.DEFAULT and name not in SAID_FOR_THE_STUDY
    ]
    if not assumed:
        return []
    return [
        Finding(
            code="physics-assumed",
            severity=Severity.NOTE,
            sentence="Neither header nor configuration says, so that usual values are where the "
            f"calibration begins: {', '.join(assumed)}.",
        )
    ]


def _fit_findings(
    maps: Sequence[FlowMaps], segments: Sequence[SegmentFlow], state: State
) -> list[Finding]:
    findings = [
        _failed_fits(maps),
        _implausible_flow(segments),
        _unusual_rest(segments, state),
        _weakly_determined(segments),
        _disagreement(segments),
    ]
    return [one for one in findings if one is not None]


def _failed_fits(maps: Sequence[FlowMaps]) -> Finding | None:
    status = np.concatenate([np.empty(0), *(one.status[one.status > 0] for one in maps)])
    failed = np.isin(status, (FitStatus.TOO_NOISY, FitStatus.FAILED))
    if status.size > 0 and failed.mean() <= LARGEST_FAILED_SHARE:
        return None
    return Finding(
        code="fits-failed",
        severity=Severity.WITHHOLD,
        sentence="In most of the myocardium the curves are too noisy for a fit.",
    )


def _implausible_flow(segments: Sequence[SegmentFlow]) -> Finding | None:
    median = _median_flow(segments)
    low, high = PLAUSIBLE_FLOW_ML_MIN_G
    if low <= median <= high:
        return None
    return Finding(
        code="flow-implausible",
        severity=Severity.WITHHOLD,
        sentence=f"The median flow of the segments, {median:.2f} mL/min/g, is not plausible.",
    )


def _unusual_rest(segments: Sequence[SegmentFlow], state: State) -> Finding | None:
    median, (_, high) = _median_flow(segments), PLAUSIBLE_FLOW_ML_MIN_G
    if state is not State.REST or not HIGHEST_USUAL_REST_ML_MIN_G < median <= high:
        return None
    return Finding(
        code="rest-flow-unusual",
        severity=Severity.WARNING,
        sentence=f"The median flow at rest, {median:.2f} mL/min/g, is higher than usual: the "
        "patient was not at rest, the series is labelled wrongly, or the input function is too "
        "low.",
    )


def _weakly_determined(segments: Sequence[SegmentFlow]) -> Finding | None:
    """Say that a first pass tells flow badly, as it does where flow is high and the bolus slow."""
    shares = [
        one.mbf_sd_ml_min_g / one.mbf_ml_min_g
        for one in segments
        if np.isfinite(one.mbf_sd_ml_min_g) and one.mbf_ml_min_g > 0.0
    ]
    if not shares or np.median(shares) < WEAKLY_DETERMINED:
        return None
    return Finding(
        code="flow-weakly-determined",
        severity=Severity.WARNING,
        sentence="The standard deviation of a segment's flow is typically "
        f"{np.median(shares):.0%}: the curves tell such flow from a higher or lower one only "
        "weakly, and the whole heart may read too high or too low.",
    )


def _disagreement(segments: Sequence[SegmentFlow]) -> Finding | None:
    disagreeing = [
        one.segment
        for one in segments
        if abs(one.mbf_pixel_median_ml_min_g - one.mbf_ml_min_g)
        > max(LARGEST_DISAGREEMENT * one.mbf_ml_min_g, 2.0 * one.mbf_sd_ml_min_g)
    ]
    if not disagreeing:
        return None
    return Finding(
        code="segment-and-pixels-disagree",
        severity=Severity.WARNING,
        sentence="Flow of the mean curve and median of the pixel flows differ by more than "
        f"{LARGEST_DISAGREEMENT:.0%} in segment {', '.join(map(str, disagreeing))}.",
    )


def _segmentation_findings(slices: Sequence[SliceResult]) -> list[Finding]:
    """Outlines that the network itself expects to be poor."""
    return [
        *_doubted(
            "segmentation-doubtful",
            "myocardium",
            [(one, one.regions.predicted_dice) for one in slices],
        ),
        *_doubted(
            "cavity-doubtful",
            "left ventricular cavity",
            [(one, one.regions.predicted_pool_dice) for one in slices],
        ),
    ]


def _doubted(
    code: str, what: str, expected: Sequence[tuple[SliceResult, float | None]]
) -> Iterator[Finding]:
    poor = [
        f"{one.level.value} ({overlap:.2f})"
        for one, overlap in expected
        if overlap is not None and overlap < POOR_OVERLAP
    ]
    if poor:
        yield Finding(
            code=code,
            severity=Severity.WARNING,
            sentence=f"The outline of the {what} is doubtful; overlap with the true one that is "
            f"to be expected: {', '.join(poor)}.",
        )


def _median_flow(segments: Sequence[SegmentFlow]) -> float:
    flows = [one.mbf_ml_min_g for one in segments if np.isfinite(one.mbf_ml_min_g)]
    return float(np.median(flows)) if flows else float("nan")
