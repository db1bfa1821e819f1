"""The method in order: outline each first pass, find what feeds it, quantify its blood flow.

After Scannell et al., J Magn Reson Imaging 2020;51:1689-1696, doi 10.1002/jmri.26983. Pure: the
same study and settings give the same result.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isfinite

from pipeline.calibration import Calibration, calibrate, calibrated, calibration_findings
from pipeline.dual_echo import without_t2_star
from pipeline.errors import PipelineError
from pipeline.input_function import input_function
from pipeline.input_motion import held_still
from pipeline.input_scale import SharedScale, scale_findings, shared_scales
from pipeline.maps import low_flow_share
from pipeline.margins import measured_wall
from pipeline.native_t1 import (
    NativeT1,
    Outline,
    measure_native_t1,
    native_t1_finding,
    with_native_t1,
)
from pipeline.networks import AnatomyNetwork
from pipeline.outline import Anatomy, Progress, outline_slices
from pipeline.quality import first_pass_findings, study_findings, worst_first
from pipeline.quantify import quantify
from pipeline.reserve import low_reserve_share, only_shown, reserve, work_correction
from pipeline.residual import (
    Baseline,
    Residual,
    by_scales,
    measure_baseline,
    native_baseline,
    residual,
    residual_findings,
)
from pipeline.result import (
    Burden,
    BurdenBy,
    Finding,
    FirstPassFailure,
    FirstPassResult,
    PerfusionResult,
    SegmentReserve,
)
from pipeline.scale_evidence import TwoReadouts, two_readouts
from pipeline.study import FirstPass, PerfusionStudy, Physics, State


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What may be chosen about the method."""

    model: str = "btex"
    """The kinetic model, one of `pipeline.fit`'s."""
    ischaemic_mbf_ml_min_g: float | None = None
    """Stress flow below which myocardium counts as ischaemic; None: no such burden is given."""
    ischaemic_mpr: float | None = None
    """Likewise for the perfusion reserve."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Outlined:
    """One first pass up to where the other first passes are needed."""

    first_pass: FirstPass
    """Without the slices that could not be outlined."""
    anatomies: tuple[Anatomy, ...]
    baseline: Baseline
    told: Physics
    """What header, configuration and T1 maps say, before calibration."""
    findings: tuple[Finding, ...]
    left_slope_mm: tuple[float, float] = (0.0, 0.0)
    """How what the saturation pulse leaves changes with the place (row, column) [1/mm]."""


def _silent(_: str) -> None:
    """Report progress to nobody."""


def analyse(
    study: PerfusionStudy,
    network: AnatomyNetwork,
    settings: Settings | None = None,
    progress: Progress = _silent,
) -> PerfusionResult:
    """Quantify myocardial blood flow in every first pass of a study.

    A first pass that cannot be analysed becomes a failure with its reason; the others go on.

    Parameters
    ----------
    study
        The first passes.
    network
        Outlines the heart.
    settings
        None: the defaults.
    progress
        Called with a few words before each piece of work.
    """
    settings = settings or Settings()
    outlined: list[_Outlined] = []
    analysed: list[FirstPassResult] = []
    failures: list[FirstPassFailure] = []
    for first_pass in study.first_passes:
        with _failing_into(failures, first_pass):
            outlined.append(_outline_first_pass(first_pass, network, progress))
    native_t1 = _native_t1(study, outlined)
    if native_t1 is not None:
        outlined = [_with_native_t1(one, native_t1) for one in outlined]
    outlined = _calibrated(outlined)
    residuals = _residuals(outlined)
    readouts = _two_readouts(outlined, residuals)
    residuals = by_scales(residuals, readouts)
    shared = shared_scales(
        [
            one and replace(one, residual_mmol_l=left.blood_mmol_l)
            for one, left in zip(readouts, residuals, strict=True)
        ]
    )
    for one, left, scale in zip(outlined, residuals, shared, strict=True):
        with _failing_into(failures, one.first_pass):
            analysed.append(_quantify_first_pass(one, left, scale, settings, progress))
    reserves = _reserve(analysed)
    return PerfusionResult(
        first_passes=tuple(analysed),
        failures=tuple(failures),
        reserve=reserves,
        burden=tuple(_burden(analysed, reserves, settings)),
        findings=(*study_findings(analysed), *_t1_findings(study, analysed, native_t1)),
    )


@contextmanager
def _failing_into(failures: list[FirstPassFailure], first_pass: FirstPass) -> Iterator[None]:
    """Turn an error about one first pass into its failure, so that the others go on."""
    try:
        yield
    except PipelineError as error:
        failures.append(
            FirstPassFailure(label=first_pass.label, state=first_pass.state, reason=str(error))
        )


def _outline_first_pass(
    first_pass: FirstPass, network: AnatomyNetwork, progress: Progress
) -> _Outlined:
    """Anatomy of every slice, and when the bolus arrives."""
    anatomies, findings = outline_slices(first_pass, network, progress)
    series = first_pass.input_series
    first_pass = replace(
        first_pass,
        slices=tuple(one.source for one in anatomies),
        input_series=series and held_still(without_t2_star(series), anatomies[0]),
    )
    progress(f"{first_pass.label}: input function")
    frames = [one.aligned.frames for one in anatomies]
    regions = [one.regions for one in anatomies]
    arrival_s = input_function(first_pass, frames, regions).arrival_s
    return _Outlined(
        first_pass=first_pass,
        anatomies=tuple(anatomies),
        baseline=measure_baseline(first_pass.slices, frames, regions, arrival_s),
        told=first_pass.physics,
        findings=tuple(findings),
    )


def _native_t1(study: PerfusionStudy, outlined: Sequence[_Outlined]) -> NativeT1 | None:
    """Measure T1 in the maps of the study, under all outlines."""
    if not outlined:
        return None
    outlines = [
        Outline(geometry=anatomy.source.geometry, regions=anatomy.regions)
        for one in outlined
        for anatomy in one.anatomies
    ]
    field_strength_t = outlined[0].first_pass.physics.field_strength_t
    return measure_native_t1(study.t1_maps, outlines, field_strength_t)


def _with_native_t1(outlined: _Outlined, found: NativeT1) -> _Outlined:
    first_pass = with_native_t1(outlined.first_pass, found)
    return replace(outlined, first_pass=first_pass, told=first_pass.physics)


def _t1_findings(
    study: PerfusionStudy, analysed: Sequence[FirstPassResult], found: NativeT1 | None
) -> tuple[Finding, ...]:
    """Say once for the study where native T1 comes from."""
    if not analysed:
        return ()
    said = native_t1_finding(study.t1_maps, found, analysed[0].physics)
    return () if said is None else (said,)


def _calibrated(outlined: Sequence[_Outlined]) -> list[_Outlined]:
    """Find out about scanner and body where no contrast agent was given yet, for all passes."""
    if not outlined:
        return []
    native = native_baseline([one.baseline for one in outlined])
    first = next(one for one in outlined if one.baseline is native)
    found = calibrate(
        first.first_pass,
        [one.aligned.frames for one in first.anatomies],
        [one.regions for one in first.anatomies],
    )
    if found is None:
        return list(outlined)
    return [_as_found(one, found) for one in outlined]


def _as_found(outlined: _Outlined, found: Calibration) -> _Outlined:
    """Give a first pass the scanner and body that were found out."""
    first_pass = calibrated(outlined.first_pass, found)
    return replace(
        outlined,
        first_pass=first_pass,
        anatomies=tuple(
            replace(one, source=source)
            for one, source in zip(outlined.anatomies, first_pass.slices, strict=True)
        ),
        left_slope_mm=found.left_slope_mm,
        findings=(*outlined.findings, *calibration_findings(found)),
    )


def _residuals(outlined: Sequence[_Outlined]) -> list[Residual]:
    """Contrast agent that was there before each first pass; none before the first injection."""
    if not outlined:
        return []
    native = native_baseline([one.baseline for one in outlined])
    return [residual(one.baseline, native, one.first_pass.physics) for one in outlined]


def _two_readouts(
    outlined: Sequence[_Outlined], residuals: Sequence[Residual]
) -> list[TwoReadouts | None]:
    """Read the blood of each first pass that has a short readout."""
    return [
        two_readouts(
            one.first_pass,
            [each.aligned.frames for each in one.anatomies],
            [each.regions for each in one.anatomies],
            left.blood_mmol_l,
        )
        for one, left in zip(outlined, residuals, strict=True)
    ]


def _quantify_first_pass(
    outlined: _Outlined,
    left: Residual,
    scale: SharedScale | None,
    settings: Settings,
    progress: Progress,
) -> FirstPassResult:
    """Input function and blood flow of all slices."""
    first_pass = outlined.first_pass
    progress(f"{first_pass.label}: blood flow")
    arterial = input_function(
        first_pass,
        [one.aligned.frames for one in outlined.anatomies],
        [one.regions for one in outlined.anatomies],
        residual_mmol_l=left.blood_mmol_l,
        shared=scale,
    )
    slices, segments = quantify(
        outlined.anatomies,
        first_pass.physics,
        arterial,
        left,
        settings.model,
        outlined.left_slope_mm,
        first_pass.state,
    )
    return FirstPassResult(
        label=first_pass.label,
        state=first_pass.state,
        slices=slices,
        input_function=arterial,
        segments=segments,
        model=settings.model,
        physics=outlined.told,
        used=first_pass.physics,
        heart_rate_bpm=first_pass.heart_rate_bpm,
        systolic_pressure_mmhg=first_pass.systolic_pressure_mmhg,
        findings=worst_first(
            [
                *first_pass_findings(first_pass, slices, arterial, segments),
                *scale_findings(scale, arterial.spread),
                *residual_findings(left),
                *outlined.findings,
            ]
        ),
    )


def _reserve(first_passes: Sequence[FirstPassResult]) -> tuple[SegmentReserve, ...]:
    """Stress over rest, where there is exactly one of each and neither is withheld."""
    rest, stress = only_shown(first_passes, State.REST), only_shown(first_passes, State.STRESS)
    if rest is None or stress is None:
        return ()
    return reserve(rest.segments, stress.segments, work_correction(rest.rate_pressure_product))


def _burden(
    first_passes: Sequence[FirstPassResult],
    reserves: Sequence[SegmentReserve],
    settings: Settings,
) -> Iterator[Burden]:
    """Ischaemic burden by each threshold that is configured and can be applied."""
    stress = only_shown(first_passes, State.STRESS)
    if stress is None:
        return
    limit = settings.ischaemic_mbf_ml_min_g
    if limit is not None:
        maps = [
            (one.maps, measured_wall(one.regions, one.geometry.spacing_mm)) for one in stress.slices
        ]
        share = low_flow_share(maps, limit)
        if isfinite(share):
            yield Burden(by=BurdenBy.STRESS_FLOW, threshold=limit, share=share)
    limit = settings.ischaemic_mpr
    if limit is not None and reserves:
        share = low_reserve_share(reserves, stress.segments, limit)
        yield Burden(by=BurdenBy.RESERVE, threshold=limit, share=share)
