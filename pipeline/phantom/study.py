"""One seed to one study: draws the patient, the scan and both first passes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from pipeline.phantom.blood import BloodCurves, blood_curves, draw_circulation
from pipeline.phantom.first_pass import Camera, render, slice_truth
from pipeline.phantom.flow import Defect, FlowField, draw_defects, draw_flow
from pipeline.phantom.geometry import Planning, draw_planning, slice_geometry
from pipeline.phantom.heart import Heart, draw_heart
from pipeline.phantom.imaging import Acquisition
from pipeline.phantom.movement import beat_times, breathing_mm, draw_movement
from pipeline.phantom.settings import PhantomSettings
from pipeline.phantom.signals import label_concentrations, label_signals
from pipeline.phantom.slab import build_slab
from pipeline.phantom.thorax import Thorax, Tissue, draw_thorax
from pipeline.phantom.truth import FirstPassTruth, PhantomStudy, PhantomTruth, SliceTruth
from pipeline.result import InputFunction, SliceLevel
from pipeline.study import (
    FirstPass,
    FloatArray,
    PerfusionSlice,
    PerfusionStudy,
    Physics,
    Readout,
    SequenceKind,
    State,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Patient:
    """What both first passes share."""

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


def simulate(seed: int, settings: PhantomSettings = PhantomSettings()) -> PhantomStudy:  # noqa: B008 - frozen
    """Simulate one study with its truth.

    Parameters
    ----------
    seed
        The same seed and settings give the same study, to the last bit.
    settings
        Size and difficulty; what is None is drawn from the seed.
    """
    rng = np.random.default_rng(seed)
    patient = _draw_patient(rng, settings)
    passes = [
        _first_pass(rng, patient, settings, state, second_injection=number > 0)
        for number, state in enumerate(settings.states)
    ]
    return PhantomStudy(
        study=PerfusionStudy(first_passes=tuple(first_pass for first_pass, _ in passes)),
        truth=PhantomTruth(
            seed=seed,
            description=f"{patient.physics.field_strength_t:g} T, "
            f"{patient.physics.readout.sequence}, {len(patient.defects)} defects",
            first_passes=tuple(truth for _, truth in passes),
        ),
    )


def stream(first_seed: int, settings: PhantomSettings) -> Iterator[PhantomStudy]:
    """Yield one-slice studies without end, for training: state and level change with the seed."""
    seed = first_seed
    while True:
        state = (State.REST, State.STRESS)[seed % 2]
        yield simulate(seed, replace(settings, states=(state,), n_slices=1))
        seed += 1


def _draw_patient(rng: Generator, settings: PhantomSettings) -> _Patient:
    heart, thorax = draw_heart(rng), draw_thorax(rng)
    field = settings.field_strength_t or float(rng.choice([1.5, 3.0]))
    fractions = {
        1: (rng.choice([0.25, 0.45, 0.7]),),
        2: (0.25, 0.6),
        3: (0.2, 0.45, 0.7),
        4: (0.15, 0.35, 0.55, 0.75),
        5: (0.12, 0.28, 0.44, 0.6, 0.76),
    }[settings.n_slices]
    return _Patient(
        heart=heart,
        thorax=thorax,
        planning=draw_planning(rng),
        defects=draw_defects(rng, heart, disease=settings.disease),
        haematocrit=rng.uniform(0.36, 0.48),
        weight_kg=round(rng.normal(78, 13), 1),
        depths_mm=tuple(float(part * heart.length_mm) for part in fractions),
        levels=tuple(_level(float(part)) for part in fractions),
        centre_mm=(rng.normal(5, 12), rng.normal(2, 10)),
        spacing_mm=settings.spacing_mm or rng.uniform(300, 380) / settings.matrix,
        thickness_mm=float(rng.choice([8.0, 10.0])),
        physics=_draw_physics(rng, field, settings),
    )


def _level(fraction: float) -> SliceLevel:
    if fraction < 0.35:
        return SliceLevel.BASAL
    return SliceLevel.MID if fraction < 0.6 else SliceLevel.APICAL


def _draw_physics(rng: Generator, field: float, settings: PhantomSettings) -> Physics:
    high = field > 2
    sequence = settings.sequence or SequenceKind.SPOILED_GRADIENT_ECHO
    balanced = sequence is SequenceKind.BALANCED_SSFP
    return Physics(
        field_strength_t=field,
        readout=Readout(
            sequence=sequence,
            repetition_time_s=rng.uniform(2.0, 2.8) * 1e-3,
            echo_time_s=rng.uniform(0.95, 1.2) * 1e-3,
            flip_angle_rad=np.radians(rng.uniform(40, 50) if balanced else rng.uniform(10, 16)),
            saturation_delay_s=rng.uniform(0.035, 0.08),
            pulses_before_centre=int(rng.integers(18, 30)),
            saturation_efficiency=rng.uniform(0.95, 1.0),
        ),
        r1_relaxivity_l_mmol_s=rng.uniform(4.8, 5.2) if high else rng.uniform(5.0, 5.5),
        r2_star_relaxivity_l_mmol_s=rng.uniform(8, 12) if high else rng.uniform(5.5, 8),
        t1_blood_s=rng.normal(1.9, 0.07) if high else rng.normal(1.55, 0.06),
        t1_myocardium_s=rng.normal(1.22, 0.05) if high else rng.normal(1.0, 0.04),
        haematocrit=0.42,
        dose_mmol_kg=float(rng.choice([0.05, 0.075, 0.1], p=[0.45, 0.4, 0.15])),
    )


def _first_pass(
    rng: Generator,
    patient: _Patient,
    settings: PhantomSettings,
    state: State,
    *,
    second_injection: bool,
) -> tuple[FirstPass, FirstPassTruth]:
    rate = rng.uniform(75, 105) if state is State.STRESS else rng.uniform(52, 80)
    interval = 60.0 / rate
    trigger = beat_times(rng, settings.n_frames, interval)
    circulation = draw_circulation(
        rng,
        state=state,
        dose_mmol=(patient.physics.dose_mmol_kg or 0.05) * patient.weight_kg,
        interval_s=interval,
        second_injection=second_injection,
    )
    blood = blood_curves(circulation, float(trigger[-1]) + 2.0)
    flow = draw_flow(rng, state=state, defects=patient.defects)
    concentration = label_concentrations(
        rng, blood=blood, flow=flow, haematocrit=patient.haematocrit
    )
    largest = rng.choice([0.0, 6.0, 12.0, 20.0]) * rng.uniform(0.6, 1.0)
    breathing = breathing_mm(
        rng, trigger, largest if settings.motion_mm is None else settings.motion_mm
    )
    made = [
        _slice(
            rng, patient, settings, number, trigger, breathing, interval, blood, concentration, flow
        )
        for number in range(settings.n_slices)
    ]
    label = str(state)
    return (
        FirstPass(
            label=label,
            state=state,
            state_reason="the phantom was asked for it",
            slices=tuple(one for one, _ in made),
            physics=replace(patient.physics, haematocrit=patient.haematocrit),
            heart_rate_bpm=rate,
        ),
        _first_pass_truth(patient, label, state, blood, tuple(one for _, one in made), rate),
    )


def _first_pass_truth(
    patient: _Patient,
    label: str,
    state: State,
    blood: BloodCurves,
    slices: tuple[SliceTruth, ...],
    rate: float,
) -> FirstPassTruth:
    segments = np.concatenate([one.sectors[one.sectors > 0] for one in slices])
    flows = np.concatenate([one.mbf_ml_min_g[one.sectors > 0] for one in slices])
    rise = blood.lv - blood.lv[0]
    peak = int(np.argmax(rise))
    after = rise[peak:]
    valley = peak + int(np.argmax(np.append(np.diff(after) > 0, True)))
    return FirstPassTruth(
        label=label,
        state=state,
        slices=slices,
        input_function=InputFunction(
            time_s=blood.time_s,
            concentration_mmol_l=blood.lv,
            arrival_s=float(blood.time_s[np.argmax(rise > 0.02 * rise[peak])]),
            first_pass_end_s=float(blood.time_s[valley]),
            source="phantom",
        ),
        segment_mbf_ml_min_g={
            int(segment): float(np.mean(flows[segments == segment]))
            for segment in np.unique(segments)
        },
        haematocrit=patient.haematocrit,
        heart_rate_bpm=rate,
    )


def _slice(
    rng: Generator,
    patient: _Patient,
    settings: PhantomSettings,
    number: int,
    trigger: FloatArray,
    breathing: FloatArray,
    interval: float,
    blood: BloodCurves,
    concentration: FloatArray,
    flow: FlowField,
) -> tuple[PerfusionSlice, SliceTruth]:
    depth = patient.depths_mm[number]
    movement = draw_movement(
        rng,
        trigger_s=trigger,
        slice_delay_s=number * 0.28 * interval,
        breathing=breathing,
        mistrigger_share=settings.mistrigger_share or 0.0,
    )
    signals = label_signals(
        concentration, movement.time_s, patient.physics, patient.physics.readout
    )
    slab = build_slab(
        rng,
        heart=patient.heart,
        thorax=patient.thorax,
        flow=flow,
        z_mm=depth,
        matrix=settings.matrix,
        spacing_mm=patient.spacing_mm,
        centre_mm=patient.centre_mm,
    )
    peak = int(np.argmax(np.interp(movement.time_s, blood.time_s, blood.lv)))
    camera = Camera(slab, patient.thickness_mm, movement.shift_mm[peak])
    wall = signals[:, Tissue.MYOCARDIUM + 40]
    wanted = settings.contrast_to_noise or rng.uniform(8, 40)
    acquisition = Acquisition(
        matrix=settings.matrix,
        phase_resolution=rng.uniform(0.7, 1.0),
        n_coils=1,
        noise_sd=float(wall.max() - wall[0]) / wanted,
    )
    frames, regions = render(
        rng,
        camera=camera,
        movement=movement,
        signals=signals,
        coil=_coil(slab.coordinates()),
        acquisition=acquisition,
    )
    geometry = slice_geometry(
        patient.planning,
        depth_mm=depth,
        centre_mm=patient.centre_mm,
        matrix=settings.matrix,
        spacing_mm=patient.spacing_mm,
        thickness_mm=patient.thickness_mm,
    )
    scale = np.float32(4000.0)
    truth = slice_truth(
        heart=patient.heart,
        z_mm=depth,
        level=patient.levels[number],
        camera=camera,
        movement=movement,
        regions=regions,
        peak_frame=peak,
    )
    return PerfusionSlice(frames=frames * scale, time_s=movement.time_s, geometry=geometry), truth


def _coil(coordinates: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Intensity of a surface array: brighter in front (left in the picture)."""
    x, y = coordinates
    distance = np.hypot(x + 140.0, y + 30.0)
    profile: FloatArray = (1.0 / (1.0 + (distance / 130.0) ** 2) + 0.25).astype(np.float32)
    return profile
