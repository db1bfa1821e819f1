"""Measures the fit: how long, against what peers, and how right against flows that are known.

    python benchmarks/fit.py speed [--pixels 15000] [--peer-pixels 40] [--threads 2]
    python benchmarks/fit.py accuracy [--seeds 20]

`speed` fits the same pixels with the same model (BTEX, then two compartments) by `fit_flow` and by
`scipy.optimize.curve_fit` pixel by pixel, and by `dcmri` where that is installed.
`accuracy` prints bias, limits of agreement and ICC of segments, the error of pixels and how many
truths the standard deviations cover, for every model, against two truths: a capillary stepped on a
fine grid, and parallel capillaries of unequal flow behind a dispersing arteriole, which none of
the fitted models describes.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import curve_fit
from scipy.stats import gamma, norm

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline.bolus import find_landmarks
from pipeline.fit import FlowFit, fit_flow, learned_prior
from pipeline.kinetics import btex, exchange
from pipeline.result import InputFunction
from pipeline.study import FloatArray
from pipeline.units import impulse_response_at_zero_per_s as per_second
from tests.kinetic_truth import HAEMATOCRIT, blood_curve, plug_flow_exchange

TIME_S = np.arange(80) * 0.75
FINE_S = 0.1
MODELS = ("btex", "2cxm", "fermi", "model-free")
N_SEGMENTS, PIXELS_PER_SEGMENT = 16, 30


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["speed", "accuracy"])
    parser.add_argument("--pixels", type=int, default=15_000)
    parser.add_argument("--peer-pixels", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.what == "speed":
        speed(arguments.pixels, arguments.peer_pixels)
    else:
        accuracy(arguments.seeds)


def input_function() -> InputFunction:
    curve = blood_curve(TIME_S)
    found = find_landmarks(TIME_S, curve)
    return InputFunction(
        time_s=TIME_S,
        concentration_mmol_l=curve,
        arrival_s=found.arrival_s,
        first_pass_end_s=found.first_pass_end_s,
        source="benchmark",
    )


def draw_heart(rng: np.random.Generator) -> dict[str, float]:
    """Exchange of one heart, in the ranges of healthy people and a little beyond."""
    return {
        "ps_ml_min_g": rng.uniform(0.7, 1.5),
        "blood_volume": rng.uniform(0.08, 0.13),
        "interstitium": rng.uniform(0.15, 0.26),
        "delay_s": rng.uniform(0.3, 1.5),
    }


# --- speed -------------------------------------------------------------------------------------


def speed(n_pixels: int, n_peer: int) -> None:
    rng = np.random.default_rng(1)
    blood = input_function()
    flows = np.exp(rng.uniform(np.log(0.4), np.log(5.0), 60))
    clean = np.array(
        [plug_flow_exchange(TIME_S, blood_curve, mbf_ml_min_g=f, **draw_heart(rng)) for f in flows]
    )
    truth = np.resize(flows, n_pixels)
    curves = np.resize(clean, (n_pixels, TIME_S.size))
    curves = curves + clean.max(axis=1).mean() / 20.0 * rng.standard_normal(curves.shape)
    for model, forward in (("btex", btex_forward), ("2cxm", exchange_forward)):
        fit_flow(curves[:600], TIME_S, blood, model=model)
        start = time.perf_counter()
        found = fit_flow(curves, TIME_S, blood, model=model)
        ours = time.perf_counter() - start
        report(f"fit_flow {model}", ours, n_pixels, found.mbf_ml_min_g, truth)
        peer(f"curve_fit {model}", forward, curves[:n_peer], truth, ours / n_pixels)
    dcmri_peer(curves[:n_peer], truth, ours / n_pixels)


def report(name: str, seconds: float, n_pixels: int, flow: FloatArray, truth: FloatArray) -> None:
    error = np.median(np.abs(flow / truth[: flow.size] - 1.0))
    print(
        f"{name}: {n_pixels} pixels in {seconds:.2f} s, {seconds / n_pixels * 1e6:.0f} us a pixel, "
        f"median error {error:.1%}"
    )


def peer(
    name: str,
    forward: Callable[..., FloatArray],
    curves: FloatArray,
    truth: FloatArray,
    ours_per_pixel: float,
) -> None:
    """Fit pixel by pixel with scipy, same equation, bounded."""
    start = time.perf_counter()
    flow = np.full(len(curves), np.nan)
    for index, curve in enumerate(curves):
        try:
            found, _ = curve_fit(
                forward,
                TIME_S,
                curve,
                p0=[1.5, 1.15, 0.105, 0.21, 0.9],
                bounds=([0.02, 0.1, 0.01, 0.03, -0.5], [12.0, 6.0, 0.4, 0.8, 5.0]),
            )
        except RuntimeError:  # did not converge: counts as not fitted
            continue
        flow[index] = found[0]
    seconds = time.perf_counter() - start
    report(
        name, seconds, len(curves), flow[np.isfinite(flow)], truth[: len(curves)][np.isfinite(flow)]
    )
    print(f"  ratio {seconds / len(curves) / ours_per_pixel:.0f}")


FINE_TIME_S = np.arange(0.0, TIME_S[-1] + FINE_S, FINE_S)
FINE_BLOOD = blood_curve(FINE_TIME_S) / (1.0 - HAEMATOCRIT)


def convolved(response: FloatArray, delay_s: float, time_s: FloatArray) -> FloatArray:
    curve = np.convolve(response, FINE_BLOOD)[: FINE_TIME_S.size] * FINE_S
    sampled: FloatArray = np.interp(time_s - delay_s, FINE_TIME_S, curve)
    return sampled


def column(*values: float) -> list[torch.Tensor]:
    return [torch.tensor([value], dtype=torch.float64) for value in values]


def btex_forward(
    time_s: FloatArray, mbf: float, ps: float, blood: float, interstitium: float, delay_s: float
) -> FloatArray:
    share = 1.0 - HAEMATOCRIT
    parameters = column(per_second(mbf) * share, per_second(ps), blood * share, interstitium)
    response = btex.impulse_response(
        torch.as_tensor(FINE_TIME_S)[None],
        FINE_S,
        lambda away: ((away > 0).double(), 0.0 * away),
        *parameters,
    )
    return convolved(response[0].numpy(), delay_s, time_s)


def exchange_forward(
    time_s: FloatArray, mbf: float, ps: float, blood: float, interstitium: float, delay_s: float
) -> FloatArray:
    share = 1.0 - HAEMATOCRIT
    parameters = column(per_second(mbf) * share, per_second(ps), blood * share, interstitium)
    response = exchange.two_compartment_exchange(torch.as_tensor(FINE_TIME_S), *parameters)
    return convolved(response[0].numpy(), delay_s, time_s)


def dcmri_peer(curves: FloatArray, truth: FloatArray, ours_per_pixel: float) -> None:
    """Two-compartment exchange by dcmri's own forward model, fitted by scipy as dcmri does."""
    try:
        import dcmri
    except ImportError:
        print("dcmri: not installed here")
        return

    def forward(
        time_s: FloatArray, mbf: float, ps: float, blood: float, interstitium: float, delay_s: float
    ) -> FloatArray:
        share = 1.0 - HAEMATOCRIT
        curve = dcmri.conc_tissue(
            FINE_BLOOD,
            t=FINE_TIME_S,
            kinetics="2CX",
            sum=True,
            H=0.0,
            Fb=per_second(mbf) * share,
            PS=per_second(ps),
            vb=blood * share,
            vi=interstitium,
        )
        sampled: FloatArray = np.interp(time_s - delay_s, FINE_TIME_S, np.asarray(curve))
        return sampled

    peer("dcmri 2cxm", forward, curves, truth, ours_per_pixel)


# --- accuracy ----------------------------------------------------------------------------------


def accuracy(n_seeds: int) -> None:
    blood = input_function()
    for name, make in (("capillary", capillary), ("unequal capillaries", unequal)):
        hearts = [make(np.random.default_rng(seed)) for seed in range(n_seeds)]
        for cnr in (10, 20, 30):
            for model in MODELS:
                print(f"{name}, CNR {cnr}, {model}: {score(hearts, blood, cnr, model)}", flush=True)


def capillary(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Flows [segment] and curves [segment, time] of a heart of plug-flow capillaries."""
    flows, heart = _flows(rng), draw_heart(rng)
    curves = [plug_flow_exchange(TIME_S, blood_curve, mbf_ml_min_g=f, **heart) for f in flows]
    return flows, np.array(curves)


def unequal(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Flows and curves of seven paths of log-normal flow (dispersion 0.35) after an arteriole."""
    flows, heart = _flows(rng), draw_heart(rng)
    spread = np.sqrt(np.log(1.0 + 0.35**2))
    paths = np.exp(spread * norm.ppf((np.arange(7) + 0.5) / 7.0))
    paths = paths / paths.mean()
    delay = heart.pop("delay_s")
    fine = np.arange(0.0, TIME_S[-1] + FINE_S, FINE_S)
    edges = np.append(fine, fine[-1] + FINE_S) - delay / 2.0
    arteriole = np.diff(gamma.cdf(edges, 2.0, scale=delay / 4.0))
    dispersed = np.convolve(arteriole, blood_curve(fine))[: fine.size]

    def late_blood(time_s: FloatArray) -> FloatArray:
        value: FloatArray = np.interp(time_s, fine, dispersed)
        return value

    curves = [
        np.mean(
            [
                plug_flow_exchange(TIME_S, late_blood, mbf_ml_min_g=flow * path, **heart)
                for path in paths
            ],
            axis=0,
        )
        for flow in flows
    ]
    return flows, np.array(curves)


def _flows(rng: np.random.Generator) -> FloatArray:
    """One heart at rest or under stress, with territories of less flow."""
    highest = rng.uniform(0.6, 1.3) if rng.random() < 0.5 else rng.uniform(1.8, 4.8)
    return np.clip(highest * rng.uniform(0.35, 1.1, N_SEGMENTS), 0.4, 5.0)


def score(
    hearts: list[tuple[FloatArray, FloatArray]], blood: InputFunction, cnr: float, model: str
) -> str:
    rng = np.random.default_rng(99)
    segment_error, pixel_error, pairs, scores = [], [], [], []
    for flows, curves in hearts:
        pixels = np.repeat(curves, PIXELS_PER_SEGMENT, axis=0)
        pixels = pixels + curves.max() / cnr * rng.standard_normal(pixels.shape)
        segment_fit, pixel_fit = as_the_product(pixels, blood, model)
        truth = np.repeat(flows, PIXELS_PER_SEGMENT)
        segment_error.append(segment_fit.mbf_ml_min_g / flows - 1.0)
        pixel_error.append(pixel_fit.mbf_ml_min_g / truth - 1.0)
        scores.append((pixel_fit.mbf_ml_min_g - truth) / pixel_fit.mbf_sd_ml_min_g)
        pairs.append(np.stack([segment_fit.mbf_ml_min_g, flows], axis=1))
    segments, pixel = np.concatenate(segment_error), np.concatenate(pixel_error)
    covered = np.mean(np.abs(np.concatenate(scores)) < 1.0)
    return (
        f"segments bias {segments.mean():+.1%}, limits of agreement +-{1.96 * segments.std():.1%}, "
        f"ICC {agreement(np.concatenate(pairs)):.3f}; pixels median error "
        f"{np.median(np.abs(pixel)):.1%}, truth within one SD {covered:.0%}"
    )


def as_the_product(pixels: FloatArray, blood: InputFunction, model: str) -> tuple[FlowFit, FlowFit]:
    """Segment and pixel fits, with the prior learned from the segments."""
    segments = pixels.reshape(N_SEGMENTS, PIXELS_PER_SEGMENT, -1).mean(axis=1)
    prior = learned_prior(
        lambda prior: [fit_flow(segments, TIME_S, blood, model=model, prior=prior)], model
    )
    return (
        fit_flow(segments, TIME_S, blood, model=model, prior=prior),
        fit_flow(pixels, TIME_S, blood, model=model, prior=prior),
    )


def agreement(pairs: FloatArray) -> float:
    """Intraclass correlation ICC(1,1) of pairs [case, 2]."""
    between = 2.0 * pairs.mean(axis=1).var(ddof=1)
    within = ((pairs - pairs.mean(axis=1, keepdims=True)) ** 2).sum() / len(pairs)
    return float((between - within) / (between + within))


if __name__ == "__main__":
    main()
