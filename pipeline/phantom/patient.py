"""Draws what both first passes of a study share: the patient and the scan."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from pipeline import relaxation
from pipeline.phantom.fields import EVEN, Fields, draw_fields
from pipeline.phantom.flow import Defect, draw_defects
from pipeline.phantom.geometry import Planning, draw_planning
from pipeline.phantom.heart import Heart, contours, draw_heart
from pipeline.phantom.settings import PhantomSettings
from pipeline.phantom.tables import angles
from pipeline.phantom.thorax import Thorax, draw_thorax
from pipeline.relaxation import Agent
from pipeline.result import SliceLevel
from pipeline.study import InputKind, Physics, Readout, SequenceKind


@dataclass(frozen=True, kw_only=True, eq=False)
class Patient:
    """One patient on one scanner."""

    heart: Heart
    thorax: Thorax
    planning: Planning
    defects: tuple[Defect, ...]
    haematocrit: float
    weight_kg: float
    depths_mm: tuple[float, ...]
    levels: tuple[SliceLevel, ...]
    centre_mm: tuple[float, float]
    spacing_mm: float
    thickness_mm: float
    physics: Physics
    """As the body and the scanner are."""
    nominal: Physics
    """As the header and the literature say."""
    fields: Fields
    """B1 and B0 across the chest."""
    blood_speed_mm_s: float
    """Of blood through the slice while it is read, on average over a ventricle."""
    fat_share: float
    """What suppression leaves of the signal of fat."""
    stress_first: bool
    proton_density: bool


def draw_patient(rng: Generator, settings: PhantomSettings) -> Patient:
    """Draw one patient and one protocol."""
    heart = draw_heart(rng)
    middle = contours(heart, 0.4 * heart.length_mm)
    left = float(np.max(-middle.rv_outer * np.cos(angles())))
    thorax = draw_thorax(rng, left, float(middle.epicardium.mean()))
    planning = draw_planning(rng)
    # drawn in any case, so that asking for one thing leaves all others as they were
    drawn_field, proton_density = float(rng.choice([1.5, 3.0])), bool(rng.random() < 0.3)
    field_of_view_mm = float(rng.uniform(300, 400))
    field = settings.field_strength_t or drawn_field
    fields, speed = draw_fields(rng, field), abs(rng.normal(0.0, 22.0))
    nominal = _nominal_physics(rng, field, settings)
    actual = _actual_physics(rng, nominal, haematocrit=rng.uniform(0.36, 0.48))
    fractions = _fractions(rng, settings.n_slices)
    return Patient(
        heart=heart,
        thorax=thorax,
        planning=planning,
        defects=draw_defects(rng, heart, disease=settings.disease),
        haematocrit=actual.haematocrit,
        weight_kg=round(float(np.clip(rng.normal(78, 13), 45, 130)), 1),
        depths_mm=tuple(part * heart.length_mm for part in fractions),
        levels=_levels(fractions),
        centre_mm=(rng.normal(-2.0, 9.0), rng.normal(2.0, 9.0)),
        spacing_mm=settings.spacing_mm or field_of_view_mm / settings.matrix,
        thickness_mm=float(rng.choice([6.0, 8.0, 10.0], p=[0.1, 0.5, 0.4])),
        physics=actual,
        nominal=actual if settings.exact_physics else nominal,
        fields=EVEN if settings.exact_physics else fields,
        blood_speed_mm_s=0.0 if settings.exact_physics else speed,
        fat_share=float(rng.choice([1.0, rng.uniform(0.25, 0.9)], p=[0.65, 0.35])),
        stress_first=bool(rng.random() < 0.3),
        proton_density=proton_density
        if settings.proton_density is None
        else settings.proton_density,
    )


def input_readout(main: Readout, kind: InputKind) -> Readout:
    """Readout of the separate input function series."""
    if kind is InputKind.DUAL_BOLUS:
        return main
    # Kellman et al. 2017 (doi 10.1186/s12968-017-0355-5): short delay, small flip, low resolution
    return replace(
        main,
        sequence=SequenceKind.SPOILED_GRADIENT_ECHO,
        repetition_time_s=1.45e-3,
        echo_time_s=0.76e-3,
        flip_angle_rad=float(np.radians(5.0)),
        saturation_delay_s=5.0e-3,
        pulses_before_centre=9,
    )


def proton_density_readout(main: Readout) -> Readout:
    """Readout without saturation, small flip angle, in the same place of the train."""
    return replace(main, saturation_delay_s=float("inf"), flip_angle_rad=float(np.radians(5.0)))


def _fractions(rng: Generator, n_slices: int) -> tuple[float, ...]:
    """Depths of the slices over the length of the ventricle; a single one lies anywhere."""
    if n_slices == 1:
        return (float(rng.uniform(0.15, 0.78)),)
    first, last = rng.uniform(0.16, 0.24), rng.uniform(0.66, 0.78)
    if n_slices == 2:
        last = rng.uniform(0.42, 0.52)
    return tuple(float(part) for part in np.linspace(first, last, n_slices))


def _levels(fractions: tuple[float, ...]) -> tuple[SliceLevel, ...]:
    """Level of each slice: a stack is basal, mid and apical in thirds, of two there is no apex."""
    order, count = tuple(SliceLevel), len(fractions)
    if count == 1:
        return (order[int(np.clip((fractions[0] - 0.02) // 0.31, 0, 2))],)
    return tuple(order[3 * position // max(count, 3)] for position in range(count))


def _nominal_physics(rng: Generator, field: float, settings: PhantomSettings) -> Physics:
    high = field > 2
    sequence = settings.sequence or (
        SequenceKind.SPOILED_GRADIENT_ECHO
        if high or rng.random() < 0.7
        else SequenceKind.BALANCED_SSFP
    )
    balanced = sequence is SequenceKind.BALANCED_SSFP
    to_centre_ms = _to_centre_ms(rng)
    repetition_ms = round(rng.uniform(1.9, 2.8), 2)
    most = min((to_centre_ms - 10.0) / repetition_ms, 30.0)
    pulses = int(rng.integers(6, max(int(most), 6), endpoint=True))
    return Physics(
        field_strength_t=field,
        readout=Readout(
            sequence=sequence,
            repetition_time_s=repetition_ms * 1e-3,
            echo_time_s=(repetition_ms / 2 if balanced else round(rng.uniform(0.8, 1.2), 2)) * 1e-3,
            flip_angle_rad=float(
                np.radians(rng.integers(40, 51) if balanced else rng.integers(9, 21))
            ),
            saturation_delay_s=round(max(to_centre_ms - pulses * repetition_ms, 10.0)) * 1e-3,
            pulses_before_centre=pulses,
        ),
        r1_relaxivity_l_mmol_s=relaxation.r1_relaxivity_l_mmol_s(Agent.GADOBUTROL, field),
        r2_star_relaxivity_l_mmol_s=relaxation.r2_star_relaxivity_l_mmol_s(field),
        t1_blood_s=relaxation.t1_blood_s(field),
        t1_myocardium_s=relaxation.t1_myocardium_s(field),
        haematocrit=0.42,
        dose_mmol_kg=float(rng.choice([0.05, 0.075, 0.1], p=_dose_shares(to_centre_ms))),
    )


def _to_centre_ms(rng: Generator) -> float:
    """Draw the time from saturation to the centre of k-space [ms].

    Few lines come before it (highly accelerated, partial Fourier), or many.
    """
    usual = 36.0 * (135.0 / 36.0) ** rng.beta(1.05, 1.15)
    rare = rng.spawn(1)[0]  # leaves all other draws as they were
    extreme = rare.random()
    if extreme < 0.3:  # the shortest that a train of six pulses allows, or nearly
        return float(rare.uniform(21.0, 32.0))
    if extreme > 0.9:
        return float(rare.uniform(135.0, 155.0))
    return float(usual)


def _dose_shares(to_centre_ms: float) -> tuple[float, float, float]:
    """How often each dose is given: the longer blood recovers, the less it takes to saturate."""
    if to_centre_ms < 36.0:
        return (0.2, 0.25, 0.55)
    if to_centre_ms > 120.0:
        return (0.6, 0.25, 0.15)
    return (0.38, 0.28, 0.34)


def _actual_physics(rng: Generator, nominal: Physics, haematocrit: float) -> Physics:
    """Draw what differs from the header and from the literature in one body on one scanner."""
    high = nominal.field_strength_t > 2
    # trains of pulses made for it leave less than 2 % (Kim et al. 2009, doi 10.1002/mrm.22140)
    left = min(abs(rng.normal(0.0, 0.007)), 0.025)
    return replace(
        nominal,
        readout=replace(nominal.readout, saturation_efficiency=1.0 - left),
        r1_relaxivity_l_mmol_s=nominal.r1_relaxivity_l_mmol_s * rng.normal(1.0, 0.03),
        r2_star_relaxivity_l_mmol_s=rng.uniform(12.0, 24.0),
        t1_blood_s=rng.normal(1.76, 0.07) if high else rng.normal(1.56, 0.06),
        t1_myocardium_s=rng.normal(1.20, 0.04) if high else rng.normal(1.02, 0.035),
        haematocrit=haematocrit,
    )
