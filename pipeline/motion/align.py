"""The stage: frames of one slice in, aligned frames with their displacement and weight out."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline.motion.accept import agreement, is_better, usable
from pipeline.motion.bulk import refine, track
from pipeline.motion.edges import prepare
from pipeline.motion.warp import translate
from pipeline.result import AlignedSeries, Box
from pipeline.study import FloatArray

LARGEST_DISPLACEMENT_MM = 30.0
"""How far from its place in the reference frame the heart is looked for."""


def align(
    frames: FloatArray,
    time_s: FloatArray,
    box: Box,
    reference_frame: int,
    spacing_mm: tuple[float, float],
) -> AlignedSeries:
    """Put the heart of every frame where it is in the reference frame.

    Parameters
    ----------
    frames
        Signal magnitude of one slice [time, row, column].
    time_s
        Acquisition times [s], strictly rising [time].
    box
        The heart in the reference frame, without surroundings.
    reference_frame
        The frame that stays as it is; best one with both ventricles in contrast.
    spacing_mm
        Between rows, between columns [mm].

    Returns
    -------
    The frames on their own grid. Where alignment does not make the frames agree better than doing
    nothing, they come back as they were, with method ``none``.
    """
    return align_together([frames], [time_s], [box], [reference_frame], spacing_mm)[0]


def align_together(
    frames: Sequence[FloatArray],
    time_s: Sequence[FloatArray],
    boxes: Sequence[Box],
    reference_frames: Sequence[int],
    spacing_mm: tuple[float, float],
    device: str = "cpu",
) -> tuple[AlignedSeries, ...]:
    """Align several slices in one batch, each for itself; see `align`.

    All slices have the same number of frames and the same matrix.
    """
    source = torch.from_numpy(np.stack(frames).astype(np.float32)).to(device)
    times = torch.from_numpy(np.stack(time_s).astype(np.float64)).to(device)
    canvas = prepare(source, boxes, spacing_mm, LARGEST_DISPLACEMENT_MM)
    shift = refine(canvas, track(canvas, times, reference_frames), reference_frames)
    before, after = agreement(canvas, torch.zeros_like(shift)), agreement(canvas, shift)
    better = is_better(before, after)
    weight = usable(torch.where(better[:, None], after, before))
    return tuple(
        _result(
            source[number],
            shift[number] if better[number] else None,
            weight[number],
            reference,
            spacing_mm,
        )
        for number, reference in enumerate(reference_frames)
    )


def _result(
    frames: Tensor,
    shift: Tensor | None,
    weight: Tensor,
    reference_frame: int,
    spacing_mm: tuple[float, float],
) -> AlignedSeries:
    """Move the frames of one slice; `shift` is None where they stay."""
    moved = frames
    if shift is not None:
        height, width = frames.shape[-2:]
        moved = translate(frames[:, None], shift, (0, 0), (height, width))[:, 0]
        moved[reference_frame] = frames[reference_frame]
    bulk = np.zeros((len(frames), 2)) if shift is None else shift.cpu().numpy().astype(float)
    return AlignedSeries(
        frames=moved.cpu().numpy(),
        reference_frame=reference_frame,
        bulk_displacement_mm=bulk * np.asarray(spacing_mm),
        displacement_mm=None,
        frame_weight=weight.cpu().numpy().astype(float),
        method="none" if shift is None else "rigid",
    )
