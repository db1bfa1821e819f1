"""When each frame is taken and where the heart is then."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pipeline.study import BoolArray, FloatArray

USABLE_CONTRACTION = 0.2


@dataclass(frozen=True, kw_only=True, eq=False)
class Movement:
    """One slice's frames; positions are in the picture, relative to the reference frame."""

    time_s: FloatArray
    """After the first frame of the first pass [time]."""
    breathing_mm: FloatArray
    """Shift of everything that breathes [time, (row, column)]."""
    body_mm: FloatArray
    """Shift of the whole patient [time, (row, column)]."""
    rotation_rad: FloatArray
    """Of the heart around its axis [time]."""
    velocity_mm_s: FloatArray
    """Of the heart while the lines are read [time, (row, column)]."""
    through_mm: FloatArray
    """How much deeper (towards the apex) the cut lies in the heart [time]."""
    contraction: FloatArray
    """Further contraction; 0: the intended cardiac phase; 1: the other end of the cycle [time]."""

    @property
    def displacement_mm(self) -> FloatArray:
        """Of the heart as a whole [time, (row, column)]."""
        return self.breathing_mm + self.body_mm

    @property
    def usable(self) -> BoolArray:
        """Frames in the intended cardiac phase and near the intended cut."""
        phase = np.abs(self.contraction) < USABLE_CONTRACTION
        near: BoolArray = phase & (np.abs(self.through_mm) < 5.0)
        return near


@dataclass(frozen=True, kw_only=True, eq=False)
class Rhythm:
    """Triggers and breathing of one first pass; shared by its slices."""

    trigger_s: FloatArray
    diaphragm_mm: FloatArray
    """Depth of the diaphragm at each trigger [mm]."""
    sideways: float
    """Shift to the right per shift downwards, in the scene."""
    through: float
    turn_rad_mm: float
    body_mm: FloatArray
    """Shift of the patient in the scene, [trigger, (x, y)]."""


def draw_rhythm(
    rng: Generator, *, n_frames: int, interval_s: float, motion_mm: float | None
) -> Rhythm:
    """Draw triggers and breathing; `motion_mm` None: drawn as in patients."""
    trigger = _beat_times(rng, n_frames, interval_s)
    if motion_mm is None:
        largest = rng.choice([rng.uniform(0.3, 5.0), rng.gamma(3.2, 5.0)], p=[0.18, 0.82])
        motion_mm = float(min(largest, 26.0))
    body = np.zeros((n_frames, 2))
    if motion_mm > 6.0 and rng.random() < 0.12:
        body[int(rng.integers(n_frames)) :] = rng.normal(0.0, 3.0, 2)
    return Rhythm(
        trigger_s=trigger,
        diaphragm_mm=_breathing(rng, trigger, motion_mm),
        sideways=rng.normal(0.25, 0.3),
        through=float(np.clip(rng.normal(0.0, 0.1), -0.2, 0.2)),
        turn_rad_mm=rng.normal(0.0, 0.004),
        body_mm=body,
    )


def draw_movement(
    rng: Generator,
    rhythm: Rhythm,
    *,
    slice_delay_s: float,
    reference_frame: int,
    mistrigger_share: float | None,
    turn_rad: float,
) -> Movement:
    """Movement of one slice in a picture that is turned by `turn_rad` against the scene."""
    n_frames = rhythm.trigger_s.size
    still = not np.any(rhythm.diaphragm_mm)
    if mistrigger_share is None:
        mistrigger_share = float(rng.choice([0.0, 0.03, 0.09], p=[0.6, 0.25, 0.15]))
    jitter = 0.0 if still else rng.choice([0.008, 0.03])
    contraction = jitter * rng.standard_normal(n_frames)
    wrong = rng.random(n_frames) < mistrigger_share
    wrong[reference_frame] = False  # the masks show the intended phase
    contraction[wrong] = rng.uniform(0.3, 1.0, int(wrong.sum())) * rng.choice([1.0, -0.5])
    position = rhythm.diaphragm_mm - rhythm.diaphragm_mm[reference_frame]
    breathing = np.stack([rhythm.sideways * position, position], axis=1)
    body = rhythm.body_mm - rhythm.body_mm[reference_frame]
    # the beat moves the heart the same way in every frame; breathing comes on top
    beating = np.zeros(2) if still else rng.normal(0.0, 9.0, 2)
    speed = np.gradient(breathing, rhythm.trigger_s, axis=0) if n_frames > 1 else 0.0 * breathing
    return Movement(
        time_s=rhythm.trigger_s + slice_delay_s,
        breathing_mm=_in_picture(breathing, turn_rad),
        body_mm=_in_picture(body, turn_rad),
        rotation_rad=rhythm.turn_rad_mm * position,
        velocity_mm_s=_in_picture(speed, turn_rad) + beating,
        through_mm=rhythm.through * position,
        contraction=contraction - contraction[reference_frame],
    )


def _in_picture(shift_xy: FloatArray, turn_rad: float) -> FloatArray:
    """(row, column) of scene vectors (x, y)."""
    x, y = shift_xy[:, 0], shift_xy[:, 1]
    cosine, sine = np.cos(turn_rad), np.sin(turn_rad)
    return np.stack([cosine * y - sine * x, cosine * x + sine * y], axis=1)


def _beat_times(rng: Generator, n_frames: int, interval_s: float) -> FloatArray:
    """Triggers [s]: RR varies with breathing, beats are missed, some hearts are irregular."""
    beats = np.arange(n_frames)
    wave = rng.uniform(0.0, 0.05) * np.sin(2 * np.pi * beats / rng.uniform(3.5, 6.0))
    irregular = rng.choice([0.015, 0.15], p=[0.93, 0.07])
    interval = interval_s * np.maximum(1.0 + wave + rng.normal(0.0, irregular, n_frames), 0.55)
    missed = rng.random(n_frames) < rng.choice([0.0, 0.02, 0.06], p=[0.7, 0.2, 0.1])
    interval[missed] *= 2.0
    return np.concatenate([[0.0], np.cumsum(interval[:-1])])


def _breathing(rng: Generator, time_s: FloatArray, largest_mm: float) -> FloatArray:
    """Depth of the diaphragm [mm]: held, then a drift or a jump, then breathing; or free."""
    if largest_mm <= 0:
        return np.zeros(time_s.size)
    last = float(time_s[-1]) + 1e-9
    hold = rng.uniform(0.05, 0.9) * last if rng.random() < 0.5 else 0.0
    period = rng.uniform(3.0, 6.0)
    phase = np.pi * np.maximum(time_s - hold, 0.0) / period
    phase = phase + np.cumsum(rng.normal(0.0, 0.08, time_s.size)) * (time_s > hold)
    deep = np.abs(np.sin(phase)) ** rng.uniform(1.2, 2.5)
    deep *= 1.0 + 0.25 * np.sin(0.13 * phase + rng.uniform(0, 6.0))
    drift = rng.uniform(-0.6, 0.6) * np.clip(time_s / max(hold, 8.0), 0.0, 1.0)
    jump = rng.normal(0.0, 0.3) * (time_s > rng.uniform(0.0, last)) * (rng.random() < 0.3)
    position = deep + drift + jump + 0.03 * rng.standard_normal(time_s.size)
    scaled: FloatArray = largest_mm * (position - position[0]) / max(float(np.ptp(position)), 0.3)
    return scaled
