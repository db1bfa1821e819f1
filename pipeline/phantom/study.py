"""One seed to one study: the patient, the scanner, then first pass by first pass."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from pipeline.phantom.blood import BloodCurves, Circulation, blood_curves, draw_circulation
from pipeline.phantom.flow import FlowField, draw_flow, myocardial_kinetics
from pipeline.phantom.movement import draw_rhythm
from pipeline.phantom.patient import Patient, draw_patient
from pipeline.phantom.scanner import Scanner, draw_scanner
from pipeline.phantom.settings import PhantomSettings
from pipeline.phantom.signals import label_concentrations
from pipeline.phantom.slices import DUAL_BOLUS_RATIO, Exam, take_input_series, take_slice
from pipeline.phantom.truth import FirstPassTruth, PhantomStudy, PhantomTruth, SliceTruth
from pipeline.result import InputFunction
from pipeline.study import FirstPass, FloatArray, InputKind, InputSeries, PerfusionStudy, State

BETWEEN_INJECTIONS_S = 900.0
_INPUT_DENSITY_SHARE = 0.85
"""Of the scanners that take proton-density frames of the slices take them of the blood, too."""
_INPUT_DENSITY = 0x1D  # names the stream of draws
_SECOND_SHARE = {State.REST: 0.3, State.STRESS: 0.7}
"""How often a state that is simulated alone comes after the other one's injection."""


def simulate(seed: int, settings: PhantomSettings | None = None) -> PhantomStudy:
    """Simulate one study with its truth.

    Parameters
    ----------
    seed
        The same seed and settings give the same study, to the last bit.
    settings
        Size and difficulty; what is None is drawn from the seed.
    """
    settings = settings or PhantomSettings()
    rng = np.random.default_rng(seed)
    patient = draw_patient(rng, settings)
    scanner = draw_scanner(rng, settings.contrast_to_noise)
    scale = float(np.exp(rng.normal(np.log(1500.0), 0.6)))
    density_rng = _input_density(seed, patient, settings)
    order = list(settings.states)
    if patient.stress_first:
        order.reverse()
    passes = {
        state: _first_pass(rng, patient, settings, scanner, state, scale, number, density_rng)
        for number, state in enumerate(order)
    }
    return PhantomStudy(
        study=PerfusionStudy(first_passes=tuple(passes[state][0] for state in settings.states)),
        truth=PhantomTruth(
            seed=seed,
            description=f"{patient.heart.kind} heart, {patient.physics.field_strength_t:g} T, "
            f"{patient.physics.readout.sequence}, defects: {len(patient.defects)}",
            weight_kg=patient.weight_kg,
            settings=settings,
            first_passes=tuple(passes[state][1] for state in settings.states),
        ),
    )


def stream(first_seed: int, settings: PhantomSettings | None = None) -> Iterator[PhantomStudy]:
    """Yield studies of one slice in one state without end, for benchmarks.

    Every seed is another patient; the state alternates and the level of the slice varies.
    """
    seed, settings = first_seed, settings or PhantomSettings()
    while True:
        state = (State.REST, State.STRESS)[seed % 2]
        yield simulate(seed, replace(settings, states=(state,), n_slices=1))
        seed += 1


def _input_density(seed: int, patient: Patient, settings: PhantomSettings) -> Generator | None:
    """Draws of their own for proton-density frames of the blood, which change no other ones.

    None where the study has none.
    """
    rng = np.random.default_rng([seed, _INPUT_DENSITY])
    drawn = patient.proton_density and bool(rng.random() < _INPUT_DENSITY_SHARE)
    asked = settings.input_proton_density
    return rng if (drawn if asked is None else asked) else None


def _first_pass(
    rng: Generator,
    patient: Patient,
    settings: PhantomSettings,
    scanner: Scanner,
    state: State,
    scale: float,
    number: int,
    density_rng: Generator | None,
) -> tuple[FirstPass, FirstPassTruth]:
    """Give the injection of this number and take its images."""
    rate_bpm = float(rng.uniform(72, 108) if state is State.STRESS else rng.uniform(50, 82))
    rhythm = draw_rhythm(
        rng, n_frames=settings.n_frames, interval_s=60.0 / rate_bpm, motion_mm=settings.motion_mm
    )
    circulation = _circulation(rng, patient, settings, state, 60.0 / rate_bpm, number)
    flow = draw_flow(rng, state=state, defects=patient.defects)
    blood = blood_curves(circulation, float(rhythm.trigger_s[-1]) + 2.0)
    exam = Exam(
        patient=patient,
        settings=settings,
        scanner=scanner,
        rhythm=rhythm,
        interval_s=60.0 / rate_bpm,
        blood=blood,
        flow=flow,
        concentration=_concentration(rng, patient, circulation, blood, flow),
        scale=scale,
        density_rng=density_rng,
    )
    made = [take_slice(rng, exam, position) for position in range(settings.n_slices)]
    input_series = _input_series(rng, exam, circulation)
    first_pass = FirstPass(
        label=str(state),
        state=state,
        state_reason="the phantom was asked for it",
        slices=tuple(one for one, _ in made),
        physics=patient.nominal,
        heart_rate_bpm=rate_bpm,
        input_series=input_series,
    )
    slices = tuple(known for _, known in made)
    return first_pass, FirstPassTruth(
        label=str(state),
        state=state,
        slices=slices,
        input_function=_input_function(blood),
        segment_mbf_ml_min_g=_segment_means(slices),
        physics=patient.physics,
        flip_scale=patient.fields.flip_scale,
        residual_mmol_l=circulation.residual_mmol_l,
        heart_rate_bpm=rate_bpm,
        start_s=number * BETWEEN_INJECTIONS_S,
    )


def _circulation(
    rng: Generator,
    patient: Patient,
    settings: PhantomSettings,
    state: State,
    interval_s: float,
    number: int,
) -> Circulation:
    alone = len(settings.states) == 1
    return draw_circulation(
        rng,
        state=state,
        weight_kg=patient.weight_kg,
        dose_mmol=(patient.physics.dose_mmol_kg or 0.0) * patient.weight_kg,
        interval_s=interval_s,
        second_injection=number > 0 or (alone and rng.random() < _SECOND_SHARE[state]),
    )


def _input_series(rng: Generator, exam: Exam, circulation: Circulation) -> InputSeries | None:
    kind = exam.settings.input_kind
    if kind is None:
        return None
    if kind is InputKind.DUAL_BOLUS:
        exam = _diluted(rng, exam, circulation)
    return take_input_series(rng, exam, kind)


def _concentration(
    rng: Generator, patient: Patient, circulation: Circulation, blood: BloodCurves, flow: FlowField
) -> FloatArray:
    return label_concentrations(
        rng,
        blood=blood,
        residual_mmol_l=circulation.residual_mmol_l,
        flow=flow,
        wall=myocardial_kinetics(rng, patient.haematocrit),
        haematocrit=patient.haematocrit,
    )


def _diluted(rng: Generator, exam: Exam, circulation: Circulation) -> Exam:
    """Return the first pass of the diluted bolus that comes before the main one."""
    weak = replace(circulation, dose_mmol=circulation.dose_mmol / DUAL_BOLUS_RATIO)
    blood = blood_curves(weak, float(exam.rhythm.trigger_s[-1]) + 2.0)
    concentration = _concentration(rng, exam.patient, weak, blood, exam.flow)
    return replace(exam, blood=blood, concentration=concentration)


def _input_function(blood: BloodCurves) -> InputFunction:
    """Blood of the LV, with the foot at 2 % of the peak and the end at the first valley."""
    peak = int(np.argmax(blood.lv))
    rises = np.append(np.diff(blood.lv[peak:]) > 0, True)
    return InputFunction(
        time_s=blood.time_s,
        concentration_mmol_l=blood.lv,
        arrival_s=float(blood.time_s[np.argmax(blood.lv > 0.02 * blood.lv[peak])]),
        first_pass_end_s=float(blood.time_s[peak + int(np.argmax(rises))]),
        source="phantom",
    )


def _segment_means(slices: tuple[SliceTruth, ...]) -> dict[int, float]:
    segments = np.concatenate([one.sectors[one.sectors > 0] for one in slices])
    flows = np.concatenate([one.mbf_ml_min_g[one.sectors > 0] for one in slices])
    return {
        int(segment): float(np.mean(flows[segments == segment])) for segment in np.unique(segments)
    }
