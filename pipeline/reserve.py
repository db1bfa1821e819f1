"""Coronary territories, perfusion reserve, and how much of the myocardium has too little."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from pipeline.result import (
    FirstPassResult,
    FitStatus,
    RegionFlow,
    Reserve,
    SegmentFlow,
    SegmentReserve,
    merged_sd_ml_min_g,
)
from pipeline.study import State


class Territory(StrEnum):
    """Coronary artery that supplies a segment (AHA 2002, doi 10.1161/hc0402.102975)."""

    LAD = "left anterior descending"
    RCA = "right coronary"
    LCX = "left circumflex"


SEGMENTS_OF_TERRITORY: Final[Mapping[Territory, tuple[int, ...]]] = {
    Territory.LAD: (1, 2, 7, 8, 13, 14),
    Territory.RCA: (3, 4, 9, 10, 15),
    Territory.LCX: (5, 6, 11, 12, 16),
}

_ALL_SEGMENTS: Final = tuple(range(1, 17))

USUAL_RATE_PRESSURE_PRODUCT: Final = 10_000.0
"""[mmHg/min] to which rest flow is corrected. Work of the heart sets its flow at rest, not under
vasodilators, so a reserve is compared between people at the same work (Czernin 1993, doi
10.1161/01.CIR.88.1.62); 10,000 is the convention of the literature on reserve."""

_MEASURED: Final = (FitStatus.CONVERGED, FitStatus.AT_BOUND)


@dataclass(frozen=True, kw_only=True, eq=False)
class TerritoryFlow(RegionFlow):
    """Blood flow of several segments together, each weighted by its pixels.

    The halves of the wall are summed up over the segments in which both have a fit.
    """

    territory: Territory | None
    """None: the whole myocardium."""


@dataclass(frozen=True, kw_only=True)
class TerritoryReserve(Reserve):
    """Perfusion reserve of several segments together."""

    territory: Territory | None
    """None: the whole myocardium."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TableRow:
    """One line of the table: an AHA segment, a territory, or the whole myocardium."""

    segment: int | None
    territory: Territory | None
    """None with `segment` None: the whole myocardium."""
    flows: tuple[RegionFlow | None, ...]
    """In each of the first passes; None where it was not measured."""
    reserve: Reserve | None


def territory_name(territory: Territory | None) -> str:
    """Name a region as people do: ``LAD``, ``global``."""
    return "global" if territory is None else territory.name


def only_shown(first_passes: Iterable[FirstPassResult], state: State) -> FirstPassResult | None:
    """Find the one first pass of a state whose numbers may be shown; None: none or several."""
    found = [one for one in first_passes if one.state is state and not one.withheld]
    return found[0] if len(found) == 1 else None


def territory_flows(segments: Sequence[SegmentFlow]) -> tuple[TerritoryFlow, ...]:
    """Sum up the coronary territories and the whole myocardium, as far as they were measured."""
    flows = []
    for territory in (*Territory, None):
        members = _ALL_SEGMENTS if territory is None else SEGMENTS_OF_TERRITORY[territory]
        measured = [one for one in segments if one.segment in members and _is_measured(one)]
        if measured:
            flows.append(_territory_flow(territory, measured))
    return tuple(flows)


def reserve(
    rest: Sequence[SegmentFlow],
    stress: Sequence[SegmentFlow],
    rest_correction: float | None = None,
) -> tuple[SegmentReserve, ...]:
    """Stress over rest MBF of each segment that was measured in both states.

    Parameters
    ----------
    rest_correction
        Factor of rest MBF for the work of the heart (`work_correction`); None: not known.
    """
    return tuple(
        SegmentReserve(
            segment=under_stress.segment,
            mpr=(mpr := under_stress.mbf_ml_min_g / at_rest.mbf_ml_min_g),
            mpr_corrected=None if rest_correction is None else mpr / rest_correction,
        )
        for at_rest, under_stress in _pairs(rest, stress)
    )


def territory_reserve(
    rest: Sequence[SegmentFlow],
    stress: Sequence[SegmentFlow],
    rest_correction: float | None = None,
) -> tuple[TerritoryReserve, ...]:
    """Stress over rest MBF of the territories and the whole, from segments measured in both."""
    pairs = _pairs(rest, stress)
    at_rest = territory_flows([one for one, _ in pairs])
    under_stress = territory_flows([one for _, one in pairs])
    return tuple(
        TerritoryReserve(
            territory=calm.territory,
            mpr=(mpr := worked.mbf_ml_min_g / calm.mbf_ml_min_g),
            mpr_corrected=None if rest_correction is None else mpr / rest_correction,
        )
        for calm, worked in zip(at_rest, under_stress, strict=True)
    )


def flow_table(
    first_passes: Sequence[FirstPassResult], reserves: Sequence[SegmentReserve]
) -> tuple[TableRow, ...]:
    """Lay segments, territories and the whole of several first passes side by side.

    Parameters
    ----------
    first_passes
        Those whose numbers may be shown.
    reserves
        Of the segments; empty: no reserve is given.
    """
    rest, stress = (only_shown(first_passes, one) for one in (State.REST, State.STRESS))
    of_segment = {one.segment: one for one in reserves}
    of_territory = {}
    if reserves and rest is not None and stress is not None:
        correction = work_correction(rest.rate_pressure_product)
        found = territory_reserve(rest.segments, stress.segments, correction)
        of_territory = {one.territory: one for one in found}
    segments = [{one.segment: one for one in done.segments} for done in first_passes]
    wholes = [
        {one.territory: one for one in territory_flows(done.segments)} for done in first_passes
    ]
    return (
        *(
            TableRow(
                segment=number,
                territory=None,
                flows=tuple(known.get(number) for known in segments),
                reserve=of_segment.get(number),
            )
            for number in _ALL_SEGMENTS
            if any(number in known for known in segments)
        ),
        *(
            TableRow(
                segment=None,
                territory=territory,
                flows=tuple(known.get(territory) for known in wholes),
                reserve=of_territory.get(territory),
            )
            for territory in (*Territory, None)
            if any(territory in known for known in wholes)
        ),
    )


def work_sentences(first_passes: Iterable[FirstPassResult]) -> list[str]:
    """Say how fast the hearts beat, and whether rest flow could be corrected for it."""
    sentences = []
    for one in first_passes:
        rate, product = one.heart_rate_bpm, one.rate_pressure_product
        told = "not known" if rate is None else f"{rate:.0f} /min"
        sentence = f"{one.label}: heart rate {told}"
        if product is not None:
            sentence += f", rate-pressure product {product:.0f} mmHg/min"
        if one.state is State.REST:
            sentence += (
                "; reserve is not corrected for it, systolic pressure or heart rate is not known"
                if product is None
                else f"; the corrected reserve takes rest at {USUAL_RATE_PRESSURE_PRODUCT:.0f}"
            )
        sentences.append(f"{sentence}.")
    return sentences


def work_correction(rate_pressure_product: float | None) -> float | None:
    """Return by what to multiply rest MBF to have it at the usual rate-pressure product."""
    if rate_pressure_product is None:
        return None
    return USUAL_RATE_PRESSURE_PRODUCT / rate_pressure_product


def low_reserve_share(
    reserves: Sequence[SegmentReserve], stress: Sequence[SegmentFlow], threshold: float
) -> float:
    """Share of the myocardium in segments whose reserve is under the threshold; NaN: none has one.

    Segments count by their pixels under stress. Rest and stress are not laid on each other pixel by
    pixel, so a finer share would be of two different hearts.
    """
    pixels = {one.segment: one.n_pixels for one in stress}
    known = [one for one in reserves if one.segment in pixels]
    if not known:
        return float("nan")
    below = [one.mpr < threshold for one in known]
    return float(np.average(below, weights=[pixels[one.segment] for one in known]))


def _pairs(
    rest: Sequence[SegmentFlow], stress: Sequence[SegmentFlow]
) -> list[tuple[SegmentFlow, SegmentFlow]]:
    """Return each segment that was measured in both states, with a flow at rest to divide by."""
    at_rest = {one.segment: one for one in rest if _is_measured(one) and one.mbf_ml_min_g > 0.0}
    return [
        (at_rest[one.segment], one)
        for one in stress
        if _is_measured(one) and one.segment in at_rest
    ]


def _territory_flow(territory: Territory | None, measured: Sequence[SegmentFlow]) -> TerritoryFlow:
    layered = [one for one in measured if np.isfinite(one.mbf_endo_ml_min_g + one.mbf_epi_ml_min_g)]
    seen = [one for one in measured if np.isfinite(one.mbf_pixel_median_ml_min_g)]
    whole_sd, model_sd = merged_sd_ml_min_g(measured)
    return TerritoryFlow(
        territory=territory,
        n_pixels=sum(one.n_pixels for one in measured),
        mbf_sd_ml_min_g=whole_sd,
        mbf_model_sd_ml_min_g=model_sd,
        mbf_ml_min_g=_mean([one.mbf_ml_min_g for one in measured], measured),
        mbf_pixel_median_ml_min_g=_mean([one.mbf_pixel_median_ml_min_g for one in seen], seen),
        mbf_endo_ml_min_g=_mean([one.mbf_endo_ml_min_g for one in layered], layered),
        mbf_epi_ml_min_g=_mean([one.mbf_epi_ml_min_g for one in layered], layered),
    )


def _is_measured(one: SegmentFlow) -> bool:
    return one.status in _MEASURED and bool(np.isfinite(one.mbf_ml_min_g))


def _mean(values: Sequence[float], segments: Sequence[SegmentFlow]) -> float:
    if not values:
        return float("nan")
    return float(np.average(values, weights=[one.n_pixels for one in segments]))
