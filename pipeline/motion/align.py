"""The stage: frames of one slice in, aligned frames with their displacement and weight out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.motion.accept import agreement, bends_well, is_better, usable
from pipeline.motion.breathing import halves, modes
from pipeline.motion.bulk import NEIGHBOURS, place, refine, track
from pipeline.motion.edges import Canvas, prepare
from pipeline.motion.warp import displace, translate
from pipeline.result import AlignedSeries, Box
from pipeline.study import FloatArray
from pipeline.threads import one_thread

CLEAR_GAIN = 0.001
"""In mean agreement. Six dark frames of 70 found again in all slices gain 0.0015."""

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
    return align_together([frames], [time_s], [box], reference_frame, spacing_mm)[0]


def align_together(
    frames: Sequence[FloatArray],
    time_s: Sequence[FloatArray],
    boxes: Sequence[Box],
    reference_frame: int,
    spacing_mm: tuple[float, float],
) -> tuple[AlignedSeries, ...]:
    """Align slices of the same beats to one of them, each helped by the others; see `align`.

    All have the same number of frames and the same matrix.
    """
    source = torch.from_numpy(np.stack(frames).astype(np.float32))
    times = torch.from_numpy(np.stack(time_s).astype(np.float64))
    with one_thread():
        canvas = prepare(source, boxes, spacing_mm, LARGEST_DISPLACEMENT_MM)
        motion = _find(canvas, times, reference_frame, spacing_mm)
        return tuple(
            _result(source[number], motion, number, box, reference_frame, spacing_mm)
            for number, box in enumerate(boxes)
        )


def align_to(
    images: FloatArray, aligned: AlignedSeries, box: Box, spacing_mm: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Put images of another contrast, such as proton density, where an aligned series lies.

    Parameters
    ----------
    images
        On the grid of the series [image, row, column].
    aligned
        The series.
    box
        The heart in its reference frame.
    spacing_mm
        Between rows, between columns [mm].

    Returns
    -------
    The images displaced [image, row, column], and where the heart was in them relative to the
    reference frame [image, (row, column)] in mm.
    """
    good = aligned.frames[aligned.frame_weight > 0]
    series, others = (torch.from_numpy(np.array(part, dtype=np.float32)) for part in (good, images))
    settled = prepare(series[None], [box], spacing_mm, LARGEST_DISPLACEMENT_MM)
    template = settled.unit(settled.moved(series.new_zeros(1, len(series), 2))).mean(1)
    shift = place(prepare(others[None], [box], spacing_mm, LARGEST_DISPLACEMENT_MM), template)[0]
    size = (others.shape[1], others.shape[2])
    moved = translate(others[:, None], shift, (0, 0), size)[:, 0]
    return moved.numpy(), shift.numpy().astype(float) * np.asarray(spacing_mm)


def put_back(
    frames: FloatArray, displacement_mm: FloatArray, spacing_mm: tuple[float, float]
) -> FloatArray:
    """Move frames [time, row, column] so that what was displaced in them is where it belongs.

    `displacement_mm` is where the heart was [time, (row, column)].
    """
    source = torch.from_numpy(np.array(frames, dtype=np.float32))
    shift = torch.from_numpy((displacement_mm / np.asarray(spacing_mm)).astype(np.float32))
    size = (source.shape[1], source.shape[2])
    moved: FloatArray = translate(source[:, None], shift, (0, 0), size)[:, 0].numpy()
    return moved


def follow(
    frames: FloatArray,
    time_s: FloatArray,
    leader: AlignedSeries,
    leader_time_s: FloatArray,
    spacing_mm: tuple[float, float],
) -> AlignedSeries:
    """Move a series as one that was acquired in the same beats.

    The low-resolution series of a dual-sequence acquisition sees a heart of a dozen pixels: too
    little to be aligned by itself, but it breathes with the slices (docs/motion.md).

    Parameters
    ----------
    frames
        The series that follows [time, row, column], rows and columns along those of the leader.
    time_s
        On the leader's clock [s] [time].
    leader
        An aligned slice of the same beats.
    leader_time_s
        Its acquisition times [s].
    spacing_mm
        Of the series that follows: between rows, between columns [mm].

    Returns
    -------
    The frames, each moved like the leader's nearest in time; the reference frame is the one
    nearest to the leader's.
    """
    apart = np.abs(np.asarray(time_s)[:, None] - np.asarray(leader_time_s)[None])
    nearest = apart.argmin(axis=1)
    moved_mm = leader.bulk_displacement_mm[nearest]
    return AlignedSeries(
        frames=put_back(frames, moved_mm, spacing_mm),
        reference_frame=int(apart[:, leader.reference_frame].argmin()),
        bulk_displacement_mm=moved_mm,
        displacement_mm=None,
        frame_weight=leader.frame_weight[nearest],
        method="rigid" if np.any(moved_mm) else "none",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Motion:
    """What was found and kept for every slice of a batch."""

    canvas: Canvas
    shift: Tensor
    """[slice, time, 2] in pixels; zero where doing nothing is as good."""
    field: Tensor
    """Displacement beyond shift on the window [slice, time, 2, row, column]; zero where rigid."""
    moved: Tensor
    bent: Tensor
    """Whether each slice has shift, and a field [slice]."""
    usable: Tensor
    """[slice, time]."""


def _find(
    canvas: Canvas,
    time_s: Tensor,
    reference_frame: int,
    spacing_mm: tuple[float, float],
) -> _Motion:
    """Rigid step, non-rigid step, each kept only where it helps."""
    shift = _best_translations(canvas, time_s, reference_frame)
    still, rigid = agreement(canvas, torch.zeros_like(shift)), agreement(canvas, shift)
    moved = is_better(still, rigid)
    shift = torch.where(moved[:, None, None], shift, 0.0)
    rigid = torch.where(moved[:, None], rigid, still)
    first, second = halves(canvas, shift, usable(rigid), spacing_mm)
    amplitude = modes(shift)
    even = torch.arange(shift.shape[1], device=shift.device) % 2 == 0
    foretold = torch.where(
        even[None, :, None, None, None], _bend(amplitude, second), _bend(amplitude, first)
    )
    bent = moved & bends_well(canvas, shift, rigid, foretold)
    field = torch.where(
        bent[:, None, None, None, None], _bend(amplitude, (first + second) / 2), 0.0
    )
    good = usable(agreement(canvas, shift, field))
    return _Motion(canvas=canvas, shift=shift, field=field, moved=moved, bent=bent, usable=good)


def _best_translations(canvas: Canvas, time_s: Tensor, reference_frame: int) -> Tensor:
    """Search with many neighbours, and with few; keep these where frames clearly agree more.

    For all slices alike, which breathe alike and go astray alike.
    """
    many, few = (
        refine(canvas, track(canvas, time_s, reference_frame, count), reference_frame)
        for count in NEIGHBOURS
    )
    gain = (agreement(canvas, few) - agreement(canvas, many)).mean()
    return few if gain > CLEAR_GAIN else many


def _bend(amplitude: Tensor, per_mode: Tensor) -> Tensor:
    """Field of every frame [slice, time, 2, row, column] from those of the modes."""
    return torch.einsum("stm,smcyx->stcyx", amplitude, per_mode)


def _result(
    frames: Tensor,
    motion: _Motion,
    number: int,
    box: Box,
    reference_frame: int,
    spacing_mm: tuple[float, float],
) -> AlignedSeries:
    """Displace the frames of one slice as a whole, in one interpolation."""
    shift, bent, moved = motion.shift[number], bool(motion.bent[number]), bool(motion.moved[number])
    size = (frames.shape[1], frames.shape[2])
    whole = shift[:, :, None, None].expand(-1, -1, *size)
    if bent:
        whole = whole + motion.canvas.outspread(motion.field[number], box, size)
    aligned = frames
    if moved:
        aligned = displace(frames[:, None], whole)[:, 0]
        aligned[reference_frame] = frames[reference_frame]
    spacing = np.asarray(spacing_mm)
    return AlignedSeries(
        frames=aligned.cpu().numpy(),
        reference_frame=reference_frame,
        bulk_displacement_mm=shift.cpu().numpy().astype(float) * spacing,
        displacement_mm=(
            whole.cpu().numpy() * spacing.astype(np.float32)[:, None, None] if bent else None
        ),
        frame_weight=motion.usable[number].cpu().numpy().astype(float),
        method="rigid and non-rigid" if bent else "rigid" if moved else "none",
    )
