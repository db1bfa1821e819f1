"""What is not known of scanner and body, how far it may lie from what is assumed, and draws of it.

Each of them moves concentrations, most of them blood and wall alike.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.stats import halfnorm, norm, qmc

from pipeline.study import FirstPass, FloatArray, Origin, PerfusionSlice, Physics, Readout

LEFT_SPREAD: Final = 0.007
"""Of what the saturation pulse leaves over: trains of pulses that are made for it leave 1 % or less
(Kim 2009, doi 10.1002/mrm.22140); half-normal."""

POOR_LEFT_SPREAD: Final = 0.05
POOR_SHARE: Final = 0.1
"""So many readouts begin with a single pulse or a bad train, which leaves several percent."""

DRAWN_POOR_SHARE: Final = 0.3
"""Of the draws, so that a poor pulse is found where there is one."""

MOST_LEFT: Final = 0.2
"""With a worse pulse, nothing can be quantified."""

FLIP_SPREAD: Final = (0.04, 0.08)
"""Relative error of the flip angle (B1) over the heart, below and above 2 T."""

T1_SPREAD: Final = 0.05
"""Relative, of native T1 between people and between publications."""

MEASURED_T1_SPREAD: Final = 0.02
R2_STAR_SPREAD: Final = 0.25

REPLACED_SPREAD_PER_S: Final = 3.0
"""Of the blood that flows out of a slice: 2 or 3 cm/s on average over a ventricle while it is read,
in slices of 8 to 10 mm; half-normal."""

WALL_DENSITY: Final = 0.88
"""Signal of native wall over that of native blood but for T1: less water, and a shorter T2*."""

WALL_DENSITY_SPREAD: Final = 0.06

_LOG2_DRAWS: Final = 9
_SATURATION: Final = "readout.saturation_efficiency"


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One possible truth."""

    left: float
    """Share of the magnetisation that the saturation pulse leaves."""
    flip_scale: float
    """True flip angle over the nominal one."""
    t1_blood_s: float
    t1_myocardium_s: float
    r2_star_relaxivity_l_mmol_s: float
    blood_replaced_per_s: float = 0.0
    wall_density: float = WALL_DENSITY
    log_weight: float = 0.0
    """Of the prior over the density with which it was drawn."""


def draws(physics: Physics) -> list[Draw]:
    """Draw possible truths, spread evenly over what may be (the same ones every time)."""
    uniform = qmc.Sobol(7, scramble=True, rng=0).random_base2(_LOG2_DRAWS)
    left, log_weight = _left(uniform[:, 0], physics)
    spreads = np.array(
        [
            FLIP_SPREAD[int(physics.field_strength_t > 2.0)],
            _t1_spread(physics, "t1_blood_s"),
            _t1_spread(physics, "t1_myocardium_s"),
            R2_STAR_SPREAD,
            WALL_DENSITY_SPREAD,
        ]
    )
    factors = np.exp(spreads * norm.ppf(uniform[:, 1:6]))
    replaced = halfnorm(scale=REPLACED_SPREAD_PER_S).ppf(uniform[:, 6])
    return [
        Draw(
            left=float(left[index]),
            flip_scale=float(flip),
            t1_blood_s=physics.t1_blood_s * float(blood),
            t1_myocardium_s=physics.t1_myocardium_s * float(wall),
            r2_star_relaxivity_l_mmol_s=physics.r2_star_relaxivity_l_mmol_s * float(r2_star),
            blood_replaced_per_s=float(replaced[index]),
            wall_density=WALL_DENSITY * float(density),
            log_weight=float(log_weight[index]),
        )
        for index, (flip, blood, wall, r2_star, density) in enumerate(factors)
    ]


def applied(physics: Physics, truth: Draw) -> Physics:
    """Physics as it is if `truth` holds."""
    return replace(
        physics,
        readout=readout_as(physics.readout, truth),
        t1_blood_s=truth.t1_blood_s,
        t1_myocardium_s=truth.t1_myocardium_s,
        r2_star_relaxivity_l_mmol_s=truth.r2_star_relaxivity_l_mmol_s,
        blood_replaced_per_s=truth.blood_replaced_per_s,
    )


def readout_as(readout: Readout, truth: Draw) -> Readout:
    """Readout as it is if `truth` holds."""
    return replace(
        readout,
        saturation_efficiency=1.0 - truth.left,
        flip_angle_rad=readout.flip_angle_rad * truth.flip_scale,
    )


def first_pass_as(first_pass: FirstPass, truth: Draw) -> FirstPass:
    """First pass with all its readouts as they are if `truth` holds."""
    series = first_pass.input_series
    return replace(
        first_pass,
        physics=applied(first_pass.physics, truth),
        input_series=series
        and replace(
            series, readout=readout_as(series.readout, truth), slice=_slice_as(series.slice, truth)
        ),
        slices=tuple(_slice_as(one, truth) for one in first_pass.slices),
    )


def _slice_as(one: PerfusionSlice, truth: Draw) -> PerfusionSlice:
    quiet = one.proton_density_readout
    return replace(one, proton_density_readout=quiet and readout_as(quiet, truth))


def _left(uniform: FloatArray, physics: Physics) -> tuple[FloatArray, FloatArray]:
    """Draw what the saturation pulse leaves; with the log weight of each draw [draw]."""
    if physics.origin.get(_SATURATION, Origin.DEFAULT) is not Origin.DEFAULT:
        known = 1.0 - physics.readout.saturation_efficiency
        return np.full(uniform.shape, known), np.zeros(uniform.shape)
    good, poor = halfnorm(scale=LEFT_SPREAD), halfnorm(scale=POOR_LEFT_SPREAD)
    is_poor = uniform < DRAWN_POOR_SHARE
    within = np.where(
        is_poor, uniform / DRAWN_POOR_SHARE, (uniform - DRAWN_POOR_SHARE) / (1 - DRAWN_POOR_SHARE)
    )
    left = np.minimum(np.where(is_poor, poor.ppf(within), good.ppf(within)), MOST_LEFT)

    def density(share: float) -> FloatArray:
        mixed: FloatArray = (1.0 - share) * good.pdf(left) + share * poor.pdf(left)
        return mixed

    return left, np.log(density(POOR_SHARE) / density(DRAWN_POOR_SHARE))


def _t1_spread(physics: Physics, name: str) -> float:
    assumed = physics.origin.get(name, Origin.DEFAULT) is Origin.DEFAULT
    return T1_SPREAD if assumed else MEASURED_T1_SPREAD
