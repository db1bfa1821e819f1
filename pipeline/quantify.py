"""Blood flow of a first pass, from its outlined slices and its input function."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.concentration import baseline_frames, tissue_curves
from pipeline.fit import FlowFit, Prior, fit_flow, learned_prior, model_in
from pipeline.maps import (
    SegmentCurves,
    flow_maps,
    half_flows,
    half_numbers,
    merge_segments,
    outer_half,
    segment_curves,
    slice_segments,
)
from pipeline.margins import measured_wall
from pipeline.outline import Anatomy
from pipeline.passage import right_arrival_s
from pipeline.residual import Residual
from pipeline.result import InputFunction, SegmentFlow, SliceResult
from pipeline.study import FloatArray, IntArray, Physics, State

LEAST_DARK_FRAMES: Final = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class _Curves:
    """Concentration curves of one slice."""

    anatomy: Anatomy
    pixels_mmol_l: FloatArray
    """[pixel, time], in the order of ``frames[:, myocardium]``."""
    segment_of_pixel: IntArray
    segments: SegmentCurves
    halves: SegmentCurves
    """Of the inner and outer halves of the segments, numbered by `half_numbers`."""


def quantify(
    anatomies: Sequence[Anatomy],
    physics: Physics,
    arterial: InputFunction,
    left: Residual,
    model: str,
    left_slope_mm: tuple[float, float] = (0.0, 0.0),
    state: State = State.UNDETERMINED,
) -> tuple[tuple[SliceResult, ...], tuple[SegmentFlow, ...]]:
    """Fit blood flow to every pixel and every AHA segment of a first pass.

    The curves of the segments are fitted several times: at first alone, to learn what the curves of
    this heart have in common (volumes, permeability, delay, usual flow), then with that as prior.

    Parameters
    ----------
    anatomies
        The outlined slices.
    arterial
        Input function of this first pass.
    left
        Contrast agent of an earlier injection.
    model
        A name of `pipeline.fit.models.MODELS`.
    left_slope_mm
        How what the saturation pulse leaves changes with the place (row, column) [1/mm].
    state
        Says which flow is usual.
    """
    expected = model_in(state, model)
    slices = [_curves(one, physics, arterial, left, left_slope_mm) for one in anatomies]

    def fit(curves: _Curves, concentration: FloatArray, prior: Prior | None = None) -> FlowFit:
        return fit_flow(
            concentration,
            curves.anatomy.source.time_s,
            arterial,
            frame_weight=curves.anatomy.aligned.frame_weight,
            model=expected,
            haematocrit=physics.haematocrit,
            prior=prior,
        )

    prior = learned_prior(
        lambda prior: [fit(one, one.segments.curves_mmol_l, prior) for one in slices], expected
    )
    results, tables = [], []
    for one in slices:
        pixel_fit = fit(one, one.pixels_mmol_l, prior)
        segment_fit = fit(one, one.segments.curves_mmol_l, prior)
        half_fit = fit(one, one.halves.curves_mmol_l, prior)
        results.append(_slice_result(one.anatomy, pixel_fit))
        tables.append(
            slice_segments(
                one.segments,
                segment_fit,
                one.anatomy.source.time_s,
                pixel_fit,
                one.segment_of_pixel,
                half_flows(one.halves, half_fit),
            )
        )
    return tuple(results), merge_segments(tables)


def _curves(
    anatomy: Anatomy,
    physics: Physics,
    arterial: InputFunction,
    left: Residual,
    left_slope_mm: tuple[float, float],
) -> _Curves:
    mask = anatomy.regions.myocardium
    row, column = np.argwhere(anatomy.regions.lv_pool).mean(axis=0)
    pixels = tissue_curves(
        anatomy.aligned.frames,
        mask,
        anatomy.source,
        physics,
        _dark_until_s(anatomy, arterial.arrival_s),
        residual_mmol_l=left.myocardium_mmol_l,
        left_slope_mm=left_slope_mm,
        origin=(float(row), float(column)),
    )
    segment_of_pixel = anatomy.sectors[mask]
    spacing_mm = anatomy.source.geometry.spacing_mm
    outer = outer_half(anatomy.regions, spacing_mm)
    inner = measured_wall(anatomy.regions, spacing_mm)[mask]
    return _Curves(
        anatomy=anatomy,
        pixels_mmol_l=pixels,
        segment_of_pixel=segment_of_pixel,
        segments=segment_curves(pixels, segment_of_pixel, inner),
        halves=segment_curves(pixels, half_numbers(segment_of_pixel, outer), inner),
    )


def _dark_until_s(anatomy: Anatomy, arrival_s: float) -> float:
    """Until when the wall is as it was before the bolus [s].

    The bright right ventricle rings into the septum and darkens it by a fifth before any contrast
    agent is there, so that the baseline ends when the bolus comes to the right side, if there are
    frames enough before.
    """
    right_s = right_arrival_s(anatomy.source, anatomy.aligned.frames, anatomy.regions)
    if right_s is None or right_s > arrival_s:
        return arrival_s
    enough = baseline_frames(anatomy.source.time_s, right_s) >= LEAST_DARK_FRAMES
    return right_s if enough else arrival_s


def _slice_result(anatomy: Anatomy, pixel_fit: FlowFit) -> SliceResult:
    return SliceResult(
        geometry=anatomy.source.geometry,
        level=anatomy.level,
        peak_lv_frame=anatomy.peak_lv_frame,
        box=anatomy.box,
        aligned=anatomy.aligned,
        regions=anatomy.regions,
        insertion_points=anatomy.insertion_points,
        sectors=anatomy.sectors,
        maps=flow_maps(anatomy.regions.myocardium, pixel_fit),
    )
