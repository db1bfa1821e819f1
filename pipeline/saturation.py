"""How complete the saturation pulse was, from the images themselves.

A few percent of magnetisation that the pulse leaves over brighten the dark baseline as much as the
recovery that is expected there, and everything that is normalised by the baseline comes out too
low: blood by far more than tissue. Headers do not say how complete saturation was. Three ways to
find out, the best first: proton-density frames; two readouts of the same blood, which agree only
at the right value; the ceiling of the blood signal, which tells the magnetisation at hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pipeline import signal_model
from pipeline.blood_curve import agreement, baseline
from pipeline.blood_pool import PoolSignal, pool_signal, series_pool_signal
from pipeline.result import Finding, Regions, Severity
from pipeline.study import FirstPass, FloatArray, InputKind, Origin, Physics, Readout

CANDIDATES: Final = np.linspace(0.88, 1.0, 121)
"""Efficiencies that are considered; with a pulse below, nothing can be quantified."""

PEAK_PER_DOSE: Final = 85.0
"""Peak in blood [mmol/L] for a dose of 1 mmol/kg: 3.5 to 4.4 for 0.05 (Kellman 2017)."""

UNKNOWN_PEAK_MMOL_L: Final = 5.0
PEAK_SPREAD: Final = 0.35
"""Standard deviation of the logarithm of the peak between people."""

FIELD: Final = "readout.saturation_efficiency"


@dataclass(frozen=True, kw_only=True)
class Saturation:
    """What was found out about the saturation pulse."""

    efficiency: float
    """1: nothing left over."""
    method: str
    rough: bool = False
    """Good for tens of percent of flow only."""


def measure_saturation(
    first_pass: FirstPass, aligned_frames: Sequence[FloatArray], regions: Sequence[Regions]
) -> Saturation | None:
    """Measure the efficiency in a first pass before which no contrast agent was given.

    Parameters
    ----------
    first_pass
        The first injection of the examination.
    aligned_frames, regions
        Of each slice.

    Returns
    -------
    None where the efficiency is known (header, configuration) or cannot be found out.
    """
    origin = first_pass.physics.origin.get(FIELD, Origin.DEFAULT)
    pools = [
        found
        for one, frames, masks in zip(first_pass.slices, aligned_frames, regions, strict=True)
        if (found := pool_signal(one, frames, masks.lv_pool)) is not None
    ]
    if origin is not Origin.DEFAULT or not pools:
        return None
    pool = max(pools, key=lambda one: float(one.signal.max() / baseline(one)))
    density_readout = first_pass.slices[0].proton_density_readout
    if pool.proton_density is not None and density_readout is not None:
        share = baseline(pool) / pool.proton_density
        return _explaining(share, first_pass.physics, density_readout)
    series = first_pass.input_series
    if series is not None and series.kind is InputKind.DUAL_SEQUENCE:
        second = series_pool_signal(series, first_pass.slices[0], regions[0])
        if second is not None:
            return _agreeing(first_pass.physics, pool, second, series.readout)
    return _from_ceiling(first_pass.physics, pool)


def with_efficiency(first_pass: FirstPass, efficiency: float) -> FirstPass:
    """Give all readouts of a first pass another saturation efficiency."""

    def changed(readout: Readout) -> Readout:
        return replace(readout, saturation_efficiency=efficiency)

    series = first_pass.input_series
    return replace(
        first_pass,
        physics=replace(first_pass.physics, readout=changed(first_pass.physics.readout)),
        input_series=series and replace(series, readout=changed(series.readout)),
    )


def saturation_findings(found: Saturation | None) -> tuple[Finding, ...]:
    """Say what the baseline was taken to be made of."""
    if found is None:
        return ()
    if found.efficiency <= CANDIDATES[0]:
        return (
            Finding(
                code="baseline-unexplained",
                severity=Severity.WITHHOLD,
                sentence="Before the bolus, blood is brighter than even a poor saturation pulse "
                "explains: the readout is not what header or configuration say.",
            ),
        )
    doubt = (
        " One readout alone tells this only roughly: absolute flow may be wrong by tens of percent."
        if found.rough
        else ""
    )
    return (
        Finding(
            code="saturation-estimated" if found.rough else "saturation-measured",
            severity=Severity.WARNING if found.rough else Severity.NOTE,
            sentence=f"The saturation pulse was found to be {found.efficiency:.1%} complete, from "
            f"{found.method}.{doubt}",
        ),
    )


def _explaining(share: float, physics: Physics, density_readout: Readout) -> Saturation:
    """Efficiency with which native blood has this signal over its proton-density signal."""
    medium, none = signal_model.blood(physics), np.array(0.0)
    full = float(signal_model.magnitude(none, density_readout, medium))
    expected = [
        float(signal_model.magnitude(none, _with(physics.readout, one), medium)) / full
        for one in CANDIDATES
    ]
    return Saturation(
        efficiency=float(CANDIDATES[np.argmin(np.abs(np.array(expected) - share))]),
        method="proton-density frames",
    )


def _agreeing(
    physics: Physics, pool: PoolSignal, second: PoolSignal, readout: Readout
) -> Saturation:
    """Efficiency with which two readouts of the same blood agree best."""
    costs = []
    for efficiency in CANDIDATES:
        here = replace(physics, readout=_with(physics.readout, efficiency))
        costs.append(agreement(pool, second, here, _with(readout, efficiency)).cost)
    return Saturation(
        efficiency=float(CANDIDATES[int(np.argmin(costs))]),
        method="the agreement of two readouts of the blood",
    )


def _from_ceiling(physics: Physics, pool: PoolSignal) -> Saturation:
    """Efficiency with which the peak lies where a peak of usual height lies under the ceiling.

    Near the ceiling the signal says little about concentration but much about magnetisation: any
    peak of 4 to 9 mmol/L has nearly the same signal.
    """
    medium = signal_model.blood(physics)
    dose = physics.dose_mmol_kg
    usual = UNKNOWN_PEAK_MMOL_L if dose is None else PEAK_PER_DOSE * dose
    peaks = usual * np.exp(PEAK_SPREAD * np.array([-1.0, -0.5, 0.0, 0.5, 1.0]))
    observed = float(np.sort(pool.signal)[-3:].mean()) / baseline(pool)
    expected = []
    for efficiency in CANDIDATES:
        readout = _with(physics.readout, efficiency)
        at_peak = signal_model.magnitude(peaks, readout, medium).mean()
        expected.append(at_peak / float(signal_model.magnitude(np.array(0.0), readout, medium)))
    nearest = int(np.argmin(np.abs(np.log(np.array(expected) / observed))))
    return Saturation(
        efficiency=float(CANDIDATES[nearest]),
        method="the ceiling of the blood signal",
        rough=True,
    )


def _with(readout: Readout, efficiency: float) -> Readout:
    return replace(readout, saturation_efficiency=float(efficiency))
