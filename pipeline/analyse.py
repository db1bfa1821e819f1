"""The method, one stage a line: from first passes of contrast agent to myocardial blood flow.

After Scannell et al., J Magn Reson Imaging 2020;51:1689-1696, doi 10.1002/jmri.26983. Pure: the
same study and settings give the same result.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipeline.concentration import tissue_curves
from pipeline.errors import NoHeartError, PipelineError
from pipeline.fit import FlowFit, fit_flow
from pipeline.input_function import input_function
from pipeline.landmarks import insertion_points
from pipeline.locate import heart_box
from pipeline.maps import flow_maps, merge_segments, segment_curves, slice_segments
from pipeline.motion import align
from pipeline.peak import peak_lv_frame
from pipeline.quality import first_pass_findings, study_findings
from pipeline.reserve import reserve
from pipeline.residual import (
    Baseline,
    Residual,
    measure_baseline,
    native_baseline,
    residual,
    residual_findings,
)
from pipeline.result import (
    AlignedSeries,
    Box,
    Finding,
    FirstPassFailure,
    FirstPassResult,
    InputFunction,
    InsertionPoints,
    PerfusionResult,
    Regions,
    SegmentFlow,
    SegmentReserve,
    Severity,
    SliceLevel,
    SliceResult,
)
from pipeline.sectors import aha_sectors, slice_levels
from pipeline.segment import segment
from pipeline.study import (
    FirstPass,
    FloatArray,
    IntArray,
    PerfusionSlice,
    PerfusionStudy,
    Physics,
    State,
)

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What may be chosen about the method."""

    model: str = "fermi"
    """The kinetic model, one of `pipeline.fit`'s."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Anatomy:
    """One slice up to where the input function is needed."""

    source: PerfusionSlice
    level: SliceLevel
    peak_lv_frame: int
    box: Box
    aligned: AlignedSeries
    regions: Regions
    insertion_points: InsertionPoints
    sectors: IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class _Outlined:
    """One first pass up to where the other first passes are needed."""

    first_pass: FirstPass
    """Without the slices that could not be outlined."""
    anatomies: tuple[_Anatomy, ...]
    baseline: Baseline
    findings: tuple[Finding, ...]


def _silent(_: str) -> None:
    """Report progress to nobody."""


def analyse(
    study: PerfusionStudy, settings: Settings | None = None, progress: Progress = _silent
) -> PerfusionResult:
    """Quantify myocardial blood flow in every first pass of a study.

    A first pass that cannot be analysed becomes a failure with its reason; the others go on.

    Parameters
    ----------
    study
        The first passes.
    settings
        None: the defaults.
    progress
        Called with a few words before each piece of work.
    """
    settings = settings or Settings()
    outlined: list[_Outlined] = []
    failures: list[FirstPassFailure] = []
    for first_pass in study.first_passes:
        try:
            outlined.append(_outline_first_pass(first_pass, progress))
        except PipelineError as error:
            failures.append(
                FirstPassFailure(label=first_pass.label, state=first_pass.state, reason=str(error))
            )
    analysed = [
        _quantify_first_pass(one, left, settings, progress)
        for one, left in zip(outlined, _residuals(outlined), strict=True)
    ]
    return PerfusionResult(
        first_passes=tuple(analysed),
        failures=tuple(failures),
        reserve=_reserve(analysed),
        findings=study_findings(analysed),
    )


def _outline_first_pass(first_pass: FirstPass, progress: Progress) -> _Outlined:
    """Anatomy of every slice, and when the bolus arrives."""
    anatomies, findings = _outline_slices(first_pass, progress)
    first_pass = replace(first_pass, slices=tuple(one.source for one in anatomies))
    progress(f"{first_pass.label}: input function")
    frames = [one.aligned.frames for one in anatomies]
    regions = [one.regions for one in anatomies]
    arrival_s = input_function(first_pass, frames, regions).arrival_s
    times_s = [one.source.time_s for one in anatomies]
    return _Outlined(
        first_pass=first_pass,
        anatomies=tuple(anatomies),
        baseline=measure_baseline(frames, regions, times_s, arrival_s),
        findings=tuple(findings),
    )


def _residuals(outlined: Sequence[_Outlined]) -> list[Residual]:
    """Contrast agent that was there before each first pass; none before the first injection."""
    if not outlined:
        return []
    native = native_baseline([one.baseline for one in outlined])
    return [residual(one.baseline, native, one.first_pass.physics) for one in outlined]


def _quantify_first_pass(
    outlined: _Outlined, left: Residual, settings: Settings, progress: Progress
) -> FirstPassResult:
    """Input function and blood flow of all slices."""
    first_pass = outlined.first_pass
    progress(f"{first_pass.label}: blood flow")
    arterial = input_function(
        first_pass,
        [one.aligned.frames for one in outlined.anatomies],
        [one.regions for one in outlined.anatomies],
        residual_mmol_l=left.blood_mmol_l,
    )
    quantified = [
        _quantify_slice(one, first_pass.physics, arterial, left, settings)
        for one in outlined.anatomies
    ]
    slices = tuple(slice_result for slice_result, _ in quantified)
    segments = merge_segments([table for _, table in quantified])
    return FirstPassResult(
        label=first_pass.label,
        state=first_pass.state,
        slices=slices,
        input_function=arterial,
        segments=segments,
        model=settings.model,
        findings=(
            *first_pass_findings(first_pass, slices, arterial, segments),
            *residual_findings(left),
            *outlined.findings,
        ),
    )


def _outline_slices(
    first_pass: FirstPass, progress: Progress
) -> tuple[list[_Anatomy], list[Finding]]:
    """Outline every slice; one that cannot be outlined becomes a finding, all of them an error."""
    anatomies: list[_Anatomy] = []
    findings: list[Finding] = []
    count = len(first_pass.slices)
    levels = slice_levels(count)
    for number, (source, level) in enumerate(zip(first_pass.slices, levels, strict=True), start=1):
        progress(f"{first_pass.label}: slice {number} of {count}")
        try:
            anatomies.append(_outline(source, level))
        except PipelineError as error:
            findings.append(
                Finding(
                    code="slice-left-out",
                    severity=Severity.WARNING,
                    sentence=f"Slice {number} of {count} ({level}) is left out: {error}",
                )
            )
    if not anatomies:
        raise NoHeartError(" ".join(finding.sentence for finding in findings))
    return anatomies, findings


def _outline(source: PerfusionSlice, level: SliceLevel) -> _Anatomy:
    """Motion compensation and anatomy of one slice."""
    time_s, spacing_mm = source.time_s, source.geometry.spacing_mm
    peak = peak_lv_frame(source.frames, time_s)
    box = heart_box(source.frames, time_s, peak, spacing_mm)
    aligned = align(source.frames, time_s, box, peak, spacing_mm)
    regions = segment(aligned.frames, time_s, box, spacing_mm)
    points = insertion_points(regions, source.geometry)
    return _Anatomy(
        source=source,
        level=level,
        peak_lv_frame=peak,
        box=box,
        aligned=aligned,
        regions=regions,
        insertion_points=points,
        sectors=aha_sectors(regions, points, level, spacing_mm),
    )


def _quantify_slice(
    anatomy: _Anatomy,
    physics: Physics,
    arterial: InputFunction,
    left: Residual,
    settings: Settings,
) -> tuple[SliceResult, tuple[SegmentFlow, ...]]:
    """Blood flow of one slice, per pixel and per segment."""
    source, aligned, mask = anatomy.source, anatomy.aligned, anatomy.regions.myocardium

    def fit(curves_mmol_l: FloatArray) -> FlowFit:
        return fit_flow(
            curves_mmol_l,
            source.time_s,
            arterial,
            frame_weight=aligned.frame_weight,
            model=settings.model,
        )

    pixels = tissue_curves(
        aligned.frames,
        mask,
        source,
        physics,
        arterial.arrival_s,
        residual_mmol_l=left.myocardium_mmol_l,
    )
    pixel_fit = fit(pixels)
    segment_of_pixel = anatomy.sectors[mask]
    curves = segment_curves(pixels, segment_of_pixel)
    table = slice_segments(
        curves, fit(curves.curves_mmol_l), source.time_s, pixel_fit, segment_of_pixel
    )
    result = SliceResult(
        geometry=source.geometry,
        level=anatomy.level,
        peak_lv_frame=anatomy.peak_lv_frame,
        box=anatomy.box,
        aligned=aligned,
        regions=anatomy.regions,
        insertion_points=anatomy.insertion_points,
        sectors=anatomy.sectors,
        maps=flow_maps(mask, pixel_fit),
    )
    return result, table


def _reserve(first_passes: Sequence[FirstPassResult]) -> tuple[SegmentReserve, ...]:
    """Stress over rest, where there is exactly one of each and neither is withheld."""
    shown = [one for one in first_passes if not one.withheld]
    rest = [one for one in shown if one.state is State.REST]
    stress = [one for one in shown if one.state is State.STRESS]
    if len(rest) != 1 or len(stress) != 1:
        return ()
    return reserve(rest[0].segments, stress[0].segments)
