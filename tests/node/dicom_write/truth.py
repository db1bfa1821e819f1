"""Results of simulated studies as if the analysis were perfect: the truth in the result's types."""

import numpy as np

from pipeline.phantom import PhantomStudy
from pipeline.result import (
    AlignedSeries,
    FirstPassResult,
    FitStatus,
    FlowMaps,
    PerfusionResult,
    SegmentFlow,
    SegmentReserve,
    SliceResult,
)
from pipeline.study import PerfusionStudy, State


def true_slice(first_pass, truth, number) -> SliceResult:
    """A slice's result, as if the analysis were perfect."""
    one, known = first_pass.slices[number], truth.slices[number]
    n_frames = len(one.frames)
    measured = np.isfinite(known.mbf_ml_min_g)
    return SliceResult(
        geometry=one.geometry,
        level=known.level,
        peak_lv_frame=known.peak_lv_frame,
        box=known.box,
        aligned=AlignedSeries(
            frames=one.frames,
            reference_frame=known.reference_frame,
            bulk_displacement_mm=np.zeros((n_frames, 2)),
            displacement_mm=None,
            frame_weight=np.ones(n_frames),
            method="none",
        ),
        regions=known.regions,
        insertion_points=known.insertion_points,
        sectors=known.sectors,
        maps=FlowMaps(
            mbf_ml_min_g=known.mbf_ml_min_g,
            mbf_sd_ml_min_g=np.where(measured, 0.1, np.nan),
            delay_s=np.where(measured, 1.0, np.nan),
            status=np.where(measured, FitStatus.CONVERGED, FitStatus.NOT_FITTED),
        ),
    )


def true_first_pass(first_pass, truth) -> FirstPassResult:
    """A first pass's result, as if the analysis were perfect."""
    return FirstPassResult(
        label=first_pass.label,
        state=first_pass.state,
        slices=tuple(
            true_slice(first_pass, truth, number) for number in range(len(first_pass.slices))
        ),
        input_function=truth.input_function,
        segments=tuple(
            SegmentFlow(
                segment=segment,
                mbf_ml_min_g=flow,
                mbf_sd_ml_min_g=0.1,
                mbf_pixel_median_ml_min_g=flow,
                n_pixels=50,
                status=FitStatus.CONVERGED,
            )
            for segment, flow in sorted(truth.segment_mbf_ml_min_g.items())
        ),
        model="btex",
        physics=first_pass.physics,
        used=first_pass.physics,
    )


def true_result(study: PerfusionStudy, phantom: PhantomStudy) -> PerfusionResult:
    """The whole study's result, as if the analysis were perfect."""
    truths = {one.state: one for one in phantom.truth.first_passes}
    rest, stress = (truths[state].segment_mbf_ml_min_g for state in (State.REST, State.STRESS))
    return PerfusionResult(
        first_passes=tuple(true_first_pass(one, truths[one.state]) for one in study.first_passes),
        reserve=tuple(
            SegmentReserve(segment=one, mpr=stress[one] / rest[one])
            for one in sorted(rest.keys() & stress.keys())
        ),
    )
