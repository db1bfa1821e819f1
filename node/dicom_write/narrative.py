"""What people want to know beside the numbers, as headed sentences, for report and pages."""

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter

import numpy as np

from node.dicom_write.provenance import NOTICE
from node.dicom_write.sources import ReadStudy
from pipeline.reserve import work_sentences
from pipeline.result import Finding, FirstPassResult, FitStatus, PerfusionResult, Severity
from pipeline.study import PARAMETER_NAMES, FirstPass, Physics

Sections = Sequence[tuple[str, Sequence[str]]]

_SHOWN_IN: Mapping[str, tuple[float, str]] = {
    "field_strength_t": (1.0, "T"),
    "readout.repetition_time_s": (1e3, "ms"),
    "readout.echo_time_s": (1e3, "ms"),
    "readout.flip_angle_rad": (180 / np.pi, "deg"),
    "readout.saturation_delay_s": (1e3, "ms"),
    "r1_relaxivity_l_mmol_s": (1.0, "L/mmol/s"),
    "r2_star_relaxivity_l_mmol_s": (1.0, "L/mmol/s"),
    "t1_blood_s": (1e3, "ms"),
    "t1_myocardium_s": (1e3, "ms"),
    "blood_replaced_per_s": (1.0, "/s"),
    "dose_mmol_kg": (1.0, "mmol/kg"),
}
"""Field of `Physics` to the factor to the unit that is shown, and that unit; others have none."""


def sections(
    result: PerfusionResult, read: ReadStudy, settings: str, replaces: Sequence[str] = ()
) -> Sections:
    """Say what was found doubtful, what could not be analysed, and how the rest was done."""
    by_label = {one.label: one for one in read.study.first_passes}
    return [
        (heading, sentences)
        for heading, sentences in (
            ("Replaces", replaces),
            ("Ischaemic burden", [one.sentence for one in result.burden]),
            ("Work of the heart", work_sentences(result.first_passes)),
            ("Warnings", _warnings(result)),
            ("Not analysed", [f"{one.label}: {one.reason}" for one in result.failures]),
            *(
                (f"Method, {one.label}", _method(one, by_label[one.label]))
                for one in result.first_passes
            ),
            ("Notes", [*_notes(result), *read.study.notes]),
            ("Left alone", [f"{one.what}: {one.reason}" for one in read.set_aside]),
            ("Settings", [settings]),
            ("Use", [NOTICE]),
        )
        if sentences
    ]


def _method(first_pass: FirstPassResult, source: FirstPass) -> list[str]:
    physics = "; ".join(physical_parameters(first_pass))
    return [*method_sentences(first_pass, source), f"Physics: {physics}."]


def no_number_reasons(result: PerfusionResult) -> list[str]:
    """Say why numbers are missing, first pass by first pass."""
    withheld = [
        f"{one.label}: {finding.sentence}"
        for one in result.first_passes
        for finding in one.findings
        if finding.severity is Severity.WITHHOLD
    ]
    return [*withheld, *(f"{one.label}: {one.reason}" for one in result.failures)]


def method_sentences(first_pass: FirstPassResult, source: FirstPass) -> list[str]:
    """Say how the numbers of one first pass came about, but for the physical parameters."""
    curve = first_pass.input_function
    peak = float(np.nanmax(curve.concentration_mmol_l))
    return [
        f"State {source.state}: {source.state_reason}.",
        f"Model: {first_pass.model}.",
        (
            f"Input function: {curve.source}; peak {peak:.2f} mmol/L, arrival {curve.arrival_s:.1f}"
            f" s, end of first pass {curve.first_pass_end_s:.1f} s"
            + ("; near the ceiling of the readout." if curve.saturated else ".")
        ),
        f"Motion compensation: {_motion(first_pass)}.",
        *_outlines(first_pass),
        f"Fits: {_fits(first_pass)}.",
    ]


def physical_parameters(first_pass: FirstPassResult) -> Iterator[str]:
    """Give each physical parameter with where it came from and what calibration made of it."""
    for path, name in PARAMETER_NAMES.items():
        factor, unit = _SHOWN_IN.get(path, (1.0, ""))
        told, used = (
            _shown(physics, path, factor) for physics in (first_pass.physics, first_pass.used)
        )
        if told is None:
            yield f"{name} not known"
            continue
        origin = first_pass.physics.origin.get(path)
        remarks = [str(origin)] if origin is not None else []
        if used != told:
            remarks.append(f"calibrated to {used}")
        yield f"{name} {told} {unit}".rstrip() + (f" ({', '.join(remarks)})" if remarks else "")


def _shown(physics: Physics, path: str, factor: float) -> str | None:
    """Write a field of the physics in the unit that is shown; None where it is not known."""
    value = attrgetter(path)(physics)
    if value is None or isinstance(value, str):
        return value
    return f"{value * factor:.4g}"


def _outlines(first_pass: FirstPassResult) -> Iterator[str]:
    """Say how far the outlines are to be trusted, where the network knows."""
    parts = [
        f"{one.level} wall {wall:.2f}, cavity {pool:.2f}"
        for one in first_pass.slices
        if (wall := one.regions.predicted_dice) is not None
        and (pool := one.regions.predicted_pool_dice) is not None
    ]
    if parts:
        yield f"Outlines, expected overlap (Dice) with the true ones: {'; '.join(parts)}."


def _motion(first_pass: FirstPassResult) -> str:
    parts = []
    for one in first_pass.slices:
        moved = np.hypot(*np.asarray(one.aligned.bulk_displacement_mm, dtype=float).T)
        dropped = int(np.sum(one.aligned.frame_weight <= 0))
        parts.append(
            f"{one.level} {one.aligned.method}, up to {moved.max():.1f} mm"
            + (f", {dropped} frames not used" if dropped else "")
        )
    return "; ".join(parts)


def _fits(first_pass: FirstPassResult) -> str:
    status = np.concatenate([one.maps.status[one.regions.myocardium] for one in first_pass.slices])
    counts = [(kind, int(np.sum(status == kind))) for kind in FitStatus]
    told = [f"{count} {kind.name.lower().replace('_', ' ')}" for kind, count in counts if count]
    return f"{status.size} pixels of myocardium: {', '.join(told)}"


def _warnings(result: PerfusionResult) -> list[str]:
    passes = ((f"{one.label}: ", one.findings) for one in result.first_passes)
    return [
        f"{label}{finding.sentence}{_consequence(finding)}"
        for label, findings in (("", result.findings), *passes)
        for finding in findings
        if finding.severity is not Severity.NOTE
    ]


def _notes(result: PerfusionResult) -> list[str]:
    passes = ((f"{one.label}: ", one.findings) for one in result.first_passes)
    return [
        f"{label}{finding.sentence}"
        for label, findings in (("", result.findings), *passes)
        for finding in findings
        if finding.severity is Severity.NOTE
    ]


def _consequence(finding: Finding) -> str:
    return " Its numbers are withheld." if finding.severity is Severity.WITHHOLD else ""
