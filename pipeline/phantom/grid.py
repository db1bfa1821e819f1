"""The fine grid of points on which a slice is evaluated, and its two coordinate systems.

Picture: u right and v down from the middle of the picture. Scene: x and y of `heart`, turned and
shifted against it. All in mm.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.study import FloatArray, IntArray

OVERSAMPLING = 3
"""Fine points per pixel and axis."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """Fine points of one slice; arrays are [v, u]."""

    u_mm: FloatArray
    """[u]."""
    v_mm: FloatArray
    """[v]."""
    x_mm: FloatArray
    y_mm: FloatArray
    turn_rad: float
    centre_mm: tuple[float, float]
    """Scene point (x, y) at the middle of the picture."""

    @classmethod
    def of_picture(
        cls, *, matrix: int, spacing_mm: float, turn_rad: float, centre_mm: tuple[float, float]
    ) -> "Grid":
        """Grid of a square picture of `matrix` pixels."""
        size, fine = matrix * OVERSAMPLING, spacing_mm / OVERSAMPLING
        along = ((np.arange(size) - (size - 1) / 2) * fine).astype(np.float32)
        cosine, sine = np.float32(np.cos(turn_rad)), np.float32(np.sin(turn_rad))
        u, v = along[None], along[:, None]
        return cls(
            u_mm=along,
            v_mm=along,
            x_mm=cosine * u - sine * v + np.float32(centre_mm[0]),
            y_mm=sine * u + cosine * v + np.float32(centre_mm[1]),
            turn_rad=turn_rad,
            centre_mm=centre_mm,
        )

    @property
    def fine_mm(self) -> float:
        """Distance of two fine points."""
        return float(self.u_mm[1] - self.u_mm[0])

    def to_picture(self, x_mm: float, y_mm: float) -> tuple[float, float]:
        """Picture coordinates (u, v) of a scene point."""
        dx, dy = x_mm - self.centre_mm[0], y_mm - self.centre_mm[1]
        cosine, sine = np.cos(self.turn_rad), np.sin(self.turn_rad)
        return float(cosine * dx + sine * dy), float(cosine * dy - sine * dx)

    def to_pixel(self, x_mm: float, y_mm: float) -> tuple[float, float]:
        """(row, column) of a scene point, pixel centres whole."""
        u, v = self.to_picture(x_mm, y_mm)
        pixel, middle = self.fine_mm * OVERSAMPLING, (self.u_mm.size // OVERSAMPLING - 1) / 2
        return v / pixel + middle, u / pixel + middle

    def around(self, x_mm: float, y_mm: float, reach_mm: float) -> tuple[slice, slice]:
        """Index of the rows and columns within reach of a scene point."""
        u, v = self.to_picture(x_mm, y_mm)
        first, last = np.searchsorted(self.u_mm, (u - reach_mm, u + reach_mm))
        top, bottom = np.searchsorted(self.v_mm, (v - reach_mm, v + reach_mm))
        return slice(int(top), int(bottom)), slice(int(first), int(last))

    def draw_disc(self, label: IntArray, disc: tuple[float, float, float], value: int) -> None:
        """Set the label within a disc (x, y, radius), touching only what is around it."""
        x, y, radius = disc
        window = self.around(x, y, radius)
        near = (self.x_mm[window] - x) ** 2 + (self.y_mm[window] - y) ** 2 < radius**2
        label[window][near] = value
