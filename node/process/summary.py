"""What became of a study, in words for a person and as data for a machine."""

from math import isfinite
from typing import Any

from node.dicom_write.codes import aha_name
from node.process.study import Outcome, ResultObject
from pipeline.reserve import flow_table, territory_flows, territory_name, work_sentences
from pipeline.result import FirstPassResult, PerfusionResult, RegionFlow, Reserve


def summary(outcome: Outcome) -> dict[str, Any]:
    """Everything a machine wants to know; numbers that are withheld or missing are null."""
    result = outcome.result
    return {
        "status": outcome.status,
        "reason": " ".join(outcome.reasons),
        "first_passes": [_first_pass(one) for one in result.first_passes] if result else [],
        "reserve": [
            {"segment": one.segment, **_reserve(one)} for one in (result.reserve if result else ())
        ],
        "territory_reserve": _territory_reserve(result) if result else [],
        "burden": [
            {"by": one.by, "threshold": one.threshold, "share": round(one.share, 4)}
            for one in (result.burden if result else ())
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
        "outlines": [
            {
                "level": one.level,
                "expected_wall_dice": _maybe(one.regions.predicted_dice),
                "expected_cavity_dice": _maybe(one.regions.predicted_pool_dice),
            }
            for one in first_pass.slices
        ],
        "heart_rate_bpm": first_pass.heart_rate_bpm,
        "systolic_pressure_mmhg": first_pass.systolic_pressure_mmhg,
        "segments": [
            {
                "segment": one.segment,
                **_flow(one, shown=shown),
                "status": one.status.name.lower(),
            }
            for one in first_pass.segments
        ],
        "territories": [
            {"territory": territory_name(one.territory), **_flow(one, shown=shown)}
            for one in territory_flows(first_pass.segments)
        ],
    }


def _flow(one: RegionFlow, *, shown: bool) -> dict[str, float | int | None]:
    """Numbers of one region; null where they are withheld."""
    numbers = {
        "mbf_ml_min_g": one.mbf_ml_min_g,
        "mbf_sd_ml_min_g": one.mbf_sd_ml_min_g,
        "mbf_pixel_median_ml_min_g": one.mbf_pixel_median_ml_min_g,
        "pixel_difference_ml_min_g": one.pixel_difference_ml_min_g,
        "mbf_endo_ml_min_g": one.mbf_endo_ml_min_g,
        "mbf_epi_ml_min_g": one.mbf_epi_ml_min_g,
        "endo_epi_ratio": one.endo_epi_ratio,
    }
    kept = {name: _number(value) if shown else None for name, value in numbers.items()}
    return {**kept, "n_pixels": one.n_pixels}


def _reserve(one: Reserve) -> dict[str, float | None]:
    return {"mpr": _number(one.mpr), "mpr_corrected": _maybe(one.mpr_corrected)}


def _territory_reserve(result: PerfusionResult) -> list[dict[str, Any]]:
    rows = flow_table(result.first_passes, result.reserve)
    return [
        {"territory": territory_name(row.territory), **_reserve(row.reserve)}
        for row in rows
        if row.segment is None and row.reserve is not None
    ]


def _maybe(value: float | None) -> float | None:
    return None if value is None else _number(value)


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
    """MBF of each segment, territory and the whole in each first pass, and the reserve, as lines.

    Beside MBF: its standard deviation, and flow of the inner over that of the outer half of the
    wall.
    """
    shown = [one for one in result.first_passes if not one.withheld]
    rows = flow_table(shown, result.reserve)
    if not rows:
        return []
    head = f"{'MBF [mL/min/g] ± SD of fit':26}"
    head += "".join(f"{one.label:>15} endo/epi" for one in shown)
    lines = [head + (f"{'reserve':>10}" if result.reserve else "")]
    for row in rows:
        cells = "".join(map(_cell, row.flows))
        mpr = f"{row.reserve.mpr:10.2f}" if row.reserve else ""
        name = territory_name(row.territory) if row.segment is None else aha_name(row.segment)
        lines.append(f"{name:26}{cells}{mpr}")
    return [*lines, *(one.sentence for one in result.burden), *work_sentences(shown)]


def _cell(flow: RegionFlow | None) -> str:
    if flow is None or not isfinite(flow.mbf_ml_min_g):
        return f"{'-':>15} {'-':>8}"
    return f"{flow.mbf_ml_min_g:8.2f} ± {flow.mbf_sd_ml_min_g:4.2f} {flow.endo_epi_ratio:8.2f}"
