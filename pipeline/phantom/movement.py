"""When each frame is taken and where the heart is then."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pipeline.study import BoolArray, FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Movement:
    """One slice's frames."""

    time_s: FloatArray
    """After the first frame of the first pass [time]."""
    shift_mm: FloatArray
    """Of everything that breathes: down and right in the picture [time, (row, column)]."""
    through_mm: FloatArray
    """How much deeper (towards the apex) the cut lies in the heart [time]."""
    contraction: FloatArray
    """0: the intended cardiac phase; 1: the other end of the cycle [time]."""

    @property
    def usable(self) -> BoolArray:
        """Frames in the intended cardiac phase."""
        usable: BoolArray = self.contraction < 0.2
        return usable


def beat_times(rng: Generator, n_frames: int, interval_s: float) -> FloatArray:
    """Draw the times of the triggers [s]: RR varies with breathing, and beats are missed."""
    wave = 0.04 * np.sin(2 * np.pi * np.arange(n_frames) / rng.uniform(3.5, 6.0))
    interval = interval_s * (1.0 + wave + rng.normal(0.0, 0.02, n_frames))
    missed = rng.random(n_frames) < rng.choice([0.0, 0.02, 0.05], p=[0.7, 0.2, 0.1])
    interval[missed] *= 2.0
    return np.concatenate([[0.0], np.cumsum(interval[:-1])])


def breathing_mm(rng: Generator, time_s: FloatArray, largest_mm: float) -> FloatArray:
    """Position of the diaphragm [mm], starting near 0: held, then drifting, then breathing."""
    hold = rng.uniform(0.0, 0.9) * time_s[-1] if rng.random() < 0.7 else 0.0
    period = rng.uniform(3.0, 5.5)
    phase = 2 * np.pi * time_s / period + np.cumsum(rng.normal(0.0, 0.15, time_s.size))
    free = np.abs(np.sin(phase / 2)) ** 1.5 * (time_s >= hold)
    drift = 0.25 * np.clip(time_s / max(hold, 10.0), 0.0, 1.0)
    position = free + drift + 0.04 * rng.normal(size=time_s.size)
    position -= position[0]
    return largest_mm * position / max(float(np.ptp(position)), 1e-9)


def draw_movement(
    rng: Generator,
    *,
    trigger_s: FloatArray,
    slice_delay_s: float,
    breathing: FloatArray,
    mistrigger_share: float,
) -> Movement:
    """Movement of one slice; `breathing` is the position of the diaphragm at each trigger."""
    n_frames = trigger_s.size
    contraction = np.zeros(n_frames)
    wrong = rng.random(n_frames) < mistrigger_share
    contraction[wrong] = rng.uniform(0.4, 1.0, int(wrong.sum()))
    sideways = rng.normal(0.15, 0.2)
    return Movement(
        time_s=trigger_s + slice_delay_s,
        shift_mm=np.stack([breathing, sideways * breathing], axis=1),
        through_mm=rng.normal(0.0, 0.15) * breathing,
        contraction=contraction,
    )
