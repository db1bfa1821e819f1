"""Takes the slices of one first pass: the short axis ones, and those of a separate input series."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from pipeline.phantom.blood import BloodCurves
from pipeline.phantom.camera import Camera
from pipeline.phantom.flow import FlowField
from pipeline.phantom.geometry import slice_geometry
from pipeline.phantom.grid import Grid
from pipeline.phantom.imaging import Acquisition
from pipeline.phantom.labels import Tissue
from pipeline.phantom.movement import Movement, Rhythm, draw_movement
from pipeline.phantom.patient import Patient, input_readout, proton_density_readout
from pipeline.phantom.scanner import Scanner, acquisition_of, coil_maps
from pipeline.phantom.series import render, slice_truth
from pipeline.phantom.settings import PhantomSettings
from pipeline.phantom.signals import Signals, label_signals
from pipeline.phantom.slab import build_slab
from pipeline.phantom.truth import SliceTruth
from pipeline.study import (
    FloatArray,
    InputKind,
    InputSeries,
    IntArray,
    PerfusionSlice,
    Readout,
    SliceGeometry,
)

DUAL_BOLUS_RATIO = 10.0
_INPUT_MATRIX = 64
_N_PROTON_DENSITY = 3
_SLICE_SHARE_OF_BEAT = 0.28


@dataclass(frozen=True, kw_only=True, eq=False)
class Exam:
    """What the slices of one first pass share."""

    patient: Patient
    settings: PhantomSettings
    scanner: Scanner
    rhythm: Rhythm
    interval_s: float
    blood: BloodCurves
    flow: FlowField
    concentration: FloatArray
    """Of each label on the grid of times of `blood` [mmol/L], [label, time]."""
    scale: float
    """Stored value over signal."""
    density_rng: Generator | None = None
    """For the proton-density frames of a dual-sequence series; None: it has none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scene:
    """What lies in a slice, how it moves and what the coils hear, before any readout."""

    exam: Exam
    movement: Movement
    camera: Camera
    coil: FloatArray
    signals: Signals
    """With the readout of the short axis slices."""
    acquisition: Acquisition

    def series(
        self, rng: Generator, readout: Readout, signals: Signals
    ) -> tuple[FloatArray, IntArray]:
        """Return the stored values [time, row, column] of one readout, and their regions."""
        images, regions = render(
            rng,
            camera=self.camera,
            movement=self.movement,
            signals=signals,
            coil=self.coil,
            fields=self.exam.patient.fields,
            acquisition=self.acquisition,
            half_readout_s=readout.pulses_before_centre * readout.repetition_time_s,
        )
        return images * np.float32(self.exam.scale), regions

    def with_proton_density(
        self, rng: Generator, one: PerfusionSlice, readout: Readout, told: Readout
    ) -> PerfusionSlice:
        """Add proton-density frames: `readout` without saturation, of which the header has `told`.

        Each is taken to begin in equilibrium.
        """
        quiet = proton_density_readout(readout)
        signals = _signals(self.exam, self.movement.time_s[:_N_PROTON_DENSITY], quiet)
        density, _ = self.series(rng, quiet, signals)
        return replace(
            one, proton_density=density, proton_density_readout=proton_density_readout(told)
        )


def take_slice(rng: Generator, exam: Exam, position: int) -> tuple[PerfusionSlice, SliceTruth]:
    """Take one short axis slice."""
    patient, matrix = exam.patient, exam.settings.matrix
    scene = _scene(rng, exam, position, matrix, patient.spacing_mm)
    frames, labels = scene.series(rng, patient.physics.readout, scene.signals)
    known = slice_truth(
        heart=patient.heart,
        z_mm=patient.depths_mm[position],
        level=patient.levels[position],
        camera=scene.camera,
        movement=scene.movement,
        labels=labels,
        reference_frame=_peak_frame(exam, scene.movement.time_s),
        fields=exam.settings.fields,
    )
    one = PerfusionSlice(
        frames=frames,
        time_s=scene.movement.time_s,
        geometry=_geometry(exam, position, matrix, patient.spacing_mm),
    )
    if patient.proton_density:
        one = scene.with_proton_density(rng, one, patient.physics.readout, patient.nominal.readout)
    return one, known


def take_input_series(rng: Generator, exam: Exam, kind: InputKind) -> InputSeries:
    """Take the separate series of the input function, in the most basal slice.

    For a dual bolus, `exam` holds the blood of the diluted one.
    """
    patient = exam.patient
    matrix = _INPUT_MATRIX if kind is InputKind.DUAL_SEQUENCE else exam.settings.matrix
    spacing_mm = patient.spacing_mm * exam.settings.matrix / matrix
    scene = _scene(rng, exam, 0, matrix, spacing_mm)
    readout = input_readout(patient.physics.readout, kind)
    frames, _ = scene.series(rng, readout, _signals(exam, scene.movement.time_s, readout))
    one = PerfusionSlice(
        frames=frames,
        time_s=scene.movement.time_s,
        geometry=_geometry(exam, 0, matrix, spacing_mm),
    )
    told = input_readout(patient.nominal.readout, kind)
    if kind is InputKind.DUAL_SEQUENCE and exam.density_rng is not None:
        one = scene.with_proton_density(exam.density_rng, one, readout, told)
    return InputSeries(
        kind=kind,
        slice=one,
        readout=told,
        dose_ratio=DUAL_BOLUS_RATIO if kind is InputKind.DUAL_BOLUS else 1.0,
    )


def _scene(rng: Generator, exam: Exam, position: int, matrix: int, spacing_mm: float) -> _Scene:
    movement = _movement(rng, exam, position)
    camera = _camera(rng, exam, position, _grid(exam.patient, matrix, spacing_mm))
    coil, noise_gain = coil_maps(exam.scanner.coils, exam.patient.thorax, camera.slab.grid)
    # Noise is that of the scanner, whatever this series reads out.
    signals = _signals(exam, movement.time_s, exam.patient.physics.readout)
    acquisition = acquisition_of(
        exam.scanner, matrix=matrix, noise_gain=noise_gain, wall_rise=_wall_rise(signals)
    )
    return _Scene(
        exam=exam,
        movement=movement,
        camera=camera,
        coil=coil,
        signals=signals,
        acquisition=acquisition,
    )


def _grid(patient: Patient, matrix: int, spacing_mm: float) -> Grid:
    return Grid.of_picture(
        matrix=matrix,
        spacing_mm=spacing_mm,
        turn_rad=patient.planning.turn_rad,
        centre_mm=patient.centre_mm,
    )


def _camera(rng: Generator, exam: Exam, position: int, grid: Grid) -> Camera:
    slab = build_slab(
        rng,
        heart=exam.patient.heart,
        thorax=exam.patient.thorax,
        flow=exam.flow,
        grid=grid,
        z_mm=exam.patient.depths_mm[position],
    )
    return Camera(slab, exam.patient.thickness_mm)


def _movement(rng: Generator, exam: Exam, position: int) -> Movement:
    delay = position * _SLICE_SHARE_OF_BEAT * exam.interval_s
    return draw_movement(
        rng,
        exam.rhythm,
        slice_delay_s=delay,
        reference_frame=_peak_frame(exam, exam.rhythm.trigger_s + delay),
        mistrigger_share=exam.settings.mistrigger_share,
        turn_rad=exam.patient.planning.turn_rad,
    )


def _peak_frame(exam: Exam, time_s: FloatArray) -> int:
    return int(np.argmax(np.interp(time_s, exam.blood.time_s, exam.blood.lv)))


def _signals(exam: Exam, time_s: FloatArray, readout: Readout) -> Signals:
    return label_signals(
        exam.concentration,
        time_s,
        exam.patient.physics,
        readout,
        fields=exam.patient.fields,
        fat_share=exam.patient.fat_share,
        through_mm_s=exam.patient.blood_speed_mm_s,
        thickness_mm=exam.patient.thickness_mm,
    )


def _wall_rise(signals: Signals) -> float:
    """Peak rise of wall with a flow of about 1.5 mL/min/g [a.u.]."""
    return max(float(np.ptp(signals.centre[:, 0, Tissue.MYOCARDIUM + 41])), 1e-4)


def _geometry(exam: Exam, position: int, matrix: int, spacing_mm: float) -> SliceGeometry:
    return slice_geometry(
        exam.patient.planning,
        depth_mm=exam.patient.depths_mm[position],
        centre_mm=exam.patient.centre_mm,
        matrix=matrix,
        spacing_mm=spacing_mm,
        thickness_mm=exam.patient.thickness_mm,
    )
