"""What became of a study, in words for a person and as data for a machine."""

from typing import Any

from node.dicom_write.codes import aha_name
from node.process.study import Outcome, ResultObject
from pipeline.result import FirstPassResult, PerfusionResult


def summary(outcome: Outcome) -> dict[str, Any]:
    """Everything a machine wants to know; numbers that are withheld or missing are null."""
    result = outcome.result
    return {
        "status": outcome.status,
        "reason": " ".join(outcome.reasons),
        "first_passes": [_first_pass(one) for one in result.first_passes] if result else [],
        "reserve": [
            {"segment": one.segment, "mpr": _number(one.mpr)}
            for one in (result.reserve if result else ())
        ],
        "findings": [finding.sentence for finding in (result.findings if result else ())],
        "notes": list(outcome.read.study.notes) if outcome.read else [],
        "set_aside": [{"what": one.what, "reason": one.reason} for one in outcome.set_aside],
        "objects": [_written(one) for one in outcome.objects],
    }


def _first_pass(first_pass: FirstPassResult) -> dict[str, Any]:
    shown = not first_pass.withheld
    return {
        "label": first_pass.label,
        "state": first_pass.state,
        "model": first_pass.model,
        "withheld": first_pass.withheld,
        "findings": [
            {"code": one.code, "severity": one.severity, "sentence": one.sentence}
            for one in first_pass.findings
        ],
        "segments": [
            {
                "segment": one.segment,
                "mbf_ml_min_g": _number(one.mbf_ml_min_g) if shown else None,
                "mbf_sd_ml_min_g": _number(one.mbf_sd_ml_min_g) if shown else None,
                "n_pixels": one.n_pixels,
                "status": one.status.name.lower(),
            }
            for one in first_pass.segments
        ],
    }


def _number(value: float) -> float | None:
    """JSON knows no NaN."""
    return round(value, 4) if value == value else None


def _written(one: ResultObject) -> dict[str, str]:
    return {
        "file": one.file.name,
        "kind": one.kind,
        "sop_class_uid": one.sop_class_uid,
        "sop_instance_uid": one.sop_instance_uid,
    }


def text(outcome: Outcome) -> str:
    """Summarise for a person: what was left alone, the table, findings, what was written."""
    lines = [f"set aside {one.what}: {one.reason}" for one in outcome.set_aside]
    if outcome.read:
        lines += [f"note: {note}" for note in outcome.read.study.notes]
    if outcome.result:
        lines += ["", *table(outcome.result), ""]
        lines += _findings(outcome.result)
    lines += [f"no numbers: {reason}" for reason in outcome.reasons]
    lines.append(f"{outcome.status}: {len(outcome.objects)} result objects written")
    lines.append("Research use only.")
    return "\n".join(lines)


def _findings(result: PerfusionResult) -> list[str]:
    of_passes = [
        f"{one.label}: {finding.severity}: {finding.sentence}"
        for one in result.first_passes
        for finding in one.findings
    ]
    return [*of_passes, *(f"{one.severity}: {one.sentence}" for one in result.findings)]


def table(result: PerfusionResult) -> list[str]:
    """MBF of each AHA segment in each first pass, and the reserve, as lines."""
    shown = [one for one in result.first_passes if not one.withheld]
    flows = [{one.segment: one for one in first_pass.segments} for first_pass in shown]
    reserve = {one.segment: one.mpr for one in result.reserve}
    numbers = sorted(set().union(*flows))
    if not numbers:
        return []
    head = f"{'MBF [mL/min/g] ± fit noise':26}" + "".join(f"{one.label:>16}" for one in shown)
    lines = [head + (f"{'reserve':>10}" if reserve else "")]
    for number in numbers:
        cells = [
            f"{flow[number].mbf_ml_min_g:8.2f} ± {flow[number].mbf_sd_ml_min_g:4.2f} "
            if number in flow
            else f"{'-':>16}"
            for flow in flows
        ]
        mpr = f"{reserve[number]:10.2f}" if number in reserve else ""
        lines.append(f"{aha_name(number):26}" + "".join(cells) + mpr)
    return lines
