"""Other pictures of a simulated patient: T1 map, cine and late enhancement of the same slices.

They have their own random numbers, so that asking for them changes no perfusion picture. The
patient and the scanner are drawn again from the seed: same heart, same chest, same slices, same
coils.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from pipeline.phantom.bloch import readout_signal
from pipeline.phantom.camera import REST_POSE, Camera, Pose, View
from pipeline.phantom.flow import FlowField, draw_flow
from pipeline.phantom.grid import OVERSAMPLING, Grid
from pipeline.phantom.imaging import Acquisition, magnitude_image, signal_image
from pipeline.phantom.labels import (
    N_LABELS,
    PERFUSION,
    Tissue,
    blood_labels,
    relaxation,
    transverse_times,
)
from pipeline.phantom.patient import Patient, draw_patient
from pipeline.phantom.scanner import Scanner, acquisition_of, coil_maps, draw_scanner
from pipeline.phantom.settings import PhantomSettings
from pipeline.phantom.slab import build_slab
from pipeline.study import FloatArray, Readout, SequenceKind, State

CINE_PHASES = 25
CINE_READOUT = Readout(
    sequence=SequenceKind.BALANCED_SSFP,
    repetition_time_s=3.0e-3,
    echo_time_s=1.5e-3,
    flip_angle_rad=float(np.radians(55.0)),
    saturation_delay_s=float("inf"),
    pulses_before_centre=60,
)
LATE_READOUT = Readout(
    sequence=SequenceKind.SPOILED_GRADIENT_ECHO,
    repetition_time_s=5.0e-3,
    echo_time_s=2.0e-3,
    flip_angle_rad=float(np.radians(25.0)),
    saturation_delay_s=float("inf"),
    pulses_before_centre=12,
)
_STEADY_PULSES = 1500
_STROKE_MM = 8.0
_T1_NOISE_S = 0.035
_LEAST_DENSITY = 0.3
# whole blood a quarter of an hour after the injection, over the dose [mmol/L per mmol/kg]
_LATE_BLOOD = 2.6
_LATE_BEATS_S = 1.8

# T2 [s] where it differs much from T2* (Stanisz et al. 2005, doi 10.1002/mrm.20605; de Bazelaire et
# al. 2004, doi 10.1148/radiol.2303021331)
_T2 = {
    Tissue.FAT: 0.068,
    Tissue.MARROW: 0.049,
    Tissue.LIVER: 0.046,
    Tissue.SPLEEN: 0.079,
    Tissue.MUSCLE: 0.035,
    Tissue.FLUID: 1.0,
    Tissue.STOMACH: 0.06,
    Tissue.GLAND: 0.055,
    Tissue.FOOD: 0.05,
    Tissue.LUNG: 0.03,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class OtherPictures:
    """Pictures of one short-axis slice."""

    t1_s: FloatArray
    """Before contrast agent; 0 where there is no signal [row, column]."""
    cine: FloatArray
    """Bright blood over one beat, from the end of diastole [phase, row, column]."""
    late: FloatArray
    """Inversion recovery with nulled wall, minutes after the last injection [row, column]."""
    inversion_time_s: float
    """That nulls the wall."""


def other_pictures(seed: int, settings: PhantomSettings) -> tuple[OtherPictures, ...]:
    """Take the other pictures of the patient of a seed, slice by slice.

    Parameters
    ----------
    seed, settings
        Those of the study (`PhantomTruth.seed`, `PhantomTruth.settings`).
    """
    same = np.random.default_rng(seed)
    patient = draw_patient(same, settings)
    scanner = replace(draw_scanner(same, 35.0), trust=1.0, ghost=0.0, floor=0.0, edge_curve=-1.0)
    rng = np.random.default_rng((seed, 1))
    flow = draw_flow(rng, state=State.REST, defects=patient.defects)
    return tuple(_take(rng, patient, scanner, settings, flow, z_mm) for z_mm in patient.depths_mm)


def native_signals(patient: Patient) -> FloatArray:
    """Steady state of each label in a balanced readout without contrast agent [a.u.]."""
    t1, _, density = relaxation(patient.physics)
    t2 = transverse_times(patient.physics)
    for tissue, value in _T2.items():
        t2[tissue] = value
    train = readout_signal(
        CINE_READOUT, r1_per_s=1.0 / t1, r2_per_s=1.0 / t2, n_pulses=_STEADY_PULSES
    )
    signal: FloatArray = (density * train[-1]).astype(np.float32)
    return signal


def late_signals(patient: Patient, n_injections: int) -> tuple[FloatArray, float]:
    """Signal of each label at the inversion time that nulls healthy wall, and that time [s]."""
    t1, t2_star, density = relaxation(patient.physics)
    blood = _LATE_BLOOD * (patient.physics.dose_mmol_kg or 0.1) * n_injections
    amount = np.zeros(N_LABELS)
    for tissue, (_, _, plasma, interstitium, _) in PERFUSION.items():
        amount[tissue] = (plasma + interstitium) / (1.0 - patient.haematocrit)
    amount[blood_labels()] = 1.0
    amount[Tissue.MYOCARDIUM :] = amount[Tissue.RV_WALL] = 0.25 / (1.0 - patient.haematocrit)
    amount[Tissue.SCAR :] = 0.5 / (1.0 - patient.haematocrit)
    r1 = 1.0 / t1 + patient.physics.r1_relaxivity_l_mmol_s * blood * amount
    wall = float(r1[Tissue.MYOCARDIUM])
    inversion_s = float(np.log(2.0 / (1.0 + np.exp(-_LATE_BEATS_S * wall))) / wall)
    recovered = 1.0 - 2.0 * np.exp(-inversion_s * r1) + np.exp(-_LATE_BEATS_S * r1)
    signal = density * np.abs(recovered) * np.exp(-LATE_READOUT.echo_time_s / t2_star)
    return signal.astype(np.float32), inversion_s


def _take(
    rng: Generator,
    patient: Patient,
    scanner: Scanner,
    settings: PhantomSettings,
    flow: FlowField,
    z_mm: float,
) -> OtherPictures:
    grid = Grid.of_picture(
        matrix=settings.matrix,
        spacing_mm=patient.spacing_mm,
        turn_rad=patient.planning.turn_rad,
        centre_mm=patient.centre_mm,
    )
    slab = build_slab(
        rng, heart=patient.heart, thorax=patient.thorax, flow=flow, grid=grid, z_mm=z_mm
    )
    camera = Camera(slab, patient.thickness_mm)
    coil, noise_gain = coil_maps(scanner.coils, patient.thorax, grid)

    def picture(signal: FloatArray, view: View) -> FloatArray:
        """Magnitude image whose noise is set by the signal of blood."""
        scale = float(signal[Tissue.LV_BLOOD])
        acquisition: Acquisition = acquisition_of(
            scanner, matrix=settings.matrix, noise_gain=noise_gain, wall_rise=scale
        )
        fine = signal[view.labels] * view.texture * coil
        return magnitude_image(signal_image(fine, 0.0 * fine, acquisition), acquisition, rng)

    bright, (late, inversion_s) = (
        native_signals(patient),
        late_signals(patient, len(settings.states)),
    )
    still = camera.look(REST_POSE)
    beat = [_beat(patient, z_mm, phase / CINE_PHASES) for phase in range(CINE_PHASES)]
    return OtherPictures(
        t1_s=_t1_map(rng, patient, still),
        cine=np.stack([picture(bright, camera.look(pose)) for pose in beat]),
        late=picture(late, still),
        inversion_time_s=inversion_s,
    )


def _t1_map(rng: Generator, patient: Patient, view: View) -> FloatArray:
    """T1 [s] of each pixel, its tissues weighed by what they give of signal, with noise."""
    t1, t2_star, density = relaxation(patient.physics)
    weight = (density * np.exp(-1.2e-3 / t2_star))[view.labels]
    total, weighed = _by_pixel(weight), _by_pixel(weight * t1[view.labels])
    mean = weighed / np.maximum(total, 1e-9)
    share = np.maximum(total, 1e-3)
    noisy = mean + _T1_NOISE_S / share * rng.standard_normal(mean.shape)
    found: FloatArray = np.where(total > _LEAST_DENSITY, np.maximum(noisy, 0.0), 0.0)
    return found.astype(np.float32)


def _by_pixel(fine: FloatArray) -> FloatArray:
    """Mean of the fine points of each pixel."""
    size = fine.shape[0] // OVERSAMPLING
    mean: FloatArray = fine.reshape(size, OVERSAMPLING, size, OVERSAMPLING).mean(axis=(1, 3))
    return mean


def _beat(patient: Patient, z_mm: float, part: float) -> Pose:
    """Pose of the heart at a part of the beat: systole lasts for its first 40 %.

    The base moves towards the apex, so that a slice that stays sees more of the base.
    """
    filled = min(max(part - 0.4, 0.0) / 0.5, 1.0)
    squeezed = np.sin(np.pi * min(part, 0.4) / 0.8) ** 2 * np.cos(np.pi * filled / 2) ** 2
    held = patient.heart.systole
    depth = z_mm / patient.heart.length_mm
    return replace(
        REST_POSE,
        contraction=float(1.1 * squeezed - held),
        through_mm=float(-_STROKE_MM * (1.0 - depth) * squeezed),
    )
