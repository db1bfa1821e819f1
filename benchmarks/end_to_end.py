"""Blood flow by the whole method against the phantom's truth.

Run from the repository: ``python -m benchmarks.end_to_end``, for one way to the input function with
``--input single``, ``--input dual-sequence`` or ``--input dual-bolus``. ``--blood-density all`` or
``none`` gives the short readout of every dual sequence proton-density frames, or of none; without
it, those have them that drew them.
Everything is found, nothing given: motion, anatomy, input function, readout as the header has it.
Prints one line a first pass, then for each way to the input function bias, limits of agreement
(Bland and Altman) and intraclass correlation of the AHA segments at rest, under stress and of both,
and of the reserve; of all that were analysed, and of those that the quality gate shows. "Within"
is the scatter of the segments about the mean error of their first pass: what is left when a whole
first pass may be off by a factor, as it may where low flow is looked for by eye.
"""

import argparse
from dataclasses import dataclass
from typing import Final

import numpy as np

from node.weights import anatomy_network
from pipeline.analyse import analyse
from pipeline.networks import AnatomyNetwork
from pipeline.phantom import PhantomSettings, simulate
from pipeline.phantom.truth import FirstPassTruth
from pipeline.result import FirstPassResult, Severity
from pipeline.study import FloatArray, InputKind, State

INPUTS: Final = {
    "dual-sequence": InputKind.DUAL_SEQUENCE,
    "dual-bolus": InputKind.DUAL_BOLUS,
    "single": None,
}


BLOOD_DENSITY: Final = {"drawn": None, "all": True, "none": False}


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """One first pass: what is true and what was found."""

    seed: int
    state: State
    shown: bool
    flows: dict[int, tuple[float, float]]
    """AHA segment to true and found MBF [mL/min/g]."""

    @property
    def pairs(self) -> FloatArray:
        """True and found [segment, 2]."""
        return np.array(list(self.flows.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first-seed", type=int, default=900)
    parser.add_argument("--studies", type=int, default=6)
    parser.add_argument("--input", choices=list(INPUTS), action="append")
    parser.add_argument("--blood-density", choices=list(BLOOD_DENSITY), default="drawn")
    arguments = parser.parse_args()
    network = anatomy_network()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.studies)
    for name in arguments.input or INPUTS:
        settings = PhantomSettings(
            input_kind=INPUTS[name], input_proton_density=BLOOD_DENSITY[arguments.blood_density]
        )
        found = [one for seed in seeds for one in measured(seed, settings, network)]
        print_table(name, found)


def measured(seed: int, settings: PhantomSettings, network: AnatomyNetwork) -> list[Measured]:
    """Simulate and analyse one study; print a line for each first pass."""
    phantom = simulate(seed, settings)
    result = analyse(phantom.study, network)
    truths = {one.label: one for one in phantom.truth.first_passes}
    for failure in result.failures:
        print(f"{seed} {failure.label:7} not analysed: {failure.reason}")
    return [_measured(seed, one, truths[one.label]) for one in result.first_passes]


def _measured(seed: int, first_pass: FirstPassResult, truth: FirstPassTruth) -> Measured:
    true_flows = truth.segment_mbf_ml_min_g
    one = Measured(
        seed=seed,
        state=first_pass.state,
        shown=not first_pass.withheld,
        flows={
            segment.segment: (true_flows[segment.segment], segment.mbf_ml_min_g)
            for segment in first_pass.segments
            if segment.segment in true_flows and np.isfinite(segment.mbf_ml_min_g)
        },
    )
    codes = [each.code for each in first_pass.findings if each.severity is not Severity.NOTE]
    error = one.pairs[:, 1] / one.pairs[:, 0] - 1.0
    missing = len(first_pass.segments) - len(one.pairs)
    print(
        f"{seed} {first_pass.label:7} true {one.pairs[:, 0].mean():.2f} found "
        f"{one.pairs[:, 1].mean():.2f} mL/min/g, error {error.mean():+.0%} (SD {error.std():.0%}), "
        f"{f'{missing} segments without a number, ' if missing else ''}"
        f"{'shown' if one.shown else 'WITHHELD'}: {', '.join(codes) or 'no finding'}",
        flush=True,
    )
    return one


def print_table(name: str, found: list[Measured]) -> None:
    """Print bias, limits and correlation of one way to the input function."""
    print(f"\n{name}: {len({one.seed for one in found})} studies, {len(found)} first passes")
    for which, chosen in (("all", found), ("shown", [one for one in found if one.shown])):
        rest = [one for one in chosen if one.state is State.REST]
        stress = [one for one in chosen if one.state is State.STRESS]
        for what, some in (("rest", rest), ("stress", stress), ("flow", chosen)):
            if some:
                pairs = np.concatenate([one.pairs for one in some])
                print(f"{which:6}{what:8}{agreement(pairs)}, within {within(some):.1f} %")
        reserve = reserves(rest, stress)
        if reserve.size:
            print(f"{which:6}{'reserve':8}{agreement(reserve)}")
    print(flush=True)


def reserves(rest: list[Measured], stress: list[Measured]) -> FloatArray:
    """Divide stress by rest, true and found, in the segments that have both [segment, 2]."""
    by_seed = {one.seed: one.flows for one in rest}
    ratios = [
        [one.flows[segment][kind] / by_seed[one.seed][segment][kind] for kind in (0, 1)]
        for one in stress
        if one.seed in by_seed
        for segment in one.flows
        if segment in by_seed[one.seed]
    ]
    return np.array(ratios)


def within(found: list[Measured]) -> float:
    """Scatter [%] of the error of segments about the mean of their first pass."""
    errors = [one.pairs[:, 1] / one.pairs[:, 0] for one in found]
    return 100.0 * float(np.concatenate([one / one.mean() - 1.0 for one in errors]).std())


def agreement(pairs: FloatArray) -> str:
    """Bias and limits in percent of the truth, ICC(2,1) of true and found [segment, 2]."""
    relative = 100.0 * (pairs[:, 1] / pairs[:, 0] - 1.0)
    return (
        f"{len(pairs):4} segments: bias {relative.mean():+.1f} %, limits of agreement "
        f"+-{1.96 * relative.std():.1f} %, ICC {intraclass_correlation(pairs):.3f}"
    )


def intraclass_correlation(pairs: FloatArray) -> float:
    """ICC(2,1), absolute agreement (Shrout and Fleiss 1979, doi 10.1037/0033-2909.86.2.420)."""
    n, k = pairs.shape
    grand = pairs.mean()
    rows = k * np.sum((pairs.mean(axis=1) - grand) ** 2) / (n - 1)
    columns = n * np.sum((pairs.mean(axis=0) - grand) ** 2) / (k - 1)
    total = np.sum((pairs - grand) ** 2)
    rest = (total - rows * (n - 1) - columns * (k - 1)) / ((n - 1) * (k - 1))
    return float((rows - rest) / (rows + (k - 1) * rest + k * (columns - rest) / n))


if __name__ == "__main__":
    main()
