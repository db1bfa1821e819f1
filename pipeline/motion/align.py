"""The stage: frames of one slice in, aligned frames with their displacement and weight out."""

import numpy as np
import torch

from pipeline.motion.accept import is_better, residual, usable
from pipeline.motion.bulk import refine, track
from pipeline.motion.canvas import prepare
from pipeline.motion.warp import translate
from pipeline.result import AlignedSeries, Box
from pipeline.study import FloatArray

LARGEST_DISPLACEMENT_MM = 30.0
"""How far from its place in the reference frame the heart is looked for."""


def align(
    frames: FloatArray,
    time_s: FloatArray,  # noqa: ARG001  all stages are called alike; rates are per frame here
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
        The heart in the reference frame.
    reference_frame
        The frame that stays as it is; best one with both ventricles in contrast.
    spacing_mm
        Between rows, between columns [mm].

    Returns
    -------
    The frames on their own grid. Where alignment does not explain the series better than doing
    nothing, the frames come back as they were, with method ``none``.
    """
    source = torch.from_numpy(np.ascontiguousarray(frames, dtype=np.float32))
    margin = tuple(round(LARGEST_DISPLACEMENT_MM / spacing) for spacing in spacing_mm)
    canvas = prepare(source, box, (margin[0], margin[1]))
    still = source.new_zeros(source.shape[0], 2)
    shift = refine(canvas, track(canvas, reference_frame), reference_frame)
    before, after = residual(canvas, still), residual(canvas, shift)
    better = is_better(before, after)
    if better:
        size = (source.shape[1], source.shape[2])
        moved = translate(source, shift, (0, 0), size).numpy()
        moved[reference_frame] = frames[reference_frame]
    else:
        shift, after, moved = still, before, np.array(frames, dtype=np.float32)
    return AlignedSeries(
        frames=moved,
        reference_frame=reference_frame,
        bulk_displacement_mm=shift.numpy().astype(float) * np.asarray(spacing_mm),
        displacement_mm=None,
        frame_weight=usable(after).numpy().astype(float),
        method="rigid" if better else "none",
    )
