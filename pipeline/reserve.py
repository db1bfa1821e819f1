"""Myocardial perfusion reserve, coronary territories and ischaemic burden."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

import numpy as np

from pipeline.result import FitStatus, FlowMaps, SegmentFlow, SegmentReserve
from pipeline.study import FloatArray


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

_MEASURED: Final = (FitStatus.CONVERGED, FitStatus.AT_BOUND)


def reserve(
    rest: Sequence[SegmentFlow], stress: Sequence[SegmentFlow]
) -> tuple[SegmentReserve, ...]:
    """Stress over rest MBF of each segment that was measured in both states."""
    at_rest = {one.segment: one.mbf_ml_min_g for one in rest if _is_measured(one)}
    return tuple(
        SegmentReserve(segment=one.segment, mpr=one.mbf_ml_min_g / at_rest[one.segment])
        for one in stress
        if _is_measured(one) and at_rest.get(one.segment, 0.0) > 0.0
    )


def territory_flow(segments: Sequence[SegmentFlow]) -> dict[Territory, float]:
    """Mean MBF of each territory [mL/min/g], segments weighted by their pixels."""
    flows = {}
    for territory, members in SEGMENTS_OF_TERRITORY.items():
        measured = [one for one in segments if one.segment in members and _is_measured(one)]
        if measured:
            flows[territory] = _mean_flow(measured)
    return flows


def global_flow(segments: Sequence[SegmentFlow]) -> float:
    """Mean MBF of all measured segments [mL/min/g]; NaN where there is none."""
    measured = [one for one in segments if _is_measured(one)]
    return _mean_flow(measured) if measured else float("nan")


def ischaemic_burden(maps: Sequence[FlowMaps], threshold_ml_min_g: float) -> float:
    """Share of fitted myocardial pixels with flow under the threshold; NaN where none is fitted."""
    flows: FloatArray = np.concatenate(
        [one.mbf_ml_min_g[np.isin(one.status, _MEASURED)] for one in maps] or [np.empty(0)]
    )
    return float(np.mean(flows < threshold_ml_min_g)) if flows.size else float("nan")


def _is_measured(one: SegmentFlow) -> bool:
    return one.status in _MEASURED and bool(np.isfinite(one.mbf_ml_min_g))


def _mean_flow(segments: Sequence[SegmentFlow]) -> float:
    return float(
        np.average(
            [one.mbf_ml_min_g for one in segments], weights=[one.n_pixels for one in segments]
        )
    )
