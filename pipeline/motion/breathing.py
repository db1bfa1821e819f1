"""The non-rigid step: how the heart turns and deforms as breathing displaces it.

A single frame says little about deformation: the wall is smooth, and along it nothing can be
seen. But the heart deforms by the same few movements over and over, as deep as it is displaced
(respiratory motion model, doi 10.1016/j.media.2012.09.005). So all frames together find fields
that are multiplied with the translations known from the rigid step,

    u(x, t) = sum over directions m of a_m(t) phi_m(x),

and what a frame has for itself, noise, cannot bend it.
"""

import torch
from torch import Tensor

from pipeline.motion.edges import Canvas
from pipeline.motion.mismatch import mismatch
from pipeline.motion.splines import Knots, knots

KNOT_SPACING_MM = 25.0
STIFFNESS = 1000.0
"""Weight of the bending energy; three times more or less gives the same (docs/motion.md)."""

MODE_SCALE_PIXELS = 3.0
"""Displacement at which a field is as stiff as `STIFFNESS` says: small motion bends nothing."""

CORRELATED_PIXELS = 9.0
"""Neighbouring pixels share their noise: so many of them count as one."""

ITERATIONS = 8


def modes(shift: Tensor) -> Tensor:
    """Displacement along and across the main direction of motion [slice, time, 2].

    Parameters
    ----------
    shift
        [slice, time, (row, column)] in pixels, zero at the reference frame.
    """
    left, strength, _ = torch.linalg.svd(shift, full_matrices=False)
    return left * strength[:, None] / MODE_SCALE_PIXELS


def halves(
    canvas: Canvas, shift: Tensor, learn: Tensor, spacing_mm: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Find the fields twice, from the even and from the odd frames.

    Parameters
    ----------
    canvas
        Edges of all slices.
    shift
        From the rigid step [slice, time, 2].
    learn
        Frames that may teach [slice, time].
    spacing_mm
        Between rows, between columns.

    Returns
    -------
    Displacement per mode, in pixels, of each half [slice, mode, 2, row, column of the window].
    """
    amplitude = modes(shift)
    spacing = (KNOT_SPACING_MM / spacing_mm[0], KNOT_SPACING_MM / spacing_mm[1])
    grid = knots(canvas.size, spacing, like=shift)
    found = []
    for start in (0, 1):
        own = slice(start, None, 2)
        part = canvas.only(own)
        coefficients = _fit(part, shift[:, own], amplitude[:, own], learn[:, own], grid)
        found.append(grid.field(coefficients))
    return found[0], found[1]


def _fit(canvas: Canvas, shift: Tensor, amplitude: Tensor, learn: Tensor, grid: Knots) -> Tensor:
    """Coefficients of the fields [slice, mode, 2, knot] by Gauss-Newton, all frames together."""
    n_slices, _, n_modes = amplitude.shape
    size = n_modes * 2 * grid.count
    stiffness = torch.kron(
        torch.eye(n_modes * 2, dtype=shift.dtype, device=shift.device), STIFFNESS * grid.bending()
    )
    stiffness = stiffness + 1e-3 * torch.eye(size, dtype=shift.dtype, device=shift.device)
    coefficients = shift.new_zeros(n_slices, size)
    pixels = 3 * canvas.weight.sum((-2, -1))[:, None]
    for _ in range(ITERATIONS):
        per_mode = grid.field(coefficients.reshape(n_slices, n_modes, 2, grid.count))
        field = torch.einsum("stm,smcyx->stcyx", amplitude, per_mode)
        seen = mismatch(canvas, canvas.unit(canvas.moved(shift, field)), learn)
        noise = canvas.product(seen.rest, seen.rest) / pixels * CORRELATED_PIXELS
        certainty = learn.to(noise.dtype) / noise.clamp_min(1e-9)
        weight = canvas.weight[:, None] * certainty[:, :, None, None]
        slopes = (seen.down, seen.across)
        normal = _normal_matrix(grid, slopes, weight, amplitude)
        pull = torch.stack(
            [grid.moments((slope * seen.rest).sum(2) * weight) for slope in slopes], dim=2
        )
        pull = torch.einsum("stm,stck->smck", amplitude, pull).flatten(1)
        force = pull + coefficients @ stiffness
        triangle = torch.linalg.cholesky(normal + stiffness)
        coefficients = coefficients - torch.cholesky_solve(force[..., None], triangle)[..., 0]
    return coefficients.reshape(n_slices, n_modes, 2, grid.count)


def _normal_matrix(
    grid: Knots, slopes: tuple[Tensor, Tensor], weight: Tensor, amplitude: Tensor
) -> Tensor:
    """Products of all unknowns (mode, component, knot) with each other, summed over frames."""
    pairs = torch.einsum("stm,stn->stmn", amplitude, amplitude)
    rows = []
    for mode in range(amplitude.shape[2]):
        for slope in slopes:
            row = []
            for other in range(amplitude.shape[2]):
                both = weight * pairs[:, :, mode, other, None, None]
                row += [grid.products(((slope * second).sum(2) * both).sum(1)) for second in slopes]
            rows.append(torch.cat(row, dim=-1))
    return torch.cat(rows, dim=-2)
