"""Whether the arterial input function can be what it is taken for: every flow rests on it."""

from typing import Final

import numpy as np

from pipeline.result import Finding, InputFunction, Severity
from pipeline.study import InputSeries, State
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

LEAST_FRAMES_AFTER_ARRIVAL: Final = 8


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


def series_findings(series: InputSeries | None, input_function: InputFunction) -> list[Finding]:
    """Say that a series made for the input function was of no use."""
    if series is None or input_function.series is series.kind:
        return []
    return [
        Finding(
            code="input-series-unused",
            severity=Severity.WARNING,
            sentence=f"The {series.kind.value} series shows no passage of contrast agent through "
            f"the left ventricle: the input function is that of the {input_function.source}.",
        )
    ]


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
