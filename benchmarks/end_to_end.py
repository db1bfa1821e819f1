"""Blood flow by the whole method against the phantom's truth.

Run from the repository: ``python -m benchmarks.end_to_end``.
Everything is found, nothing given: motion, anatomy, input function, readout as the header has it.
Prints one line a first pass, then bias, limits of agreement (Bland and Altman) and intraclass
correlation of all AHA segments, with and without those that the quality gate withholds.
"""

import argparse

import numpy as np

from node.weights import anatomy_network
from pipeline.analyse import analyse
from pipeline.phantom import PhantomSettings, simulate
from pipeline.result import Severity
from pipeline.study import FloatArray, InputKind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first-seed", type=int, default=900)
    parser.add_argument("--studies", type=int, default=6)
    parser.add_argument("--dual-sequence", action="store_true", help="an input series of its own")
    arguments = parser.parse_args()
    settings = PhantomSettings(
        input_kind=InputKind.DUAL_SEQUENCE if arguments.dual_sequence else None
    )
    network = anatomy_network()
    pairs, shown = [], []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.studies):
        phantom = simulate(seed, settings)
        result = analyse(phantom.study, network)
        truths = {one.label: one.segment_mbf_ml_min_g for one in phantom.truth.first_passes}
        for failure in result.failures:
            print(f"{seed} {failure.label:7} not analysed: {failure.reason}")
        for first_pass in result.first_passes:
            truth = truths[first_pass.label]
            found = np.array(
                [
                    (truth[one.segment], one.mbf_ml_min_g)
                    for one in first_pass.segments
                    if one.segment in truth and np.isfinite(one.mbf_ml_min_g)
                ]
            )
            codes = [one.code for one in first_pass.findings if one.severity is not Severity.NOTE]
            ratio = found[:, 1] / found[:, 0] - 1.0
            print(
                f"{seed} {first_pass.label:7} true {found[:, 0].mean():.2f} "
                f"found {found[:, 1].mean():.2f} mL/min/g, error {ratio.mean():+.0%} "
                f"(SD {ratio.std():.0%}), {'WITHHELD' if first_pass.withheld else 'shown'}: "
                f"{', '.join(codes) or 'no finding'}"
            )
            pairs.append(found)
            if not first_pass.withheld:
                shown.append(found)
    for name, chosen in (("all", pairs), ("shown", shown)):
        if chosen:
            print(f"{name:6} {agreement(np.concatenate(chosen))}")


def agreement(pairs: FloatArray) -> str:
    """Bias and limits in percent of the truth, ICC(2,1) of true and found [segment, 2]."""
    relative = 100.0 * (pairs[:, 1] / pairs[:, 0] - 1.0)
    return (
        f"{len(pairs)} segments: bias {relative.mean():+.1f} %, limits of agreement "
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
