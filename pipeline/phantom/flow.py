"""Myocardial blood flow by position: territories, transmural gradient, defects and scar.

Flow is quantised into levels, one tissue label each, so that the picture and the truth hold
exactly the same flow in every point of the fine grid.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pipeline.phantom.exchange import TissueKinetics
from pipeline.phantom.heart import Contours, Heart, insertion_angles
from pipeline.phantom.labels import N_FLOW_LEVELS, N_SCAR_LEVELS, Tissue
from pipeline.phantom.tables import N_ANGLES, angles
from pipeline.study import FloatArray, IntArray, State

LOWEST, HIGHEST = 0.1, 6.5
LEVELS_ML_MIN_G = LOWEST * (HIGHEST / LOWEST) ** (np.arange(N_FLOW_LEVELS) / (N_FLOW_LEVELS - 1))
SCAR_LEVELS_ML_MIN_G = 0.05 * 20.0 ** (np.arange(N_SCAR_LEVELS) / (N_SCAR_LEVELS - 1))


@dataclass(frozen=True, kw_only=True)
class Defect:
    """A part of the wall that gets less blood."""

    angle_rad: float
    half_width_rad: float
    start_mm: float
    """Depth at which it begins; it reaches to the apex."""
    depth: float
    """Share of the wall from the endocardium outwards, 0 to 1."""
    remaining: float
    """Flow under stress over that of healthy wall."""
    scar: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class FlowField:
    """Flow of one heart in one state."""

    global_ml_min_g: float
    by_angle: FloatArray
    """Factor by angle (angular table)."""
    endo_over_epi: float
    defects: tuple[Defect, ...]


def draw_defects(rng: Generator, heart: Heart, *, disease: bool | None) -> tuple[Defect, ...]:
    """Draw none to two defects, each in a coronary territory."""
    if disease is None:
        disease = bool(rng.random() < 0.5)
    if not disease:
        return ()
    anterior, inferior = insertion_angles(heart, 0.4 * heart.length_mm)
    # LAD: around the anterior insertion; RCA: inferior wall; LCx: lateral wall
    centres = (anterior + 0.1, inferior - 0.4, anterior + np.pi - 0.4)
    chosen = rng.choice(3, size=rng.choice([1, 2], p=[0.75, 0.25]), replace=False)
    return tuple(
        Defect(
            angle_rad=centres[i] + rng.normal(0.0, 0.2),
            half_width_rad=rng.uniform(0.35, 0.9),
            start_mm=rng.uniform(-0.1, 0.5) * heart.length_mm,
            depth=rng.uniform(0.35, 1.0),
            remaining=rng.uniform(0.25, 0.65),
            scar=bool(rng.random() < 0.3),
        )
        for i in chosen
    )


def draw_flow(rng: Generator, *, state: State, defects: tuple[Defect, ...]) -> FlowField:
    """Draw the flow of one state."""
    stress = state is State.STRESS
    theta = angles()
    by_angle = np.ones(N_ANGLES)
    for order in (1, 2, 3, 4):
        by_angle += rng.normal(0.0, 0.04) * np.cos(order * theta + rng.uniform(0, 2 * np.pi))
    flow = rng.uniform(1.4, 4.4) if stress else rng.uniform(0.5, 1.35)
    rare = rng.spawn(1)[0]  # leaves all other draws as they were
    if stress and rare.random() < 0.1:
        flow = rare.uniform(4.2, 5.0)
    return FlowField(
        global_ml_min_g=flow,
        by_angle=by_angle,
        endo_over_epi=rng.normal(0.97, 0.06) if stress else rng.normal(1.1, 0.05),
        defects=tuple(d for d in defects if stress or d.scar),
    )


def flow_levels(
    flow: FlowField,
    cut: Contours,
    radius_mm: FloatArray,
    index: IntArray,
    z_mm: float,
    uneven: FloatArray,
) -> IntArray:
    """Label of the flow level at each point (valid in the myocardium).

    `uneven` is a field of unit SD: flow differs from place to place even in healthy wall.
    """
    thickness = np.maximum(cut.epicardium - cut.endocardium, 1e-3)[index]
    outward = np.clip((radius_mm - cut.endocardium[index]) / thickness, 0.0, 1.0)
    gradient = 1.0 + (flow.endo_over_epi - 1.0) * (0.5 - outward)
    value = flow.global_ml_min_g * flow.by_angle[index] * gradient * np.exp(0.06 * uneven)
    scarred = np.zeros(value.shape, dtype=bool)
    theta = angles()[index]
    for defect in flow.defects:
        away = np.abs((theta - defect.angle_rad + np.pi) % (2 * np.pi) - np.pi)
        edge = np.clip((defect.half_width_rad - away) / 0.15, 0.0, 1.0)
        edge *= np.clip((defect.depth - outward) / 0.12, 0.0, 1.0)
        edge *= np.clip((z_mm - defect.start_mm) / 8.0, 0.0, 1.0)
        value = value * (1.0 - (1.0 - defect.remaining) * edge)
        if defect.scar:
            scarred |= edge > 0.5
    level = np.rint(np.log(value / LOWEST) * ((N_FLOW_LEVELS - 1) / np.log(HIGHEST / LOWEST)))
    label = Tissue.MYOCARDIUM + np.clip(level, 0, N_FLOW_LEVELS - 1)
    scar = np.rint(np.log(value / 0.05) * ((N_SCAR_LEVELS - 1) / np.log(20.0)))
    label[scarred] = (Tissue.SCAR + np.clip(scar, 0, N_SCAR_LEVELS - 1))[scarred]
    labels: IntArray = label.astype(np.uint8)
    return labels


def flow_of_labels() -> FloatArray:
    """MBF [mL/min/g] by tissue label; NaN where it is not myocardium."""
    table = np.full(Tissue.SCAR + N_SCAR_LEVELS, np.nan)
    table[Tissue.MYOCARDIUM : Tissue.MYOCARDIUM + N_FLOW_LEVELS] = LEVELS_ML_MIN_G
    table[Tissue.SCAR :] = SCAR_LEVELS_ML_MIN_G
    return table


def myocardial_kinetics(
    rng: Generator, haematocrit: float
) -> tuple[TissueKinetics, TissueKinetics]:
    """Draw the exchange parameters of healthy wall and of scar, by level of flow.

    Ranges follow QPerf's normals (Xue et al., doi 10.1002/mrm.27954): PS 1.1-1.3 mL/min/g, blood
    volume 10-12 mL/100 g, interstitium 20 mL/100 g; both rise gently with flow.
    """
    plasma, spread = 1.0 - haematocrit, float(rng.uniform(0.15, 0.5))
    healthy = TissueKinetics(
        mbf_ml_min_g=LEVELS_ML_MIN_G,
        ps_ml_min_g=rng.uniform(0.7, 1.5) * LEVELS_ML_MIN_G**0.15,
        plasma_volume_ml_ml=rng.uniform(0.08, 0.12) * plasma * LEVELS_ML_MIN_G**0.12,
        interstitial_volume_ml_ml=np.full(N_FLOW_LEVELS, rng.uniform(0.15, 0.26)),
        delay_s=rng.uniform(0.1, 0.8) * LEVELS_ML_MIN_G**-0.4,
        flow_spread=spread,
    )
    scar = TissueKinetics(
        mbf_ml_min_g=SCAR_LEVELS_ML_MIN_G,
        ps_ml_min_g=np.full(N_SCAR_LEVELS, rng.uniform(0.5, 1.0)),
        plasma_volume_ml_ml=np.full(N_SCAR_LEVELS, 0.05 * plasma),
        interstitial_volume_ml_ml=np.full(N_SCAR_LEVELS, rng.uniform(0.4, 0.55)),
        delay_s=np.full(N_SCAR_LEVELS, rng.uniform(1.0, 2.5)),
        flow_spread=spread,
    )
    return healthy, scar
