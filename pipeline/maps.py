"""From fitted curves to maps [row, column] and to the table of AHA segments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import ndimage, stats

from pipeline.result import FitStatus, FlowMaps, Regions, SegmentFlow, merged_sd_ml_min_g
from pipeline.study import BoolArray, FloatArray, IntArray

TRIMMED_SHARE = 0.25
"""Share of pixels left out at either end of a segment's mean, frame by frame.

Pixels of the rim carry blood of the cavity or air; where an outline slips there are many, and they
must not move the segment. With 0.1 segments of phantoms 950 to 959 agree less (ICC 0.73, now 0.76).
"""

LEAST_PIXELS = 4
"""A segment with fewer usable pixels has no curve."""

MEASURED = (FitStatus.CONVERGED, FitStatus.AT_BOUND)
"""Fits whose flow is a number to go by."""

N_SEGMENTS = 16

LEAST_INNER_PIXELS = 6
"""Below this, the wall is too thin to do without the pixels of its rim."""


class Fitted(Protocol):
    """What is needed of a fit of many curves (see `pipeline.fit.FlowFit`)."""

    @property
    def mbf_ml_min_g(self) -> FloatArray:
        """[curve]."""

    @property
    def mbf_sd_ml_min_g(self) -> FloatArray:
        """[curve]."""

    @property
    def mbf_model_sd_ml_min_g(self) -> FloatArray:
        """[curve]."""

    @property
    def delay_s(self) -> FloatArray:
        """[curve]."""

    @property
    def status(self) -> IntArray:
        """[curve]."""

    @property
    def fitted_mmol_l(self) -> FloatArray:
        """[curve, time]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentCurves:
    """Mean concentration curves of the segments in one slice."""

    segments: tuple[int, ...]
    curves_mmol_l: FloatArray
    """[segment, time]."""
    n_pixels: tuple[int, ...]


def flow_maps(mask: BoolArray, fit: Fitted) -> FlowMaps:
    """Put the fits of the pixels of `mask` [row, column] back in their places.

    The order of the fitted curves is that of ``frames[:, mask]``.
    """
    status = np.full(mask.shape, FitStatus.NOT_FITTED.value)
    status[mask] = fit.status

    def spread(values: FloatArray) -> FloatArray:
        image = np.full(mask.shape, np.nan)
        image[mask] = values
        return image

    return FlowMaps(
        mbf_ml_min_g=spread(fit.mbf_ml_min_g),
        mbf_sd_ml_min_g=spread(fit.mbf_sd_ml_min_g),
        delay_s=spread(fit.delay_s),
        status=status,
    )


def outer_half(regions: Regions, spacing_mm: tuple[float, float]) -> BoolArray:
    """Which pixels of the wall [pixel] lie in its outer half, in the order of ``[mask]``.

    Halves are told apart by the distance to the cavity against that to the outside.
    """
    cavity, heart = regions.lv_pool, regions.myocardium | regions.lv_pool
    to_cavity = ndimage.distance_transform_edt(~cavity, sampling=spacing_mm)
    to_outside = ndimage.distance_transform_edt(heart, sampling=spacing_mm)
    outer: BoolArray = (to_cavity >= to_outside)[regions.myocardium]
    return outer


def half_numbers(segment_of_pixel: IntArray, outer: BoolArray) -> IntArray:
    """Give each half of a segment a number [pixel]: 1 to 16 the inner, 17 to 32 the outer ones."""
    numbers: IntArray = segment_of_pixel + N_SEGMENTS * (outer & (segment_of_pixel > 0))
    return numbers


def half_flows(halves: SegmentCurves, fit: Fitted) -> dict[int, float]:
    """Flow of each half of a segment (`half_numbers`) that has a fit to go by [mL/min/g]."""
    return {
        number: float(fit.mbf_ml_min_g[row])
        for row, number in enumerate(halves.segments)
        if fit.status[row] in MEASURED
    }


def low_flow_share(
    slices: Sequence[tuple[FlowMaps, BoolArray]], threshold_ml_min_g: float
) -> float:
    """Share of the fitted myocardium whose flow is under the threshold; NaN where none is fitted.

    Parameters
    ----------
    slices
        Maps and measured wall of each slice. The edges of the wall, which read too low because they
        hold blood, do not count where there is wall without them. A pixel counts by the median of
        itself and its neighbours: noise alone puts pixels of healthy wall under a threshold.
    """
    flows = [_inner_flows(one, inner) for one, inner in slices]
    values = np.concatenate([np.empty(0), *flows])
    return float(np.mean(values < threshold_ml_min_g)) if values.size else float("nan")


def _inner_flows(maps: FlowMaps, inner: BoolArray) -> FloatArray:
    fitted = np.isin(maps.status, MEASURED)
    counted = fitted & inner if (fitted & inner).any() else fitted
    known = np.pad(np.where(counted, maps.mbf_ml_min_g, np.nan), 1, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(known, (3, 3))[counted]
    flows: FloatArray = np.nanmedian(around.reshape(-1, 9), axis=1)
    return flows


def segment_curves(
    curves_mmol_l: FloatArray, segment_of_pixel: IntArray, inner: BoolArray | None = None
) -> SegmentCurves:
    """Trimmed mean curve of each AHA segment in one slice.

    Parameters
    ----------
    curves_mmol_l
        Of the pixels [pixel, time]; rows with NaN are left out.
    segment_of_pixel
        ``sectors[mask]``: AHA number, 0 for none, [pixel].
    inner
        Pixels that are used where a segment has enough of them [pixel] (`measured_wall`).
    """
    usable = np.isfinite(curves_mmol_l).all(axis=1)
    preferred = usable if inner is None else usable & inner
    members = {}
    for segment in np.unique(segment_of_pixel[segment_of_pixel > 0]):
        here = segment_of_pixel == segment
        chosen = preferred if np.count_nonzero(preferred & here) >= LEAST_INNER_PIXELS else usable
        members[int(segment)] = curves_mmol_l[chosen & here]
    members = {
        segment: curves for segment, curves in members.items() if len(curves) >= LEAST_PIXELS
    }
    means = [stats.trim_mean(curves, TRIMMED_SHARE, axis=0) for curves in members.values()]
    return SegmentCurves(
        segments=tuple(members),
        curves_mmol_l=np.array(means).reshape(len(means), curves_mmol_l.shape[1]),
        n_pixels=tuple(len(curves) for curves in members.values()),
    )


def slice_segments(
    curves: SegmentCurves,
    fit: Fitted,
    time_s: FloatArray,
    pixel_fit: Fitted,
    segment_of_pixel: IntArray,
    halves: Mapping[int, float],
) -> tuple[SegmentFlow, ...]:
    """Table of one slice from the fits of segment curves and pixels, and from `half_flows`.

    A segment whose fit is nothing to go by has no flow, but a status that says why.
    """
    known = np.where(np.isin(fit.status, MEASURED), 1.0, np.nan)
    return tuple(
        SegmentFlow(
            segment=segment,
            mbf_ml_min_g=float(known[row] * fit.mbf_ml_min_g[row]),
            mbf_sd_ml_min_g=float(known[row] * fit.mbf_sd_ml_min_g[row]),
            mbf_model_sd_ml_min_g=float(known[row] * fit.mbf_model_sd_ml_min_g[row]),
            mbf_pixel_median_ml_min_g=_median_flow(pixel_fit, segment_of_pixel == segment),
            n_pixels=curves.n_pixels[row],
            status=FitStatus(int(fit.status[row])),
            mbf_endo_ml_min_g=halves.get(segment, np.nan),
            mbf_epi_ml_min_g=halves.get(segment + N_SEGMENTS, np.nan),
            time_s=time_s,
            concentration_mmol_l=curves.curves_mmol_l[row],
            fitted_mmol_l=fit.fitted_mmol_l[row],
        )
        for row, segment in enumerate(curves.segments)
    )


def merge_segments(slices: Sequence[tuple[SegmentFlow, ...]]) -> tuple[SegmentFlow, ...]:
    """One table of a first pass, ordered by segment.

    Where several slices cover a segment, its flow is the mean of those that measure it, weighted by
    pixels, and the curve shown is that of the slice with most pixels.
    """
    by_segment: dict[int, list[SegmentFlow]] = {}
    for table in slices:
        for one in table:
            by_segment.setdefault(one.segment, []).append(one)
    return tuple(_merge(by_segment[segment]) for segment in sorted(by_segment))


def _merge(parts: list[SegmentFlow]) -> SegmentFlow:
    parts = [one for one in parts if np.isfinite(one.mbf_ml_min_g)] or parts
    if len(parts) == 1:
        return parts[0]
    n_pixels = np.array([one.n_pixels for one in parts])
    share = n_pixels / n_pixels.sum()
    largest = parts[int(np.argmax(n_pixels))]
    whole_sd, model_sd = merged_sd_ml_min_g(parts)
    return SegmentFlow(
        segment=largest.segment,
        mbf_ml_min_g=float(share @ [one.mbf_ml_min_g for one in parts]),
        mbf_sd_ml_min_g=whole_sd,
        mbf_model_sd_ml_min_g=model_sd,
        mbf_pixel_median_ml_min_g=float(share @ [one.mbf_pixel_median_ml_min_g for one in parts]),
        n_pixels=int(n_pixels.sum()),
        status=max(one.status for one in parts),
        mbf_endo_ml_min_g=_known_mean(share, [one.mbf_endo_ml_min_g for one in parts]),
        mbf_epi_ml_min_g=_known_mean(share, [one.mbf_epi_ml_min_g for one in parts]),
        time_s=largest.time_s,
        concentration_mmol_l=largest.concentration_mmol_l,
        fitted_mmol_l=largest.fitted_mmol_l,
    )


def _known_mean(share: FloatArray, values: Sequence[float]) -> float:
    """Mean of the values that are there; NaN where none is."""
    known = np.isfinite(values)
    return (
        float(np.average(np.compress(known, values), weights=share[known]))
        if known.any()
        else float("nan")
    )


def _median_flow(fit: Fitted, member: BoolArray) -> float:
    """Median over the pixels whose fit is a number; NaN where there is none."""
    flows = fit.mbf_ml_min_g[member]
    flows = flows[np.isfinite(flows)]
    return float(np.median(flows)) if flows.size else float("nan")
