"""Hearts whose blood flow is known; all but the last are of models that the product does not fit.

`phantom`      what the digital phantom makes: circulation, coronary dispersion, capillaries of
               unequal flow, exchange that changes with flow, all drawn from the seed;
`even`         the same hearts with much the same flow everywhere, in some with a defect, as people
               have: nothing in such a heart tells a high flow from a small volume;
`paths`        axially dispersed capillaries (tanks in series) of unequal length and permeability
               behind an artery: neither plug flow nor equal, nor log-normal in anything;
`capillary`    one plug-flow capillary stepped on a fine grid, without any dispersion: simpler than
               life;
`prior`        what the default model itself takes hearts to be, drawn from its own prior: says
               nothing about the model, and all about its standard deviations.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from scipy.linalg import expm
from scipy.stats import gamma, norm

from pipeline.fit.convolution import Convolution
from pipeline.fit.models import BTEX
from pipeline.fit.problem import Problem
from pipeline.phantom.blood import blood_curves, draw_circulation
from pipeline.phantom.exchange import TissueKinetics, tissue_curves
from pipeline.phantom.flow import LEVELS_ML_MIN_G, myocardial_kinetics
from pipeline.result import InputFunction
from pipeline.study import FloatArray, State
from pipeline.units import impulse_response_at_zero_per_s as per_second
from tests.kinetic_truth import (
    DENSITY_G_ML,
    HAEMATOCRIT,
    after_artery,
    blood_curve,
    input_of,
    plug_flow_exchange,
)

N_SEGMENTS = 16
DURATION_S = 60.0
_WEIGHT_KG, _DOSE_MMOL_KG = 78.0, 0.05
_N_TANKS, _N_PATHS, _STEP_S = 8, 5, 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class Heart:
    """One heart in one state."""

    flows_ml_min_g: FloatArray
    """[segment]."""
    curves_mmol_l: FloatArray
    """[segment, time], without noise."""
    time_s: FloatArray
    blood: InputFunction
    state: State


def phantom(seed: int) -> Heart:
    return _phantom(seed, _flows)


def even(seed: int) -> Heart:
    return _phantom(seed, _even_flows)


def _phantom(seed: int, draw_flows: Callable[[np.random.Generator, State], FloatArray]) -> Heart:
    rng = np.random.default_rng(seed)
    state, interval_s = _beat(rng, seed)
    circulation = draw_circulation(
        rng,
        state=state,
        weight_kg=_WEIGHT_KG,
        dose_mmol=_WEIGHT_KG * _DOSE_MMOL_KG,
        interval_s=interval_s,
        second_injection=False,
    )
    blood = blood_curves(circulation, DURATION_S + 10.0)
    healthy, _ = myocardial_kinetics(rng, HAEMATOCRIT)
    level = np.abs(np.log(LEVELS_ML_MIN_G[:, None] / draw_flows(rng, state))).argmin(axis=0)
    arrays = [one.name for one in fields(TissueKinetics) if one.name != "flow_spread"]
    chosen = replace(healthy, **{name: getattr(healthy, name)[level] for name in arrays})
    fine = tissue_curves(chosen, blood.coronary, blood.time_s, HAEMATOCRIT)
    time_s = np.arange(rng.uniform(0.0, 0.2), DURATION_S, interval_s)
    return Heart(
        flows_ml_min_g=LEVELS_ML_MIN_G[level],
        curves_mmol_l=np.array([np.interp(time_s, blood.time_s, one) for one in fine]),
        time_s=time_s,
        blood=input_of(time_s, np.interp(time_s, blood.time_s, blood.lv)),
        state=state,
    )


def capillary(seed: int) -> Heart:
    rng = np.random.default_rng(seed)
    state, interval_s = _beat(rng, seed)
    flows, time_s = _flows(rng, state), np.arange(0.0, DURATION_S, interval_s)
    exchange = _exchange(rng)
    delay_s = rng.uniform(0.3, 1.5)
    curves = [
        plug_flow_exchange(time_s, blood_curve, mbf_ml_min_g=flow, delay_s=delay_s, **exchange)
        for flow in flows
    ]
    return Heart(
        flows_ml_min_g=flows,
        curves_mmol_l=np.array(curves),
        time_s=time_s,
        blood=input_of(time_s, blood_curve(time_s)),
        state=state,
    )


def paths(seed: int) -> Heart:
    rng = np.random.default_rng(seed)
    state, interval_s = _beat(rng, seed)
    flows, time_s = _flows(rng, state), np.arange(0.0, DURATION_S, interval_s)
    exchange = _exchange(rng)
    quantiles = (np.arange(_N_PATHS) + 0.5) / _N_PATHS
    length = gamma.ppf(quantiles, 1.0 / rng.uniform(0.2, 0.5) ** 2)
    permeability = np.exp(rng.uniform(0.2, 0.5) * norm.ppf(rng.permutation(quantiles)))
    length, permeability = length / length.mean(), permeability / permeability.mean()
    late = after_artery(blood_curve, mean_s=rng.uniform(0.4, 1.2), tanks=3)
    delay_s = rng.uniform(0.0, 0.5)
    fine_s = np.arange(0.0, DURATION_S, _STEP_S)
    inflow = late(fine_s + _STEP_S / 2.0 - delay_s) / (1.0 - HAEMATOCRIT)
    curves = [
        np.mean(
            [
                _tanks(
                    inflow,
                    flow=flow * DENSITY_G_ML / 60.0 * (1.0 - HAEMATOCRIT),
                    ps=exchange["ps_ml_min_g"] * DENSITY_G_ML / 60.0 * one * leak,
                    plasma=exchange["blood_volume"] * (1.0 - HAEMATOCRIT) * one,
                    interstitium=exchange["interstitium"] * one,
                )
                for one, leak in zip(length, permeability, strict=True)
            ],
            axis=0,
        )
        for flow in flows
    ]
    return Heart(
        flows_ml_min_g=flows,
        curves_mmol_l=np.array([np.interp(time_s, fine_s + _STEP_S, one) for one in curves]),
        time_s=time_s,
        blood=input_of(time_s, blood_curve(time_s)),
        state=state,
    )


def prior(seed: int) -> Heart:
    heart, rng = phantom(seed), np.random.default_rng(50 + seed)
    problem = Problem(BTEX, BTEX.prior, Convolution(heart.blood, heart.time_s), HAEMATOCRIT)
    mean, spread = np.array(BTEX.prior.mean), np.array(BTEX.prior.spread)
    local = np.array([*(one.local_spread for one in BTEX.parameters), BTEX.delay.local_spread_s])
    shared = local < spread
    between = np.sqrt(np.where(shared, spread**2 - local**2, 0.0))
    here = mean + between * rng.standard_normal(mean.size)
    position = here + local * rng.standard_normal((N_SEGMENTS, mean.size))
    position[:, 0] = np.log(per_second(1.0) * heart.flows_ml_min_g)
    bounds = problem.lowest.numpy(), problem.highest.numpy()
    curves = problem.curves(torch.as_tensor(np.clip(position, *bounds), dtype=torch.float32))
    return replace(heart, curves_mmol_l=curves.numpy().astype(float))


TRUTHS: dict[str, Callable[[int], Heart]] = {
    "phantom": phantom,
    "even": even,
    "paths": paths,
    "capillary": capillary,
    "prior": prior,
}


def _tanks(
    inflow: FloatArray, *, flow: float, ps: float, plasma: float, interstitium: float
) -> FloatArray:
    """Content of a capillary of mixed tanks, each with its interstitium, after each step."""
    n = _N_TANKS
    through, out, back = n * flow / plasma, ps / plasma, ps / interstitium
    rates = np.zeros((2 * n + 1, 2 * n + 1))  # plasma of the tanks, interstitium, inflow
    rates[:n, :n] = -(through + out) * np.eye(n) + through * np.eye(n, k=-1)
    rates[:n, n : 2 * n] = out * np.eye(n)
    rates[n : 2 * n, :n] = back * np.eye(n)
    rates[n : 2 * n, n : 2 * n] = -back * np.eye(n)
    rates[0, 2 * n] = through
    step = expm(rates * _STEP_S)
    volume = np.concatenate([np.full(n, plasma / n), np.full(n, interstitium / n), [0.0]])
    state, content = np.zeros(2 * n + 1), np.empty_like(inflow)
    for index, concentration in enumerate(inflow):
        state[2 * n] = concentration
        state = step @ state
        content[index] = volume @ state
    return content


def _beat(rng: np.random.Generator, seed: int) -> tuple[State, float]:
    """Stress in every other heart, and the time between frames."""
    if seed % 2 == 1:
        return State.STRESS, rng.uniform(0.6, 0.8)
    return State.REST, rng.uniform(0.75, 1.05)


def _exchange(rng: np.random.Generator) -> dict[str, float]:
    """Exchange of one heart, in the ranges of healthy people and a little beyond."""
    return {
        "ps_ml_min_g": rng.uniform(0.7, 1.5),
        "blood_volume": rng.uniform(0.08, 0.13),
        "interstitium": rng.uniform(0.15, 0.26),
    }


def _flows(rng: np.random.Generator, state: State) -> FloatArray:
    """Flows from 0.4 to 5 mL/min/g, with territories of less flow."""
    highest = rng.uniform(1.8, 4.8) if state is State.STRESS else rng.uniform(0.6, 1.3)
    return np.clip(highest * rng.uniform(0.35, 1.1, N_SEGMENTS), 0.4, 5.0)


def _even_flows(rng: np.random.Generator, state: State) -> FloatArray:
    """Flow that differs by 7 % (SD); under stress two hearts of five have a defect."""
    stress = state is State.STRESS
    usual = rng.uniform(1.4, 5.0) if stress else rng.uniform(0.5, 1.35)
    flows = usual * np.exp(0.07 * rng.standard_normal(N_SEGMENTS))
    if stress and rng.random() < 0.4:
        start, width = rng.integers(N_SEGMENTS), rng.integers(2, 6)
        flows[(start + np.arange(width)) % N_SEGMENTS] *= rng.uniform(0.25, 0.65)
    return flows
