"""A pool of blood with a papillary muscle in a ring of muscle, seen by any readouts."""

import numpy as np

from pipeline import signal_model
from pipeline.result import Regions
from pipeline.study import (
    FirstPass,
    InputKind,
    InputSeries,
    PerfusionSlice,
    Physics,
    Readout,
    SequenceKind,
    SliceGeometry,
    State,
)

TIME_S = np.arange(0.0, 60.0, 0.9)
ROWS, COLUMNS = np.indices((32, 32))
RADIUS = np.hypot(ROWS - 16, COLUMNS - 16)
REGIONS = Regions(
    myocardium=(RADIUS >= 8) & (RADIUS < 12),
    lv_pool=RADIUS < 8,
    rv_pool=np.zeros((32, 32), dtype=bool),
)


def geometry(spacing_mm=2.0, shift_mm=0.0):
    return SliceGeometry(
        position_mm=(shift_mm, shift_mm, 0.0),
        column_direction=(1.0, 0.0, 0.0),
        row_direction=(0.0, 1.0, 0.0),
        spacing_mm=(spacing_mm, spacing_mm),
        thickness_mm=10.0,
    )


def readout(*, delay_s=0.06, pulses=20, degrees=12.0, efficiency=1.0):
    return Readout(
        sequence=SequenceKind.SPOILED_GRADIENT_ECHO,
        repetition_time_s=1.8e-3,
        echo_time_s=0.8e-3,
        flip_angle_rad=np.radians(degrees),
        saturation_delay_s=delay_s,
        pulses_before_centre=pulses,
        saturation_efficiency=efficiency,
    )


def short_readout(efficiency=1.0):
    return readout(delay_s=0.005, pulses=8, degrees=5.0, efficiency=efficiency)


def physics(used, dose_mmol_kg=0.05):
    return Physics(
        field_strength_t=3.0,
        readout=used,
        r1_relaxivity_l_mmol_s=4.5,
        r2_star_relaxivity_l_mmol_s=15.0,
        t1_blood_s=1.66,
        t1_myocardium_s=1.22,
        haematocrit=0.42,
        dose_mmol_kg=dose_mmol_kg,
    )


def slice_of(used, concentration, *, noise=0.0, true_efficiency=None, step=1, density=None):
    """One slice; `noise` is relative to the brightest blood; `step` skips pixels."""
    seen = used if true_efficiency is None else readout_with(used, true_efficiency)
    medium = signal_model.blood(physics(used))
    blood = 1000.0 * signal_model.magnitude(concentration, seen, medium)
    frames = np.full((TIME_S.size, 32, 32), float(blood[0]))
    wall = signal_model.magnitude(np.array(0.0), seen, signal_model.myocardium(physics(used)))
    frames[:, REGIONS.myocardium] = 880.0 * float(wall)
    frames[:, REGIONS.lv_pool] = blood[:, None]
    frames[:, np.hypot(ROWS - 18, COLUMNS - 14) < 2.5] = blood[0]
    rng = np.random.default_rng(0)
    sigma = noise * float(blood.max())
    frames = np.hypot(
        frames + sigma * rng.standard_normal(frames.shape),
        sigma * rng.standard_normal(frames.shape),
    )
    return PerfusionSlice(
        frames=frames[:, ::step, ::step],
        time_s=TIME_S,
        geometry=geometry(2.0 * step),
        proton_density=None
        if density is None
        else _density_frames(density, used)[:, ::step, ::step],
        proton_density_readout=density,
    )


def _density_frames(density, used):
    native, images = np.array(0.0), np.zeros((2, 32, 32))
    blood, wall = signal_model.blood(physics(used)), signal_model.myocardium(physics(used))
    images[:] = 1000.0 * float(signal_model.magnitude(native, density, blood))
    images[:, REGIONS.myocardium] = 880.0 * float(signal_model.magnitude(native, density, wall))
    return images


def readout_with(used, efficiency):
    values = {name: getattr(used, name) for name in used.__dataclass_fields__}
    return Readout(**(values | {"saturation_efficiency": efficiency}))


def first_pass_of(used, one, *, second=None, kind=InputKind.DUAL_SEQUENCE, ratio=1.0, dose=0.05):
    series = second and InputSeries(kind=kind, slice=second[1], readout=second[0], dose_ratio=ratio)
    return FirstPass(
        label="rest",
        state=State.REST,
        state_reason="test",
        slices=(one,),
        physics=physics(used, dose),
        input_series=series,
    )
