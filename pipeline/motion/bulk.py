"""The rigid step: one translation a frame, found against the mean edges of the other frames."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.motion.edges import Canvas
from pipeline.motion.mismatch import Mismatch, mismatch

NEIGHBOURS = (30, 5)
"""Frames, nearest in time, whose mean edges a frame is searched for: many and few, as two tries.
Few are closer in contrast, but one that goes astray misleads the next; among many, frames before
the bolus meet a mean that shows other edges."""

TYPICAL_DISPLACEMENT_MM = 12.0
"""SD of how far hearts are displaced, as known before looking; decides only where little is seen:
in the coarse pixels of an input function series it keeps noise from being followed."""

INDEPENDENT_SHARE = 1 / 3
"""Independent values per pixel of the window: three channels, but neighbours share their noise."""

TOGETHER_MM = 3.0
"""Slices of the same beats breathe alike, but for so much: they are taken some tenths of a second
apart, and the apex moves less than the base."""

ITERATIONS = 8
LONGEST_STEP_PIXELS = 0.7
SMALLEST_STEP_PIXELS = 0.01


def track(canvas: Canvas, time_s: Tensor, reference_frame: int, neighbours: int) -> Tensor:
    """Find each frame's translation by full search, from the reference frame outwards in time.

    No start value, so no wrong local optimum near it. The slices are displaced alike: what others
    show of a dark frame says where to look in a slice that shows little.

    Parameters
    ----------
    canvas
        Edges of slices that show the same beats.
    time_s
        [slice, time].
    reference_frame
        Of all slices.
    neighbours
        One of `NEIGHBOURS`.

    Returns
    -------
    [slice, time, (row, column)] in pixels, zero at the reference frame.
    """
    n_slices, n_frames = canvas.edges.shape[:2]
    every = torch.arange(n_slices, device=canvas.edges.device)[:, None]
    shift = canvas.edges.new_zeros(n_slices, n_frames, 2)
    spectra = torch.fft.rfft2(canvas.edges)
    energy = _energy(canvas)
    aligned = canvas.unit(canvas.moved(shift))
    order = _outwards(n_frames, reference_frame)
    for step, now in enumerate(order[1:], start=1):
        seen = torch.tensor(order[:step], device=every.device)
        distance = (time_s[:, seen] - time_s[:, now, None]).abs()
        nearest = seen[distance.argsort(dim=1, stable=True)[:, :neighbours]]
        template = canvas.unit(aligned[every, nearest].mean(1)[:, None])[:, 0]
        found = _correlate(canvas, template * canvas.weight[:, None], spectra[:, now])
        likely = _likelihood(canvas, found, energy[:, now])
        likely = likely + _by_others(likely, canvas.spacing_mm)
        shift[:, now] = _highest(likely + _expected(canvas, likely))
        here = replace(canvas, edges=canvas.edges[:, now, None])
        aligned[:, now] = here.unit(here.moved(shift[:, now, None]))[:, 0]
    return shift


def place(canvas: Canvas, template: Tensor) -> Tensor:
    """Find each frame's translation against edges that are known already, by full search.

    Parameters
    ----------
    canvas
        Frames to place.
    template
        Edges in the window [slice, 3, row, column].

    Returns
    -------
    [slice, time, (row, column)] in pixels.
    """
    n_slices, n_frames = canvas.edges.shape[:2]
    template = canvas.unit(template[:, None])
    weighted = (template * canvas.weight[:, None, None]).expand(-1, n_frames, -1, -1, -1)
    found = _correlate(canvas, weighted, torch.fft.rfft2(canvas.edges))
    likely = _likelihood(canvas, found, _energy(canvas))
    best = _highest((likely + _expected(canvas, likely)).flatten(0, 1))
    return best.reshape(n_slices, n_frames, 2)


def refine(canvas: Canvas, shift: Tensor, reference_frame: int) -> Tensor:
    """Improve all translations together, below the pixel (Gauss-Newton towards the mean edges).

    Returns
    -------
    [slice, time, (row, column)] in pixels, zero at the reference frame.
    """
    limit = shift.new_tensor(canvas.margin)
    every_frame = torch.ones(shift.shape[:2], dtype=torch.bool, device=shift.device)
    for _ in range(ITERATIONS):
        moved = canvas.unit(canvas.moved(shift))
        seen = mismatch(canvas, moved, every_frame)
        step = _step(canvas, seen)
        step = step.clamp(-LONGEST_STEP_PIXELS, LONGEST_STEP_PIXELS)
        shift = shift + step
        shift = shift - shift[:, reference_frame, None]
        shift = torch.minimum(torch.maximum(shift, -limit), limit)
        if step.abs().max() < SMALLEST_STEP_PIXELS:
            break
    return shift


def _outwards(n_frames: int, reference: int) -> list[int]:
    return [*range(reference, n_frames), *range(reference - 1, -1, -1)]


def _step(canvas: Canvas, seen: Mismatch) -> Tensor:
    """Solve the normal equations of two unknowns for each frame [slice, time, 2].

    In closed form: torch's batched solver goes astray for many small systems on several threads.
    The floor keeps a frame without structure in its place.
    """
    rows = canvas.product(seen.down, seen.down) + 1e-6
    columns = canvas.product(seen.across, seen.across) + 1e-6
    mixed = canvas.product(seen.down, seen.across)
    down, across = (canvas.product(slope, seen.rest) for slope in (seen.down, seen.across))
    determinant = rows * columns - mixed.square()
    along_rows = (columns * down - mixed * across) / determinant
    along_columns = (rows * across - mixed * down) / determinant
    return -torch.stack([along_rows, along_columns], dim=-1)


def _likelihood(canvas: Canvas, product: Tensor, energy: Tensor) -> Tensor:
    """Judge each whole shift [..., row, column]: its log-likelihood, but for a constant.

    Parameters
    ----------
    canvas
        Of one or all slices; the first axis of the others is that of its slices.
    product
        Of the edges with a template of length 1.
    energy
        Squared length of the edges.
    """
    explained = (product.clamp_min(0).square() / energy).clamp_max(0.999)
    independent = INDEPENDENT_SHARE * canvas.weight.sum((-2, -1))
    independent = independent.reshape(-1, *[1] * (product.ndim - 1))
    return -0.5 * independent * torch.log1p(-explained)


def _by_others(likely: Tensor, spacing_mm: tuple[float, float]) -> Tensor:
    """Sum what the other slices say of each shift or of one near it [slice, row, column]."""
    reach = [round(TOGETHER_MM / spacing) for spacing in spacing_mm]
    size = [2 * pixels + 1 for pixels in reach]
    near = functional.max_pool2d(likely[:, None], size, stride=1, padding=reach)[:, 0]
    return near.sum(0) - near


def _expected(canvas: Canvas, likely: Tensor) -> Tensor:
    """Log-probability of each whole shift before anything is seen [row, column]."""
    height, width = likely.shape[-2:]
    down, across = (
        (torch.arange(n, device=likely.device) - n // 2) * spacing
        for n, spacing in zip((height, width), canvas.spacing_mm, strict=True)
    )
    squared_mm = down[:, None].square() + across.square()
    return -squared_mm / (2 * TYPICAL_DISPLACEMENT_MM**2)


def _energy(canvas: Canvas) -> Tensor:
    """Squared length of the edges under the window, for every whole shift in the margin."""
    spectra = torch.fft.rfft2(canvas.edges.square().sum(2))
    weight = canvas.weight[:, None].expand(-1, spectra.shape[1], -1, -1)
    return _at_shifts(canvas, weight, spectra).clamp_min(1e-6)


def _correlate(canvas: Canvas, template: Tensor, spectra: Tensor) -> Tensor:
    """Product of a weighted template with the edges for every whole shift in the margin."""
    return _at_shifts(canvas, template, spectra, over_channels=True)


def _at_shifts(
    canvas: Canvas, patterns: Tensor, spectra: Tensor, *, over_channels: bool = False
) -> Tensor:
    """Correlate by Fourier transform: [..., 2 margin + 1 (rows), 2 margin + 1 (columns)]."""
    down, across = canvas.margin
    height, width = canvas.edges.shape[-2:]
    padded = functional.pad(patterns, (across, across, down, down))
    product = torch.fft.rfft2(padded).conj() * spectra
    if over_channels:
        product = product.sum(-3)
    everywhere = torch.fft.irfft2(product, s=(height, width))
    centred = torch.roll(everywhere, canvas.margin, dims=(-2, -1))
    return centred[..., : 2 * down + 1, : 2 * across + 1]


def _highest(score: Tensor) -> Tensor:
    """Place of the maximum relative to the middle [slice, 2], below the pixel by parabolas."""
    height, width = score.shape[-2:]
    at = score.flatten(1).argmax(1)
    row, column = at // width, at % width
    every = torch.arange(score.shape[0], device=score.device)
    down = row - height // 2 + _parabola(score[every, :, column], row)
    across = column - width // 2 + _parabola(score[every, row], column)
    return torch.stack([down, across], dim=-1)


def _parabola(values: Tensor, at: Tensor) -> Tensor:
    """Offset of the top of the parabola through a maximum and its two neighbours [slice]."""
    last = values.shape[1] - 1
    before, here, after = (
        values.gather(1, (at + step).clamp(0, last)[:, None])[:, 0] for step in (-1, 0, 1)
    )
    curvature = before - 2 * here + after
    inside = (at > 0) & (at < last) & (curvature < 0)
    return torch.where(inside, (before - after) / (2 * curvature.clamp_max(-1e-12)), 0.0)
