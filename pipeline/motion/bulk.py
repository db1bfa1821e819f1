"""The rigid step: one translation a frame, found against mixtures of the other frames."""

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.motion.canvas import Canvas
from pipeline.motion.subspace import contrast_basis, outside, weigh
from pipeline.motion.warp import translate

NEIGHBOURS = 12
"""Aligned frames, nearest in time, from which a frame's contrast is mixed while tracking."""

RANK = 3
"""Dimensions of contrast beside the constant image."""

ITERATIONS = 12
LONGEST_STEP_PIXELS = 1.0


def track(canvas: Canvas, reference_frame: int) -> Tensor:
    """Find each frame's translation by full search, from the reference frame outwards in time.

    Contrast changes little between neighbours, so the frames aligned so far can mix the contrast
    of the next one, wherever the heart is in it: no start value, no local minimum.

    Returns
    -------
    [time, (row, column)] in pixels, zero at the reference frame.
    """
    images, weight = canvas.images, canvas.weight
    n = images.shape[0]
    shift = images.new_zeros(n, 2)
    spectra = torch.fft.rfft2(images)
    variance = _local_variance(canvas)
    vectors = weigh(translate(images, shift, canvas.margin, canvas.size), weight)
    seen = [reference_frame]
    for frame in [*range(reference_frame + 1, n), *range(reference_frame - 1, -1, -1)]:
        near = sorted(seen, key=lambda other: abs(other - frame))[:NEIGHBOURS]
        basis = contrast_basis(vectors[near], weight, RANK)
        explained = _correlate(canvas, basis, spectra[frame])
        shift[frame] = _lowest(1 - explained / variance[frame])
        moved = translate(
            images[frame : frame + 1], shift[frame : frame + 1], canvas.margin, canvas.size
        )
        vectors[frame] = weigh(moved, weight)[0]
        seen.append(frame)
    return shift


def refine(canvas: Canvas, shift: Tensor, reference_frame: int) -> Tensor:
    """Improve all translations together, below the pixel (Gauss-Newton, contrast projected out).

    Returns
    -------
    [time, (row, column)] in pixels, zero at the reference frame.
    """
    limit = shift.new_tensor(canvas.margin)
    for _ in range(ITERATIONS):
        moved = translate(canvas.images, shift, canvas.margin, canvas.size)
        vectors = weigh(moved, canvas.weight)
        basis = contrast_basis(vectors, canvas.weight, RANK)
        residual = outside(vectors, basis)
        slopes = torch.stack(
            [
                outside(weigh(slope, canvas.weight), basis)
                for slope in torch.gradient(moved, dim=(1, 2))
            ],
            dim=1,
        )
        normal = slopes @ slopes.transpose(1, 2)
        # A little damping: a frame without structure stays where it is.
        normal = normal + 1e-6 * torch.eye(2, dtype=normal.dtype, device=normal.device)
        step = -torch.linalg.solve(normal, slopes @ residual[:, :, None])[:, :, 0]
        shift = shift + step.clamp(-LONGEST_STEP_PIXELS, LONGEST_STEP_PIXELS)
        shift = shift - shift[reference_frame]
        shift = torch.minimum(torch.maximum(shift, -limit), limit)
    return shift


def _correlate(canvas: Canvas, basis: Tensor, spectrum: Tensor) -> Tensor:
    """Energy in the contrast space (without its constant) for every whole shift in the margin."""
    weighted = basis[1:].reshape(-1, *canvas.size) * canvas.weight.sqrt()
    return _at_shifts(canvas, weighted, spectrum).square().sum(0)


def _local_variance(canvas: Canvas) -> Tensor:
    """Weighted variance under the window for every frame and whole shift in the margin."""
    weight = canvas.weight[None]
    sums = _at_shifts(canvas, weight, torch.fft.rfft2(canvas.images))
    squares = _at_shifts(canvas, weight, torch.fft.rfft2(canvas.images.square()))
    return (squares - sums.square() / weight.sum()).clamp_min(1e-6)


def _at_shifts(canvas: Canvas, patterns: Tensor, spectra: Tensor) -> Tensor:
    """Correlate patterns on the box with images: [.., 2 margin + 1 (rows), 2 margin + 1]."""
    height, width = canvas.images.shape[-2:]
    down, across = canvas.margin
    padded = functional.pad(patterns, (across, across, down, down))
    product = torch.fft.rfft2(padded).conj() * spectra
    everywhere = torch.fft.irfft2(product, s=(height, width))
    centred = torch.roll(everywhere, canvas.margin, dims=(-2, -1))
    return centred[..., : 2 * down + 1, : 2 * across + 1]


def _lowest(score: Tensor) -> Tensor:
    """Position of the minimum relative to the middle, below the pixel by a parabola each way."""
    height, width = score.shape
    row, column = divmod(int(score.argmin()), width)
    down = row - height // 2 + _parabola(score[:, column], row)
    across = column - width // 2 + _parabola(score[row], column)
    return score.new_tensor([down, across])


def _parabola(values: Tensor, at: int) -> float:
    if not 0 < at < len(values) - 1:
        return 0.0
    before, here, after = (float(values[at + step]) for step in (-1, 0, 1))
    curvature = before - 2 * here + after
    return (before - after) / (2 * curvature) if curvature > 0 else 0.0
