"""Measures the fit: how right against flows that are known, how long, and against what peers.

    python -m benchmarks.fit accuracy [--seeds 20] [--cnr 10 20 30] [--models btex fermi ...]
    python -m benchmarks.fit speed [--pixels 15000] [--peer-pixels 40]

`accuracy` prints bias, limits of agreement and ICC of segments, the error of pixels, and how many
truths lie within one standard deviation, for every model against every truth of `flow_truths.py`.
`speed` fits the same pixels with the same model by `fit_flow` and, one by one, by the peers of
`fit_peers.py` (`dcmri` where it is installed), and prints how far the time is from its floor.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks import fit_peers
from benchmarks.flow_truths import TRUTHS, Heart
from pipeline.fit import FlowFit, fit_flow, learned_prior, model_in
from pipeline.fit.convolution import Convolution
from pipeline.fit.models import BTEX
from pipeline.fit.problem import Problem
from pipeline.fit.solver import CHUNK
from pipeline.study import FloatArray
from tests.kinetic_truth import HAEMATOCRIT

MODELS = ("btex", "model-free", "fermi", "2cxm")
PIXELS_PER_SEGMENT = 30
SPEED_TIMES_S = np.arange(80) * 0.75


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["speed", "accuracy"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--cnr", type=float, nargs="+", default=[10.0, 20.0, 30.0])
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--pixels", type=int, default=15_000)
    parser.add_argument("--peer-pixels", type=int, default=40)
    arguments = parser.parse_args()
    if arguments.what == "speed":
        speed(arguments.pixels, arguments.peer_pixels)
    else:
        accuracy(arguments.seeds, arguments.cnr, arguments.models)


# --- accuracy ----------------------------------------------------------------------------------


def accuracy(n_seeds: int, cnrs: list[float], models: list[str]) -> None:
    print("segments: bias (rest, stress), limits of agreement, ICC; pixels: median error;")
    print("truths within one standard deviation: of segments, of pixels")
    for name, make in TRUTHS.items():
        hearts = [make(seed) for seed in range(n_seeds)]
        for cnr in cnrs:
            for model in models:
                print(f"{name:9} CNR {cnr:2.0f} {model:10} {score(hearts, cnr, model)}", flush=True)


def score(hearts: list[Heart], cnr: float, model: str) -> str:
    """Compare the fits of noisy pixels and segments with the truth; odd hearts are stressed."""
    found = [_fits(heart, cnr, model, seed) for seed, heart in enumerate(hearts)]
    truth = np.array([heart.flows_ml_min_g for heart in hearts])
    segments = np.array([one.mbf_ml_min_g for one, _ in found])
    segment_sd = np.array([one.mbf_sd_ml_min_g for one, _ in found])
    each = np.repeat(truth, PIXELS_PER_SEGMENT, axis=1)
    pixels = np.array([one.mbf_ml_min_g for _, one in found])
    pixel_sd = np.array([one.mbf_sd_ml_min_g for _, one in found])
    error = segments / truth - 1.0
    covered = [
        np.mean(np.abs(flow - true) < sd)
        for flow, true, sd in ((segments, truth, segment_sd), (pixels, each, pixel_sd))
    ]
    return (
        f"bias {error.mean():+.1%} ({error[::2].mean():+.1%}, {error[1::2].mean():+.1%}), "
        f"limits +-{1.96 * error.std():.1%}, "
        f"ICC {agreement(np.stack([segments.ravel(), truth.ravel()], axis=1)):.3f}; "
        f"pixels {np.nanmedian(np.abs(pixels / each - 1.0)):.1%}; "
        f"within one SD {covered[0]:.0%}, {covered[1]:.0%}"
    )


def _fits(heart: Heart, cnr: float, model: str, seed: int) -> tuple[FlowFit, FlowFit]:
    """Segment and pixel fits as the product makes them, with the prior learned from segments."""
    rng, expected = np.random.default_rng(1000 + seed), model_in(heart.state, model)
    pixels = np.repeat(heart.curves_mmol_l, PIXELS_PER_SEGMENT, axis=0)
    pixels = pixels + heart.curves_mmol_l.max() / cnr * rng.standard_normal(pixels.shape)
    segments = pixels.reshape(len(heart.curves_mmol_l), PIXELS_PER_SEGMENT, -1).mean(axis=1)

    def fit(curves: FloatArray, prior: object = None) -> FlowFit:
        return fit_flow(curves, heart.time_s, heart.blood, model=expected, prior=prior)

    prior = learned_prior(lambda before: [fit(segments, before)], expected)
    return fit(segments, prior), fit(pixels, prior)


def agreement(pairs: FloatArray) -> float:
    """Intraclass correlation ICC(1,1) of pairs [case, 2]."""
    between = 2.0 * pairs.mean(axis=1).var(ddof=1)
    within = ((pairs - pairs.mean(axis=1, keepdims=True)) ** 2).sum() / len(pairs)
    return float((between - within) / (between + within))


# --- speed -------------------------------------------------------------------------------------


def speed(n_pixels: int, n_peer: int) -> None:
    heart, time_s = TRUTHS["phantom"](1), SPEED_TIMES_S
    blood = heart.blood
    clean = np.array([np.interp(time_s, heart.time_s, one) for one in heart.curves_mmol_l])
    truth = np.resize(heart.flows_ml_min_g, n_pixels)
    rng = np.random.default_rng(1)
    curves = np.resize(clean, (n_pixels, time_s.size))
    curves = curves + clean.max() / 20.0 * rng.standard_normal(curves.shape)
    peers = {"btex": fit_peers.btex, "2cxm": fit_peers.two_compartments}
    for model, response in peers.items():
        fit_flow(curves[:CHUNK], time_s, blood, model=model)
        start = time.perf_counter()
        found = fit_flow(curves, time_s, blood, model=model)
        ours = (time.perf_counter() - start) / n_pixels
        _report(f"fit_flow {model}", ours, found.mbf_ml_min_g, truth, ours)
        pixel = fit_peers.curve_fit_pixel(response, time_s, blood, HAEMATOCRIT)
        seconds, flows = fit_peers.one_by_one(pixel, curves[:n_peer])
        _report(f"curve_fit {model}", seconds, flows, truth, ours)
        if model == "btex":
            _floor(curves, time_s, heart, ours)
    dcmri = fit_peers.dcmri_pixel(time_s, blood, HAEMATOCRIT, delay_s=0.9)
    if dcmri is None:
        print("dcmri: not installed here")
        return
    seconds, flows = fit_peers.one_by_one(dcmri, curves[:n_peer])
    _report("dcmri 2cxm", seconds, flows, truth, ours)


def _report(name: str, seconds: float, flows: FloatArray, truth: FloatArray, ours: float) -> None:
    error = np.nanmedian(np.abs(flows / truth[: flows.size] - 1.0))
    print(
        f"{name}: {flows.size} pixels, {seconds * 1e6:.0f} us a pixel, all in "
        f"{seconds * flows.size:.2f} s, median error {error:.1%}, ratio {seconds / ours:.0f}"
    )


N_PASSES = 60
"""Elementwise operations over [curve, lag] in one linearisation of BTEX."""


def _floor(curves: FloatArray, time_s: FloatArray, heart: Heart, ours: float) -> None:
    """Time that the arithmetic of a fit needs at this machine's measured rates."""
    count = [0]
    linearise = Problem.linearise

    def counted(self: Problem, position: torch.Tensor) -> torch.Tensor:
        count[0] += len(position)
        return linearise(self, position)

    Problem.linearise = counted  # type: ignore[method-assign] # only to count
    fit_flow(curves, time_s, heart.blood)
    Problem.linearise = linearise  # type: ignore[method-assign]
    per_pixel = count[0] / len(curves)
    matrix = Convolution(heart.blood, time_s).matrix
    n_lags, n_times = matrix.shape
    n_parameters = len(BTEX.parameters) + 1
    flops = 2 * n_times * (6 * n_lags + n_parameters * (n_parameters + 5))
    left, elements = torch.rand(8 * CHUNK, n_lags), torch.rand(CHUNK, n_lags)
    flop_s = 2.0 * left.numel() * n_times / _seconds(lambda: left @ matrix)
    element_s = _seconds(lambda: elements.mul_(1.0)) / elements.numel()
    floor = per_pixel * (flops / flop_s + N_PASSES * n_lags * element_s)
    print(
        f"  floor: {per_pixel:.1f} linearisations a pixel, each {flops / 1e3:.0f} kflop at "
        f"{flop_s / 1e9:.0f} Gflop/s and {N_PASSES} passes over {n_lags * 4} bytes at "
        f"{4e-9 / element_s:.0f} GB/s: {floor * 1e6:.1f} us a pixel; "
        f"the fit takes {ours / floor:.1f} times that"
    )


def _seconds(work: Callable[[], object]) -> float:
    """Shortest of many runs."""
    times = []
    for _ in range(100):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
