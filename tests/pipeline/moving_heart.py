"""A schematic short-axis series with contrast and known motion, for tests of the motion stage."""

from dataclasses import dataclass

import numpy as np

from pipeline.result import Box

SIZE = 112
CENTRE = (56, 60)
BOX = Box(row_start=28, row_stop=84, column_start=24, column_stop=84)
SPACING_MM = (2.0, 2.0)


@dataclass(frozen=True, kw_only=True)
class MovingHeart:
    frames: np.ndarray
    time_s: np.ndarray
    displacement_pixels: np.ndarray
    """[time, (row, column)] relative to the reference frame."""
    wall: np.ndarray
    """[time, row, column]."""
    reference_frame: int


def breathing(n: int, amplitude_pixels: float) -> np.ndarray:
    """Downwards and a little sideways, deeper and shallower [time, (row, column)]."""
    at = np.arange(n)
    depth = (1 - np.cos(2 * np.pi * at / 4.7)) / 2 * (0.7 + 0.3 * np.sin(at / 5.0))
    return amplitude_pixels * np.stack([depth, 0.35 * depth], axis=1)


def simulate_heart(
    displacement: np.ndarray,
    noise: float = 0.02,
    seed: int = 0,
    turn_rad: np.ndarray | None = None,
) -> MovingHeart:
    """`turn_rad`: how far the heart is turned around its axis in each frame."""
    rng = np.random.default_rng(seed)
    time_s = 0.9 * np.arange(len(displacement))
    right = _bolus(time_s, 7, 3.5)
    left = _bolus(time_s, 12, 4.5)
    wall = 0.5 * _bolus(time_s, 16, 9)
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(float)
    frames, masks = [], []
    turn = np.zeros(len(displacement)) if turn_rad is None else turn_rad
    for k, (down, across) in enumerate(displacement):
        y, x = _turned(rows - CENTRE[0] - down, columns - CENTRE[1] - across, turn[k])
        radius = np.hypot(y / 1.2, x)  # not round: turning shows
        outer, inner = _inside(13 - radius), _inside(8 - radius)
        papillary = inner * _inside(1.8 - np.hypot(np.abs(y) - 3.5, x - 4))
        crescent = _inside(13 - np.hypot(y / 1.1, x + 13)) * (1 - outer)
        liver = _inside(rows - CENTRE[0] - down - 34 - (columns - CENTRE[1]) ** 2 / 90)
        image = 0.05 + 0.5 * _inside(10 - columns) + 0.4 * liver
        image = image * (1 - outer) * (1 - crescent) + crescent * (0.1 + right[k])
        image += (outer - inner + papillary) * (0.14 + wall[k])
        image += (inner - papillary) * (0.1 + left[k])
        frames.append(
            np.abs(image * (1.2 - 0.4 * columns / SIZE) + noise * rng.normal(size=image.shape))
        )
        masks.append(outer - inner > 0.5)
    reference = int(left.argmax())
    return MovingHeart(
        frames=300 * np.asarray(frames),
        time_s=time_s,
        displacement_pixels=displacement - displacement[reference],
        wall=np.asarray(masks),
        reference_frame=reference,
    )


def _turned(y: np.ndarray, x: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Turn the heart, and less and less of what is further away."""
    near = angle * np.exp(-((np.hypot(y, x) / 30) ** 4))
    return np.cos(near) * y - np.sin(near) * x, np.sin(near) * y + np.cos(near) * x


def _inside(distance: np.ndarray) -> np.ndarray:
    """1 inside, 0 outside, with an edge of a pixel."""
    return 1 / (1 + np.exp(-distance / 0.4))


def _bolus(time_s: np.ndarray, arrival_s: float, rise_s: float) -> np.ndarray:
    since = np.clip(time_s - arrival_s, 0, None) / rise_s
    return since**2 * np.exp(2 * (1 - since)) + 0.35 * (1 - np.exp(-since))
