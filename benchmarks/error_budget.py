"""Which step costs how much: blood flow with one thing after the other given instead of found.

Run from the repository: ``python -m benchmarks.error_budget --input dual-sequence``.
Each line gives one thing more as it truly is: first nothing, then scanner and body (efficiency of
the saturation pulse, flip angle, T1, relaxivities), then what an earlier injection left in blood,
then the input function, then the outlines. What remains in the last line is the kinetic model, the
motion and the baseline of the wall.

Before them a line for each first pass: the area under the first pass of the input function that was
found over the true one, and its highest concentration. A relaxivity that is not that of the
literature counts in neither, because flow does not depend on it.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from benchmarks.end_to_end import INPUTS, Measured, agreement, within
from node.weights import anatomy_network
from pipeline.calibration import calibrate, calibrated
from pipeline.calibration.unevenness import left_slope
from pipeline.input_function import input_function
from pipeline.input_motion import held_still
from pipeline.input_scale import SharedScale, shared_scales
from pipeline.networks import AnatomyNetwork
from pipeline.outline import Anatomy, outline_slices
from pipeline.phantom import PhantomSettings, PhantomStudy, simulate
from pipeline.phantom.truth import FirstPassTruth, SliceTruth
from pipeline.quantify import quantify
from pipeline.residual import Baseline, Residual, by_scales, measure_baseline, residual
from pipeline.result import InputFunction, Regions
from pipeline.scale_evidence import TwoReadouts, two_readouts
from pipeline.study import BoolArray, FirstPass, FloatArray, Readout

STEPS: Final = ("nothing", "scanner", "residual", "input", "outlines")
_STEP_S: Final = 0.25


@dataclass(frozen=True, kw_only=True, eq=False)
class Pass:
    """One first pass, outlined, with its truth."""

    first_pass: FirstPass
    anatomies: Sequence[Anatomy]
    truth: FirstPassTruth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first-seed", type=int, default=950)
    parser.add_argument("--studies", type=int, default=4)
    parser.add_argument("--input", choices=list(INPUTS), default="dual-sequence")
    arguments = parser.parse_args()
    settings = PhantomSettings(input_kind=INPUTS[arguments.input])
    network = anatomy_network()
    found: dict[str, list[Measured]] = {step: [] for step in STEPS}
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.studies):
        passes = outlined(simulate(seed, settings), network)
        for number, step in enumerate(STEPS):
            found[step] += measured(seed, passes, STEPS[: number + 1])
    for step, some in found.items():
        pairs = np.concatenate([one.pairs for one in some])
        print(f"+ {step:9} {agreement(pairs)}, within {within(some):.1f} %")


def outlined(phantom: PhantomStudy, network: AnatomyNetwork) -> list[Pass]:
    """Outline all first passes of a study."""
    passes = []
    for one, truth in zip(phantom.study.first_passes, phantom.truth.first_passes, strict=True):
        anatomies, _ = outline_slices(one, network, lambda _: None)
        series = one.input_series
        first_pass = replace(
            one,
            slices=tuple(each.source for each in anatomies),
            input_series=series and held_still(series, anatomies[0]),
        )
        passes.append(Pass(first_pass=first_pass, anatomies=anatomies, truth=truth))
    return passes


def measured(seed: int, passes: list[Pass], given: Sequence[str]) -> list[Measured]:
    """Flow of all first passes of a study with some things given."""
    if "outlines" in given:
        passes = [replace(one, anatomies=_truly_outlined(one)) for one in passes]
    first = min(passes, key=lambda one: one.truth.start_s)
    if "scanner" in given:
        passes = [replace(one, first_pass=_as_it_is(one)) for one in passes]
        native = next(one for one in passes if one.truth is first.truth)
        slope_mm = tuple(left_slope(native.first_pass, _frames(native), _regions(native)))
    else:
        found = calibrate(first.first_pass, _frames(first), _regions(first))
        if found is None:
            return []
        passes = [replace(one, first_pass=calibrated(one.first_pass, found)) for one in passes]
        slope_mm = found.left_slope_mm
    native_baseline = _baseline(next(one for one in passes if one.truth is first.truth))
    left = [_left(one, native_baseline, given) for one in passes]
    if "residual" not in given:
        left = by_scales(left, _two_readouts(passes, left))
    shared = shared_scales(_two_readouts(passes, left))
    return [
        _quantified(seed, one, each, scale, slope_mm, given)
        for one, each, scale in zip(passes, left, shared, strict=True)
    ]


def _two_readouts(passes: Sequence[Pass], left: Sequence[Residual]) -> list[TwoReadouts | None]:
    return [
        two_readouts(one.first_pass, _frames(one), _regions(one), each.blood_mmol_l)
        for one, each in zip(passes, left, strict=True)
    ]


def _left(one: Pass, native: Baseline, given: Sequence[str]) -> Residual:
    """Find what is left; of the wall nothing else is known, because its volumes are its own."""
    found = residual(_baseline(one), native, one.first_pass.physics)
    if "residual" in given:
        return replace(found, blood_mmol_l=one.truth.residual_mmol_l)
    return found


def _quantified(
    seed: int,
    one: Pass,
    left: Residual,
    shared: SharedScale | None,
    slope_mm: tuple[float, ...],
    given: Sequence[str],
) -> Measured:
    arterial = _arterial(one, left.blood_mmol_l, shared)
    if len(given) == 1:
        area, peak = input_over_truth(one, arterial)
        label = one.truth.label
        print(f"{seed} {label:7} input function over truth: area {area:.2f}, peak {peak:.2f}")
    if "input" in given:
        arterial = _true_input(one.truth.input_function)
    _, segments = quantify(
        one.anatomies,
        one.first_pass.physics,
        arterial,
        left,
        "btex",
        (slope_mm[0], slope_mm[1]),
        one.truth.state,
    )
    true_flows = one.truth.segment_mbf_ml_min_g
    return Measured(
        seed=seed,
        state=one.truth.state,
        shown=True,
        flows={
            each.segment: (true_flows[each.segment], each.mbf_ml_min_g)
            for each in segments
            if each.segment in true_flows and np.isfinite(each.mbf_ml_min_g)
        },
    )


def _arterial(
    one: Pass, residual_mmol_l: float, shared: SharedScale | None = None
) -> InputFunction:
    return input_function(
        one.first_pass,
        _frames(one),
        _regions(one),
        residual_mmol_l=residual_mmol_l,
        shared=shared,
    )


def input_over_truth(one: Pass, found: InputFunction) -> tuple[float, float]:
    """Area under the first pass and peak of the input function that was found, over the true."""
    truth = one.truth.input_function
    seen_as = (
        one.truth.physics.r1_relaxivity_l_mmol_s / one.first_pass.physics.r1_relaxivity_l_mmol_s
    )
    inside = (truth.time_s >= truth.arrival_s) & (truth.time_s <= truth.first_pass_end_s)
    true = seen_as * truth.concentration_mmol_l[inside]
    here = np.interp(truth.time_s[inside], found.time_s, found.concentration_mmol_l)
    return float(here.mean() / true.mean()), float(here.max() / true.max())


def _true_input(truth: InputFunction) -> InputFunction:
    """Sample the truth as finely as a fit needs it."""
    time_s = np.arange(truth.time_s[0], truth.time_s[-1], _STEP_S)
    values = np.interp(time_s, truth.time_s, truth.concentration_mmol_l)
    return replace(truth, time_s=time_s, concentration_mmol_l=values)


def _baseline(one: Pass) -> Baseline:
    arrival_s = _arterial(one, 0.0).arrival_s
    return measure_baseline(one.first_pass.slices, _frames(one), _regions(one), arrival_s)


def _as_it_is(one: Pass) -> FirstPass:
    """First pass that knows scanner and body."""
    physics, scale = one.truth.physics, one.truth.flip_scale

    def tilted(readout: Readout) -> Readout:
        return replace(
            readout,
            flip_angle_rad=readout.flip_angle_rad * scale,
            saturation_efficiency=physics.readout.saturation_efficiency,
        )

    series = one.first_pass.input_series
    quiet = series and series.slice.proton_density_readout
    return replace(
        one.first_pass,
        physics=replace(physics, readout=tilted(one.first_pass.physics.readout)),
        input_series=series
        and replace(
            series,
            readout=tilted(series.readout),
            slice=replace(series.slice, proton_density_readout=quiet and tilted(quiet)),
        ),
    )


def _truly_outlined(one: Pass) -> list[Anatomy]:
    """Anatomies with the true masks, moved to the reference frame that was found."""
    by_level = {each.level: each for each in one.truth.slices}
    outlines = []
    for anatomy in one.anatomies:
        truth = by_level[anatomy.level]
        regions = replace(
            anatomy.regions,
            myocardium=_moved(truth.regions.myocardium, anatomy, truth),
            lv_pool=_moved(truth.regions.lv_pool, anatomy, truth),
            rv_pool=_moved(truth.regions.rv_pool, anatomy, truth),
        )
        sectors = _moved(truth.sectors, anatomy, truth)
        outlines.append(replace(anatomy, regions=regions, sectors=sectors))
    return outlines


def _moved(mask: BoolArray, anatomy: Anatomy, truth: SliceTruth) -> BoolArray:
    apart_mm = (
        truth.displacement_mm[anatomy.aligned.reference_frame]
        - truth.displacement_mm[truth.reference_frame]
    )
    shift = np.rint(apart_mm / np.asarray(anatomy.source.geometry.spacing_mm)).astype(int)
    moved: BoolArray = np.roll(mask, (int(shift[0]), int(shift[1])), axis=(0, 1))
    return moved


def _frames(one: Pass) -> list[FloatArray]:
    return [each.aligned.frames for each in one.anatomies]


def _regions(one: Pass) -> list[Regions]:
    return [each.regions for each in one.anatomies]


if __name__ == "__main__":
    main()
