"""Smooth fields on a window: cubic B-splines on a coarse grid of knots (doi 10.1109/42.796284)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Knots:
    """A grid of control points; a component of a field has `count` coefficients."""

    rows: Tensor
    """Value of each row of knots at each row of pixels [knot row, row]."""
    columns: Tensor
    """[knot column, column]."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of knots."""
        return self.rows.shape[0], self.columns.shape[0]

    @property
    def count(self) -> int:
        """Number of knots."""
        return self.rows.shape[0] * self.columns.shape[0]

    def field(self, coefficients: Tensor) -> Tensor:
        """Evaluate coefficients [..., knot] at every pixel [..., row, column]."""
        grid = coefficients.reshape(*coefficients.shape[:-1], *self.shape)
        return self.rows.T @ grid @ self.columns

    def moments(self, values: Tensor) -> Tensor:
        """Sum values [..., row, column] times each knot's spline over the pixels [..., knot]."""
        return (self.rows @ values @ self.columns.T).flatten(-2)

    def products(self, weight: Tensor) -> Tensor:
        """Sum weight [..., row, column] times each pair of splines [..., knot, knot].

        Splines are separable, so the sum runs over rows and then over columns.
        """
        row_pairs = (self.rows[:, None] * self.rows[None]).flatten(0, 1)
        column_pairs = (self.columns[:, None] * self.columns[None]).flatten(0, 1)
        high, wide = self.shape
        pairs = (row_pairs @ weight @ column_pairs.T).reshape(-1, high, high, wide, wide)
        ordered = pairs.transpose(-3, -2).reshape(-1, self.count, self.count)
        return ordered.reshape(*weight.shape[:-2], self.count, self.count)

    def bending(self) -> Tensor:
        """Matrix of the bending energy, per pixel: sum of squared second differences."""
        rows = [self.rows, *_differences(self.rows)]
        columns = [self.columns, *_differences(self.columns)]
        total = self.rows.new_zeros(self.count, self.count)
        for along_rows, along_columns, times in ((2, 0, 1.0), (1, 1, 2.0), (0, 2, 1.0)):
            total += times * torch.kron(
                rows[along_rows] @ rows[along_rows].T,
                columns[along_columns] @ columns[along_columns].T,
            )
        return total


def knots(size: tuple[int, int], spacing: tuple[float, float], *, like: Tensor) -> Knots:
    """Lay knots, `spacing` pixels apart along rows and columns, over a window of `size`."""
    return Knots(
        rows=_splines(size[0], spacing[0], like=like),
        columns=_splines(size[1], spacing[1], like=like),
    )


def _splines(n: int, spacing: float, *, like: Tensor) -> Tensor:
    """Value of each knot's spline at each of n pixels; the knots lie centred on them."""
    intervals = max(math.ceil((n - 1) / spacing), 1)
    pixels = torch.arange(n, dtype=like.dtype, device=like.device) / spacing
    at = torch.arange(-1, intervals + 2, dtype=like.dtype, device=like.device)
    at = at - (intervals - (n - 1) / spacing) / 2
    distance = (pixels[None] - at[:, None]).abs()
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance).clamp_min(0) ** 3 / 6
    return torch.where(distance < 1, near, far)


def _differences(values: Tensor) -> tuple[Tensor, Tensor]:
    """First and second differences along the last axis."""
    first = torch.gradient(values, dim=-1)[0]
    return first, torch.gradient(first, dim=-1)[0]
