"""The guard: is the series better off, and which frames belong to it."""

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.motion.edges import Canvas

NEEDED_GAIN = 0.01
"""Aligned frames must agree better by so much; fitting the noise of a still series gains 0.002."""

OUTLIER_LOSS = 0.05
"""A frame agreeing with the others so much less than those before and after it is none of them."""

NEIGHBOURS_EACH_SIDE = 4

NEEDED_BENDING_GAIN = 0.001
"""Deformation must raise the agreement by so much in frames that it was not learned from."""

SMALLEST_JACOBIAN, LARGEST_JACOBIAN = 0.5, 2.0
"""Tissue neither vanishes nor appears: what one pixel can become by displacement."""


def agreement(canvas: Canvas, shift: Tensor, field: Tensor | None = None) -> Tensor:
    """Mean likeness of each frame's edges with every other's [slice, time]: 0 none, 1 the same."""
    edges = canvas.unit(canvas.moved(shift, field))
    all_others = edges.sum(1, keepdim=True).expand_as(edges)
    # each frame is in the sum itself, with length 1
    return (canvas.product(edges, all_others) - 1) / max(edges.shape[1] - 1, 1)


def is_better(before: Tensor, after: Tensor) -> Tensor:
    """Whether frames agree better than before, by more than noise gives [slice]."""
    return after.mean(1) > before.mean(1) + NEEDED_GAIN


def bends_well(canvas: Canvas, shift: Tensor, rigid: Tensor, foretold: Tensor) -> Tensor:
    """Whether deformation is real and possible [slice].

    Parameters
    ----------
    canvas, shift
        As for `agreement`.
    rigid
        Agreement without deformation [slice, time].
    foretold
        Displacement beyond shift, of each frame as learned from the other half of the frames
        [slice, time, 2, row, column]. Noise that was fitted in one half does not help the other.
    """
    gain = agreement(canvas, shift, foretold).mean(1) - rigid.mean(1)
    size = jacobian(foretold).flatten(1)
    possible = (size.amin(1) > SMALLEST_JACOBIAN) & (size.amax(1) < LARGEST_JACOBIAN)
    return (gain > NEEDED_BENDING_GAIN) & possible


def jacobian(field: Tensor) -> Tensor:
    """Area that a pixel becomes [..., row, column] under a field [..., 2, row, column]."""
    down, across = torch.gradient(field, dim=(-2, -1))
    stretch = (1 + down[..., 0, :, :]) * (1 + across[..., 1, :, :])
    shear: Tensor = down[..., 1, :, :] * across[..., 0, :, :]
    return stretch - shear


def usable(agreeing: Tensor) -> Tensor:
    """Whether each frame belongs to its series [slice, time].

    A frame is compared with those before and those after it, whichever agree less: before the
    bolus, where the heart is dark, and as it arrives, good frames agree less with the rest too.
    """
    reach = min(NEIGHBOURS_EACH_SIDE, agreeing.shape[1] - 1)
    padded = functional.pad(agreeing[:, None], (reach, reach), mode="reflect")[:, 0]
    medians = padded.unfold(1, reach, 1).median(dim=2).values
    n_frames = agreeing.shape[1]
    before, after = medians[:, :n_frames], medians[:, reach + 1 : reach + 1 + n_frames]
    return agreeing > torch.minimum(before, after) - OUTLIER_LOSS
